"""The application: everything is made here once, and given to those who need it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route, WebSocketRoute

from graph.change import forget_keys
from graph.context import Services
from graph.execution.guard import Limits
from graph.http.credentials import Credentials
from graph.http.endpoint import HttpEndpoint
from graph.http.handshakes import admit, connection_of
from graph.http.origins import Origins
from graph.http.proxies import Forwarded, UnderPath, path_of
from graph.http.requests import BodyLimits
from graph.live import LiveDoor
from graph.mail.letters import Correspondence
from graph.mail.rules import KEPT
from graph.mail.store import forget_done
from graph.observing import logs
from graph.observing.health import Health
from graph.observing.metrics import Shown
from graph.observing.observed import Numbers, Observing, Watching, watch_loop
from graph.parts import Parts
from graph.schema import schema
from graph.settings import Settings
from graph.storage.database import Storage
from graph.storage.rows import Failed, Work
from graph.storage.sqlite import path_of as file_of
from graph.web.examples import Account
from graph.web.pages import Assets, GraphiQL
from subscriptions import session
from subscriptions.broker import Broker
from subscriptions.brokers.sqlite import SqliteBroker
from subscriptions.endpoint import SocketEndpoint
from subscriptions.follow import Tail
from subscriptions.log import trim
from subscriptions.meter import Meter

if TYPE_CHECKING:
    from graph.mail.sender import Sender

logger = structlog.get_logger("palabre")

T = TypeVar("T")

HOUR = 3600  # seconds
MICROSECONDS = 1_000_000


def now() -> int:
    """µs since 1970, UTC."""
    return time.time_ns() // 1000


def storage_for(settings: Settings) -> Storage:
    return Storage.at(
        settings.database_url,
        readers=settings.sqlite_readers,
        connections=settings.postgres_connections,
        view_seconds=settings.read_view_seconds,
    )


def broker_for(settings: Settings, storage: Storage) -> Broker:
    if storage.engine == "sqlite":
        return SqliteBroker(file_of(storage.url))
    from subscriptions.brokers.postgres import PostgresBroker  # its driver is an extra

    return PostgresBroker(storage.url)


def sender_for(settings: Settings, services: Services) -> "Sender | None":
    """None where no mail is sent."""
    if settings.mail_url is None:
        return None
    assert settings.mail_from is not None, "the settings let neither pass without the other"
    from graph.mail.sender import Sender  # what it sends with is an extra
    from graph.mail.transport import Transport

    correspondence = correspondence_for(settings, settings.mail_from)
    transport = Transport(settings.mail_url, local_hostname=correspondence.domain)
    return Sender(services.storage, services.changes, transport, correspondence, services.now)


def correspondence_for(settings: Settings, sender: str) -> Correspondence:
    return Correspondence(sender, public_url(settings), settings.mail_reset_link, settings.mail_confirm_link)


def parts_for(settings: Settings) -> Parts:
    if settings.otel_endpoint is None:
        return Parts()
    from graph.observing.tracing import exporting  # what it exports with is an extra

    return exporting(settings.otel_endpoint)


def create_app(
    settings: Settings, *, clock: Callable[[], int] = now, guest: Account | None = None, parts: Parts | None = None
) -> Starlette:
    """The whole service as one ASGI application, over a database that is migrated already.

    `guest` is an account that the page offers to everyone.
    """
    parts = parts or parts_for(settings)
    storage = parts.storage(storage_for(settings))
    broker = broker_for(settings, storage)
    services = Services(
        storage=storage,
        changes=parts.changes(storage, broker, clock),
        now=clock,
        public_url=public_url(settings),
        session_microseconds=settings.session_days * 24 * HOUR * MICROSECONDS,
        sends_mail=settings.mail_url is not None,
    )
    engine = parts.engine(
        schema,
        Limits(
            document_bytes=settings.operation_bytes,
            tokens=settings.operation_tokens,
            depth=settings.operation_depth,
            discreet=not is_open(settings),
        ),
    )
    credentials = Credentials.of(services, Origins(services.public_url, settings.allowed_origins))
    page = GraphiQL(engine, services, account=guest).answer if is_open(settings) else None
    door = LiveDoor(engine, services)
    numbers, meter = Numbers(), Meter()
    tail = Tail(storage, broker, door.on_access, meter=meter)
    sockets = SocketEndpoint(
        schema,
        session.Services(
            tail, parts.fanout(meter), door, settings.live_heartbeat_seconds, meter, lambda id: Watching(numbers, id)
        ),
        context_of=lambda connection: connection_of(connection, credentials),
        admit=lambda member: admit(member, credentials),
        allowed_origins=credentials.origins.all,
    )
    health = Health(storage, lambda: tail.unread_seconds)
    sender = sender_for(settings, services)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with storage:
            await broker.start()
            try:
                async with tail:
                    try:
                        async with (
                            beside(keep_log(settings, storage, clock), watch_loop(numbers)),
                            sender.running() if sender else nullcontext(),
                        ):
                            yield
                    finally:
                        await services.uses.finish()
                        await services.changes.finish()
            finally:
                await broker.stop()
                await parts.close()

    app = Starlette(
        routes=[
            Route(
                "/graphql",
                HttpEndpoint(
                    engine, credentials, BodyLimits(settings.body_bytes_limit, settings.body_seconds), page=page
                ),
            ),
            *([Route("/graphql/assets/{name}", Assets().answer, methods=["GET"])] if page else []),
            WebSocketRoute("/graphql", sockets),
            *health.routes(),
        ],
        lifespan=lifespan,
        middleware=[
            Middleware(Forwarded, trusted=settings.trusted_proxies),
            Middleware(UnderPath, path=path_of(services.public_url)),
            Middleware(Observing, numbers=numbers),
            *parts.middleware(),
        ],
    )
    # An address with a slash too many is none of ours: sending people on would need to know where they came from.
    app.router.redirect_slashes = False
    app.state.services = services
    app.state.health = health
    app.state.shown = Shown(numbers, meter, tail, services, health)
    return app


def is_open(settings: Settings) -> bool:
    """Whether the schema may be explored: by the page, by introspection and by suggestions."""
    return settings.graphiql == "on" or (settings.graphiql == "auto" and not settings.production)


def public_url(settings: Settings) -> str:
    """Where people reach the site, without a slash at its end."""
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Work that goes on for the time of the block."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def keep_log(settings: Settings, storage: Storage, clock: Callable[[], int]) -> None:
    """Every hour, let go of events that are too many or too old, and of keys that nobody can repeat any more."""
    age = settings.log_days * 24 * HOUR * MICROSECONDS
    while True:
        await asyncio.sleep(HOUR)
        try:
            beyond: int | None = 0
            while beyond is not None:
                beyond = await trimmed(storage, settings.log_events_per_topic, clock() - age, beyond)
            await done(storage, lambda rows: forget_keys(rows, clock()))
            await done(storage, lambda rows: forget_done(rows, clock() - KEPT))
        except Exception as failure:  # the next hour does it
            logger.warning("log_not_trimmed", failure=logs.described(failure))


async def trimmed(storage: Storage, keep_events: int, keep_after: int, beyond: int) -> int | None:
    """One bounded part of the work; where the next one goes on, None at the end."""
    return await done(storage, lambda rows: trim(rows, keep_events=keep_events, keep_after=keep_after, beyond=beyond))


async def done(storage: Storage, work: Work[T]) -> T:
    """What came of one piece of work in a transaction of its own.  Raises what it raised."""
    [outcome] = await storage.write([work])
    if isinstance(outcome, Failed):
        raise outcome.error
    value: T = outcome.value
    return value
