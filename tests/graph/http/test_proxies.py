"""Proxies: what they tell of the client counts if they are named, and the path they publish us under is ours."""

from collections.abc import AsyncIterator
from ipaddress import ip_network
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from graph.http.proxies import Forwarded, UnderPath, address_in
from tests.graph.doors import Door, opened
from tests.subscriptions.sockets import Socket

PROXIES = [ip_network("127.0.0.1"), ip_network("10.0.0.0/8"), ip_network("2001:db8::/32")]
WHO = "{ viewer { id } }"


async def receive() -> Any:
    raise AssertionError("nobody reads")


async def send(message: Any) -> None:
    raise AssertionError("nobody answers")


async def seen(peer: str | None, *headers: tuple[str, str], kind: str = "http", trusted: Any = PROXIES) -> Scope:
    """The request as the application has it."""
    arrived: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.append(scope)

    given = [("host", "127.0.0.1:8000"), *headers]
    raw = [(name.encode(), value.encode("latin-1")) for name, value in given]
    client = None if peer is None else (peer, 4711)
    scheme = "ws" if kind == "websocket" else "http"
    scope = {"type": kind, "client": client, "scheme": scheme, "path": "/graphql", "headers": raw}
    before = {**scope, "headers": list(raw)}
    await Forwarded(app, trusted=trusted)(scope, receive, send)
    assert scope == before, "what the server handed over is its own"
    return arrived[0]


def host(scope: Scope) -> str:
    [found] = [value.decode() for name, value in scope["headers"] if name == b"host"]
    return str(found)


TOLD = (
    ("x-forwarded-for", "192.0.2.7"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-host", "talk.example.org"),
)


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.200.3.4", "2001:db8::7", "::ffff:10.0.0.1"])
async def test_a_named_proxy_tells_of_the_client(peer: str) -> None:
    scope = await seen(peer, *TOLD)
    assert (scope["client"], scope["scheme"], host(scope)) == (("192.0.2.7", 0), "https", "talk.example.org")
    assert (await seen(peer, *TOLD, kind="websocket"))["scheme"] == "wss"


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.2", "2001:db9::7", "unix", "", None])
async def test_nobody_else_is_believed(peer: str | None) -> None:
    scope = await seen(peer, *TOLD)
    assert scope["client"] == (None if peer is None else (peer, 4711))
    assert (scope["scheme"], host(scope)) == ("http", "127.0.0.1:8000")


async def test_without_a_setting_no_proxy_is_believed_not_even_one_on_this_machine() -> None:
    scope = await seen("127.0.0.1", *TOLD, trusted=[])
    assert (scope["client"], scope["scheme"], host(scope)) == (("127.0.0.1", 4711), "http", "127.0.0.1:8000")


@pytest.mark.parametrize(
    ("told", "client"),
    [
        (["192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6, 192.0.2.7"], "192.0.2.7"),  # the client itself wrote the first
        (["6.6.6.6", "192.0.2.7, 10.0.0.3"], "192.0.2.7"),
        (["192.0.2.7, 10.0.0.3, 10.0.0.4"], "192.0.2.7"),
        (["10.0.0.5, 10.0.0.3"], "10.0.0.5"),
        (["192.0.2.7:5555"], "192.0.2.7"),
        (["[2001:db9::1]:5555"], "2001:db9::1"),
        (["2001:db9::1"], "2001:db9::1"),
        (["::ffff:192.0.2.7"], "192.0.2.7"),
        (["6.6.6.6, unknown"], "127.0.0.1"),
        (["6.6.6.6, , 10.0.0.3"], "10.0.0.3"),
        ([""], "127.0.0.1"),
        ([], "127.0.0.1"),
    ],
)
async def test_the_client_is_the_nearest_that_is_no_proxy_of_ours(told: list[str], client: str) -> None:
    scope = await seen("127.0.0.1", *[("x-forwarded-for", line) for line in told])
    assert scope["client"] == (client, 0)


@pytest.mark.parametrize(
    ("told", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("http, https", "https"), ("https, http", "http"), ("ftp", "http")],
)
async def test_the_scheme_is_the_nearest_proxys_word(told: str, scheme: str) -> None:
    assert (await seen("127.0.0.1", ("x-forwarded-proto", told)))["scheme"] == scheme


@pytest.mark.parametrize("told", ["", "a/b", "a b", "a\r\nb", "x" * 256, "é"])
async def test_what_is_no_host_is_not_taken_for_one(told: str) -> None:
    assert host(await seen("127.0.0.1", ("x-forwarded-host", told))) == "127.0.0.1:8000"


@given(st.text(st.characters(max_codepoint=255)))
async def test_any_header_is_understood_or_passed_over(text: str) -> None:
    scope = await seen("127.0.0.1", *[(name, text) for name, _ in TOLD])
    assert address_in(scope["client"][0]) is not None
    assert scope["scheme"] in ("http", "https")


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({}, ["127.0.0.1", "http", "localhost"]),
        ({"trusted_proxies": "10.0.0.0/8"}, ["127.0.0.1", "http", "localhost"]),
        ({"trusted_proxies": "10.0.0.0/8, 127.0.0.1"}, ["192.0.2.7", "https", "talk.example.org"]),
    ],
)
async def test_the_setting_names_them(sqlite_url: str, named: dict[str, str], expected: list[str]) -> None:
    async def shown(http: Request) -> Response:
        assert http.client is not None
        return JSONResponse([http.client.host, http.url.scheme, http.headers["host"]])

    async with opened(database_url=sqlite_url, **named) as door:
        door.app.router.routes.append(Route("/shown", shown))
        response = await door.request("GET", path="/shown", headers={"host": "localhost", **dict(TOLD)})
        assert response.body == expected


