"""The window: a post's tree as a list that is read page by page, depth first, with long or deep branches folded.

A page costs the same whatever the size of the tree: it is read in one pass over an index (walk.py).  The window is
a pure function of the tree and of (base, sort, shape, focus); pages are slices of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from graph.comments.paths import AFTER_DIGITS, SEGMENT_CHARACTERS, ancestors_of, mirrored_path
from graph.comments.rules import DEPTH_LIMIT
from graph.comments.walk import (
    ALL_SHOWN,
    NONE_SHOWN,
    Branch,
    Step,
    Walk,
    Walked,
    backward,
    first_key,
    forward,
    way_down,
)
from subscriptions.log import Row, Rows


class Sort(StrEnum):
    OLDEST = "OLDEST"
    NEWEST = "NEWEST"  # among siblings; a comment still stands before its replies


@dataclass(frozen=True, slots=True)
class Shape:
    """How much of each branch the window shows; the rest is folded."""

    max_depth: int = 8  # levels; the rows at the top of the window are the first
    replies_per_parent: int = 10  # the rows at the top are not replies here: they are paged, all of them

    def __post_init__(self) -> None:
        if self.max_depth < 1 or self.replies_per_parent < 1:
            raise ValueError("a window shows at least one level, and one reply of each comment")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the list: that of a row, or with a final `~` the one after its whole branch.

    It says where, not who: it stays good when its row goes.
    """

    sort: Sort
    path_text: str  # `path` in OLDEST, `rpath` in NEWEST

    def __post_init__(self) -> None:
        if not PLACE_TEXT.fullmatch(self.path_text):
            raise ValueError(f"no place in a thread: {self.path_text[:40]!r}")


PLACE_TEXT = re.compile(rf"([0-9A-V]{{{SEGMENT_CHARACTERS}}}){{1,{DEPTH_LIMIT}}}{AFTER_DIGITS}?")


def encode_place(place: Place) -> tuple[str, str]:
    return place.sort.value, place.path_text


def decode_place(values: Sequence[object], sort: Sort) -> Place:
    """Undo `encode_place`, for a list in this order.  Raises ValueError with what is wrong."""
    match values:
        case [str(name), str(text)] if name in set(Sort):
            if name != sort:
                raise ValueError(f"a place in the order {name} cannot be found in the order {sort}")
            return Place(sort, text)
    raise ValueError("not a place in a thread")


@dataclass(frozen=True, slots=True)
class Page:
    """The first rows after a place, or the last ones before it; exactly one of `first` and `last` is given."""

    first: int | None = None
    last: int | None = None
    after: Place | None = None
    before: Place | None = None

    def __post_init__(self) -> None:
        if (self.first is None) == (self.last is None) or self.size < 0:
            raise ValueError("a page has `first` or `last`, and not less than none")

    @property
    def size(self) -> int:
        return self.first if self.first is not None else self.last or 0


class GapReason(StrEnum):
    DEPTH = "DEPTH"  # the row stands as deep as the window goes
    SIBLINGS = "SIBLINGS"  # the row has more replies than the window shows of each


@dataclass(frozen=True, slots=True)
class Gap:
    """Replies of a row that are folded away."""

    count: int  # with all that hangs below them
    direct_count: int
    reason: GapReason
    # They are in the window below the row, after this place; None: from its beginning.  A reply that is shown only
    # because the focus hangs below it stands among them again, unless it is the first.
    cursor: Place | None


@dataclass(frozen=True, slots=True)
class WindowRow:
    id: int
    path: str
    depth: int  # in the post
    parent_id: int | None
    place: Place
    more: Gap | None  # None also where the replies go on in the next page
    values: Row  # of the columns asked for, in their order


@dataclass(frozen=True, slots=True)
class Window:
    """A page of the window."""

    rows: list[WindowRow]
    context: list[WindowRow]  # ancestors of the first row, below the base, root first: enough to draw the page alone
    has_next: bool
    has_previous: bool


