"""The database of a command: looked at before anything is done to it, then brought to this program's schema."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Final

from graph.app import storage_for
from graph.commands.console import note
from graph.commands.failures import Failure, worded
from graph.settings import Settings, masked
from graph.storage.database import Storage, parse
from graph.storage.migrate import content_of, migrate, newest_version, refuse_newer, schema_version
from graph.storage.sqlite import path_of

SQLITE_HEADER: Final = b"SQLite format 3\0"  # the first bytes of every database file


def file_of(url: str) -> Path | None:
    """The file of a SQLite database; None on PostgreSQL."""
    engine, url, _ = parse(url)
    return Path(path_of(url)) if engine == "sqlite" else None


def make_ready(settings: Settings) -> list[str]:
    """Make the database, or bring it to this program's schema; gives the versions applied.  Raises Failure."""
    url = settings.database_url
    file = file_of(url)
    is_new = file is not None and not file.exists()
    if file is not None:
        check_file(file)
    with worded(url):
        applied = migrate(url)
    if is_new:
        note(f"Made {file}.")
    elif applied:
        note(f"{masked(url)} is now at version {applied[-1]}.")
    return applied


def is_there(settings: Settings) -> bool:
    """Whether there is a file; on PostgreSQL only connecting tells."""
    file = file_of(settings.database_url)
    return file is None or file.exists()


def check_version(settings: Settings) -> None:
    """For what must not change the database.  Raises Failure where it is not of this program's schema."""
    file = file_of(settings.database_url)
    if file is not None:
        check_file(file)
    with worded(settings.database_url):
        found = schema_version(settings.database_url)
        refuse_newer(found)
    if found != newest_version():
        place = masked(settings.database_url)
        raise Failure(f"{place} is not of this version of Palabre.  Bring it there first: palabre migrate")


def refuse_content(settings: Settings) -> None:
    """Raises Failure where anything was written into the database, at whatever version; it is left as it is."""
    if not is_there(settings):
        return
    file = file_of(settings.database_url)
    if file is not None:
        check_file(file)
    with worded(settings.database_url):
        table = content_of(settings.database_url)
    if table is not None:
        raise Failure(occupied(settings, table))


def occupied(settings: Settings, table: str) -> str:
    return (
        f"{masked(settings.database_url)} has content of its own (in {table}); it is left as it is.  "
        "Name an empty database, or one that is not there yet, with --database-url."
    )


def check_file(file: Path) -> None:
    """Raises Failure where there is no place for the file, or something else is there; it is left as it is."""
    elsewhere = "Name another one with --database-url, like sqlite:///path/to/file.db."
    folder = file.absolute().parent
    if not folder.is_dir():
        raise Failure(f"{file} cannot be made: there is no directory {folder}.  {elsewhere}")
    if not os.access(folder, os.W_OK):  # its log and its locks stand beside it
        raise Failure(f"{file} cannot be used: nothing may be written into {folder}.  {elsewhere}")
    if file.is_dir():
        raise Failure(f"{file} is a directory.  {elsewhere}")
    if file.exists():
        _check_content(file, elsewhere)


def _check_content(file: Path, elsewhere: str) -> None:
    if not os.access(file, os.R_OK | os.W_OK):
        raise Failure(f"{file} may not be read and written by you.  {elsewhere}")
    with file.open("rb") as opened:
        beginning = opened.read(len(SQLITE_HEADER))
    if beginning not in (b"", SQLITE_HEADER):
        raise Failure(f"{file} is no SQLite database; it is left as it is.  {elsewhere}")
    with worded(f"sqlite:///{file}"):
        tables = _tables(file)
    if tables and "alembic_version" not in tables:
        raise Failure(f"{file} is a database of another program; it is left as it is.  {elsewhere}")


def _tables(file: Path) -> set[str]:
    with closing(sqlite3.connect(file)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Storage]:
    """The database, which is ready, for one command.  Raises Failure where it cannot be opened."""
    storage = storage_for(settings)
    with worded(settings.database_url):
        await storage.connect()
    try:
        yield storage
    finally:
        await storage.disconnect()
