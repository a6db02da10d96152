"""The doctor sees each thing that is wrong, by its name, touches nothing, and tells no secret."""

import asyncio
import json
import os
import shutil
import socket
import sqlite3
import time
from collections import namedtuple
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from typer.testing import CliRunner

from graph.cli import app
from graph.commands import doctor
from graph.commands.doctor import examined, run
from graph.exchange.demo import demo_discussion
from graph.exchange.replay import load_demo
from graph.keeping import checks
from graph.keeping.checks import Check, State
from graph.keeping.looking import connected_to, looked_into
from graph.settings import Settings, settings_from
from graph.storage.database import Storage
from graph.storage.migrate import migrate, newest_version
from graph.storage.sqlite import path_of
from graph.storage.tables import metadata
from subscriptions.brokers.sqlite import SqliteBroker
from tests.graph.keeping.filling import contents

NOW = time.time_ns() // 1000


def at(url: str, **given: Any) -> Settings:
    return settings_from({}, {"database_url": url, **given})


async def seen(settings: Settings, **given: Any) -> dict[str, Check]:
    return {check.name: check for check in await examined(settings, **given)}


async def only(settings: Settings, name: str, **given: Any) -> Check:
    """The one line that is not well."""
    found = await seen(settings, **given)
    assert [check.name for check in found.values() if check.state is not State.OK and check.name != name] == []
    return found[name]


