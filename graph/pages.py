"""Relay pages: connections both ways over any list with a total order, one statement for all owners of a level."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

import orjson
import sqlalchemy as sa
import strawberry

from graph import ids
from graph.errors import request_error
from graph.execution.fields import Asking, Columns, batched, value
from graph.phrases import phrase
from graph.scalars import Cursor, LiveCursor
from graph.storage.rows import Row, first_per_parent
from subscriptions import log
from subscriptions.cursor import encode

PAGE_SIZE: Final = 20  # nodes, when neither `first` nor `last` is given
PAGE_LIMIT: Final = 100  # nodes
POST_STREAM: Final = "post"  # what the cursors of a discussion are good for: every stream over its topic

First: TypeAlias = Annotated[
    int | None, strawberry.argument(description="At most so many from the start, or after `after`.")
]
After: TypeAlias = Annotated[Cursor | None, strawberry.argument(description="Only what comes after this place.")]
Last: TypeAlias = Annotated[
    int | None, strawberry.argument(description="At most so many from the end, or before `before`.")
]
Before: TypeAlias = Annotated[Cursor | None, strawberry.argument(description="Only what comes before this place.")]


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether something comes after this page.")
    has_previous_page: bool = strawberry.field(description="Whether something comes before this page.")
    start_cursor: Cursor | None = strawberry.field(description="Place of the first entry; null on an empty page.")
    end_cursor: Cursor | None = strawberry.field(description="Place of the last entry; null on an empty page.")


@dataclass(frozen=True, slots=True)
class Slice:
    """What part of a list is asked for: `size` entries from its start, or from its end when `backward`."""

    size: int
    backward: bool
    after: str | None
    before: str | None

    @classmethod
    def of(
        cls,
        first: int | None,
        after: str | None,
        last: int | None,
        before: str | None,
        *,
        default: int = PAGE_SIZE,
        limit: int = PAGE_LIMIT,
    ) -> "Slice":
        """Raises a request error where the arguments contradict each other or ask for too much."""
        if first is not None and last is not None:
            raise request_error("Give `first` or `last`, not both.", "VALIDATION")
        backward = last is not None or (first is None and before is not None and after is None)
        size = default if first is None and last is None else (first if last is None else last)
        assert size is not None
        if not 0 <= size <= limit:
            name = "last" if last is not None else "first"
            message = phrase("`{name}` is {size}; it can be 0 to {limit}.", name=name, size=size, limit=limit)
            raise request_error(message, "VALIDATION", limit=limit, actual=size)
        return cls(size, backward, after, before)


@dataclass(frozen=True, slots=True)
class Order:
    """A total order: its last column is unique.  Cursors of one order are refused by another."""

    name: str
    columns: tuple[sa.Column[Any], ...]
    descending: bool = False

    def cursor(self, values: Row) -> str:
        return ids.encoded(orjson.dumps([self.name, *values]).decode())

    def values(self, cursor: str) -> Row:
        """Raises a request error for a cursor that this order never gave out."""
        try:
            name, *values = orjson.loads(ids.decoded(cursor))
        except (ValueError, TypeError) as wrong:
            raise request_error("This cursor is malformed.", "CURSOR_INVALID") from wrong
        fits = len(values) == len(self.columns) and all(
            isinstance(value, column.type.python_type) and _storable(value)
            for value, column in zip(values, self.columns, strict=False)
        )
        if name != self.name or not fits:
            raise request_error("This cursor belongs to another list.", "CURSOR_INVALID")
        return tuple(values)

    def past(self, cursor: str, *, backward: bool) -> sa.ColumnElement[bool]:
        """The condition for what comes after the place, or before it when `backward`."""
        bounds = zip(self.columns, self.values(cursor), strict=True)
        upward = self.descending == backward
        # Compared as rows, PostgreSQL seeks to the place and SQLite to its first column, beyond which it walks through
        # what is equal.  For (a > x OR a = x AND b > y) both would read all that stands before.
        here, there = sa.tuple_(*self.columns), sa.tuple_(*(sa.literal(value, column.type) for column, value in bounds))
        return here > there if upward else here < there

    def clauses(self, *, backward: bool) -> list[sa.ColumnElement[Any]]:
        downward = self.descending != backward
        return [column.desc() if downward else column.asc() for column in self.columns]


def _storable(value: object) -> bool:
    """Whether both engines can compare their columns with it."""
    if isinstance(value, int):
        return not isinstance(value, bool) and -(2**63) <= value < 2**63
    return not isinstance(value, str) or "\x00" not in value


@dataclass(slots=True)
class Edge:
    cursor: str
    node: Row


@dataclass(slots=True)
class Page:
    """A connection before it is shown: rows in the order of what was wanted of their entity."""

    rows: list[Row]
    edges: list[Edge]
    page_info: PageInfo
    total_count: int | None = None
    live_topic: str | None = None  # the topic of the log that tells of changes to this list


def empty_page() -> Page:
    nowhere = PageInfo(has_next_page=False, has_previous_page=False, start_cursor=None, end_cursor=None)
    return Page([], [], nowhere)


def page_of(rows: Sequence[Row], order: Order, places: Sequence[int], asked: Slice) -> Page:
    """A page from up to `size + 1` rows, nearest to the asked end first."""
    more = len(rows) > asked.size
    kept = list(rows[: asked.size])
    if asked.backward:
        kept.reverse()
    edges = [Edge(order.cursor(tuple(row[place] for place in places)), row) for row in kept]
    info = PageInfo(
        has_next_page=asked.before is not None if asked.backward else more,
        has_previous_page=more if asked.backward else asked.after is not None,
        start_cursor=Cursor(edges[0].cursor) if edges else None,
        end_cursor=Cursor(edges[-1].cursor) if edges else None,
    )
    return Page(kept, edges, info)


async def page(
    asking: Asking, wanted: Columns, order: Order, asked: Slice, where: Sequence[sa.ColumnElement[bool]]
) -> Page:
    """One page of a whole table's visible rows."""
    places = [wanted.index(column) for column in order.columns]
    statement = (
        sa.select(*wanted.list)
        .where(wanted.entity.see.where(asking.audience), *where, *_bounds(order, asked))
        .order_by(*order.clauses(backward=asked.backward))
        .limit(asked.size + 1)
    )
    return page_of(await asking.rows.rows(statement), order, places, asked)


