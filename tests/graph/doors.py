"""The application as a server calls it: requests of any shape, over no network."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.applications import Starlette

from graph.app import create_app
from graph.audience import Audience
from graph.change import Changes
from graph.ids import global_id
from graph.parts import Parts
from graph.posts import actions as post_actions
from graph.posts import rules as post_rules
from graph.settings import settings_from
from graph.users import actions as user_actions
from graph.users.tokens import new_secret


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    content: bytes
    unread: int = 0  # chunks of the body that nobody asked for
    set_cookies: list[str] = field(default_factory=list)

    @property
    def body(self) -> Any:
        return orjson.loads(self.content)

    @property
    def messages(self) -> list[str]:
        return [error["message"] for error in self.body["errors"]]

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body["errors"]]


@dataclass
class Clock:
    now: int = 1_700_000_000_000_000  # µs

    def __call__(self) -> int:
        return self.now


@dataclass
class Door:
    """The application as a server calls it."""

    app: Starlette
    clock: Clock
    token: str
    post: str

    async def request(
        self,
        method: str = "POST",
        *,
        query: bytes = b"",
        headers: dict[str, str] | None = None,
        chunks: Sequence[bytes] = (b"",),
        cut: bool = False,
        stalls: bool = False,
        path: str = "/graphql",
        peer: str = "127.0.0.1",
    ) -> Response:
        """`cut`: the client goes away before the body is whole; `stalls`: it stays, and sends no more."""
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
            "client": (peer, 1),
            "server": ("127.0.0.1", 8000),
        }
        left = list(chunks)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not left and stalls:
                await asyncio.Event().wait()
            if not left:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or cut or stalls}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *bodies = sent
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        content = b"".join(part.get("body", b"") for part in bodies)
        cookies = [value.decode() for name, value in start["headers"] if name == b"set-cookie"]
        return Response(start["status"], found, content, len(left), cookies)

    async def post_body(self, body: bytes, **headers: str) -> Response:
        return await self.request(headers={"content-type": "application/json", **headers}, chunks=[body])

    async def ask(self, query: Any, variables: Any = None, **headers: str) -> Response:
        return await self.post_body(orjson.dumps({"query": query, "variables": variables}), **headers)

    async def ask_as_greg(self, query: Any, variables: Any = None) -> Response:
        return await self.ask(query, variables, authorization=f"Bearer {self.token}")

    async def get(self, **parameters: str) -> Response:
        return await self.request("GET", query=urlencode(parameters).encode())


@asynccontextmanager
async def opened(parts: Parts | None = None, /, **settings: Any) -> AsyncIterator[Door]:
    """A site with these settings, on which Greg has a token and a post."""
    clock = Clock()
    app = create_app(settings_from({}, settings), clock=clock, parts=parts)
    async with app.router.lifespan_context(app):
        changes: Changes = app.state.services.changes
        secret = new_secret("API")
        user_id = await changes.run(lambda change: user_actions.create_user(change, handle="greg"), audience=Audience())
        greg = Audience(viewer_id=user_id, role="MEMBER")
        await changes.run(
            lambda change: user_actions.create_api_token(change, name="test", secret_hash=secret.hash), audience=greg
        )
        written = post_rules.written("Oui.")
        post = await changes.run(
            lambda change: post_actions.create_post(change, title="Noël", written=written), audience=greg
        )
        yield Door(app, clock, secret.text, global_id("Post", post))
