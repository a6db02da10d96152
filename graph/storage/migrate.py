"""Bringing a database to the schema of this program, once, whoever else tries at the same time."""

import asyncio
import contextlib
import importlib
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.pool import NullPool

from graph.storage.database import parse
from graph.storage.errors import DriverMissing, NotEmpty, SchemaIsNewer
from graph.storage.sqlite import path_of
from graph.storage.tables import metadata as newest
from graph.storage.turn import Turn

T = TypeVar("T")

WAIT_SECONDS = 300.0  # for another process that migrates
VERSION_TABLE = "alembic_version"
HISTORY_TABLE = "epochs"
LOCK = 0x50414C4142524531  # the advisory lock of this program's migrations on PostgreSQL ("PALABRE1")


def migrate(url: str, to: str = "head") -> list[str]:
    """The versions applied, oldest first.  Must not be called where an event loop runs: use a thread there.

    Raises SchemaIsNewer when the database knows a version that this program does not.
    """
    return _on(url, partial(_migrated, to=to))


def schema_version(url: str) -> str | None:
    """None where nothing was migrated yet."""
    engine, address, _ = parse(url)
    if engine == "sqlite" and not Path(path_of(address)).exists():
        return None  # asking makes no file
    return _on(url, _version)


def newest_version() -> str:
    """The one this program is written for."""
    head = _scripts().get_current_head()
    assert head is not None
    return head


def refuse_newer(found: str | None) -> None:
    """A worker that starts beside newer ones must not write what they no longer understand."""
    known = {script.revision for script in _scripts().walk_revisions()}
    if found is not None and found not in known:
        raise SchemaIsNewer(found, newest_version())


def tables_at(url: str) -> sa.MetaData:
    """The tables that are really there, whatever the version, without the one that says which."""
    return _on(url, _reflected)


def content_of(url: str) -> str | None:
    """A table that has rows, at whatever version; None where nothing was written yet but the name of the history."""
    return _on(url, _occupied)


def _occupied(connection: sa.Connection) -> str | None:
    for name, table in sorted(_reflected(connection).tables.items()):
        if name != HISTORY_TABLE and connection.execute(sa.select(sa.literal(1)).select_from(table).limit(1)).first():
            return name
    return None


def clear(url: str) -> None:
    """Take away this program's tables, which must be without content.  Raises NotEmpty."""
    _on(url, _cleared)


def _cleared(connection: sa.Connection) -> None:
    occupied = _occupied(connection)
    if occupied is not None:
        raise NotEmpty(occupied)
    ours = [*newest.tables, VERSION_TABLE] if _version(connection) is not None else []
    found = sa.MetaData()
    found.reflect(connection, only=lambda name, _: name in ours)
    found.drop_all(connection)


def _reflected(connection: sa.Connection) -> sa.MetaData:
    found = sa.MetaData()
    found.reflect(connection, only=lambda name, _: name != VERSION_TABLE)
    return found


def _migrated(connection: sa.Connection, to: str) -> list[str]:
    before = _version(connection)
    refuse_newer(before)
    command.upgrade(_config(connection), to)
    _begin_history(connection)
    applied = _scripts().iterate_revisions(to, before or "base")
    return [script.revision for script in applied][::-1]


def _begin_history(connection: sa.Connection) -> None:
    """The single row that names this history: a copy that is restored gets another, a crash does not."""
    connection.execute(
        sa.text("INSERT INTO epochs (id, epoch) VALUES (1, :epoch) ON CONFLICT (id) DO NOTHING"),
        {"epoch": secrets.token_hex(8)},
    )


def _version(connection: sa.Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _on(url: str, work: Callable[[sa.Connection], T]) -> T:
    """`work` in one transaction, alone among the processes."""
    engine, url, _ = parse(url)
    return _on_sqlite(path_of(url), work) if engine == "sqlite" else asyncio.run(_on_postgresql(url, work))


def _on_sqlite(path: str, work: Callable[[sa.Connection], T]) -> T:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=path),
        poolclass=NullPool,
        connect_args={"isolation_level": None, "timeout": WAIT_SECONDS},
    )
    with _turn(path), engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA journal_mode = WAL")
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # so that tables too come all or none
        try:
            result = work(connection)
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        connection.exec_driver_sql("COMMIT")
        return result


@contextlib.contextmanager
def _turn(path: str) -> Iterator[None]:
    with contextlib.closing(Turn(path)) as turn, turn.taken(WAIT_SECONDS):
        yield


async def _on_postgresql(url: str, work: Callable[[sa.Connection], T]) -> T:
    try:
        import asyncpg

        importlib.import_module("greenlet")  # in which SQLAlchemy runs what is synchronous here
    except ModuleNotFoundError as error:
        raise DriverMissing("postgres", str(error.name)) from error
    from sqlalchemy.ext.asyncio import create_async_engine

    from graph.storage.postgres import split

    address, options = split(url)
    engine = create_async_engine(
        "postgresql+asyncpg://",
        poolclass=NullPool,
        async_creator=lambda: asyncpg.connect(address, **options),
    )
    async with engine.begin() as connection:
        await connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        return await connection.run_sync(work)
