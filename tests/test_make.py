"""The Makefile: what is installed, when it is installed again, and what is said when Python cannot do it.

A small script plays Python, so that nothing is really installed here; files beside it make it fail.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = """#!/bin/sh
case "$*" in
  --version) if [ -e too-old ]; then echo Python 3.9.2; else echo Python 3.11.7; fi ;;
  *version_info*) [ ! -e too-old ] ;;
  *ensurepip*) [ ! -e without-venv ] ;;
  *" venv "*)
    echo venv >> installed; rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python
    for tool in palabre ruff; do printf '#!/bin/sh\\necho %s "$@"\\n' $tool > .venv/bin/$tool; done
    chmod +x .venv/bin/* ;;
  *" pip "*) [ ! -e without-network ] && echo pip >> installed ;;
esac
"""

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    python = tmp_path / "python"
    python.write_text(PYTHON, encoding="utf-8")
    python.chmod(0o755)
    return tmp_path


@pytest.fixture
def make(checkout: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    # These tests may run below `make test`, whose own flags are not meant for them.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}

    def run(*goals: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "PYTHON=./python", *goals]
        return subprocess.run(command, cwd=checkout, env=env, capture_output=True, text=True, check=False)

    return run


def installed(checkout: Path) -> list[str]:
    """What was installed since the last time this was asked."""
    log = checkout / "installed"
    done = log.read_text(encoding="utf-8").split() if log.exists() else []
    log.unlink(missing_ok=True)
    return done


Make = Callable[..., subprocess.CompletedProcess[str]]


def test_the_first_time_installs_and_the_second_does_not(make: Make, checkout: Path) -> None:
    assert make("demo").stdout.endswith("palabre demo\n")
    assert installed(checkout) == ["venv", "pip"]
    assert make("demo", "ARGS=--check").stdout == "palabre demo --check\n"
    assert installed(checkout) == []


def test_the_tests_are_added_to_what_the_demo_installed(make: Make, checkout: Path) -> None:
    make("demo")
    make("format")
    assert installed(checkout) == ["venv", "pip", "pip"]
    assert (make("demo").returncode, make("format").returncode) == (0, 0)
    assert installed(checkout) == []


def test_what_the_tests_installed_serves_the_demo(make: Make, checkout: Path) -> None:
    assert make("format").returncode == 0
    assert installed(checkout) == ["venv", "pip", "pip"]
    assert make("demo").returncode == 0
    assert installed(checkout) == []


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_requirements_are_installed_from_nothing(make: Make, checkout: Path, name: str) -> None:
    make("demo")
    with (checkout / name).open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    make("demo")
    assert installed(checkout) == ["venv", "pip"] * 2


def test_an_interrupted_installation_is_made_again_from_nothing(make: Make, checkout: Path) -> None:
    (checkout / "without-network").touch()
    assert make("demo").returncode != 0
    assert installed(checkout) == ["venv"]
    (checkout / "without-network").unlink()
    assert make("demo").returncode == 0
    assert installed(checkout) == ["venv", "pip"]


def test_an_interrupted_addition_of_the_tests_is_made_again_from_nothing(make: Make, checkout: Path) -> None:
    make("demo")
    (checkout / "without-network").touch()
    assert make("format").returncode != 0
    (checkout / "without-network").unlink()
    installed(checkout)
    assert make("demo").returncode == 0
    assert installed(checkout) == ["venv", "pip"]


def test_an_old_python_is_told_what_is_needed(make: Make, checkout: Path) -> None:
    (checkout / "too-old").touch()
    answer = make("demo")
    assert answer.returncode != 0
    assert "Palabre needs Python 3.11 or newer; this is Python 3.9.2." in answer.stdout
    assert installed(checkout) == []


def test_a_python_without_venv_is_told_what_to_install(make: Make, checkout: Path) -> None:
    (checkout / "without-venv").touch()
    answer = make("demo")
    assert answer.returncode != 0
    assert "apt install python3-venv" in answer.stdout
    assert installed(checkout) == []


def test_no_python_is_told_what_to_install(make: Make, checkout: Path) -> None:
    (checkout / "python").unlink()
    answer = make("demo")
    assert answer.returncode != 0
    assert "apt install python3 python3-venv" in answer.stdout


def test_cleaning_keeps_the_database(make: Make, checkout: Path) -> None:
    make("demo")
    for folder in ("graph", "subscriptions", "tests", "benchmarks"):
        (checkout / folder / "__pycache__").mkdir(parents=True)
    (checkout / "palabre.db").touch()
    assert make("clean").returncode == 0
    assert not (checkout / ".venv").exists()
    assert not (checkout / "graph" / "__pycache__").exists()
    assert (checkout / "palabre.db").exists()
