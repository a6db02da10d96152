"""Whole tables in the database: out page by page, and in again.  Knows SQL, decides nothing."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

import orjson
import sqlalchemy as sa

from graph.keeping.rules import Column, Kind, Shape, Value
from graph.storage.rows import Row, Rows

PAGE_ROWS: Final = 500  # read at once: some 0.5 MB of ordinary comments, 40 MB of the longest

# Columns hold whole numbers, text and bytes only, under the names that either engine has for them.
_KINDS: Final[Mapping[type[sa.types.TypeEngine[Any]], Kind]] = {
    sa.Integer: "integer",
    sa.String: "text",
    sa.LargeBinary: "bytes",
}
_TYPES: Final[Mapping[Kind, sa.types.TypeEngine[Any]]] = {
    "integer": sa.BigInteger(),
    "text": sa.Text(),
    "bytes": sa.LargeBinary(),
}


def shape_of(table: sa.Table) -> Shape:
    columns = tuple(Column(str(column.name), _kind(column), _is_required(column)) for column in table.columns)
    return Shape(str(table.name), columns, tuple(str(column.name) for column in table.primary_key.columns))


def _kind(column: sa.Column[Any]) -> Kind:
    [kind] = [kind for type_, kind in _KINDS.items() if isinstance(column.type, type_)]
    return kind


def _is_required(column: sa.Column[Any]) -> bool:
    return not column.nullable and column.server_default is None


def in_order(metadata: sa.MetaData) -> list[sa.Table]:
    """What a row refers to stands in an earlier table, in its own, or (where tables refer to each other) in a later."""
    return [table for table, _ in _ordered(metadata) if table is not None]


def waiting(metadata: sa.MetaData) -> list[sa.ForeignKeyConstraint]:
    """References that may point to a row which comes later: into the same table, and around a circle of tables."""
    found = []
    for table, constraints in _ordered(metadata):
        for constraint in constraints:
            if table is None or constraint.referred_table is table:
                found.append(constraint)
    return sorted(found, key=lambda constraint: str(constraint.name))


def _ordered(metadata: sa.MetaData) -> list[tuple[sa.Table | None, list[sa.ForeignKeyConstraint]]]:
    """Each table with its references; at the end, without a table, those that would close a circle."""
    sort: Any = sa.schema.sort_tables_and_constraints
    return list(sort(metadata.tables.values()))


# Out --------------------------------------------------------------------------------------------------------------


async def count(rows: Rows, shape: Shape) -> int:
    [(number,)] = await rows.rows(sa.select(sa.func.count()).select_from(_table(shape)))
    return int(number)


async def has_rows(rows: Rows, shape: Shape) -> bool:
    return bool(await rows.rows(sa.select(sa.literal(1)).select_from(_table(shape)).limit(1)))


async def pages(rows: Rows, shape: Shape, without: frozenset[str] = frozenset()) -> AsyncIterator[Sequence[Row]]:
    """All rows in the order of the key, each page found by the primary key's index; `without`: told as null."""
    table = _table(shape)
    key = [table.c[name] for name in shape.key]
    told = [
        sa.null().label(column.name) if column.name in without else table.c[column.name] for column in shape.columns
    ]
    asked = sa.select(*told, *key).order_by(*key).limit(PAGE_ROWS)
    page = await rows.rows(asked)
    while page:
        yield [row[: len(told)] for row in page]
        if len(page) < PAGE_ROWS:
            return
        last = page[-1][len(told) :]
        page = await rows.rows(asked.where(_beyond(key, last)))


def _beyond(key: Sequence[sa.ColumnClause[Any]], last: Sequence[Any]) -> sa.ColumnElement[bool]:
    if len(key) == 1:
        first: sa.ColumnElement[bool] = key[0] > last[0]
        return first
    marks = [sa.bindparam(None, value, column.type, unique=True) for column, value in zip(key, last, strict=True)]
    return sa.tuple_(*key) > sa.tuple_(*marks)


def _table(shape: Shape) -> sa.TableClause:
    columns: Iterator[sa.ColumnClause[Any]] = (sa.column(each.name, _TYPES[each.kind]) for each in shape.columns)
    return sa.table(shape.name, *columns)


# In ---------------------------------------------------------------------------------------------------------------


async def keep_others_out(rows: Rows, tables: Sequence[sa.Table]) -> None:
    """Until the commit nobody else writes.  SQLite's one writer is alone as it is."""
    if rows.engine == "postgresql":
        names = ", ".join(f'"{table.name}"' for table in tables)
        await rows.rows(sa.text(f"LOCK TABLE {names} IN EXCLUSIVE MODE"))


