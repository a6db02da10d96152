"""Archives from the command line: what is printed, and what is there afterwards and what is not."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from graph.commands.archives import bring, export
from graph.commands.databases import make_ready
from graph.commands.failures import Failure
from graph.commands.loading import load_sample
from graph.exchange.shapes import TreeShape
from graph.settings import Settings, settings_from


def at(file: Path) -> Settings:
    return settings_from({}, {"database_url": f"sqlite:///{file}"})


def count(file: Path, table: str) -> int:
    with closing(sqlite3.connect(file)) as connection:
        [(number,)] = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(number)


@pytest.fixture
def home(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Settings:
    settings = at(tmp_path / "home.db")
    load_sample(settings, comments=50, shape=TreeShape.MIXED, seed=1)
    capsys.readouterr()
    return settings


def test_a_community_is_written_and_brought_into_a_database_that_is_made_for_it(
    home: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(home, tmp_path / "all.zip", with_secrets=True)
    said = capsys.readouterr()
    assert said.out == f"{tmp_path}/all.zip\n"
    assert re.search(r"^ +50 comments$", said.err, re.MULTILINE)
    assert re.search(r"^Left out: epochs: .+\.$", said.err, re.MULTILINE)
    bring(at(tmp_path / "new.db"), tmp_path / "all.zip")
    assert re.fullmatch(rf"\d+ rows of \d+ tables are in sqlite:///{tmp_path}/new\.db\.\n", capsys.readouterr().out)
    assert count(tmp_path / "new.db", "comments") == 50


def test_an_older_database_that_is_empty_is_brought_to_this_version(home: Settings, tmp_path: Path) -> None:
    export(home, tmp_path / "all.zip", with_secrets=True)
    (tmp_path / "new.db").touch()
    bring(at(tmp_path / "new.db"), tmp_path / "all.zip")
    assert count(tmp_path / "new.db", "comments") == 50


def test_a_damaged_archive_makes_no_database(home: Settings, tmp_path: Path) -> None:
    export(home, tmp_path / "all.zip", with_secrets=True)
    (tmp_path / "cut.zip").write_bytes((tmp_path / "all.zip").read_bytes()[:-10])
    with pytest.raises(Failure) as refused:
        bring(at(tmp_path / "new.db"), tmp_path / "cut.zip")
    assert str(refused.value) == (
        f"{tmp_path}/cut.zip cannot be taken in: it is cut off, or no archive of Palabre.  Nothing was brought in."
    )
    assert not (tmp_path / "new.db").exists()


def test_a_database_with_content_is_left_as_it_is(home: Settings, tmp_path: Path) -> None:
    export(home, tmp_path / "all.zip", with_secrets=True)
    before = (tmp_path / "home.db").read_bytes()
    with pytest.raises(Failure) as refused:
        bring(home, tmp_path / "all.zip")
    assert str(refused.value) == (
        f"sqlite:///{tmp_path}/home.db has content of its own (in comments); it is left as it is.  "
        "Name an empty database, or one that is not there yet, with --database-url."
    )
    assert (tmp_path / "home.db").read_bytes() == before


def test_nothing_is_exported_from_where_there_is_nothing_nor_over_what_is_there(tmp_path: Path, home: Settings) -> None:
    with pytest.raises(Failure, match=r"^There is no database sqlite:.*none\.db\.$"):
        export(at(tmp_path / "none.db"), tmp_path / "all.zip", with_secrets=True)
    (tmp_path / "all.zip").write_text("Dear Ada")
    with pytest.raises(Failure, match=r"all\.zip is there already; it is left as it is\.  Name another file\.$"):
        export(home, tmp_path / "all.zip", with_secrets=True)
    with pytest.raises(Failure, match=r"^.*/nowhere/.* cannot be used: No such file or directory\.$"):
        export(home, tmp_path / "nowhere" / "all.zip", with_secrets=True)
    with pytest.raises(Failure, match=r"^There is no file .*none\.zip\.$"):
        bring(home, tmp_path / "none.zip")
    assert not (tmp_path / "none.db").exists()
    assert (tmp_path / "all.zip").read_text() == "Dear Ada"


def test_a_community_moves_to_postgresql(home: Settings, tmp_path: Path, postgresql_url: str) -> None:
    export(home, tmp_path / "all.zip", with_secrets=True)
    there = settings_from({}, {"database_url": postgresql_url})
    make_ready(there)
    bring(there, tmp_path / "all.zip")
    with pytest.raises(Failure, match=r"has content of its own \(in comments\)"):
        bring(there, tmp_path / "all.zip")
    export(there, tmp_path / "back.zip", with_secrets=True)
    bring(at(tmp_path / "back.db"), tmp_path / "back.zip")
    assert count(tmp_path / "back.db", "comments") == 50