async def window(
    rows: Rows,
    *,
    post_id: int,
    base: str | None = None,
    sort: Sort,
    shape: Shape,
    page: Page,
    focus: str | None = None,
    columns: Sequence[sa.ColumnElement[Any]],
) -> Window:
    """A page of what is shown below `base`, the path of a comment; None is the post.

    `focus` is the path of a comment.  Where it is folded the way to it is shown all the same, and below it as many
    levels as in a window of its own.  Without `after` and `before` the page begins there.  One that is not shown
    below the base is as none.  `columns` are of the table of comments.

    One statement forward, two backward; one more for a focus, or where the place's own row is gone.

    Raises ValueError when a place of the page belongs to another order.
    """
    for place in (page.after, page.before):
        if place is not None and place.sort != sort:
            raise ValueError(f"a place in the order {place.sort} cannot be found in the order {sort}")
    key = key_of(sort)
    walk = Walk(post_id, key, shape.replies_per_parent, tuple(columns))
    view = plain_view(walk, sort, shape, as_key(base, sort) if base else "")
    if focus is not None:
        view = await focused_view(rows, view, shape, as_key(focus, sort))
    return await view.page(rows, page)


def key_of(sort: Sort) -> str:
    """The column by which rows stand in this order."""
    return "path" if sort is Sort.OLDEST else "rpath"


def as_key(path: str, sort: Sort) -> str:
    return path if sort is Sort.OLDEST else mirrored_path(path)


Piece = Branch | tuple[Walked, ...]  # rows to be read, or rows already known


@dataclass(frozen=True, slots=True)
class View:
    """The window as a list of rows, of which any part can be read from either end."""

    walk: Walk
    sort: Sort
    top: str  # key of the base
    deepest: int  # length of the keys on the last level
    pieces: tuple[Piece, ...]  # one after the other in the list
    way: tuple[Step, ...] = ()  # from the base down to the focus
    gaps: Mapping[int, Gap | None] = field(default_factory=dict)  # where the focus makes them other than usual

    async def page(self, rows: Rows, page: Page) -> Window:
        after, before = self._bounds(page)
        read = self._first if page.last is None else self._last
        found = await read(rows, after, before, page.size + 1)
        met = [row for row in found if row.met]
        extra = len(met) > page.size
        shown = met[: page.size] if page.last is None else met[max(0, len(met) - page.size) :]
        return Window(
            rows=[self._row(row) for row in shown],
            context=self._context(shown[0], found) if shown else [],
            has_next=(extra and page.last is None) or await self._follows(rows, page.before),
            has_previous=(extra and page.last is not None) or await self._precedes(rows, after, shown, found),
        )

    def _bounds(self, page: Page) -> tuple[str, str]:
        """The places between which the page lies, both left out."""
        if self.way and page.after is None and page.before is None:
            return just_before(self.way[-1].row.key), self.top + AFTER_DIGITS
        after = self.top if page.after is None else page.after.path_text
        return after, self.top + AFTER_DIGITS if page.before is None else page.before.path_text

    async def _first(self, rows: Rows, after: str, before: str, count: int) -> list[Walked]:
        """The first `count` rows, and others that only led there."""
        found: list[Walked] = []
        for piece in self.pieces:
            missing = count - sum(row.met for row in found)
            if not missing:
                break
            if isinstance(piece, Branch):
                found += await forward(rows, self.walk, piece.between(after, before), missing)
            else:
                found += [row for row in piece if after < row.key < before][:missing]
        return found

    async def _last(self, rows: Rows, after: str, before: str, count: int) -> list[Walked]:
        """The last `count` rows, and others that only led there."""
        found: list[Walked] = []
        for piece in reversed(self.pieces):
            missing = count - sum(row.met for row in found)
            if not missing:
                break
            if isinstance(piece, Branch):
                found = await backward(rows, self.walk, piece.between(after, before), missing) + found
            else:
                found = [row for row in piece if after < row.key < before][-missing:] + found
        return found

    async def _follows(self, rows: Rows, before: Place | None) -> bool:
        """Whether a row stands at the place where the page ends, or after it."""
        if before is None:
            return False
        bare = replace(self, walk=replace(self.walk, columns=()))
        found = await bare._first(rows, just_before(before.path_text), self.top + AFTER_DIGITS, 1)
        return any(row.met for row in found)

    async def _precedes(self, rows: Rows, after: str, shown: Sequence[Walked], found: Sequence[Walked]) -> bool:
        """Whether a row stands before the page."""
        if after <= self.top:
            return False
        if any(row.key < shown[0].key if shown else row.key <= after for row in found):
            return True
        first = await first_key(rows, self.walk, self.top)
        return first is not None and (first < shown[0].key if shown else first <= after)

    def _context(self, first: Walked, found: Sequence[Walked]) -> list[WindowRow]:
        known = {row.key: row for row in (*(step.row for step in self.way), *found)}
        return [self._row(known[key]) for key in ancestors_of(first.key) if len(key) > len(self.top)]

    def _row(self, row: Walked) -> WindowRow:
        more = self.gaps[row.id] if row.id in self.gaps else self._gap(row)
        return WindowRow(row.id, row.path, row.depth, row.parent_id, Place(self.sort, row.key), more, row.values)

    def folds(self, parent: Walked, reply: Walked) -> bool:
        """Whether the reply of a row of the window is folded away, by the cap or by depth."""
        return len(parent.key) >= self.deepest or reply.key[-SEGMENT_CHARACTERS:] > parent.cap

    def gap_around(self, parent: Step, reply: Walked, *, unfolded: bool) -> Gap | None:
        """The gap of a row of which one folded reply is shown; `unfolded`: the row itself is shown for the focus."""
        row, deep = parent.row, len(parent.row.key) >= self.deepest
        keeps_none = deep or unfolded
        kept, kept_count = (0, 0) if keeps_none else (self.walk.replies, row.kept_count)
        first_folded = parent.first_reply if keeps_none else parent.first_past_cap
        cursor = None if keeps_none else row.key + row.cap + AFTER_DIGITS
        if first_folded == reply.key:
            cursor = reply.key + AFTER_DIGITS
        direct_count = row.reply_count - kept - 1
        if not direct_count:
            return None
        return Gap(
            row.descendant_count - kept_count - reply.descendant_count - 1,
            direct_count,
            GapReason.DEPTH if deep else GapReason.SIBLINGS,
            Place(self.sort, cursor) if cursor else None,
        )

    def _gap(self, row: Walked) -> Gap | None:
        if not row.reply_count or row.cap == ALL_SHOWN:
            return None
        if row.cap == NONE_SHOWN:
            return Gap(row.descendant_count, row.reply_count, GapReason.DEPTH, None)
        count, direct_count = row.descendant_count - row.kept_count, row.reply_count - self.walk.replies
        return Gap(count, direct_count, GapReason.SIBLINGS, Place(self.sort, row.key + row.cap + AFTER_DIGITS))


