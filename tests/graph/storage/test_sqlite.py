"""What SQLite promises as a service's database: nobody refused, nobody starved, nothing half done."""

import asyncio
import re
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from graph.storage import sqlite
from graph.storage.backends import PAGE_ROWS
from graph.storage.database import Storage
from graph.storage.errors import Busy, NotConnected, StorageError, TooSlow, UnknownScheme, ViewExpired
from graph.storage.rows import Done, Failed, Rows
from graph.storage.sqlite import path_of
from graph.storage.tables import communities, topics
from tests.graph.storage.pools import at_rest, open_files, slots_of

ROOT = Path(__file__).parents[3]
ENDLESS = sa.text("WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n")


def adding(slug: str) -> Any:
    return sa.insert(communities).values(slug=slug, name=slug, created_at=1)


async def test_600_transactions_that_read_then_write_from_16_tasks_are_all_done(sqlite_url: str) -> None:
    async with Storage.at(sqlite_url, synchronous="NORMAL") as storage:
        await storage.rows(sa.insert(topics).values(name="t", head=0, head_tag=0))

        async def advance(times: int) -> None:
            for _ in range(times):
                async with storage.database.transaction():
                    head = await storage.database.fetch_val(sa.select(topics.c.head))
                    await storage.database.execute(sa.update(topics).values(head=head + 1))

        await asyncio.gather(*(advance(600 // 16 + (task < 600 % 16)) for task in range(16)))
        assert list(await storage.rows(sa.select(topics.c.head))) == [(600,)]


def test_two_processes_both_make_progress(sqlite_url: str) -> None:
    command = [sys.executable, "-m", "tests.graph.storage.busy_writer", sqlite_url, "1.5"]
    processes = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True, cwd=ROOT) for name in "ab"]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    commits = [int(words) for words in said]
    with closing(sqlite3.connect(path_of(sqlite_url))) as connection:
        assert connection.execute("SELECT count(*) FROM communities").fetchone() == (sum(commits),)
    assert min(commits) > max(commits) / 4


class Clock:
    """Stands in for the module `time`."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


async def test_a_batch_ends_when_its_time_is_over(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(sqlite, "time", clock)

    async def slow(rows: Rows) -> None:
        await rows.rows(adding(f"{clock.now}"))
        clock.now += 0.02

    async with Storage.at(sqlite_url, batch_seconds=0.05) as storage:
        assert await storage.write([slow] * 10) == [Done(None)] * 3
        count = sa.select(sa.func.count()).select_from(communities)
        assert list(await storage.rows(count)) == [(3,)]


async def test_at_least_one_work_of_a_batch_runs_however_short_its_time(sqlite_url: str) -> None:
    async def work(rows: Rows) -> int:
        return 1

    async with Storage.at(sqlite_url, batch_seconds=0.0) as storage:
        assert await storage.write([work, work]) == [Done(1)]


async def test_a_work_that_ends_the_transaction_of_all_fails_alone(sqlite_url: str) -> None:
    async def good(rows: Rows) -> None:
        await rows.rows(adding(f"{time.monotonic_ns()}"))

    async def breaking(rows: Rows) -> None:
        await rows.rows(adding("broken"))
        await rows.rows(
            sa.text("INSERT OR ROLLBACK INTO communities (slug, name, created_at) VALUES ('broken', '', 1)")
        )

    async with Storage.at(sqlite_url) as storage:
        first, second, third = await storage.write([good, breaking, good])
        assert (first, third) == (Done(None), Done(None))
        assert isinstance(second, Failed)
        assert isinstance(second.error, sqlite3.IntegrityError)
        found = await storage.rows(sa.select(communities.c.slug))
        assert len(found) == 2
        assert ("broken",) not in found


async def test_a_statement_that_takes_too_long_is_stopped_by_name(sqlite_url: str) -> None:
    async def endless(rows: Rows) -> None:
        await rows.rows(ENDLESS)

    async with Storage.at(sqlite_url, statement_seconds=0.1) as storage:
        with pytest.raises(TooSlow):
            await storage.rows(ENDLESS)
        with pytest.raises(TooSlow):
            await storage.read(endless)
        (outcome,) = await storage.write([endless])
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, TooSlow)
        await storage.rows(adding("after all"))


async def test_a_read_view_held_too_long_expires_and_gives_its_connection_back(sqlite_url: str) -> None:
    async with Storage.at(sqlite_url, view_seconds=0.1) as storage:
        async with storage.reading() as rows:
            await rows.rows(sa.select(communities))
            with pytest.raises(ViewExpired):
                await rows.rows(ENDLESS)
            with pytest.raises(ViewExpired):
                await rows.rows(sa.select(communities))
            assert await at_rest(storage)

        async def endless(view: Rows) -> None:
            await view.rows(ENDLESS)

        with pytest.raises(ViewExpired):
            await storage.read(endless)


async def test_a_read_view_is_of_no_use_after_its_block(sqlite_url: str) -> None:
    async with Storage.at(sqlite_url) as storage:
        async with storage.reading() as rows:
            pass
        with pytest.raises(NotConnected):
            await rows.rows(sa.select(communities))


async def test_who_waits_too_long_for_a_connection_is_told(sqlite_url: str) -> None:
    async with Storage.at(sqlite_url, readers=1, wait_seconds=0.05) as storage:
        async with storage.reading() as rows:
            await rows.rows(sa.select(communities))
            with pytest.raises(Busy):
                await storage.rows(sa.select(communities))
        assert await at_rest(storage)
        assert list(await storage.rows(sa.select(communities))) == []


async def test_a_program_that_does_not_queue_is_waited_for_and_then_named(sqlite_url: str) -> None:
    rude = sqlite3.connect(path_of(sqlite_url), isolation_level=None)
    async with Storage.at(sqlite_url, wait_seconds=0.1) as storage:
        rude.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            await storage.rows(adding("a"))
        with pytest.raises(Busy):
            await storage.write([lambda rows: rows.rows(adding("a"))])
        rude.execute("ROLLBACK")
        rude.close()
        await storage.rows(adding("a"))


async def test_a_reader_cannot_write(sqlite_url: str) -> None:
    async with Storage.at(sqlite_url) as storage, storage.reading() as rows:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await rows.rows(adding("a"))


async def test_a_commit_that_fails_undoes_its_transaction_and_frees_the_writer(sqlite_url: str) -> None:
    """A reference left open until the commit makes it fail."""

    async def dangling(rows: Rows) -> None:
        await rows.rows(sa.text("PRAGMA defer_foreign_keys = ON"))
        await rows.rows(sa.text("INSERT INTO memberships (community_id, user_id, created_at) VALUES (7, 7, 1)"))

    async with Storage.at(sqlite_url) as storage:
        with pytest.raises(sqlite3.IntegrityError):
            await storage.write([dangling])
        transaction = await storage.database.transaction()
        await storage.database.execute("PRAGMA defer_foreign_keys = ON")
        await storage.database.execute("INSERT INTO memberships (community_id, user_id, created_at) VALUES (7, 7, 1)")
        with pytest.raises(sqlite3.IntegrityError):
            await transaction.commit()
        assert await at_rest(storage)
        await storage.rows(adding("a"))
        assert list(await storage.rows(sa.text("SELECT count(*) FROM memberships"))) == [(0,)]


async def test_a_transaction_that_sqlite_rolled_back_is_not_continued_outside_of_it(sqlite_url: str) -> None:
    async with Storage.at(sqlite_url) as storage:
        transaction = await storage.database.transaction()
        await storage.database.execute(adding("a"))
        with pytest.raises(sqlite3.IntegrityError):
            await storage.database.execute(
                "INSERT OR ROLLBACK INTO communities (slug, name, created_at) VALUES ('a', '', 1)"
            )
        with pytest.raises(StorageError, match="rolled"):
            await storage.database.execute(adding("b"))
        with pytest.raises(StorageError, match="rolled"):
            await transaction.commit()
        assert list(await storage.rows(sa.select(communities))) == []


async def test_a_transaction_ends_though_its_iteration_was_stopped_half_way(sqlite_url: str) -> None:
    """As long as a statement is half read, an interruption stays in force: it would stop the ROLLBACK too."""
    two_pages = [{"slug": f"{number}", "name": "", "created_at": 1} for number in range(2 * PAGE_ROWS)]

    async with Storage.at(sqlite_url, readers=1) as storage:
        await storage.database.execute_many(communities.insert(), two_pages)
        pinned = await storage._pool.pin(reads=True)
        assert isinstance(pinned, sqlite.Pinned)
        statement = sqlite.compile_statement(communities.select())
        cursor = await pinned.run(lambda worker: worker.open(statement))
        assert len(await pinned.run(lambda worker: worker.page(cursor, PAGE_ROWS))) == PAGE_ROWS
        pinned.raw.stop_job()
        await pinned.roll_back()
        assert not pinned.raw.in_transaction
        assert len(await storage.rows(communities.select())) == 2 * PAGE_ROWS


async def test_commits_survive_the_power_unless_one_asks_otherwise(sqlite_url: str) -> None:
    async def synchronous(rows: Rows) -> int:
        ((level,),) = await rows.rows(sa.text("PRAGMA synchronous"))
        return int(level)

    async with Storage.at(sqlite_url) as storage:
        assert await storage.write([synchronous]) == [Done(2)]
    async with Storage.at(f"{sqlite_url}?synchronous=NORMAL") as storage:
        assert await storage.write([synchronous]) == [Done(1)]


async def test_connecting_and_disconnecting_leaves_no_file_open(sqlite_url: str) -> None:
    before = open_files()
    for _ in range(3):
        async with Storage.at(sqlite_url) as storage:
            await storage.rows(adding(f"{time.monotonic_ns()}"))
    assert open_files() == before


async def test_disconnecting_waits_for_what_runs_and_refuses_what_comes(sqlite_url: str) -> None:
    storage = Storage.at(sqlite_url)
    await storage.connect()
    writing = asyncio.create_task(storage.write([lambda rows: rows.rows(adding("a"))]))
    await asyncio.sleep(0)
    await storage.disconnect()
    assert await writing == [Done([])]
    with pytest.raises(NotConnected):
        await storage.rows(adding("b"))


async def test_disconnecting_stops_what_does_not_end(sqlite_url: str) -> None:
    storage = Storage.at(sqlite_url, wait_seconds=0.1)
    await storage.connect()
    reading = asyncio.create_task(storage.read(lambda rows: rows.rows(ENDLESS)))
    await asyncio.sleep(0.01)
    await storage.disconnect()
    with pytest.raises(TooSlow):
        await reading


async def test_disconnecting_does_not_wait_for_a_transaction_that_nobody_ends(sqlite_url: str) -> None:
    storage = Storage.at(sqlite_url, wait_seconds=0.1)
    await storage.connect()
    async with storage.database.connection() as connection:
        transaction = await connection.transaction()
        await connection.execute(adding("a"))
        await storage.disconnect()
        with pytest.raises(NotConnected):
            await transaction.commit()


async def test_a_place_where_no_file_can_be_is_told_when_connecting(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        await Storage.at(f"sqlite:///{tmp_path}/nowhere/a.db").connect()


@pytest.mark.parametrize("scheme", ["mysql", "", "sqlite4", "postgresql+psycopg"])
def test_an_unknown_scheme_is_refused_by_name(scheme: str) -> None:
    with pytest.raises(UnknownScheme, match=f"'{re.escape(scheme)}'"):
        Storage.at(f"{scheme}://here/a")


def test_a_database_in_memory_is_refused() -> None:
    with pytest.raises(StorageError, match="memory"):
        Storage.at("sqlite:///:memory:")


def test_an_unknown_limit_is_refused() -> None:
    with pytest.raises(TypeError, match="reeders"):
        Storage.at("sqlite:///a.db", reeders=3)


async def test_limits_may_stand_in_the_address(sqlite_url: str) -> None:
    async with Storage.at(f"{sqlite_url}?readers=2&wait_seconds=0.5") as storage:
        assert [slots.size for slots in slots_of(storage)] == [1, 2]


def test_a_storage_is_not_connected_before_it_connects(sqlite_url: str) -> None:
    with pytest.raises(NotConnected):
        asyncio.run(asking(Storage.at(sqlite_url)))


async def asking(storage: Storage) -> None:
    await storage.rows(sa.select(communities))
