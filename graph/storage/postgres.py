"""PostgreSQL over asyncpg: connections made when needed, held only while a transaction is open.

Every use of a connection is a *job*: a coroutine function that is given one.  A connection comes back to the
others clean (outside of any transaction, its last statement over) or is closed.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import asyncpg
import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import Dialect

from graph.storage.driving import DrivenRows, drive_async
from graph.storage.errors import Busy, NotConnected, NotDurable, OutcomeUnknown, TooSlow, ViewExpired
from graph.storage.limits import Limits
from graph.storage.rows import Done, Failed, Outcome, Row, Work
from graph.storage.slots import Slots
from graph.storage.statements import Statement, Statements

T = TypeVar("T")
Connection: TypeAlias = "asyncpg.Connection[Any]"
Job: TypeAlias = Callable[["asyncpg.Connection[Any]"], Coroutine[Any, Any, T]]

ATTEMPTS = 10  # of what a deadlock, or a connection lost before its commit, undid
LONGEST_PAUSE_SECONDS = 0.05  # between two of them, at random
GRACE_SECONDS = 5.0  # beyond its own limits; then the server is taken for dead
CANCELLING_PAUSE_SECONDS = 0.002  # between two looks whether the server has heard that nobody waits any more
SAFE = ("on", "remote_apply")  # values of synchronous_commit

_dialect: Callable[[], Dialect] = PGDialect_asyncpg
compile_statement = Statements(_dialect())

_ROWS = DrivenRows("postgresql")

# Undone by the server, which asks to try again; or planned before a migration and not good any more.
CONFLICTS = (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.InvalidCachedStatementError)
SHUTDOWNS = (asyncpg.AdminShutdownError, asyncpg.CrashShutdownError)


class _Again(Exception):
    """Nothing was committed, and trying again may succeed."""

    def __init__(self, error: Exception) -> None:
        super().__init__(repr(error))
        self.error = error


class Place:
    """Where a connection is, or will be when it is needed."""

    connection: "asyncpg.Connection[Any] | None" = None
    connecting: "asyncio.Task[None] | None" = None


async def run(connection: Connection, statement: Statement) -> list[Row]:
    return list(map(tuple, await fetch(connection, statement)))


async def fetch(connection: Connection, statement: Statement) -> "list[asyncpg.Record]":
    return await _named(connection, connection.fetch(statement.sql, *statement.arguments))


async def execute(connection: Connection, statement: Statement) -> str:
    """The server's own words for what it has done."""
    return await _named(connection, connection.execute(statement.sql, *statement.arguments))


async def _named(connection: Connection, answer: Awaitable[T]) -> T:
    try:
        return await answer
    except asyncpg.LockNotAvailableError as error:
        raise Busy("rows that this statement needs stayed locked") from error
    except asyncpg.QueryCanceledError as error:
        raise TooSlow(str(error)) from error
    except TimeoutError as error:
        connection.terminate()
        raise TooSlow("the server did not answer") from error


def is_lost(connection: Connection, error: BaseException) -> bool:
    return connection.is_closed() or isinstance(error, SHUTDOWNS)


