"""Whatever is cancelled, wherever: every connection comes back, clean."""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa

from graph.storage.database import Storage
from graph.storage.rows import Rows
from graph.storage.tables import communities
from tests.graph.storage.pools import at_rest, open_files

ROUNDS = 60
LONGEST_DELAY_SECONDS = 0.006

counted = sa.select(sa.func.count()).select_from(communities)


def adding(slug: str) -> Any:
    return sa.insert(communities).values(slug=slug, name=slug, created_at=1).returning(communities.c.id)


def slow(storage: Storage) -> sa.Executable:
    """About a second, if nobody stops it."""
    if storage.engine == "postgresql":
        return sa.text("SELECT pg_sleep(1)")
    return sa.text(
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 9000000) SELECT max(i) FROM n"
    )


async def alone(storage: Storage) -> None:
    await storage.rows(counted)
    await storage.rows(adding(f"alone {random.random()}"))


async def reading(storage: Storage) -> None:
    async with storage.reading() as rows:
        await asyncio.gather(*(rows.rows(counted) for _ in range(3)))
        await rows.rows(slow(storage))


async def driven_reading(storage: Storage) -> None:
    async def work(rows: Rows) -> None:
        await rows.rows(counted)
        await rows.rows(slow(storage))

    await storage.read(work)


async def writing(storage: Storage) -> None:
    async def work(rows: Rows) -> None:
        await rows.rows(counted)
        await rows.rows(adding(f"work {random.random()}"))

    await storage.write([work, work])


async def in_a_transaction(storage: Storage) -> None:
    async with storage.database.transaction():
        await storage.database.fetch_val(counted)
        await storage.database.execute(adding(f"transaction {random.random()}"))
        async with storage.database.transaction():
            await storage.database.execute(adding(f"nested {random.random()}"))


async def iterating(storage: Storage) -> None:
    async for _ in storage.database.iterate(sa.select(communities)):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    "use", [alone, reading, driven_reading, writing, in_a_transaction, iterating], ids=lambda use: str(use.__name__)
)
async def test_a_task_cancelled_at_any_point_leaks_nothing(
    storage: Storage, use: Callable[[Storage], Coroutine[Any, Any, None]]
) -> None:
    await storage.rows(adding("first"))
    chance = random.Random(7)
    assert await at_rest(storage)
    files = open_files()
    for _ in range(ROUNDS):
        tasks = [asyncio.create_task(use(storage)) for _ in range(3)]
        for task in tasks:
            await asyncio.sleep(chance.uniform(0, LONGEST_DELAY_SECONDS) / 3)
            task.cancel()
            if chance.random() < 0.3:  # a second one, while the first is being answered
                await asyncio.sleep(0)
                task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
    assert await at_rest(storage)
    assert open_files() <= files + 10 if storage.engine == "postgresql" else open_files() == files
    await storage.rows(adding("last"))
    async with storage.database.transaction():
        await storage.database.execute(adding("after all"))
    found = await storage.rows(sa.select(communities.c.slug).where(communities.c.slug.in_(["last", "after all"])))
    assert len(found) == 2


async def test_a_cancelled_statement_is_stopped_and_not_only_left_alone(storage: Storage) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(storage.rows(slow(storage)))
    await asyncio.sleep(0.05)
    task.cancel()
    began = loop.time()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await at_rest(storage)
    assert loop.time() - began < 0.5


async def test_a_batch_that_has_begun_is_finished_though_its_caller_leaves(storage: Storage) -> None:
    began = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def work(rows: Rows) -> None:
        await rows.rows(adding("kept"))
        loop.call_soon_threadsafe(began.set)
        await rows.rows(counted)

    task = asyncio.create_task(storage.write([work]))
    await began.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert await at_rest(storage)
    assert list(await storage.rows(counted)) == [(1,)]


async def test_a_batch_that_waits_can_be_cancelled_and_does_nothing(sqlite_url: str) -> None:
    async def work(rows: Rows) -> None:
        await rows.rows(adding("never"))

    async with Storage.at(sqlite_url) as storage:
        async with storage.database.transaction():
            await storage.database.execute(adding("holds the writer"))
            task = asyncio.create_task(storage.write([work]))
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await at_rest(storage)
        assert list(await storage.rows(counted)) == [(1,)]


async def test_one_reader_of_a_view_that_leaves_does_not_fail_the_others(storage: Storage) -> None:
    async with storage.reading() as rows:
        leaving = asyncio.create_task(rows.rows(slow(storage)))
        await asyncio.sleep(0.03)
        staying = asyncio.create_task(rows.rows(counted))
        leaving.cancel()
        assert list(await staying) == [(0,)]
