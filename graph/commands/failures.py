"""Why a command could not be carried out, as a sentence for whoever typed it: what is wrong, and what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from graph.settings import masked
from graph.storage.errors import DriverMissing, SchemaIsNewer, StorageError


class Failure(Exception):
    """The command cannot go on; the message is for a person, and all of it that is needed."""


@contextmanager
def worded(url: str) -> Iterator[None]:
    """What a database may refuse becomes a Failure; anything else is a defect and keeps its traceback."""
    try:
        yield
    except Exception as error:
        sentence = _sentence(error, masked(url))
        if sentence is None:
            raise
        raise Failure(sentence) from error


def _sentence(error: Exception, place: str) -> str | None:
    match error:
        case DriverMissing(extra=extra):
            return f"{place} cannot be opened: {error}.  For example: pip install 'palabre[{extra}]'"
        case SchemaIsNewer():
            return f"{place} was made by a later Palabre: {error}.  Use that version, or a newer one."
        case StorageError():
            return f"{place} cannot be used: {error}."
        case sqlite3.Error():
            return f"{place} cannot be used: SQLite says: {error}."
        case sa.exc.DBAPIError():
            return f"{place} cannot be used: the database says: {error.orig}."
        case OSError():
            return f"{place} cannot be reached: {error.strerror or error}.  {_advice(place)}"
    # The driver is not imported for its errors: it may not be there.
    if type(error).__module__.startswith("asyncpg."):
        return f"{place} cannot be used: PostgreSQL says: {error}.  {_advice(place)}"
    return None


def _advice(place: str) -> str:
    if place.startswith("postgresql"):
        return "Is PostgreSQL running there, with this database?  Another one is named with --database-url."
    return "Another place is named with --database-url."
