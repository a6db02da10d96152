"""What resolvers may use: who asks, one read view with batched reads over it, and the door to changes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Generic, TypeAlias, TypeVar

import strawberry
from strawberry.dataloader import DataLoader

from graph.access import check_scope
from graph.audience import VISITOR, Audience
from graph.change import KEY_LIMIT, Action, Changes, Key
from graph.errors import UserError, user_error
from graph.execution.fields import Asking, Batched, NoEntity, all_columns
from graph.http.cookies import CookieOutlet
from graph.observing.observed import observed
from graph.phrases import phrase
from graph.refusals import Invalid, Refusal
from graph.storage.database import Storage
from graph.storage.rows import Row, Rows
from graph.users.attempts import Attempts
from graph.users.uses import Uses

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: an audience, and until when the session or API token says so."""

    audience: Audience = VISITOR
    expires_at: int | None = None  # µs since 1970, UTC: when the session or token ends by itself

    @property
    def token_id(self) -> int | None:
        """The session or API token in use."""
        return self.audience.token_id

    def speaking(self, language: str | None) -> "Viewer":
        """The same, spoken to in the language that the request asks for; None: in that of the account."""
        return self if language is None else replace(self, audience=replace(self.audience, locale=language))


@dataclass(frozen=True, slots=True)
class Services:
    """What one process has once, and every operation uses."""

    storage: Storage
    changes: Changes
    now: Callable[[], int]  # µs since 1970, UTC
    public_url: str
    session_microseconds: int
    sends_mail: bool = False
    attempts: Attempts = field(default_factory=Attempts)
    uses: Uses = field(default_factory=Uses)

    def asking(self, rows: Rows, audience: Audience) -> Asking:
        """A read for this audience, at the present moment."""
        return Asking(rows, audience, self.public_url, self.now())


@dataclass
class Context:
    services: Services
    viewer: Viewer
    view: AsyncExitStack = field(default_factory=AsyncExitStack)
    _asking: Asking | None = None
    _loaders: dict[object, "DataLoader[Row, Any]"] = field(default_factory=dict)
    connection_params: Mapping[str, object] | None = None
    cookie: CookieOutlet = field(default_factory=CookieOutlet)  # by itself closed, as over a socket
    client: str | None = None  # the address from which is asked, where it is known

    @property
    def asking(self) -> Asking:
        assert self._asking is not None, "nothing is read before the view is open"
        return self._asking

    async def read_anew(self) -> None:
        """Leave the present view, if any, and read from one that shows everything committed by now."""
        await self.view.aclose()
        rows = await self.view.enter_async_context(self.services.storage.reading())
        self.read_from(self.services.asking(rows, self.viewer.audience))

    def read_from(self, asking: Asking) -> None:
        self._asking = asking
        self._loaders.clear()

    async def load(self, source: Batched, owner: Row, arguments: Mapping[str, Any]) -> Any:
        """One read for all the owners asked for in this turn of the event loop."""
        key = (id(source), repr(sorted(arguments.items())))
        if key not in self._loaders:
            wanted = all_columns(source.entity() if source.entity else NoEntity)

            async def load(owners: list[Row]) -> Sequence[Any]:
                return await source.load(self.asking, owners, wanted, **arguments)

            self._loaders[key] = DataLoader(load)
        # Several fields may wait for one row: where one of them is given up, because its neighbour failed, the others
        # wait on.
        loaded = asyncio.ensure_future(self._loaders[key].load(owner))
        loaded.add_done_callback(_seen)
        return await asyncio.shield(loaded)


def _seen(loaded: "asyncio.Future[Any]") -> None:
    """What failed after everybody had given it up is nobody's any more."""
    if not loaded.cancelled():
        loaded.exception()


Info: TypeAlias = "strawberry.Info[Context, None]"


@dataclass(frozen=True, slots=True)
class CarriedOut(Generic[T]):
    """What came of an act: its identities, or why it was refused."""

    value: T | None
    errors: list[UserError]


async def carry_out(info: Info, mutation: str, given: Any, action: Action[T]) -> CarriedOut[T]:
    """Do what a mutation asks, once per `clientMutationId`; afterwards the payload is read anew."""

    async def ready() -> Action[T]:
        return action

    return await prepare_and_carry_out(info, mutation, given, ready)


async def prepare_and_carry_out(
    info: Info, mutation: str, given: Any, prepare: Callable[[], Awaitable[Action[T]]]
) -> CarriedOut[T]:
    """The same for an action whose making takes time (rendering, hashing), or may refuse by itself."""
    context = info.context
    try:
        check_scope(mutation, context.viewer.audience)
        key = _key(mutation, given)
        action = await prepare()
        value = await context.services.changes.run(action, audience=context.viewer.audience, key=key)
        return CarriedOut(value, [])
    except Refusal as refusal:
        error = user_error(refusal, context.viewer.audience.locale)
        observed().refused(error.code.name)
        return CarriedOut(None, [error])
    finally:
        await context.read_anew()


def _key(mutation: str, given: Any) -> Key | None:
    client_mutation_id: str | None = given.client_mutation_id
    if client_mutation_id is None:
        return None
    if not 1 <= len(client_mutation_id) <= KEY_LIMIT:
        raise Invalid(
            phrase("A clientMutationId has 1 to {limit} characters.", limit=KEY_LIMIT),
            ("input", "clientMutationId"),
            limit=KEY_LIMIT,
            actual=len(client_mutation_id),
        )
    return Key.of(mutation, client_mutation_id, asdict(given))
