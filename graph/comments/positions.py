"""Where a comment goes among rows that a client has already: what a live reply needs besides itself."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
import strawberry

from graph import ids
from graph.comments.discussion import CommentSort, SortArgument
from graph.comments.paths import ancestors_of
from graph.comments.store import IS_SHOWN
from graph.execution.fields import Asking, Columns
from graph.storage.rows import Row, among
from graph.storage.tables import comments


@strawberry.type(
    description="Where a comment goes.  One rule for OLDEST and NEWEST.  Deeper than the shape: as in 3.  "
    "(1) `previousSiblingId` is null: directly after the parent's row; a root: first.  (2) It is loaded: after the "
    "last loaded row of its branch; if that is the end of the page and there is a next page, do nothing, the next "
    "page brings it.  (3) Else add 1 to `more.count` of the nearest loaded one of `ancestorIds` (making a gap with a "
    "null cursor if it has none); with none loaded, to “n new comments”.  Pages that bring a row already inserted: "
    "keep one by id."
)
class ThreadPosition:
    ancestor_ids: list[strawberry.ID] = strawberry.field(description="From the root down to the parent.")
    depth: int = strawberry.field(description="Levels above it; roots are 0.")
    previous_sibling_id: strawberry.ID | None = strawberry.field(
        description="The reply of the same parent that stands directly before it in this sort."
    )
    is_stable: bool = strawberry.field(description="False for sorts that move: show “n new” rather than insert.")


async def load_positions(
    asking: Asking, owners: Sequence[Row], wanted: Columns, /, *, sort: SortArgument = CommentSort.OLDEST
) -> list[ThreadPosition | None]:
    """Owners are (comment id, position in the log at which it stands there, or None for as it was added).

    Only what was shown by that position counts as a sibling: what came later is not yet in front of the reader.
    What has left the tree since is no sibling either, as frames show rows as they are now.
    """
    keys = sorted({key for key, _ in owners if key is not None})
    columns = (comments.c.id, comments.c.post_id, comments.c.parent_id, comments.c.number, comments.c.path)
    statement = sa.select(*columns, comments.c.shown_from).where(among(comments.c.id, keys))
    found = {row[0]: row for row in await asking.rows.rows(statement)}
    return [await _position(asking, found[key], position, sort) if key in found else None for key, position in owners]


async def _position(asking: Asking, comment: Row, position: int | None, sort: CommentSort) -> ThreadPosition:
    _, post_id, parent_id, number, path, shown_from = comment
    sibling = await _sibling_before(asking, post_id, parent_id, number, position or shown_from, sort)
    above = await _ids_at(asking, post_id, ancestors_of(path))
    return ThreadPosition(
        ancestor_ids=[strawberry.ID(ids.global_id("Comment", key)) for key in above],
        depth=len(above),
        previous_sibling_id=None if sibling is None else strawberry.ID(ids.global_id("Comment", sibling)),
        is_stable=True,
    )


async def _sibling_before(
    asking: Asking, post_id: int, parent_id: int | None, number: int, position: int | None, sort: CommentSort
) -> int | None:
    """Served by the index on (post_id, parent_id, number)."""
    row = comments.c
    parent = row.parent_id.is_(None) if parent_id is None else row.parent_id == parent_id
    conditions: list[Any] = [row.post_id == post_id, parent, IS_SHOWN]
    if position is not None:
        conditions.append(sa.or_(row.shown_from.is_(None), row.shown_from < position))
    oldest = sort is CommentSort.OLDEST
    conditions.append(row.number < number if oldest else row.number > number)
    nearest = sa.select(row.id).where(*conditions).order_by(row.number.desc() if oldest else row.number.asc()).limit(1)
    found = await asking.rows.rows(nearest)
    return found[0][0] if found else None


async def _ids_at(asking: Asking, post_id: int, paths: Sequence[str]) -> list[int]:
    if not paths:
        return []
    statement = (
        sa.select(comments.c.id)
        .where(comments.c.post_id == post_id, among(comments.c.path, paths))
        .order_by(comments.c.path)
    )
    return [key for (key,) in await asking.rows.rows(statement)]
