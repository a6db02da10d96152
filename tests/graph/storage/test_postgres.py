"""What PostgreSQL promises through our connections: nothing replayed blindly, nothing lost silently."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa

from graph.storage import postgres
from graph.storage.database import Storage
from graph.storage.errors import Busy, NotConnected, NotDurable, OutcomeUnknown, TooSlow, ViewExpired
from graph.storage.rows import Done, Failed, Rows
from graph.storage.tables import communities, topics
from tests.graph.storage.pools import at_rest

counted = sa.select(sa.func.count()).select_from(communities)
backend = sa.text("SELECT pg_backend_pid()")


def adding(slug: str) -> Any:
    return sa.insert(communities).values(slug=slug, name=slug, created_at=1)


@pytest.fixture
async def storage(postgresql_url: str) -> AsyncIterator[Storage]:
    async with Storage.at(postgresql_url) as storage:
        yield storage


@pytest.fixture
async def administrator(postgresql_url: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A connection beside ours."""
    connection = await asyncpg.connect(postgresql_url)
    yield connection
    await connection.close()


async def cut(administrator: "asyncpg.Connection[Any]", rows: Rows) -> None:
    """End the connection that `rows` is on, as a server that restarts does."""
    ((process,),) = await rows.rows(backend)
    asyncio.get_running_loop().create_task(administrator.execute("SELECT pg_terminate_backend($1)", process))


async def test_works_that_lock_each_other_out_are_run_again(postgresql_url: str) -> None:
    async with Storage.at(f"{postgresql_url}?deadlock_timeout=20ms") as storage:
        await storage.rows(sa.insert(topics).values([{"name": f"{n}", "head": 0, "head_tag": 0} for n in (1, 2)]))

        def advancing(first: int, second: int) -> Any:
            async def work(rows: Rows) -> None:
                for topic in (first, second):
                    await rows.rows(sa.update(topics).where(topics.c.id == topic).values(head=topics.c.head + 1))
                    await rows.rows(sa.text("SELECT pg_sleep(0.01)"))

            return work

        outcomes = await asyncio.gather(
            *(storage.write([advancing(1, 2) if number % 2 else advancing(2, 1)]) for number in range(6))
        )
        assert outcomes == [[Done(None)]] * 6
        assert list(await storage.rows(sa.select(topics.c.head))) == [(6,), (6,)]


