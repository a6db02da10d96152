"""SQL that the engines spell apart says the same on both."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.sqlite import pysqlite

from graph.storage import postgres, sqlite
from graph.storage.database import Storage
from graph.storage.rows import Row, among, first_per_parent
from graph.storage.tables import comments, posts, users

PARENTS = 5
COLUMNS = (comments.c.id, comments.c.body, (comments.c.number * 2).label("doubled"))


def a_comment(post_id: int, number: int, parent_id: int | None = None, *, shown: int = 1) -> dict[str, Any]:
    return {
        "post_id": post_id,
        "parent_id": parent_id,
        "author_id": 1,
        "number": number,
        "depth": 0,
        "path": f"{number:05}",
        "rpath": f"{number:05}",
        "status": "PUBLISHED",
        "shown": shown,
        "body": f"comment {number}",
        "body_html": "",
        "body_text": "",
        "created_at": number // 7,
    }


@pytest.fixture
async def thread(storage: Storage) -> Storage:
    """A post whose first five comments have between 0 and 40 replies, some of them not shown."""
    chance = random.Random(5)
    await storage.rows(sa.insert(users).values(id=1, handle="ada", handle_key="ada", display_name="Ada", created_at=1))
    post = {"id": 1, "author_id": 1, "slug": "p", "title": "P", "body": "", "body_html": "", "body_text": ""}
    await storage.rows(sa.insert(posts).values(**post, state="PUBLISHED", created_at=1, last_activity_at=1))
    for number in range(1, PARENTS + 1):
        await storage.rows(sa.insert(comments).values(a_comment(1, number)))
    replies = [parent for parent in range(1, PARENTS + 1) for _ in range(10 * (parent - 1))]
    chance.shuffle(replies)
    rows = [
        a_comment(1, number, parent, shown=chance.randrange(2)) for number, parent in enumerate(replies, PARENTS + 1)
    ]
    await storage.rows(sa.insert(comments).values(rows))
    return storage


def by_row_number(
    parent_ids: Sequence[int], order_by: Sequence[Any], limit: int, where: sa.ColumnElement[bool]
) -> sa.Select[Any]:
    """The textbook's way: number all rows of each parent, keep the first."""
    place = sa.func.row_number().over(partition_by=comments.c.parent_id, order_by=order_by).label("place")
    numbered = sa.select(comments.c.parent_id, *COLUMNS, place).where(comments.c.parent_id.in_(parent_ids), where)
    inner = numbered.subquery()
    columns = [column for column in inner.c if column.name != "place"]
    return sa.select(*columns).where(inner.c.place <= limit).order_by(inner.c.parent_id, inner.c.place)


@given(
    parent_ids=st.lists(st.integers(1, PARENTS + 2), unique=True),
    limit=st.integers(0, 45),
    order_by=st.sampled_from(
        [
            (comments.c.number,),
            (comments.c.number.desc(),),
            (comments.c.created_at.desc(), comments.c.id),
            ((comments.c.number % 3).desc(), comments.c.id.asc()),
        ]
    ),
    where=st.sampled_from([sa.true(), comments.c.shown == 1, comments.c.number > 30, comments.c.body.like("%3%")]),
)
async def test_the_first_rows_of_each_parent_are_those_of_row_number(
    thread: Storage,
    parent_ids: list[int],
    limit: int,
    order_by: Sequence[Any],
    where: sa.ColumnElement[bool],
) -> None:
    given = (comments, comments.c.parent_id, parent_ids, COLUMNS)
    ours = first_per_parent(thread.engine, *given, order_by=order_by, limit=limit, where=where)
    expected = await thread.rows(by_row_number(parent_ids, order_by, limit, where))
    assert list(await thread.rows(ours)) == in_the_order_of(parent_ids, expected)


def in_the_order_of(parent_ids: Sequence[int], rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: parent_ids.index(row[0]))


async def test_a_parent_costs_one_seek_in_the_index(thread: Storage) -> None:
    """Not a scan of its rows: SQLite's plan and PostgreSQL's both say so."""
    given = (comments, comments.c.parent_id, [1, 2], [comments.c.id])
    statement = first_per_parent(thread.engine, *given, order_by=[comments.c.number], limit=3)
    compiled = (sqlite if thread.engine == "sqlite" else postgres).compile_statement(statement)
    if thread.engine == "sqlite":
        plan = await thread.rows(explained(compiled.sql, compiled.arguments))
        text = "\n".join(row[3] for row in plan)
        assert "SCAN parents" in text
        assert "SEARCH comments USING COVERING INDEX comments_parent_id_number_index" in text
        assert "SEARCH chosen USING INTEGER PRIMARY KEY" in text
    else:
        assert "LATERAL" in compiled.sql


def explained(sql: str, arguments: Sequence[Any]) -> sa.TextClause:
    names = iter(f"argument_{place}" for place in range(len(arguments)))
    spelled = "".join(f":{next(names)}" if character == "?" else character for character in sql)
    values = {f"argument_{place}": value for place, value in enumerate(arguments)}
    return sa.text(f"EXPLAIN QUERY PLAN {spelled}").bindparams(**values)


@given(ids=st.lists(st.integers(-(2**63), 2**63 - 1) | st.integers(1, 9)))
async def test_among_numbers_is_in(thread: Storage, ids: list[int]) -> None:
    select = sa.select(comments.c.id).order_by(comments.c.id)
    ours = await thread.rows(select.where(among(comments.c.id, ids)))
    assert [number for (number,) in ours] == sorted({*ids} & {*range(1, PARENTS + 101)})


@given(words=st.lists(st.sampled_from(["ada", "Ada", "été", "it's", '"', "\\", "", "1"]) | st.text("ad", max_size=3)))
async def test_among_words_is_in(thread: Storage, words: list[str]) -> None:
    found = await thread.rows(sa.select(users.c.handle).where(among(users.c.handle_key, words)))
    assert list(found) == ([("ada",)] if "ada" in words else [])


async def test_none_of_many_is_not_among(thread: Storage) -> None:
    select = sa.select(sa.func.count()).select_from(comments)
    assert list(await thread.rows(select.where(~among(comments.c.id, [1, 2])))) == [(PARENTS + 100 - 2,)]


@pytest.mark.parametrize("engine", [sqlite, postgres], ids=["sqlite", "postgresql"])
def test_the_text_of_a_statement_does_not_depend_on_how_many_are_asked(engine: Any) -> None:
    def text(ids: list[int]) -> str:
        return str(engine.compile_statement(sa.select(comments.c.body).where(among(comments.c.id, ids))).sql)

    assert text([1]) == text(list(range(1000)))
    assert engine.compile_statement(sa.select(users).where(among(users.c.id, [4, 5]))).arguments in (
        ["[4,5]"],
        [[4, 5]],
    )


def test_among_stands_in_a_condition_as_it_is_so_that_sqlite_can_use_an_index() -> None:
    asked = sa.select(comments.c.id).where(among(comments.c.id, [1, 2]))

    assert str(asked.compile(dialect=pysqlite.dialect())).endswith("comments.id IN (SELECT value FROM json_each(?))")
