"""Whether this process lives, and whether it can do its work: what supervisors and proxies ask.

It lives when it answers.  It is ready when the database answers with the schema that this program is written for, the
log is being read, and nobody has told it to stop.  What it says is for strangers too: names of parts, nothing of them.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import sqlalchemy as sa
import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from graph.storage.migrate import newest_version
from graph.storage.rows import Rows

logger = structlog.get_logger("palabre")

DATABASE_SECONDS: Final = 2.0  # for one statement; proxies ask every few seconds and wait about as long
READING_SECONDS: Final = 5.0  # since the log was read last: it is every second, and twice as often while people follow
VERSION: Final[sa.Select[tuple[str]]] = sa.select(sa.column("version_num")).select_from(sa.table("alembic_version"))


class Health:
    """What `/healthz` and `/readyz` answer."""

    def __init__(
        self,
        rows: Rows,
        read_seconds_ago: Callable[[], float],
        *,
        database_seconds: float = DATABASE_SECONDS,
        reading_seconds: float = READING_SECONDS,
    ) -> None:
        self._rows = rows
        self._read_seconds_ago = read_seconds_ago
        self._database_seconds = database_seconds
        self._reading_seconds = reading_seconds
        self._looking: asyncio.Task[str | None] | None = None
        self._version = newest_version()
        self.stopping = False

    def stop(self) -> None:
        """From now on it is not ready: whoever sends people here may send them elsewhere before it goes."""
        self.stopping = True

    def routes(self) -> list[Route]:
        return [Route("/healthz", self.alive, methods=["GET"]), Route("/readyz", self.ready, methods=["GET"])]

    async def alive(self, _: Request) -> Response:
        return _told(200, {"status": "ok"})

    async def ready(self, _: Request) -> Response:
        wrong = await self.what_is_not_ready()
        return _told(503, {"status": "not ready", "notReady": wrong}) if wrong else _told(200, {"status": "ready"})

    async def what_is_not_ready(self) -> list[str]:
        """Of `stopping`, `database`, `schema` and `log`."""
        if self.stopping:
            return ["stopping"]  # at once, whatever the database does
        wrong = [await self._database()]
        if self._read_seconds_ago() > self._reading_seconds:
            wrong.append("log")
        return [part for part in wrong if part is not None]

    async def _database(self) -> str | None:
        """However many ask, one looks."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="readiness")
            self._looking.add_done_callback(self._looked)
        return await asyncio.shield(self._looking)

    def _looked(self, _: "asyncio.Task[str | None]") -> None:
        self._looking = None

    async def _look(self) -> str | None:
        try:
            async with asyncio.timeout(self._database_seconds):
                found = [version for (version,) in await self._rows.rows(VERSION)]
        except Exception as failure:  # whatever it is, the answer is the same
            logger.warning("not_ready", part="database", failure=type(failure).__name__)
            return "database"
        return None if found == [self._version] else "schema"


def _told(status: int, body: dict[str, object]) -> Response:
    return JSONResponse(body, status, {"Cache-Control": "no-store"})
