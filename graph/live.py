"""Subscriptions: what they follow, for whom, and what an event becomes.

A subscription is declared (`live`): from its arguments comes what to follow, and how an entry of the log becomes
the object whose fields are then selected.  It runs for an audience, not for a viewer, so that many share each
frame; an operation that selects a field of the viewer's own runs for that viewer alone.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import orjson
import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLInterfaceType,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    visit,
)
from strawberry.types.field import StrawberryField

from graph.audience import Audience
from graph.context import Context, Services, Viewer
from graph.errors import request_error
from graph.events import ACCESS_TOPIC
from graph.execution.answers import Engine, Request, name_of, told
from graph.execution.documents import Document, Refused
from graph.execution.fields import SOURCE, Asking, source_of
from graph.execution.plans import arguments_of
from graph.http.cookies import CookieOutlet
from graph.observing.observed import observed, report
from graph.storage.errors import StorageError
from graph.storage.rows import Rows
from graph.users.authentication import recognise
from subscriptions import log
from subscriptions.cursor import Lost, MalformedCursor, Vector, decode, encode
from subscriptions.log import Entry
from subscriptions.session import Refusing
from subscriptions.stream import Frame, Opening, Stream, StreamEnds

T = TypeVar("T")

TIMER_SHORTEST_SECONDS = 0.001
TIMER_LONGEST_SECONDS = 24 * 3600.0


class Gone(Exception):
    """What is followed is no longer there for this audience."""


@dataclass(frozen=True, slots=True)
class Following:
    """What a subscription follows, settled from its arguments."""

    name: str  # of the stream and its arguments: equal ones give equal events
    topics: tuple[str, ...]
    cursors: str  # what the cursors are good for: see `subscriptions.cursor`
    after: str | None
    shared: bool  # whether the audience without the viewer sees the same; a draft is its author's alone
    community_id: int | None
    project: Callable[[Asking, Entry, str], Awaitable[object | None]]
    """The event's object, with this cursor; None: there is nothing to see.  Raises Gone."""
    opening: Callable[[str, int], object] | None = None  # the first frame's object, at a cursor and an instant
    snapshot: bool = False  # the first frame shows rows: its cursor is the view's, whatever `after` says
    reset: Callable[[Lost, str, int], object] | None = None  # None: being lost ends the stream
    heartbeat: Callable[[str, int], object] | None = None


Begin = Callable[..., Awaitable[Following]]


@dataclass(frozen=True)
class Live:
    """The source of a subscription field: `begin(asking, /, **arguments)`."""

    begin: Begin
    per_viewer: bool = False


def live(begin: Begin, *, description: str) -> Any:
    """A subscription field with the keyword-only parameters of `begin` as its arguments."""

    async def resolve() -> AsyncGenerator[Any, None]:
        raise AssertionError("subscriptions are served by sessions")
        yield

    given = [p for p in inspect.signature(begin).parameters.values() if p.kind is p.KEYWORD_ONLY]
    resolve.__signature__ = inspect.Signature(given)  # type: ignore[attr-defined]  # what Strawberry reads
    resolve.__annotations__ = {p.name: p.annotation for p in given}
    resolve.__module__ = begin.__module__
    return strawberry.subscription(resolver=resolve, description=description, metadata={SOURCE: Live(begin)})


def decoded(after: str | None, topics: Sequence[str], cursors: str) -> Vector | None:
    """Raises a request error for a cursor of another stream, or of none."""
    if after is None:
        return None
    try:
        return decode(after, topics, cursors)
    except MalformedCursor as wrong:
        raise request_error(str(wrong), "CURSOR_INVALID") from wrong


