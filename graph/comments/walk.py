"""One pass over a branch of the tree, in one statement.  Knows SQL and folding; what a page is, it does not know.

Every step of the recursion is a search by index for the next row that is shown, so that a pass costs what it brings:
what is folded away is stepped over, be it ten replies or a million.

Rows are known by their key: `path` (siblings oldest first) or `rpath` (newest first).  A place is a key, or a key
and one more character: `~` stands after the key's whole branch, `-` between the row and its first reply.  A row's
cap tells how many of its replies are shown: it is the last segment of the last of them, `~~~~~` where all are,
`-----` where none is.  All of these compare as text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import Any, overload

import sqlalchemy as sa

from graph.comments.paths import AFTER_DIGITS, BEFORE_DIGITS, SEGMENT_CHARACTERS, ancestors_of
from graph.storage.rows import among
from graph.storage.tables import comments
from subscriptions.log import Row, Rows

ALL_SHOWN = AFTER_DIGITS * SEGMENT_CHARACTERS
NONE_SHOWN = BEFORE_DIGITS * SEGMENT_CHARACTERS
NO_DEPTH = 1 << 30  # characters: no key is as long

Columns = tuple[sa.ColumnElement[Any], ...]
Text = sa.ColumnElement[str]
Whole = sa.ColumnElement[int]
Source = sa.FromClause


@dataclass(frozen=True, slots=True)
class Walk:
    """How a pass goes: in which post, by which key, and how many replies it shows of each row."""

    post_id: int
    key: str  # "path" or "rpath"
    replies: int
    columns: Columns  # of `comments`: what else is wanted of each row


@dataclass(frozen=True, slots=True)
class Branch:
    """The rows shown below a row, without the row itself, between two places that are left out too."""

    top: str  # key of the row above; "" is the post
    cap: str  # of the row above
    deepest: int  # length of the keys whose replies are all folded
    after: str  # not before `top`
    before: str  # not after the end of the branch

    def between(self, after: str, before: str) -> "Branch":
        return Branch(self.top, self.cap, self.deepest, max(self.after, after), min(self.before, before))


@dataclass(frozen=True, slots=True)
class Walked:
    """A row that a pass came by.  One that only led the way to others is not `met`: it lies outside of the places."""

    met: bool
    key: str
    cap: str
    id: int
    path: str
    depth: int
    parent_id: int | None
    reply_count: int
    descendant_count: int
    kept_count: int  # comments in the branches of the replies that the cap keeps; 0 where it keeps all or none
    values: Row


async def forward(rows: Rows, walk: Walk, branch: Branch, count: int) -> list[Walked]:
    """The first `count` rows of the branch and all their ancestors in it, in order."""
    if branch.after >= branch.before:
        return []
    statement = forward_statement(rows.engine, walk.key, walk.columns).params(
        post_id=walk.post_id,
        start=step_towards(branch.after, branch.top),
        after=branch.after,
        before=branch.before,
        caps=branch.top + branch.cap,
        deepest=branch.deepest,
        replies=walk.replies,
        last_reply=walk.replies - 1,
        count=count,
    )
    return in_order(await rows.rows(statement))


async def backward(rows: Rows, walk: Walk, branch: Branch, count: int) -> list[Walked]:
    """The last `count` rows of the branch and all their ancestors in it, in order."""
    if branch.after >= branch.before:
        return []
    statement = backward_statement(rows.engine, walk.key, walk.columns).params(
        post_id=walk.post_id,
        top=branch.top,
        start=min(branch.before, branch.top + branch.cap + AFTER_DIGITS),
        after=branch.after,
        deepest=branch.deepest,
        replies=walk.replies,
        last_reply=walk.replies - 1,
        count=count,
    )
    return in_order(await rows.rows(statement))


def step_towards(place: str, top: str) -> str:
    """The place one level below `top` on the way to `place`: where a search that includes it has to begin."""
    return place[: len(top) + SEGMENT_CHARACTERS] if len(place) > len(top) else top + BEFORE_DIGITS


@dataclass(frozen=True, slots=True)
class Step:
    """A row on the way down to another one.  Its cap, and what goes by it, leaves depth out of account."""

    row: Walked
    first_reply: str | None  # its key
    first_past_cap: str | None  # key of the first reply that the cap does not keep


async def way_down(rows: Rows, walk: Walk, top: str, key: str) -> list[Step]:
    """The shown rows below `top` on the way to `key`, itself included, from the top."""
    keys = [above for above in [*ancestors_of(key), key] if len(above) > len(top)]
    found = await rows.rows(
        way_statement(walk.key, walk.columns)
        .where(among(comments.c[walk.key], keys))
        .params(
            post_id=walk.post_id, deepest=NO_DEPTH, replies=walk.replies, last_reply=walk.replies - 1, first_reply=0
        )
    )
    steps = [Step(walked(row[2:]), row[0], row[1]) for row in found]
    return sorted(steps, key=lambda step: step.row.key)


async def first_key(rows: Rows, walk: Walk, top: str) -> str | None:
    """Key of the first row shown below `top`; None where there is none."""
    key = comments.c[walk.key]
    below = sa.and_(comments.c.post_id == walk.post_id, is_shown(comments), key > top, key < top + AFTER_DIGITS)
    found = await rows.rows(sa.select(key).where(below).order_by(key).limit(1))
    return found[0][0] if found else None


def in_order(found: Sequence[Row]) -> list[Walked]:
    return sorted(map(walked, found), key=attrgetter("key"))


def walked(row: Row) -> Walked:
    met, key, cap, id_, path, depth, parent_id, replies, descendants, kept, *values = row
    return Walked(met == 1, key, cap, id_, path, depth, parent_id, replies, descendants, kept, tuple(values))


@lru_cache(maxsize=64)
def way_statement(key: str, columns: Columns) -> sa.Select[Any]:
    """Bound: post_id, deepest, replies, last_reply, first_reply."""
    cap = cap_of(comments, key)
    fields = (constant(1), comments.c[key], cap, *fields_of(cap, key), *columns)
    ahead = (nth_reply(comments, key, "first_reply"), nth_reply(comments, key, "replies"))
    of_post = sa.and_(comments.c.post_id == whole("post_id"), is_shown(comments))
    return sa.select(*(reply.scalar_subquery() for reply in ahead), *fields).where(of_post)


@lru_cache(maxsize=64)
def forward_statement(engine: str, key: str, columns: Columns) -> sa.Select[Any]:
    """Bound: post_id, start, after, before, caps, deepest, replies, last_reply, count.

    `start` is where the search begins, itself included: level by level down to `after`, then on from there.
    `caps` tells, in line with the key of the row at hand, how far the replies of each of its ancestors are shown.
    """
    seed = sa.select(
        sa.cast(sa.null(), sa.BigInteger).label("id"),
        as_text(engine, constant("")).label("key"),
        as_text(engine, bound("start")).label("next"),
        as_text(engine, bound("caps")).label("caps"),
        flag(0).label("met"),
        flag(0).label("seen"),
    ).cte("walk", recursive=True)
    here, after = comments.alias("here"), bound("after")
    place: Text = here.c[key]
    folded = last_segment(place) > part(seed.c.caps, size(place) - constant(SEGMENT_CHARACTERS - 1), SEGMENT_CHARACTERS)
    met = flag(sa.case((sa.or_(folded, place <= after), constant(0)), else_=constant(1)))
    following = sa.case(
        (folded, part(place, 1, size(place) - constant(SEGMENT_CHARACTERS)) + constant(AFTER_DIGITS)),
        (size(place) >= whole("deepest"), place + constant(AFTER_DIGITS)),
        (
            sa.and_(place <= after, size(after) > size(place)),
            part(after, 1, size(place) + constant(SEGMENT_CHARACTERS)),
        ),
        else_=place + constant(BEFORE_DIGITS),
    )
    caps = part(seed.c.caps, 1, size(place)) + cap_of(here, key)
    step = (
        sa.select(here.c.id, place, as_text(engine, following), as_text(engine, caps), met, seed.c.seen + met)
        .select_from(seed.join(here, here.c.id == first_from(seed, seed.c.next, key)))
        .where(seed.c.seen < whole("count"))
    )
    walk = seed.union_all(step)
    own_cap = part(walk.c.caps, size(walk.c.key) + constant(1), SEGMENT_CHARACTERS)
    return answer(walk, own_cap, columns, key).where(sa.or_(walk.c.met == constant(1), walk.c.key <= after))


@lru_cache(maxsize=64)
def backward_statement(engine: str, key: str, columns: Columns) -> sa.Select[Any]:
    """Bound: post_id, top, start, after, deepest, replies, last_reply, count.

    Going backward a row is met after its replies.  The first step that comes to its branch only notes how far its
    replies are shown: `end` is the place where the branch ends for the reader.
    """
    seed = sa.select(
        sa.cast(sa.null(), sa.BigInteger).label("id"),
        as_text(engine, bound("top")).label("key"),
        as_text(engine, bound("top")).label("top"),
        as_text(engine, constant(ALL_SHOWN)).label("cap"),
        as_text(engine, bound("start")).label("end"),
        flag(0).label("met"),
        flag(0).label("seen"),
    ).cte("walk", recursive=True)
    found, here = comments.alias("found"), comments.alias("here")
    place: Text = here.c[key]
    capped_end = seed.c.key + seed.c.cap + constant(AFTER_DIGITS)
    end = sa.case((seed.c.met == constant(1), seed.c.key), (capped_end < seed.c.end, capped_end), else_=seed.c.end)
    on_the_way = part(found.c[key], 1, size(seed.c.top) + constant(SEGMENT_CHARACTERS))
    met = flag(sa.case((found.c.id == here.c.id, constant(1)), else_=constant(0)))
    top = sa.case((found.c.id == here.c.id, part(place, 1, size(place) - constant(SEGMENT_CHARACTERS))), else_=place)
    step = (
        sa.select(
            here.c.id,
            place,
            as_text(engine, top),
            as_text(engine, cap_of(here, key)),
            as_text(engine, end),
            met,
            seed.c.seen + met,
        )
        .select_from(
            seed.join(found, found.c.id == last_before(seed, end, key)).join(
                here, here.c.id == standing_at((seed, found), on_the_way, key)
            )
        )
        .where(seed.c.seen < whole("count"))
    )
    walk = seed.union_all(step)
    first = sa.select(sa.func.min(walk.c.key)).where(walk.c.met == constant(1)).scalar_subquery()
    leads = sa.and_(walk.c.key < first, first < walk.c.key + constant(AFTER_DIGITS))
    return answer(walk, walk.c.cap, columns, key).where(sa.or_(walk.c.met == constant(1), leads))


def answer(walk: sa.CTE, cap: Text, columns: Columns, key: str) -> sa.Select[Any]:
    """The rows of a walk, in the order of `Walked`'s fields."""
    fields = (walk.c.met, walk.c.key, cap, *fields_of(cap, key), *columns)
    return sa.select(*fields).select_from(walk.join(comments, comments.c.id == walk.c.id))


