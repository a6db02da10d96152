"""How comments are read: the lists and windows below posts and comments, batched for all owners of a level.

Knows rows and arguments, no types of the schema: posts and comments both declare their fields by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final, TypeAlias

import orjson
import sqlalchemy as sa
import strawberry

from graph import access, ids
from graph.comments import window as windows
from graph.comments.paths import ancestors_of
from graph.comments.store import IS_SHOWN
from graph.comments.window import Gap, Place, Shape, Sort, Window, WindowRow
from graph.errors import request_error
from graph.events import post_topic
from graph.execution.fields import Asking, Columns
from graph.nodes import key_or_error
from graph.pages import After, Before, First, Last, Order, Page, PageInfo, Slice, empty_page, page_per_owner
from graph.phrases import phrase
from graph.scalars import Cursor
from graph.storage.rows import Row, among
from graph.storage.tables import comments

WINDOW_SIZE: Final = 50  # rows, when neither `first` nor `last` is given
WINDOW_LIMIT: Final = 1000  # rows: a thread of that length is drawn at once where the reader's device can
DEPTH_LIMIT: Final = 100  # levels in one window
REPLIES_LIMIT: Final = 100  # replies of each comment in one window


@strawberry.enum(description="Order of comments among their siblings.  May grow.")
class CommentSort(Enum):
    OLDEST = strawberry.enum_value("OLDEST", description="As they arrived.")
    NEWEST = strawberry.enum_value("NEWEST", description="The last arrived first; replies still follow their parent.")


@strawberry.input(description="How much of each branch a window shows; what it leaves out is told by `more`.")
class ThreadShape:
    max_depth: int = strawberry.field(default=8, description=f"Levels, 1 to {DEPTH_LIMIT}.")
    replies_per_parent: int = strawberry.field(
        default=10, description=f"Replies of each comment, 1 to {REPLIES_LIMIT}; the top level is paged instead."
    )


SortArgument: TypeAlias = Annotated[CommentSort, strawberry.argument(description="Order among siblings.")]
ShapeArgument: TypeAlias = Annotated[
    ThreadShape | None, strawberry.argument(description="How much of each branch is shown; 8 levels of 10 replies.")
]
FocusArgument: TypeAlias = Annotated[
    strawberry.ID | None,
    strawberry.argument(
        description="A comment that must be shown, as a permanent link needs: the page begins there, and the way "
        "to it is unfolded.  Give it with the following pages too."
    ),
]

ORDERS: Final = {
    CommentSort.OLDEST: Order("comments-oldest", (comments.c.number,)),
    CommentSort.NEWEST: Order("comments-newest", (comments.c.number,), descending=True),
}


async def load_roots(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    sort: SortArgument = CommentSort.OLDEST,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (post id, root count).  Served by the index on (post_id, parent_id, number)."""
    asked = Slice.of(first, after, last, before)
    where = [comments.c.parent_id.is_(None), IS_SHOWN]
    keys = [key for key, _ in owners]
    pages = await page_per_owner(asking, wanted, ORDERS[sort], asked, comments.c.post_id, keys, where)
    for page, (post_id, count) in zip(pages, owners, strict=True):
        page.total_count, page.live_topic = count, post_topic(post_id)
    return pages


