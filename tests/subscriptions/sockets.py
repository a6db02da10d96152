"""A client at the other end of a socket, without a network between."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

SOON = 5.0  # seconds: long before that, or the test fails
PROTOCOL = "graphql-transport-ws"
INIT = {"type": "connection_init"}
Message = dict[str, Any]


class Socket:
    """A client at the other end of a connection, without a network."""

    def __init__(
        self,
        app: Any,
        *,
        offers: Sequence[str] = (PROTOCOL,),
        origin: str | None = None,
        authorization: str | None = None,
        language: str | None = None,
        cookie: str | None = None,
        site: str | None = None,
        host: str = "palabre.test",
        path: str = "/graphql",
    ) -> None:
        given = {
            "host": host,
            "origin": origin,
            "authorization": authorization,
            "accept-language": language,
            "cookie": cookie,
            "sec-fetch-site": site,
        }
        headers = [(name.encode(), value.encode()) for name, value in given.items() if value is not None]
        self._scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "scheme": "ws",
            "query_string": b"",
            "headers": headers,
            "subprotocols": list(offers),
            "client": ("127.0.0.1", 1),
            "server": ("palabre.test", 80),
            "extensions": {},
        }
        self._app = app
        self._inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._outbox: asyncio.Queue[Message] = asyncio.Queue()
        self.closing: asyncio.Event | None = None  # a close frame that waits until it may leave

    async def __aenter__(self) -> "Socket":
        self._task = asyncio.create_task(self._app(self._scope, self._outbox.get, self._send))
        await self._outbox.put({"type": "websocket.connect"})
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def _send(self, message: Message) -> None:
        if message["type"] == "websocket.close" and self.closing is not None:
            await self.closing.wait()
        await self._inbox.put(message)

    async def leave(self) -> None:
        """Without a word, as a broken network would."""
        await self._outbox.put({"type": "websocket.disconnect", "code": 1006})
        async with asyncio.timeout(SOON):
            await self._task

    async def event(self) -> Message:
        async with asyncio.timeout(SOON):
            return await self._inbox.get()

    async def say(self, *messages: Message | str | bytes) -> None:
        for message in messages:
            if isinstance(message, bytes):
                await self._outbox.put({"type": "websocket.receive", "bytes": message})
            else:
                text = message if isinstance(message, str) else orjson.dumps(message).decode()
                await self._outbox.put({"type": "websocket.receive", "text": text})

    async def hear(self) -> Message:
        event = await self.event()
        assert event["type"] == "websocket.send", event
        heard: Message = orjson.loads(event["text"])
        return heard

    async def said(self, operation: str = "1") -> Any:
        """What the next frame of this operation says."""
        heard = await self.hear()
        assert (heard["type"], heard["id"]) == ("next", operation), heard
        return heard["payload"]["data"]

    async def closed(self) -> tuple[int, str]:
        event = await self.event()
        assert event["type"] == "websocket.close", event
        reason: str = event["reason"]
        assert len(reason.encode()) <= 123
        return event["code"], reason

    async def greeted(self, authorization: str | None = None) -> "Socket":
        accepted = await self.event()
        assert (accepted["type"], accepted["subprotocol"]) == ("websocket.accept", PROTOCOL)
        await self.say(INIT if authorization is None else {**INIT, "payload": {"authorization": authorization}})
        assert await self.hear() == {"type": "connection_ack"}
        return self

    async def ask(self, query: str, operation: str = "1", **variables: Any) -> None:
        await self.say({"type": "subscribe", "id": operation, "payload": {"query": query, "variables": variables}})

    async def pinged(self) -> None:
        """Everything that was said before has been dealt with, and was answered with nothing else."""
        await self.say({"type": "ping"})
        assert await self.hear() == {"type": "pong"}