def fields_of(cap: Text, key: str) -> Columns:
    row = comments.c
    all_or_none = cap.in_([constant(ALL_SHOWN), constant(NONE_SHOWN)])
    kept = sa.case((all_or_none, constant(0)), else_=kept_count(comments, key))
    return (row.id, row.path, row.depth, row.parent_id, row.reply_count, row.descendant_count, kept)


def cap_of(row: Source, key: str) -> Text:
    """A row that has fewer replies than it counts shows them all: a wrong count must not hide any."""
    last_kept = (
        replies_of(row, key, lambda reply: last_segment(reply.c[key])).offset(whole("last_reply")).limit(constant(1))
    )
    return sa.case(
        (size(row.c[key]) >= whole("deepest"), constant(NONE_SHOWN)),
        (row.c.reply_count <= whole("replies"), constant(ALL_SHOWN)),
        else_=sa.func.coalesce(last_kept.scalar_subquery(), constant(ALL_SHOWN)),
    )


def kept_count(row: Source, key: str) -> Whole:
    """Comments in the branches of the first `replies` replies."""
    sizes = replies_of(row, key, lambda reply: (reply.c.descendant_count + constant(1)).label("size"))
    kept = sizes.limit(whole("replies")).subquery()
    return sa.select(sa.cast(sa.func.sum(kept.c.size), sa.BigInteger)).scalar_subquery()


