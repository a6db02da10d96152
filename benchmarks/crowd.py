"""Subscribers of one post, many in a process of their own; each goes on from its last cursor whatever happens to it."""

import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from benchmarks.api import REQUEST_SECONDS, STANDING, SUBSCRIPTIONS, Api
from benchmarks.checker import Received
from benchmarks.children import Line
from graph.ids import key_of

OPENING_AT_ONCE = 50  # connections, of one process
GRACE_SECONDS = 0.5  # after the last comment: what should not come may come now
CUT_WITHIN_SECONDS = 0.2  # of the frame at which a subscriber is to be cut


@dataclass(frozen=True, slots=True)
class Place:
    """One subscriber: what it asks, and what is to happen to it."""

    name: str
    field: str  # thread, commentAdded
    cut_at: int | None = None  # soon after so many frames its connection is cut, once
    joins_after: int | None = None  # comments, then by a query; None: before the first one


@dataclass(frozen=True, slots=True)
class Orders:
    addresses: Sequence[str]  # each connection goes to one of them
    post_id: str
    cursor: str  # of the moment before the first comment
    places: Sequence[Place]
    deflate: bool = False


@dataclass(frozen=True, slots=True)
class Until:
    """Go on until everybody knows of so many comments, or so long."""

    comments: int
    seconds: float


@dataclass
class Account:
    """What a subscriber has to tell at the end."""

    name: str
    began_after: int = 0  # comments that a query had shown before
    received: list[Received] = field(default_factory=list)
    connections: int = 0
    complaints: list[str] = field(default_factory=list)  # what the protocol did that it should not
    cut_after: int | None = None  # frames


async def work(line: Line) -> None:
    """Hear Orders, say True when all stand; hear Until, say the Accounts."""
    orders: Orders = await line.hear()
    together = _Together(asyncio.Semaphore(OPENING_AT_ONCE))
    subscribers = [_Subscriber(orders, place, together) for place in orders.places]
    async with asyncio.TaskGroup() as group:
        following = [group.create_task(each.follow()) for each in subscribers]
        for each in subscribers:
            if each.place.joins_after is None:
                await each.standing.wait()
        line.say(True)
        await _end(await line.hear(), subscribers, together)
        for task in following:
            task.cancel()
    line.say([each.account for each in subscribers])


async def _end(until: Until, subscribers: Sequence["_Subscriber"], together: "_Together") -> None:
    together.tell(sys.maxsize)  # who wanted to join after more than there came to be joins now
    with suppress(TimeoutError):  # who did not get everything has that in the account
        async with asyncio.timeout(until.seconds):
            for each in subscribers:
                await together.reaches(lambda: each.known >= until.comments)  # noqa: B023  awaited at once
    await asyncio.sleep(GRACE_SECONDS)


