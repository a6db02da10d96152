"""A whole community as one file: written from a database, and brought into another."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from graph import app
from graph.commands.console import note, progress, say
from graph.commands.databases import check_version, is_there, make_ready, occupied, refuse_content
from graph.commands.failures import Failure, worded
from graph.keeping import moving
from graph.keeping.archive import Archive
from graph.keeping.files import AlreadyThere
from graph.keeping.rules import Manifest, UnreadableArchive
from graph.settings import Settings, masked
from graph.storage.database import Storage
from graph.storage.errors import NotEmpty


def export(settings: Settings, file: Path, *, with_secrets: bool) -> None:
    """Write the archive, and print what is in it.  Raises Failure; the database is not changed."""
    if not is_there(settings):
        raise Failure(f"There is no database {masked(settings.database_url)}.")
    check_version(settings)
    with worded(settings.database_url), told_of(file):
        manifest = asyncio.run(_export(settings, file, with_secrets))
    for part in manifest.parts:
        note(f"{part.rows:>12,} {part.shape.name}")
    for table, reason in manifest.left_out.items():
        note(f"Left out: {table}: {reason}.")
    say(str(file))


async def _export(settings: Settings, file: Path, with_secrets: bool) -> Manifest:
    async with Storage.at(settings.database_url, **moving.LONG) as storage:
        with progress(f"Writing {file.name}") as told:
            return await moving.export(
                storage, file, program=program(), now=app.now(), with_secrets=with_secrets, progress=told
            )


def program() -> str:
    """This program and its version, where it was installed and not only unpacked."""
    try:
        return f"palabre {version('palabre')}"
    except PackageNotFoundError:
        return "palabre"


def bring(settings: Settings, file: Path) -> None:
    """Bring the archive in, once all of it was read and found whole.  Raises Failure; nothing was then brought in."""
    if not file.is_file():
        raise Failure(f"There is no file {file}.")
    with worded(settings.database_url), told_of(file):
        manifest = asyncio.run(_bring(settings, file))
    say(f"{manifest.rows:,} rows of {len(manifest.parts)} tables are in {masked(settings.database_url)}.")


async def _bring(settings: Settings, file: Path) -> Manifest:
    with progress(f"Reading {file.name}") as told:
        async with moving.readable(file, told) as archive:
            await asyncio.to_thread(make_empty, settings)
            return await _fill(settings, archive)


async def _fill(settings: Settings, archive: Archive) -> Manifest:
    async with Storage.at(settings.database_url, **moving.LONG) as storage:
        with progress("Bringing it in") as told:
            try:
                await moving.fill(storage, archive, progress=told)
            except NotEmpty as error:
                raise Failure(occupied(settings, error.table)) from error
    return archive.manifest


def make_empty(settings: Settings) -> None:
    """Make the database, or bring one that has no content to this version.  Raises Failure."""
    refuse_content(settings)
    make_ready(settings)


@contextmanager
def told_of(file: Path) -> Iterator[None]:
    """What can be wrong with the file becomes a Failure."""
    try:
        yield
    except AlreadyThere as error:
        raise Failure(f"{error} is there already; it is left as it is.  Name another file.") from error
    except UnreadableArchive as error:
        raise Failure(f"{file} cannot be taken in: {error}.  Nothing was brought in.") from error
    except OSError as error:
        if error.filename is None:
            raise
        raise Failure(f"{error.filename} cannot be used: {error.strerror}.") from error
