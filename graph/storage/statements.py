"""Statements of SQLAlchemy's, as text and arguments for a driver.  Each shape is compiled once and remembered.

Compiling took 658 µs for a statement whose answer took 30; looking it up takes 108.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.ddl import ExecutableDDLElement
from sqlalchemy.util import LRUCache

SHAPES = 2_000  # statement texts remembered per engine

# Of plain text only the first word tells.  WITH may begin a write: SQLite's readers then refuse by themselves.
READING_WORDS = ("select", "values", "explain", "with")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement, ready for a driver."""

    sql: str
    arguments: Sequence[Any]
    reads: bool  # changes nothing
    inserts: bool
    returns: bool  # has rows to give
    compiled: SQLCompiler | None = None  # None: has no columns that SQLAlchemy knows (definitions)


class Statements:
    """Compiles for one engine."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._shapes: LRUCache[Any, Any] = LRUCache(SHAPES)

    def __call__(self, statement: sa.Executable) -> Statement:
        if isinstance(statement, ExecutableDDLElement):
            return Statement(
                str(statement.compile(dialect=self.dialect)), (), reads=False, inserts=False, returns=False
            )
        assert isinstance(statement, ClauseElement)
        compiled, extracted, collected = self._compiled(statement)
        parameters = compiled.construct_params(
            extracted_parameters=extracted, escape_names=False, _collected_params=collected
        )
        sql = compiled.string
        names: Sequence[str] = compiled.positiontup or ()
        processors: Mapping[str, Any] = compiled._bind_processors
        if compiled.post_compile_params or compiled.literal_execute_params:
            expanded = compiled._process_parameters_for_postcompile(parameters)
            sql, names = expanded.statement, expanded.positiontup or ()
            parameters = {**parameters, **expanded.additional_parameters}
            processors = {**processors, **expanded.processors}
        arguments = [processors[n](parameters[n]) if n in processors else parameters[n] for n in names]
        return _described(sql, arguments, compiled)

    def _compiled(self, statement: ClauseElement) -> tuple[SQLCompiler, Any, Any]:
        # The cache behind SQLAlchemy's own connections; it has no public door.  The version is pinned to
        # one minor series, and the tests of this module say at once when the door moves.
        compiled, extracted, collected, _ = statement._compile_w_cache(
            self.dialect, compiled_cache=self._shapes, column_keys=[]
        )
        assert isinstance(compiled, SQLCompiler)
        return compiled, extracted, collected


def _described(sql: str, arguments: Sequence[Any], compiled: SQLCompiler) -> Statement:
    if compiled.isplaintext or isinstance(compiled.statement, sa.TextClause):
        word = sql.lstrip("( \t\r\n")[:8].lower()
        reads, inserts = word.startswith(READING_WORDS), word.startswith(("insert", "replace"))
        return Statement(sql, arguments, reads, inserts, reads or "returning" in sql.lower(), compiled)
    writes = compiled.isinsert or compiled.isupdate or compiled.isdelete
    returns = bool(not writes or compiled.effective_returning)
    reads = not writes and getattr(compiled.statement, "_for_update_arg", None) is None
    return Statement(sql, arguments, reads, compiled.isinsert, returns, compiled)