class _Together:
    """What the subscribers of a process share."""

    def __init__(self, opening: asyncio.Semaphore) -> None:
        self.opening = opening
        self.most = 0  # comments that one of them knows of
        self._progress = asyncio.Event()

    def tell(self, known: int) -> None:
        self.most = max(self.most, known)
        self._progress.set()

    async def reaches(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds; somebody's news may make it so."""
        while not condition():
            self._progress.clear()
            await self._progress.wait()


class _Subscriber:
    def __init__(self, orders: Orders, place: Place, together: _Together) -> None:
        self.place = place
        self.account = Account(place.name)
        self.standing = asyncio.Event()
        self._orders = orders
        self._together = together
        self._cursor = orders.cursor
        self._heard: set[int] = set()
        self._to_be_cut = place.cut_at is not None

    @property
    def known(self) -> int:
        """Comments of which it knows, by its query or by a frame."""
        return self.account.began_after + len(self._heard)

    async def follow(self) -> None:
        """Until cancelled."""
        joins_after = self.place.joins_after
        if joins_after is not None:
            await self._together.reaches(lambda: self._together.most >= joins_after)
            await self._read_the_page()
        while True:
            try:
                await self._follow_once()
            except (OSError, TimeoutError, WebSocketException):
                await asyncio.sleep(random.uniform(0.01, 0.1))

    async def _read_the_page(self) -> None:
        """As every front end begins: what there is, and the cursor of that moment."""
        while True:
            try:
                post = await asyncio.to_thread(self._page)
            except httpx2.TransportError:
                await asyncio.sleep(random.uniform(0.01, 0.1))
                continue
            self._cursor = post["thread"]["liveCursor"]
            self.account.began_after = post["counts"]["comments"]
            self._together.tell(self.known)
            return

    def _page(self) -> dict[str, Any]:
        with Api(random.choice(self._orders.addresses)) as api:
            post: dict[str, Any] = api.ask(STANDING, post=self._orders.post_id)["post"]
            return post

    async def _follow_once(self) -> None:
        async with self._together.opening:
            socket = await self._connected()
            self.account.connections += 1
        try:
            if self._to_be_cut and self.place.cut_at == 0:
                self._cut_soon(socket)
            while await self._take(socket, orjson.loads(await socket.recv())):
                pass
        finally:
            socket.transport.abort()

    async def _connected(self) -> ClientConnection:
        """A connection that is acknowledged, and the subscription sent."""
        socket = await connect(
            f"ws://{random.choice(self._orders.addresses)}/graphql",
            subprotocols=[Subprotocol("graphql-transport-ws")],
            compression="deflate" if self._orders.deflate else None,
            ping_interval=None,
            proxy=None,
            open_timeout=REQUEST_SECONDS,
        )
        await socket.send('{"type":"connection_init"}')
        self._expect("connection_ack", orjson.loads(await socket.recv()))
        variables = {"post": self._orders.post_id, "after": self._cursor}
        payload = {"query": SUBSCRIPTIONS[self.place.field], "variables": variables}
        await socket.send(orjson.dumps({"id": "1", "type": "subscribe", "payload": payload}).decode())
        # Nothing else tells that a commentAdded was taken: what was sent before it was at least read.
        await socket.send('{"type":"ping"}')
        return socket

    def _expect(self, kind: str, message: dict[str, Any]) -> None:
        if message["type"] != kind:
            self.account.complaints.append(f"{message} instead of {kind}")

    async def _take(self, socket: ClientConnection, message: dict[str, Any]) -> bool:
        """Whether the connection is of use still."""
        if message["type"] == "pong":
            self.standing.set()
            return True
        if message["type"] != "next" or message["payload"].get("errors"):
            self.account.complaints.append(str(message)[:500])
            await asyncio.sleep(0.2)
            return False
        self._take_event(message["payload"]["data"][self.place.field])
        if self._to_be_cut and len(self.account.received) == self.place.cut_at:
            self._cut_soon(socket)
        return True

    def _take_event(self, event: dict[str, Any]) -> None:
        kind = event["__typename"]
        if kind == "CommentAdded":
            self._take_comment(event)
        elif kind == "StreamReady" and event["cursor"] != self._cursor:
            self.account.complaints.append(f"asked for what comes after {self._cursor}, stands at {event['cursor']}")
        elif kind not in ("StreamReady", "StreamHeartbeat"):
            self.account.complaints.append(str(event))
        self._cursor = event["cursor"]

    def _take_comment(self, event: dict[str, Any]) -> None:
        comment, account = event["comment"], self.account
        key = key_of(comment["id"], "Comment")
        counted = event["post"]["counts"]["comments"]
        account.received.append(Received(key, comment["bodyText"], counted, time.monotonic_ns()))
        self._heard.add(key)
        self._together.tell(self.known)

    def _cut_soon(self, socket: ClientConnection) -> None:
        """At a random moment, without a word: no close frame."""
        self._to_be_cut = False
        asyncio.get_running_loop().call_later(random.uniform(0, CUT_WITHIN_SECONDS), self._cut, socket)

    def _cut(self, socket: ClientConnection) -> None:
        self.account.cut_after = len(self.account.received)
        socket.transport.abort()
