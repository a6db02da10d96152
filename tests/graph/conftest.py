"""A site without its doors: people act and ask as themselves, on each engine, under a clock that only tests move."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import orjson
import pytest
import strawberry
from argon2 import PasswordHasher
from graphql import OperationDefinitionNode, parse
from strawberry.schema.config import StrawberryConfig

from graph.change import Action, Changes, Key
from graph.comments import actions as comment_actions
from graph.comments import rules as comment_rules
from graph.communities.mutations import CommunityMutations
from graph.communities.queries import CommunityQueries
from graph.context import Context, Services, Viewer
from graph.errors import ERROR_TYPES
from graph.execution.answers import Answer, Engine, Request
from graph.execution.guard import Limits
from graph.execution.plans import Plan, compile_plan
from graph.live import LiveDoor, Member
from graph.mail.mutations import MailMutations
from graph.posts import actions as post_actions
from graph.posts import rules as post_rules
from graph.scalars import SCALARS
from graph.schema import schema
from graph.storage.database import Storage
from graph.storage.rows import Row
from graph.storage.tables import events
from graph.users import actions, passwords
from graph.users.authentication import authenticate, viewer_of
from graph.users.mutations import UserMutations
from graph.users.queries import UserQueries
from graph.users.tokens import new_secret
from subscriptions import session
from subscriptions.brokers.memory import MemoryBroker
from subscriptions.fanout import Fanout
from subscriptions.follow import Stopped, Tail
from subscriptions.session import Delivery
from subscriptions.stream import Stream, StreamEnds

T = TypeVar("T")

START = 1_700_000_000_000_000  # µs: 2023-11-14T22:13:20Z
SECOND = 1_000_000  # µs
DAY = 24 * 3600 * SECOND
NOBODY = Viewer()


@strawberry.type
class Query(UserQueries, CommunityQueries):
    pass


@strawberry.type
class Mutation(UserMutations, MailMutations, CommunityMutations):
    pass


SCHEMA = strawberry.Schema(Query, Mutation, types=ERROR_TYPES, config=StrawberryConfig(scalar_map=SCALARS))


@dataclass
class Site:
    storage: Storage
    now: int = START
    told: list[str] = field(default_factory=list)  # topics, as the doorbell rang

    def __post_init__(self) -> None:
        broker = self.broker = MemoryBroker()
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
                asking = self.services.asking(rows, viewer.audience)
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
    if definition.operation.value != "query":
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


class Watch:
    """A subscription as its client sees it, delivered as sessions do, without a socket."""

    def __init__(self, community: "Community", stream: Stream, member: Member) -> None:
        self.frames: list[dict[str, Any]] = []
        self.errors: Any = None
        self._news = asyncio.Event()
        self._delivery = Delivery(community.live, member, self._take)
        self._leave = community.door.enter(member, self._delivery.ask_to_recheck)
        self._task = asyncio.create_task(self._run(stream))

    @property
    def ended(self) -> bool:
        return self._task.done()

    @property
    def following(self) -> bool:
        return self._delivery.following or self.ended

    @property
    def cursor(self) -> str | None:
        return self.frames[-1]["cursor"] if self.frames else None

    async def until(self, met: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not met() and not self.ended:
                self._news.clear()
                await self._news.wait()

    async def frame(self, number: int) -> dict[str, Any]:
        """The frame with this number, from 0, once it is there."""
        await self.until(lambda: len(self.frames) > number)
        return self.frames[number]

    async def end(self) -> None:
        async with asyncio.timeout(10):
            await asyncio.wait([self._task])

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self, stream: Stream) -> None:
        try:
            await self._delivery.run(stream)
        except StreamEnds as end:
            self.errors = orjson.loads(end.errors)
        except Stopped:  # the process ends while somebody listens: a session takes it so too
            return
        finally:
            self._leave()
            self._news.set()

    async def _take(self, payload: bytes) -> None:
        result = orjson.loads(payload)
        assert "errors" not in result, result
        [event] = result["data"].values()
        self.frames.append(event)
        self._news.set()


class Community(Site):
    """A site with the whole schema, both executions and live delivery."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.engine = Engine(schema, Limits(things=10_000_000))  # random operations ask for much, of little
        self.door = LiveDoor(self.engine, self.services)
        self.tail = Tail(self.storage, self.broker, self.door.on_access, poll_seconds=0.2)
        self.live = session.Services(self.tail, Fanout(), self.door, heartbeat_seconds=30)

    async def whole(self, text: str, viewer: Viewer = NOBODY, **variables: Any) -> Answer:
        """The whole answer.  A query that is planned is executed by Strawberry too, and both must agree."""
        request = Request(text, variables)
        answer = await self.engine.answer(request, Context(self.services, viewer))
        if answer.planned:
            document = self.engine.documents.read(text)
            operation = document.operation(None)
            other = await self.engine._executed(document, operation, request, Context(self.services, viewer))
            assert (other.data, other.errors) == (answer.data, answer.errors)
        return answer

    async def data(self, text: str, viewer: Viewer = NOBODY, **variables: Any) -> Any:
        answer = await self.whole(text, viewer, **variables)
        assert not answer.errors, answer.errors
        return answer.data

    async def follow(self, text: str, viewer: Viewer = NOBODY, **variables: Any) -> Watch:
        return await self.follow_as(Member(viewer, await self.secret_of(viewer)), text, **variables)

    async def follow_as(self, member: Member, text: str, **variables: Any) -> Watch:
        stream = await self.door.begin(member, {"query": text, "variables": variables})
        assert not isinstance(stream, bytes)
        return Watch(self, stream, member)

    async def secret_of(self, viewer: Viewer) -> str | None:
        """By which a session looks at the viewer's rights again."""
        if viewer.audience.viewer_id is None:
            return None
        secret = new_secret("API")
        await self.act(lambda change: actions.create_api_token(change, name="test", secret_hash=secret.hash), viewer)
        return secret.text

    async def settled(self, watches: Iterable[Watch]) -> None:
        """Every one of them follows by now."""
        async with asyncio.timeout(10):
            while any(not watch.following for watch in watches):  # noqa: ASYNC110  nobody is told of a join
                await asyncio.sleep(0)

    async def publish(self, author: Viewer, title: str = "Faut-il publier ?", **given: Any) -> int:
        """A post's key."""
        written = post_rules.written(given.pop("body", "Oui, sous son nom."))
        return await self.act(
            lambda change: post_actions.create_post(change, title=title, written=written, **given), author
        )

    async def answer_post(self, author: Viewer, post: int, body: str = "+1", parent: int | None = None) -> int:
        """A comment's key."""
        written = comment_rules.written(body)
        return await self.act(
            lambda change: comment_actions.add_comment(change, post_id=post, parent_id=parent, written=written), author
        )


@pytest.fixture
async def community(storage: Storage) -> AsyncIterator[Community]:
    community = Community(storage)
    async with community.tail:
        yield community
    await community.services.changes.finish()
