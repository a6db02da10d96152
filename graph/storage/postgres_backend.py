"""The `databases` API on PostgreSQL: what a connection does for each of its calls."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from graph.storage.backends import PAGE_ROWS, Backend, Job, Pool
from graph.storage.limits import Limits
from graph.storage.postgres import Connection, PostgreSQL, compile_statement, execute, fetch
from graph.storage.records import Record, columns_of
from graph.storage.statements import Statement


class Jobs:
    def all(self, statement: Statement) -> Job:
        async def job(connection: Connection) -> list[Record]:
            return _records(statement, await fetch(connection, statement))

        return job

    def first(self, statement: Statement) -> Job:
        async def job(connection: Connection) -> Record | None:
            records = await fetch(connection, statement)
            return next(iter(_records(statement, records[:1])), None)

        return job

    def execute(self, statement: Statement) -> Job:
        async def job(connection: Connection) -> Any:
            if statement.returns:
                records = await fetch(connection, statement)
                return records[0][0] if records else None
            return _rows_changed(await execute(connection, statement))

        return job

    def execute_many(self, statements: Sequence[Statement]) -> Job:
        async def job(connection: Connection) -> None:
            for statement in statements:
                await execute(connection, statement)

        return job

    def cursor(self, statement: Statement) -> Job:
        async def job(connection: Connection) -> Any:
            return await connection.cursor(statement.sql, *statement.arguments)

        return job

    def page(self, statement: Statement, cursor: Any) -> Job:
        async def job(connection: Connection) -> list[Record]:
            return _records(statement, await cursor.fetch(PAGE_ROWS))

        return job


def _records(statement: Statement, rows: "Sequence[asyncpg.Record]") -> list[Record]:
    if not rows:
        return []
    columns = columns_of(statement.compiled, compile_statement.dialect, tuple(rows[0].keys()))
    return [Record(columns, row) for row in rows]


def _rows_changed(status: str) -> int | None:
    """Of the server's words: `UPDATE 3`, `INSERT 0 1`, `CREATE TABLE`."""
    word = status.rpartition(" ")[2]
    return int(word) if word.isdigit() else None


class PostgreSQLBackend(Backend):
    jobs = Jobs()

    def pool_at(self, url: str, limits: Limits) -> Pool:
        return PostgreSQL(url, limits)
