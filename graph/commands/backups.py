"""Backups: a copy of the database for the same engine, and its way back."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from graph import app
from graph.commands.console import note, say
from graph.commands.databases import check_file, file_of, is_there, occupied, refuse_content
from graph.commands.failures import Failure, worded
from graph.keeping import backup, dumps
from graph.keeping.files import AlreadyThere
from graph.settings import Settings, masked
from graph.storage.errors import NotEmpty, SchemaIsNewer
from graph.storage.migrate import content_of

INSTEAD = "`palabre export` writes an archive, which any database takes in."


def back_up(settings: Settings, file: Path) -> None:
    """Whatever the version of the database: before an update is when one wants a backup.  Raises Failure."""
    url = settings.database_url
    if not is_there(settings):
        raise Failure(f"There is no database {masked(url)}.")
    source = file_of(url)
    if source is not None:
        check_file(source)
    with worded(url), told_of(file, settings):
        dumps.back_up(url, file, os.environ) if source is None else backup.back_up(source, file)
    note(f"{masked(url)}, as it was when this began; {file.stat().st_size:,} bytes.")
    say(str(file))


def restore(settings: Settings, file: Path, *, replace: bool) -> None:
    """Raises Failure; the database is then as it was."""
    if not file.is_file():
        raise Failure(f"There is no file {file}.")
    target = file_of(settings.database_url)
    if target is None:
        restore_dump(settings, file, replace=replace)
    else:
        restore_file(settings, file, target, replace=replace)
    say(f"{masked(settings.database_url)} has what was in {file}, and begins a new history.")


def restore_dump(settings: Settings, file: Path, *, replace: bool) -> None:
    if replace:
        raise Failure(
            "On PostgreSQL nothing is replaced.  Make a new database, restore into that with --database-url, and serve "
            "it; the old one stays as it is until you drop it."
        )
    refuse_content(settings)
    with worded(settings.database_url), told_of(file, settings):
        dumps.restore(file, settings.database_url, os.environ)


def restore_file(settings: Settings, file: Path, target: Path, *, replace: bool) -> None:
    check_file(target)
    check_backup(file)
    table = content_of(settings.database_url) if target.exists() else None
    if table is not None and not replace:
        raise Failure(f"{occupied(settings, table)}  With --replace its content is kept in a file beside the new one.")
    with worded(settings.database_url), told_of(file, settings):
        aside = backup.restore(file, target, app.now())
    if aside is not None and table is None:
        aside.unlink()
    elif aside is not None:
        note(f"What was there is in {aside}.")


def check_backup(file: Path) -> None:
    """Raises Failure unless it is a database of Palabre, in SQLite's form."""
    try:
        backup.schema_of(file)
    except sqlite3.Error as error:
        raise Failure(f"{file} is no backup of a SQLite database of Palabre ({error}).  {_hint()}") from error


def _hint() -> str:
    return "An archive is brought in with `palabre import archive`; a backup of PostgreSQL goes into PostgreSQL alone."


@contextmanager
def told_of(file: Path, settings: Settings) -> Iterator[None]:
    """What can be wrong with a backup becomes a Failure."""
    place = masked(settings.database_url)
    try:
        yield
    except AlreadyThere as error:
        raise Failure(f"{file} is there already; it is left as it is.  Name another file.") from error
    except SchemaIsNewer as error:
        raise Failure(f"{file} was made by a later Palabre: {error}.  Use that version, or a newer one.") from error
    except NotEmpty as error:
        raise Failure(occupied(settings, error.table)) from error
    except backup.Damaged as error:
        raise Failure(f"What is to be copied is damaged: SQLite says: {error}.  Nothing was changed.") from error
    except backup.InUse as error:
        raise Failure(f"{place} is in use.  Stop the server first; nothing was changed.") from error
    except dumps.ToolMissing as error:
        raise Failure(
            f"{error.tool} is not installed, which makes and restores backups of PostgreSQL.  On Debian: apt install "
            f"postgresql-client.  Without it: {INSTEAD}"
        ) from error
    except dumps.ToolFailed as error:
        raise Failure(f"{place}: {error}") from error
    except dumps.ForeignDump as error:
        raise Failure(f"{file} is no backup of a PostgreSQL database of Palabre.") from error
    except OSError as error:
        if error.filename is None:
            raise
        raise Failure(f"{error.filename} cannot be used: {error.strerror}.") from error
