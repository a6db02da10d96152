"""One database: its engine, its connections, and the three ways to use them."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

import databases
import sqlalchemy as sa

from graph.storage.errors import DriverMissing, NotConnected, TooSlow, UnknownScheme, ViewExpired
from graph.storage.limits import Limits
from graph.storage.rows import Outcome, Row, Rows, Work
from graph.storage.slots import Slots
from graph.storage.sqlite import SQLite

T = TypeVar("T")

SCHEMES = {
    "sqlite": "sqlite",
    "sqlite+aiosqlite": "sqlite",
    "sqlite+palabre": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "postgresql+asyncpg": "postgresql",
    "postgresql+palabre": "postgresql",
}

databases.Database.SUPPORTED_BACKENDS.update(
    {
        "sqlite+palabre": "graph.storage.sqlite_backend:SQLiteBackend",
        "postgresql+palabre": "graph.storage.postgres_backend:PostgreSQLBackend",
    }
)


class Transaction(Protocol):
    """A connection that belongs to one transaction until it ends; safe to use from many tasks."""

    async def rows(self, statement: sa.Executable) -> list[Row]: ...

    def abandon(self) -> None: ...


class Pool(Protocol):
    """What an engine offers."""

    @property
    def engine(self) -> str: ...

    @property
    def slots(self) -> Sequence[Slots[Any]]:
        """Who waits for what."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def rows(self, statement: sa.Executable) -> list[Row]: ...

    async def read(self, work: Work[T]) -> T: ...

    async def write(self, works: Sequence[Work[Any]]) -> list[Outcome]: ...

    async def pin(self, *, reads: bool) -> Transaction: ...


class Storage:
    """One database.  It is a `Rows` itself: one statement, committed when it returns."""

    def __init__(self, url: str, pool: Pool, limits: Limits) -> None:
        self.url, self._pool, self._limits = url, pool, limits
        address = urlsplit(url)._replace(scheme=f"{pool.engine}+palabre").geturl()
        self.database = databases.Database(address, pool=pool)

    @classmethod
    def at(cls, url: str, **limits: Any) -> Self:
        """`sqlite:///relative.db`, `sqlite:////absolute.db` or `postgresql://…`; `limits` as in `Limits`.

        The limits may also stand in the address, as `?readers=8&wait_seconds=2`.
        Raises UnknownScheme, or DriverMissing for PostgreSQL without asyncpg.
        """
        engine, url, given = parse(url)
        chosen = Limits(**{**given, **limits})
        return cls(url, pool_at(engine, url, chosen), chosen)

    def around(self, make: Callable[[Pool], Pool]) -> Self:
        """The same database, with something around its connections; before `connect`."""
        return type(self)(self.url, make(self._pool), self._limits)

    @property
    def engine(self) -> str:
        """`sqlite` or `postgresql`."""
        return self._pool.engine

    @property
    def slots(self) -> Sequence[Slots[Any]]:
        """The connections, for those who count."""
        return self._pool.slots

    async def connect(self) -> None:
        await self.database.connect()

    async def disconnect(self) -> None:
        await self.database.disconnect()

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.disconnect()

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        """One statement by itself, committed when it returns."""
        return await self._pool.rows(statement)

    async def read(self, work: Work[T]) -> T:
        """Run `work` in one read view.  It awaits nothing but `rows.rows(…)`; on SQLite it is one thread hop."""
        return await self._pool.read(work)

    async def write(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        """One transaction, each work in a savepoint of its own, in order; returns after the commit.

        Fewer outcomes than works mean that the time of a batch was over: the rest did not run.  What raises
        here, and not in an outcome, concerns the whole batch: nothing of it was committed, except with
        OutcomeUnknown.  Works may be run again after a deadlock.  Once begun, a batch is finished even when the
        caller is cancelled.
        """
        return await self._pool.write(works) if works else []

    def reading(self) -> AbstractAsyncContextManager[Rows]:
        """A read view: one snapshot for all its statements, from the first on; many tasks may share it.

        Raises ViewExpired at a statement after `view_seconds`.
        """
        return self._reading()

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[Rows]:
        view = View(self._pool, self._limits.view_seconds)
        try:
            yield view
        finally:
            view.end()


class View:
    """One snapshot, bounded in time: an old one keeps the database from tidying up.

    It takes its connection with its first statement.
    """

    def __init__(self, pool: Pool, seconds: float) -> None:
        self._pool, self._seconds = pool, seconds
        self._pinning = asyncio.Lock()
        self._pinned: Transaction | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._expired = self._over = False

    @property
    def engine(self) -> str:
        return self._pool.engine

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        try:
            return await (self._pinned or await self._pin()).rows(statement)
        except (NotConnected, TooSlow) as error:
            if self._expired:
                raise ViewExpired(self._seconds) from error
            raise

    async def _pin(self) -> Transaction:
        async with self._pinning:
            if self._over:
                raise NotConnected("the read view has ended")
            if self._pinned is None:
                self._pinned = await self._pool.pin(reads=True)
                self._timer = asyncio.get_running_loop().call_later(self._seconds, self._expire)
                if self._over:  # it ended while we waited for a connection
                    self.end()
            return self._pinned

    def _expire(self) -> None:
        self._expired = True
        self.end()

    def end(self) -> None:
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self._pinned is not None:
            self._pinned.abandon()


def parse(url: str) -> tuple[str, str, dict[str, Any]]:
    """The engine, the address without our own options, and these."""
    parts = urlsplit(url)
    engine = SCHEMES.get(parts.scheme)
    if engine is None:
        raise UnknownScheme(parts.scheme, sorted(SCHEMES))
    ours = {field.name: field.type for field in dataclasses.fields(Limits)}
    query = parse_qsl(parts.query)
    given = {name: cast(type, ours[name])(value) for name, value in query if name in ours}
    rest = urlencode([(name, value) for name, value in query if name not in ours])
    return engine, url.partition("?")[0] + (f"?{rest}" if rest else ""), given


def pool_at(engine: str, url: str, limits: Limits) -> Pool:
    if engine == "sqlite":
        return SQLite.at(url, limits)
    try:
        from graph.storage.postgres import PostgreSQL
    except ModuleNotFoundError as error:
        raise DriverMissing("postgres", "asyncpg") from error
    return PostgreSQL(url, limits)
