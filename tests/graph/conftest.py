"""A site without its doors: people act and ask as themselves, on each engine, under a clock that only tests move."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import strawberry
from argon2 import PasswordHasher
from graphql import OperationDefinitionNode, parse
from strawberry.schema.config import StrawberryConfig

from graph.change import Action, Changes, Key
from graph.communities.mutations import CommunityMutations
from graph.communities.queries import CommunityQueries
from graph.context import Context, Services, Viewer
from graph.errors import ERROR_TYPES
from graph.execution.fields import Asking
from graph.execution.plans import Plan, compile_plan
from graph.scalars import SCALARS
from graph.storage.database import Storage
from graph.storage.rows import Row
from graph.storage.tables import events
from graph.users import actions, passwords
from graph.users.authentication import authenticate, viewer_of
from graph.users.mutations import UserMutations
from graph.users.queries import UserQueries
from subscriptions.brokers.memory import MemoryBroker

T = TypeVar("T")

START = 1_700_000_000_000_000  # µs: 2023-11-14T22:13:20Z
SECOND = 1_000_000  # µs
DAY = 24 * 3600 * SECOND
NOBODY = Viewer()


@strawberry.type
class Query(UserQueries, CommunityQueries):
    pass


@strawberry.type
class Mutation(UserMutations, CommunityMutations):
    pass


SCHEMA = strawberry.Schema(Query, Mutation, types=ERROR_TYPES, config=StrawberryConfig(scalar_map=SCALARS))


@dataclass
class Site:
    storage: Storage
    now: int = START
    told: list[str] = field(default_factory=list)  # topics, as the doorbell rang

    def __post_init__(self) -> None:
        broker = MemoryBroker()
        broker.listen(lambda topics: self.told.extend(topics or ()))
        changes = Changes(self.storage, broker, lambda: self.now)
        self.services = Services(self.storage, changes, lambda: self.now, "https://palabre.test", 30 * DAY)

    async def act(self, action: Action[T], viewer: Viewer = NOBODY, *, key: Key | None = None) -> T:
        return await self.services.changes.run(action, audience=viewer.audience, key=key)

    async def person(self, handle: str, *, role: str = "MEMBER", **given: Any) -> int:
        """The new person's id."""
        return await self.act(lambda change: actions.create_user(change, handle=handle, role=role, **given))

    async def viewer(self, user_id: int) -> Viewer:
        """The person as they are now."""
        viewer = await viewer_of(self.storage, user_id)
        assert viewer is not None
        return viewer

    async def by_secret(self, secret: str) -> Viewer | None:
        return await authenticate(self.storage, secret, self.now)

    async def ask(self, operation: str, viewer: Viewer = NOBODY, **variables: Any) -> dict[str, Any]:
        """The answer's data.  A query is also planned: its plan must say the same."""
        answer = await self.answer(operation, viewer, **variables)
        assert not answer.errors, answer.errors
        data: dict[str, Any] = answer.data
        if (plan := plan_of(operation)) is not None:
            async with self.storage.reading() as rows:
                asking = Asking(rows, viewer.audience, self.services.public_url)
                assert await plan.run(asking, variables) == data
        return data

    async def answer(self, operation: str, viewer: Viewer = NOBODY, **variables: Any) -> Any:
        context = Context(self.services, viewer)
        await context.read_anew()
        try:
            return await SCHEMA.execute(operation, variable_values=variables, context_value=context)
        finally:
            await context.view.aclose()

    async def table(self, table: Any) -> list[Row]:
        return [tuple(row) for row in await self.storage.rows(table.select().order_by(*table.primary_key.columns))]

    async def events(self) -> list[tuple[str, str]]:
        """(kind, data) of everything that was told."""
        return [(row[3], row[4]) for row in await self.table(events)]


def plan_of(operation: str) -> Plan | None:
    """None for a mutation."""
    [definition] = parse(operation).definitions
    assert isinstance(definition, OperationDefinitionNode)
    if definition.operation.value != "query" or "isCurrent" in operation:
        return None
    return compile_plan(SCHEMA, definition, {}, {})


@pytest.fixture
async def site(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    # What slows down who guesses would slow down the tests.
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobodys.cache_clear()
    site = Site(storage)
    yield site
    await site.services.changes.finish()