# Under a path -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def door(sqlite_url: str) -> AsyncIterator[Door]:
    async with opened(database_url=sqlite_url, public_url="https://example.org/talk") as door:
        yield door


@pytest.mark.parametrize("path", ["/talk/graphql", "/graphql"])
async def test_it_is_found_whether_the_proxy_leaves_the_path_on_or_takes_it_off(door: Door, path: str) -> None:
    url = "https://example.org/talk/p/noel"
    body = orjson.dumps({"query": '{ post(slug: "noel") { url } }'})
    response = await door.request(headers={"content-type": "application/json"}, chunks=[body], path=path)
    assert (response.status, response.body) == (200, {"data": {"post": {"url": url}}})
    async with Socket(door.app, path=path, origin="https://example.org") as socket:
        await socket.greeted()


@pytest.mark.parametrize("path", ["/talk/healthz", "/healthz"])
async def test_so_is_what_stands_beside_it(door: Door, path: str) -> None:
    assert (await door.request("GET", path=path)).status == 200


@pytest.mark.parametrize("path", ["/talkgraphql", "/talk", "/talk/", "/", "/talk/talk/graphql", "/graphql/", "/other"])
async def test_nothing_else_is(door: Door, path: str) -> None:
    response = await door.request("GET", query=b"query=%7Bviewer%7Bid%7D%7D", path=path)
    assert response.status == 404


@pytest.mark.parametrize(
    ("path", "root", "whole"),
    [
        ("/talk", "/talk", "/talk/"),
        ("/talk/graphql", "/talk", "/talk/graphql"),
        ("/graphql", "/talk", "/talk/graphql"),
        ("/talkative", "/talk", "/talk/talkative"),
        ("/été/graphql", "/été", "/été/graphql"),
        ("/graphql", "", "/graphql"),
    ],
)
async def test_the_application_is_told_where_it_stands(path: str, root: str, whole: str) -> None:
    arrived: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        arrived.append(scope)

    await UnderPath(app, root)({"type": "http", "path": path}, receive, send)
    assert (arrived[0].get("root_path", ""), arrived[0]["path"]) == (root, whole)
