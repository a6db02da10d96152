"""Communities, memberships and bans in the database: rows in, rows out.  Knows SQL, decides nothing."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from graph.access import Facts
from graph.communities.rules import RANKS
from graph.storage.rows import Rows
from graph.storage.tables import communities, community_bans, community_slugs, memberships, users


async def facts_of(rows: Rows, community_id: int, *, lock: bool = False) -> Facts | None:
    """`lock` keeps everybody else from changing it and who belongs to it until the commit."""
    statement = sa.select(*communities.columns).where(communities.c.id == community_id)
    # Posts and comments refer to the row: they need not wait for this.
    found = await rows.rows(statement.with_for_update(key_share=True) if lock else statement)
    return dict(zip(communities.columns, found[0], strict=True)) if found else None


async def add(rows: Rows, *, slug: str, created_at: int, **values: Any) -> int | None:
    """The new community's id; None when the slug belongs to another one, or did."""
    adding = insert(rows, communities).values(slug=slug, created_at=created_at, **values).on_conflict_do_nothing()
    found = await rows.rows(adding.returning(communities.c.id))
    if not found or not await claim_slug(rows, found[0][0], slug, created_at):
        return None
    return int(found[0][0])


async def claim_slug(rows: Rows, community_id: int, slug: str, at: int) -> bool:
    """The slug leads to this community from now on; False when it leads to another."""
    values = {"slug": slug, "community_id": community_id, "created_at": at}
    await rows.rows(insert(rows, community_slugs).values(**values).on_conflict_do_nothing())
    mine = (community_slugs.c.slug == slug) & (community_slugs.c.community_id == community_id)
    return bool(await rows.rows(sa.select(community_slugs.c.slug).where(mine)))


async def change(rows: Rows, community_id: int, **values: Any) -> None:
    mine = communities.c.id == community_id
    await rows.rows(communities.update().where(mine).values(**values).returning(communities.c.id))


# --- who belongs to it ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    id: int  # of the membership
    role: str


async def membership(rows: Rows, community_id: int, user_id: int) -> Member | None:
    found = await rows.rows(sa.select(memberships.c.id, memberships.c.role).where(_of(community_id, user_id)))
    return Member(*found[0]) if found else None


async def admins_of(rows: Rows, community_id: int) -> int:
    mine = (memberships.c.community_id == community_id) & (memberships.c.rank == RANKS["ADMIN"])
    [(admins,)] = await rows.rows(sa.select(sa.func.count()).select_from(memberships).where(mine))
    return int(admins)


async def add_member(rows: Rows, community_id: int, user_id: int, role: str, at: int) -> int:
    """The new membership's id, of somebody who is no member."""
    values = {"community_id": community_id, "user_id": user_id, "role": role, "rank": RANKS[role], "created_at": at}
    [(membership_id,)] = await rows.rows(memberships.insert().values(**values).returning(memberships.c.id))
    await _count_members(rows, community_id, 1)
    return int(membership_id)


async def change_role(rows: Rows, membership_id: int, role: str) -> None:
    changing = memberships.update().where(memberships.c.id == membership_id)
    await rows.rows(changing.values(role=role, rank=RANKS[role]).returning(memberships.c.id))


async def remove_member(rows: Rows, community_id: int, user_id: int) -> None:
    """Of somebody who is a member."""
    await rows.rows(memberships.delete().where(_of(community_id, user_id)).returning(memberships.c.id))
    await _count_members(rows, community_id, -1)


async def _count_members(rows: Rows, community_id: int, more: int) -> None:
    await change(rows, community_id, member_count=communities.c.member_count + more)


def _of(community_id: int, user_id: int) -> sa.ColumnElement[bool]:
    return sa.and_(memberships.c.community_id == community_id, memberships.c.user_id == user_id)


# --- who may not ------------------------------------------------------------------------------------------------------


async def site_role(rows: Rows, user_id: int) -> str | None:
    """On the whole site; None where there is no such person."""
    found = await rows.rows(sa.select(users.c.role).where(users.c.id == user_id))
    return found[0][0] if found else None


async def ban(rows: Rows, community_id: int, user_id: int) -> int | None:
    """The ban's id; None where the person is not banned."""
    mine = (community_bans.c.community_id == community_id) & (community_bans.c.user_id == user_id)
    found = await rows.rows(sa.select(community_bans.c.id).where(mine))
    return found[0][0] if found else None


async def add_ban(rows: Rows, **values: Any) -> int:
    [(ban_id,)] = await rows.rows(community_bans.insert().values(**values).returning(community_bans.c.id))
    return int(ban_id)


async def lift_ban(rows: Rows, ban_id: int) -> None:
    await rows.rows(community_bans.delete().where(community_bans.c.id == ban_id).returning(community_bans.c.id))


def insert(rows: Rows, table: sa.Table) -> Any:
    return sqlite.insert(table) if rows.engine == "sqlite" else postgresql.insert(table)
