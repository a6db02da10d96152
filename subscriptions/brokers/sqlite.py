"""The broker of several processes on one SQLite file: it notices that some other connection has committed.

`PRAGMA data_version` takes 11 µs and tells no topic.  It changes for commits of this process too; those were
already rung by name, and looking twice only costs a look.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path

from subscriptions.broker import Heard
from subscriptions.brokers.memory import MemoryBroker

logger = logging.getLogger(__name__)


class SqliteBroker:
    def __init__(self, path: str | Path, *, poll_seconds: float = 0.01, retry_seconds: float = 1.0) -> None:
        self._path = Path(path)
        self._poll_seconds = poll_seconds
        self._retry_seconds = retry_seconds
        self._bell = MemoryBroker()
        self._connection: sqlite3.Connection | None = None
        self._version = 0
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        self._pause()

    @property
    def watching(self) -> bool:
        return self._timer is not None or self._connection is not None

    def ring(self, topics: Collection[str]) -> None:
        self._bell.ring(topics)

    def listen(self, heard: Heard) -> Callable[[], None]:
        """Only while somebody listens is the file looked at."""
        silence = self._bell.listen(heard)
        if self._timer is None:
            self._look()

        def leave() -> None:
            silence()
            if self._bell.deserted:
                self._pause()

        return leave

    def _look(self) -> None:
        pause_seconds = self._poll_seconds
        try:
            changed = self._changed()
        except sqlite3.Error as failure:
            # The file is away or locked as a whole.  Nothing is lost: who listens looks at the log by itself.
            logger.warning("Cannot watch %s: %s", self._path, failure)
            self._close()
            changed, pause_seconds = False, self._retry_seconds
        self._timer = asyncio.get_running_loop().call_later(pause_seconds, self._look)
        if changed:
            self._bell.ring(None)

    def _changed(self) -> bool:
        if self._connection is None:
            # Without waiting for locks, as this runs in the event loop.
            self._connection = sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=rw", uri=True, timeout=0)
        before = self._version
        (self._version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return before != self._version

    def _pause(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._close()

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._version = 0  # of a new connection: its first look rings, as nobody looked before
