"""Invitations and requests in the database: rows in, rows out.  Knows SQL, decides nothing."""

from typing import Any

import sqlalchemy as sa

from graph.access import Facts
from graph.admission.rules import Link
from graph.storage.rows import Rows
from graph.storage.tables import community_invitations as invitations
from graph.storage.tables import community_requests as requests

# Written out: a partial index does not serve a condition whose value is an argument.
INVITED = invitations.c.answer == sa.literal_column("'PENDING'")
ASKED = requests.c.answer == sa.literal_column("'PENDING'")


async def invitation(rows: Rows, *, key: int | None = None, code_hash: bytes | None = None) -> Facts | None:
    """By one of the two."""
    mine = invitations.c.id == key if code_hash is None else invitations.c.code_hash == code_hash
    found = await rows.rows(sa.select(*invitations.columns).where(mine))
    return dict(zip(invitations.columns, found[0], strict=True)) if found else None


def link_of(facts: Facts) -> Link:
    columns = (invitations.c.answer, invitations.c.uses, invitations.c.uses_limit, invitations.c.expires_at)
    return Link(*(facts[column] for column in columns))


async def invitation_of(rows: Rows, community_id: int, user_id: int) -> int | None:
    """The id of the one that waits for the person's answer."""
    found = await rows.rows(sa.select(invitations.c.id).where(_invited(community_id, user_id)))
    return found[0][0] if found else None


async def add_invitation(rows: Rows, **values: Any) -> int:
    [(key,)] = await rows.rows(invitations.insert().values(**values).returning(invitations.c.id))
    return int(key)


async def answer_invitation(rows: Rows, community_id: int, user_id: int, answer: str) -> None:
    """The one that waits for the person's answer, if any."""
    answering = invitations.update().where(_invited(community_id, user_id)).values(answer=answer)
    await rows.rows(answering.returning(invitations.c.id))


async def withdraw_invitation(rows: Rows, key: int) -> None:
    withdrawing = invitations.update().where(invitations.c.id == key).values(answer="WITHDRAWN")
    await rows.rows(withdrawing.returning(invitations.c.id))


async def withdraw_links_of(rows: Rows, community_id: int, inviter_id: int) -> None:
    """All links into the community that this person made."""
    theirs = (invitations.c.inviter_id == inviter_id) & invitations.c.user_id.is_(None)
    mine = invitations.update().where(invitations.c.community_id == community_id, INVITED, theirs)
    await rows.rows(mine.values(answer="WITHDRAWN").returning(invitations.c.id))


async def use_link(rows: Rows, key: int) -> None:
    using = invitations.update().where(invitations.c.id == key).values(uses=invitations.c.uses + 1)
    await rows.rows(using.returning(invitations.c.id))


async def is_link(rows: Rows, key: int, code_hash: bytes) -> bool:
    """Whether this invitation is the one that this code opens."""
    mine = (invitations.c.id == key) & (invitations.c.code_hash == code_hash)
    return bool(await rows.rows(sa.select(invitations.c.id).where(mine)))


async def request(rows: Rows, key: int) -> Facts | None:
    found = await rows.rows(sa.select(*requests.columns).where(requests.c.id == key))
    return dict(zip(requests.columns, found[0], strict=True)) if found else None


async def request_of(rows: Rows, community_id: int, user_id: int) -> int | None:
    """The id of the one that waits for an answer."""
    found = await rows.rows(sa.select(requests.c.id).where(_asked(community_id, user_id)))
    return found[0][0] if found else None


async def add_request(rows: Rows, **values: Any) -> int:
    [(key,)] = await rows.rows(requests.insert().values(**values).returning(requests.c.id))
    return int(key)


async def answer_request(rows: Rows, community_id: int, user_id: int, answer: str, at: int) -> None:
    """The one that waits for an answer, if any."""
    answering = requests.update().where(_asked(community_id, user_id)).values(answer=answer, answered_at=at)
    await rows.rows(answering.returning(requests.c.id))


def _invited(community_id: int, user_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(invitations.c.community_id == community_id, invitations.c.user_id == user_id, INVITED)


def _asked(community_id: int, user_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(requests.c.community_id == community_id, requests.c.user_id == user_id, ASKED)
