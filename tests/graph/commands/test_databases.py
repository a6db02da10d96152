"""The database of a command: what is refused before anything is touched, and in which words."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from graph.commands.databases import check_version, make_ready
from graph.commands.failures import Failure
from graph.settings import Settings, settings_from
from graph.storage.migrate import newest_version


def at(file: Path) -> Settings:
    return settings_from({}, {"database_url": f"sqlite:///{file}"})


def refusal(settings: Settings) -> str:
    with pytest.raises(Failure) as refused:
        make_ready(settings)
    return str(refused.value)


def test_a_database_is_made_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = at(tmp_path / "new.db")
    assert make_ready(settings)[-1] == newest_version()
    assert capsys.readouterr().err == f"Made {tmp_path}/new.db.\n"
    assert make_ready(settings) == []
    assert capsys.readouterr().err == ""


def test_a_missing_directory_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    assert refusal(at(tmp_path / "no" / "x.db")).startswith(
        f"{tmp_path}/no/x.db cannot be made: there is no directory {tmp_path}/no."
    )
    assert list(tmp_path.iterdir()) == []


def test_a_directory_where_nothing_may_be_written_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert refusal(at(tmp_path / "x.db")).startswith(
        f"{tmp_path}/x.db cannot be used: nothing may be written into {tmp_path}."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"This is a letter.", b"SQLite format 3\0" + b"\xff" * 200])
def test_a_file_that_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "letter.txt"
    file.write_bytes(content)
    assert refusal(at(file)).startswith(str(file) if content[0] == ord("T") else f"sqlite:///{file}")
    assert file.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["letter.txt"]


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    assert refusal(at(tmp_path)).startswith(f"{tmp_path} is a directory.")


def test_a_database_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "books.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE books (title TEXT)")
    before = file.read_bytes()
    assert "books.db is a database of another program; it is left as it is." in refusal(at(file))
    assert file.read_bytes() == before


def test_a_database_that_is_newer_than_the_program_is_refused(tmp_path: Path) -> None:
    settings = at(tmp_path / "x.db")
    make_ready(settings)
    with closing(sqlite3.connect(tmp_path / "x.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert "was made by a later Palabre: the database is at version 9999" in refusal(settings)
    with pytest.raises(Failure, match="was made by a later Palabre"):
        check_version(settings)


def test_what_must_change_nothing_refuses_an_empty_database(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    with pytest.raises(Failure, match="Bring it there first: palabre migrate"):
        check_version(at(tmp_path / "x.db"))


def test_an_absent_postgresql_is_told_without_its_password() -> None:
    sentence = refusal(settings_from({}, {"database_url": "postgresql://talk:hunter2@127.0.0.1:1/talk"}))
    assert sentence.startswith("postgresql://talk:***@127.0.0.1:1/talk cannot be reached: ")
    assert sentence.endswith(
        "Is PostgreSQL running there, with this database?  Another one is named with --database-url."
    )
    assert "hunter2" not in sentence


def test_a_database_that_postgresql_does_not_have_is_told(postgresql_database: str) -> None:
    url = postgresql_database.rsplit("/", 1)[0] + "/nothing_here"
    assert 'cannot be used: the database says: database "nothing_here" does not exist' in refusal(
        settings_from({}, {"database_url": url})
    )


def test_a_missing_driver_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "asyncpg", None)
    sentence = refusal(settings_from({}, {"database_url": "postgresql://127.0.0.1:1/talk"}))
    assert sentence.endswith("pip install 'palabre[postgres]'")
