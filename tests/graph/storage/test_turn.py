"""Whoever waits for the turn has it next; whoever dies leaves it."""

import fcntl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graph.storage.errors import Busy
from graph.storage.turn import Turn

PIPES: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
HOLD = """
import sys
from graph.storage.turn import Turn
Turn(sys.argv[1]).take(5)
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def turns(tmp_path: Path) -> Iterator[tuple[Turn, Turn]]:
    one, other = Turn(f"{tmp_path}/a.db"), Turn(f"{tmp_path}/a.db")
    yield one, other
    one.close()
    other.close()


def test_only_one_has_the_turn(turns: tuple[Turn, Turn]) -> None:
    one, other = turns
    with one.taken(1), pytest.raises(Busy):
        other.take(0.02)
    with other.taken(1):
        pass


def test_who_waits_in_vain_blocks_nobody(turns: tuple[Turn, Turn]) -> None:
    one, other = turns
    one.take(1)
    with pytest.raises(Busy):
        other.take(0.02)
    one.release()
    one.take(0.02)
    one.release()


def test_who_no_longer_wants_the_turn_stops_waiting(turns: tuple[Turn, Turn]) -> None:
    one, other = turns
    began = time.monotonic()
    with one.taken(1), pytest.raises(Busy):
        other.take(60, unless=lambda: True)
    assert time.monotonic() - began < 10


def wait_until_somebody_waits(path: Path) -> None:
    with (path / "a.db.gate").open() as gate:
        while True:
            try:
                fcntl.flock(gate, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            fcntl.flock(gate, fcntl.LOCK_UN)


def test_the_one_who_waited_comes_before_the_one_who_has_just_had_it(turns: tuple[Turn, Turn], tmp_path: Path) -> None:
    one, other = turns
    order: list[str] = []

    def wait() -> None:
        with other.taken(10):
            order.append("other")

    one.take(1)
    waiting = threading.Thread(target=wait)
    waiting.start()
    wait_until_somebody_waits(tmp_path)
    one.release()
    with one.taken(10):
        order.append("one")
    waiting.join()
    assert order == ["other", "one"]


def test_the_turn_of_a_process_that_is_killed_is_free(tmp_path: Path) -> None:
    path = f"{tmp_path}/a.db"
    root = Path(__file__).parents[3]
    with subprocess.Popen([sys.executable, "-c", HOLD, path], cwd=root, **PIPES) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "taken\n"
        turn = Turn(path)
        with pytest.raises(Busy):
            turn.take(0.02)
        process.kill()
        turn.take(10)
        turn.close()
