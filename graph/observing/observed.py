"""What is noticed of every request and every operation on a socket: for its line in the log, and for the numbers.

Whoever answers says what it turned out to be, through `observed()`; nobody says what was in it.  A line holds the
request's id, the operation's name and kind, the viewer's number, the client's address and how it went: no variable, no
document, no credential.
"""

import asyncio
import logging
import os
import re
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.observing.histogram import Histogram
from graph.observing.logs import LINES, REQUEST_ID, cleaned

logger = structlog.get_logger("palabre")

REQUEST_ID_HEADER: Final = b"x-request-id"
SAFE_ID: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._-]{7,63}")  # of whoever sends it: it can be nothing but an id
SECRET_BEGINNING: Final = b"pal_"  # graph.users.tokens
OPERATION_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")  # as clients number their operations; others are not told
NAME_CHARACTERS: Final = 80  # of an operation's name
PATH_CHARACTERS: Final = 80
LOOP_SECONDS: Final = 0.5  # between two looks at how late the event loop is
QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})  # asked every few seconds, for ever


@dataclass(slots=True)
class Observed:
    """One request, or one operation on a socket, as far as it is known."""

    request_id: str
    client: str | None = None
    operation_id: str | None = None
    began: float = field(default_factory=time.perf_counter)
    kind: str | None = None
    operation: str | None = None
    viewer_id: int | None = None
    planned: bool = False
    codes: list[str] = field(default_factory=list)
    frames: int = 0
    outcome: str | None = None

    def asks(self, kind: str, name: str | None, viewer_id: int | None) -> None:
        """`kind` is query, mutation or subscription."""
        self.kind, self.viewer_id = kind, viewer_id
        self.operation = None if name is None else name[:NAME_CHARACTERS]

    def answered(self, *, planned: bool, errors: Iterable[Mapping[str, Any]]) -> None:
        self.planned = planned
        self.codes += [error.get("extensions", {}).get("code", "GRAPHQL") for error in errors]

    def refused(self, code: str) -> None:
        self.codes.append(code)

    def subscribed(self) -> None:
        LINES.tell("subscribed", self._who())

    def line(self) -> dict[str, Any]:
        told = self._who()
        if self.kind in ("query", "mutation"):
            told["planned"] = self.planned
        if self.codes:
            told["codes"] = sorted(set(self.codes))
        told["ms"] = round(self.seconds * 1000, 2)
        return told

    def _who(self) -> dict[str, Any]:
        who = {
            "request_id": self.request_id,
            "id": self.operation_id,
            "kind": self.kind,
            "operation": self.operation,
            "viewer": self.viewer_id,
            "client": self.client,
        }
        return {name: value for name, value in who.items() if value is not None}

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began


@dataclass(slots=True)
class Numbers:
    """What requests add up to, in one process."""

    requests: dict[tuple[str, str, str, bool], Histogram] = field(default_factory=dict)  # seconds
    subscriptions: Counter[str] = field(default_factory=Counter)  # that are over, by outcome
    refused: Counter[str] = field(default_factory=Counter)  # by code
    sockets: int = 0  # open
    loop_delay: Histogram = field(default_factory=Histogram)  # seconds

    def request(self, seen: Observed, transport: str, status: str) -> None:
        """`transport` is http or socket; `status` HTTP's, or how the operation ended."""
        self.refused.update(seen.codes)
        if seen.kind == "subscription" and transport == "socket":
            self.subscriptions[status] += 1
            return
        key = (transport, seen.kind or "none", status, seen.planned)
        durations = self.requests.get(key)
        if durations is None:
            durations = self.requests[key] = Histogram()
        durations.observe(seen.seconds)


_current: ContextVar[Observed | None] = ContextVar("observed", default=None)


def observed() -> Observed:
    """The request or operation under way; of what nobody observes, one that is forgotten."""
    return _current.get() or Observed("")


