"""Backups from the command line: made while people write, brought back whole, and told to those who followed."""

import asyncio
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable, Coroutine
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from graph import ids
from graph.audience import Audience
from graph.change import Change, Changes
from graph.commands.backups import back_up, restore
from graph.commands.databases import make_ready
from graph.commands.failures import Failure
from graph.comments.actions import add_comment
from graph.comments.rules import written
from graph.settings import Settings, settings_from
from graph.storage.database import Storage
from graph.storage.migrate import migrate, newest_version, schema_version
from graph.storage.sqlite import path_of
from graph.storage.tables import metadata
from subscriptions.brokers.memory import MemoryBroker
from tests.graph.conftest import Community
from tests.graph.keeping.filling import START, contents, fill

FOLLOW = """
subscription Follow($post: ID!, $after: LiveCursor) {
  thread(postId: $post, after: $after) {
    __typename
    cursor
    ... on StreamReset { reason }
    ... on CommentAdded { comment { bodyText } }
  }
}
"""
ADDED = """
subscription Added($post: ID!, $after: LiveCursor) { commentAdded(postId: $post, after: $after) { cursor } }
"""


def at(url: str) -> Settings:
    return settings_from({}, {"database_url": url})


async def everything(url: str) -> dict[str, list[Any]]:
    async with Storage.at(url) as storage:
        return await contents(storage, metadata)


async def refused(call: Callable[..., None], *arguments: Any, **given: Any) -> str:
    with pytest.raises(Failure) as failure:
        await asyncio.to_thread(call, *arguments, **given)
    return str(failure.value)


# The way back -----------------------------------------------------------------------------------------------------


async def test_a_backup_brings_back_every_row_of_every_table_and_a_new_history(
    storage: Storage, database_url: str, bare_url: str, tmp_path: Path
) -> None:
    await fill(storage, metadata)
    before = await contents(storage, metadata)
    await asyncio.to_thread(back_up, at(database_url), tmp_path / "backup")
    await asyncio.to_thread(restore, at(bare_url), tmp_path / "backup", replace=False)
    after = await everything(bare_url)
    old, new = before.pop("epochs"), after.pop("epochs")
    assert after == before
    assert len(new) == len(old) == 1
    assert new != old
    assert await contents(storage, metadata) == {**before, "epochs": old}


async def test_a_cursor_from_after_the_backup_is_told_that_it_leads_nowhere(
    community: Community, database_url: str, bare_url: str, tmp_path: Path
) -> None:
    ada = await community.viewer(await community.person("ada"))
    post = await community.publish(ada)
    post_id = ids.global_id("Post", post)
    await community.answer_post(ada, post, "before")
    await asyncio.to_thread(back_up, at(database_url), tmp_path / "backup")
    watch = await community.follow(FOLLOW, post=post_id)
    await community.settled([watch])
    await community.answer_post(ada, post, "lost")
    await watch.until(lambda: any(frame["__typename"] == "CommentAdded" for frame in watch.frames))
    cursor = watch.cursor
    await watch.leave()
    await asyncio.to_thread(restore, at(bare_url), tmp_path / "backup", replace=False)
    async with Storage.at(bare_url) as storage:
        restored = Community(storage)
        async with restored.tail:
            # As many events as the old history had: positions alone would not tell.
            await restored.answer_post(ada, post, "another")
            again = await restored.follow(FOLLOW, after=cursor, post=post_id)
            told = await again.frame(1)  # the first says where it stands
            await again.leave()
            added = await restored.follow(ADDED, after=cursor, post=post_id)
            await added.end()
        await restored.services.changes.finish()
    assert (told["__typename"], told["reason"]) == ("StreamReset", "EPOCH")
    [error] = added.errors
    assert (error["extensions"]["code"], error["extensions"]["reason"]) == ("CURSOR_EXPIRED", "EPOCH")
    assert added.frames == []


