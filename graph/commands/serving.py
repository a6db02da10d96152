"""Serving until one is told to stop: Ctrl-C and SIGTERM end it well, in a few seconds at most.

    told to stop ── not ready any more, all is answered ── no new connections, sockets closed with 1012 ── the end
                        stop_delay_seconds                    stop_seconds, for requests under way

Told a second time, it waits for nobody.
"""

import asyncio
import contextlib
import errno
import math
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from types import FrameType
from typing import Final, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from graph.app import create_app, public_url
from graph.commands.console import say
from graph.commands.databases import make_ready, opened
from graph.commands.failures import Failure
from graph.observing import logs
from graph.observing.health import Health
from graph.observing.metrics import metrics_app
from graph.settings import Settings, masked
from graph.web.examples import Account

S = TypeVar("S", bound="Server")

BACKLOG: Final = 2048  # connections that wait to be accepted


class Server(uvicorn.Server):
    """Says when it can be reached, and takes being told to stop for a good end."""

    def __init__(
        self, config: uvicorn.Config, reached: Callable[[], None], health: Health, *, delay_seconds: float
    ) -> None:
        super().__init__(config)
        self._reached = reached
        self._health = health
        self._delay_seconds = delay_seconds
        self._stops_at = math.inf  # in the clock of time.monotonic

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._reached()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        # Uvicorn's own would raise the signal again at the end, and the exit code would speak of a failure.
        if self._health.stopping:
            self.should_exit = self.force_exit = True
        else:
            self.stop()

    def stop(self) -> None:
        """Readiness goes first, so that proxies send people elsewhere while they are still answered here."""
        self._health.stop()
        self._stops_at = time.monotonic() + self._delay_seconds

    async def on_tick(self, counter: int) -> bool:
        """Asked ten times a second whether this is the end."""
        return await super().on_tick(counter) or time.monotonic() >= self._stops_at


def run(settings: Settings) -> None:
    """The whole command: the port first, so that what cannot be served changes nothing.  Raises Failure."""
    configure_logs(settings)
    with closing_all(listening_all(settings)) as sockets:
        make_ready(settings)
        serve(settings, sockets, lambda: _tell(settings))


def _tell(settings: Settings) -> None:
    address = public_url(settings)
    say(f"Serving {masked(settings.database_url)}")
    say(f"GraphQL  {address}/graphql")
    say(f"Live     {address.replace('http', 'ws', 1)}/graphql  (graphql-transport-ws)")
    say("Ctrl-C ends it.")


class ByPort:
    """What came in at the port for Prometheus is answered with numbers, and nothing else is."""

    def __init__(self, app: ASGIApp, metrics: ASGIApp, port: int) -> None:
        self._app, self._metrics, self._port = app, metrics, port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _, port = scope.get("server") or (None, None)  # of the connection itself: no header changes it
        await (self._metrics if port == self._port else self._app)(scope, receive, send)


def with_metrics(app: Starlette, settings: Settings) -> ASGIApp:
    return app if settings.metrics_port is None else ByPort(app, metrics_app(app.state.shown), settings.metrics_port)


def config_for(app: Starlette, settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        with_metrics(app, settings),
        log_config=None,
        # It tells of every socket with its whole address, and every frame: with tokens, e-mail addresses and texts.
        log_level="warning",
        access_log=False,
        lifespan="on",
        proxy_headers=False,  # it would believe any program on this machine: `graph.http.proxies` believes who is named
        backlog=BACKLOG,
        timeout_graceful_shutdown=settings.stop_seconds,
        ws_max_size=settings.body_bytes_limit,  # a message may hold what a request may
    )


def serve(
    settings: Settings, sockets: list[socket.socket], reached: Callable[[], None], guest: Account | None = None
) -> None:
    """Serve a database that is ready, until told to stop; `reached` is called when clients can connect.

    Raises Failure where the database cannot be opened.
    """
    configure_logs(settings)
    asyncio.run(_try(settings))
    server_for(Server, settings, reached, guest).run(sockets)


