"""Parts of the application that can be had with more around them: plain, or traced (`graph.observing.tracing`)."""

from collections.abc import Callable

import strawberry
from starlette.middleware import Middleware

from graph.change import Changes
from graph.execution.answers import Engine
from graph.execution.guard import Limits
from graph.storage.database import Storage
from subscriptions.broker import Broker
from subscriptions.fanout import Fanout
from subscriptions.meter import Meter


class Parts:
    def storage(self, storage: Storage) -> Storage:
        return storage

    def changes(self, storage: Storage, broker: Broker, now: Callable[[], int]) -> Changes:
        return Changes(storage, broker, now)

    def engine(self, schema: strawberry.Schema, limits: Limits) -> Engine:
        return Engine(schema, limits)

    def fanout(self, meter: Meter) -> Fanout:
        return Fanout(meter=meter)

    def middleware(self) -> list[Middleware]:
        """Around each request, once it is known whose it is."""
        return []

    async def close(self) -> None:
        """Nothing more will be done."""
