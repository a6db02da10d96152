"""Building the page: once for the same sources, and what goes wrong is said without taking a former page away."""

import shutil
from pathlib import Path

import pytest

from graph.web import build

pytestmark = pytest.mark.skipif(build.own_tools() is None, reason="Node is not installed, or too old for Vite")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sources that npm refuses at once, because nothing is pinned, with a page made from them before."""
    monkeypatch.setattr(build, "SOURCE", tmp_path / "source")
    monkeypatch.setattr(build, "BUILT", tmp_path / "dist")
    monkeypatch.delenv(build.REQUIRED, raising=False)
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "package.json").write_text("{}", encoding="utf-8")
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "index.html").write_text("the page", encoding="utf-8")
    build.put(tmp_path / "made")
    return tmp_path


def change(place: Path) -> None:
    (place / "source" / "main.js").write_text("changed", encoding="utf-8")


def test_a_page_of_these_sources_is_not_built_again(place: Path) -> None:
    shutil.rmtree(place / "made")
    build.build()
    assert (place / "dist" / "index.html").read_text(encoding="utf-8") == "the page"


def test_what_npm_and_vite_leave_behind_is_no_source(place: Path) -> None:
    for folder in ("node_modules", "dist"):
        (place / "source" / folder).mkdir()
        (place / "source" / folder / "main.js").touch()
    assert build.is_built()


@pytest.mark.parametrize("name", ["package.json", "main.js"])
def test_a_page_of_other_sources_is_out_of_date(place: Path, name: str) -> None:
    (place / "source" / name).write_text('{"changed": true}', encoding="utf-8")
    assert not build.is_built()


def test_a_page_that_was_put_in_part_does_not_count(place: Path) -> None:
    (place / "dist" / build.KEY).unlink()
    assert not build.is_built()


def test_what_fails_says_so_and_leaves_the_former_page(place: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change(place)
    assert build.main() == 0
    said = capfd.readouterr().err
    assert "The page at /graphql was not built: npm-cli.js failed." in said
    assert "package-lock.json" in said, "what npm said"
    assert (place / "dist" / "index.html").read_text(encoding="utf-8") == "the page"


def test_where_the_page_is_required_its_failure_is_one(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change(place)
    monkeypatch.setenv(build.REQUIRED, "1")
    assert build.main() == 1


@pytest.mark.parametrize(("said", "is_used"), [("v20.18.9", False), ("v20.19.0", True), ("v24.1.0", True), ("", False)])
def test_node_is_the_machines_own_where_it_is_young_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, is_used: bool
) -> None:
    (tmp_path / "npm-cli.js").touch(mode=0o755)
    (tmp_path / "npm").symlink_to(tmp_path / "npm-cli.js")
    (tmp_path / "node").write_text(f"#!/bin/sh\necho {said}\n", encoding="utf-8")
    (tmp_path / "node").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.own_tools() == ((tmp_path / "node", tmp_path / "npm-cli.js") if is_used else None)


def test_a_machine_without_node_has_no_tools_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.own_tools() is None
