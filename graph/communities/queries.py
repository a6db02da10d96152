"""What a client may ask about communities."""

from collections.abc import Sequence
from typing import Annotated

import sqlalchemy as sa
import strawberry

from graph import text
from graph.communities.types import Community, CommunityConnection
from graph.errors import request_error
from graph.execution.fields import Asking, Columns, batched
from graph.nodes import by_keys, key_or_error
from graph.pages import After, Before, First, Last, Order, Page, Slice, page
from graph.storage.rows import Row
from graph.storage.tables import communities, community_slugs

BY_SLUG = Order("communities", (communities.c.slug,))


async def load_community(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    id: Annotated[strawberry.ID | None, strawberry.argument(description="Its global id.")] = strawberry.UNSET,
    slug: Annotated[
        str | None, strawberry.argument(description="As in its address; a former one leads there too.")
    ] = strawberry.UNSET,
) -> list[Row | None]:
    if (id is None) == (slug is None):
        raise request_error("Give either `id` or `slug`.", "VALIDATION")
    if id is not None:
        key = key_or_error(id, "Community")
        found = (await by_keys(asking, wanted, [key])).get(key)
    else:
        # Cleaned, because not every text that JSON can hold can be compared by a database.
        given = text.clean(slug or "")
        led = sa.select(community_slugs.c.community_id).where(community_slugs.c.slug == given)
        mine = communities.c.id == led.scalar_subquery()
        statement = sa.select(*wanted.list).where(mine, Community.see.where(asking.audience))
        found = next(iter(await asking.rows.rows(statement)), None)
    return [found for _ in owners]


async def load_communities(
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
    """Served by the unique index on the slug."""
    found = await page(asking, wanted, BY_SLUG, Slice.of(first, after, last, before), [])
    return [found for _ in owners]


@strawberry.type
class CommunityQueries:
    community: Community | None = batched(
        load=load_community,
        entity=lambda: Community,
        description="One community; null where there is none or the viewer may not know of it.",
    )
    communities: CommunityConnection = batched(
        load=load_communities,
        entity=lambda: Community,
        description="The communities that the viewer may know of, by slug.",
    )
