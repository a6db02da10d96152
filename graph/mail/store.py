"""The outbox and the codes in the database: rows in, rows out.  Knows SQL, decides nothing."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from graph.storage.rows import Row, Rows
from graph.storage.tables import codes, mails, users


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


_PERSON = (users.c.id, users.c.handle, users.c.locale, users.c.email)


async def person(rows: Rows, user_id: int) -> Row | None:
    """(id, handle, locale, address)"""
    found = await rows.rows(sa.select(*_PERSON).where(users.c.id == user_id))
    return found[0] if found else None


async def person_at(rows: Rows, address_key: str) -> Row | None:
    """The same of whose address it is."""
    found = await rows.rows(sa.select(*_PERSON).where(users.c.email_key == address_key))
    return found[0] if found else None


async def add_code(rows: Rows, **values: Any) -> None:
    await rows.rows(codes.insert().values(**values).returning(codes.c.id))


async def forget_done(rows: Rows, before: int) -> None:
    """Letters that were done with, and codes that nobody can use, since before then."""
    done = mails.c.due_at.is_(None) & (mails.c.created_at < before)
    await rows.rows(mails.delete().where(done).returning(mails.c.id))
    await rows.rows(codes.delete().where(codes.c.expires_at < before).returning(codes.c.id))


async def states(rows: Rows) -> Sequence[Row]:
    """(state, how many letters)"""
    return await rows.rows(sa.select(mails.c.state, sa.func.count()).group_by(mails.c.state).order_by(mails.c.state))
