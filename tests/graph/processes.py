"""Servers as processes of their own, as operators run them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

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
    """A server as a process, and what it printed until it could be reached; its log is a file, `errors_of` reads it."""
    command = [sys.executable, "-c", "from graph.cli import main; main()", *arguments]
    # Not a pipe: one that nobody empties would stop the server.
    with (
        (folder / "errors.log").open("w", encoding="utf-8") as errors,
        subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
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


def told_to_stop(process: "subprocess.Popen[str]", by: int = signal.SIGTERM) -> int:
    """The exit code."""
    process.send_signal(by)
    process.communicate(timeout=STOP_SECONDS)
    return process.returncode


def errors_of(folder: Path) -> str:
    """What the server wrote to standard error."""
    return (folder / "errors.log").read_text(encoding="utf-8")


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The log, without what is said to whoever started the server."""
    return [json.loads(line) for line in errors_of(folder).splitlines() if line.startswith("{")]


def free_port() -> str:
    with closing_all(listening("127.0.0.1", 0)) as sockets:
        return str(sockets[0].getsockname()[1])
