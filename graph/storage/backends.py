"""The `databases` API over our connections.

A task that only asks holds no connection; one is held from the first statement of a transaction to its end.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Protocol

import sqlalchemy as sa
from databases import DatabaseURL
from databases.interfaces import ConnectionBackend, DatabaseBackend, TransactionBackend
from sqlalchemy.sql import ClauseElement

from graph.storage.errors import NotConnected
from graph.storage.limits import Limits
from graph.storage.statements import Statement

logger = logging.getLogger(__name__)

PAGE_ROWS = 200  # of one step of `iterate`

Job = Callable[[Any], Any]


class Pinned(Protocol):
    @property
    def raw(self) -> Any: ...
    async def run(self, job: Job) -> Any: ...
    async def command(self, sql: str) -> None: ...
    async def undo(self, savepoint: str) -> None: ...
    async def commit(self) -> None: ...
    async def roll_back(self) -> None: ...
    def abandon(self) -> None: ...


class Pool(Protocol):
    def compile(self, statement: sa.Executable) -> Statement: ...
    async def open(self) -> None: ...
    async def close(self) -> None: ...
    async def once(self, job: Job, *, reads: bool) -> Any: ...
    async def pin(self, *, reads: bool, **options: Any) -> Pinned: ...


class Jobs(Protocol):
    """What a connection of an engine can be asked by the API."""

    def all(self, statement: Statement) -> Job: ...
    def first(self, statement: Statement) -> Job: ...
    def execute(self, statement: Statement) -> Job: ...
    def execute_many(self, statements: Sequence[Statement]) -> Job: ...
    def cursor(self, statement: Statement) -> Job: ...
    def page(self, statement: Statement, cursor: Any) -> Job: ...


class Backend(DatabaseBackend):
    """Given a pool (by Storage) or, used by itself, making one of the address."""

    jobs: Jobs

    def __init__(self, url: DatabaseURL | str, pool: Pool | None = None, **limits: Any) -> None:
        self._pool = pool or self.pool_at(str(url), Limits(**limits))

    def pool_at(self, url: str, limits: Limits) -> Pool:
        raise NotImplementedError

    async def connect(self) -> None:
        await self._pool.open()

    async def disconnect(self) -> None:
        await self._pool.close()

    def connection(self) -> "PooledConnection":
        return PooledConnection(self._pool, self.jobs)


class PooledConnection(ConnectionBackend):
    """What a task calls its connection: a place for a real one, filled inside transactions only."""

    def __init__(self, pool: Pool, jobs: Jobs) -> None:
        self._pool, self._jobs = pool, jobs
        self.transaction_options: dict[str, Any] | None = None  # None: outside of any
        self.pinned: Pinned | None = None

    async def acquire(self) -> None: ...

    async def release(self) -> None: ...

    async def fetch_all(self, query: ClauseElement) -> list[Any]:
        statement = self._compiled(query)
        records: list[Any] = await self._run(self._jobs.all(statement), reads=statement.reads)
        return records

    async def fetch_one(self, query: ClauseElement) -> Any:
        statement = self._compiled(query)
        return await self._run(self._jobs.first(statement), reads=statement.reads)

    async def execute(self, query: ClauseElement) -> Any:
        """The first value of the first row where there are rows; else the new id, or how many rows changed."""
        statement = self._compiled(query)
        return await self._run(self._jobs.execute(statement), reads=statement.reads)

    async def execute_many(self, queries: list[ClauseElement]) -> None:
        """All of them or none."""
        job = self._jobs.execute_many([self._compiled(query) for query in queries])
        if self.transaction_options is not None:
            await self._run(job, reads=False)
        else:
            await self._in_a_transaction(job)

    async def _in_a_transaction(self, job: Job) -> None:
        pinned = await self._pool.pin(reads=False)
        try:
            await pinned.run(job)
        except BaseException:
            await pinned.roll_back()
            raise
        await pinned.commit()

    async def iterate(self, query: ClauseElement) -> AsyncGenerator[Any, None]:
        statement = self._compiled(query)
        # The API opens a transaction for this.  When it is for this alone it need not be the writer's.
        pinned = await self.pin(reads=statement.reads)
        cursor = await pinned.run(self._jobs.cursor(statement))
        while page := await pinned.run(self._jobs.page(statement, cursor)):
            for record in page:
                yield record

    def transaction(self) -> TransactionBackend:
        return PooledTransaction(self)

    @property
    def raw_connection(self) -> Any:
        if self.pinned is None:
            raise NotConnected("there is a connection to show only inside a transaction, after its first statement")
        return self.pinned.raw

    async def pin(self, *, reads: bool = False) -> Pinned:
        if self.pinned is None:
            options = dict(self.transaction_options or {})
            reads = bool(options.pop("readonly", reads))
            self._loop = asyncio.get_running_loop()
            self.pinned = await self._pool.pin(reads=reads, **options)
        return self.pinned

    def unpin(self) -> Pinned | None:
        pinned, self.pinned, self.transaction_options = self.pinned, None, None
        return pinned

    def _compiled(self, query: ClauseElement) -> Statement:
        assert isinstance(query, sa.Executable)
        return self._pool.compile(query)

    async def _run(self, job: Job, *, reads: bool) -> Any:
        if self.transaction_options is None:
            return await self._pool.once(job, reads=reads)
        return await (await self.pin()).run(job)

    def __del__(self) -> None:
        # A task that ended without ending its transaction; collected in whatever thread.
        if self.pinned is not None and not self._loop.is_closed():
            logger.error("a transaction was neither committed nor rolled back: rolling it back")
            self._loop.call_soon_threadsafe(self.pinned.abandon)


class PooledTransaction(TransactionBackend):
    """A transaction, or a savepoint in one."""

    def __init__(self, connection: PooledConnection) -> None:
        self._connection = connection
        self._savepoint: str | None = None

    async def start(self, is_root: bool, extra_options: dict[Any, Any]) -> None:
        if is_root:
            self._connection.transaction_options = dict(extra_options)
        else:
            self._savepoint = f"savepoint_{id(self)}"
            await (await self._connection.pin()).command(f"SAVEPOINT {self._savepoint}")

    async def commit(self) -> None:
        if self._savepoint is not None:
            await (await self._connection.pin()).command(f"RELEASE SAVEPOINT {self._savepoint}")
        elif (pinned := self._connection.unpin()) is not None:
            await pinned.commit()

    async def rollback(self) -> None:
        if self._savepoint is not None:
            await (await self._connection.pin()).undo(self._savepoint)
        elif (pinned_ := self._connection.unpin()) is not None:
            await pinned_.roll_back()
