"""Whether the process lives and is ready, as those who watch over it are told."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa
from starlette.applications import Starlette

from graph.observing.health import Health
from graph.storage.database import Storage
from graph.storage.migrate import newest_version

READY = (200, {"status": "ready"})


class Away:
    """A database that answers nothing until it is told to."""

    engine = "sqlite"

    def __init__(self) -> None:
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.back = asyncio.Event()

    async def rows(self, _: sa.Executable) -> Any:
        self.asked += 1
        self.was_asked.set()
        await self.back.wait()
        return [(newest_version(),)]


class Refusing:
    engine = "sqlite"

    async def rows(self, _: sa.Executable) -> Any:
        raise OSError("could not connect to db.internal as palabre, password hunter2")


async def asked(health: Health, path: str = "/readyz", method: str = "GET") -> httpx2.Response:
    transport = httpx2.ASGITransport(app=Starlette(routes=health.routes()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://palabre.test") as client:
        return await client.request(method, path)


async def answer(health: Health) -> tuple[int, Any]:
    response = await asked(health)
    return response.status_code, response.json()


def not_ready(*parts: str) -> tuple[int, Any]:
    return 503, {"status": "not ready", "notReady": list(parts)}


@pytest.fixture
async def version(storage: Storage) -> AsyncIterator[Any]:
    """Says that the database is of another version, for the time of the test."""

    async def write(version: str) -> None:
        table = sa.table("alembic_version", sa.column("version_num"))
        await storage.rows(table.update().values(version_num=version))

    yield write
    await write(newest_version())


async def test_a_process_whose_database_answers_and_whose_log_is_read_is_ready(storage: Storage) -> None:
    assert await answer(Health(storage, lambda: 4.9)) == READY


async def test_a_process_lives_whatever_has_become_of_its_database() -> None:
    response = await asked(Health(Refusing(), lambda: 1e9), "/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_a_database_that_does_not_answer_in_time_is_told_in_time() -> None:
    health = Health(Away(), lambda: 0.0, database_seconds=0.02)
    assert await answer(health) == not_ready("database")


async def test_a_database_that_answers_again_makes_it_ready_again() -> None:
    away = Away()
    health = Health(away, lambda: 0.0, database_seconds=0.02)
    assert await answer(health) == not_ready("database")
    away.back.set()
    assert await answer(health) == READY


async def test_what_a_database_refuses_with_is_not_told_to_strangers() -> None:
    response = await asked(Health(Refusing(), lambda: 0.0))
    assert response.json() == {"status": "not ready", "notReady": ["database"]}


async def test_however_many_ask_one_looks() -> None:
    away = Away()
    health = Health(away, lambda: 0.0)
    asking = [asyncio.create_task(health.what_is_not_ready()) for _ in range(50)]
    await away.was_asked.wait()
    away.back.set()
    assert await asyncio.gather(*asking) == [[]] * 50
    assert away.asked == 1


async def test_one_who_asks_and_goes_away_takes_nothing_from_the_others() -> None:
    away = Away()
    health = Health(away, lambda: 0.0)
    leaving, staying = [asyncio.create_task(health.what_is_not_ready()) for _ in range(2)]
    await away.was_asked.wait()
    leaving.cancel()
    away.back.set()
    assert await staying == []


async def test_a_schema_of_another_version_is_not_ready(storage: Storage, version: Any) -> None:
    health = Health(storage, lambda: 0.0)
    await version("9999")
    assert await answer(health) == not_ready("schema")
    await version(newest_version())
    assert await answer(health) == READY


async def test_a_log_that_nobody_reads_is_not_ready(storage: Storage) -> None:
    assert await answer(Health(storage, lambda: 5.1)) == not_ready("log")


async def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert await answer(Health(Refusing(), lambda: 60.0)) == not_ready("database", "log")


async def test_who_was_told_to_stop_is_not_ready_and_asks_no_database() -> None:
    away = Away()
    health = Health(away, lambda: 0.0)
    health.stop()
    assert await answer(health) == not_ready("stopping")
    assert away.asked == 0


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_both_answer_get_and_head_alone_and_are_never_kept(storage: Storage, path: str) -> None:
    health = Health(storage, lambda: 0.0)
    head = await asked(health, path, "HEAD")
    assert (head.status_code, head.headers["cache-control"]) == (200, "no-store")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert (await asked(health, path, method)).status_code == 405
