"""Bringing much in at once: another site's discussions, or made-up ones to measure with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from rich.console import Console
from rich.table import Table

from graph import app, ids
from graph.audience import VISITOR, Audience
from graph.change import Changes
from graph.commands.console import progress, say
from graph.commands.databases import check_version, is_there, make_ready, opened
from graph.commands.failures import Failure
from graph.exchange.imports import import_wordpress
from graph.exchange.report import Places, Report
from graph.exchange.shapes import TreeShape, load_shape
from graph.exchange.wordpress import UnreadableExport
from graph.posts.actions import create_post
from graph.posts.rules import written
from graph.settings import Settings
from graph.storage.database import Storage
from graph.storage.migrate import migrate
from graph.users import rules, store
from graph.users.actions import create_user
from subscriptions.brokers.memory import MemoryBroker

SAMPLE_AUTHORS: Final = 20
SAMPLE_LENGTH: Final = timedelta(days=30)  # from the first comment to the last


def bring_wordpress(settings: Settings, file: Path, *, source: str | None, dry_run: bool) -> None:
    """Import a WordPress export, and print what became of each thing in it.  Raises Failure."""
    if not file.is_file():
        raise Failure(f"There is no file {file}.")
    with TemporaryDirectory(prefix="palabre-") as folder:
        if not dry_run:
            make_ready(settings)
        elif is_there(settings):
            check_version(settings)
        else:
            settings = settings.model_copy(update={"database_url": f"sqlite:///{folder}/rehearsal.db"})
            migrate(settings.database_url)
        report = asyncio.run(_import(settings, file, source, dry_run))
    _print(report)


async def _import(settings: Settings, file: Path, source: str | None, dry_run: bool) -> Report:
    async with opened(settings) as storage:
        with progress(f"Importing {file.name}") as told:
            try:
                return await import_wordpress(
                    storage, file, source=source, dry_run=dry_run, progress=told, now=app.now()
                )
            except UnreadableExport as unreadable:
                raise Failure(f"{file} is no whole WordPress export: {unreadable}.  Nothing was imported.") from None


def _print(report: Report) -> None:
    say(f"From {report.source}" + (": a rehearsal, nothing was written" if report.dry_run else ""))
    table = Table("", "imported", "here already", "left out", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, tally in report.kinds.items():
        left_out = sum(places.count for places in tally.skipped.values())
        table.add_row(kind, str(tally.imported), str(tally.already_here), str(left_out))
    Console(highlight=False).print(table)
    for kind, tally in report.kinds.items():
        for reason, places in tally.skipped.items():
            say(f"Left out: {kind}: {reason}: {_places(places)}")
    for what, places in report.notes.items():
        say(f"Note: {what}: {_places(places)}")


def _places(places: Places) -> str:
    shown = ", ".join(map(str, places.lines)) + (", …" if places.count > len(places.lines) else "")
    return f"{places.count} (line {shown})"


def load_sample(settings: Settings, *, comments: int, shape: TreeShape, seed: int) -> None:
    """Add a post with so many made-up comments, and print its id.  Raises Failure."""
    make_ready(settings)
    say(ids.global_id("Post", asyncio.run(_load_sample(settings, comments, shape, seed))))


async def _load_sample(settings: Settings, comments: int, shape: TreeShape, seed: int) -> int:
    async with _acting(settings) as (storage, changes):
        author_ids = [await _sample_author(storage, changes, number) for number in range(1, SAMPLE_AUTHORS + 1)]
        post_id = await changes.run(
            lambda change: create_post(
                change,
                title=f"A made-up discussion: {comments} comments, {shape.value}",
                written=written("Nobody wrote this: it is here to be measured."),
                language="en",
            ),
            audience=Audience(viewer_id=author_ids[0], role="MEMBER"),
        )
        now = app.now()
        with progress(f"Loading {comments} comments") as told:
            await load_shape(
                storage,
                post_id=post_id,
                author_ids=author_ids,
                comments=comments,
                shape=shape,
                begins_at=now - SAMPLE_LENGTH // timedelta(microseconds=1),
                ends_at=now,
                seed=seed,
                progress=lambda loaded: told(loaded, comments),
            )
        return post_id


async def _sample_author(storage: Storage, changes: Changes, number: int) -> int:
    """Samples share their authors."""
    handle = f"sample-{number}"
    known = await store.id_by_handle(storage, rules.handle_key(handle))
    if known is not None:
        return known
    return await changes.run(
        lambda change: create_user(change, handle=handle, display_name=f"Sample {number}"), audience=VISITOR
    )


@asynccontextmanager
async def _acting(settings: Settings) -> AsyncIterator[tuple[Storage, Changes]]:
    async with opened(settings) as storage:
        yield storage, Changes(storage, MemoryBroker(), app.now)
