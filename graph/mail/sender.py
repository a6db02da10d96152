"""What empties the outbox: one task per process, which no act waits for.

Any number of processes may do so side by side: a letter belongs to one of them for the time of its lease.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Final

import structlog

from graph.audience import VISITOR
from graph.change import Changes
from graph.mail import letters, outbox, store
from graph.mail.codes import new_code
from graph.mail.letters import Correspondence
from graph.mail.rules import Letter
from graph.mail.transport import NotDelivered, Transport
from graph.observing.logs import described
from graph.storage.rows import Rows

logger = structlog.get_logger("palabre.mail")

POLL_SECONDS: Final = 1.0  # between two looks at the outbox, each one seek in an index
STOP_SECONDS: Final = 2.0  # for the letter that is under way when the server stops


class Sender:
    def __init__(
        self,
        rows: Rows,
        changes: Changes,
        transport: Transport,
        correspondence: Correspondence,
        now: Callable[[], int],
    ) -> None:
        self._rows, self._changes, self._transport = rows, changes, transport
        self._correspondence, self._now = correspondence, now

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Empty the outbox, again and again, for the time of the block."""
        stopping = asyncio.Event()
        task = asyncio.create_task(self._run(stopping), name="mail")
        try:
            yield
        finally:
            stopping.set()
            _, unfinished = await asyncio.wait([task], timeout=STOP_SECONDS)
            if unfinished:  # its lease will end, and another process or the next start sends the letter
                task.cancel()
                await asyncio.wait([task])

    async def _run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                await self.send_due(stopping.is_set)
            except Exception as failure:  # of the database: what is due stays due
                logger.warning("outbox_not_read", failure=described(failure))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), POLL_SECONDS)

    async def send_due(self, enough: Callable[[], bool] = lambda: False) -> None:
        """Send what is due, one letter after another, until there is none, or `enough` says so."""
        while not enough() and await store.is_due(self._rows, self._now()) and await self._send_next():
            pass

    async def _send_next(self) -> bool:
        """Whether there was a letter, delivered or not."""
        code = new_code()
        letter = await self._changes.run(
            lambda change: outbox.take_next(change, secret_hash=code.hash), audience=VISITOR
        )
        if letter is None:
            return False
        try:
            await self._send(letter, code.text)
        except NotDelivered as failure:
            await self._put_off(letter, failure)
            return True
        await self._changes.run(lambda change: outbox.delivered(change, letter), audience=VISITOR)
        logger.info("mail_sent", mail=letter.mail_id, about=letter.kind, tries=letter.tries)
        return True

    async def _send(self, letter: Letter, code: str) -> None:
        try:
            message = letters.message(letter, code, self._correspondence, self._now())
        except ValueError as error:
            raise NotDelivered("the address cannot be written to", final=True) from error
        await self._transport.send(message)

    async def _put_off(self, letter: Letter, failure: NotDelivered) -> None:
        again_at = await self._changes.run(
            lambda change: outbox.not_delivered(change, letter, final=failure.final), audience=VISITOR
        )
        told = {"mail": letter.mail_id, "about": letter.kind, "tries": letter.tries, "reason": str(failure)}
        if again_at is None:
            logger.error("mail_given_up", **told)
        else:
            logger.warning("mail_put_off", **told, seconds=(again_at - self._now()) // 1_000_000)
