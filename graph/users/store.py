"""People and their tokens in the database: rows in, rows out.  Knows SQL, decides nothing."""

from collections.abc import Collection, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from graph.storage.rows import Row, Rows, among
from graph.storage.tables import community_bans, community_invitations, former_handles, memberships, tokens, users

CLAIMING_HANDLES: Final = 0x50414C4142524532  # an advisory lock on PostgreSQL ("PALABRE2"), until the transaction ends

# --- people -----------------------------------------------------------------------------------------------------


async def add_user(rows: Rows, **values: Any) -> int | None:
    """The new person's id; None when the handle or the e-mail address is somebody's already."""
    insert: Any = sqlite.insert if rows.engine == "sqlite" else postgresql.insert
    found = await rows.rows(insert(users).values(**values).on_conflict_do_nothing().returning(users.c.id))
    return found[0][0] if found else None


async def id_by_email(rows: Rows, email_key: str) -> int | None:
    found = await rows.rows(sa.select(users.c.id).where(users.c.email_key == email_key))
    return found[0][0] if found else None


async def is_user(rows: Rows, user_id: int) -> bool:
    return bool(await rows.rows(sa.select(users.c.id).where(users.c.id == user_id)))


async def account(rows: Rows, user_id: int, *columns: sa.Column[Any], lock: bool = False) -> Row | None:
    """These columns of the person's row; `lock` holds it until the transaction ends."""
    statement = sa.select(*columns).where(users.c.id == user_id)
    found = await rows.rows(statement.with_for_update() if lock else statement)
    return found[0] if found else None


async def names_of(rows: Rows, user_id: int) -> tuple[str, str | None]:
    """The person's handle and e-mail address."""
    [(handle, email)] = await rows.rows(sa.select(users.c.handle, users.c.email).where(users.c.id == user_id))
    return handle, email


async def returns_until(rows: Rows, user_id: int) -> int | None:
    found = await account(rows, user_id, users.c.returns_until)
    return found[0] if found else None


async def password_hash_of(rows: Rows, user_id: int, *, lock: bool = False) -> str | None:
    found = await account(rows, user_id, users.c.password_hash, lock=lock)
    return found[0] if found else None


async def credentials(
    rows: Rows, *, handle_key: str | None = None, email_key: str | None = None
) -> tuple[int, str | None] | None:
    """The person's id and password hash, found by one of the two; a former handle does as well."""
    mine = users.c.email_key == email_key if handle_key is None else called(handle_key)
    found = await rows.rows(sa.select(users.c.id, users.c.password_hash).where(mine))
    return (found[0][0], found[0][1]) if found else None


async def change_user(rows: Rows, user_id: int, **values: Any) -> None:
    await rows.rows(users.update().where(users.c.id == user_id).values(**values).returning(users.c.id))


# --- handles ----------------------------------------------------------------------------------------------------


def called(handle_key: str) -> sa.ColumnElement[bool]:
    """Has this handle, or had it: at most one person, by two unique indexes."""
    named = users.alias("named")
    present = sa.select(named.c.id).where(named.c.handle_key == handle_key)
    former = sa.select(former_handles.c.user_id).where(former_handles.c.handle_key == handle_key)
    return users.c.id == present.union_all(former).limit(1).scalar_subquery()


async def id_by_handle(rows: Rows, handle_key: str) -> int | None:
    found = await rows.rows(sa.select(users.c.id).where(called(handle_key)))
    return found[0][0] if found else None


async def lock_handles(rows: Rows) -> None:
    """From here until the transaction ends, nobody else takes a handle or an address."""
    # A unique index knows nothing of former handles and of look-alikes, and breaks off a change that comes second
    # instead of letting it be refused.  SQLite has one writer anyway.
    if rows.engine == "postgresql":
        await rows.rows(sa.select(sa.func.pg_advisory_xact_lock(CLAIMING_HANDLES)))


async def owners_of(rows: Rows, handle_keys: Collection[str]) -> dict[str, int]:
    """Whose these handles are or were, by their keys."""
    wanted = sorted(handle_keys)
    present = sa.select(users.c.handle_key, users.c.id).where(among(users.c.handle_key, wanted))
    former = sa.select(former_handles.c.handle_key, former_handles.c.user_id)
    found = await rows.rows(present.union_all(former.where(among(former_handles.c.handle_key, wanted))))
    return {row[0]: row[1] for row in found}


async def count_former_handles(rows: Rows, user_id: int) -> int:
    counting = sa.select(sa.func.count()).where(former_handles.c.user_id == user_id)
    [(count,)] = await rows.rows(counting)
    return int(count)


async def former_handles_of(rows: Rows, user_id: int) -> Sequence[str]:
    """As keys, the latest first."""
    mine = sa.select(former_handles.c.handle_key).where(former_handles.c.user_id == user_id)
    found = await rows.rows(mine.order_by(former_handles.c.left_at.desc(), former_handles.c.id.desc()))
    return [handle_key for (handle_key,) in found]


async def leave_handle(rows: Rows, user_id: int, handle_key: str, *, for_key: str, at: int) -> None:
    """The first becomes one of the person's former handles, the second is none any more."""
    taken_back = (former_handles.c.user_id == user_id) & (former_handles.c.handle_key == for_key)
    await rows.rows(former_handles.delete().where(taken_back).returning(former_handles.c.id))
    left = former_handles.insert().values(user_id=user_id, handle_key=handle_key, left_at=at)
    await rows.rows(left.returning(former_handles.c.id))


# --- sessions and API tokens ------------------------------------------------------------------------------------


async def add_token(rows: Rows, **values: Any) -> int:
    [(token_id,)] = await rows.rows(tokens.insert().values(**values).returning(tokens.c.id))
    return int(token_id)


