"""A database that is only looked at: not even a file beside it is made or changed."""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    import asyncpg

CONNECT_SECONDS: Final = 5.0
QUESTION_SECONDS: Final = 60.0  # a whole file is read for one of them


class Asked(Protocol):
    """A database that is only read."""

    engine: str

    async def rows(self, sql: str) -> Sequence[tuple[Any, ...]]: ...


class AskedSQLite:
    engine = "sqlite"

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()


@contextmanager
def looked_into(file: Path) -> Iterator[AskedSQLite]:
    # Where nobody has it open there is no log beside it, and SQLite would make one even for who only reads.
    alone = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
    address = f"{file.absolute().as_uri()}?mode=ro{alone}"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=CONNECT_SECONDS)) as connection:
        yield AskedSQLite(connection)


class AskedPostgreSQL:
    engine = "postgresql"

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        return [tuple(row) for row in await self._connection.fetch(sql)]


@asynccontextmanager
async def connected_to(url: str) -> AsyncIterator[AskedPostgreSQL]:
    """One transaction that may only read."""
    import asyncpg

    from graph.storage.postgres import split

    address, options = split(url)
    connection = await asyncpg.connect(address, timeout=CONNECT_SECONDS, command_timeout=QUESTION_SECONDS, **options)
    try:
        async with connection.transaction(readonly=True):
            yield AskedPostgreSQL(connection)
    finally:
        await connection.close()
