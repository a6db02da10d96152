"""The outbox and the codes in the database: rows in, rows out.  Knows SQL, decides nothing."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from graph.mail.rules import CHANGE, Person
from graph.storage.rows import Row, Rows
from graph.storage.tables import codes, mails, sign_ups, users


async def add_mail(rows: Rows, **values: Any) -> int:
    [(mail_id,)] = await rows.rows(mails.insert().values(**values).returning(mails.c.id))
    return int(mail_id)


async def count_since(
    rows: Rows, kind: str, since: int, *, address_key: str | None = None, user_id: int | None = None
) -> int:
    """Letters of this kind asked for since then, to this address or about this account."""
    mine = mails.c.address_key == address_key if user_id is None else mails.c.user_id == user_id
    counting = sa.select(sa.func.count()).where(mine, mails.c.kind == kind, mails.c.created_at > since)
    [(count,)] = await rows.rows(counting)
    return int(count)


async def is_due(rows: Rows, now: int) -> bool:
    """Whether there is anything to take: asked often, by the index of what is due, and nothing is written."""
    return bool(await rows.rows(sa.select(mails.c.id).where(mails.c.due_at <= now).limit(1)))


async def lease(rows: Rows, now: int, until: int) -> Row | None:
    """(id, kind, user, address, address key, detail, created, tries) of what was due longest; None: nothing is due.

    It is due again at `until`, unless it is done before.  Two workers get two, or one of them none.
    """
    due = sa.select(mails.c.id).where(mails.c.due_at <= now).order_by(mails.c.due_at, mails.c.id).limit(1)
    taking = (
        mails.update()
        .where(mails.c.id == due.with_for_update(skip_locked=True).scalar_subquery())
        .values(due_at=until, tries=mails.c.tries + 1)
    )
    wanted = (mails.c.id, mails.c.kind, mails.c.user_id, mails.c.address, mails.c.address_key)
    found = await rows.rows(taking.returning(*wanted, mails.c.detail, mails.c.created_at, mails.c.tries))
    return found[0] if found else None


async def settle(rows: Rows, mail_id: int, tries: int, *, state: str, due_at: int | None) -> bool:
    """False when the lease had ended, and another try has begun."""
    mine = (mails.c.id == mail_id) & (mails.c.tries == tries) & mails.c.due_at.is_not(None)
    settling = mails.update().where(mine).values(state=state, due_at=due_at)
    return bool(await rows.rows(settling.returning(mails.c.id)))


# --- whom a letter is for ---------------------------------------------------------------------------------------

_PERSON = (users.c.id, users.c.handle, users.c.locale, users.c.email, users.c.email_key, users.c.email_confirmed_at)
_STANDING = (users.c.deactivated_at, users.c.returns_until)


async def person(rows: Rows, user_id: int | None) -> Person | None:
    return await _person(rows, users.c.id == user_id)


async def person_at(rows: Rows, address_key: str) -> Person | None:
    """Whose address it is."""
    return await _person(rows, users.c.email_key == address_key)


async def _person(rows: Rows, which: sa.ColumnElement[bool]) -> Person | None:
    found = await rows.rows(sa.select(*_PERSON, *_STANDING).where(which))
    return Person(*found[0]) if found else None


# --- codes ------------------------------------------------------------------------------------------------------


async def add_code(rows: Rows, **values: Any) -> None:
    await rows.rows(codes.insert().values(**values).returning(codes.c.id))


async def owner_of(rows: Rows, secret_hash: bytes, kind: str) -> Row | None:
    """(handle, address) of whom this code is about, whether it is still good or not."""
    mine = (codes.c.secret_hash == secret_hash) & (codes.c.kind == kind)
    owned = codes.join(users, users.c.id == codes.c.user_id)
    found = await rows.rows(sa.select(users.c.handle, users.c.email).select_from(owned).where(mine))
    return found[0] if found else None


async def use_code(rows: Rows, secret_hash: bytes, kinds: Sequence[str], now: int) -> Row | None:
    """(user, kind, address); None: there is no such code, or it was used, or its time is over."""
    good = codes.c.used_at.is_(None) & (codes.c.expires_at > now)
    mine = (codes.c.secret_hash == secret_hash) & codes.c.kind.in_(kinds)
    using = codes.update().where(mine, good).values(used_at=now)
    found = await rows.rows(using.returning(codes.c.user_id, codes.c.kind, codes.c.address))
    return found[0] if found else None


async def end_codes(rows: Rows, user_id: int, now: int) -> None:
    """None of the person's codes opens anything any more, nor does a letter that waits bring one to another address."""
    # The letter first: while one is leased, its row is locked until its code can be seen.
    waiting = (mails.c.user_id == user_id) & (mails.c.kind == CHANGE) & mails.c.due_at.is_not(None)
    await rows.rows(mails.update().where(waiting).values(state="DROPPED", due_at=None).returning(mails.c.id))
    mine = (codes.c.user_id == user_id) & codes.c.used_at.is_(None)
    await rows.rows(codes.update().where(mine).values(used_at=now).returning(codes.c.id))


# --- accounts asked for -----------------------------------------------------------------------------------------


async def add_sign_up(rows: Rows, **values: Any) -> int:
    [(sign_up_id,)] = await rows.rows(sign_ups.insert().values(**values).returning(sign_ups.c.id))
    return int(sign_up_id)


async def give_sign_up_code(rows: Rows, sign_up_id: int, secret_hash: bytes, now: int) -> Row | None:
    """(handle, locale) of the account that was asked for; from now on this code makes it, and no earlier one."""
    lasting = (sign_ups.c.id == sign_up_id) & (sign_ups.c.expires_at > now)
    giving = sign_ups.update().where(lasting).values(secret_hash=secret_hash)
    found = await rows.rows(giving.returning(sign_ups.c.handle, sign_ups.c.locale))
    return found[0] if found else None


async def take_sign_up(rows: Rows, secret_hash: bytes, now: int) -> Row | None:
    """(handle, address, password hash, locale); whatever else was asked for with this address is taken with it."""
    lasting = (sign_ups.c.secret_hash == secret_hash) & (sign_ups.c.expires_at > now)
    wanted = (sign_ups.c.handle, sign_ups.c.email, sign_ups.c.password_hash, sign_ups.c.locale)
    found = await rows.rows(sa.select(*wanted, sign_ups.c.email_key).where(lasting).with_for_update())
    if not found:
        return None
    *taken, email_key = found[0]
    await rows.rows(sign_ups.delete().where(sign_ups.c.email_key == email_key).returning(sign_ups.c.id))
    return tuple(taken)


# --- keeping ----------------------------------------------------------------------------------------------------


async def forget_done(rows: Rows, before: int) -> None:
    """Letters that were done with, and codes and sign-ups that nobody can use, since before then."""
    done = mails.c.due_at.is_(None) & (mails.c.created_at < before)
    await rows.rows(mails.delete().where(done).returning(mails.c.id))
    for table in (codes, sign_ups):
        await rows.rows(table.delete().where(table.c.expires_at < before).returning(table.c.id))
