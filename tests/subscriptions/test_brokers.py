"""Doorbells: heard at once in the process, soon elsewhere, again after every failure; and never in the way."""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Collection
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from subscriptions.broker import Broker
from subscriptions.brokers import postgres
from subscriptions.brokers.memory import MemoryBroker
from subscriptions.brokers.postgres import PostgresBroker
from subscriptions.brokers.sqlite import SqliteBroker

SOON = 5.0  # seconds


class Ear:
    """What was heard since somebody last asked."""

    def __init__(self, broker: Broker) -> None:
        self._rings: asyncio.Queue[Collection[str] | None] = asyncio.Queue()
        self.leave = broker.listen(self._rings.put_nowait)

    async def hears(self) -> set[str] | None:
        async with asyncio.timeout(SOON):
            topics = await self._rings.get()
        return None if topics is None else set(topics)

    async def hears_until(self, topic: str) -> set[str]:
        """Everything up to and with this topic."""
        heard: set[str] = set()
        while topic not in heard:
            heard |= await self.hears() or set()
        return heard

    async def hears_of_any(self) -> None:
        while await self.hears() is not None:
            pass

    async def hears_nothing(self) -> bool:
        await asyncio.sleep(0.05)
        return self._rings.empty()


# In the process


async def test_a_ring_is_heard_at_once_by_all_who_listen() -> None:
    broker = MemoryBroker()
    one, other = Ear(broker), Ear(broker)
    broker.ring({"post:1", "post:2"})
    assert await one.hears() == await other.hears() == {"post:1", "post:2"}


async def test_who_left_hears_nothing() -> None:
    broker = MemoryBroker()
    ear = Ear(broker)
    ear.leave()
    ear.leave()
    broker.ring({"post:1"})
    assert await ear.hears_nothing()


async def test_one_may_leave_on_hearing() -> None:
    broker = MemoryBroker()
    ear = Ear(broker)
    leaving = broker.listen(lambda _: ear.leave())
    broker.ring({"post:1"})
    broker.ring({"post:2"})
    leaving()
    assert await ear.hears() == {"post:1"}
    assert await ear.hears_nothing()


# On one SQLite file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "a b?#.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE things (id INTEGER)")
    connection.close()
    return path


def write(path: Path) -> None:
    """As another process would."""
    connection = sqlite3.connect(path)
    with connection:
        connection.execute("INSERT INTO things VALUES (1)")
    connection.close()


async def test_a_commit_of_another_process_is_noticed_without_being_rung(path: Path) -> None:
    broker = SqliteBroker(path)
    ear = Ear(broker)
    await ear.hears()  # the first look
    for _ in range(3):
        write(path)
        assert await ear.hears() is None
    assert await ear.hears_nothing()
    ear.leave()


async def test_in_the_same_process_topics_are_rung_by_name(path: Path) -> None:
    broker = SqliteBroker(path)
    ear = Ear(broker)
    await ear.hears()
    broker.ring({"post:1"})
    assert await ear.hears() == {"post:1"}
    ear.leave()


async def test_the_file_is_looked_at_only_while_somebody_listens(path: Path) -> None:
    broker = SqliteBroker(path)
    one, other = Ear(broker), Ear(broker)
    one.leave()
    one.leave()
    assert broker.watching
    other.leave()
    assert not broker.watching
    again = Ear(broker)
    await again.hears()
    write(path)
    assert await again.hears() is None
    await broker.stop()
    assert not broker.watching