@dataclass
class LiveStream:
    """One subscription operation, for one audience."""

    engine: Engine
    services: Services
    document: Document
    operation: OperationDefinitionNode
    variables: Mapping[str, Any]
    following: Following
    audience: Audience
    group: Hashable = field(init=False)

    def __post_init__(self) -> None:
        name = self.operation.name.value if self.operation.name else None
        coerced = self.engine.coerced(self.operation, self.variables).coerced
        below = variables_below(self.document, self.operation)
        used = {key: value for key, value in coerced.items() if key in below}
        canonical = orjson.dumps(used, option=orjson.OPT_SORT_KEYS, default=str)
        self.group = (self.document, name, canonical, self.following.name, self.audience)

    @property
    def topics(self) -> Sequence[str]:
        return self.following.topics

    async def open(self) -> Opening:
        given = decoded(self.following.after, self.topics, self.following.cursors)
        if self.following.snapshot:
            given = None
        return await self._in_view(partial(self._first, given, self.following.opening))

    async def frame(self, entry: Entry) -> Frame:
        return await self._in_view(partial(self._frame, entry))

    async def lost(self, reason: Lost) -> Opening:
        reset = self.following.reset
        if reset is None:
            return await self._in_view(partial(self._expired, reason))
        return await self._in_view(partial(self._first, None, lambda cursor, at: reset(reason, cursor, at)))

    async def heartbeat(self, vector: Vector) -> bytes | None:
        if self.following.heartbeat is None:
            return None
        event = self.following.heartbeat(self._cursor(vector), self.services.now())
        return await self._in_view(partial(self._payload, event))

    async def _first(self, given: Vector | None, first: Callable[[str, int], object] | None, asking: Asking) -> Opening:
        """Begin at the given place, or else where the view stands."""
        seen = await self._seen(asking)
        vector = given or Vector(seen.epoch, {topic: seen.places[topic] for topic in self.topics})
        if first is None:
            return Opening([], vector, seen)
        event = first(self._cursor(vector), self.services.now())
        return Opening([await self._payload(event, asking)], vector, seen)

    async def _seen(self, asking: Asking) -> Vector:
        """Where the topics, and what is told of rights, stand in this view."""
        return await log.standing(asking.rows, [*self.topics, ACCESS_TOPIC])

    async def _frame(self, entry: Entry, asking: Asking) -> Frame:
        seen = await self._seen(asking)
        cursor = self._cursor(Vector(seen.epoch, {**seen.places, entry.topic: entry.place}))
        try:
            event = await self.following.project(asking, entry, cursor)
        except Gone:
            return Frame(None, seen, ends=True)
        return Frame(None if event is None else await self._payload(event, asking), seen)

    async def _expired(self, reason: Lost, asking: Asking) -> Opening:
        cursor = self._cursor(await log.standing(asking.rows, self.topics))
        error = request_error(
            "What comes after this cursor is no longer known: fetch again, and go on from there.",
            "CURSOR_EXPIRED",
            reason=reason.value,
            cursor=cursor,
        )
        raise StreamEnds(orjson.dumps(told([error], self.audience.locale)))

    async def _payload(self, event: object, asking: Asking) -> bytes:
        context = Context(self.services, Viewer(self.audience))
        context.read_from(asking)
        result = await self.engine.execute(self.document, self.operation, self.variables, context, event)
        unmade = what_unmade(result)
        if unmade is not None:
            raise unmade
        shown: dict[str, Any] = {"data": result.data}
        if result.errors:
            shown["errors"] = self.engine.shown(result.errors, self.operation, self.audience.locale)
        return orjson.dumps(shown)

    async def _in_view(self, work: Callable[[Asking], Awaitable[T]]) -> T:
        async with self.services.storage.reading() as rows:
            return await work(self.services.asking(rows, self.audience))

    def _cursor(self, vector: Vector) -> str:
        return encode(vector, self.topics, self.following.cursors)


@dataclass
class Member:
    """A connection's context: who it is, and the secret by which that can be looked at again."""

    viewer: Viewer = field(default_factory=Viewer)
    secret: str | None = None
    by_cookie: bool = False  # whether the browser added the secret by itself
    language: str | None = None  # that the handshake asks for
    client: str | None = None  # the address from which it was opened
    connection_params: Mapping[str, object] | None = None