async def test_a_backup_made_while_four_people_write_is_whole(
    two_storages: tuple[Storage, Storage], database_url: str, bare_url: str, tmp_path: Path
) -> None:
    await fill(two_storages[0], metadata)
    [(post_id,), *_] = await two_storages[0].rows(sa.text("SELECT id FROM posts WHERE state = 'PUBLISHED' ORDER BY id"))
    await two_storages[0].rows(
        sa.text(f"UPDATE posts SET discussion = 'OPEN', community_id = NULL WHERE id = {post_id}")
    )
    people = [
        user_id
        for (user_id,) in await two_storages[0].rows(
            sa.text("SELECT id FROM users WHERE deactivated_at IS NULL ORDER BY id")
        )
    ]
    answered: list[int] = []
    over, enough = asyncio.Event(), asyncio.Event()

    def answer(change: Change) -> Coroutine[Any, Any, int]:
        return add_comment(change, post_id=post_id, parent_id=None, written=written("and another"))

    async def write(changes: Changes, user_id: int) -> None:
        acting = Audience(viewer_id=user_id, role="ADMIN")
        while not over.is_set():
            answered.append(await changes.run(answer, audience=acting))
            if len(answered) == 40:
                enough.set()

    lanes = [Changes(storage, MemoryBroker(), lambda: START) for storage in two_storages for _ in range(2)]
    writers = [asyncio.create_task(write(*each)) for each in zip(lanes, people, strict=False)]
    async with asyncio.timeout(30):
        await enough.wait()
    promised = set(answered)
    await asyncio.to_thread(back_up, at(database_url), tmp_path / "backup")
    later = len(answered)
    over.set()
    await asyncio.gather(*writers)
    await asyncio.to_thread(restore, at(bare_url), tmp_path / "backup", replace=False)
    async with Storage.at(bare_url) as storage:
        there = {key for (key,) in await storage.rows(sa.text("SELECT id FROM comments"))}
        assert promised <= there
        assert promised != there or later == len(promised)
        for question in CONTRADICTIONS:
            assert await storage.rows(sa.text(question)) == [], question


# Whatever is counted somewhere, counted anew.
CONTRADICTIONS = (
    """
    SELECT id FROM posts WHERE
      comment_count <> (SELECT count(*) FROM comments WHERE post_id = posts.id AND status = 'PUBLISHED')
      OR root_count <> (SELECT count(*) FROM comments WHERE post_id = posts.id AND parent_id IS NULL AND shown = 1)
      OR last_number <> (SELECT coalesce(max(number), 0) FROM comments WHERE post_id = posts.id)
    """,
    """
    SELECT id FROM comments AS above WHERE
      reply_count <> (SELECT count(*) FROM comments WHERE parent_id = above.id AND shown = 1)
    """,
    "SELECT id FROM topics WHERE head <> (SELECT max(position) FROM events WHERE topic_id = topics.id)",
    "SELECT id FROM topics WHERE head_tag <> (SELECT tag FROM events WHERE topic_id = topics.id AND position = head)",
)


async def test_a_backup_of_an_older_version_comes_back_as_this_one(bare_url: str, tmp_path: Path) -> None:
    await asyncio.to_thread(migrate, bare_url, "0001")
    await asyncio.to_thread(back_up, at(bare_url), tmp_path / "backup")
    await asyncio.to_thread(restore, at(bare_url), tmp_path / "backup", replace=False)
    assert await asyncio.to_thread(schema_version, bare_url) == newest_version()


# What is refused --------------------------------------------------------------------------------------------------


async def test_a_database_with_content_is_left_as_it_is(storage: Storage, database_url: str, tmp_path: Path) -> None:
    await fill(storage, metadata)
    await asyncio.to_thread(back_up, at(database_url), tmp_path / "backup")
    before = await contents(storage, metadata)
    said = await refused(restore, at(database_url), tmp_path / "backup", replace=False)
    assert "has content of its own (in codes); it is left as it is." in said
    assert await contents(storage, metadata) == before