async def test_a_file_that_is_away_is_waited_for(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    away = path.with_suffix(".away")
    os.rename(path, away)
    broker = SqliteBroker(path, retry_seconds=0.02)
    with caplog.at_level(logging.WARNING):
        ear = Ear(broker)
        assert await ear.hears_nothing()
    assert "Cannot watch" in caplog.text
    os.rename(away, path)
    assert await ear.hears() is None
    ear.leave()


# On one PostgreSQL


async def test_a_ring_is_heard_at_once_here_and_soon_elsewhere(postgresql_url: str) -> None:
    here, there = await started(postgresql_url), await started(postgresql_url)
    near, far = Ear(here), Ear(there)
    here.ring({"post:1"})
    here.ring({"post:2"})
    assert (await near.hears(), await near.hears()) == ({"post:1"}, {"post:2"})
    assert await far.hears_until("post:2") == {"post:1", "post:2"}
    assert await near.hears_nothing()  # its own notification comes back to it
    await here.stop()
    await there.stop()


async def started(url: str, connect: postgres.Connect | None = None) -> PostgresBroker:
    """One that listens already."""
    broker = PostgresBroker(url, retry_seconds=(0.02, 0.1), connect=connect)
    ear = Ear(broker)
    await broker.start()
    assert await ear.hears() is None
    ear.leave()
    return broker


async def test_many_rings_leave_in_few_notifications(postgresql_url: str) -> None:
    listener = await asyncpg.connect(postgresql_url)
    payloads: list[str] = []
    await listener.add_listener(postgres.CHANNEL, lambda *notification: payloads.append(str(notification[3])))
    here, there = await started(postgresql_url), await started(postgresql_url)
    far = Ear(there)
    for number in range(400):
        here.ring({f"post:{number}"})
    assert len(await far.hears_until("post:399")) == 400
    assert len(payloads) <= 2
    await listener.close()
    await here.stop()
    await there.stop()


async def test_more_topics_than_fit_are_rung_as_any(postgresql_url: str) -> None:
    here, there = await started(postgresql_url), await started(postgresql_url)
    far = Ear(there)
    for topics in ({f"post:{number}" for number in range(5000)}, {"post:" + "9" * 8000}):
        here.ring(topics)
        assert await far.hears() is None
    await here.stop()
    await there.stop()


async def test_a_ring_by_hand_is_understood_as_any(postgresql_url: str) -> None:
    broker = await started(postgresql_url)
    ear = Ear(broker)
    connection = await asyncpg.connect(postgresql_url)
    for payload in ("", "hello", "7", '{"a": 1}', '["x"]', '["x", 7]', '["x", [7]]'):
        await connection.execute("SELECT pg_notify($1, $2)", postgres.CHANNEL, payload)
        assert await ear.hears() is None
    await connection.close()
    await broker.stop()


async def test_a_connection_that_is_cut_comes_back_and_what_was_missed_is_rung_as_any(postgresql_url: str) -> None:
    here, there = await started(postgresql_url), await started(postgresql_url)
    near, far = Ear(here), Ear(there)
    await cut_all(postgresql_url)
    here.ring({"post:1"})
    assert await near.hears() == {"post:1"}
    await near.hears_of_any()  # back, and cannot know what was missed
    await far.hears_of_any()
    here.ring({"post:2"})
    assert "post:2" in await far.hears_until("post:2")
    await here.stop()
    await there.stop()


async def cut_all(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%palabre_doorbell%'"
    )
    await connection.close()


async def test_without_a_server_ringing_is_not_in_the_way(free_tcp_port: int, caplog: pytest.LogCaptureFixture) -> None:
    broker = PostgresBroker(f"postgresql://nobody@127.0.0.1:{free_tcp_port}/nothing", retry_seconds=(0.01, 0.02))
    ear = Ear(broker)
    await broker.start()
    for _ in range(3):
        broker.ring({"post:1"})
        assert await ear.hears() == {"post:1"}
        await asyncio.sleep(0.02)
    await broker.stop()
    assert "will return" in caplog.text


class Silent(asyncpg.Connection):
    """The server was switched off and could not say so: who asks it waits until a limit."""

    async def execute(self, *_: object, **__: object) -> str:
        raise TimeoutError


async def test_a_server_that_does_not_answer_is_noticed(postgresql_url: str) -> None:
    classes: list[Any] = [Silent, asyncpg.Connection]

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        connection: asyncpg.Connection[asyncpg.Record]
        connection = await asyncpg.connect(postgresql_url, connection_class=classes.pop(0))
        return connection

    broker = PostgresBroker("", probe_seconds=0.05, retry_seconds=(0.01, 0.02), connect=connect)
    ear = Ear(broker)
    await broker.start()
    assert (await ear.hears(), await ear.hears()) == (None, None)  # it has listened twice
    await broker.stop()


async def test_stopping_closes_the_connection(postgresql_url: str) -> None:
    opened: list[asyncpg.Connection[asyncpg.Record]] = []

    async def connect() -> "asyncpg.Connection[asyncpg.Record]":
        opened.append(await asyncpg.connect(postgresql_url))
        return opened[-1]

    broker = await started(postgresql_url, connect)
    await broker.stop()
    await broker.stop()
    assert [connection.is_closed() for connection in opened] == [True]
