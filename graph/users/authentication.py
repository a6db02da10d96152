"""Who asks: from a secret, or a person, to the viewer that everything else is decided for."""

from collections.abc import Sequence
from dataclasses import replace

from graph.audience import SCOPES, Audience
from graph.context import Services, Viewer
from graph.phrases import language_of
from graph.storage.rows import Row, Rows
from graph.users import store
from graph.users.tokens import SECRET_LIMIT, hash_of


async def authenticate(rows: Rows, secret: str, now: int) -> Viewer | None:
    """Whom the secret of a session or an API token belongs to; None when it is none, ended or expired.

    `now` in µs since 1970.  One statement, by the unique index of the secret's hash.
    """
    if len(secret) > SECRET_LIMIT:
        return None
    found = await store.standing_by_secret(rows, hash_of(secret), now)
    if not found:
        return None
    return _viewer(found)


async def recognise(services: Services, secret: str) -> Viewer | None:
    """The same at the door: it is also told that the session or token is in use."""
    now = services.now()
    found = [] if len(secret) > SECRET_LIMIT else await store.standing_by_secret(services.storage, hash_of(secret), now)
    if not found:
        return None
    services.uses.note(services.changes, found[0][0], found[0][4], now)
    return _viewer(found)


def _viewer(found: Sequence[Row]) -> Viewer:
    token_id, kind, scopes, expires_at, _ = found[0][:5]
    allowed = SCOPES if kind == "SESSION" else SCOPES & frozenset(scopes.split())
    return Viewer(_audience([row[5:] for row in found], allowed, token_id), expires_at)


async def viewer_of(rows: Rows, user_id: int) -> Viewer | None:
    """The person as a viewer who may use all that they are; None when there is no such person."""
    found = await store.standing_of(rows, user_id)
    return Viewer(_audience(found, SCOPES, None)) if found else None


async def as_now(rows: Rows, viewer: Viewer) -> Viewer:
    """The same viewer with the roles and memberships of now; unchanged where nobody is signed in."""
    asking = viewer.audience
    found = [] if asking.viewer_id is None else await store.standing_of(rows, asking.viewer_id)
    if not found:
        return viewer
    audience = _audience(found, asking.scopes, asking.token_id)
    return Viewer(replace(audience, locale=asking.locale), viewer.expires_at)


def _audience(standing: Sequence[Row], scopes: frozenset[str], token_id: int | None) -> Audience:
    user_id, role, locale, *_, invited_to, banned_from = standing[0]
    return Audience(
        viewer_id=user_id,
        role=role,
        member_of=frozenset(row[3] for row in standing if row[3] is not None),
        moderates=frozenset(row[3] for row in standing if row[4] in ("MODERATOR", "ADMIN")),
        invited_to=_ids(invited_to),
        banned_from=_ids(banned_from),
        locale=language_of(locale),
        scopes=scopes,
        token_id=token_id,
    )


def _ids(text: str | None) -> frozenset[int]:
    return frozenset(map(int, text.split(","))) if text else frozenset()