def just_before(key: str) -> str:
    """The place after everything that comes before the key: no row stands between the two."""
    return key[:-1] + chr(ord(key[-1]) - 1) + AFTER_DIGITS


def plain_view(walk: Walk, sort: Sort, shape: Shape, top: str) -> View:
    deepest = len(top) + shape.max_depth * SEGMENT_CHARACTERS
    return View(walk, sort, top, deepest, (Branch(top, ALL_SHOWN, deepest, top, top + AFTER_DIGITS),))


async def focused_view(rows: Rows, view: View, shape: Shape, focus: str) -> View:
    """The same window, with the row `focus` to begin at, unfolded where it has to be.

    Its pieces are then what comes before the first folded row on the way, the way, what is shown below the focus,
    and the rest.
    """
    way = tuple(await way_down(rows, view.walk, view.top, focus)) if focus.startswith(view.top) else ()
    if not way or way[-1].row.key != focus:
        return view
    folded = next((place for place in range(1, len(way)) if view.folds(way[place - 1].row, way[place].row)), None)
    if folded is None:
        return replace(view, way=way)
    first, last = way[folded].row, way[-1].row
    deepest = len(focus) + shape.max_depth * SEGMENT_CHARACTERS
    (whole,) = view.pieces
    assert isinstance(whole, Branch)
    return replace(
        view,
        way=way,
        pieces=(
            whole.between(view.top, first.key),
            tuple(step.row for step in way[folded:]),
            Branch(focus, last.cap, deepest, focus, focus + AFTER_DIGITS),
            whole.between(first.key + AFTER_DIGITS, view.top + AFTER_DIGITS),
        ),
        gaps={
            above.row.id: view.gap_around(above, step.row, unfolded=place > folded)
            for place, (above, step) in enumerate(pairwise(way), 1)
            if place >= folded
        },
    )