def refusing(errors: Sequence[GraphQLError], member: Member) -> Refusing:
    shown = told(errors, member.viewer.audience.locale)
    observed().answered(planned=False, errors=shown)
    return Refusing(orjson.dumps(shown))


class SessionEnd:
    """Calls back when a session ends by itself, of which no event tells; None: it never does."""

    def __init__(self, expires_at: int | None, now: Callable[[], int], call: Callable[[], None]) -> None:
        self._expires_at, self._now, self._call = expires_at, now, call
        self._timer: asyncio.TimerHandle | None = None
        self._wait()

    def _wait(self) -> None:
        if self._expires_at is None:
            return
        seconds = (self._expires_at - self._now()) / 1_000_000
        if seconds <= 0:
            self._timer = None
            self._call()
            return
        # The loop's clock is another than the session's: it is early at times, and counts no years ahead.
        wait = min(max(seconds, TIMER_SHORTEST_SECONDS), TIMER_LONGEST_SECONDS)
        self._timer = asyncio.get_running_loop().call_later(wait, self._wait)

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


class LiveDoor:
    """What the community does for sessions."""

    def __init__(self, engine: Engine, services: Services) -> None:
        self._engine = engine
        self._services = services
        self._watching: dict[int | None, set[Callable[[], None]]] = {}

    async def begin(self, member: Member, request: Mapping[str, Any]) -> Stream | bytes:
        asked = Request(request["query"], request.get("variables") or {}, request.get("operationName"))
        try:
            await self._look_again(member)
            document = self._engine.documents.read(asked.query)
            operation = document.operation(asked.operation_name)
            if operation.operation is not OperationType.SUBSCRIPTION:
                outlet = CookieOutlet(came=member.by_cookie)
                context = Context(self._services, member.viewer, cookie=outlet, client=member.client)
                answer = await self._engine.answer(asked, context)
                if not answer.executed:
                    raise Refusing(orjson.dumps(answer.errors))
                return orjson.dumps(answer.body())
            observed().asks("subscription", name_of(operation), member.viewer.audience.viewer_id)
            stream = await self._stream(member.viewer, document, operation, asked.variables)
            observed().subscribed()
            return stream
        except Refused as refused:
            raise refusing(refused.errors, member) from refused
        except GraphQLError as error:
            raise refusing([error], member) from error

    async def renewed(self, member: Member, stream: Stream) -> Stream | None:
        assert isinstance(stream, LiveStream)
        try:
            await self._look_again(member)
            return await self._stream(member.viewer, stream.document, stream.operation, stream.variables)
        except GraphQLError:
            return None

    async def _look_again(self, member: Member) -> None:
        """A socket lives long: what its client may do is what it may do now.  Raises a request error."""
        if member.secret is None:
            return
        viewer = await recognise(self._services, member.secret)
        if viewer is None:
            raise request_error("This session has ended.", "UNAUTHENTICATED")
        member.viewer = viewer.speaking(member.language)

    def enter(self, member: Member, recheck: Callable[[], None]) -> Callable[[], None]:
        watching = self._watching.setdefault(member.viewer.audience.viewer_id, set())
        watching.add(recheck)
        ending = SessionEnd(member.viewer.expires_at, self._services.now, recheck)

        def leave() -> None:
            watching.discard(recheck)
            ending.cancel()

        return leave

    async def on_access(self, entries: Sequence[Entry] | None) -> None:
        """Whom these events are about looks at their rights again before anything more is sent to them."""
        whose = None if entries is None else {entry.data["user_id"] for entry in entries}
        for viewer_id, watching in list(self._watching.items()):
            if whose is None or viewer_id in whose or None in whose:
                for recheck in list(watching):
                    recheck()
            if not watching:
                del self._watching[viewer_id]

    def report(self, defect: BaseException) -> bytes:
        error = request_error("Internal error.", "INTERNAL", id=report(defect, None))
        return orjson.dumps([error.formatted])

    async def _stream(
        self, viewer: Viewer, document: Document, operation: OperationDefinitionNode, given: Mapping[str, Any]
    ) -> LiveStream:
        variables = self._engine.coerced(operation, given)
        self._engine.held_to_limits(document, operation, variables)
        core, declared, node = self._root(operation)
        source: Live = declared.metadata[SOURCE]
        arguments = arguments_of(self._engine.schema, core, declared, node, variables)

        async def begin(rows: Rows) -> Following:
            return await source.begin(self._services.asking(rows, viewer.audience), **arguments)

        following = await self._services.storage.read(begin)
        decoded(following.after, following.topics, following.cursors)
        shared = following.shared and not is_per_viewer(self._engine, document, operation)
        audience = viewer.audience.shared_within(following.community_id) if shared else viewer.audience
        return LiveStream(self._engine, self._services, document, operation, dict(given), following, audience)

    def _root(self, operation: OperationDefinitionNode) -> tuple[Any, StrawberryField, Any]:
        [node, *others] = operation.selection_set.selections
        root = self._engine.schema._schema.subscription_type
        assert root is not None
        if others or node.kind != "field" or node.name.value not in root.fields:  # type: ignore[attr-defined]  # a field has a name
            raise request_error("A subscription selects one field, outside of fragments.", "VALIDATION")
        core = root.fields[node.name.value]  # type: ignore[attr-defined]  # it is a field
        return core, core.extensions["strawberry-definition"], node