def nth_reply(row: Source, key: str, place: str) -> sa.Select[Any]:
    """`place`: the name of the bound number of replies before it."""
    return replies_of(row, key, lambda reply: reply.c[key]).offset(whole(place)).limit(constant(1))


def replies_of(row: Source, key: str, wanted: Callable[[Source], sa.ColumnElement[Any]]) -> sa.Select[Any]:
    """Served by the index on (parent_id, number)."""
    reply = comments.alias("reply")
    order = reply.c.number.desc() if key == "rpath" else reply.c.number
    return sa.select(wanted(reply)).where(reply.c.parent_id == row.c.id, is_shown(reply)).order_by(order).correlate(row)


def first_from(step: sa.CTE, place: Text, key: str) -> Whole:
    """Served by the index on (post_id, key) of what is shown."""
    row = comments.alias("following")
    between = sa.and_(row.c[key] >= place, row.c[key] < bound("before"))
    return nearest(row, between, row.c[key].asc(), step)


def last_before(step: sa.CTE, place: Text, key: str) -> Whole:
    """Served by the index on (post_id, key) of what is shown."""
    row = comments.alias("preceding")
    between = sa.and_(row.c[key] < place, row.c[key] > bound("after"))
    return nearest(row, between, row.c[key].desc(), step)


