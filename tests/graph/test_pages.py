"""Pages of lists: which part is asked for, where a page stands, and cursors that only their own list takes."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from graphql import GraphQLError
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graph import access
from graph.audience import VISITOR
from graph.execution.fields import Asking, Columns, Entity
from graph.ids import encoded
from graph.pages import PAGE_LIMIT, PAGE_SIZE, Order, Page, Slice, empty_page, page, page_per_owner
from graph.storage.database import Storage
from graph.storage.tables import communities, users

WHOLE = 23  # rows, of which many have equal keys


class Person(Entity):
    table = users
    see = access.SEE_USER


RISING = Order("people", (users.c.created_at, users.c.id))
FALLING = Order("people-down", (users.c.created_at, users.c.id), descending=True)


@pytest.fixture
async def people(storage: Storage) -> list[int]:
    """Ids in rising order: by their moment, of which there are three, then by id."""
    rows = [
        {
            "handle": f"p{number}",
            "handle_key": f"p{number}",
            "display_name": "",
            "created_at": number * 7 % 3,
            "role": f"{number % 2}",
        }
        for number in range(WHOLE)
    ]
    found = await storage.rows(sa.insert(users).values(rows).returning(users.c.id, users.c.created_at))
    return [key for key, _ in sorted(map(tuple, found), key=lambda row: (row[1], row[0]))]


async def read(storage: Storage, order: Order, **given: Any) -> Page:
    asked = Slice.of(**{"first": None, "after": None, "last": None, "before": None} | given)
    async with storage.reading() as rows:
        asking = Asking(rows, VISITOR, "https://palabre.test")
        return await page(asking, Columns(Person, [users.c.id]), order, asked, [])


def keys(found: Page) -> list[int]:
    assert [edge.node for edge in found.edges] == found.rows
    return [row[0] for row in found.rows]


# Slices -------------------------------------------------------------------------------------------------------------


def asked(**given: Any) -> tuple[int, bool]:
    found = Slice.of(**{"first": None, "after": None, "last": None, "before": None} | given)
    return found.size, found.backward


def test_a_page_is_taken_from_the_end_that_is_named() -> None:
    assert asked() == (PAGE_SIZE, False)
    assert asked(first=5) == (5, False)
    assert asked(last=5) == (5, True)
    assert asked(after="a") == (PAGE_SIZE, False)
    assert asked(before="b") == (PAGE_SIZE, True)
    assert asked(after="a", before="b") == (PAGE_SIZE, False)
    assert asked(first=5, before="b") == (5, False)
    assert asked(last=5, after="a") == (5, True)
    assert asked(first=0) == (0, False)
    assert asked(first=PAGE_LIMIT) == (PAGE_LIMIT, False)


@pytest.mark.parametrize("size", [-1, PAGE_LIMIT + 1, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("name", ["first", "last"])
def test_a_page_of_too_many_or_less_than_none_is_refused(name: str, size: int) -> None:
    with pytest.raises(GraphQLError) as refused:
        asked(**{name: size})
    assert refused.value.message == f"`{name}` is {size}; it can be 0 to 100."
    assert refused.value.extensions == {"code": "VALIDATION", "limit": 100, "actual": size}


def test_a_page_has_one_end() -> None:
    with pytest.raises(GraphQLError) as refused:
        asked(first=1, last=1)
    assert refused.value.message == "Give `first` or `last`, not both."


# Pages --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [RISING, FALLING], ids=["rising", "falling"])
async def test_every_page_is_the_part_of_the_list_that_was_asked_for(
    storage: Storage, people: list[int], order: Order
) -> None:
    whole = people if order is RISING else people[::-1]
    cursors = [edge.cursor for edge in (await read(storage, order, first=WHOLE)).edges]
    for place, size in product((0, 6, 11, WHOLE - 1), (0, 1, 5, WHOLE)):
        after = whole[place + 1 :]
        found = await read(storage, order, first=size, after=cursors[place])
        assert keys(found) == after[:size]
        assert (found.page_info.has_next_page, found.page_info.has_previous_page) == (size < len(after), True)

        before = whole[:place]
        found = await read(storage, order, last=size, before=cursors[place])
        assert keys(found) == before[max(0, len(before) - size) :]
        assert (found.page_info.has_previous_page, found.page_info.has_next_page) == (size < len(before), True)

    between = await read(storage, order, first=100, after=cursors[3], before=cursors[9])
    assert keys(between) == whole[4:9]
    assert (between.page_info.start_cursor, between.page_info.end_cursor) == (cursors[4], cursors[8])
    nothing = await read(storage, order, first=100, after=cursors[9], before=cursors[3])
    assert (nothing.rows, nothing.page_info.start_cursor, nothing.page_info.end_cursor) == ([], None, None)


async def test_a_list_read_to_its_end_has_nothing_more(storage: Storage, people: list[int]) -> None:
    for end in ("first", "last"):
        info = (await read(storage, RISING, **{end: WHOLE})).page_info
        assert (info.has_next_page, info.has_previous_page) == (False, False)


async def test_pages_of_many_owners_are_read_at_once_each_as_by_itself(storage: Storage, people: list[int]) -> None:
    owners = ["1", "0", "1", "none"]
    reads = 0

    class Counting:
        def __init__(self, rows: Any) -> None:
            self.engine, self._rows = rows.engine, rows

        async def rows(self, statement: sa.Executable) -> Sequence[Any]:
            nonlocal reads
            reads += 1
            found: Sequence[Any] = await self._rows.rows(statement)
            return found

    async with storage.reading() as rows:
        asking = Asking(Counting(rows), VISITOR, "https://palabre.test")
        wanted = Columns(Person, [users.c.id])
        slices = Slice.of(3, None, None, None)
        pages = await page_per_owner(asking, wanted, RISING, slices, users.c.role, owners, [])  # type: ignore[arg-type]  # what a caller may get wrong
    roles = dict(map(tuple, await storage.rows(sa.select(users.c.id, users.c.role))))
    by_role = {role: [key for key in people if roles[key] == role] for role in "01"}
    assert [keys(found) for found in pages] == [by_role["1"][:3], by_role["0"][:3], by_role["1"][:3], []]
    assert [found.page_info.has_next_page for found in pages] == [True, True, True, False]
    assert reads == 1


def test_an_empty_page_stands_nowhere() -> None:
    found = empty_page()
    assert (found.rows, found.edges, found.page_info.has_next_page, found.page_info.end_cursor) == ([], [], False, None)


# Cursors ------------------------------------------------------------------------------------------------------------


def code_of(order: Order, cursor: str) -> Any:
    with pytest.raises(GraphQLError) as refused:
        order.values(cursor)
    assert refused.value.extensions is not None
    return refused.value.extensions["code"]


@given(moment=st.integers(-(2**63), 2**63 - 1), key=st.integers(0, 2**63 - 1))
def test_a_cursor_holds_the_place(moment: int, key: int) -> None:
    assert RISING.values(RISING.cursor((moment, key))) == (moment, key)


def test_a_cursor_of_another_list_is_refused() -> None:
    assert code_of(RISING, FALLING.cursor((1, 1))) == "CURSOR_INVALID"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON | st.builds(lambda rest: ["people", *rest], st.lists(JSON, max_size=3)))
@example(["people", None, 1])
@example(["people", True, 1])
@example(["people", 1.0, 1])
@example(["people", "1", "1"])
@example(["people", 2**63, 1])
@example(["people", 1])
@example(["people", 1, 1, 1])
def test_what_a_list_never_gave_out_is_refused(value: Any) -> None:
    try:
        text = orjson.dumps(value).decode()
    except TypeError:
        return  # numbers of more than 64 bits cannot stand in it
    match value:
        case ["people", int(moment), int(key)] if not isinstance(moment, bool) and not isinstance(key, bool):
            if max(abs(moment), abs(key)) < 2**63:
                return
    assert code_of(RISING, encoded(text)) == "CURSOR_INVALID"


@given(text=st.text(max_size=60))
@example("[" * 1000)
@example("\x00")
def test_any_text_is_a_cursor_of_the_list_or_is_refused(text: str) -> None:
    assert code_of(RISING, text) == "CURSOR_INVALID"
    assert code_of(RISING, encoded(text)) == "CURSOR_INVALID"


@settings(max_examples=20)
@given(text=st.text(max_size=20))
async def test_whatever_a_cursor_says_the_database_can_compare_with_it(storage: Storage, text: str) -> None:
    order = Order("slugs", (communities.c.slug, communities.c.id))
    cursor = encoded(orjson.dumps(["slugs", text, 1]).decode())
    try:
        bound = order.past(cursor, backward=False)
    except GraphQLError:
        assert "\x00" in text
        return
    assert list(await storage.rows(sa.select(communities.c.id).where(bound))) == []