@pytest.fixture(autouse=True)
def built_pages(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whether they are in this checkout is nothing that these tests are about."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "index.html").touch()
    monkeypatch.setattr(doctor, "BUILT", folder)
    return folder


@pytest.fixture
async def home(storage: Storage, database_url: str) -> Settings:
    await load_demo(storage, demo_discussion(), NOW)
    return at(database_url)


def changed(url: str, *statements: str) -> None:
    """By hand, as it should not be done."""
    with closing(sqlite3.connect(path_of(url), isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


# When all is well -------------------------------------------------------------------------------------------------


async def test_where_all_is_well_every_line_says_so(home: Settings) -> None:
    found = await seen(home)
    assert {name: check.state for name, check in found.items()} == dict.fromkeys(
        (
            *("settings", "database", "durability", "migrations", "integrity", "counters", "clock"),
            *("disk", "doorbell", "mail", "pages"),
        ),
        State.OK,
    )
    assert [check.advice for check in found.values() if check.advice] == []
    assert found["migrations"].seen == f"the database is at {newest_version()}, as this Palabre"


async def test_looking_changes_nothing(home: Settings, storage: Storage, tmp_path: Path) -> None:
    before, files = await contents(storage, metadata), snapshot(tmp_path)
    await examined(home)
    assert await contents(storage, metadata) == before
    assert snapshot(tmp_path) == files


def test_looking_at_a_file_that_nobody_has_open_changes_nothing(sqlite_url: str, tmp_path: Path) -> None:
    files = snapshot(tmp_path)
    assert "palabre.db" in files
    asyncio.run(examined(at(sqlite_url)))
    assert snapshot(tmp_path) == files


def snapshot(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith("-shm")}


def test_what_is_seen_is_printed_for_people_and_for_programs(
    sqlite_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(at(sqlite_url), as_json=False, mail=False)
    lines = capsys.readouterr().out.splitlines()
    assert f"OK    database    SQLite {sqlite3.sqlite_version}" in lines
    assert not run(at(f"sqlite:///{tmp_path}/none.db"), as_json=True, mail=False)
    told = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert told["database"] == {
        "name": "database",
        "state": "FAIL",
        "seen": f"There is no database {tmp_path}/none.db.  `palabre serve` or `palabre migrate` makes it.",
        "advice": "Mend that, and look again",
    }
    assert not (tmp_path / "none.db").exists()


def test_the_exit_code_says_whether_anything_failed(sqlite_url: str, tmp_path: Path) -> None:
    for url, code in ((sqlite_url, 0), (f"sqlite:///{tmp_path}/none.db", 1)):
        assert CliRunner().invoke(app, ["doctor", "--database-url", url]).exit_code == code


async def test_a_password_is_never_told() -> None:
    settings = at(
        "postgresql://talk:hunter2@127.0.0.1:1/talk",
        mail_url="smtp://talk:hunter2@127.0.0.1:1",
        mail_from="talk@example.org",
    )
    found = await seen(settings, mail=True)
    assert found["database"].state is found["mail"].state is State.FAIL
    assert "hunter2" not in str(found)


# The database -----------------------------------------------------------------------------------------------------


async def test_a_file_that_is_none_of_ours_is_told(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Ada")
    line = await only(at(f"sqlite:///{tmp_path}/letter.txt"), "database")
    assert line.state is State.FAIL
    assert "letter.txt is no SQLite database; it is left as it is." in line.seen


async def test_a_file_that_may_not_be_written_is_told(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.R_OK | os.W_OK and real(path, mode))
    line = await only(at(sqlite_url), "database")
    assert line.state is State.FAIL
    assert "may not be read and written by you" in line.seen


async def test_an_engine_that_is_too_old_is_told(home: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "OLDEST_SQLITE", (99, 0))
    monkeypatch.setattr(checks, "OLDEST_POSTGRESQL", 990_000)
    assert (await only(home, "database")).state is State.FAIL


async def test_a_file_whose_commits_may_be_lost_is_told(sqlite_url: str) -> None:
    line = await only(at(f"{sqlite_url}?synchronous=NORMAL"), "durability")
    assert (line.state, line.advice) == (State.FAIL, "Set synchronous to FULL")
    assert line.seen.endswith("synchronous=normal: what was acknowledged may be lost")


async def test_a_server_whose_commits_may_be_lost_is_told(postgresql_url: str) -> None:
    name = postgresql_url.rsplit("/", 1)[1]
    async with connected_to(postgresql_url) as asked:
        with pytest.raises(Exception, match="read-only"):
            await asked.rows(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    async with Storage.at(postgresql_url) as storage:
        await storage.rows(sa.text(f'ALTER DATABASE "{name}" SET synchronous_commit = off'))
        try:
            line = await only(at(postgresql_url), "durability")
        finally:
            await storage.rows(sa.text(f'ALTER DATABASE "{name}" RESET synchronous_commit'))
    assert (line.state, line.advice) == (State.FAIL, "Set synchronous_commit to on")


async def test_a_database_that_is_behind_is_told_and_one_that_is_ahead_and_one_that_is_empty(bare_url: str) -> None:
    await asyncio.to_thread(migrate, bare_url, "0001")
    behind = await only(at(bare_url), "migrations")
    assert (behind.state, behind.seen) == (
        State.WARN,
        f"the database is at 0001, this Palabre at {newest_version()}",
    )
    await asyncio.to_thread(migrate, bare_url)
    async with Storage.at(bare_url) as storage:
        await storage.rows(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    ahead = await only(at(bare_url), "migrations")
    assert (ahead.state, ahead.advice) == (State.FAIL, "Use that Palabre, or a newer one")


async def test_an_empty_file_is_told_to_be_no_database_yet(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()
    line = await only(at(f"sqlite:///{tmp_path}/new.db"), "migrations")
    assert (line.state, line.advice) == (State.FAIL, "palabre migrate")


async def test_a_damaged_file_is_told(sqlite_url: str) -> None:
    damage(Path(path_of(sqlite_url)))
    line = await only(at(sqlite_url), "integrity")
    assert line.state is State.FAIL
    assert line.seen.startswith("SQLite finds the file damaged: ")


def damage(file: Path) -> None:
    """A page of a table, as a disk might lose it."""
    with closing(sqlite3.connect(file)) as connection:
        [(size,)] = connection.execute("PRAGMA page_size")
        [(page,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'pingbacks'")
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\xff" * size)


async def test_a_reference_to_nothing_is_told(sqlite_url: str) -> None:
    changed(sqlite_url, "INSERT INTO former_handles (user_id, handle_key, left_at) VALUES (7, 'ada', 0)")
    line = await only(at(sqlite_url), "integrity")
    assert line.seen == "rows refer to what is not there: former_handles 1 (to users)"
    assert line.state is State.FAIL


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("posts", "comment_count"),
        ("posts", "root_count"),
        ("comments", "reply_count"),
        ("comments", "descendant_count"),
        ("topics", "head"),
    ],
)
async def test_a_counter_that_is_wrong_is_told(home: Settings, storage: Storage, table: str, column: str) -> None:
    right = f"SELECT {column} FROM {table} WHERE id = 1"
    [(value,)] = await storage.rows(sa.text(right))
    await storage.rows(sa.text(f"UPDATE {table} SET {column} = {column} + 1 WHERE id = 1"))
    line = await only(home, "counters")
    assert line.state is State.FAIL
    assert line.seen == f"{column} of {table} 1 is {value + 1} and should be {value}"


async def test_the_counters_of_communities_are_looked_at_too(storage: Storage, database_url: str) -> None:
    await storage.rows(
        sa.text("INSERT INTO communities (slug, name, created_at, member_count, post_count) VALUES ('a', 'A', 0, 1, 2)")
    )
    line = await only(at(database_url), "counters")
    assert (
        line.seen
        == "member_count of communities 1 is 1 and should be 0; post_count of communities 1 is 2 and should be 0"
    )


# The machine ------------------------------------------------------------------------------------------------------

Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(("free", "state"), [(checks.FREE_BYTES - 1, State.FAIL), (checks.FREE_BYTES, State.OK)])
async def test_a_disk_that_fills_up_is_told(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, free: int, state: State
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(2**40, 2**40 - free, free))
    assert (await only(at(sqlite_url), "disk")).state is state


async def test_a_disk_without_room_for_a_backup_is_told(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "FREE_BYTES", 100)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(2**40, 2**40 - 1000, 1000))
    line = await only(at(sqlite_url), "disk")
    assert (line.state, line.advice) == (State.WARN, "Make room: a backup beside the database would not fit")


async def test_a_clock_before_this_program_is_told(sqlite_url: str) -> None:
    with looked_into(Path(path_of(sqlite_url))) as asked:
        line = await checks.clock_check(asked, lambda: 946_684_800.0)
    assert (line.state, line.seen) == (State.FAIL, "it is 2000-01-01 00:00:00 UTC, they say")


async def test_a_clock_behind_the_newest_answer_is_told(home: Settings, storage: Storage) -> None:
    later = NOW + 3_600_000_000
    await storage.rows(sa.text(f"UPDATE posts SET last_activity_at = {later} WHERE id = 1"))
    line = await only(home, "clock")
    assert line.state is State.FAIL
    assert "and the newest answer is of 3" in line.seen


@pytest.mark.parametrize(
    ("shift", "state", "words"),
    [
        (10.0, State.WARN, "s ahead of the database's"),
        (-10.0, State.WARN, "s behind the database's"),
        (100.0, State.FAIL, "s ahead of the database's"),
        (0.5, State.OK, "ms from the database's"),
    ],
)
async def test_a_clock_that_is_not_the_databases_is_told(
    postgresql_url: str, shift: float, state: State, words: str
) -> None:
    async with connected_to(postgresql_url) as asked:
        line = await checks.clock_check(asked, lambda: time.time() + shift)
    assert line.state is state
    assert line.seen.endswith(words)


async def test_a_bell_that_is_not_heard_is_told(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "BELL_SECONDS", 0.2)
    monkeypatch.setattr(SqliteBroker, "_changed", lambda self: False)
    line = await only(at(sqlite_url), "doorbell")
    assert (line.state, line.seen) == (State.WARN, "a bell was rung, and not heard within 0.2 s (TimeoutError)")


# Settings, mail and pages -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "state", "words"),
    [
        ({}, State.OK, "production is off, people reach it at localhost"),
        ({"production": True}, State.FAIL, "production is on, and no public address is given"),
        (
            {"production": True, "public_url": "http://talk.example.org"},
            State.FAIL,
            "and browsers get no session cookie",
        ),
        ({"production": True, "public_url": "https://talk.example.org"}, State.OK, "at https://talk.example.org"),
        ({"public_url": "https://talk.example.org"}, State.WARN, "production is off: errors tell more"),
    ],
)
def test_settings_that_do_not_fit_together_are_told(given: Any, state: State, words: str) -> None:
    line = checks.settings_check(settings_from({}, given))
    assert line.state is state
    assert line.seen.endswith(words)
    assert (line.advice is None) == (state is State.OK)


def mail_at(port: int) -> Settings:
    return settings_from({}, {"mail_url": f"smtp://127.0.0.1:{port}", "mail_from": "talk@example.org"})


def test_a_mail_server_is_greeted_only_when_asked_to() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    dead = mail_at(port)
    assert (
        checks.mail_check(dead, connect=False).seen == f"goes through smtp://127.0.0.1:{port}; not tried without --mail"
    )
    assert checks.mail_check(dead, connect=True).state is State.FAIL
    controller = Controller(Sink(), hostname="127.0.0.1", port=port, server_hostname="mail.example.org")
    controller.start()
    try:
        assert checks.mail_check(mail_at(port), connect=True) == Check(
            "mail", State.OK, f"smtp://127.0.0.1:{port} says mail.example.org"
        )
    finally:
        controller.stop()


def test_a_site_for_strangers_that_sends_no_mail_is_told() -> None:
    line = checks.mail_check(settings_from({}, {"production": True}), connect=True)
    assert (line.state, line.seen) == (State.WARN, "no mail is sent: who forgets a password needs you")


def test_pages_that_are_not_built_are_told_where_they_are_wanted(tmp_path: Path) -> None:
    wanted, unwanted = settings_from({}, {}), settings_from({}, {"production": True})
    assert checks.pages_check(wanted, tmp_path / "none").state is State.WARN
    assert checks.pages_check(wanted, tmp_path).state is State.WARN
    assert checks.pages_check(unwanted, tmp_path).state is State.OK
    (tmp_path / "index.html").touch()
    assert checks.pages_check(wanted, tmp_path) == Check("pages", State.OK, "GraphiQL is built")
