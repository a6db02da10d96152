"""The operator's pages: what they name is there, what they promise is so."""

import asyncio
import json
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from docs.settings import PAGE, written
from graph.cli import app
from graph.observing.health import DATABASE_SECONDS, READING_SECONDS
from graph.observing.logs import line_of
from graph.observing.metrics import Shown
from graph.observing.observed import SAFE_ID
from tests.graph.doors import opened
from tests.graph.processes import environment

ROOT = Path(__file__).parent.parent
GROWING = (ROOT / "docs" / "from-one-file-to-many-workers.md").read_text(encoding="utf-8")
OPERATING = PAGE.read_text(encoding="utf-8")
MAIN = "from graph.cli import main; main()"


def test_every_setting_is_in_the_table_as_it_is_in_the_code() -> None:
    """When it is not: python docs/settings.py"""
    assert written(OPERATING) == OPERATING


async def test_every_number_that_is_named_is_there(sqlite_url: str) -> None:
    async with opened(database_url=sqlite_url) as door:
        shown: Shown = door.app.state.shown
        names = {family.name for family in shown.collect()}
    named = {name.removesuffix("_total") for name in re.findall(r"`(palabre_[a-z_]+)`", OPERATING + GROWING)}
    assert named
    assert named - names == set()


def test_the_limits_of_health_are_as_told() -> None:
    assert f"no answer within {DATABASE_SECONDS:g} seconds" in OPERATING
    assert f"not read\nfor {READING_SECONDS:g} seconds" in OPERATING
    assert SAFE_ID.fullmatch(b"x" * 8)
    assert SAFE_ID.fullmatch(b"x" * 64)
    assert not SAFE_ID.fullmatch(b"x" * 65)


def test_the_line_that_is_shown_is_one_line_of_the_log() -> None:
    [shown] = re.findall(r'\{"at".*?\}', OPERATING, re.DOTALL)
    line = json.loads(shown)
    assert json.loads(line_of(line)) == line


def commands(page: str) -> list[list[str]]:
    return [line.split() for line in re.findall(r"^    (palabre .+)$", page, re.MULTILINE)]


@pytest.mark.parametrize("command", commands(OPERATING) + commands(GROWING), ids=" ".join)
def test_every_command_is_one_with_options_of_its_own(command: list[str]) -> None:
    words = [word for word in command[1:] if not word.startswith("--")]
    name = words[:2] if words[0] in ("import", "users") else words[:1]
    shown = CliRunner().invoke(app, [*name, "--help"], env={"COLUMNS": "300", "TERMINAL_WIDTH": "300"})
    assert shown.exit_code == 0
    assert [word for word in command if word.startswith("--") and f"{word} " not in shown.output] == []


def done(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-c", MAIN, *arguments]
    return subprocess.run(command, cwd=folder, env=environment(), check=True, capture_output=True, text=True).stdout


async def test_a_community_moves_from_a_file_to_postgresql_as_the_page_says(
    tmp_path: Path, postgresql_url: str
) -> None:
    for name in ("greg", "zoe"):
        await asyncio.to_thread(done, tmp_path, "users", "create", name)
    places = {
        "sqlite:////var/lib/palabre/palabre.db": "sqlite:///palabre.db",
        "postgresql://palabre@db.internal/palabre": postgresql_url,
    }
    moving = GROWING[GROWING.index("## PostgreSQL") : GROWING.index("## Several machines")]
    *steps, serving = commands(moving)
    assert serving[1] == "serve"
    for step in steps:
        await asyncio.to_thread(done, tmp_path, *(places.get(word, word) for word in step[1:]))
    assert await handles(postgresql_url) == handles_in(tmp_path / "palabre.db") == ["greg", "zoe"]


async def handles(url: str) -> list[str]:
    import asyncpg

    connection: Any = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch("SELECT handle FROM users ORDER BY id")]
    finally:
        await connection.close()


def handles_in(file: Path) -> list[str]:
    connection = sqlite3.connect(file)
    try:
        return [handle for (handle,) in connection.execute("SELECT handle FROM users ORDER BY id")]
    finally:
        connection.close()