async def test_a_work_that_swallows_a_deadlock_is_run_again_all_the_same(storage: Storage) -> None:
    tries = 0

    async def work(rows: Rows) -> int:
        nonlocal tries
        tries += 1
        try:
            await rows.rows(sa.text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$"))
        except asyncpg.DeadlockDetectedError:
            if tries < 3:
                return -1
        return tries

    async def work_at_last(rows: Rows) -> int:
        return await work(rows) if tries < 2 else 7

    assert await storage.write([work_at_last]) == [Done(7)]


async def test_works_that_never_agree_are_given_up_by_name(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "LONGEST_PAUSE_SECONDS", 0)

    async def work(rows: Rows) -> None:
        await rows.rows(adding("a"))
        await rows.rows(sa.text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"))

    with pytest.raises(asyncpg.SerializationError):
        await storage.write([work])
    assert await at_rest(storage)
    assert list(await storage.rows(counted)) == [(0,)]


async def test_a_work_that_swallows_an_error_fails_because_its_transaction_has(storage: Storage) -> None:
    async def swallowing(rows: Rows) -> None:
        await rows.rows(adding("a"))
        try:
            await rows.rows(sa.text("SELECT 1 / 0"))
        except asyncpg.DivisionByZeroError:
            return

    async def good(rows: Rows) -> None:
        await rows.rows(adding("b"))

    first, second = await storage.write([swallowing, good])
    assert isinstance(first, Failed)
    assert second == Done(None)
    assert list(await storage.rows(sa.select(communities.c.slug))) == [("b",)]


async def test_a_connection_lost_before_the_commit_costs_a_second_run(
    storage: Storage, administrator: "asyncpg.Connection[Any]"
) -> None:
    tries = 0

    async def work(rows: Rows) -> int:
        nonlocal tries
        tries += 1
        await rows.rows(adding("a"))
        if tries == 1:
            await cut(administrator, rows)
            await rows.rows(sa.text("SELECT pg_sleep(5)"))
        return tries

    assert await storage.write([work]) == [Done(2)]
    assert list(await storage.rows(counted)) == [(1,)]


async def test_a_connection_lost_while_reading_costs_a_second_run(
    storage: Storage, administrator: "asyncpg.Connection[Any]"
) -> None:
    tries = 0

    async def work(rows: Rows) -> int:
        nonlocal tries
        tries += 1
        if tries == 1:
            await cut(administrator, rows)
            await rows.rows(sa.text("SELECT pg_sleep(5)"))
        return tries

    assert await storage.read(work) == 2


async def test_a_connection_lost_inside_a_transaction_is_told_and_nothing_of_it_kept(
    storage: Storage, administrator: "asyncpg.Connection[Any]"
) -> None:
    async with storage.database.connection() as connection:
        transaction = await connection.transaction()
        await connection.execute(adding("a"))
        process = await connection.fetch_val(backend)
        await administrator.execute("SELECT pg_terminate_backend($1)", process)
        with pytest.raises(NotConnected):
            await connection.fetch_val(counted)
        with pytest.raises(NotConnected):
            await transaction.commit()
    assert await at_rest(storage)
    assert list(await storage.rows(counted)) == [(0,)]


async def test_idle_connections_that_were_cut_are_replaced(
    storage: Storage, administrator: "asyncpg.Connection[Any]"
) -> None:
    await asyncio.gather(*(storage.rows(sa.text("SELECT pg_sleep(0.01)")) for _ in range(5)))
    await administrator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    assert await storage.rows(counted) == [(0,)]
    assert await at_rest(storage)


async def test_a_connection_lost_while_committing_leaves_the_outcome_unknown(postgresql_url: str) -> None:
    """A proxy that swallows the server's answer to COMMIT: the row is there, and nobody may guess so."""
    tries = 0

    async def work(rows: Rows) -> None:
        nonlocal tries
        tries += 1
        await rows.rows(adding("a"))

    async with Proxy(postgresql_url) as proxy, Storage.at(proxy.url, connections=1) as storage:
        proxy.cut_at = b"COMMIT"
        with pytest.raises(OutcomeUnknown):
            await storage.write([work])
        assert tries == 1
        assert list(await storage.rows(counted)) == [(1,)]
        proxy.cut_at = b"COMMIT"
        transaction = await storage.database.transaction()
        await storage.database.execute(adding("b"))
        with pytest.raises(OutcomeUnknown):
            await transaction.commit()
        proxy.cut_at = b"INSERT"
        with pytest.raises(OutcomeUnknown):
            await storage.rows(adding("c"))
        assert await at_rest(storage)


async def test_a_server_that_answers_before_a_commit_is_safe_is_refused_by_name(
    postgresql_url: str, administrator: "asyncpg.Connection[Any]"
) -> None:
    name = await administrator.fetchval("SELECT current_database()")
    await administrator.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    try:
        with pytest.raises(NotDurable, match="synchronous_commit=off"):
            await Storage.at(postgresql_url).connect()
    finally:
        await administrator.execute(f'ALTER DATABASE "{name}" RESET synchronous_commit')


async def test_a_statement_that_takes_too_long_is_stopped_by_name(postgresql_url: str) -> None:
    async with Storage.at(postgresql_url, statement_seconds=0.1) as storage:
        with pytest.raises(TooSlow):
            await storage.rows(sa.text("SELECT pg_sleep(5)"))


async def test_rows_that_stay_locked_are_not_waited_for_without_end(postgresql_url: str) -> None:
    async with Storage.at(postgresql_url, wait_seconds=0.1) as storage:
        await storage.rows(adding("a"))
        async with storage.database.transaction():
            await storage.database.execute(communities.update().values(name="b"))
            with pytest.raises(Busy):
                await asyncio.create_task(storage._pool.rows(communities.update().values(name="c")))


async def test_a_read_view_held_too_long_expires_and_gives_its_connection_back(postgresql_url: str) -> None:
    async with Storage.at(postgresql_url, view_seconds=0.1) as storage:
        async with storage.reading() as rows:
            with pytest.raises(ViewExpired):
                await rows.rows(sa.text("SELECT pg_sleep(5)"))
            with pytest.raises(ViewExpired):
                await rows.rows(counted)
            assert await at_rest(storage)
        with pytest.raises(ViewExpired):
            await storage.read(lambda view: view.rows(sa.text("SELECT pg_sleep(5)")))


async def test_a_read_view_that_expires_stops_what_runs_for_all_its_readers(postgresql_url: str) -> None:
    async with Storage.at(postgresql_url, view_seconds=0.1) as storage, storage.reading() as rows:
        both = await asyncio.gather(
            rows.rows(sa.text("SELECT pg_sleep(60)")),
            rows.rows(sa.text("SELECT pg_sleep(60)")),
            return_exceptions=True,
        )
        assert [type(result) for result in both] == [ViewExpired, ViewExpired]
        assert await at_rest(storage)


async def test_a_statement_planned_before_a_migration_is_planned_again(storage: Storage) -> None:
    note = sa.table("note", sa.column("text"))

    async def work(rows: Rows) -> Any:
        return list(await rows.rows(sa.select(note.c.text)))

    await storage.rows(sa.text("CREATE TABLE note (text varchar(5))"))
    try:
        assert await storage.write([work]) == [Done([])]
        await storage.rows(sa.text("ALTER TABLE note ALTER COLUMN text TYPE text"))
        assert await storage.write([work]) == [Done([])]
    finally:
        await storage.rows(sa.text("DROP TABLE note"))


async def test_no_more_connections_are_made_than_allowed(postgresql_url: str) -> None:
    async with Storage.at(postgresql_url, connections=2) as storage:
        found = await asyncio.gather(*(storage.rows(backend) for _ in range(20)))
        assert len({process for ((process,),) in found}) <= 2


async def test_disconnecting_waits_for_what_runs_and_refuses_what_comes(postgresql_url: str) -> None:
    storage = Storage.at(postgresql_url)
    await storage.connect()
    running = asyncio.create_task(storage._pool.rows(sa.text("SELECT 1 FROM pg_sleep(0.05)")))
    await asyncio.sleep(0.01)
    await storage.disconnect()
    assert await running == [(1,)]
    with pytest.raises(NotConnected):
        await storage.rows(counted)


async def test_disconnecting_cuts_what_does_not_end(postgresql_url: str) -> None:
    storage = Storage.at(postgresql_url, wait_seconds=0.1)
    await storage.connect()
    running = asyncio.create_task(storage._pool.rows(sa.text("SELECT 1 FROM pg_sleep(5)")))
    await asyncio.sleep(0.01)
    await storage.disconnect()
    with pytest.raises(NotConnected):
        await running


async def test_disconnecting_does_not_wait_for_a_transaction_that_nobody_ends(postgresql_url: str) -> None:
    storage = Storage.at(postgresql_url, wait_seconds=0.1)
    await storage.connect()
    async with storage.database.connection() as connection:
        transaction = await connection.transaction()
        await connection.execute(adding("a"))
        await storage.disconnect()
        with pytest.raises(NotConnected):
            await transaction.commit()


class Proxy:
    """Passes bytes on to the server, until it sees some after which it passes nothing back."""

    def __init__(self, url: str) -> None:
        self._host, self._port = "127.0.0.1", 5432
        self._to = url
        self.cut_at: bytes | None = None

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        before, _, after = self._to.partition("@")
        self.url = f"{before}@127.0.0.1:{port}/{after.partition('/')[2]}?ssl=false"
        host, _, number = after.partition("/")[0].partition(":")
        self._host, self._port = host, int(number or 5432)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._host, self._port)
        back = asyncio.create_task(self._back(there_reader, writer))
        while data := await reader.read(65536):
            there_writer.write(data)
            if self.cut_at is not None and self.cut_at in data:
                self.cut_at = None
                back.cancel()
                await asyncio.wait([back])
                await there_reader.read(1)  # it has answered, so it has done it
                break
        back.cancel()
        writer.close()
        there_writer.close()

    async def _back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
        writer.close()