def standing_at(steps: Sequence[Source], place: Text, key: str) -> Whole:
    """Served by the index on (post_id, key) of what is shown; `place` is the key of a row that is.

    A search and not a condition of the join, and not by equality: having statistics SQLite read the whole index
    first to know which keys there are (100 ms of 360,000), and without them PostgreSQL took the wrong one.
    """
    row = comments.alias("standing")
    return nearest(row, row.c[key] >= place, row.c[key].asc(), *steps)


def nearest(row: Source, between: sa.ColumnElement[bool], order: sa.ColumnElement[Any], *steps: Source) -> Whole:
    found = sa.select(row.c.id).where(row.c.post_id == whole("post_id"), is_shown(row), between)
    return found.order_by(order).limit(constant(1)).correlate(*steps).scalar_subquery()


def is_shown(row: Source) -> sa.ColumnElement[bool]:
    # Written out: a partial index does not serve a condition whose value is an argument.
    return row.c.shown == constant(1)


def part(text: Text, start: Whole | int, length: Whole | int) -> Text:
    """`length` characters from the `start`th on; the first is 1."""
    return sa.func.substr(text, *(constant(n) if isinstance(n, int) else n for n in (start, length)), type_=sa.Text())


def last_segment(key: Text) -> Text:
    return part(key, size(key) - constant(SEGMENT_CHARACTERS - 1), SEGMENT_CHARACTERS)


def size(text: Text) -> Whole:
    return sa.func.length(text)


def bound(name: str) -> sa.BindParameter[str]:
    return sa.bindparam(name, type_=sa.Text())


def whole(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.BigInteger())


@overload
def constant(value: int) -> Whole: ...
@overload
def constant(value: str) -> Text: ...
def constant(value: int | str) -> sa.ColumnElement[Any]:
    """Written into the statement: an argument less to bind, and a plan that can count on it."""
    kind: sa.Integer | sa.Text = sa.Integer() if isinstance(value, int) else sa.Text()
    return sa.literal_column(str(value) if isinstance(value, int) else f"'{value}'", kind)


def flag(value: Whole | int) -> Whole:
    return sa.cast(constant(value) if isinstance(value, int) else value, sa.Integer)


def as_text(engine: str, text: Text) -> Text:
    """Text that sorts by code point; both parts of a recursion must say so."""
    return sa.cast(text, sa.Text()).collate("C") if engine == "postgresql" else text