def what_unmade(result: ExecutionResult) -> Exception | None:
    """Why a frame must not leave: made again it may be whole, and without its cursor nobody could ask for it again."""
    causes = [error.original_error or error for error in result.errors or ()]
    away = next((cause for cause in causes if isinstance(cause, StorageError)), None)
    return away or (causes[0] if result.data is None else None)


def is_per_viewer(engine: Engine, document: Document, operation: OperationDefinitionNode) -> bool:
    """Whether it selects anything that depends on the very person."""
    info = TypeInfo(engine.schema._schema)
    found = _PerViewer(engine.schema._schema, info)
    for node in (operation, *document.fragments.values()):
        visit(node, TypeInfoVisitor(info, found))
    return found.found


class _PerViewer(Visitor):
    def __init__(self, schema: GraphQLSchema, info: TypeInfo) -> None:
        super().__init__()
        self._schema = schema
        self._info = info
        self.found = False

    def enter_field(self, node: Any, *_: Any) -> None:
        core = self._info.get_field_def()
        self.found = self.found or any(is_own(field) for field in (core, *self._implementations(node)))

    def _implementations(self, node: Any) -> Iterator[Any]:
        """What the field is in each of the types that may stand here."""
        parent = self._info.get_parent_type()
        if isinstance(parent, GraphQLInterfaceType):
            for possible in self._schema.get_possible_types(parent):
                yield possible.fields.get(node.name.value)


def is_own(core: Any) -> bool:
    """Whether the field depends on the very person."""
    declared = None if core is None else core.extensions.get("strawberry-definition")
    source = None if declared is None else source_of(declared)
    return source is not None and source.per_viewer


def variables_below(document: Document, operation: OperationDefinitionNode) -> set[str]:
    """Variables that a frame may depend on: all but those that only the root field takes."""
    names: set[str] = set()
    for selection in operation.selection_set.selections:
        names |= set(_variables(getattr(selection, "selection_set", None)))
        names |= set(_variables(getattr(selection, "directives", None)))
    for fragment in document.fragments.values():
        names |= set(_variables(fragment))
    return names


def _variables(node: Any) -> Iterator[str]:
    if isinstance(node, list | tuple):
        for item in node:
            yield from _variables(item)
    elif getattr(node, "kind", None) == "variable":
        yield node.name.value
    elif node is not None and hasattr(node, "keys"):
        for key in node.keys:
            if key != "loc":
                yield from _variables(getattr(node, key, None))
