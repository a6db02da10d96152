"""From every released version to this one: what people had is there, what is new is right, the program goes on."""

import asyncio
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from graph.audience import VISITOR
from graph.change import Changes
from graph.keeping import store
from graph.storage.database import Storage
from graph.storage.migrate import migrate, newest_version, schema_version, tables_at
from graph.storage.tables import metadata
from graph.users.actions import create_user
from subscriptions.brokers.memory import MemoryBroker
from tests.graph.keeping.filling import START, answers, contents, fill, older_versions

ROOT = Path(__file__).parent.parent.parent.parent
SEEDS = (1, 2)

# New columns that say something of the old rows, and so have not merely their default.
COMPUTED = {"communities.joining", "communities.member_count", "communities.post_count", "memberships.rank"}

# What would show that they were computed wrongly: the rows of which that is so.
WRONGLY_COMPUTED = (
    "SELECT id FROM communities WHERE joining <> CASE visibility WHEN 'PRIVATE' THEN 'INVITATION' ELSE 'OPEN' END",
    """
    SELECT id FROM communities WHERE
      member_count <> (SELECT count(*) FROM memberships WHERE community_id = communities.id)
      OR post_count <> (SELECT count(*) FROM posts WHERE community_id = communities.id AND state = 'PUBLISHED')
    """,
    "SELECT id FROM memberships WHERE rank <> CASE role WHEN 'ADMIN' THEN 0 WHEN 'MODERATOR' THEN 1 ELSE 2 END",
    "SELECT slug FROM communities WHERE slug NOT IN (SELECT slug FROM community_slugs WHERE community_id = id)",
)

pytestmark = pytest.mark.parametrize("revision", older_versions())


async def filled(url: str, revision: str, seed: int = 1) -> tuple[sa.MetaData, dict[str, list[Any]]]:
    """The tables of that version, with rows in each."""
    await asyncio.to_thread(migrate, url, revision)
    tables = await asyncio.to_thread(tables_at, url)
    async with Storage.at(url) as storage:
        await fill(storage, tables, seed)
        return tables, await contents(storage, tables)


@pytest.mark.parametrize("seed", SEEDS)
async def test_what_was_written_at_an_older_version_is_all_there(bare_url: str, revision: str, seed: int) -> None:
    tables, before = await filled(bare_url, revision, seed)
    assert all(before.values())
    await asyncio.to_thread(migrate, bare_url)
    async with Storage.at(bare_url) as storage:
        assert await contents(storage, tables) == before


async def test_what_is_new_has_its_default_or_was_computed(bare_url: str, revision: str) -> None:
    tables, before = await filled(bare_url, revision)
    await asyncio.to_thread(migrate, bare_url)
    new = [
        column
        for table in store.in_order(metadata)
        for column in table.columns
        if table.name in tables.tables and column.name not in tables.tables[table.name].c
    ]
    assert new
    async with Storage.at(bare_url) as storage:
        for column in new:
            if str(column) not in COMPUTED:
                found = [value for (value,) in await storage.rows(sa.select(column))]
                assert found == [default_of(column)] * len(before[column.table.name]), str(column)
        for question in WRONGLY_COMPUTED:
            assert await storage.rows(sa.text(question)) == [], question


def default_of(column: sa.Column[Any]) -> Any:
    if column.server_default is None:
        return None
    assert isinstance(column.server_default, sa.DefaultClause)
    text = str(column.server_default.arg)
    return int(text) if isinstance(column.type, sa.Integer) else text


async def test_the_program_answers_and_goes_on_with_what_an_older_one_has_left(bare_url: str, revision: str) -> None:
    _, before = await filled(bare_url, revision)
    await asyncio.to_thread(migrate, bare_url)
    async with Storage.at(bare_url) as storage:
        newest, _ = await answers(storage)
        published = {row for row in before["posts"] if "PUBLISHED" in row}
        shown = {post["title"] for post in newest["posts"]["nodes"]}
        assert shown
        assert shown <= {row[list(metadata.tables["posts"].c.keys()).index("title")] for row in published}
        changes = Changes(storage, MemoryBroker(), lambda: START)
        highest = max(row[0] for row in before["users"])
        assert await changes.run(lambda change: create_user(change, handle="nova"), audience=VISITOR) > highest


KILLED = """
import os, signal, sys
from alembic.operations import Operations
from graph.storage import migrate as migrating

steps = int(sys.argv[2])

def counted(name):
    real = getattr(Operations, name)
    def step(self, *given, **named):
        global steps
        steps -= 1
        result = real(self, *given, **named)
        if steps == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return step

for name in ("add_column", "create_table", "create_index", "execute"):
    setattr(Operations, name, counted(name))
def last_step(*given):
    os.kill(os.getpid(), signal.SIGKILL)
migrating._begin_history = last_step
migrating.migrate(sys.argv[1])
"""


@pytest.mark.parametrize("steps", [8, 10_000], ids=["in the middle", "before it commits"])
async def test_a_migration_that_is_killed_has_done_nothing_and_is_done_by_the_next(
    bare_url: str, revision: str, steps: int
) -> None:
    tables, before = await filled(bare_url, revision)
    killed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", KILLED, bare_url, str(steps)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
        capture_output=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert await asyncio.to_thread(schema_version, bare_url) == revision
    assert names_of(await asyncio.to_thread(tables_at, bare_url)) == names_of(tables)
    assert (await asyncio.to_thread(migrate, bare_url))[-1] == newest_version()
    async with Storage.at(bare_url) as storage:
        assert await contents(storage, tables) == before


def names_of(tables: sa.MetaData) -> set[str]:
    return {str(column) for table in tables.tables.values() for column in table.columns}


MIGRATING = "import sys; from graph.storage.migrate import migrate; print(migrate(sys.argv[1]))"


def test_two_processes_that_migrate_at_once_do_it_once(bare_url: str, revision: str) -> None:
    migrate(bare_url, revision)

    def run(_: int) -> str:
        command = [sys.executable, "-c", MIGRATING, bare_url]
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout

    with ThreadPoolExecutor(2) as threads:
        said = sorted(threads.map(run, range(2)))
    assert said[1] == "[]\n"
    assert newest_version() in said[0]
