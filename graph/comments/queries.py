"""Finding comments."""

from collections.abc import Sequence
from typing import Annotated

import strawberry

from graph.comments.types import Comment
from graph.execution.fields import Asking, Columns, batched
from graph.nodes import by_keys, key_or_error
from graph.storage.rows import Row


async def load_comment(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    id: Annotated[strawberry.ID, strawberry.argument(description="Its global id.")],
) -> list[Row | None]:
    key = key_or_error(id, "Comment")
    found = (await by_keys(asking, wanted, [key])).get(key)
    return [found for _ in owners]


@strawberry.type
class CommentQueries:
    comment: Comment | None = batched(
        load=load_comment,
        entity=lambda: Comment,
        description="One comment; null where there is none or the viewer may not see it.",
    )
