"""Running a coroutine whose only wait is for rows, without an event loop or within one.

Such a coroutine yields each statement to its driver and is sent the rows.  So an action is a plain `async def`
that on SQLite runs to its end inside one hop to the writer's thread, and on PostgreSQL between asyncio's waits.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar, cast

import sqlalchemy as sa

from graph.storage.errors import ForeignAwait
from graph.storage.rows import Row

T = TypeVar("T")


class Asked:
    """A statement on its way to the driver."""

    __slots__ = ("statement",)

    def __init__(self, statement: sa.Executable) -> None:
        self.statement = statement

    def __await__(self) -> Generator["Asked", Sequence[Row], Sequence[Row]]:
        return (yield self)

    def __repr__(self) -> str:
        return "rows of a work that has ended, or of another one"


class DrivenRows:
    """The `Rows` of a driven coroutine; of no use outside of it."""

    __slots__ = ("engine",)

    def __init__(self, engine: str) -> None:
        self.engine = engine

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        return await Asked(statement)


def drive(work: Coroutine[Any, Any, T], run: Callable[[sa.Executable], Sequence[Row]]) -> T:
    """Run `work` to its end in this thread; what a statement raises is raised at its await."""
    answer: Sequence[Row] | None = None
    error: Exception | None = None
    try:
        with _no_loop():
            while True:
                asked = work.send(answer) if error is None else work.throw(error)
                answer = error = None
                try:
                    answer = run(_statement(asked))
                except Exception as raised:
                    error = raised
    except StopIteration as end:
        return cast(T, end.value)
    finally:
        work.close()


async def drive_async(work: Coroutine[Any, Any, T], run: Callable[[sa.Executable], Awaitable[Sequence[Row]]]) -> T:
    """The same between asyncio's waits; a cancellation too is raised at the await it meets."""
    answer: Sequence[Row] | None = None
    error: BaseException | None = None
    try:
        while True:
            asked = work.send(answer) if error is None else work.throw(error)
            answer = error = None
            try:
                answer = await run(_statement(asked))
            except BaseException as raised:
                error = raised
    except StopIteration as end:
        return cast(T, end.value)
    finally:
        work.close()


def _statement(asked: object) -> sa.Executable:
    if not isinstance(asked, Asked):
        raise ForeignAwait(asked)
    return asked.statement


class _NoLoop:
    """Stands where asyncio looks for a running loop, so that awaiting a timer or a lock fails by name."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ForeignAwait(f"something of asyncio ({name})")


_NO_LOOP = cast(asyncio.AbstractEventLoop, _NoLoop())


@contextmanager
def _no_loop() -> Iterator[None]:
    before = asyncio._get_running_loop()
    asyncio._set_running_loop(_NO_LOOP)
    try:
        yield
    finally:
        asyncio._set_running_loop(before)
