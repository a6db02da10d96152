"""The window against its definition: a plain recursion over the whole tree in memory."""

import random
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from graph.comments.paths import path_below, rpath_below
from graph.comments.window import (
    Gap,
    GapReason,
    Page,
    Place,
    Shape,
    Sort,
    Window,
    decode_place,
    encode_place,
    window,
)
from graph.storage.database import Storage
from graph.storage.rows import Done, Row, Rows
from graph.storage.statements import Statements
from graph.storage.tables import comments, posts, users

COLUMNS = (comments.c.number, comments.c.body)


@dataclass
class Node:
    """A comment of a tree in memory."""

    id: int
    number: int
    depth: int
    path: str
    rpath: str
    published: bool
    parent: "Node | None" = field(repr=False)
    replies: list["Node"] = field(default_factory=list, repr=False)  # oldest first

    @property
    def shown(self) -> bool:
        return self.published or any(reply.shown for reply in self.replies)

    def below(self) -> list["Node"]:
        """What is shown below it."""
        return [node for reply in self.replies if reply.shown for node in (reply, *reply.below())]

    def key(self, sort: Sort) -> str:
        return self.path if sort is Sort.OLDEST else self.rpath

    def ancestors(self) -> list["Node"]:
        return [*self.parent.ancestors(), self.parent] if self.parent else []


@dataclass
class Tree:
    post_id: int
    nodes: list[Node]

    def below(self, base: Node | None) -> list[Node]:
        return base.below() if base else [node for root in self.roots() for node in (root, *root.below())]

    def roots(self) -> list[Node]:
        return [node for node in self.nodes if node.parent is None and node.shown]

    def replies(self, base: Node | None, sort: Sort) -> list[Node]:
        """What is shown directly below it, in the order asked."""
        replies = [reply for reply in base.replies if reply.shown] if base else self.roots()
        return replies if sort is Sort.OLDEST else replies[::-1]


@dataclass(frozen=True)
class Asked:
    """What the window is a function of, besides the tree."""

    base: Node | None = None
    sort: Sort = Sort.OLDEST
    shape: Shape = field(default_factory=Shape)
    focus: Node | None = None


@dataclass(frozen=True)
class Listed:
    """A row of the window, as defined."""

    node: Node
    levels_left: int  # below it; none: its replies are folded by depth


def defined(tree: Tree, asked: Asked) -> list[Listed]:
    """The definition of the window."""
    way: list[Node] = []
    if asked.focus and asked.focus.shown and asked.focus in tree.below(asked.base):
        way = [*asked.focus.ancestors(), asked.focus]

    def listed(parent: Node | None, shown_replies: float, levels_left: int, folded: bool) -> Iterator[Listed]:
        for place, reply in enumerate(tree.replies(parent, asked.sort)):
            if not folded and place < shown_replies and levels_left:
                yield Listed(reply, levels_left - 1)
                yield from listed(reply, asked.shape.replies_per_parent, levels_left - 1, False)
            elif reply in way:
                yield Listed(reply, asked.shape.max_depth if reply is asked.focus else levels_left - 1)
                if reply is asked.focus:
                    yield from listed(reply, asked.shape.replies_per_parent, asked.shape.max_depth, False)
                else:
                    yield from listed(reply, 0, levels_left - 1, True)

    return list(listed(asked.base, float("inf"), asked.shape.max_depth, False))


def gap_of(tree: Tree, asked: Asked, listed: Listed, shown: set[int]) -> Gap | None:
    """The definition of what stands at a row whose replies are not all in the window."""
    replies = tree.replies(listed.node, asked.sort)
    folded = [reply for reply in replies if reply.id not in shown]
    if not folded:
        return None
    leading = replies[: replies.index(folded[0])]
    return Gap(
        count=sum(1 + len(reply.below()) for reply in folded),
        direct_count=len(folded),
        reason=GapReason.SIBLINGS if listed.levels_left > 0 else GapReason.DEPTH,
        cursor=Place(asked.sort, leading[-1].key(asked.sort) + "~") if leading else None,
    )


def defined_gaps(tree: Tree, asked: Asked) -> dict[int, Gap | None]:
    rows = defined(tree, asked)
    shown = {row.node.id for row in rows}
    return {row.node.id: gap_of(tree, asked, row, shown) for row in rows}


