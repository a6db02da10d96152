"""A few connections shared by many: first come, first served, and nobody waits without end."""

import asyncio
import collections
import time
from collections.abc import Iterable
from typing import Generic, TypeVar

from graph.observing.histogram import Histogram
from graph.storage.errors import Busy, NotConnected

T = TypeVar("T")


class Slots(Generic[T]):
    """Closed from the beginning when there are no `items`."""

    def __init__(self, name: str, items: Iterable[T] = (), *, wait_seconds: float) -> None:
        self.name = name
        self.waits = Histogram()  # seconds, of those who came when none was free
        self._wait_seconds = wait_seconds
        self._idle = list(items)
        self._waiting: collections.deque[asyncio.Future[T]] = collections.deque()
        self.size = len(self._idle)
        self._closed = not self.size

    @property
    def idle(self) -> int:
        return len(self._idle)

    async def take(self) -> T:
        """Raises Busy when none became free in time.  Each item taken must be given back once."""
        if self._closed:
            raise NotConnected("the database is not connected")
        if self._idle:
            return self._idle.pop()  # the one used last: its pages are in memory
        turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._wait_seconds):
                return await turn
        except BaseException as error:
            self._leave(turn)
            if isinstance(error, TimeoutError):
                raise Busy(f"no {self.name} became free within {self._wait_seconds:g} s") from error
            raise
        finally:
            self.waits.observe(time.perf_counter() - began)

    def give(self, item: T) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(item)
                return
        self._idle.append(item)

    def _leave(self, turn: "asyncio.Future[T]") -> None:
        # Cancelled or late, but perhaps already served: then what was handed over goes to the next.
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self.give(turn.result())
        else:
            turn.cancel()

    async def close(self) -> None:
        """Returns once all items have come back; later or waiting takers get NotConnected."""
        self._closed = True
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(NotConnected("the database is not connected"))
        self._waiting.clear()
        await self._wait_for_all()

    async def _wait_for_all(self) -> None:
        for _ in range(self.size - len(self._idle)):
            turn: asyncio.Future[T] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            await turn
