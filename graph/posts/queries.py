"""Finding posts."""

from collections.abc import Sequence
from typing import Annotated

import sqlalchemy as sa
import strawberry

from graph import text
from graph.errors import request_error
from graph.execution.fields import Asking, Columns, batched
from graph.nodes import by_keys, key_or_error
from graph.posts.feeds import load_site_feed
from graph.posts.types import Post, PostConnection
from graph.storage.rows import Row
from graph.storage.tables import posts


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


@strawberry.type
class PostQueries:
    post: Post | None = batched(
        load=load_post,
        entity=lambda: Post,
        description="One post; null where there is none or the viewer may not see it.",
    )
    posts: PostConnection = batched(
        load=load_site_feed,
        entity=lambda: Post,
        description="What is published on the whole site, in communities too, as far as the viewer may read it.",
    )
