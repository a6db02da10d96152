"""The `databases` API on SQLite: what a worker does for each of its calls."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from graph.storage.backends import PAGE_ROWS, Backend, Pool
from graph.storage.limits import Limits
from graph.storage.records import Record, columns_of
from graph.storage.sqlite import SQLite, Worker, compile_statement
from graph.storage.statements import Statement


class Jobs:
    def all(self, statement: Statement) -> Callable[[Worker], list[Record]]:
        def job(worker: Worker) -> list[Record]:
            cursor, rows = worker.fetch(statement)
            return _records(statement, cursor, rows)

        return job

    def first(self, statement: Statement) -> Callable[[Worker], Record | None]:
        def job(worker: Worker) -> Record | None:
            cursor, rows = worker.fetch(statement)  # all of them: a write takes effect with its last row
            return next(iter(_records(statement, cursor, rows[:1])), None)

        return job

    def execute(self, statement: Statement) -> Callable[[Worker], Any]:
        def job(worker: Worker) -> Any:
            cursor, rows = worker.fetch(statement)
            if cursor.description is not None:
                return rows[0][0] if rows else None
            if statement.inserts:
                return cursor.lastrowid
            return cursor.rowcount if cursor.rowcount >= 0 else None

        return job

    def execute_many(self, statements: Sequence[Statement]) -> Callable[[Worker], None]:
        def job(worker: Worker) -> None:
            for statement in statements:
                worker.run(statement)

        return job

    def cursor(self, statement: Statement) -> Callable[[Worker], sqlite3.Cursor]:
        return lambda worker: worker.open(statement)

    def page(self, statement: Statement, cursor: sqlite3.Cursor) -> Callable[[Worker], list[Record]]:
        return lambda worker: _records(statement, cursor, worker.page(cursor, PAGE_ROWS))


def _records(statement: Statement, cursor: sqlite3.Cursor, rows: Sequence[Any]) -> list[Record]:
    if not rows:
        return []
    names = tuple(column[0] for column in cursor.description)
    columns = columns_of(statement.compiled, compile_statement.dialect, names)
    return [Record(columns, row) for row in rows]


class SQLiteBackend(Backend):
    jobs = Jobs()

    def pool_at(self, url: str, limits: Limits) -> Pool:
        return SQLite.at(url, limits)