async def load_replies(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    sort: SortArgument = CommentSort.OLDEST,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (comment id, post id, reply count).  Served by the index on (parent_id, number)."""
    asked = Slice.of(first, after, last, before)
    keys = [key for key, _, count in owners if count]
    found = dict(
        zip(
            keys,
            await page_per_owner(asking, wanted, ORDERS[sort], asked, comments.c.parent_id, keys, [IS_SHOWN]),
            strict=True,
        )
    )
    pages = []
    for key, post_id, count in owners:
        page = found.get(key) or empty_page()
        page.total_count, page.live_topic = count, post_topic(post_id)
        pages.append(page)
    return pages


async def load_by_number(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    number: Annotated[int, strawberry.argument(description="As in links like /p/slug#12.")],
) -> list[Row | None]:
    """Owners are (post id,)."""
    place = wanted.index(comments.c.post_id)
    statement = sa.select(*wanted.list).where(
        among(comments.c.post_id, [key for (key,) in owners]),
        comments.c.number == number,
        access.SEE_COMMENT.where(asking.audience),
    )
    found = {row[place]: tuple(row) for row in await asking.rows.rows(statement)}
    return [found.get(key) for (key,) in owners]


async def load_ancestors(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[list[Row]]:
    """Owners are (post id, path).  Root first, without the comment itself."""
    above = [(post_id, ancestors_of(path)) for post_id, path in owners]
    found = await _at_paths(asking, wanted, above)
    return [[found[post_id, path] for path in paths if (post_id, path) in found] for post_id, paths in above]


async def load_root(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[Row | None]:
    """Owners are (post id, path)."""
    roots = [(post_id, [*ancestors_of(path), path][:1]) for post_id, path in owners]
    found = await _at_paths(asking, wanted, roots)
    return [found.get((post_id, path)) for post_id, [path] in roots]


async def _at_paths(
    asking: Asking, wanted: Columns, asked: Sequence[tuple[int, list[str]]]
) -> dict[tuple[int, str], Row]:
    paths = sorted({path for _, paths in asked for path in paths})
    if not paths:
        return {}
    post_place, path_place = wanted.index(comments.c.post_id), wanted.index(comments.c.path)
    statement = sa.select(*wanted.list).where(
        among(comments.c.post_id, sorted({post_id for post_id, _ in asked})),
        among(comments.c.path, paths),
        IS_SHOWN,
    )
    return {(row[post_place], row[path_place]): tuple(row) for row in await asking.rows.rows(statement)}


# The window -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ThreadGapRead:
    count: int
    direct_count: int
    cursor: str | None
    reason: str


@dataclass(slots=True)
class ThreadEdgeRead:
    cursor: str
    node: Row
    depth: int
    parent_key: int | None
    more: ThreadGapRead | None


@dataclass(slots=True)
class ThreadFocusRead:
    comment_key: int
    is_in_page: bool


@dataclass(slots=True)
class ThreadRead:
    """A page of a window before it is shown; rows are in the order of what was wanted of comments."""

    edges: list[ThreadEdgeRead]
    rows: list[Row]
    context: list[Row]
    page_info: PageInfo
    focus: ThreadFocusRead | None
    resolved_sort: str
    live_topic: str


async def load_post_thread(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    sort: SortArgument = CommentSort.OLDEST,
    shape: ShapeArgument = strawberry.UNSET,
    focus: FocusArgument = strawberry.UNSET,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[ThreadRead]:
    """Owners are (post id,)."""
    asked = Slice.of(first, after, last, before, default=WINDOW_SIZE, limit=WINDOW_LIMIT)
    return [await _thread(asking, wanted, key, None, sort, shape, focus, asked) for (key,) in owners]


async def load_comment_thread(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    sort: SortArgument = CommentSort.OLDEST,
    shape: ShapeArgument = strawberry.UNSET,
    focus: FocusArgument = strawberry.UNSET,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[ThreadRead]:
    """Owners are (post id, path)."""
    asked = Slice.of(first, after, last, before, default=WINDOW_SIZE, limit=WINDOW_LIMIT)
    return [await _thread(asking, wanted, key, path, sort, shape, focus, asked) for key, path in owners]


async def _thread(
    asking: Asking,
    wanted: Columns,
    post_id: int,
    base: str | None,
    sort: CommentSort,
    shape: ThreadShape | None,
    focus: str | None,
    asked: Slice,
) -> ThreadRead:
    order = Sort(sort.name)
    focused = None if focus is None else await _focused(asking, post_id, key_or_error(focus, "Comment"))
    after, before = place_from(asked.after, order), place_from(asked.before, order)
    read = await windows.window(
        asking.rows,
        post_id=post_id,
        base=base,
        sort=order,
        shape=_shape(shape),
        page=windows.Page(
            first=None if asked.backward else asked.size,
            last=asked.size if asked.backward else None,
            after=after,
            before=before,
        ),
        focus=None if focused is None else focused[1],
        columns=wanted.list,
    )
    return _thread_read(read, post_id, sort, None if focused is None else focused[0])


async def _focused(asking: Asking, post_id: int, comment_id: int) -> tuple[int, str] | None:
    """Id and path of the comment, if it is shown in this post."""
    statement = sa.select(comments.c.id, comments.c.path).where(
        comments.c.id == comment_id, comments.c.post_id == post_id, IS_SHOWN
    )
    found = await asking.rows.rows(statement)
    return (found[0][0], found[0][1]) if found else None


def _thread_read(read: Window, post_id: int, sort: CommentSort, focused: int | None) -> ThreadRead:
    edges = [_edge(row) for row in read.rows]
    info = PageInfo(
        has_next_page=read.has_next,
        has_previous_page=read.has_previous,
        start_cursor=Cursor(edges[0].cursor) if edges else None,
        end_cursor=Cursor(edges[-1].cursor) if edges else None,
    )
    focus = None if focused is None else ThreadFocusRead(focused, any(row.id == focused for row in read.rows))
    return ThreadRead(
        edges=edges,
        rows=[tuple(row.values) for row in read.rows],
        context=[tuple(row.values) for row in read.context],
        page_info=info,
        focus=focus,
        resolved_sort=sort.name,
        live_topic=post_topic(post_id),
    )


def _edge(row: WindowRow) -> ThreadEdgeRead:
    more = None if row.more is None else _gap(row.more)
    return ThreadEdgeRead(place_cursor(row.place), tuple(row.values), row.depth, row.parent_id, more)


def _gap(gap: Gap) -> ThreadGapRead:
    cursor = None if gap.cursor is None else place_cursor(gap.cursor)
    return ThreadGapRead(gap.count, gap.direct_count, cursor, gap.reason.name)


def place_cursor(place: Place) -> str:
    return ids.encoded(orjson.dumps(["thread", *windows.encode_place(place)]).decode())


def place_from(cursor: str | None, sort: Sort) -> Place | None:
    """Raises a request error for a cursor that no window in this order gave out."""
    if cursor is None:
        return None
    try:
        name, *values = orjson.loads(ids.decoded(cursor))
        if name != "thread":
            raise ValueError("it belongs to another list")
        return windows.decode_place(values, sort)
    except (ValueError, TypeError) as wrong:
        raise request_error("This cursor belongs to another list.", "CURSOR_INVALID") from wrong


def _shape(given: ThreadShape | None) -> Shape:
    if given is None:
        return Shape()
    for name, number, limit in (
        ("maxDepth", given.max_depth, DEPTH_LIMIT),
        ("repliesPerParent", given.replies_per_parent, REPLIES_LIMIT),
    ):
        if not 1 <= number <= limit:
            message = phrase("`shape.{name}` is {size}; it can be 1 to {limit}.", name=name, size=number, limit=limit)
            raise request_error(message, "VALIDATION", limit=limit, actual=number)
    return Shape(given.max_depth, given.replies_per_parent)
