"""Who asks, as HTTP says it: by a token in a header, or by the session's cookie where it may count."""

from dataclasses import dataclass

from starlette.datastructures import Headers

from graph.context import Services, Viewer
from graph.http.cookies import NOT_IN_THE_OPEN, CookieOutlet, SessionCookie, cookie_at
from graph.http.origins import Origins
from graph.http.requests import Unacceptable
from graph.users.authentication import recognise


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a site takes as such."""

    services: Services
    origins: Origins
    cookie: SessionCookie | None

    @classmethod
    def of(cls, services: Services, origins: Origins) -> "Credentials":
        return cls(services, origins, cookie_at(services.public_url))

    async def asker(self, headers: Headers) -> tuple[Viewer, CookieOutlet]:
        """The viewer, and what may become of the cookie.  A token in the header wins; a cookie that is no good any
        more is nobody's, and taken back.

        Raises Unacceptable for a token that is no good, and for a cookie that came by way of a foreign page.
        """
        outlet = CookieOutlet(barred=self.barred(headers))
        if headers.get("authorization", "").strip():
            return await viewer_from(headers["authorization"], self.services), outlet
        secret = self.secret_in_cookie(headers)
        viewer = None if secret is None else await self.standing(secret)
        outlet.came, outlet.is_cleared = viewer is not None, secret is not None and viewer is None
        return viewer or Viewer(), outlet

    def barred(self, headers: Headers) -> str | None:
        """Why no cookie can go with the answer; None: it can."""
        return NOT_IN_THE_OPEN if self.cookie is None else self.origins.objection(headers)

    def secret_in_cookie(self, headers: Headers) -> str | None:
        """Raises Unacceptable where the browser added the cookie to what a foreign page sends."""
        secret = None if self.cookie is None else self.cookie.in_header("; ".join(headers.getlist("cookie")))
        objection = None if secret is None else self.origins.objection(headers)
        if objection is not None:
            raise Unacceptable(403, objection)
        return secret

    def set_cookie(self, outlet: CookieOutlet) -> str | None:
        """The header that does what the outlet says; None: the browser's cookie stays as it is."""
        if self.cookie is None or outlet.barred is not None:
            return None
        if outlet.secret is not None:
            assert outlet.expires_at is not None, "a session has an end"
            return self.cookie.kept(outlet.secret, (outlet.expires_at - self.services.now()) // 1_000_000)
        return self.cookie.cleared() if outlet.is_cleared else None

    async def standing(self, secret: str) -> Viewer | None:
        return await recognise(self.services, secret)


async def viewer_from(authorization: str | None, services: Services) -> Viewer:
    """Raises Unacceptable for credentials that are no good; without any, nobody is signed in."""
    secret = bearer(authorization)
    if secret is None:
        return Viewer()
    viewer = await recognise(services, secret)
    if viewer is None:
        raise Unacceptable(401, "This token is unknown, ended or expired.", {"WWW-Authenticate": "Bearer"})
    return viewer


def bearer(authorization: str | None) -> str | None:
    """The secret in `Bearer …`.  Raises Unacceptable for another scheme."""
    if authorization is None or not authorization.strip():
        return None
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unacceptable(401, "Authorization is `Bearer` and a token.", {"WWW-Authenticate": "Bearer"})
    return secret.strip()
