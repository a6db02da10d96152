"""A community leaves one database as an archive, and enters another one: all of it, or nothing."""

from asyncio import to_thread
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import sqlalchemy as sa

from graph.keeping import store
from graph.keeping.archive import Archive, Writer, opened
from graph.keeping.files import placed
from graph.keeping.rules import (
    SECRET_COLUMNS,
    Manifest,
    Shape,
    UnreadableArchive,
    reason_to_leave,
    refuse_misfit,
)
from graph.storage.database import Storage
from graph.storage.errors import NotEmpty, SchemaIsNewer
from graph.storage.migrate import migrate, newest_version, refuse_newer, tables_at
from graph.storage.rows import Failed, Rows
from graph.storage.tables import metadata as newest
from subscriptions.log import new_epoch

ADDED_ROWS: Final = 500  # in one statement

# What may take long here: one view of a whole database, and statements over all its rows.
# Nothing is read twice, so that nothing is gained by keeping much of the file in memory.
LONG: Final[Mapping[str, Any]] = {
    "view_seconds": 24 * 3600.0,
    "statement_seconds": 3600.0,
    "mapped_bytes": 0,
    "cache_bytes": 16 * 2**20,
}

Progress = Callable[[int, int], None]  # so many rows of so many


def quiet(done: int, total: int) -> None: ...


# Out --------------------------------------------------------------------------------------------------------------


async def export(
    storage: Storage,
    file: Path,
    *,
    program: str,
    now: int,
    with_secrets: bool = True,
    schema: sa.MetaData = newest,
    revision: str | None = None,
    progress: Progress = quiet,
) -> Manifest:
    """Write everything to `file` as of one moment, while others go on writing.  Raises AlreadyThere.

    `schema` and `revision` are those of the database: this program's, unless it stands at an older one.
    """
    every = list(map(store.shape_of, store.in_order(schema)))
    left_out = {shape.name: reason_to_leave(shape.name, with_secrets=with_secrets) for shape in every}
    shapes = [shape for shape in every if left_out[shape.name] is None]
    with placed(file) as beside, beside.open("wb") as written, Writer(written) as writer:
        async with storage.reading() as rows:
            await _write(rows, writer, shapes, with_secrets=with_secrets, progress=progress)
        manifest = Manifest(
            program=program,
            schema_revision=revision or newest_version(),
            engine=storage.engine,
            made_at=datetime.fromtimestamp(now // 1_000_000, UTC).isoformat().replace("+00:00", "Z"),
            with_secrets=with_secrets,
            parts=tuple(writer.parts),
            left_out={name: reason for name, reason in left_out.items() if reason is not None},
        )
        writer.finish(manifest)
    return manifest


async def _write(
    rows: Rows, writer: Writer, shapes: Sequence[Shape], *, with_secrets: bool, progress: Progress
) -> None:
    total, done = sum([await store.count(rows, shape) for shape in shapes]), 0
    for shape in shapes:
        hidden = frozenset[str]() if with_secrets else frozenset(SECRET_COLUMNS.get(shape.name, ()))
        with writer.table(shape) as table:
            async for page in store.pages(rows, shape, hidden):
                table.write(page)
                done += len(page)
                progress(done, total)


# In ---------------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def readable(file: Path, progress: Progress = quiet) -> AsyncIterator[Archive]:
    """An archive of this program's schema, read through once, and found whole.  Raises UnreadableArchive.

    One of an older schema is brought forward first: see `_forward`.
    """
    with opened(file) as archive:
        _refuse_newer(archive.manifest)
        verify(archive, progress)
        if archive.manifest.schema_revision == newest_version():
            refuse_misfit(archive.manifest, map(store.shape_of, store.in_order(newest)))
            yield archive
            return
        with TemporaryDirectory(prefix="palabre-") as folder, opened(await _forward(archive, folder)) as newer:
            yield newer


def _refuse_newer(manifest: Manifest) -> None:
    try:
        refuse_newer(manifest.schema_revision)
    except SchemaIsNewer as error:
        raise UnreadableArchive(
            f"it was written by a later Palabre ({manifest.program}, at version {error.found} of the database, where "
            f"this program knows {error.known}); use that Palabre, or a newer one"
        ) from None


async def _forward(archive: Archive, folder: str) -> Path:
    """The same archive as this program would have written it: a new file in the folder.  Raises UnreadableArchive.

    A private database is made as that version made it, filled, and migrated like any other: what a migration
    computes from old rows is then right here too.
    """
    manifest, url = archive.manifest, f"sqlite:///{folder}/private.db"
    await to_thread(migrate, url, manifest.schema_revision)
    schema = await to_thread(tables_at, url)
    refuse_misfit(manifest, map(store.shape_of, store.in_order(schema)))
    async with Storage.at(url, **LONG) as storage:
        await fill(storage, archive, schema=schema)
    await to_thread(migrate, url)
    async with Storage.at(url, **LONG) as storage:
        newer = Path(folder) / "newer.zip"
        await export(storage, newer, program=manifest.program, now=0, with_secrets=manifest.with_secrets)
    return newer


def verify(archive: Archive, progress: Progress = quiet) -> None:
    done = 0

    def told(rows: int) -> None:
        nonlocal done
        done += rows
        progress(done, archive.manifest.rows)

    archive.verify(told)


async def fill(storage: Storage, archive: Archive, *, schema: sa.MetaData = newest, progress: Progress = quiet) -> None:
    """Bring all of it into an empty database of the same schema, in one transaction.

    The history is a new one: whoever holds a cursor of the old community is told that it does not continue here.
    Raises NotEmpty or UnreadableArchive; nothing was then written.
    """
    [outcome] = await storage.write([partial(_fill, archive=archive, schema=schema, progress=progress)])
    if isinstance(outcome, Failed):
        raise outcome.error
    await store.gather_statistics(storage)


async def _fill(rows: Rows, *, archive: Archive, schema: sa.MetaData, progress: Progress) -> None:
    tables = store.in_order(schema)
    await store.keep_others_out(rows, tables)
    await refuse_content(rows, schema)
    waiting = store.waiting(schema)
    await store.let_references_wait(rows, waiting)
    done = 0
    for part in archive.manifest.parts:
        values = archive.rows(part)
        while group := list(islice(values, ADDED_ROWS)):
            await store.add(rows, part.shape, group)
            done += len(group)
            progress(done, archive.manifest.rows)
    await store.look_at_references(rows, waiting)
    await store.count_on(rows, tables)
    await new_epoch(rows)


async def refuse_content(rows: Rows, schema: sa.MetaData = newest) -> None:
    """Raises NotEmpty.  The name of the history is no content."""
    for table in store.in_order(schema):
        if table.name != "epochs" and await store.has_rows(rows, store.shape_of(table)):
            raise NotEmpty(table.name)
