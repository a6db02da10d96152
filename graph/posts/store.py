"""Posts in the database: rows in, rows out.  Knows SQL, decides nothing."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from graph.access import Facts
from graph.storage.rows import Rows
from graph.storage.tables import communities, posts, revisions

_FACTS = [*posts.columns, *communities.columns]


async def facts_of(rows: Rows, post_id: int, *, lock: bool = False) -> Facts | None:
    """The post with its community.  `lock` keeps everybody else from changing the discussion until the commit."""
    statement = (
        sa.select(*_FACTS)
        .select_from(posts.outerjoin(communities, communities.c.id == posts.c.community_id))
        .where(posts.c.id == post_id)
    )
    if lock:
        statement = statement.with_for_update(of=posts)
    found = await rows.rows(statement)
    return dict(zip(_FACTS, found[0], strict=True)) if found else None


async def community_facts(rows: Rows, community_id: int) -> Facts | None:
    found = await rows.rows(sa.select(*communities.columns).where(communities.c.id == community_id))
    return dict(zip(communities.columns, found[0], strict=True)) if found else None


async def slugs_like(rows: Rows, slug: str) -> set[str]:
    """This slug and its numbered forms, as far as they are taken."""
    numbered = (posts.c.slug >= f"{slug}-") & (posts.c.slug < f"{slug}-:")  # ":" sorts after the digits
    return {slug for (slug,) in await rows.rows(sa.select(posts.c.slug).where((posts.c.slug == slug) | numbered))}


async def add(rows: Rows, values: Mapping[str, Any]) -> int | None:
    """The new post's id; None when its slug was taken in between."""
    insert: Any
    if rows.engine == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert
    found = await rows.rows(
        insert(posts).values(**values).on_conflict_do_nothing(index_elements=[posts.c.slug]).returning(posts.c.id)
    )
    return found[0][0] if found else None


async def change(rows: Rows, post_id: int, **values: Any) -> None:
    await rows.rows(posts.update().where(posts.c.id == post_id).values(**values).returning(posts.c.id))


async def count_in_community(rows: Rows, community_id: int | None, published: int) -> None:
    """So many published posts more."""
    if community_id is None:
        return
    counting = communities.update().where(communities.c.id == community_id)
    counted = counting.values(post_count=communities.c.post_count + published)
    await rows.rows(counted.returning(communities.c.id))


async def keep_revision(rows: Rows, **values: Any) -> None:
    await rows.rows(revisions.insert().values(**values).returning(revisions.c.id))


async def forget_revisions(rows: Rows, post_id: int) -> None:
    await rows.rows(revisions.delete().where(revisions.c.post_id == post_id).returning(revisions.c.id))
