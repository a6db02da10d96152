"""Spans for OpenTelemetry: requests, operations, statements and live frames, and never what was in them.

    POST /graphql ─ query Thread ─ plan ─ SELECT … (with ? for values)
                  └ mutation Answer ─ execute ─ change ─ INSERT …
    frame CommentAdded ─ execute ─ SELECT …       a trace of its own: made once, for everybody who follows

A statement is a span only below one of these: the process's own looks at the log are not shown.  Its packages are an
extra (`palabre[otel]`), and nothing else imports this page before it is asked for.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import sqlalchemy as sa
import strawberry
from graphql import ExecutionResult, OperationDefinitionNode
from opentelemetry import trace
from opentelemetry.context import Context as SpanContext
from opentelemetry.context import attach, detach, get_current
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from graph.audience import Audience
from graph.change import Action, Change, Changes, Key
from graph.context import Context
from graph.execution.answers import Answer, Engine, Request
from graph.execution.documents import Document
from graph.execution.guard import Limits
from graph.observing.metrics import installed_version
from graph.observing.observed import QUIET, observed
from graph.parts import Parts
from graph.refusals import Refusal
from graph.storage.database import Pool, Storage, Transaction
from graph.storage.rows import Outcome, Row, Rows, Work
from subscriptions.broker import Broker
from subscriptions.fanout import Fanout
from subscriptions.log import Entry
from subscriptions.meter import Meter
from subscriptions.stream import Frame, Stream

T = TypeVar("T")

PROPAGATOR: Final = TraceContextTextMapPropagator()
NOWHERE: Final = SpanContext()  # under nothing: the span begins a trace
DEFECT: Final = "INTERNAL"  # the code of what is our fault
STATEMENT_CHARACTERS: Final = 2_000
FLUSH_SECONDS: Final = 3.0  # at the end, for spans that no collector has been told of


def exporting(endpoint: str) -> "Traced":
    """Spans go to a collector that speaks OTLP over HTTP, like http://127.0.0.1:4318, in the background."""
    provider = TracerProvider(resource=Resource({"service.name": "palabre", "service.version": installed_version()}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces", timeout=FLUSH_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traced(provider)


@contextmanager
def span_of(
    tracer: Tracer,
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    under: SpanContext | None = None,
) -> Iterator[Span]:
    """For the time of the block.  Of an error only the kind is told: its message may quote what somebody sent."""
    with tracer.start_as_current_span(
        name, under, kind, attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except Refusal:
            raise  # an answer like any other
        except Exception as error:
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise


class Traced(Parts):
    """The parts, with spans around what they do."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("palabre")

    def storage(self, storage: Storage) -> Storage:
        return storage.around(lambda pool: TracedPool(pool, self._tracer))

    def changes(self, storage: Storage, broker: Broker, now: Callable[[], int]) -> Changes:
        return TracedChanges(storage, broker, now, tracer=self._tracer)

    def engine(self, schema: strawberry.Schema, limits: Limits) -> Engine:
        return TracedEngine(schema, limits, tracer=self._tracer)

    def fanout(self, meter: Meter) -> Fanout:
        return TracedFanout(meter=meter, tracer=self._tracer)

    def middleware(self) -> list[Middleware]:
        return [Middleware(TracedRequests, tracer=self._tracer)]

    async def close(self) -> None:
        await asyncio.to_thread(self._provider.shutdown)


class TracedRequests:
    """ASGI: a span for each request over HTTP, under the one that a `traceparent` header names."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app, self._tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].removeprefix(scope.get("root_path", "")) in QUIET:
            await self._app(scope, receive, send)
            return
        carrier = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        under = PROPAGATOR.extract(carrier, NOWHERE)
        about = {"http.request.method": scope["method"], "palabre.request_id": observed().request_id}
        with span_of(self._tracer, f"{scope['method']} /graphql", about, kind=SpanKind.SERVER, under=under) as span:

            async def sending(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self._app(scope, receive, sending)


class TracedEngine(Engine):
    def __init__(self, schema: strawberry.Schema, limits: Limits, *, tracer: Tracer) -> None:
        super().__init__(schema, limits)
        self._tracer = tracer

    async def answer(self, request: Request, context: Context) -> Answer:
        with span_of(self._tracer, "operation") as span:
            answer = await super().answer(request, context)
            seen = observed()
            if seen.kind is not None:
                span.update_name(f"{seen.kind} {seen.operation or ''}".rstrip())
                span.set_attribute("graphql.operation.type", seen.kind)
            span.set_attributes({"palabre.planned": answer.planned, "palabre.codes": sorted(set(seen.codes))})
            if DEFECT in seen.codes:
                span.set_status(StatusCode.ERROR, DEFECT)
            return answer

    async def _planned(
        self, document: Document, operation: OperationDefinitionNode, variables: Any, context: Context
    ) -> Answer | None:
        with span_of(self._tracer, "plan"):
            return await super()._planned(document, operation, variables, context)

    async def execute(
        self,
        document: Document,
        operation: OperationDefinitionNode,
        variables: Mapping[str, Any],
        context: Context,
        root: Any,
    ) -> ExecutionResult:
        with span_of(self._tracer, "execute"):
            return await super().execute(document, operation, variables, context, root)


class TracedChanges(Changes):
    """An action runs in a transaction with others, in nobody's task: its span is that of who asked for it."""

    def __init__(self, storage: Storage, broker: Broker, now: Callable[[], int], *, tracer: Tracer) -> None:
        super().__init__(storage, broker, now)
        self._tracer = tracer

    async def run(self, action: Action[T], *, audience: Audience, key: Key | None = None) -> T:
        if not trace.get_current_span().is_recording():
            return await super().run(action, audience=audience, key=key)
        asked = get_current()

        async def traced(change: Change) -> T:
            with span_of(self._tracer, "change", under=asked):
                return await action(change)

        return await super().run(traced, audience=audience, key=key)


class TracedFanout(Fanout):
    def __init__(self, *, meter: Meter, tracer: Tracer) -> None:
        super().__init__(meter=meter)
        self._tracer = tracer

    async def made(self, stream: Stream, entry: Entry) -> Frame:
        about = {"palabre.topic": entry.topic, "palabre.position": entry.position}
        with span_of(self._tracer, f"frame {entry.kind}", about, under=NOWHERE):
            return await super().made(stream, entry)


class TracedRows:
    """Rows of which each statement is a span, without its values."""

    def __init__(self, rows: Rows, tracer: Tracer, text_of: Callable[[sa.Executable], str]) -> None:
        self._rows, self._tracer, self._text_of = rows, tracer, text_of

    @property
    def engine(self) -> str:
        return self._rows.engine

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        if not trace.get_current_span().is_recording():
            return await self._rows.rows(statement)
        text = self._text_of(statement)[:STATEMENT_CHARACTERS]
        about = {"db.system.name": self.engine, "db.query.text": text}
        with span_of(self._tracer, text.partition(" ")[0].strip().upper(), about, kind=SpanKind.CLIENT):
            return await self._rows.rows(statement)


class TracedTransaction:
    """What is pinned; whatever else an engine's own has is found there too."""

    def __init__(self, pinned: Transaction, rows: TracedRows) -> None:
        self._pinned, self._rows = pinned, rows

    async def rows(self, statement: sa.Executable) -> list[Row]:
        return list(await self._rows.rows(statement))

    def abandon(self) -> None:
        self._pinned.abandon()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pinned, name)


class Pinned:
    """A transaction as rows."""

    def __init__(self, transaction: Transaction, engine: str) -> None:
        self._transaction, self.engine = transaction, engine

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        return await self._transaction.rows(statement)


class TracedPool:
    """Connections whose statements are spans; whatever else an engine's own has is found there too."""

    def __init__(self, pool: Pool, tracer: Tracer) -> None:
        self._pool, self._tracer = pool, tracer
        self.engine = pool.engine
        self._single = self._traced(pool)

    def _traced(self, rows: Rows) -> TracedRows:
        return TracedRows(rows, self._tracer, self.text_of)

    def text_of(self, statement: sa.Executable) -> str:
        """As it was compiled, before any value was put into it."""
        compiled = self.compile(statement)
        return str(compiled.compiled.string if compiled.compiled is not None else compiled.sql)

    async def rows(self, statement: sa.Executable) -> list[Row]:
        return list(await self._single.rows(statement))

    async def write(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        # Each change says whose it is; the task that runs them all was begun by somebody, and is nobody's.
        before = attach(NOWHERE)
        try:
            return await self._pool.write([self._wrapped(work) for work in works])
        finally:
            detach(before)

    def _wrapped(self, work: Work[T]) -> Work[T]:
        return lambda rows: work(self._traced(rows))

    async def read(self, work: Work[T]) -> T:
        return await self._pool.read(self._wrapped(work))

    async def pin(self, *, reads: bool, **options: Any) -> Transaction:
        pinned = await self._pool.pin(reads=reads, **options)
        return TracedTransaction(pinned, self._traced(Pinned(pinned, self.engine)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)
