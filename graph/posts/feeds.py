"""Feeds: what is published on the whole site or in one community, page by page, each page by an index.

A place in a feed is a moment and a post.  Under ACTIVE a post that is answered moves to the front: whoever pages on
from a place misses nothing that has stayed beyond it, and never meets there what has moved in front of it.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Final, TypeAlias

import sqlalchemy as sa
import strawberry

from graph import access
from graph.execution.fields import Asking, Columns
from graph.nodes import key_or_error
from graph.pages import After, Before, First, Last, Order, Page, Slice, empty_page, page, page_per_owner
from graph.storage.rows import Row
from graph.storage.tables import communities, posts


@strawberry.enum(description="Order of posts.  May grow.")
class FeedSort(Enum):
    NEWEST = strawberry.enum_value("NEWEST", description="The last published first.")
    ACTIVE = strawberry.enum_value(
        "ACTIVE",
        description="The last published or answered first.  What is answered while one pages moves to the front: ask "
        "for the first page again to see it there.  Everything else is met once.",
    )


Sort: TypeAlias = Annotated[FeedSort, strawberry.argument(description="Their order.")]

# Each column list ends an index that begins with (state) and one that begins with (community_id, state).
ORDERS: Final = {
    FeedSort.NEWEST: Order("posts-newest", (posts.c.published_at, posts.c.id), descending=True),
    FeedSort.ACTIVE: Order("posts-active", (posts.c.last_activity_at, posts.c.id), descending=True),
}
PUBLISHED: Final = posts.c.state == "PUBLISHED"


async def load_site_feed(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    sort: Sort = FeedSort.NEWEST,
    community_id: Annotated[
        strawberry.ID | None, strawberry.argument(description="Only those of this community.")
    ] = strawberry.UNSET,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    asked, where = Slice.of(first, after, last, before), [PUBLISHED]
    if community_id is not None:
        key = key_or_error(community_id, "Community")
        if not await _may_read(asking, key):
            return [empty_page() for _ in owners]
        where.append(posts.c.community_id == key)
    found = await page(asking, wanted, ORDERS[sort], asked, where)
    return [found for _ in owners]


async def _may_read(asking: Asking, community_id: int) -> bool:
    """Asked before its posts are: to pass over each of 100,000 took 31 to 105 ms, which told that they are there."""
    mine = (communities.c.id == community_id) & access.READ_COMMUNITY.where(asking.audience)
    return bool(await asking.rows.rows(sa.select(communities.c.id).where(mine)))


async def load_community_feed(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    sort: Sort = FeedSort.NEWEST,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (community id, visibility)."""
    asked = Slice.of(first, after, last, before)
    where = [PUBLISHED, wanted.entity.see.where(asking.audience)]
    facts = [{communities.c.id: key, communities.c.visibility: visibility} for key, visibility in owners]
    places = [each[communities.c.id] for each in facts if access.READ_COMMUNITY.holds(asking.audience, each)]
    found = await page_per_owner(asking, wanted, ORDERS[sort], asked, posts.c.community_id, places, where)
    by_place = dict(zip(places, found, strict=True))
    return [by_place.get(key) or empty_page() for key, _ in owners]