async def test_a_backup_is_never_written_over_a_file(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear Ada")
    said = await refused(back_up, at(database_url), tmp_path / "letter")
    assert said == f"{tmp_path}/letter is there already; it is left as it is.  Name another file."
    assert (tmp_path / "letter").read_text() == "Dear Ada"


async def test_a_file_of_another_kind_is_refused_and_makes_nothing(bare_url: str, tmp_path: Path) -> None:
    (tmp_path / "letter").write_text("Dear Ada")
    await refused(restore, at(bare_url), tmp_path / "letter", replace=False)
    assert [name for name in names_in(tmp_path) if not name.startswith("palabre.db")] == ["letter"]
    assert (
        await refused(restore, at(bare_url), tmp_path / "none", replace=False) == f"There is no file {tmp_path}/none."
    )


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_backup_that_is_cut_off_is_refused_and_nothing_of_it_is_there(
    storage: Storage, database_url: str, bare_url: str, tmp_path: Path
) -> None:
    await fill(storage, metadata)
    await asyncio.to_thread(back_up, at(database_url), tmp_path / "backup")
    content = (tmp_path / "backup").read_bytes()
    (tmp_path / "cut").write_bytes(content[: len(content) * 2 // 3])
    await refused(restore, at(bare_url), tmp_path / "cut", replace=False)
    if storage.engine == "sqlite":
        assert "bare.db" not in names_in(tmp_path)
    assert await asyncio.to_thread(schema_version, bare_url) is None


# SQLite -----------------------------------------------------------------------------------------------------------


async def filled(url: str) -> dict[str, list[Any]]:
    async with Storage.at(url) as storage:
        await fill(storage, metadata)
        return await contents(storage, metadata)


async def test_what_is_replaced_is_kept_beside_it(
    sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = await filled(sqlite_url)
    file = path_of(sqlite_url)
    os.chmod(file, 0o640)
    await asyncio.to_thread(back_up, at(sqlite_url), tmp_path / "backup.db")
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE users SET display_name = 'later'")
    await asyncio.to_thread(restore, at(sqlite_url), tmp_path / "backup.db", replace=True)
    [aside] = [tmp_path / name for name in names_in(tmp_path) if ".replaced-" in name]
    assert f"What was there is in {aside}.\n" in capsys.readouterr().err
    assert (await everything(sqlite_url))["users"] == before["users"]
    assert {row[3] for row in (await everything(f"sqlite:///{aside}"))["users"]} == {"later"}
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o640
    assert [name for name in names_in(tmp_path) if name.startswith(".")] == []


async def test_a_database_that_is_served_is_not_replaced(sqlite_url: str, tmp_path: Path) -> None:
    before = await filled(sqlite_url)
    await asyncio.to_thread(back_up, at(sqlite_url), tmp_path / "backup.db")
    async with Storage.at(sqlite_url):
        said = await refused(restore, at(sqlite_url), tmp_path / "backup.db", replace=True)
    assert said == f"{sqlite_url} is in use.  Stop the server first; nothing was changed."
    assert await everything(sqlite_url) == before
    assert [name for name in names_in(tmp_path) if ".replaced-" in name or name.startswith(".")] == []


def test_an_empty_database_is_replaced_without_a_word(tmp_path: Path) -> None:
    make_ready(at(f"sqlite:///{tmp_path}/home.db"))
    back_up(at(f"sqlite:///{tmp_path}/home.db"), tmp_path / "backup.db")
    make_ready(at(f"sqlite:///{tmp_path}/other.db"))
    restore(at(f"sqlite:///{tmp_path}/other.db"), tmp_path / "backup.db", replace=False)
    assert [name for name in names_in(tmp_path) if ".replaced-" in name] == []


def test_a_copy_that_is_opened_without_being_restored_begins_a_new_history_too(sqlite_url: str, tmp_path: Path) -> None:
    back_up(at(sqlite_url), tmp_path / "backup.db")
    shutil.copyfile(tmp_path / "backup.db", tmp_path / "by-hand.db")
    make_ready(at(f"sqlite:///{tmp_path}/by-hand.db"))
    epochs = []
    for file in (path_of(sqlite_url), tmp_path / "by-hand.db"):
        with closing(sqlite3.connect(file)) as connection:
            epochs += connection.execute("SELECT epoch FROM epochs").fetchall()
    assert len(set(epochs)) == len(epochs) == 2


def test_a_backup_is_one_file_that_only_its_owner_may_read(sqlite_url: str, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    back_up(at(sqlite_url), folder / "backup.db")
    assert [path.name for path in folder.iterdir()] == ["backup.db"]
    assert stat.S_IMODE((folder / "backup.db").stat().st_mode) == 0o600


async def test_a_damaged_database_and_a_damaged_backup_are_told(sqlite_url: str, tmp_path: Path) -> None:
    await filled(sqlite_url)
    await asyncio.to_thread(back_up, at(sqlite_url), tmp_path / "backup.db")
    damage(tmp_path / "backup.db")
    said = await refused(restore, at(f"sqlite:///{tmp_path}/new.db"), tmp_path / "backup.db", replace=False)
    assert said.startswith("What is to be copied is damaged: SQLite says: ")
    assert "new.db" not in names_in(tmp_path)
    damage(tmp_path / "palabre.db")
    said = await refused(back_up, at(sqlite_url), tmp_path / "another.db")
    assert said.startswith("What is to be copied is damaged: SQLite says: ")
    assert "another.db" not in names_in(tmp_path)


def damage(file: Path) -> None:
    """A page of a table, as a disk might lose it."""
    with closing(sqlite3.connect(file)) as connection:
        [(size,)] = connection.execute("PRAGMA page_size")
        [(page,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'pingbacks'")
    content = bytearray(file.read_bytes())
    content[(page - 1) * size : page * size] = b"\xff" * size
    file.write_bytes(content)


def test_a_backup_of_a_later_version_is_refused_by_name(sqlite_url: str, tmp_path: Path) -> None:
    back_up(at(sqlite_url), tmp_path / "backup.db")
    with closing(sqlite3.connect(tmp_path / "backup.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(Failure, match=r"backup\.db was made by a later Palabre: the database is at version 9999"):
        restore(at(f"sqlite:///{tmp_path}/new.db"), tmp_path / "backup.db", replace=False)
    assert not (tmp_path / "new.db").exists()


def test_what_does_not_exist_has_no_backup(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"^There is no database sqlite:///.*none\.db\.$"):
        back_up(at(f"sqlite:///{tmp_path}/none.db"), tmp_path / "backup.db")
    assert list(tmp_path.iterdir()) == []


# PostgreSQL -------------------------------------------------------------------------------------------------------


async def test_on_postgresql_nothing_is_replaced(postgresql_url: str, tmp_path: Path) -> None:
    before = await filled(postgresql_url)
    await asyncio.to_thread(back_up, at(postgresql_url), tmp_path / "backup")
    said = await refused(restore, at(postgresql_url), tmp_path / "backup", replace=True)
    assert said.startswith("On PostgreSQL nothing is replaced.  Make a new database")
    assert await everything(postgresql_url) == before


async def test_without_the_tools_of_postgresql_the_archive_is_named(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = await refused(back_up, at(postgresql_url), tmp_path / "backup")
    assert said.startswith("pg_dump is not installed")
    assert said.endswith("Without it: `palabre export` writes an archive, which any database takes in.")
    assert names_in(tmp_path) == []


def test_a_password_goes_to_the_tools_by_their_environment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tool that tells what it was given, in the place of the real one."""
    told = tmp_path / "told"
    (tmp_path / "pg_dump").write_text(f'#!/bin/sh\n(echo "$@"; env) > {told}\necho "no such host" >&2\nexit 1\n')
    (tmp_path / "pg_dump").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    url = "postgresql://talk:hunter%202@db.example.org:5433/talk?ssl=true&connections=4"
    with pytest.raises(Failure) as refused:
        back_up(at(url), tmp_path / "backup")
    assert str(refused.value) == ("postgresql://talk:***@db.example.org:5433/talk?ssl=true&connections=4: no such host")
    arguments, *variables = told.read_text().splitlines()
    assert "hunter" not in arguments
    assert {line for line in variables if line.startswith("PG")} == {
        "PGHOST=db.example.org",
        "PGPORT=5433",
        "PGUSER=talk",
        "PGPASSWORD=hunter 2",
        "PGDATABASE=talk",
        "PGSSLMODE=require",
    }
    assert not (tmp_path / "backup").exists()
