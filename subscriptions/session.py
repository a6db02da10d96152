"""One connection: the protocol's state machine is Strawberry's, what an operation does is ours.

    run_operation ── a query or a mutation ──> answered, then complete
          └───────── a subscription ─────────> delivered: open, then one frame per event, until it ends

A delivery owns no task but its operation's.  It goes on from where its client really is, so whatever goes wrong has
one remedy: read from the log again.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import orjson
from starlette.websockets import WebSocketDisconnect, WebSocketState
from strawberry.http.exceptions import WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler, Operation

from subscriptions.cursor import Expired, Vector
from subscriptions.fanout import Fanout
from subscriptions.follow import Follower, Stopped, Tail
from subscriptions.log import Entry
from subscriptions.meter import Meter, Unwatched, Watch
from subscriptions.stream import Frame, Opening, Stream, StreamEnds

T = TypeVar("T")
logger = logging.getLogger(__name__)

ATTEMPTS = 3  # to make a frame, each when the tail itself has just been able to read
INTERNAL_ERROR = 1011  # RFC 6455, 7.4.1
REASON_BYTES = 123  # RFC 6455: a close frame carries 125 bytes, two of them the code


class Refusing(Exception):
    """The operation cannot begin; `errors` is the JSON of a list."""

    def __init__(self, errors: bytes) -> None:
        super().__init__(errors.decode())
        self.errors = errors


class Door(Protocol):
    """What the community does for a session: handed in, for sessions know nothing of it."""

    async def begin(self, context: Any, request: Mapping[str, Any]) -> Stream | bytes:
        """A stream to deliver, or the whole result of a query or mutation as JSON.  Raises Refusing."""

    async def renewed(self, context: Any, stream: Stream) -> Stream | None:
        """The stream as this client may have it by now; None: not at all any more."""

    def enter(self, context: Any, recheck: Callable[[], None]) -> Callable[[], None]:
        """Call `recheck` when what this client may see has changed; gives what ends that."""

    def report(self, defect: BaseException) -> bytes:
        """Log a defect; gives the errors that the client may see, as JSON."""


def unwatched(operation_id: str) -> Watch:
    return Unwatched()


@dataclass(frozen=True, slots=True)
class Services:
    tail: Tail
    fanout: Fanout
    door: Door
    heartbeat_seconds: float
    meter: Meter = field(default_factory=Meter)
    watch: Callable[[str], Watch] = unwatched  # given an operation's id, in the task of the operation


class Session(BaseGraphQLTransportWSHandler[Any, None]):
    """Strawberry's handler, with our operations."""

    @property
    def services(self) -> Services:
        services: Services = self.view.services  # type: ignore[attr-defined]  # of the endpoint, whose sessions we are
        return services

    async def handle_message(self, message: Any) -> None:
        wrong = what_is_wrong(message)
        if wrong is not None:
            await self.handle_invalid_message(wrong)
            return
        await super().handle_message(message)

    async def handle_connection_init(self, message: Any) -> None:
        try:
            await super().handle_connection_init(message)
        except (WebSocketDisconnected, WebSocketDisconnect):
            raise
        except Exception as defect:
            self.services.door.report(defect)
            await self.websocket.close(code=INTERNAL_ERROR, reason="Internal error.")

    async def handle_ping(self, message: Any) -> None:
        pong = {"type": "pong"}
        if "payload" in message:
            pong["payload"] = message["payload"]
        try:
            await self.send_message(pong)  # type: ignore[arg-type]  # its TypedDict knows no payload
        except TypeError:  # orjson reads deeper than it writes
            await self.handle_invalid_message("ping: the payload is too deep")

    async def handle_invalid_message(self, error_message: str) -> None:
        await self.websocket.close(code=4400, reason=error_message)

    async def run_operation(self, operation: "Operation[Any, None]") -> None:
        watch = self.services.watch(operation.id)
        try:
            await self._run(operation, watch)
        except Refusing as refused:
            await self._finish(operation, watch, b"error", refused.errors)
        except (WebSocketDisconnected, WebSocketDisconnect, Stopped):
            return
        except Exception as defect:
            await self._finish(operation, watch, b"error", self.services.door.report(defect))
        finally:
            watch.over()

    async def _run(self, operation: "Operation[Any, None]", watch: Watch) -> None:
        request = {
            "query": operation.query,
            "variables": operation.variables,
            "operationName": operation.operation_name,
        }
        delivery = Delivery(self.services, self.context, lambda frame: self._send(operation, watch, b"next", frame))
        # Entered first: what changes while the operation begins is looked at again before anything is sent.
        leave = self.services.door.enter(self.context, delivery.ask_to_recheck)
        try:
            begun = await self.services.door.begin(self.context, request)
            if isinstance(begun, bytes):
                await self._send(operation, watch, b"next", begun)
            else:
                await self._deliver(delivery, begun)
        except StreamEnds as end:
            await self._finish(operation, watch, b"error", end.errors)
        else:
            await self._finish(operation, watch, b"complete", None)
        finally:
            leave()

    async def _deliver(self, delivery: "Delivery", stream: Stream) -> None:
        self.services.meter.streams += 1
        try:
            await delivery.run(stream)
        finally:
            self.services.meter.streams -= 1

    async def _send(self, operation: "Operation[Any, None]", watch: Watch, kind: bytes, payload: bytes | None) -> None:
        if operation.completed:
            return
        if self.websocket.ws.application_state is not WebSocketState.CONNECTED:  # type: ignore[attr-defined]  # of ASGI
            raise WebSocketDisconnected  # we are closing: nothing may follow
        parts = [b'{"id":', orjson.dumps(operation.id), b',"type":"', kind, b'"']
        if payload is not None:
            parts += [b',"payload":', payload]
        await self.websocket.ws.send_text(b"".join([*parts, b"}"]).decode())  # type: ignore[attr-defined]  # of ASGI
        watch.sent(kind)

    async def _finish(
        self, operation: "Operation[Any, None]", watch: Watch, kind: bytes, payload: bytes | None
    ) -> None:
        """The id is free again before the client can know."""
        if self.operations.get(operation.id) is operation:
            del self.operations[operation.id]
        await self._send(operation, watch, kind, payload)
        operation.completed = True


