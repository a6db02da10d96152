"""A work is an ordinary coroutine whose only wait is for rows."""

import asyncio
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
import sqlalchemy as sa

from graph.storage.driving import DrivenRows, drive, drive_async
from graph.storage.errors import ForeignAwait
from graph.storage.rows import Row, Work

ROWS = DrivenRows("sqlite")
ONE, BAD = sa.text("SELECT 1"), sa.text("SELECT bad")


class Refused(Exception):
    pass


def answer(statement: sa.Executable) -> Sequence[Row]:
    if statement is BAD:
        raise Refused
    return [(1,)]


async def answer_later(statement: sa.Executable) -> Sequence[Row]:
    await asyncio.sleep(0)
    return answer(statement)


async def both(work: Work[Any]) -> list[Any]:
    """What each driver makes of it."""
    return [await asyncio.to_thread(drive, work(ROWS), answer), await drive_async(work(ROWS), answer_later)]


async def test_each_statement_is_answered_where_it_is_awaited() -> None:
    async def work(rows: Any) -> Any:
        return [await rows.rows(ONE), await rows.rows(ONE), rows.engine]

    assert await both(work) == [[[(1,)], [(1,)], "sqlite"]] * 2


async def test_a_work_that_asks_nothing_ends_at_once() -> None:
    async def work(rows: Any) -> int:
        return 7

    assert await both(work) == [7, 7]


async def test_what_a_statement_raises_is_raised_at_its_await() -> None:
    async def work(rows: Any) -> str:
        try:
            await rows.rows(BAD)
        except Refused:
            await rows.rows(ONE)
            return "caught"
        return "not raised"

    assert await both(work) == ["caught", "caught"]


async def test_what_a_work_raises_is_raised_by_its_driver() -> None:
    async def work(rows: Any) -> None:
        await rows.rows(BAD)

    with pytest.raises(Refused):
        drive(work(ROWS), answer)
    with pytest.raises(Refused):
        await drive_async(work(ROWS), answer_later)


@pytest.mark.parametrize(
    "foreign",
    [
        lambda: asyncio.sleep(0),
        lambda: asyncio.sleep(0.5),
        lambda: asyncio.Event().wait(),
        lambda: asyncio.to_thread(int),
    ],
    ids=["yield", "timer", "event", "thread"],
)
async def test_awaiting_anything_else_is_refused_by_name(foreign: Any) -> None:
    async def work(rows: Any) -> None:
        await foreign()

    with pytest.raises(ForeignAwait):
        await asyncio.to_thread(drive, work(ROWS), answer)
    with pytest.raises(ForeignAwait):
        await drive_async(work(ROWS), answer_later)


async def test_awaiting_something_of_anyio_is_refused() -> None:
    async def work(rows: Any) -> None:
        await anyio.sleep(0.5)

    with pytest.raises(Exception, match=r"(?i)await|async|event loop"):
        await asyncio.to_thread(drive, work(ROWS), answer)


async def test_a_work_that_is_cancelled_may_clean_up() -> None:
    cleaned = asyncio.Event()

    async def work(rows: Any) -> None:
        try:
            await rows.rows(ONE)
        finally:
            cleaned.set()

    async def never(statement: sa.Executable) -> Sequence[Row]:
        await asyncio.Event().wait()
        return []

    task = asyncio.create_task(drive_async(work(ROWS), never))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned.is_set()


async def test_rows_kept_after_their_work_are_of_no_use() -> None:
    with pytest.raises(RuntimeError, match="rows of a work that has ended"):
        await asyncio.create_task(ROWS.rows(ONE))
