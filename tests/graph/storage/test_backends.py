"""The `databases` API gives the same on both engines, and holds no connection that it does not need."""

import asyncio
import datetime
import gc
from collections.abc import AsyncIterator
from typing import Any

import databases
import pytest
import sqlalchemy as sa

from graph.storage.database import Storage
from graph.storage.tables import communities, metadata
from tests.graph.storage.pools import at_rest

# Of the kinds of columns that our own tables do without.
notes = sa.Table(
    "notes",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("text", sa.String(100)),
    sa.Column("done", sa.Boolean),
    sa.Column("at", sa.DateTime),
    sa.Column("data", sa.JSON),
)
NOON = datetime.datetime(2026, 1, 2, 12)


@pytest.fixture
async def database(storage: Storage) -> AsyncIterator[databases.Database]:
    await storage.rows(sa.schema.CreateTable(notes))
    yield storage.database
    await storage.rows(sa.schema.DropTable(notes))


async def test_a_row_has_its_values_by_place_name_column_and_attribute(database: databases.Database) -> None:
    await database.execute(notes.insert(), {"text": "one", "done": True, "at": NOON, "data": {"a": [1, "b"]}})
    record: Any = await database.fetch_one(notes.select())
    assert (record[0], record["text"], record[notes.c.done], record.at) == (1, "one", True, NOON)
    assert dict(record) == {"id": 1, "text": "one", "done": True, "at": NOON, "data": {"a": [1, "b"]}}
    assert record._mapping == dict(record)
    assert len(record) == 5
    assert list(record.keys()) == list(record)
    assert list(record.values())[:2] == [1, "one"]
    with pytest.raises(AttributeError):
        _ = record.nothing
    with pytest.raises(KeyError):
        _ = record["nothing"]


async def test_plain_text_reads_and_writes(database: databases.Database) -> None:
    await database.execute("INSERT INTO notes (text) VALUES (:text)", {"text": "it's 100 %"})
    await database.execute_many("INSERT INTO notes (text) VALUES (:text)", [{"text": "two"}, {"text": "three"}])
    assert await database.fetch_val("SELECT count(*) FROM notes") == 3
    found: Any = await database.fetch_all("SELECT id, text FROM notes WHERE text LIKE :like", {"like": "t%"})
    assert [(record.id, record["text"]) for record in found] == [(2, "two"), (3, "three")]
    assert await database.fetch_one("SELECT id FROM notes WHERE id = :id", {"id": 9}) is None
    assert await database.fetch_all("SELECT id FROM notes WHERE id = :id", {"id": 9}) == []


async def test_execute_gives_the_new_id_the_first_value_or_the_rows_changed(database: databases.Database) -> None:
    assert await database.execute(notes.insert(), {"text": "one"}) == 1
    assert await database.execute(notes.insert().returning(notes.c.text), {"text": "two"}) == "two"
    assert await database.execute(notes.update().values(done=False)) == 2
    assert await database.execute(sa.select(notes.c.text).order_by(notes.c.id.desc())) == "two"
    assert await database.execute("UPDATE notes SET done = NULL WHERE id = 7") == 0
    assert await database.execute(notes.delete().where(notes.c.id == 1)) == 1
    assert await database.fetch_val(notes.select().with_only_columns(notes.c.id)) == 2


async def test_a_text_that_begins_with_with_may_write(storage: Storage, database: databases.Database) -> None:
    text = "WITH word(value) AS (SELECT 'w') INSERT INTO notes (text) SELECT value FROM word RETURNING id"
    assert [record[0] for record in await database.fetch_all(text)] == [1]


async def test_one_bad_value_among_many_writes_none(database: databases.Database) -> None:
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        await database.execute_many(notes.insert(), [{"id": 1}, {"id": 2}, {"id": 1}])
    assert await database.fetch_val("SELECT count(*) FROM notes") == 0


async def failing(database: databases.Database, number: int) -> None:
    async with database.transaction():
        await database.execute(notes.insert(), {"id": number})
        raise ValueError("no")


async def test_a_transaction_is_undone_by_what_is_raised_in_it(database: databases.Database) -> None:
    with pytest.raises(ValueError, match="no"):
        await failing(database, 1)
    async with database.transaction():
        await database.execute(notes.insert(), {"id": 2})
    assert await ids(database) == [2]


