"""Comments in the database: rows in, rows out.  Knows SQL, decides nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from graph.access import Facts
from graph.comments.paths import ancestors_of
from graph.comments.rules import TreeRow
from graph.storage.rows import Rows, among
from graph.storage.tables import comments, posts, revisions

# Written out: a partial index does not serve a condition whose value is an argument.
IS_SHOWN = comments.c.shown == sa.literal_column("1")


async def facts_of(rows: Rows, comment_id: int) -> Facts | None:
    """The comment alone; who may see it depends on its post too."""
    found = await rows.rows(sa.select(*comments.columns).where(comments.c.id == comment_id))
    return dict(zip(comments.columns, found[0], strict=True)) if found else None


async def post_id_of(rows: Rows, comment_id: int) -> int | None:
    found = await rows.rows(sa.select(comments.c.post_id).where(comments.c.id == comment_id))
    return found[0][0] if found else None


async def next_number(rows: Rows, post_id: int, *, root: bool, at: int) -> int:
    """Count one published comment more in the post; gives its number there."""
    counted = (
        posts.update()
        .where(posts.c.id == post_id)
        .values(
            last_number=posts.c.last_number + 1,
            comment_count=posts.c.comment_count + 1,
            root_count=posts.c.root_count + int(root),
            last_activity_at=at,
        )
        .returning(posts.c.last_number)
    )
    [(number,)] = await rows.rows(counted)
    return int(number)


async def add(rows: Rows, values: Mapping[str, Any]) -> int:
    [(comment_id,)] = await rows.rows(comments.insert().values(**values).returning(comments.c.id))
    return int(comment_id)


async def count_below(rows: Rows, post_id: int, parent_path: str, *, descendants: int, replies: int) -> None:
    """Add so many shown rows to what stands below the parent and each of its ancestors."""
    above = [*ancestors_of(parent_path), parent_path]
    await rows.rows(
        comments.update()
        .where(comments.c.post_id == post_id, among(comments.c.path, above))
        .values(
            descendant_count=comments.c.descendant_count + descendants,
            reply_count=comments.c.reply_count + sa.case((comments.c.path == parent_path, replies), else_=0),
        )
        .returning(comments.c.id)
    )


async def change(rows: Rows, comment_id: int, **values: Any) -> None:
    await rows.rows(comments.update().where(comments.c.id == comment_id).values(**values).returning(comments.c.id))


async def ancestors(rows: Rows, post_id: int, path: str) -> list[TreeRow]:
    """Root first, without the comment itself."""
    statement = (
        sa.select(comments.c.id, comments.c.path, comments.c.status, comments.c.descendant_count)
        .where(comments.c.post_id == post_id, among(comments.c.path, ancestors_of(path)))
        .order_by(comments.c.path)
    )
    return [TreeRow(*row) for row in await rows.rows(statement)]


async def hide(rows: Rows, ids: Sequence[int], position: int) -> None:
    """They have no place in the tree after this position of the log."""
    await rows.rows(
        comments.update()
        .where(among(comments.c.id, ids))
        .values(shown=0, shown_until=position, reply_count=0, descendant_count=0)
        .returning(comments.c.id)
    )


async def uncount_in_post(rows: Rows, post_id: int, *, published: int, roots: int) -> None:
    await rows.rows(
        posts.update()
        .where(posts.c.id == post_id)
        .values(comment_count=posts.c.comment_count - published, root_count=posts.c.root_count - roots)
        .returning(posts.c.id)
    )


async def keep_revision(rows: Rows, **values: Any) -> None:
    await rows.rows(revisions.insert().values(**values).returning(revisions.c.id))


async def forget_revisions(rows: Rows, comment_id: int) -> None:
    await rows.rows(revisions.delete().where(revisions.c.comment_id == comment_id).returning(revisions.c.id))
