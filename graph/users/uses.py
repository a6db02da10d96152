"""When sessions and tokens were last used: told to the database once a minute, never in the way of a request."""

import asyncio
from typing import Final

import structlog

from graph.audience import VISITOR
from graph.change import Change, Changes
from graph.storage.errors import StorageError
from graph.users import store

logger = structlog.get_logger("palabre")

EVERY: Final = 60 * 1_000_000  # µs


class Uses:
    def __init__(self) -> None:
        self._telling: dict[int, asyncio.Task[None]] = {}

    def note(self, changes: Changes, token_id: int, told_at: int, now: int) -> None:
        """The token is in use; it was last told so at `told_at`.  Both in µs since 1970."""
        if now - told_at < EVERY or token_id in self._telling:
            return
        telling = asyncio.create_task(_tell(changes, token_id, now))
        self._telling[token_id] = telling
        telling.add_done_callback(lambda _: self._telling.pop(token_id, None))

    async def finish(self) -> None:
        """Wait until all that was noted is told."""
        while self._telling:
            await asyncio.wait(list(self._telling.values()))


async def _tell(changes: Changes, token_id: int, now: int) -> None:
    async def action(change: Change) -> None:
        await store.used(change, token_id, now)

    try:
        await changes.run(action, audience=VISITOR)
    except StorageError as failure:  # the next use tells it
        logger.warning("use_not_told", error=repr(failure))