@dataclass(frozen=True)
class Expected:
    """A page, as defined: a slice of the window."""

    ids: list[int]
    context: list[int]
    has_next: bool
    has_previous: bool


def sliced(tree: Tree, asked: Asked, page: Page) -> Expected:
    nodes = [row.node for row in defined(tree, asked)]
    keys = [node.key(asked.sort) for node in nodes]
    start = sum(key <= page.after.path_text for key in keys) if page.after else 0
    limit = end = sum(key < page.before.path_text for key in keys) if page.before else len(keys)
    if not page.after and not page.before and asked.focus in nodes:
        start = nodes.index(asked.focus)
    end = max(start, end)  # the places may have changed sides
    if page.first is not None:
        end = min(end, start + page.first)
    else:
        start = max(start, end - (page.last or 0))
    rows = nodes[start:end]
    depth = asked.base.depth + 1 if asked.base else 0
    context = [node.id for node in rows[0].ancestors()[depth:]] if rows else []
    return Expected([node.id for node in rows], context, min(end, limit) < len(nodes), start > 0)


async def opened(rows: Rows, tree: Tree, asked: Asked, page: Page) -> Window:
    return await window(
        rows,
        post_id=tree.post_id,
        base=asked.base.path if asked.base else None,
        sort=asked.sort,
        shape=asked.shape,
        page=page,
        focus=asked.focus.path if asked.focus else None,
        columns=COLUMNS,
    )


def seen(page: Window) -> Expected:
    return Expected([row.id for row in page.rows], [row.id for row in page.context], page.has_next, page.has_previous)


numbers_of_trees = count(1)


async def plant(storage: Storage, parents: Sequence[int | None], unpublished: Sequence[int] = ()) -> Tree:
    """A post with comments: for each the number of its parent, None for roots; numbers begin at 1."""

    async def planting(rows: Rows) -> Tree:
        name = f"tree-{next(numbers_of_trees)}"
        ((author_id,),) = await rows.rows(
            sa.insert(users).values(handle=name, handle_key=name, display_name=name, created_at=0).returning(users.c.id)
        )
        text = {"body": "", "body_html": "", "body_text": ""}
        times = {"created_at": 0, "last_activity_at": 0}
        adding = sa.insert(posts).values(author_id=author_id, slug=name, title=name, state="PUBLISHED", **text, **times)
        ((post_id,),) = await rows.rows(adding.returning(posts.c.id))
        ((last_id,),) = await rows.rows(sa.select(sa.func.coalesce(sa.func.max(comments.c.id), 0)))
        tree = Tree(post_id, grown(parents, unpublished, last_id))
        for some in batched(tree.nodes, 500):
            values = [stored(node, post_id, author_id) for node in some]
            await rows.rows(sa.insert(comments).values(values))
        return tree

    (outcome,) = await storage.write([planting])
    assert isinstance(outcome, Done), outcome
    tree = outcome.value
    assert isinstance(tree, Tree)
    return tree


def batched(nodes: Sequence[Node], size: int) -> list[Sequence[Node]]:
    """SQLite takes so many arguments, and not more."""
    return [nodes[start : start + size] for start in range(0, len(nodes), size)]


def grown(parents: Sequence[int | None], unpublished: Sequence[int], last_id: int) -> list[Node]:
    nodes: list[Node] = []
    for number, parent_number in enumerate(parents, 1):
        parent = nodes[parent_number - 1] if parent_number else None
        node = Node(
            id=last_id + number,
            number=number,
            depth=parent.depth + 1 if parent else 0,
            path=path_below(parent.path if parent else None, number),
            rpath=rpath_below(parent.rpath if parent else None, number),
            published=number not in unpublished,
            parent=parent,
        )
        nodes.append(node)
        if parent:
            parent.replies.append(node)
    return nodes


def stored(node: Node, post_id: int, author_id: int) -> dict[str, Any]:
    return {
        "id": node.id,
        "post_id": post_id,
        "parent_id": node.parent and node.parent.id,
        "author_id": author_id,
        "number": node.number,
        "depth": node.depth,
        "path": node.path,
        "rpath": node.rpath,
        "status": "PUBLISHED" if node.published else "PENDING",
        "shown": int(node.shown),
        "body": f"comment {node.number}",
        "body_html": "",
        "body_text": "",
        "created_at": node.number,
        "reply_count": sum(reply.shown for reply in node.replies),
        "descendant_count": len(node.below()),
    }


