"""Servers as processes of their own, as operators run them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from graph.commands.serving import closing_all, listening

ROOT = Path(__file__).parent.parent.parent
STOP_SECONDS = 15  # of a process that was told to stop; it promises fewer
START_SECONDS = 60  # of a process on a busy machine


def environment(**given: str) -> dict[str, str]:
    """Nothing of Palabre's but what is given."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PALABRE_")}
    return kept | {"PYTHONPATH": str(ROOT)} | given


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """A server as a process, and what it printed until it could be reached."""
    command = [sys.executable, "-c", "from graph.cli import main; main()", *arguments]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield process, read_until("Ctrl-C ends it.", process.stdout)
        finally:
            process.kill()


def read_until(last: str, stream: IO[str]) -> str:
    read = ""
    for line in stream:
        read += line
        if line.startswith(last):
            break
    return read


def told_to_stop(process: "subprocess.Popen[str]", by: int = signal.SIGTERM) -> tuple[int, str]:
    """The exit code, and what it had to say."""
    process.send_signal(by)
    _, errors = process.communicate(timeout=STOP_SECONDS)
    return process.returncode, errors


def free_port() -> str:
    with closing_all(listening("127.0.0.1", 0)) as sockets:
        return str(sockets[0].getsockname()[1])
