"""Imports in the database: many rows at a time, in and out.  Knows SQL, decides nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import sqlalchemy as sa

from graph.comments.paths import ancestors_of, numbers_in
from graph.exchange.rules import Here
from graph.storage.rows import Row, Rows, among
from graph.storage.tables import comments, origins, posts, users

Values = Mapping[str, Any]


def given(engine: str, columns: Sequence[sa.Column[Any]], rows: Sequence[Values]) -> sa.FromClause:
    """Rows as a table of these columns, all in one argument: one statement text however many they are."""
    types: list[sa.types.TypeEngine[Any]] = [
        sa.Text() if isinstance(column.type, sa.Text) else sa.BigInteger() for column in columns
    ]
    argument = sa.bindparam(None, orjson.dumps([dict(row) for row in rows]).decode(), sa.Text(), unique=True)
    if engine == "postgresql":
        listed = [sa.column(column.name, kind) for column, kind in zip(columns, types, strict=True)]
        records = sa.func.json_to_recordset(sa.cast(argument, sa.JSON))
        return records.table_valued(*listed, name="given").render_derived(with_types=True)
    each = sa.func.json_each(argument).table_valued(sa.column("value", sa.Text()), name="each")
    parts = [
        sa.type_coerce(sa.func.json_extract(each.c.value, f"$.{column.name}"), kind).label(column.name)
        for column, kind in zip(columns, types, strict=True)
    ]
    return sa.select(*parts).subquery("given")


async def add_all(
    rows: Rows, table: sa.Table, values: Sequence[Values], returning: Sequence[sa.Column[Any]]
) -> Sequence[Row]:
    """All rows name the same columns.  What is returned comes in no particular order."""
    if not values:
        return []
    columns = [table.c[name] for name in values[0]]
    source = given(rows.engine, columns, values)
    insert = table.insert().from_select(columns, sa.select(*(source.c[column.name] for column in columns)))
    return await rows.rows(insert.returning(*returning))


# -- Where things came from ---------------------------------------------------------------------------------------


async def known(rows: Rows, source: str, names: Mapping[str, Sequence[str]]) -> dict[str, dict[str, int]]:
    """For each kind those of its names that are here, with their ids."""
    result: dict[str, dict[str, int]] = {kind: {} for kind in names}
    asked = [{"kind": kind, "external_id": name} for kind, several in names.items() for name in several]
    if not asked:
        return result
    # A seek for each: asked for all at once, PostgreSQL without statistics, as during a first import, reads
    # everything of the kind (5 ms where this takes 0.1).
    given_names = given(rows.engine, [origins.c.kind, origins.c.external_id], asked)
    local_id = sa.select(origins.c.local_id).where(
        origins.c.source == source,
        origins.c.kind == given_names.c.kind,
        origins.c.external_id == given_names.c.external_id,
    )
    columns = (given_names.c.kind, given_names.c.external_id, local_id.correlate(given_names).scalar_subquery())
    for kind, name, found in await rows.rows(sa.select(*columns)):
        if found is not None:
            result[kind][name] = found
    return result


async def origins_of(rows: Rows, source: str, kind: str, names: Sequence[str]) -> dict[str, int]:
    """Those that are here, with their ids."""
    return (await known(rows, source, {kind: names}))[kind]


async def remember(rows: Rows, source: str, kind: str, ids: Mapping[str, int]) -> None:
    values = [
        {"source": source, "kind": kind, "external_id": external_id, "local_id": local_id}
        for external_id, local_id in ids.items()
    ]
    await add_all(rows, origins, values, [origins.c.local_id])


async def forget(rows: Rows, source: str, kind: str, external_id: str) -> None:
    await rows.rows(
        origins.delete()
        .where(origins.c.source == source, origins.c.kind == kind, origins.c.external_id == external_id)
        .returning(origins.c.local_id)
    )


# -- People -------------------------------------------------------------------------------------------------------


async def taken(rows: Rows, column: sa.Column[str], keys: Sequence[str]) -> set[str]:
    return {key for (key,) in await rows.rows(sa.select(column).where(among(column, keys)))} if keys else set()


async def add_people(rows: Rows, values: Sequence[Values]) -> dict[str, int]:
    """Their ids by the key of their handle."""
    return dict(await _pairs(rows, users, values, [users.c.handle_key, users.c.id]))


async def _pairs(
    rows: Rows, table: sa.Table, values: Sequence[Values], returning: Sequence[sa.Column[Any]]
) -> list[tuple[Any, Any]]:
    return [(first, second) for first, second in await add_all(rows, table, values, returning)]


# -- Posts --------------------------------------------------------------------------------------------------------


async def add_post(rows: Rows, values: Values) -> Sequence[Row]:
    return await add_all(rows, posts, [values], [posts.c.id])


# -- Comments -----------------------------------------------------------------------------------------------------


async def places_of(rows: Rows, ids: Mapping[str, int]) -> dict[str, Here]:
    """Where comments stand, by the names under which their ids are given."""
    if not ids:
        return {}
    columns = (comments.c.id, comments.c.depth, comments.c.parent_id)
    found = await rows.rows(sa.select(*columns).where(among(comments.c.id, sorted(ids.values()))))
    here = {row[0]: Here(*row) for row in found}
    return {name: here[comment_id] for name, comment_id in ids.items()}


async def reserve_numbers(rows: Rows, post_id: int, count: int) -> tuple[int, int | None]:
    """The first of so many numbers for new comments, and the post's community.

    The post is locked with it: nobody else adds to its discussion until the commit.
    """
    counted = posts.update().where(posts.c.id == post_id).values(last_number=posts.c.last_number + count)
    [(last_number, community_id)] = await rows.rows(counted.returning(posts.c.last_number, posts.c.community_id))
    return last_number - count + 1, community_id


async def branches(rows: Rows, post_id: int, ids: Sequence[int]) -> Sequence[Row]:
    """Id, number, path, rpath and whether it is shown, of these comments and all above them, from the root down."""
    if not ids:
        return []
    paths = [path for (path,) in await rows.rows(sa.select(comments.c.path).where(among(comments.c.id, ids)))]
    above = sorted({*paths, *(path for each in paths for path in ancestors_of(each))})
    columns = (comments.c.id, comments.c.number, comments.c.path, comments.c.rpath, comments.c.shown)
    found = sa.select(*columns).where(
        comments.c.post_id == post_id, among(comments.c.number, sorted({numbers_in(path)[-1] for path in above}))
    )
    return await rows.rows(found.order_by(comments.c.path))


async def add_comments(rows: Rows, values: Sequence[Values]) -> dict[int, int]:
    """Their ids by number."""
    return dict(await _pairs(rows, comments, values, [comments.c.number, comments.c.id]))


async def change_comments(rows: Rows, changes: Sequence[Values], columns: Sequence[sa.Column[Any]]) -> None:
    """Set these columns of the comments with these ids."""
    if not changes:
        return
    source = given(rows.engine, [comments.c.id, *columns], changes)
    await rows.rows(
        comments.update()
        .where(comments.c.id == source.c.id)
        .values({column: source.c[column.name] for column in columns})
        .returning(comments.c.id)
    )


async def count_below(rows: Rows, changes: Sequence[Values]) -> None:
    """Add to the counters of comments that were here, and show those that get a place in the tree again or at last."""
    if not changes:
        return
    counted = (comments.c.reply_count, comments.c.descendant_count, comments.c.shown)
    source = given(rows.engine, [comments.c.id, *counted], changes)
    appears = (comments.c.shown == 0) & (source.c.shown == 1)
    await rows.rows(
        comments.update()
        .where(comments.c.id == source.c.id)
        .values(
            reply_count=comments.c.reply_count + source.c.reply_count,
            descendant_count=comments.c.descendant_count + source.c.descendant_count,
            shown=source.c.shown,
            shown_until=sa.case((appears, sa.null()), else_=comments.c.shown_until),
        )
        .returning(comments.c.id)
    )


async def count_in_post(rows: Rows, post_id: int, *, published: int, roots: int, active_at: int) -> None:
    await rows.rows(
        posts.update()
        .where(posts.c.id == post_id)
        .values(
            comment_count=posts.c.comment_count + published,
            root_count=posts.c.root_count + roots,
            last_activity_at=sa.case((posts.c.last_activity_at < active_at, active_at), else_=posts.c.last_activity_at),
        )
        .returning(posts.c.id)
    )
