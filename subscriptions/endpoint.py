"""The socket's edge on any ASGI server: only `graphql-transport-ws` is offered."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

import orjson
import strawberry
from starlette.requests import HTTPConnection
from strawberry.asgi import ASGIWebSocketAdapter, GraphQL
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from subscriptions.session import Services, Session, cut

INIT_SECONDS = 10  # from the handshake to connection_init
OPERATIONS_LIMIT = 100  # of one connection, at once


class Socket(ASGIWebSocketAdapter):
    async def close(self, code: int, reason: str) -> None:
        await super().close(code, cut(reason))


class SocketEndpoint(GraphQL[Any, None]):
    graphql_transport_ws_handler_class = Session
    websocket_adapter_class = Socket

    def __init__(
        self,
        schema: strawberry.Schema,
        services: Services,
        *,
        context_of: Callable[[HTTPConnection], Awaitable[Any]],
        admit: Callable[[Any], Awaitable[None]],
        allowed_origins: Sequence[str] = (),
    ) -> None:
        """`context_of` makes a connection's context; `admit` settles who it is once `connection_init` has come, and
        raises ConnectionRejectionError for credentials that are no good."""
        super().__init__(
            schema,
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=INIT_SECONDS),
            max_subscriptions_per_connection=OPERATIONS_LIMIT,
            allowed_origins=allowed_origins,
        )
        self.services = services
        self._context_of = context_of
        self._admit = admit

    async def get_context(self, request: Any, response: Any) -> Any:
        return await self._context_of(request)

    async def on_ws_connect(self, context: Any) -> Any:
        await self._admit(context)
        return await super().on_ws_connect(context)

    def encode_json(self, data: object) -> str:
        return orjson.dumps(data).decode()

    def decode_json(self, data: str | bytes) -> Any:
        return orjson.loads(data)
