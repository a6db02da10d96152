"""Spans: what hangs under what, and that nothing in them is anybody's."""

import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from graph import text
from graph.observing.tracing import Traced, exporting
from tests.graph.doors import Door, opened
from tests.graph.processes import environment
from tests.subscriptions.sockets import Socket

SECRET = "nobody's business"
TITLE = "query Title($slug: String!) { post(slug: $slug) { title } }"
ANSWER = """mutation Answer($post: ID!, $body: Markdown!) {
  addComment(input: {postId: $post, body: $body, clientMutationId: "k"}) { errors { code } }
}"""
FOLLOW = "subscription Follow($post: ID!) { commentAdded(postId: $post) { comment { bodyText } } }"


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
async def door(database_url: str, spans: InMemorySpanExporter) -> AsyncIterator[Door]:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with opened(Traced(provider), database_url=database_url) as door:
        spans.clear()
        yield door


def tree(spans: Sequence[ReadableSpan], under: int | None = None) -> list[Any]:
    """Names, each with what hangs under it; what several of a kind did is told once."""
    found: list[Any] = []
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        if (span.parent.span_id if span.parent else None) == under:
            below = tree(spans, span.get_span_context().span_id)  # type: ignore[union-attr]  # each has one
            node = (span.name, below) if below else span.name
            if node not in found:
                found.append(node)
    return found


def about(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


async def test_a_planned_query_is_a_request_an_operation_a_plan_and_its_statements(
    door: Door, spans: InMemorySpanExporter
) -> None:
    response = await door.ask(TITLE, {"slug": "noel"})
    [root] = tree(spans.get_finished_spans())
    assert root == ("POST /graphql", [("query Title", [("plan", ["SELECT"])])])
    request = next(span for span in spans.get_finished_spans() if span.name == "POST /graphql")
    assert about(request)["http.response.status_code"] == 200
    assert about(request)["palabre.request_id"] == response.headers["x-request-id"]


async def test_a_change_hangs_under_who_asked_for_it_though_it_runs_elsewhere(
    door: Door, spans: InMemorySpanExporter
) -> None:
    await door.ask_as_greg(ANSWER, {"post": door.post, "body": "+1"})
    [(request, below)] = tree(spans.get_finished_spans())
    assert request == "POST /graphql"
    [mutation] = [each for each in below if each[0] == "mutation Answer"]
    [execute] = [each for each in mutation[1] if each[0] == "execute"]
    [change] = [each for each in execute[1] if each[0] == "change"]
    assert "INSERT" in change[1]


async def test_a_frame_is_a_trace_of_its_own_however_many_follow(door: Door, spans: InMemorySpanExporter) -> None:
    async with Socket(door.app) as one, Socket(door.app) as other:
        for socket in (one, other):
            await socket.greeted()
            await socket.ask(FOLLOW, post=door.post)
        shown = door.app.state.shown
        while shown.meter.streams < 2:
            await one.pinged()
        await door.ask_as_greg(ANSWER, {"post": door.post, "body": "+1"})
        for socket in (one, other):
            await socket.said()
    [frame] = [span for span in spans.get_finished_spans() if span.name.startswith("frame ")]
    assert (frame.name, frame.parent) == ("frame comment_added", None)
    [below] = [node[1] for node in tree(spans.get_finished_spans()) if node[0] == frame.name]
    assert "execute" in [each if isinstance(each, str) else each[0] for each in below]


async def test_a_request_goes_on_with_the_trace_that_it_comes_with(door: Door, spans: InMemorySpanExporter) -> None:
    trace_id, span_id = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    await door.ask(TITLE, {"slug": "noel"}, traceparent=f"00-{trace_id}-{span_id}-01")
    found = spans.get_finished_spans()
    assert {f"{span.context.trace_id:032x}" for span in found if span.context} == {trace_id}
    [request] = [span for span in found if span.name == "POST /graphql"]
    assert request.parent
    assert f"{request.parent.span_id:016x}" == span_id


async def test_a_traceparent_that_is_none_begins_a_trace(door: Door, spans: InMemorySpanExporter) -> None:
    assert (await door.ask(TITLE, {"slug": "noel"}, traceparent="00-nonsense")).status == 200
    [request] = [span for span in spans.get_finished_spans() if span.name == "POST /graphql"]
    assert request.parent is None


async def test_neither_health_nor_the_looks_at_the_log_are_traced(door: Door, spans: InMemorySpanExporter) -> None:
    await door.request("GET", path="/readyz")
    for _ in range(3):
        await door.app.state.shown.tail.next_round()
    assert spans.get_finished_spans() == ()


async def test_no_value_and_no_message_of_an_error_stands_in_a_span(
    door: Door, spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(given: str) -> str:
        raise ValueError(f"cannot read {given}")

    await door.ask_as_greg(ANSWER, {"post": door.post, "body": SECRET})
    await door.ask(TITLE, {"slug": SECRET})
    monkeypatch.setattr(text, "clean", broken)
    await door.ask(TITLE, {"slug": SECRET})
    found = spans.get_finished_spans()
    failed = [span for span in found if span.status.status_code is StatusCode.ERROR]
    assert {span.status.description for span in failed} == {"INTERNAL"}
    told = "\n".join(span.to_json() for span in found)
    assert "SELECT" in told
    assert SECRET not in told
    assert door.token not in told


class Collector(BaseHTTPRequestHandler):
    """As a collector answers; what it is sent is kept by the server."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers["content-encoding"] is None:
            self.server.heard.append((self.path, body))  # type: ignore[attr-defined]  # of the test
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


async def test_spans_are_with_the_collector_when_the_server_has_stopped(sqlite_url: str) -> None:
    server = HTTPServer(("127.0.0.1", 0), Collector)
    heard: list[tuple[str, bytes]] = []
    server.heard = heard  # type: ignore[attr-defined]  # of the test
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        async with opened(exporting(address), database_url=sqlite_url) as door:
            await door.ask(TITLE, {"slug": "noel"})
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    [(path, body)] = heard
    told = ExportTraceServiceRequest.FromString(body)
    names = [span.name for each in told.resource_spans for scope in each.scope_spans for span in scope.spans]
    assert path == "/v1/traces"
    assert names[-3:] == ["plan", "query Title", "POST /graphql"]


def test_without_its_packages_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    program = "import sys; sys.modules['opentelemetry'] = None; from graph.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", "--otel-endpoint", "http://127.0.0.1:4318"]
    refused = subprocess.run(command, cwd=tmp_path, env=environment(), check=False, capture_output=True, text=True)
    assert (refused.returncode, refused.stderr.splitlines()[-1]) == (
        1,
        "Traces cannot be sent: opentelemetry is not installed.  For example: pip install 'palabre[otel]'",
    )
