"""The broker of many machines on one PostgreSQL: LISTEN and NOTIFY on a connection of its own.

Notifications are sent after the commit and not within it, which cost 69 % of the write throughput, and those of a
few milliseconds leave together.
"""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Collection

import asyncpg
import orjson

from subscriptions.broker import Heard
from subscriptions.brokers.memory import MemoryBroker

logger = logging.getLogger(__name__)

CHANNEL = "palabre_doorbell"
PAYLOAD_BYTES = 7_900  # PostgreSQL takes less than 8000
LISTED_TOPICS = 500  # more than these are rung as "any"

Connect = Callable[[], Awaitable["asyncpg.Connection[asyncpg.Record]"]]


class PostgresBroker:
    """Rings within the process at once and elsewhere a little later; keeps its connection alive by itself."""

    def __init__(
        self,
        url: str,
        *,
        gather_seconds: float = 0.005,
        probe_seconds: float = 10.0,
        retry_seconds: tuple[float, float] = (0.1, 5.0),
        connect: Connect | None = None,
    ) -> None:
        self._connect: Connect = connect or (lambda: asyncpg.connect(url, timeout=5, command_timeout=5))
        self._gather_seconds = gather_seconds
        self._probe_seconds = probe_seconds  # how soon a connection that died without a word is noticed
        self._retry_seconds = retry_seconds
        self._bell = MemoryBroker()
        self._name = secrets.token_hex(4)  # tells our own notifications from those of others
        self._rung: set[str] = set()
        self._sending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._supervise(), name="postgres doorbell")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def ring(self, topics: Collection[str]) -> None:
        self._bell.ring(topics)
        if len(self._rung) <= LISTED_TOPICS:  # beyond that they are no longer told apart
            self._rung.update(topics)
        self._sending.set()

    def listen(self, heard: Heard) -> Callable[[], None]:
        return self._bell.listen(heard)

    async def _supervise(self) -> None:
        """Connect, serve until the connection fails, and again, ever more patiently."""
        shortest, longest = self._retry_seconds
        pause_seconds = shortest
        while True:
            began = time.monotonic()
            try:
                await self._serve(await self._connect())
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as failure:
                logger.warning("The doorbell has lost PostgreSQL and will return: %s", failure)
            if time.monotonic() - began > longest:
                pause_seconds = shortest
            # With jitter: the workers of many machines must not all return in the same instant.
            await asyncio.sleep(pause_seconds * random.uniform(0.5, 1.5))
            pause_seconds = min(2 * pause_seconds, longest)

    async def _serve(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        try:
            connection.add_termination_listener(lambda _: self._sending.set())
            await connection.add_listener(CHANNEL, self._received)
            self._bell.ring(None)  # what was rung while we were away was not heard
            while not connection.is_closed():
                await self._send_next(connection)
        finally:
            connection.terminate()

    async def _send_next(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        try:
            async with asyncio.timeout(self._probe_seconds):
                await self._sending.wait()
        except TimeoutError:
            await connection.execute("SELECT 1")
            return
        await asyncio.sleep(self._gather_seconds)
        self._sending.clear()
        topics, self._rung = self._rung, set()
        if not topics:
            return
        try:
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, self._payload(topics))
        except BaseException:
            self._rung |= topics
            self._sending.set()
            raise

    def _payload(self, topics: set[str]) -> str:
        """Our name and the topics; null instead of them when they are too many to list."""
        listed = orjson.dumps([self._name, sorted(topics) if len(topics) <= LISTED_TOPICS else None])
        return (listed if len(listed) <= PAYLOAD_BYTES else orjson.dumps([self._name, None])).decode()

    def _received(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        match _decoded(str(payload)):
            case [str(name), _] if name == self._name:
                pass  # was heard here when it was rung
            case [str(), [*topics]] if all(isinstance(topic, str) for topic in topics):
                self._bell.ring([str(topic) for topic in topics])
            case _:  # too many to list, rung by hand, or of another version
                self._bell.ring(None)


def _decoded(payload: str) -> object:
    try:
        return orjson.loads(payload)
    except ValueError:
        return None
