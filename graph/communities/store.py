"""Communities and memberships in the database: rows in, rows out.  Knows SQL, decides nothing."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from graph.access import Facts
from graph.storage.rows import Rows
from graph.storage.tables import communities, memberships


async def facts_of(rows: Rows, community_id: int) -> Facts | None:
    found = await rows.rows(sa.select(*communities.columns).where(communities.c.id == community_id))
    return dict(zip(communities.columns, found[0], strict=True)) if found else None


async def add(rows: Rows, **values: Any) -> int | None:
    """The new community's id; None when the slug belongs to another one."""
    adding = _insert(rows, communities).values(**values).on_conflict_do_nothing()
    found = await rows.rows(adding.returning(communities.c.id))
    return found[0][0] if found else None


async def membership(rows: Rows, community_id: int, user_id: int, *, lock: bool = False) -> tuple[int, str] | None:
    """The membership's id and the role."""
    statement = sa.select(memberships.c.id, memberships.c.role).where(_of(community_id, user_id))
    found = await rows.rows(statement.with_for_update() if lock else statement)
    return (found[0][0], found[0][1]) if found else None


async def add_member(rows: Rows, community_id: int, user_id: int, role: str, at: int) -> int | None:
    """The new membership's id; None for somebody who is a member already, whatever the role."""
    values = {"community_id": community_id, "user_id": user_id, "role": role, "created_at": at}
    adding = _insert(rows, memberships).values(**values).on_conflict_do_nothing()
    found = await rows.rows(adding.returning(memberships.c.id))
    return found[0][0] if found else None


async def change_role(rows: Rows, membership_id: int, role: str) -> None:
    mine = memberships.c.id == membership_id
    await rows.rows(memberships.update().where(mine).values(role=role).returning(memberships.c.id))


async def remove_member(rows: Rows, community_id: int, user_id: int) -> bool:
    """False for somebody who is no member."""
    removing = memberships.delete().where(_of(community_id, user_id)).returning(memberships.c.id)
    return bool(await rows.rows(removing))


def _of(community_id: int, user_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(memberships.c.community_id == community_id, memberships.c.user_id == user_id)


def _insert(rows: Rows, table: sa.Table) -> Any:
    return sqlite.insert(table) if rows.engine == "sqlite" else postgresql.insert(table)
