"""People and their tokens in the database: rows in, rows out.  Knows SQL, decides nothing."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from graph.storage.rows import Row, Rows
from graph.storage.tables import memberships, tokens, users


async def add_user(rows: Rows, **values: Any) -> int | None:
    """The new person's id; None when the handle or the e-mail address is somebody's already."""
    insert: Any = sqlite.insert if rows.engine == "sqlite" else postgresql.insert
    found = await rows.rows(insert(users).values(**values).on_conflict_do_nothing().returning(users.c.id))
    return found[0][0] if found else None


async def id_by_handle(rows: Rows, handle_key: str) -> int | None:
    found = await rows.rows(sa.select(users.c.id).where(users.c.handle_key == handle_key))
    return found[0][0] if found else None


async def password_hash_of(rows: Rows, user_id: int, *, lock: bool = False) -> str | None:
    statement = sa.select(users.c.password_hash).where(users.c.id == user_id)
    found = await rows.rows(statement.with_for_update() if lock else statement)
    return found[0][0] if found else None


async def credentials(
    rows: Rows, *, handle_key: str | None = None, email_key: str | None = None
) -> tuple[int, str | None] | None:
    """The person's id and password hash, found by one of the two."""
    mine = users.c.handle_key == handle_key if email_key is None else users.c.email_key == email_key
    found = await rows.rows(sa.select(users.c.id, users.c.password_hash).where(mine))
    return (found[0][0], found[0][1]) if found else None


async def change_user(rows: Rows, user_id: int, **values: Any) -> None:
    await rows.rows(users.update().where(users.c.id == user_id).values(**values).returning(users.c.id))


async def add_token(rows: Rows, **values: Any) -> int:
    [(token_id,)] = await rows.rows(tokens.insert().values(**values).returning(tokens.c.id))
    return int(token_id)


async def is_token(rows: Rows, token_id: int, secret_hash: bytes) -> bool:
    """Whether this token is the one that this secret opens."""
    mine = (tokens.c.id == token_id) & (tokens.c.secret_hash == secret_hash)
    return bool(await rows.rows(sa.select(tokens.c.id).where(mine)))


async def revoke_token(rows: Rows, token_id: int, *, user_id: int, kind: str, at: int) -> bool:
    """False when the person has no such token, or no longer."""
    mine = (tokens.c.id == token_id) & (tokens.c.user_id == user_id) & (tokens.c.kind == kind)
    revoking = tokens.update().where(mine, tokens.c.revoked_at.is_(None)).values(revoked_at=at)
    return bool(await rows.rows(revoking.returning(tokens.c.id)))


_STANDING = (users.c.id, users.c.role, users.c.locale, memberships.c.community_id, memberships.c.role)
_MEMBERSHIPS = memberships.c.user_id == users.c.id


async def standing_of(rows: Rows, user_id: int) -> Sequence[Row]:
    """(id, role, locale, community, role there): one row per community, one with nulls where there is none."""
    mine = users.c.id == user_id
    return await rows.rows(sa.select(*_STANDING).select_from(users.outerjoin(memberships, _MEMBERSHIPS)).where(mine))


async def standing_by_secret(rows: Rows, secret_hash: bytes, now: int) -> Sequence[Row]:
    """(token, its end, id, role, locale, community, role there) of whom the secret belongs to, while it is valid."""
    owned = tokens.join(users, users.c.id == tokens.c.user_id).outerjoin(memberships, _MEMBERSHIPS)
    unexpired = tokens.c.expires_at.is_(None) | (tokens.c.expires_at > now)
    valid = (tokens.c.secret_hash == secret_hash) & tokens.c.revoked_at.is_(None) & unexpired
    return await rows.rows(sa.select(tokens.c.id, tokens.c.expires_at, *_STANDING).select_from(owned).where(valid))


async def is_user(rows: Rows, user_id: int) -> bool:
    return bool(await rows.rows(sa.select(users.c.id).where(users.c.id == user_id)))
