"""What commands say: results on standard output, everything else on standard error."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

PLAIN_PAUSE_SECONDS: Final = 2.0  # between two lines of progress where nothing can be overwritten

Told = Callable[[int, int], None]  # so many things of so many are done


def say(line: str = "") -> None:
    """A line of the result, at once, never wrapped: it may be copied, or read by a program."""
    print(line, flush=True)


def note(line: str) -> None:
    """A line about the result."""
    print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(what: str) -> Iterator[Told]:
    """How far something has come: a bar on a terminal, elsewhere a line now and then."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _plain(what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _plain(what: str) -> Told:
    said_at = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= PLAIN_PAUSE_SECONDS:
            said_at = time.monotonic()
            note(f"{what}: {done} of {total}")

    return tell