class Observing:
    """Around the whole application: gives each request its id and, when it is over, its line."""

    def __init__(self, app: ASGIApp, numbers: Numbers) -> None:
        self._app = app
        self._numbers = numbers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        seen = Observed(request_id_of(scope))
        known, current = REQUEST_ID.set(seen.request_id), _current.set(seen)
        if scope["type"] == "http":
            await self._request(seen, scope, receive, send)
        else:
            await self._socket(seen, scope, receive, send)
        # Not after a defect: what the server logs of it then bears the request's id.
        _current.reset(current)
        REQUEST_ID.reset(known)

    async def _request(self, seen: Observed, scope: Scope, receive: Receive, send: Send) -> None:
        status, begun = 500, False  # where nothing else is said

        async def sending(message: Message) -> None:
            nonlocal status, begun
            if message["type"] == "http.response.start":
                status, begun = message["status"], True
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID_HEADER, seen.request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as defect:
            if begun:
                raise
            await internal_error(defect)(scope, receive, sending)
        finally:
            seen.client = client_of(scope)
            self._numbers.request(seen, "http", str(status))
            path = scope["path"].removeprefix(scope.get("root_path", ""))[:PATH_CHARACTERS]
            level = logging.DEBUG if path in QUIET else logging.INFO
            about = {"method": scope["method"][:10], "path": cleaned(path), "status": status}
            LINES.tell("request", seen.line() | about, level)

    async def _socket(self, seen: Observed, scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == "websocket.accept":
                seen.client = client_of(scope)
                message["headers"] = [*message.get("headers", ()), (REQUEST_ID_HEADER, seen.request_id.encode())]
            await send(message)

        self._numbers.sockets += 1
        try:
            await self._app(scope, receive, sending)
        finally:
            self._numbers.sockets -= 1
            LINES.tell("socket", seen.line(), logging.DEBUG)


class Watching:
    """One operation of a socket: a `subscriptions.meter.Watch`, made in the operation's own task."""

    def __init__(self, numbers: Numbers, operation_id: str) -> None:
        connection = observed()
        self._numbers = numbers
        self._seen = Observed(
            connection.request_id,
            connection.client,
            operation_id if OPERATION_ID.fullmatch(operation_id) else None,
            outcome="left",
        )
        _current.set(self._seen)

    def sent(self, kind: bytes) -> None:
        if kind == b"next":
            self._seen.frames += 1
        else:
            self._seen.outcome = kind.decode()

    def over(self) -> None:
        seen = self._seen
        self._numbers.request(seen, "socket", str(seen.outcome))
        LINES.tell("operation", seen.line() | {"outcome": seen.outcome, "frames": seen.frames})


def report(defect: BaseException, operation: str | None = None, path: object = None) -> str:
    """Log a defect; gives the id under which it is found again."""
    defect_id = os.urandom(8).hex()
    logger.error("defect", id=defect_id, operation=operation, path=path, exc_info=defect)
    return defect_id


def internal_error(defect: BaseException) -> ASGIApp:
    """All that a client may know of what broke outside of any operation."""
    error = {"message": "Internal error.", "extensions": {"code": "INTERNAL", "id": report(defect)}}
    return JSONResponse({"errors": [error]}, 500)


def request_id_of(scope: Scope) -> str:
    """The one it comes with, from a proxy or a client, where it is of a safe shape; else a new one."""
    for name, value in scope["headers"]:
        if name == REQUEST_ID_HEADER and SAFE_ID.fullmatch(value) and not value.startswith(SECRET_BEGINNING):
            given: bytes = value
            return given.decode()
    return os.urandom(8).hex()


def client_of(scope: Scope) -> str | None:
    client = scope.get("client")
    return client[0] if client else None


async def watch_loop(numbers: Numbers) -> None:
    """How long whatever is ready has to wait for its turn: until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LOOP_SECONDS
        await asyncio.sleep(LOOP_SECONDS)
        numbers.loop_delay.observe(max(0.0, loop.time() - due))
