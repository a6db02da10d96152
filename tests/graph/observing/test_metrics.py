"""The numbers of a process as Prometheus reads them."""

import re
from collections.abc import AsyncIterator

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from graph.observing.histogram import Histogram
from graph.observing.metrics import cumulated, metrics_app
from graph.storage.migrate import newest_version
from tests.graph.doors import Door, opened
from tests.subscriptions.sockets import Socket

Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]
ANSWER = """mutation ($post: ID!, $body: Markdown!) {
  addComment(input: {postId: $post, body: $body}) { errors { code } }
}"""
FOLLOW = "subscription ($post: ID!) { commentAdded(postId: $post) { comment { bodyText } } }"


@pytest.fixture
async def door(database_url: str) -> AsyncIterator[Door]:
    async with opened(database_url=database_url) as door:
        yield door


async def page(app: Starlette) -> str:
    transport = httpx2.ASGITransport(app=metrics_app(app.state.shown))
    async with httpx2.AsyncClient(transport=transport, base_url="http://palabre.test") as client:
        response = await client.get("/metrics")
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/plain; version=")
        return response.text


async def read(door: Door) -> Numbers:
    families = text_string_to_metric_families(await page(door.app))
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def of(numbers: Numbers, name: str, **labels: str) -> float:
    return numbers[f"palabre_{name}", frozenset(labels.items())]


async def test_requests_are_counted_by_what_they_were_and_how_they_went(door: Door) -> None:
    for _ in range(3):
        await door.ask("{ viewer { id } }")
    await door.ask(ANSWER, {"post": door.post, "body": "+1"})
    await door.request("PUT")
    numbers = await read(door)
    count = "request_duration_seconds_count"
    assert of(numbers, count, transport="http", kind="query", status="200", planned="true") == 3
    assert of(numbers, count, transport="http", kind="mutation", status="200", planned="false") == 1
    assert of(numbers, count, transport="http", kind="none", status="405", planned="false") == 1
    assert of(numbers, "refused_total", code="UNAUTHENTICATED") == 1


async def test_a_frame_is_counted_once_when_it_is_made_and_for_each_to_whom_it_is_sent(door: Door) -> None:
    async with Socket(door.app) as one, Socket(door.app) as other:
        for socket in (one, other):
            await socket.greeted()
            await socket.ask(FOLLOW, post=door.post)
            await socket.pinged()
        while (await read(door))["palabre_subscriptions", frozenset()] < 2:
            await one.pinged()
        await door.ask_as_greg(ANSWER, {"post": door.post, "body": "+1"})
        for socket in (one, other):
            assert (await socket.said())["commentAdded"]["comment"] == {"bodyText": "+1"}
        numbers = await read(door)
        assert (of(numbers, "sockets"), of(numbers, "subscriptions")) == (2, 2)
        assert (of(numbers, "frames_made_total"), of(numbers, "frames_asked_total")) == (1, 2)
        assert of(numbers, "log_entries_total") == 1
        assert of(numbers, "doorbell_rings_total") >= 1
    numbers = await read(door)
    assert (of(numbers, "sockets"), of(numbers, "subscriptions"), of(numbers, "frames_sent_total")) == (0, 0, 2)
    assert of(numbers, "subscriptions_ended_total", outcome="left") == 2


async def test_changes_are_counted_by_the_transactions_they_shared(door: Door) -> None:
    before = await read(door)
    for _ in range(3):
        await door.ask_as_greg(ANSWER, {"post": door.post, "body": "+1"})
    numbers = await read(door)
    assert of(numbers, "group_changes_count") - of(before, "group_changes_count") == 3
    assert of(numbers, "group_changes_sum") - of(before, "group_changes_sum") == 3
    assert of(numbers, "changes_waiting") == 0


async def test_it_says_what_runs_and_where_it_stands(door: Door) -> None:
    numbers = await read(door)
    engine = door.app.state.services.storage.engine
    [about] = [dict(labels) for name, labels in numbers if name == "palabre_build_info"]
    assert (about["schema"], about["database"]) == (newest_version(), engine)
    pools = {dict(labels)["pool"] for name, labels in numbers if name == "palabre_connections"}
    assert pools == ({"writing", "reading"} if engine == "sqlite" else {"connection"})
    assert of(numbers, "log_unread_seconds") < 5
    assert (of(numbers, "log_behind_positions"), of(numbers, "stopping"), of(numbers, "passwords_waiting")) == (0, 0, 0)
    door.app.state.health.stop()
    assert of(await read(door), "stopping") == 1


async def test_whatever_clients_call_their_operations_there_are_no_more_series(door: Door) -> None:
    async def series() -> set[str]:
        return set(re.findall(r"^(palabre_\S+) ", await page(door.app), re.MULTILINE))

    await door.ask("query First { viewer { id } }")
    before = await series()
    for number in range(20):
        await door.ask(f"query Other{number} {{ viewer {{ id }} }}")
    assert await series() == before


def test_a_histogram_is_shown_as_prometheus_adds_them_up() -> None:
    numbers = Histogram((1, 2.5))
    for number in (0.5, 2, 2, 9):
        numbers.observe(number)
    assert cumulated(numbers) == ([("1.0", 1.0), ("2.5", 3.0), ("+Inf", 4.0)], 13.5)