async def let_references_wait(rows: Rows, constraints: Sequence[sa.ForeignKeyConstraint]) -> None:
    """From now on rows may refer to later ones: SQLite looks at COMMIT, PostgreSQL at `look_at_references`."""
    if rows.engine == "sqlite":
        await rows.rows(sa.text("PRAGMA defer_foreign_keys = ON"))
        return
    for constraint in constraints:
        await rows.rows(_altered(constraint, "DEFERRABLE INITIALLY DEFERRED"))


async def look_at_references(rows: Rows, constraints: Sequence[sa.ForeignKeyConstraint]) -> None:
    """Those that were let wait must be right by now, and are as they were."""
    if rows.engine == "sqlite":
        return
    await rows.rows(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
    for constraint in constraints:
        await rows.rows(_altered(constraint, "NOT DEFERRABLE"))


def _altered(constraint: sa.ForeignKeyConstraint, how: str) -> sa.TextClause:
    return sa.text(f'ALTER TABLE "{constraint.table.name}" ALTER CONSTRAINT "{constraint.name}" {how}')


async def add(rows: Rows, shape: Shape, values: Sequence[Mapping[str, Value]]) -> None:
    """Rows as they are, keys included, in one statement whose text is the same however many they are."""
    source = _from_json_records(shape, values) if rows.engine == "postgresql" else _from_json_each(shape, values)
    names = [column.name for column in shape.columns]
    await rows.rows(sa.insert(_table(shape)).from_select(names, source))


def _from_json_records(shape: Shape, values: Sequence[Mapping[str, Value]]) -> sa.Select[Any]:
    listed = [sa.column(each.name, _TYPES["text" if each.kind == "bytes" else each.kind]) for each in shape.columns]
    argument = sa.bindparam(None, _json([_as_hex(row) for row in values]), sa.Text(), unique=True)
    records = sa.func.json_to_recordset(sa.cast(argument, sa.JSON))
    given = records.table_valued(*listed, name="given").render_derived(with_types=True)
    return sa.select(
        *(
            sa.func.decode(given.c[each.name], sa.text("'hex'")) if each.kind == "bytes" else given.c[each.name]
            for each in shape.columns
        )
    )


def _as_hex(row: Mapping[str, Value]) -> dict[str, int | str | None]:
    return {name: value.hex() if isinstance(value, bytes) else value for name, value in row.items()}


def _from_json_each(shape: Shape, values: Sequence[Mapping[str, Value]]) -> sa.Select[Any]:
    # JSON holds no bytes and this SQLite cannot decode any: all of them are one argument, of which each has its slice.
    heap = bytearray()
    argument = sa.bindparam(None, _json([_sliced(row, heap) for row in values]), sa.Text(), unique=True)
    bytes_of_all = sa.bindparam(None, bytes(heap), sa.LargeBinary(), unique=True)
    each = sa.func.json_each(argument).table_valued(sa.column("value", sa.Text()), name="each")

    def part(path: str) -> sa.ColumnElement[Any]:
        return sa.func.json_extract(each.c.value, sa.literal_column(f"'$.{path}'"))

    return sa.select(
        *(
            sa.func.substr(bytes_of_all, part(f"{column.name}[0]"), part(f"{column.name}[1]"))
            if column.kind == "bytes"
            else part(column.name)
            for column in shape.columns
        )
    )


def _sliced(row: Mapping[str, Value], heap: bytearray) -> dict[str, int | str | list[int] | None]:
    told: dict[str, int | str | list[int] | None] = {}
    for name, value in row.items():
        if isinstance(value, bytes):
            told[name] = [len(heap) + 1, len(value)]  # SQL counts from 1
            heap += value
        else:
            told[name] = value
    return told


def _json(values: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(values).decode()


async def count_on(rows: Rows, tables: Sequence[sa.Table]) -> None:
    """The next row of each table gets a number above all that are there.  SQLite looks at the rows themselves."""
    if rows.engine == "sqlite":
        return
    for table in tables:
        column = table.autoincrement_column
        if column is not None:
            highest = sa.select(sa.func.max(column)).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
            # Without rows it begins at 1: `false` says that this number was not given yet.
            await rows.rows(sa.select(sa.func.setval(sequence, sa.func.coalesce(highest, 1), highest.is_not(None))))


async def gather_statistics(rows: Rows) -> None:
    """PostgreSQL does so by itself a minute later; until then it reads whole tables for some pages."""
    if rows.engine == "postgresql":
        await rows.rows(sa.text("ANALYZE"))
