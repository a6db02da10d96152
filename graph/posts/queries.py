"""Finding posts."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Final

import sqlalchemy as sa
import strawberry

from graph import text
from graph.errors import request_error
from graph.execution.fields import Asking, Columns, batched
from graph.nodes import by_keys, key_or_error
from graph.pages import After, Before, First, Last, Order, Page, Slice, page
from graph.posts.types import Post, PostConnection
from graph.storage.rows import Row
from graph.storage.tables import posts


@strawberry.enum(description="Order of posts.  May grow.")
class FeedSort(Enum):
    NEWEST = strawberry.enum_value("NEWEST", description="The last published first.")
    ACTIVE = strawberry.enum_value("ACTIVE", description="The last published or answered first.")


ORDERS: Final = {
    FeedSort.NEWEST: Order("posts-newest", (posts.c.published_at, posts.c.id), descending=True),
    FeedSort.ACTIVE: Order("posts-active", (posts.c.last_activity_at, posts.c.id), descending=True),
}


async def load_post(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    id: Annotated[strawberry.ID | None, strawberry.argument(description="Its global id.")] = strawberry.UNSET,
    slug: Annotated[str | None, strawberry.argument(description="As in its address.")] = strawberry.UNSET,
) -> list[Row | None]:
    if (id is None) == (slug is None):
        raise request_error("Give `id` or `slug`, one of them.", "VALIDATION")
    if id is not None:
        key = key_or_error(id, "Post")
        found = (await by_keys(asking, wanted, [key])).get(key)
    else:
        statement = sa.select(*wanted.list).where(
            posts.c.slug == text.clean(slug or ""), Post.see.where(asking.audience)
        )
        found = next(map(tuple, await asking.rows.rows(statement)), None)
    return [found for _ in owners]


async def load_posts(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    sort: Annotated[FeedSort, strawberry.argument(description="Their order.")] = FeedSort.NEWEST,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Served by the indexes on (state, published_at, id) and (state, last_activity_at, id)."""
    asked = Slice.of(first, after, last, before)
    found = await page(asking, wanted, ORDERS[sort], asked, [posts.c.state == "PUBLISHED"])
    return [found for _ in owners]


@strawberry.type
class PostQueries:
    post: Post | None = batched(
        load=load_post,
        entity=lambda: Post,
        description="One post; null where there is none or the viewer may not see it.",
    )
    posts: PostConnection = batched(
        load=load_posts, entity=lambda: Post, description="What is published, as far as the viewer may read it."
    )