async def test_a_nested_transaction_is_undone_by_itself(database: databases.Database) -> None:
    async with database.transaction():
        await database.execute(notes.insert(), {"id": 1})
        with pytest.raises(ValueError, match="no"):
            await failing(database, 2)
        async with database.transaction():
            await database.execute(notes.insert(), {"id": 3})
        async with database.transaction(force_rollback=True):
            await database.execute(notes.insert(), {"id": 4})
        assert await ids(database) == [1, 3]
    assert await ids(database) == [1, 3]


async def test_the_low_level_form_of_a_transaction(database: databases.Database) -> None:
    transaction = await database.transaction()
    await database.execute(notes.insert(), {"id": 1})
    await transaction.rollback()
    transaction = await database.transaction()
    await database.execute(notes.insert(), {"id": 2})
    await transaction.commit()
    assert await ids(database) == [2]


async def test_a_readonly_transaction_sees_one_snapshot(storage: Storage, database: databases.Database) -> None:
    async with database.transaction(readonly=True):
        assert await ids(database) == []
        await storage.rows(notes.insert().values(id=1))
        assert await ids(database) == []
    assert await ids(database) == [1]


async def test_a_readonly_transaction_cannot_write(database: databases.Database) -> None:
    async with database.transaction(readonly=True, force_rollback=True):
        with pytest.raises(Exception, match=r"(?i)read-?only"):
            await database.execute(notes.insert(), {"id": 2})


async def test_each_task_has_its_own_transaction(database: databases.Database) -> None:
    async def add(number: int) -> None:
        async with database.transaction():
            await database.execute(notes.insert(), {"id": number})
            await asyncio.sleep(0)
            if number % 2:
                raise ValueError("odd")

    results = await asyncio.gather(*(add(number) for number in range(10)), return_exceptions=True)
    assert [type(result).__name__ for result in results] == ["NoneType", "ValueError"] * 5
    assert await ids(database) == [0, 2, 4, 6, 8]


async def test_iterating_gives_all_rows_and_keeps_no_writer_waiting(
    storage: Storage, database: databases.Database
) -> None:
    await database.execute_many(notes.insert(), [{"id": number, "text": "x"} for number in range(1, 451)])
    seen: list[int] = []
    async for record in database.iterate(notes.select().order_by(notes.c.id)):
        if len(seen) == 3:
            await asyncio.create_task(storage.rows(notes.delete().where(notes.c.id == 450)))
        seen.append(record[0])
    assert seen == list(range(1, 451))
    assert await at_rest(storage)


async def test_a_database_that_forces_rollback_leaves_nothing(database_url: str) -> None:
    scheme, rest = database_url.split(":", 1)
    address = f"{scheme}+palabre:{rest}"
    async with databases.Database(address, force_rollback=True) as database:
        await database.execute(communities.insert(), {"slug": "a", "name": "A", "created_at": 1})
        assert await database.fetch_val("SELECT count(*) FROM communities") == 1
    async with databases.Database(address, readers=1) as database:
        assert await database.fetch_val("SELECT count(*) FROM communities") == 0


async def test_a_task_that_forgets_its_transaction_gives_its_connection_back(
    storage: Storage, database: databases.Database
) -> None:
    async def forget() -> None:
        await database.transaction()
        await database.execute(notes.insert(), {"id": 1})

    await asyncio.create_task(forget())
    gc.collect()
    await database.execute(notes.insert(), {"id": 2})
    assert await ids(database) == [2]


async def test_the_driver_s_connection_is_there_inside_a_transaction(
    storage: Storage, database: databases.Database
) -> None:
    async with database.connection() as connection, connection.transaction():
        await connection.execute(notes.insert(), {"id": 1})
        raw = connection.raw_connection
        if storage.engine == "sqlite":
            async with raw.execute("SELECT id FROM notes") as cursor:
                assert await cursor.fetchall() == [(1,)]
        else:
            assert await raw.fetchval("SELECT id FROM notes") == 1


async def ids(database: databases.Database) -> list[int]:
    return [record[0] for record in await database.fetch_all(notes.select().order_by(notes.c.id))]


def test_our_own_tables_need_none_of_these_kinds() -> None:
    kinds = {type(column.type) for table in metadata.tables.values() for column in table.columns}
    assert kinds == {sa.BigInteger, sa.Text, sa.LargeBinary}
