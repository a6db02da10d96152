"""SQLite for a service: one writer and a few readers of one file, each in a thread of its own.

Every use of a connection is a *job*: a function that runs in that connection's thread, in one hop.  A connection
goes back to the others when its job has really ended, whatever became of the task that waited for it.
"""

import asyncio
import contextlib
import contextvars
import math
import sqlite3
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import aiosqlite
import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import pysqlite

from graph.storage.driving import DrivenRows, drive
from graph.storage.errors import Busy, NotConnected, StorageError, TooSlow, ViewExpired
from graph.storage.limits import Limits
from graph.storage.rows import Done, Failed, Outcome, Row, Work
from graph.storage.slots import Slots
from graph.storage.statements import Statement, Statements
from graph.storage.turn import Turn

T = TypeVar("T")
Job = Callable[["Worker"], T]

# Steps of SQLite's machine between two looks at the clock, about 20 ms.  The look needs the interpreter's lock,
# for which a busy event loop makes it wait up to 5 ms.
PROGRESS_STEPS = 1_000_000

_dialect = pysqlite.dialect(paramstyle="qmark")
_dialect.supports_native_decimal = False
compile_statement = Statements(_dialect)

_ROWS = DrivenRows("sqlite")


def _unheard(future: "asyncio.Future[Any]") -> None:
    """Nobody waits for it any more: what it raised is nobody's error."""
    if not future.cancelled():
        future.exception()


