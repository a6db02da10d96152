"""Each shape of a statement is compiled once, and its values are never mixed up."""

import re
import sqlite3
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from graph.storage import postgres, sqlite
from graph.storage.database import Storage
from graph.storage.statements import Statement, Statements
from graph.storage.tables import communities, tokens, users

both_engines = pytest.mark.parametrize("engine", [sqlite, postgres], ids=["sqlite", "postgresql"])


@both_engines
def test_a_shape_is_compiled_once(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = 0
    statements = Statements(engine.compile_statement.dialect)
    original = sa.Select._compiler

    def counting(self: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal compiled
        compiled += 1
        return original(self, *arguments, **options)

    monkeypatch.setattr(sa.Select, "_compiler", counting)
    for number in range(10):
        statement = statements(sa.select(users.c.handle).where(users.c.id == number).limit(number))
        assert list(statement.arguments)[:2] == [number, number]
    assert compiled == 1


@both_engines
@given(ids=st.lists(st.integers(0, 99), min_size=1), word=st.text(), more=st.lists(st.text(), max_size=3))
def test_values_reach_their_places(engine: Any, ids: list[int], word: str, more: list[str]) -> None:
    condition = sa.and_(users.c.bio == word, users.c.id.in_(ids), users.c.handle.in_(more), users.c.locale == "fr")
    statement = engine.compile_statement(sa.select(users.c.id).where(condition))
    assert in_the_order_of_the_text(statement) == [word, *ids, *more, "fr"]


def in_the_order_of_the_text(statement: Statement) -> list[Any]:
    places = re.findall(r"\$(\d+)", statement.sql)  # PostgreSQL's are numbered, SQLite's are not
    return [statement.arguments[int(place) - 1] for place in places] if places else list(statement.arguments)


@both_engines
@pytest.mark.parametrize(
    ("statement", "reads", "inserts", "returns"),
    [
        (sa.select(users), True, False, True),
        (sa.select(users).union_all(sa.select(users)), True, False, True),
        (sa.select(users).with_for_update(), False, False, True),
        (sa.update(users).values(bio="x"), False, False, False),
        (sa.delete(users).returning(users.c.id), False, False, True),
        (sa.insert(communities).values(slug="a").returning(communities.c.id), False, True, True),
        (sa.text("  select 1"), True, False, True),
        (sa.text("(SELECT 1)"), True, False, True),
        (sa.text("UPDATE users SET bio = 'select'"), False, False, False),
        (sa.text("insert into users (id) values (1) returning id"), False, True, True),
        (sa.schema.CreateTable(users), False, False, False),
    ],
    ids=str,
)
def test_what_a_statement_does_is_known_before_it_runs(
    engine: Any, statement: sa.Executable, reads: bool, inserts: bool, returns: bool
) -> None:
    found = engine.compile_statement(statement)
    assert (found.reads, found.inserts, found.returns) == (reads, inserts, returns)


async def test_numbers_text_and_bytes_come_back_as_they_went(storage: Storage) -> None:
    await storage.rows(
        sa.insert(users).values(
            id=2**53 + 1, handle="élève ☕ 100 %", handle_key="'\"\\", display_name="", created_at=-1
        )
    )
    await storage.rows(
        sa.insert(tokens).values(user_id=2**53 + 1, kind="API", secret_hash=b"\x00\xff", created_at=1, last_used_at=1)
    )
    columns = (users.c.id, users.c.handle, users.c.handle_key, users.c.display_name, users.c.bio, users.c.created_at)
    found = await storage.rows(sa.select(*columns, tokens.c.secret_hash).join(tokens))
    assert list(found) == [(2**53 + 1, "élève ☕ 100 %", "'\"\\", "", None, -1, b"\x00\xff")]
    assert all(type(row) is tuple for row in found)


async def test_an_error_of_the_driver_passes_unchanged(storage: Storage) -> None:
    with pytest.raises(sqlite3.OperationalError if storage.engine == "sqlite" else asyncpg.UndefinedTableError):
        await storage.rows(sa.text("SELECT * FROM nowhere"))
