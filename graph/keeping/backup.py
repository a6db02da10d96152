"""Backups of a SQLite database: a copy of one moment, made while others write, and its way back.

A backup has no epoch.  Whoever opens it first gives it one (`graph.storage.migrate`), so that it begins a history of
its own, and a client whose cursor is of the time after the backup is told.
"""

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from graph.keeping.files import flush, placed
from graph.storage.migrate import migrate, refuse_newer
from graph.storage.turn import Turn

WAIT_SECONDS: Final = 30.0  # for others who hold the file locked
ALONE_SECONDS: Final = 1.0  # for those who are just leaving it
FAULTS_TOLD: Final = 3


class Damaged(Exception):
    """A database whose content SQLite itself finds broken; the message is its words."""


class InUse(Exception):
    """Somebody has the database open."""


def back_up(source: Path, file: Path) -> None:
    """Raises AlreadyThere, Damaged or sqlite3.Error; there is then no file."""
    with placed(file) as beside:
        with _opened(source, "rw") as connection, _told_as_damage():
            # One read transaction: writers go on, and what they commit meanwhile is not in it.
            connection.execute("VACUUM INTO ?", (str(beside),))
        with _opened(beside, "rw") as copy:
            copy.execute("DELETE FROM epochs")
            _refuse_damaged(copy)


def restore(file: Path, target: Path, now: int) -> Path | None:
    """Put what the backup holds, brought to this program's schema, in the place of `target`.

    Gives the file by which the former content is kept; None where there was none.  Raises Damaged, InUse,
    SchemaIsNewer or sqlite3.Error; `target` is then as it was.
    """
    refuse_newer(schema_of(file))
    with TemporaryDirectory(prefix=f".{target.name}.restoring-", dir=target.absolute().parent) as folder:
        copy = Path(folder) / target.name
        _copy(file, copy)
        migrate(f"sqlite:///{copy}")
        with _opened(copy, "rw") as connection:
            _leave_single(connection)
        flush(copy)
        return _put_in_place(copy, target, now)


def schema_of(file: Path) -> str | None:
    """Without the locks and the log that `schema_version` makes beside a database."""
    with _opened(file, "ro") as connection:
        found: tuple[str] | None = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    return None if found is None else found[0]


def _copy(file: Path, copy: Path) -> None:
    copy.touch(0o600)
    with _opened(file, "ro") as connection, _opened(copy, "rw") as other:
        with _told_as_damage():
            connection.backup(other)  # with what stands in its write-ahead log, which a copy of the file would lack
        _refuse_damaged(other)
        other.execute("DELETE FROM epochs")


def _put_in_place(copy: Path, target: Path, now: int) -> Path | None:
    """At every moment there is one of the two.  Who starts meanwhile waits for the turn, and then finds the new one."""
    with closing(Turn(str(target))) as turn, turn.taken(WAIT_SECONDS):
        aside = None
        if target.exists():
            with _opened(target, "rw", ALONE_SECONDS) as connection:
                _refuse_used(connection)
            _take_after(target, copy)
            aside = _keep(target, now)
        copy.replace(target)
        flush(target.absolute().parent)
    return aside


def _keep(target: Path, now: int) -> Path:
    """A second name for the file."""
    moment = datetime.fromtimestamp(now // 1_000_000, UTC)
    aside = target.with_name(f"{target.name}.replaced-{moment:%Y%m%dT%H%M%SZ}")
    os.link(target, aside)
    return aside


def _take_after(target: Path, copy: Path) -> None:
    """Whoever could use the one can use the other: the server need not be who restores."""
    known = target.stat()
    copy.chmod(stat.S_IMODE(known.st_mode))
    if os.geteuid() == 0:
        os.chown(copy, known.st_uid, known.st_gid)


def _refuse_used(connection: sqlite3.Connection) -> None:
    try:
        _leave_single(connection)
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise InUse from error


def _leave_single(connection: sqlite3.Connection) -> None:
    """All of it in the one file, without a log beside it; only who is alone with it can do that."""
    connection.execute("PRAGMA journal_mode = DELETE")


def _refuse_damaged(connection: sqlite3.Connection) -> None:
    with _told_as_damage():
        found = [str(fault) for (fault,) in connection.execute(f"PRAGMA integrity_check({FAULTS_TOLD})")]
    if found != ["ok"]:
        raise Damaged("; ".join(found))


@contextmanager
def _told_as_damage() -> Iterator[None]:
    """SQLite may stumble over what is broken before it can list it."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        raise Damaged(str(error)) from error


@contextmanager
def _opened(file: Path, mode: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[sqlite3.Connection]:
    address = f"{file.absolute().as_uri()}?mode={mode}"
    with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=wait_seconds)) as connection:
        yield connection
