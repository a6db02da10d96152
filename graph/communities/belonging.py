"""Lists of who belongs to which community, read in batches."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
import strawberry

from graph import access
from graph.execution.fields import Asking, Columns
from graph.pages import After, Before, First, Last, Order, Page, Slice, empty_page, page_per_owner
from graph.storage.rows import Row, among
from graph.storage.tables import communities, community_bans, memberships

# By the indexes that begin with (user_id) and (community_id).
LAST_JOINED: Final = Order("memberships", (memberships.c.created_at, memberships.c.id), descending=True)
LAST_BANNED: Final = Order("bans", (community_bans.c.created_at, community_bans.c.id), descending=True)


async def load_bans(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (community id,)."""
    asked = Slice.of(first, after, last, before)
    managed = managed_by(asking, [key for (key,) in owners])
    found = await pages_by_key(asking, wanted, LAST_BANNED, asked, community_bans.c.community_id, managed, [])
    return [found.get(key) or empty_page() for (key,) in owners]


async def load_memberships(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (person's id,)."""
    asked = Slice.of(first, after, last, before)
    where = [wanted.entity.see.where(asking.audience)]
    people = [person for (person,) in owners]
    return await page_per_owner(asking, wanted, LAST_JOINED, asked, memberships.c.user_id, people, where)


async def load_viewer_memberships(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[Row | None]:
    """Owners are (community id,)."""
    viewer_id = asking.audience.viewer_id
    if viewer_id is None:
        return [None for _ in owners]
    place = wanted.index(memberships.c.community_id)
    mine = _mine(viewer_id, [key for (key,) in owners])
    found = {row[place]: tuple(row) for row in await asking.rows.rows(sa.select(*wanted.list).where(mine))}
    return [found.get(key) for (key,) in owners]


async def roles(asking: Asking, keys: Sequence[int]) -> dict[int, str]:
    """The viewer's role in each of these communities in which they have one."""
    viewer_id = asking.audience.viewer_id
    if viewer_id is None:
        return {}
    mine = sa.select(memberships.c.community_id, memberships.c.role).where(_mine(viewer_id, keys))
    return dict(await asking.rows.rows(mine))


def managed_by(asking: Asking, keys: Sequence[int]) -> list[int]:
    """Those of these communities on whose members the audience decides."""
    return [key for key in keys if access.MANAGE_COMMUNITY.holds(asking.audience, {communities.c.id: key})]


async def pages_by_key(
    asking: Asking,
    wanted: Columns,
    order: Order,
    asked: Slice,
    owner: sa.Column[Any],
    keys: Sequence[int],
    where: Sequence[sa.ColumnElement[bool]],
) -> dict[int, Page]:
    """A page for each of these owners."""
    found = await page_per_owner(asking, wanted, order, asked, owner, keys, where)
    return dict(zip(keys, found, strict=True))


def _mine(viewer_id: int, keys: Sequence[int]) -> sa.ColumnElement[bool]:
    return (memberships.c.user_id == viewer_id) & among(memberships.c.community_id, keys)
