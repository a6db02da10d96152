"""How long a community takes to leave a database as an archive and to enter another, and how much memory.

    python -m benchmarks.moving [--comments 100000] [--from sqlite] [--to postgresql]

Each step is a process of its own, the command that an operator would type; what it may have taken is what the kernel
says of it when it has ended.  The numbers of comments at both ends are compared; where they differ the exit code is 1.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import ending
from benchmarks.checker import Fault
from benchmarks.servers import ENGINES, PALABRE, Database, environment, private_database

KIB = 1024


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one command."""

    seconds: float
    peak_kib: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--comments", type=int, default=100_000)
    parser.add_argument("--from", dest="source", choices=ENGINES, default="sqlite")
    parser.add_argument("--to", dest="target", choices=ENGINES, default="postgresql")
    given = parser.parse_args()
    ending.clean_up_when_terminated()
    sys.exit(ending.said(move(given.comments, given.source, given.target)))


def move(comments: int, source: str, target: str) -> list[Fault]:
    """There and measured; gives what went wrong."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="palabre-run-")))
        home = stack.enter_context(private_database(source, _made(folder / "home")))
        there = stack.enter_context(private_database(target, _made(folder / "there")))
        archive = folder / "all.zip"
        carried_out("load-sample", str(comments), database=home)
        print(f"{comments:,} comments, from {source} to {target}; to begin with, a command that does nothing:")
        tell("migrate", carried_out("migrate", database=home))
        tell("export", carried_out("export", str(archive), database=home))
        print(f"  {'archive':<8} {archive.stat().st_size / KIB**2:8.1f} MiB")
        tell("import", carried_out("import", "archive", str(archive), database=there))
        before, after = (each.rows("SELECT count(*), sum(length(body)) FROM comments") for each in (home, there))
        return [] if before == after else [Fault("moved", "comments", f"{before} became {after}")]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def carried_out(*arguments: str, database: Database) -> Cost:
    """Raises CalledProcessError; what the command has said stands above it."""
    began = time.monotonic()
    command = [*PALABRE, *arguments, "--database-url", database.url]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, arguments)
    return Cost(time.monotonic() - began, usage.ru_maxrss)


def tell(what: str, cost: Cost) -> None:
    print(f"  {what:<8} {cost.seconds:6.1f} s, {cost.peak_kib / KIB:6.0f} MiB at most")


if __name__ == "__main__":
    main()