async def _farewell(place: Place) -> None:
    connection, place.connection = place.connection, None
    if connection is not None:
        with contextlib.suppress(TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await connection.close(timeout=GRACE_SECONDS)  # cuts it when the server does not answer


class PostgreSQL:
    """The connections of this process to one database."""

    engine = "postgresql"
    compile = staticmethod(compile_statement)

    def __init__(self, url: str, limits: Limits) -> None:
        self._address, self._options = split(url)
        self._limits = limits
        self._tasks: set[asyncio.Task[Any]] = set()
        self._share([])

    def _share(self, places: list[Place]) -> None:
        self._all = places
        self._places = Slots("connection", places, wait_seconds=self._limits.wait_seconds)

    @property
    def slots(self) -> Sequence[Slots[Any]]:
        return (self._places,)

    async def open(self) -> None:
        self._share([Place() for _ in range(self._limits.connections)])
        place = await self._places.take()
        try:
            await self.ready(place)
        finally:
            self.give_back(place)

    async def close(self) -> None:
        """Lets what runs come to its end within `wait_seconds`, then cuts it."""
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                await self._places.close()
        except TimeoutError:
            for place in self._all:
                if place.connection is not None:
                    place.connection.terminate()
        await asyncio.gather(*(_farewell(place) for place in self._all))

    async def rows(self, statement: sa.Executable) -> list[Row]:
        """One statement by itself."""
        compiled = compile_statement(statement)
        return await self.once(lambda connection: run(connection, compiled), reads=compiled.reads)

    async def once(self, job: Job[T], *, reads: bool) -> T:
        """A job outside of any transaction."""
        return await self._trying(lambda: self._once(job, reads=reads))

    async def _once(self, job: Job[T], *, reads: bool) -> T:
        place = await self._places.take()
        clean = False
        try:
            connection = await self.ready(place)
            try:
                result = await job(connection)
            except Exception as error:
                if isinstance(error, CONFLICTS) or (reads and is_lost(connection, error)):
                    raise _Again(error) from error
                if is_lost(connection, error):
                    raise OutcomeUnknown("the connection was lost while the statement ran") from error
                raise
            clean = not connection.is_in_transaction()
            return result
        finally:
            if clean:
                self._places.give(place)
            else:
                self.give_back(place)

    async def read(self, work: Work[T]) -> T:
        return await self._trying(lambda: self._read(work))

    async def _read(self, work: Work[T]) -> T:
        place = await self._places.take()
        try:
            async with asyncio.timeout(self._limits.view_seconds) as limit:
                connection = await self.ready(place)
                await begin(connection, reads=True)
                return await _driven(connection, work)
        except TimeoutError as error:
            if limit.expired():
                raise ViewExpired(self._limits.view_seconds) from error
            raise
        finally:
            self.give_back(place)

    async def write(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        place = await self._places.take()
        task = self.task(self._trying(lambda: self._batch(place, works)))
        task.add_done_callback(lambda _: self.give_back(place))
        return await asyncio.shield(task)

    async def _batch(self, place: Place, works: Sequence[Work[Any]]) -> list[Outcome]:
        connection = await self.ready(place)
        try:
            await connection.execute("BEGIN; SAVEPOINT work")
            outcomes: list[Outcome] = []
            until = time.monotonic() + self._limits.batch_seconds
            for work in works:
                if outcomes and time.monotonic() > until:
                    break
                outcomes.append(await _apart(connection, work))
            await commit(connection)
            return outcomes
        except Exception as error:
            if isinstance(error, CONFLICTS) or (is_lost(connection, error) and not isinstance(error, OutcomeUnknown)):
                raise _Again(error) from error
            raise
        finally:
            if not connection.is_closed() and connection.is_in_transaction():
                await connection.execute("ROLLBACK")

    async def pin(self, *, reads: bool, **options: Any) -> "Pinned":
        return Pinned(self, await self._places.take(), reads=reads, **options)

    async def _trying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        for _ in range(ATTEMPTS - 1):
            with contextlib.suppress(_Again):
                return await attempt()
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
        try:
            return await attempt()
        except _Again as last:
            raise last.error from None

    async def ready(self, place: Place) -> Connection:
        if place.connection is None or place.connection.is_closed():
            # Not cancelled half-way (the driver then leaves errors that nobody hears): the next will use it.
            place.connecting = self.task(self._connect(place))
            await asyncio.shield(place.connecting)
        assert place.connection is not None
        return place.connection

    async def _connect(self, place: Place) -> None:
        place.connection = None
        place.connection = await self._connected()

    async def _connected(self) -> Connection:
        limits = self._limits
        connection: Connection = await asyncpg.connect(
            self._address,
            timeout=limits.wait_seconds,
            command_timeout=max(limits.statement_seconds, limits.wait_seconds) + GRACE_SECONDS,
            statement_cache_size=1_000,
            max_cached_statement_lifetime=0,
            server_settings={
                "application_name": "palabre",
                "statement_timeout": _milliseconds(limits.statement_seconds),
                "lock_timeout": _milliseconds(limits.wait_seconds),
                "idle_in_transaction_session_timeout": _milliseconds(limits.view_seconds + GRACE_SECONDS),
                "jit": "off",  # compiling takes longer than any statement of ours
            },
            **self._options,
        )
        try:
            await _refuse_unsafe(connection)
            for name in ("json", "jsonb"):
                await connection.set_type_codec(name, encoder=str, decoder=orjson.loads, schema="pg_catalog")
        except BaseException:
            connection.terminate()
            raise
        return connection

    def give_back(self, place: Place) -> None:
        """For the next, once it is clean; returns at once."""
        if place.connecting is not None and not place.connecting.done():
            place.connecting.add_done_callback(lambda _: self.give_back(place))
        elif place.connection is None or place.connection.is_closed():
            place.connection = None
            self._places.give(place)
        else:
            self.task(self._cleaned(place, place.connection))

    async def _cleaned(self, place: Place, connection: Connection) -> None:
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await _roll_back(connection)
        except Exception:
            connection.terminate()
            place.connection = None
        finally:
            self._places.give(place)

    def task(self, coroutine: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Runs to its end whoever waits for it."""
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited was told; if nobody did, nobody wants to know


async def _roll_back(connection: Connection) -> None:
    """Also where there is nothing to roll back: after a cancellation one cannot tell whether BEGIN arrived."""
    await _insist(connection, "ROLLBACK")


async def _insist(connection: Connection, sql: str) -> None:
    until = time.monotonic() + GRACE_SECONDS
    while not connection.is_closed():
        # The driver refuses while it stops, in the background, a statement whose task was cancelled.
        with contextlib.suppress(asyncpg.InterfaceError):
            await connection.execute(sql)
            return
        await asyncio.sleep(CANCELLING_PAUSE_SECONDS)
        if time.monotonic() > until:
            connection.terminate()


async def begin(connection: Connection, *, reads: bool, isolation: str = "", deferrable: bool = False) -> None:
    level = isolation.replace("_", " ") or ("repeatable read" if reads else "read committed")
    if level not in ("read committed", "repeatable read", "serializable"):
        raise ValueError(f"no isolation level is called {isolation!r}")
    access = "READ ONLY" if reads else "READ WRITE"
    await connection.execute(f"BEGIN ISOLATION LEVEL {level} {access}{' DEFERRABLE' if deferrable else ''}")


async def commit(connection: Connection) -> None:
    """Raises OutcomeUnknown when the connection is lost before the answer."""
    if connection.is_closed():
        raise NotConnected("the connection was lost, and the transaction with it")
    try:
        status = await connection.execute("COMMIT")
    except Exception as error:
        if isinstance(error, TimeoutError):
            connection.terminate()
        if is_lost(connection, error):
            raise OutcomeUnknown("the connection was lost while committing") from error
        raise
    if status != "COMMIT":  # the server calls the end of a failed transaction ROLLBACK, without an error
        raise asyncpg.InFailedSQLTransactionError("a statement had failed: nothing was committed")


async def _apart(connection: Connection, work: Work[Any]) -> Outcome:
    """One work in a savepoint of its own; leaves a fresh savepoint for the next."""
    try:
        outcome: Outcome = Done(await _driven(connection, work))
        await connection.execute("RELEASE SAVEPOINT work; SAVEPOINT work")
    except _Again:
        raise
    except Exception as error:
        if is_lost(connection, error):
            raise
        await connection.execute("ROLLBACK TO SAVEPOINT work")
        return Failed(error)
    return outcome


async def _driven(connection: Connection, work: Work[T]) -> T:
    met: list[Exception] = []

    async def answer(asked: sa.Executable) -> list[Row]:
        try:
            return await run(connection, compile_statement(asked))
        except Exception as error:
            if isinstance(error, CONFLICTS) or is_lost(connection, error):
                met.append(error)
            raise

    try:
        return await drive_async(work(_ROWS), answer)
    finally:
        # Whatever the work made of it: the server has undone more than this work.
        if met:
            raise _Again(met[0])


async def _refuse_unsafe(connection: Connection) -> None:
    value = await connection.fetchval("SHOW synchronous_commit")
    if value not in SAFE:
        raise NotDurable("synchronous_commit", value)


class Pinned:
    """A connection that belongs to one transaction until it ends.  It begins with its first job."""

    def __init__(
        self, pool: PostgreSQL, place: Place, *, reads: bool, isolation: str = "", deferrable: bool = False
    ) -> None:
        self._pool, self._place, self._reads = pool, place, reads
        self._options: dict[str, Any] = {"isolation": isolation, "deferrable": deferrable}
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None
        self._over = False
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def raw(self) -> Connection:
        if self._connection is None:
            raise NotConnected("the transaction has not begun")
        return self._connection

    async def run(self, job: Job[T]) -> T:
        if not self._reads:
            return await self._inside(job)
        # A read view is shared: one reader who leaves must not fail the others, as it would if the server
        # were told to stop the statement.
        task = self._pool.task(self._inside(job))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled() and self._over:  # abandoned, which does not cancel the reader
                raise NotConnected("the transaction has ended") from None
            raise

    async def rows(self, statement: sa.Executable) -> list[Row]:
        compiled = compile_statement(statement)
        return await self.run(lambda connection: run(connection, compiled))

    async def command(self, sql: str) -> None:
        """A savepoint's beginning or end."""
        await self.run(lambda connection: connection.execute(sql))

    async def undo(self, savepoint: str) -> None:
        """Also where the connection is lost: who was cancelled hears of that, and of nothing else."""
        await asyncio.shield(self._pool.task(self._undo(savepoint)))

    async def _undo(self, savepoint: str) -> None:
        async with self._lock:
            if self._connection is not None:
                await _insist(self._connection, f"ROLLBACK TO SAVEPOINT {savepoint}; RELEASE SAVEPOINT {savepoint}")

    async def commit(self) -> None:
        await asyncio.shield(self._pool.task(self._end(commit)))

    async def roll_back(self) -> None:
        await asyncio.shield(self._pool.task(self._end(_roll_back)))

    def abandon(self) -> None:
        """Stop what runs and roll back, without waiting; a second end is none."""
        if not self._over:
            for task in self._running:
                task.cancel()
            self._over = True
            self._pool.task(self._ended(_roll_back))

    async def _inside(self, job: Job[T]) -> T:
        async with self._lock:
            if self._over:
                raise NotConnected("the transaction has ended")
            if self._connection is None:
                self._connection = await self._begun()
            try:
                return await job(self._connection)
            except Exception as error:
                if is_lost(self._connection, error):
                    raise NotConnected("the connection was lost, and the transaction with it") from error
                raise

    async def _begun(self) -> Connection:
        while True:
            used_before = self._place.connection is not None
            connection = await self._pool.ready(self._place)
            try:
                await begin(connection, reads=self._reads, **self._options)
                return connection
            except Exception as error:
                # One that the server has dropped since it was last used: a new one will do.
                if not (used_before and is_lost(connection, error)):
                    raise
                connection.terminate()

    async def _end(self, how: Job[None]) -> None:
        if self._over:
            raise NotConnected("the transaction has ended")
        self._over = True
        await self._ended(how)

    async def _ended(self, how: Job[None]) -> None:
        async with self._lock:
            try:
                if self._connection is not None:
                    await how(self._connection)
            finally:
                self._pool.give_back(self._place)


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


def split(url: str) -> tuple[str, dict[str, Any]]:
    """The address as asyncpg reads it, and the option that it spells otherwise."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    ssl = query.pop("ssl", None)
    options = {} if ssl is None else {"ssl": {"true": True, "false": False}.get(ssl.lower(), ssl)}
    return parts._replace(scheme="postgresql", query=urlencode(query)).geturl(), options
