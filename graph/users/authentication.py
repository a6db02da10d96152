"""Who asks: from a secret, or a person, to the viewer that everything else is decided for."""

from collections.abc import Sequence

from graph.audience import Audience
from graph.context import Viewer
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
    token_id, expires_at = found[0][:2]
    return Viewer(_audience([row[2:] for row in found]), token_id, expires_at)


async def viewer_of(rows: Rows, user_id: int, token_id: int | None = None) -> Viewer | None:
    """The person as a viewer; None when there is no such person."""
    found = await store.standing_of(rows, user_id)
    return Viewer(_audience(found), token_id) if found else None


def _audience(standing: Sequence[Row]) -> Audience:
    user_id, role, locale = standing[0][:3]
    return Audience(
        viewer_id=user_id,
        role=role,
        member_of=frozenset(community for *_, community, _ in standing if community is not None),
        moderates=frozenset(community for *_, community, there in standing if there in ("MODERATOR", "ADMIN")),
        locale=language_of(locale),
    )
