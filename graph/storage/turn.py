"""Whose turn it is to write, among the processes that share a file.

SQLite lets writers poll for its lock, and whoever has just released it is the likeliest to take it again: of two
busy processes one made 23,435 commits, the other 2.  Two locks make a queue: one waits for the turn only while
holding the gate, and leaves the gate once it has the turn.  So he who has just had his turn finds the gate
held by the one who waited.  The kernel frees the locks of a process that dies.
"""

import contextlib
import os
import random
import sys
import time
from collections.abc import Callable, Iterator

from graph.storage.errors import Busy

if sys.platform != "win32":
    import fcntl

FIRST_SLEEP_SECONDS = 0.000_05
LONGEST_SLEEP_SECONDS = 0.002


class Turn:
    """The two locks of one file, for one thread."""

    def __init__(self, path: str) -> None:
        self._gate = _opened(f"{path}.gate")
        self._turn = _opened(f"{path}.turn")

    def close(self) -> None:
        os.close(self._gate)
        os.close(self._turn)

    @contextlib.contextmanager
    def taken(self, wait_seconds: float, unless: Callable[[], bool] = bool) -> Iterator[None]:
        self.take(wait_seconds, unless)
        try:
            yield
        finally:
            self.release()

    def take(self, wait_seconds: float, unless: Callable[[], bool] = bool) -> None:
        """Raises Busy when the others did not let us within the time, or once `unless` says to stop waiting."""
        until = time.monotonic() + wait_seconds
        _lock(self._gate, until, unless)
        try:
            _lock(self._turn, until, unless)
        finally:
            _unlock(self._gate)

    def release(self) -> None:
        _unlock(self._turn)


def _opened(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


if sys.platform == "win32":  # a single process there: its own queue of writers is enough

    def _lock(descriptor: int, until: float, unless: Callable[[], bool]) -> None: ...

    def _unlock(descriptor: int) -> None: ...

else:

    def _lock(descriptor: int, until: float, unless: Callable[[], bool]) -> None:
        sleep = FIRST_SLEEP_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                # A blocking flock would have no time limit.
                if time.monotonic() > until or unless():
                    raise Busy("other processes are writing") from None
            time.sleep(sleep * random.uniform(0.5, 1.5))
            sleep = min(sleep * 2, LONGEST_SLEEP_SECONDS)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
