"""A small client of a running server: requests over HTTP, streams over a socket, nothing hidden.

It is what the sample's check and the picture in the README use; it knows the two protocols and no operation.
"""

import asyncio
import http.client
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect  # they come with uvicorn[standard]
from websockets.typing import Subprotocol

ANSWER_SECONDS: Final = 10  # for anything that a server is asked
PROTOCOL: Final = Subprotocol("graphql-transport-ws")
OPERATION_ID: Final = "1"  # one stream per connection


class Unexpected(Exception):
    """The server said something else than was due."""

    def __init__(self, due: str, seen: object) -> None:
        super().__init__(f"{due} was due; seen: {seen}")


@dataclass(frozen=True, slots=True)
class Client:
    """One person, or nobody, at one server."""

    address: str  # like http://127.0.0.1:8000
    token: str | None = None

    async def ask(self, operation: str, **variables: Any) -> dict[str, Any]:
        """The data of a query or a mutation.  Raises Unexpected for errors, and OSError."""
        return await asyncio.to_thread(self._ask, operation, variables)

    def _ask(self, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=ANSWER_SECONDS)
        headers = {"Content-Type": "application/json"}
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        try:
            connection.request("POST", "/graphql", json.dumps({"query": operation, "variables": variables}), headers)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != 200:
            raise Unexpected("an answer of status 200", f"{response.status} {body[:500]!r}")
        answer: dict[str, Any] = json.loads(body)
        if answer.get("errors"):
            raise Unexpected("an answer without errors", answer["errors"])
        data: dict[str, Any] = answer["data"]
        return data

    @asynccontextmanager
    async def follow(self, operation: str, **variables: Any) -> AsyncIterator["Stream"]:
        """What a subscription sends, from its first frame on."""
        address = self.address.replace("http", "ws", 1) + "/graphql"
        async with connect(address, subprotocols=[PROTOCOL], proxy=None) as socket:
            stream = Stream(socket)
            await stream.begin(self.token, {"query": operation, "variables": variables})
            yield stream


class Stream:
    """The frames of one subscription on a socket of its own."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def begin(self, token: str | None, request: dict[str, Any]) -> None:
        payload = {} if token is None else {"authorization": f"Bearer {token}"}
        await self._send({"type": "connection_init", "payload": payload})
        acknowledged = await self._received()
        if acknowledged["type"] != "connection_ack":
            raise Unexpected("connection_ack", acknowledged)
        await self._send({"type": "subscribe", "id": OPERATION_ID, "payload": request})

    async def next(self) -> dict[str, Any]:
        """The data of the next frame.  Raises Unexpected, and TimeoutError after ANSWER_SECONDS."""
        message = await self._received()
        if message["type"] != "next" or message["payload"].get("errors"):
            raise Unexpected("a frame without errors", message)
        data: dict[str, Any] = message["payload"]["data"]
        return data

    def cut(self) -> None:
        """As a broken network would: no closing words in either direction."""
        self._socket.transport.abort()

    async def _send(self, message: dict[str, Any]) -> None:
        await self._socket.send(json.dumps(message))

    async def _received(self) -> dict[str, Any]:
        async with asyncio.timeout(ANSWER_SECONDS):
            message: dict[str, Any] = json.loads(await self._socket.recv())
        return message