async def is_token(rows: Rows, token_id: int, secret_hash: bytes) -> bool:
    """Whether this token is the one that this secret opens."""
    mine = (tokens.c.id == token_id) & (tokens.c.secret_hash == secret_hash)
    return bool(await rows.rows(sa.select(tokens.c.id).where(mine)))


async def is_open(rows: Rows, token_id: int, now: int) -> bool:
    """Whether it has neither ended nor expired."""
    return bool(await rows.rows(sa.select(tokens.c.id).where(tokens.c.id == token_id, opens(now))))


async def end_of_api_token(rows: Rows, token_id: int | None) -> int | None:
    """When an API token ends by itself; None for one that does not, and for what is no API token."""
    mine = (tokens.c.id == token_id) & (tokens.c.kind == "API")
    found = await rows.rows(sa.select(tokens.c.expires_at).where(mine))
    return found[0][0] if found else None


async def tokens_of(rows: Rows, user_id: int, now: int) -> Sequence[Row]:
    """(id, kind, name, scopes, created at, last used at, expires at) of those that open the door, the latest first."""
    shown = (tokens.c.id, tokens.c.kind, tokens.c.name, tokens.c.scopes)
    times = (tokens.c.created_at, tokens.c.last_used_at, tokens.c.expires_at)
    mine = sa.select(*shown, *times).where(tokens.c.user_id == user_id, opens(now))
    return await rows.rows(mine.order_by(tokens.c.created_at.desc(), tokens.c.id.desc()))


def opens(now: int) -> sa.ColumnElement[bool]:
    """The token has neither ended nor expired."""
    return tokens.c.revoked_at.is_(None) & (tokens.c.expires_at.is_(None) | (tokens.c.expires_at > now))


async def revoke_token(
    rows: Rows, token_id: int, *, at: int, user_id: int | None = None, kind: str | None = None
) -> int | None:
    """Whose it was; None when there is no such token (of this person and kind, where these are given), or no longer."""
    mine = [tokens.c.id == token_id, tokens.c.revoked_at.is_(None)]
    mine += [] if user_id is None else [tokens.c.user_id == user_id]
    mine += [] if kind is None else [tokens.c.kind == kind]
    revoking = tokens.update().where(*mine).values(revoked_at=at)
    found = await rows.rows(revoking.returning(tokens.c.user_id))
    return found[0][0] if found else None


async def end_tokens(
    rows: Rows, user_id: int, kinds: Sequence[str], *, at: int, but: int | None = None
) -> Sequence[int]:
    """The ids of the person's tokens of these kinds that have ended by this; `but` stays."""
    mine = [tokens.c.user_id == user_id, tokens.c.kind.in_(kinds), opens(at)]
    mine += [] if but is None else [tokens.c.id != but]
    ended = await rows.rows(tokens.update().where(*mine).values(revoked_at=at).returning(tokens.c.id))
    return sorted(token_id for (token_id,) in ended)


async def renew_session(rows: Rows, token_id: int | None, user_id: int, **values: Any) -> int | None:
    """The id of the session that has another secret by this; None when the token is no session of this person."""
    mine = (tokens.c.id == token_id) & (tokens.c.user_id == user_id) & (tokens.c.kind == "SESSION")
    renewing = tokens.update().where(mine, tokens.c.revoked_at.is_(None)).values(**values)
    found = await rows.rows(renewing.returning(tokens.c.id))
    return found[0][0] if found else None


async def used(rows: Rows, token_id: int, at: int) -> None:
    """The token was used at this moment, if no later one is known."""
    earlier = (tokens.c.id == token_id) & (tokens.c.last_used_at < at)
    await rows.rows(tokens.update().where(earlier).values(last_used_at=at).returning(tokens.c.id))


# --- who asks ---------------------------------------------------------------------------------------------------


def _communities_of(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.ScalarSelect[str]:
    """Their ids in one text, by the index that begins with the person; null where there is none."""
    ids = sa.func.aggregate_strings(sa.cast(table.c.community_id, sa.Text), ",")
    return sa.select(ids).where(table.c.user_id == users.c.id, *where).correlate(users).scalar_subquery()


_STANDING = (
    users.c.id,
    users.c.role,
    users.c.locale,
    memberships.c.community_id,
    memberships.c.role,
    _communities_of(community_invitations, community_invitations.c.answer == "PENDING"),
    _communities_of(community_bans),
)
_CREDENTIAL = (tokens.c.id, tokens.c.kind, tokens.c.scopes, tokens.c.expires_at, tokens.c.last_used_at)
_MEMBERSHIPS = memberships.c.user_id == users.c.id
_active = users.c.deactivated_at.is_(None)


async def standing_of(rows: Rows, user_id: int) -> Sequence[Row]:
    """(id, role, locale, community, role there, invited to, banned from): one row per community that the person is in,
    one with nulls where there is none; the last two are texts of ids."""
    people = users.outerjoin(memberships, _MEMBERSHIPS)
    return await rows.rows(sa.select(*_STANDING).select_from(people).where(users.c.id == user_id, _active))


async def standing_by_secret(rows: Rows, secret_hash: bytes, now: int) -> Sequence[Row]:
    """(token, kind, scopes, its end, last used at), then the standing of whom the secret belongs to, while it opens."""
    owned = tokens.join(users, users.c.id == tokens.c.user_id).outerjoin(memberships, _MEMBERSHIPS)
    asked = sa.select(*_CREDENTIAL, *_STANDING).select_from(owned)
    return await rows.rows(asked.where(tokens.c.secret_hash == secret_hash, opens(now), _active))
