"""Rows in, rows out: the one contract of everything that reads or writes, and SQL that the engines spell apart."""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql import visitors
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from subscriptions.log import Row, Rows

__all__ = ["Done", "Failed", "Outcome", "Row", "Rows", "Work", "among", "first_per_parent"]

T = TypeVar("T")
Work = Callable[[Rows], Coroutine[Any, Any, T]]


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What a work returned; its effects are committed."""

    value: T


@dataclass(frozen=True, slots=True)
class Failed:
    """What a work raised; it had no effect."""

    error: Exception


Outcome = Done[Any] | Failed


class Listed(TypeDecorator[Sequence[Any]]):
    """Many values in one argument: a JSON text on SQLite, an array on PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: TypeEngine[Any]) -> None:
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return postgresql.ARRAY(self.item) if dialect.name == "postgresql" else sa.Text()

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Dialect) -> Any:
        values = list(value or ())
        return values if dialect.name == "postgresql" else orjson.dumps(values).decode()


def listed(values: Sequence[Any], like: sa.ColumnElement[Any]) -> sa.BindParameter[Any]:
    """`values` as one argument, of the kind of column they will be compared with: whole numbers or text."""
    item: TypeEngine[Any] = sa.Text() if isinstance(like.type, sa.String) else sa.BigInteger()
    return sa.bindparam(None, values, type_=Listed(item), unique=True)


class among(FunctionElement[bool]):
    """`column` is one of `ids` (whole numbers or text): one statement text however many there are."""

    name = "among"
    type = sa.Boolean()
    inherit_cache = True

    def __init__(self, column: sa.ColumnElement[Any], ids: Sequence[Any]) -> None:
        super().__init__(column, listed(ids, column))

    def self_group(self, against: Any = None) -> Any:
        """As it stands: where SQLAlchemy compares a truth with 1, SQLite looks at every row instead of an index."""
        return self


@compiles(among, "sqlite")
def _among_json(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, ids = element.clauses
    return f"{compiler.process(column, **kw)} IN (SELECT value FROM json_each({compiler.process(ids, **kw)}))"


@compiles(among, "postgresql")
def _among_array(element: among, compiler: SQLCompiler, **kw: Any) -> str:
    column, ids = element.clauses
    return f"{compiler.process(column, **kw)} = ANY({compiler.process(ids, **kw)})"


def first_per_parent(
    engine: str,
    table: sa.Table,
    parent_column: sa.Column[Any],
    parent_ids: Sequence[int],
    columns: Sequence[sa.ColumnElement[Any]],
    *,
    order_by: Sequence[sa.ColumnElement[Any]],
    limit: int,
    where: sa.ColumnElement[bool] | None = None,
) -> sa.Select[Any]:
    """The first `limit` rows of each parent: (parent id, *columns), parents in the order asked, rows in theirs.

    `order_by` must be a total order.  An index on (parent column, order) makes it one seek per parent; without
    it every row of these parents is read.  `table` has the primary key `id`.
    """
    # Each engine has the form that the other runs badly: the correlated IN took seconds on PostgreSQL, and
    # SQLite has no LATERAL.  ROW_NUMBER, good on neither, is what the tests compare with.
    spell = _first_by_lateral if engine == "postgresql" else _first_by_in
    return spell(table, parent_column, parent_ids, list(columns), list(order_by), limit, where)


def _first_by_in(
    table: sa.Table,
    parent_column: sa.Column[Any],
    parent_ids: Sequence[int],
    columns: list[Any],
    order_by: list[Any],
    limit: int,
    where: sa.ColumnElement[bool] | None,
) -> sa.Select[Any]:
    given = sa.func.json_each(listed(parent_ids, parent_column))
    parents = given.table_valued(sa.column("key", sa.BigInteger), sa.column("value", sa.BigInteger), name="parents")
    chosen = table.alias("chosen")
    first = _first(sa.select(table.c.id), parent_column == parents.c.value, order_by, limit, where)
    on = [_moved(element, table, lambda column: chosen.c[column.name]) for element in (*columns, *order_by)]
    return (
        sa.select(parents.c.value, *on[: len(columns)])
        .select_from(CrossJoin(parents, chosen, sa.true()))
        .where(chosen.c.id.in_(first.correlate(parents)))
        .order_by(parents.c.key, *on[len(columns) :])
    )


def _first_by_lateral(
    table: sa.Table,
    parent_column: sa.Column[Any],
    parent_ids: Sequence[int],
    columns: list[Any],
    order_by: list[Any],
    limit: int,
    where: sa.ColumnElement[bool] | None,
) -> sa.Select[Any]:
    given = sa.func.unnest(listed(parent_ids, parent_column))
    parents = given.table_valued(
        sa.column("value", sa.BigInteger), with_ordinality="key", name="parents"
    ).render_derived()
    ordering = {column.name: column for element in order_by for column in _columns_in(element, table)}
    shown = [element.label(f"column_{place}") for place, element in enumerate(columns)]
    sorting = [column.label(f"order_{name}") for name, column in ordering.items()]
    first = _first(sa.select(*shown, *sorting), parent_column == parents.c.value, order_by, limit, where)
    chosen = first.correlate(parents).lateral("chosen")
    on = [_moved(element, table, lambda column: chosen.c[f"order_{column.name}"]) for element in order_by]
    return (
        sa.select(parents.c.value, *(chosen.c[label.name] for label in shown))
        .select_from(parents.join(chosen, sa.true()))
        .order_by(parents.c.key, *on)
    )


def _first(
    select: sa.Select[Any],
    of_parent: sa.ColumnElement[bool],
    order_by: list[Any],
    limit: int,
    where: sa.ColumnElement[bool] | None,
) -> sa.Select[Any]:
    return select.where(of_parent, *([] if where is None else [where])).order_by(*order_by).limit(limit)


def _columns_in(element: Any, table: sa.Table) -> list[sa.Column[Any]]:
    return [part for part in visitors.iterate(element) if isinstance(part, sa.Column) and part.table is table]


def _moved(element: Any, table: sa.Table, to: Callable[[sa.Column[Any]], Any]) -> Any:
    """The same expression over another source of the rows of `table`."""

    def move(part: Any, **_: Any) -> Any:
        return to(part) if isinstance(part, sa.Column) and part.table is table else None

    replace: Any = visitors.replacement_traverse  # its overloads know fewer kinds of elements than it does
    return replace(element, {}, move)


class CrossJoin(sa.Join):
    """In SQLite's words a join whose left side is the outer loop, whatever the planner thinks."""

    inherit_cache = True


@compiles(CrossJoin)
def _cross_join(join: CrossJoin, compiler: SQLCompiler, **kw: Any) -> str:
    kw["asfrom"] = True
    return f"{compiler.process(join.left, **kw)} CROSS JOIN {compiler.process(join.right, **kw)}"