async def page_per_owner(
    asking: Asking,
    wanted: Columns,
    order: Order,
    asked: Slice,
    owner: sa.Column[Any],
    owner_ids: Sequence[int],
    where: Sequence[sa.ColumnElement[bool]],
) -> list[Page]:
    """One page per owner, in their order, with one statement; with none where there is no owner.

    `where` must contain what the audience may see, as far as seeing the owner does not imply it.
    """
    bounds = _bounds(order, asked)
    if not owner_ids:
        return []
    places = [wanted.index(column) for column in order.columns]
    statement = first_per_parent(
        asking.rows.engine,
        wanted.entity.table,
        owner,
        list(dict.fromkeys(owner_ids)),
        wanted.list,
        order_by=order.clauses(backward=asked.backward),
        limit=asked.size + 1,
        where=sa.and_(sa.true(), *where, *bounds),
    )
    found: dict[int, list[Row]] = {}
    for owner_id, *row in await asking.rows.rows(statement):
        found.setdefault(owner_id, []).append(tuple(row))
    return [page_of(found.get(owner_id, ()), order, places, asked) for owner_id in owner_ids]


def _bounds(order: Order, asked: Slice) -> list[sa.ColumnElement[bool]]:
    bounds = []
    if asked.after is not None:
        bounds.append(order.past(asked.after, backward=False))
    if asked.before is not None:
        bounds.append(order.past(asked.before, backward=True))
    return bounds


async def load_live_cursors(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[LiveCursor]:
    topics = [topic for (topic,) in owners]
    return [LiveCursor(cursor) for cursor in await live_cursors(asking, topics)]


async def live_cursors(asking: Asking, topics: Sequence[str]) -> list[str]:
    """Where each topic stands in the read view, as the cursor from which it can be followed."""
    standing = await log.standing(asking.rows, list(dict.fromkeys(topics)))
    return [encode(standing, [topic], POST_STREAM) for topic in topics]


def live_cursor() -> Any:
    return batched(
        "live_topic",
        load=load_live_cursors,
        description="Position of this snapshot in the event log: pass it to a subscription as `after`.  Take it "
        "from the response of the first page and keep it outside the normalised cache; once the stream runs, its "
        "last cursor counts.",
    )


def cursor_field() -> Any:
    return strawberry.field(description="The place of this entry in the list.")


def page_info_field() -> Any:
    return strawberry.field(description="Where this page stands in the list.")


def total_count_field() -> Any:
    return value(
        "total_count",
        description="How many entries the whole list has; null where counting would cost more than the page.",
    )