@dataclass(frozen=True)
class Sketch:
    """A tree and a question, before they have rows."""

    parents: list[int | None]
    unpublished: list[int]
    base: int | None  # a number
    focus: int | None
    sort: Sort
    shape: Shape
    ends: list[tuple[int, int]]  # of places

    async def planted(self, storage: Storage) -> tuple[Tree, Asked]:
        tree = await plant(storage, self.parents, self.unpublished)
        base = tree.nodes[self.base - 1] if self.base else None
        focus = tree.nodes[self.focus - 1] if self.focus else None
        return tree, Asked(base, self.sort, self.shape, focus)


@st.composite
def sketches(draw: st.DrawFn) -> Sketch:
    size = draw(st.integers(0, 30))
    reach = draw(st.sampled_from([1, 3, 30]))  # how far back a reply finds its parent: chains, or wide crowns
    parents = [draw(st.integers(max(0, number - 1 - reach), number - 1)) or None for number in range(1, size + 1)]
    some = st.none() | st.integers(1, size) if size else st.none()
    end = st.integers(0, 2 * size)
    return Sketch(
        parents,
        draw(st.lists(st.integers(1, size), unique=True, max_size=size // 2)) if size else [],
        base=draw(some),
        focus=draw(some),
        sort=draw(st.sampled_from(Sort)),
        shape=Shape(draw(st.integers(1, 5)), draw(st.integers(1, 4))),
        ends=draw(st.lists(st.tuples(end, end), min_size=5, max_size=20)),
    )


def places(tree: Tree, sort: Sort) -> list[Place | None]:
    """Every place that a cursor can name, those of rows that are not shown among them."""
    return [None, *(Place(sort, node.key(sort) + end) for node in tree.nodes for end in ("", "~"))]


# Each example plants a post of its own, so that the database need not be emptied between them.
thoroughly = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@thoroughly
@given(sketch=sketches())
async def test_every_page_is_a_slice_of_the_window(storage: Storage, sketch: Sketch) -> None:
    tree, asked = await sketch.planted(storage)
    pages = [
        *(Page(first=size, after=place) for size in (1, 4) for place in places(tree, asked.sort)),
        *(Page(last=size, before=place) for size in (1, 4) for place in places(tree, asked.sort)),
    ]

    async def compare(rows: Rows) -> None:
        for page in pages:
            assert seen(await opened(rows, tree, asked, page)) == sliced(tree, asked, page), page

    await storage.read(compare)


@thoroughly
@given(sketch=sketches())
async def test_a_page_between_two_places_is_a_slice_of_the_window(storage: Storage, sketch: Sketch) -> None:
    tree, asked = await sketch.planted(storage)
    known = places(tree, asked.sort)
    pages = [
        page
        for after, before in ((known[a], known[b]) for a, b in sketch.ends)
        for size in (0, 2, 100)
        for page in (Page(first=size, after=after, before=before), Page(last=size, after=after, before=before))
    ]

    async def compare(rows: Rows) -> None:
        for page in pages:
            assert seen(await opened(rows, tree, asked, page)) == sliced(tree, asked, page), page

    await storage.read(compare)


@thoroughly
@given(sketch=sketches())
async def test_every_row_tells_what_is_folded_below_it_and_where_it_goes_on(storage: Storage, sketch: Sketch) -> None:
    tree, asked = await sketch.planted(storage)

    async def compare(rows: Rows) -> None:
        start = Place(asked.sort, asked.base.key(asked.sort) if asked.base else "00000")
        for page in (Page(first=100, after=start), Page(last=100, after=start)):
            found = await opened(rows, tree, asked, page)
            gaps = {row.id: row.more for row in found.rows}
            assert gaps == defined_gaps(tree, asked)
            folded = sum(gap.count for gap in gaps.values() if gap)
            assert len(found.rows) + folded == len(tree.below(asked.base))

    await storage.read(compare)


@thoroughly
@given(sketch=sketches())
async def test_going_on_from_a_gap_brings_what_was_folded_and_nothing_else(storage: Storage, sketch: Sketch) -> None:
    tree, asked = await replace(sketch, focus=None).planted(storage)
    whole = Shape(100, 100)

    async def compare(rows: Rows) -> None:
        shown = {row.node.id for row in defined(tree, asked)}
        for node in (row.node for row in defined(tree, asked)):
            gap = defined_gaps(tree, asked)[node.id]
            if gap:
                below = replace(asked, base=node, shape=whole)
                found = await opened(rows, tree, below, Page(first=100, after=gap.cursor))
                folded = {reply.id for reply in node.below()} - shown
                assert {row.id for row in found.rows} <= folded
                assert len(found.rows) == gap.count

    await storage.read(compare)


async def test_a_row_brings_its_columns_and_where_it_stands(storage: Storage) -> None:
    tree = await plant(storage, [None, 1])
    page = await opened(storage, tree, Asked(), Page(first=2))
    root, reply = page.rows
    assert root.values == (1, "comment 1")
    assert (reply.id, reply.depth, reply.parent_id) == (tree.nodes[1].id, 1, root.id)
    assert reply.path == "0000100002"
    assert reply.place == Place(Sort.OLDEST, "0000100002")


async def test_newest_puts_new_siblings_first_and_replies_below_their_comment(storage: Storage) -> None:
    tree = await plant(storage, [None, None, 1, 1])
    page = await opened(storage, tree, Asked(sort=Sort.NEWEST), Page(first=9))
    assert [row.values[0] for row in page.rows] == [2, 1, 4, 3]


async def test_a_page_in_a_deep_branch_brings_the_comments_above_it(storage: Storage) -> None:
    tree = await plant(storage, [None, 1, 2, 3, None])
    after = Place(Sort.OLDEST, tree.nodes[2].path)
    page = await opened(storage, tree, Asked(), Page(first=1, after=after))
    assert [row.values[0] for row in page.rows] == [4]
    assert [row.values[0] for row in page.context] == [1, 2, 3]


async def test_a_branch_that_goes_on_in_the_next_page_is_not_folded(storage: Storage) -> None:
    tree = await plant(storage, [None, 1, 1, 1])
    page = await opened(storage, tree, Asked(), Page(first=2))
    assert [row.more for row in page.rows] == [None, None]
    assert page.has_next


async def test_a_page_begins_at_the_focused_comment(storage: Storage) -> None:
    tree = await plant(storage, [None, None, 2, None])
    page = await opened(storage, tree, Asked(focus=tree.nodes[2]), Page(first=9))
    assert [row.values[0] for row in page.rows] == [3, 4]
    assert [row.values[0] for row in page.context] == [2]
    assert page.has_previous


async def test_a_folded_focus_is_shown_with_the_way_to_it_and_nothing_beside_it(storage: Storage) -> None:
    parents = [None, 1, 2, 2, 3, 3, 6]
    tree = await plant(storage, parents)
    asked = Asked(shape=Shape(max_depth=2), focus=tree.nodes[5])
    page = await opened(storage, tree, asked, Page(first=9, after=Place(Sort.OLDEST, "00000")))
    assert [row.values[0] for row in page.rows] == [1, 2, 3, 6, 7]
    assert [row.more and (row.more.count, row.more.reason.value) for row in page.rows] == [
        None,
        (1, "DEPTH"),
        (1, "DEPTH"),
        None,
        None,
    ]


async def test_a_focus_that_is_not_shown_is_as_none(storage: Storage) -> None:
    tree = await plant(storage, [None, None, None], unpublished=[2])
    page = await opened(storage, tree, Asked(focus=tree.nodes[1]), Page(first=9))
    assert [row.values[0] for row in page.rows] == [1, 3]


async def test_comments_of_other_posts_stay_out(storage: Storage) -> None:
    await plant(storage, [None, 1, 1])
    tree = await plant(storage, [None])
    page = await opened(storage, tree, Asked(), Page(first=9))
    assert [row.id for row in page.rows] == [tree.nodes[0].id]


async def test_a_count_that_is_too_high_hides_no_reply(storage: Storage) -> None:
    tree = await plant(storage, [None, 1, 1])
    await storage.rows(sa.update(comments).where(comments.c.parent_id.is_(None)).values(reply_count=99))
    page = await opened(storage, tree, Asked(), Page(first=9))
    assert [row.values[0] for row in page.rows] == [1, 2, 3]


def test_a_place_comes_back_from_plain_values() -> None:
    place = Place(Sort.NEWEST, "VVVVU~")
    assert decode_place(encode_place(place), Sort.NEWEST) == place


def test_a_place_of_another_order_is_refused() -> None:
    with pytest.raises(ValueError, match="a place in the order NEWEST cannot be found in the order OLDEST"):
        decode_place(["NEWEST", "VVVVU"], Sort.OLDEST)


async def test_a_page_at_a_place_of_another_order_is_refused(storage: Storage) -> None:
    tree = await plant(storage, [None])
    with pytest.raises(ValueError, match="cannot be found in the order OLDEST"):
        await opened(storage, tree, Asked(), Page(first=1, after=Place(Sort.NEWEST, "VVVVU")))


@pytest.mark.parametrize("text", ["", "~", "0000", "0000w", "00001-", "00001~~", "00001" * 101, "00001\n"])
def test_a_malformed_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no place in a thread"):
        decode_place(["OLDEST", text], Sort.OLDEST)


@pytest.mark.parametrize("values", [[], ["OLDEST"], ["TOP", "00001"], ["OLDEST", 1], [None, "00001"]])
def test_values_that_are_no_place_are_refused(values: list[object]) -> None:
    with pytest.raises(ValueError, match="not a place in a thread"):
        decode_place(values, Sort.OLDEST)


@pytest.mark.parametrize("given", [{}, {"first": 1, "last": 1}, {"first": -1}, {"last": -1}])
def test_a_page_has_one_end_to_count_from(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="`first` or `last`"):
        Page(**given)


@pytest.mark.parametrize("given", [(0, 1), (1, 0)])
def test_a_shape_shows_something(given: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one level"):
        Shape(*given)


class Counting:
    """Rows that remember what was asked of them."""

    def __init__(self, rows: Rows) -> None:
        self.inner, self.engine = rows, rows.engine
        self.statements: list[sa.Executable] = []

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        self.statements.append(statement)
        return await self.inner.rows(statement)


async def test_a_page_forward_is_one_statement_and_one_backward_two(storage: Storage) -> None:
    tree = await plant(storage, [None, *[1] * 30, *[2] * 30])
    rows = Counting(storage)
    middle = Place(Sort.OLDEST, tree.nodes[4].path)
    await opened(rows, tree, Asked(), Page(first=5, after=middle))
    assert len(rows.statements) == 1
    await opened(rows, tree, Asked(), Page(last=5, before=middle))
    assert len(rows.statements) == 3


class Metered:
    """Rows of SQLite, and the steps of its machine that they took: the same on every computer."""

    engine = "sqlite"

    def __init__(self, url: str) -> None:
        self._connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        self._statements = Statements(sqlite.dialect())
        self._connection.set_progress_handler(self._step, 1)
        self.steps = 0

    def _step(self) -> int:
        self.steps += 1
        return 0

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        compiled = self._statements(statement)
        return self._connection.execute(compiled.sql, compiled.arguments).fetchall()

    async def steps_of(self, tree: Tree, asked: Asked, page: Page) -> int:
        self.steps = 0
        assert len((await opened(self, tree, asked, page)).rows) == 20
        return self.steps

    def close(self) -> None:
        self._connection.close()


def crowned(size: int) -> list[int | None]:
    """Parents of a tree with replies at all depths, most of them folded in the window, and more the larger it is."""
    choose = random.Random(1)
    return [number and choose.choice((number, choose.randint(1, number), None)) for number in range(size)]


@pytest.mark.parametrize("sort", Sort)
@pytest.mark.parametrize("analyzed", [False, True])
async def test_a_page_of_a_tree_ten_times_as_large_takes_no_more_steps(
    sqlite_url: str, sort: Sort, analyzed: bool
) -> None:
    async with Storage.at(sqlite_url) as storage:
        trees = [await plant(storage, crowned(size)) for size in (300, 3_000)]
        if analyzed:
            await storage.rows(sa.text("ANALYZE"))
    asked = Asked(sort=sort, shape=Shape(3, 2))
    rows = Metered(sqlite_url)
    for kind in ("first", "middle", "last"):
        small, large = [await rows.steps_of(tree, asked, page_of(tree, asked, kind)) for tree in trees]
        assert large < 1.5 * small, kind
    rows.close()


def page_of(tree: Tree, asked: Asked, kind: str) -> Page:
    if kind == "last":
        return Page(last=20)
    nodes = [row.node for row in defined(tree, asked)]
    middle = Place(asked.sort, nodes[len(nodes) // 2].key(asked.sort))
    return Page(first=20, after=middle if kind == "middle" else None)