def server_for(kind: type[S], settings: Settings, reached: Callable[[], None], guest: Account | None = None) -> S:
    app = create_app(settings, guest=guest)
    return kind(config_for(app, settings), reached, app.state.health, delay_seconds=settings.stop_delay_seconds)


class PrivateServer(Server):
    """Within a program that has more to do: signals are that program's."""

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]  # all that is used of it
        return contextlib.nullcontext()


@contextlib.asynccontextmanager
async def served(settings: Settings, sockets: list[socket.socket]) -> AsyncIterator[None]:
    """Serve a database that is ready for the time of the block."""
    reached = asyncio.Event()
    server = server_for(PrivateServer, settings, reached.set)
    serving = asyncio.create_task(server.serve(sockets))
    waiting = asyncio.create_task(reached.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        yield
    finally:
        server.should_exit = True
        await serving


def configure_logs(settings: Settings) -> None:
    logs.configure(settings.log_level, settings.log_format)


async def _try(settings: Settings) -> None:
    """What would go wrong while the server starts is said before, in a sentence."""
    if settings.mail_url is not None and find_spec("aiosmtplib") is None:
        raise Failure("Mail cannot be sent: aiosmtplib is not installed.  For example: pip install 'palabre[mail]'")
    if settings.otel_endpoint is not None:
        check_can_trace()
    async with opened(settings):
        pass


def check_can_trace() -> None:
    try:
        import_module("graph.observing.tracing")
    except ModuleNotFoundError as missing:
        raise Failure(
            f"Traces cannot be sent: {missing.name} is not installed.  For example: pip install 'palabre[otel]'"
        ) from missing


def listening_all(settings: Settings) -> list[socket.socket]:
    """Sockets for people, and for Prometheus where it may read.  Raises Failure."""
    if settings.metrics_port == settings.port:
        raise Failure(f"Port {settings.port} is for people.  Give Prometheus another one with --metrics-port.")
    sockets = listening(settings.host, settings.port)
    if settings.metrics_port is None:
        return sockets
    try:
        return [*sockets, *listening(settings.metrics_host, settings.metrics_port, "metrics-")]
    except Failure:
        for each in sockets:
            each.close()
        raise


def listening(host: str, port: int, prefix: str = "") -> list[socket.socket]:
    """Sockets for all addresses of the host, ours from now on.

    Raises Failure, which says what to do: `prefix` begins the names of the options that have said host and port.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        raise Failure(f"This machine knows no address {host}.  Name another one with --{prefix}host.") from error
    sockets: list[socket.socket] = []
    refused: OSError | None = None
    for family, kind, protocol, _, address in dict.fromkeys(found):
        try:
            sockets.append(_bound(socket.socket(family, kind, protocol), address))
        except OSError as error:
            refused = error
            if error.errno == errno.EADDRINUSE:
                break
    if refused is not None and (refused.errno == errno.EADDRINUSE or not sockets):
        for each in sockets:
            each.close()
        raise Failure(_refusal(refused, host, port, prefix)) from refused
    return sockets


def _bound(opened: socket.socket, address: tuple[object, ...]) -> socket.socket:
    with contextlib.ExitStack() as on_failure:
        on_failure.callback(opened.close)
        if sys.platform != "win32":  # where it would let two programs share a port
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind(address)
        # At once: what is only bound can be bound a second time.
        opened.listen(BACKLOG)
        opened.setblocking(False)
        on_failure.pop_all()
    return opened


def _refusal(error: OSError, host: str, port: int, prefix: str) -> str:
    if error.errno == errno.EADDRINUSE:
        other = port + 1 if port < 65_535 else port - 1
        return (
            f"Port {port} of {host} is taken by another program.  "
            f"Stop that one, or choose another port, like --{prefix}port {other}."
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"Port {port} may not be used by you.  Choose one above 1023, like --{prefix}port 8000."
    return f"{host} port {port} cannot be used: {error.strerror}.  Name another address with --{prefix}host."


@contextlib.contextmanager
def closing_all(sockets: list[socket.socket]) -> Iterator[list[socket.socket]]:
    """So that a command that fails before it serves leaves nothing open."""
    try:
        yield sockets
    finally:
        for each in sockets:
            each.close()