class Worker(aiosqlite.Connection):
    """One connection and the thread that alone touches it."""

    def __init__(self, path: str, limits: Limits, *, writes: bool) -> None:
        super().__init__(partial(self._opened, path, limits, writes=writes), iter_chunk_size=64)
        self._thread.daemon = True  # an interpreter that ends does not wait for a statement
        self._limits = limits
        self._deadline = self._view_ends = math.inf
        self._queued = self._current = self._stopped = self._swept = 0  # numbers of jobs
        self._cursors: list[sqlite3.Cursor] = []  # those of `open` that may not have given all their rows

    def begin(self, job: Job[T]) -> "asyncio.Future[T]":
        """Queue a job for the thread.  Wait for the future with `finished`: it must not be cancelled itself."""
        # aiosqlite has methods for single statements; its queue takes any function.
        if not self.is_open():
            raise NotConnected("the database was disconnected meanwhile")
        self._queued += 1
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, partial(self._do, self._queued, job)))
        return future

    async def finished(self, future: "asyncio.Future[T]", *, stoppable: bool = True) -> T:
        """The job's result; when the waiting task is cancelled the job is stopped too, if it is `stoppable`."""
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if stoppable and not future.done():
                self.stop_job()
            future.add_done_callback(_unheard)
            raise

    def stop_job(self) -> None:
        """Stop what runs and what is queued, not what will be."""
        self._stopped = self._queued
        self._conn.interrupt()

    def is_open(self) -> bool:
        return self._connection is not None

    # The rest runs in the thread.

    def is_stopped(self) -> bool:
        return self._current <= self._stopped

    def _do(self, number: int, job: Job[T]) -> T:
        self._current = number
        if self._swept != self._stopped:
            self.sweep()
        return job(self)

    def sweep(self) -> None:
        """Close what was left half read: as long as it is, whatever runs is interrupted as it was."""
        self._swept = self._stopped
        while self._cursors:
            self._cursors.pop().close()

    def _opened(self, path: str, limits: Limits, *, writes: bool) -> sqlite3.Connection:
        connection = sqlite3.connect(
            path, isolation_level=None, timeout=limits.wait_seconds, check_same_thread=False, cached_statements=512
        )
        if writes and connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
            raise StorageError(f"{path}: SQLite cannot keep a write-ahead log there")
        connection.execute(f"PRAGMA synchronous = {limits.synchronous}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA cache_size = -{limits.cache_bytes // 1024}")
        connection.execute(f"PRAGMA mmap_size = {limits.mapped_bytes}")
        connection.execute(f"PRAGMA journal_size_limit = {limits.cache_bytes}")
        if not writes:
            connection.execute("PRAGMA query_only = ON")
        connection.set_progress_handler(self._must_end, PROGRESS_STEPS)
        return connection

    def _must_end(self) -> bool:
        return self.is_stopped() or time.monotonic() > self._deadline

    def run(self, statement: Statement) -> list[Row]:
        return self.fetch(statement)[1]

    def fetch(self, statement: Statement) -> tuple[sqlite3.Cursor, list[Row]]:
        """Its rows, and the cursor that has given them."""
        try:
            cursor = self.cursor_of(statement)
            return cursor, cursor.fetchall()
        except sqlite3.OperationalError as error:
            raise self._named(error) from error

    def cursor_of(self, statement: Statement) -> sqlite3.Cursor:
        now = time.monotonic()
        if now > self._view_ends:
            raise ViewExpired(self._limits.view_seconds)
        if self.is_stopped():
            raise TooSlow("stopped between two statements")
        self._deadline = min(self._view_ends, now + self._limits.statement_seconds)
        return self._conn.execute(statement.sql, statement.arguments)

    def open(self, statement: Statement) -> sqlite3.Cursor:
        """For `page`, until the transaction ends."""
        cursor = self.cursor_of(statement)
        self._cursors.append(cursor)
        return cursor

    def page(self, cursor: sqlite3.Cursor, rows: int) -> list[Row]:
        self._deadline = time.monotonic() + self._limits.statement_seconds
        try:
            return cursor.fetchmany(rows)
        except sqlite3.OperationalError as error:
            raise self._named(error) from error

    def _named(self, error: sqlite3.OperationalError) -> Exception:
        code = error.sqlite_errorcode & 0xFF
        if code == sqlite3.SQLITE_BUSY:
            return Busy(f"another program kept the file locked for {self._limits.wait_seconds:g} s")
        if code == sqlite3.SQLITE_INTERRUPT and time.monotonic() > self._view_ends:
            return ViewExpired(self._limits.view_seconds)
        if code == sqlite3.SQLITE_INTERRUPT:
            return TooSlow(f"stopped after {self._limits.statement_seconds:g} s, or because nobody waits any more")
        return error

    def command(self, sql: str) -> None:
        """BEGIN, COMMIT and their like: no time limit of their own."""
        self._deadline = math.inf
        try:
            self._conn.execute(sql)
        except sqlite3.OperationalError as error:
            raise self._named(error) from error

    def roll_back(self) -> None:
        if self.in_transaction:
            self.command("ROLLBACK")

    def undo(self, savepoint: str) -> None:
        if self.in_transaction:
            self.command(f"ROLLBACK TO {savepoint}")
            self.command(f"RELEASE {savepoint}")

    def snapshot(self, work: Work[T]) -> T:
        """One work, all of whose statements see the same state."""
        self._view_ends = time.monotonic() + self._limits.view_seconds
        self.command("BEGIN")
        try:
            return drive(work(_ROWS), lambda asked: self.run(compile_statement(asked)))
        finally:
            self._view_ends = math.inf
            self.roll_back()

    def batch(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        broken: dict[int, Outcome] = {}
        while (outcomes := self._attempt(works, broken)) is None:
            pass
        return outcomes

    def _attempt(self, works: Sequence[Work[Any]], broken: dict[int, Outcome]) -> list[Outcome] | None:
        """None when a work took the whole transaction down with it: it is then among `broken`."""
        outcomes: list[Outcome] = []
        self.command("BEGIN IMMEDIATE")
        until = time.monotonic() + self._limits.batch_seconds
        try:
            for place, work in enumerate(works):
                if outcomes and time.monotonic() > until:
                    break
                outcome = broken.get(place) or self._apart(work)
                if not self.in_transaction:
                    broken[place] = outcome
                    return None
                outcomes.append(outcome)
            self.command("COMMIT")
            return outcomes
        finally:
            self.roll_back()

    def _apart(self, work: Work[Any]) -> Outcome:
        """One work in a savepoint of its own."""
        self.command("SAVEPOINT work")
        try:
            value = drive(work(_ROWS), lambda asked: self.run(compile_statement(asked)))
            self.command("RELEASE work")
            return Done(value)
        except Exception as error:
            # A full disk, or a statement stopped while it wrote, ends the transaction and not the savepoint alone.
            self.undo("work")
            return Failed(error)


def path_of(url: str) -> str:
    path = unquote(urlsplit(url).path)[1:]
    if path in ("", ":memory:"):
        raise StorageError("SQLite needs a file here: one in memory has no second connection to read with")
    return path


class SQLite:
    """The connections to one file."""

    engine = "sqlite"
    compile = staticmethod(compile_statement)

    def __init__(self, path: str, limits: Limits) -> None:
        self._path, self._limits = path, limits
        self._workers: list[Worker] = []
        self._share([])

    def _share(self, workers: list[Worker]) -> None:
        wait = self._limits.wait_seconds
        self._writers = Slots("connection for writing", workers[:1], wait_seconds=wait)
        self._readers = Slots("connection for reading", workers[1:], wait_seconds=wait)

    @classmethod
    def at(cls, url: str, limits: Limits) -> "SQLite":
        """`sqlite:///a.db` is a.db in the working directory, `sqlite:////a.db` is /a.db."""
        return cls(path_of(url), limits)

    @property
    def slots(self) -> Sequence[Slots[Any]]:
        return self._writers, self._readers

    async def open(self) -> None:
        self._turn = Turn(self._path)
        try:
            for number in range(1 + self._limits.readers):
                worker = Worker(self._path, self._limits, writes=number == 0)
                await worker
                self._workers.append(worker)
        except BaseException:
            await self._shut()
            raise
        self._share(self._workers)

    async def close(self) -> None:
        """Lets what runs come to its end within `wait_seconds`, then stops it."""
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                await asyncio.gather(self._readers.close(), self._writers.close())
        except TimeoutError:
            for worker in self._workers:
                worker.stop_job()
        await self._shut()

    async def _shut(self) -> None:
        for worker in self._workers:
            await worker.close()
        self._workers.clear()
        self._turn.close()

    async def rows(self, statement: sa.Executable) -> list[Row]:
        """One statement by itself."""
        compiled = compile_statement(statement)
        return await self.once(lambda worker: worker.run(compiled), reads=compiled.reads)

    async def once(self, job: Job[T], *, reads: bool) -> T:
        """A job outside of any transaction."""
        if reads:
            try:
                return await self._on(self._readers, job)
            except sqlite3.OperationalError as error:
                # A plain text that begins with WITH and writes: readers refuse it, so it had no effect.
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
                    raise
        return await self._on(self._writers, partial(self._in_turn, job))

    async def read(self, work: Work[T]) -> T:
        context = contextvars.copy_context()
        return await self._on(self._readers, lambda worker: context.run(worker.snapshot, work))

    async def write(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        context = contextvars.copy_context()
        job = partial(self._in_turn, lambda worker: context.run(worker.batch, works))
        return await self._on(self._writers, job, stoppable=False)

    async def pin(self, *, reads: bool, **_options: Any) -> "Pinned":
        slots = self._readers if reads else self._writers
        return Pinned(await slots.take(), slots, None if reads else self._turn, self._limits)

    async def _on(self, slots: Slots[Worker], job: Job[T], *, stoppable: bool = True) -> T:
        worker = await slots.take()
        future = worker.begin(job)
        future.add_done_callback(lambda _: slots.give(worker))
        return await worker.finished(future, stoppable=stoppable)

    def _in_turn(self, job: Job[T], worker: Worker) -> T:
        with self._turn.taken(self._limits.wait_seconds, unless=worker.is_stopped):
            return job(worker)


class Pinned:
    """A connection that belongs to one transaction until it ends.  It begins with its first job, in the same hop."""

    def __init__(self, worker: Worker, slots: Slots[Worker], turn: Turn | None, limits: Limits) -> None:
        self.raw, self._slots, self._turn, self._limits = worker, slots, turn, limits
        self._begun = self._has_turn = self._over = False
        self._lock = asyncio.Lock()

    async def run(self, job: Job[T]) -> T:
        # One at a time, so that a task which leaves stops its own statement and not those queued behind it.
        async with self._lock:
            if self._over:
                raise NotConnected("the transaction has ended")
            return await self.raw.finished(self.raw.begin(partial(self._inside, job)))

    async def rows(self, statement: sa.Executable) -> list[Row]:
        compiled = compile_statement(statement)
        return await self.run(lambda worker: worker.run(compiled))

    async def command(self, sql: str) -> None:
        """A savepoint's beginning or end."""
        await self.run(lambda worker: worker.command(sql))

    async def undo(self, savepoint: str) -> None:
        """Also where SQLite has undone more: who was cancelled hears of that, and of nothing else."""
        async with self._lock:
            await self.raw.finished(self.raw.begin(lambda worker: worker.undo(savepoint)), stoppable=False)

    async def commit(self) -> None:
        await self.raw.finished(self._ending(self._commit), stoppable=False)

    async def roll_back(self) -> None:
        await self.raw.finished(self._ending(Worker.roll_back), stoppable=False)

    def abandon(self) -> None:
        """Stop what runs and roll back, without waiting; a second end is none."""
        if not self._over and self.raw.is_open():
            self.raw.stop_job()
            self._ending(Worker.roll_back).add_done_callback(_unheard)

    def _ending(self, job: Job[None]) -> "asyncio.Future[None]":
        if self._over:
            raise NotConnected("the transaction has ended")
        self._over = True
        future = self.raw.begin(partial(self._last, job))
        future.add_done_callback(lambda _: self._slots.give(self.raw))
        return future

    # The rest runs in the thread.

    def _inside(self, job: Job[T], worker: Worker) -> T:
        if not self._begun:
            self._begin(worker)
        elif not worker.in_transaction:
            raise StorageError("SQLite has rolled this transaction back")
        return job(worker)

    def _begin(self, worker: Worker) -> None:
        if self._turn is not None:
            self._turn.take(self._limits.wait_seconds, unless=worker.is_stopped)
            self._has_turn = True
        worker.command("BEGIN IMMEDIATE" if self._has_turn else "BEGIN")
        self._begun = True

    def _last(self, job: Job[None], worker: Worker) -> None:
        worker.sweep()
        try:
            job(worker)
        finally:
            with contextlib.suppress(sqlite3.Error):
                worker.roll_back()
            if self._has_turn and self._turn is not None:
                self._turn.release()

    def _commit(self, worker: Worker) -> None:
        if self._begun and not worker.in_transaction:
            raise StorageError("SQLite has rolled this transaction back")
        if self._begun:
            worker.command("COMMIT")