class Delivery:
    """A stream on its way to one client."""

    def __init__(self, services: Services, context: Any, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._services = services
        self._context = context
        self._send = send
        self._seen: Vector | None = None
        self._recheck = False
        self.following = False  # whether everything from now on is delivered
        self._patience: asyncio.Timeout | None = None
        self._silent_since = 0.0  # in the event loop's time

    def ask_to_recheck(self) -> None:
        """Before anything more is sent: what the client may see has changed."""
        self._recheck = True
        if self._patience is not None:
            with suppress(RuntimeError):  # its time is over just now: that wakes us too
                self._patience.reschedule(asyncio.get_running_loop().time())

    async def run(self, stream: Stream) -> None:
        """Until the subject is gone or the client may see it no more.  Raises StreamEnds, Stopped."""
        self._stream = stream
        vector = await self._begin(lambda: self._stream.open())
        while vector is not None:
            vector = await self._followed(vector)

    async def _begin(self, opening: Callable[[], Awaitable[Opening]]) -> Vector | None:
        """The first frames; gives the place from which the stream goes on, None where it may not."""
        while await self._may_go_on():
            begun = await opening()
            await self._services.tail.applied(begun.seen)
            if not self._recheck:
                self._seen = begun.seen
                for payload in begun.payloads:
                    await self._send(payload)
                self._silent_since = asyncio.get_running_loop().time()
                return begun.vector
        return None

    async def _followed(self, vector: Vector) -> Vector | None:
        """Deliver from this place on; gives where to begin anew, or None at the end."""
        try:
            async with self._services.tail.follow(self._stream.topics, vector) as follower:
                self.following = True
                await self._deliver(follower)
                return None
        except Expired as expired:
            reason = expired.reason
            return await self._begin(lambda: self._stream.lost(reason))

    async def _deliver(self, follower: Follower) -> None:
        while await self._may_go_on():
            for entry in await self._next(follower):
                frame = await self._frame(entry)
                if frame is None:
                    return
                self._seen = frame.seen
                if frame.payload is not None:
                    await self._send(frame.payload)
                    self._services.meter.frames_sent += 1
                    self._silent_since = asyncio.get_running_loop().time()
                if frame.ends:
                    return
            await self._beat_if_due(follower.vector)

    async def _frame(self, entry: Entry) -> Frame | None:
        """The frame as this client may have it when it leaves; None: the client may have none any more.

        Its rows may be newer than the event: what revoked a right before they were read has to be applied first.
        """
        while await self._may_go_on():
            frame = await self._patiently(lambda: self._services.fanout.frame(self._stream, entry, self._seen))
            await self._services.tail.applied(frame.seen)
            if not self._recheck:
                return frame
        return None

    async def _next(self, follower: Follower) -> list[Entry]:
        """None of them: nothing came for a while, or rights have to be looked at."""
        if self._recheck:
            return []
        try:
            async with asyncio.timeout_at(self._beat_at) as self._patience:
                return await follower.next()
        except TimeoutError:
            return []
        finally:
            self._patience = None

    @property
    def _beat_at(self) -> float:
        return self._silent_since + self._services.heartbeat_seconds

    async def _may_go_on(self) -> bool:
        while self._recheck:
            self._recheck = False
            renewed = await self._patiently(lambda: self._services.door.renewed(self._context, self._stream))
            if renewed is None:
                return False
            self._stream = renewed
        return True

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Whoever reads while the database is away reads again when the tail has been able to."""
        for _ in range(ATTEMPTS - 1):
            try:
                return await work()
            except Exception as failure:
                logger.warning("A stream could not be served and will try again: %r", failure)
                await self._services.tail.next_round()
        return await work()

    async def _beat_if_due(self, vector: Vector) -> None:
        """Also where events come all the time of which this client sees none: else its cursor grows old."""
        if not self._recheck and asyncio.get_running_loop().time() >= self._beat_at:
            payload = await self._patiently(lambda: self._stream.heartbeat(vector))
            self._silent_since = asyncio.get_running_loop().time()
            if payload is not None:
                await self._send(payload)


def what_is_wrong(message: Any) -> str | None:
    """Why this is no message of graphql-transport-ws; None: it is one, or its type is for the handler to refuse."""
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return "A message is an object with a type"
    kind = message["type"]
    if kind in ("subscribe", "complete") and (not isinstance(message.get("id"), str) or not message["id"]):
        return f"{kind}: id is a text that is not empty"
    if kind == "subscribe":
        return _wrong_request(message.get("payload"))
    if not isinstance(message.get("payload"), dict | None):
        return f"{kind}: payload is an object"
    return None


def _wrong_request(payload: Any) -> str | None:
    if not isinstance(payload, dict) or not isinstance(payload.get("query"), str):
        return "subscribe: payload is an object with a query"
    if not isinstance(payload.get("variables"), dict | None):
        return "subscribe: variables is an object"
    if not isinstance(payload.get("operationName"), str | None):
        return "subscribe: operationName is a text"
    return None


def cut(reason: str) -> str:
    """As much of the reason as a close frame carries."""
    return reason.encode()[:REASON_BYTES].decode(errors="ignore")
