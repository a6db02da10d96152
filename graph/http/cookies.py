"""The session's cookie: how it is written, read and taken back, and where there can be none.

It is for browsers only, and out of the reach of scripts; whose pages it counts for is decided in `graph.http.origins`.
"""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from graph.http.origins import LOOPBACK_NAMES
from graph.refusals import Invalid

NAME: Final = "palabre-session"
# Browsers take this prefix only from the very host, over https, for the whole of it: no neighbour can plant one.
HOST_PREFIX: Final = "__Host-"
NOT_OVER_A_SOCKET: Final = "A cookie cannot be set over a socket; sign in by POST."
NOT_IN_THE_OPEN: Final = "A cookie needs https, or a server on this machine; take the token."


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """As this site writes it."""

    is_secure: bool

    @property
    def name(self) -> str:
        return f"{HOST_PREFIX}{NAME}" if self.is_secure else NAME

    def in_header(self, header: str) -> str | None:
        """The secret in a Cookie header; None where there is no cookie of ours."""
        pairs = (part.partition("=") for part in header.split(";"))
        return next((value.strip() for name, _, value in pairs if name.strip() == self.name and value.strip()), None)

    def kept(self, secret: str, seconds: int) -> str:
        """A Set-Cookie header."""
        return f"{self.name}={secret}; Max-Age={seconds}; {self._attributes}"

    def cleared(self) -> str:
        return f"{self.name}=; Max-Age=0; {self._attributes}"

    @property
    def _attributes(self) -> str:
        return f"Path=/; HttpOnly; SameSite=Lax{'; Secure' if self.is_secure else ''}"


def cookie_at(public_url: str) -> SessionCookie | None:
    """None where a cookie would travel in the open: by plain http, to anywhere but this machine."""
    parts = urlsplit(public_url)
    if parts.scheme == "https":
        return SessionCookie(is_secure=True)
    host = parts.netloc.removesuffix(f":{parts.port}")
    return SessionCookie(is_secure=False) if host in LOOPBACK_NAMES else None


@dataclass(slots=True)
class CookieOutlet:
    """What becomes of the cookie with this answer: a mutation says so, the endpoint writes it."""

    barred: str | None = NOT_OVER_A_SOCKET  # why none can be set here
    came: bool = False  # whether the viewer is who they are by the cookie
    secret: str | None = None  # to keep
    expires_at: int | None = None  # µs since 1970, UTC
    is_cleared: bool = False

    def check_open(self, *path: str) -> None:
        """Raises Invalid, for the input that asks for a cookie, where none can be set."""
        if self.barred is not None:
            raise Invalid(self.barred, path)

    def keep(self, secret: str, expires_at: int) -> None:
        self.secret, self.expires_at, self.came, self.is_cleared = secret, expires_at, True, False

    def clear(self) -> None:
        """Let go of the cookie, if it is by it that the viewer came."""
        if self.came:
            self.secret, self.came, self.is_cleared = None, False, True
