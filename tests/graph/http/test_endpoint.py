"""GraphQL over HTTP: whatever bytes come in, a response that says what was wrong goes out, and never a 500."""

import secrets
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from argon2 import PasswordHasher
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from graph import text
from graph.audience import Audience
from graph.change import Changes
from graph.http.endpoint import HttpEndpoint
from graph.ids import global_id
from graph.observing.logs import configure
from graph.users import passwords
from graph.users.store import change_user
from tests.graph.doors import Door, Response, opened

JSON = "application/json; charset=utf-8"
GRAPHQL_RESPONSE = "application/graphql-response+json; charset=utf-8"
NEWER = {"accept": "application/graphql-response+json"}
BODY_LIMIT = 20_000  # bytes
MUTATION = 'mutation { deletePost(input: {id: "UG9zdDox"}) { deletedId errors { code } } }'


@pytest.fixture
async def door(sqlite_url: str) -> AsyncIterator[Door]:
    async with opened(database_url=sqlite_url, body_bytes_limit=BODY_LIMIT) as door:
        yield door


# What is answered ---------------------------------------------------------------------------------------------------


async def test_a_query_is_answered_by_post_and_by_get(door: Door) -> None:
    query = "query Q($id: ID!) { post(id: $id) { title } }"
    expected = {"data": {"post": {"title": "Noël"}}}
    by_post = await door.ask(query, {"id": door.post})
    by_get = await door.get(query=query, variables=orjson.dumps({"id": door.post}).decode(), operationName="Q")
    for response in (by_post, by_get):
        assert (response.status, response.headers["content-type"], response.body) == (200, JSON, expected)


async def test_a_head_is_answered_as_a_get(door: Door) -> None:
    response = await door.request("HEAD", query=urlencode({"query": "{ viewer { id } }"}).encode())
    assert (response.status, response.headers["content-type"]) == (200, JSON)


async def test_the_viewer_is_who_the_token_belongs_to(door: Door) -> None:
    query = "{ viewer { user { handle } } }"
    assert (await door.ask(query)).body == {"data": {"viewer": None}}
    assert (await door.ask_as_greg(query)).body == {"data": {"viewer": {"user": {"handle": "greg"}}}}


@pytest.mark.parametrize(
    "authorization",
    ["Bearer nobody", "bearer x", "Basic eDp5", "Bearer", "Bearer  ", "token", "é", "Bearer " + "x" * 9999],
)
async def test_credentials_that_are_no_good_are_refused_before_anything_is_done(door: Door, authorization: str) -> None:
    response = await door.ask("{ viewer { id } }", authorization=authorization)
    assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.codes == ["UNAUTHENTICATED"]
    assert response.messages in (
        ["This token is unknown, ended or expired."],
        ["Authorization is `Bearer` and a token."],
    )


async def test_a_revoked_token_is_refused(door: Door) -> None:
    revoked = await door.ask_as_greg(
        "mutation ($id: ID!) { revokeApiToken(input: {id: $id}) { errors { code } } }", {"id": global_id("ApiToken", 1)}
    )
    assert revoked.body == {"data": {"revokeApiToken": {"errors": []}}}
    assert (await door.ask_as_greg("{ viewer { id } }")).status == 401


# Methods and types --------------------------------------------------------------------------------------------------


async def test_a_get_changes_nothing(door: Door) -> None:
    response = await door.get(query=MUTATION)
    assert (response.status, response.headers["allow"]) == (405, "POST")
    assert response.messages == ["GET is for queries only; send this with POST."]
    query = f"query A {{ viewer {{ id }} }} {MUTATION.replace('mutation', 'mutation B')}"
    assert (await door.get(query=query, operationName="B")).status == 405
    assert (await door.get(query=query, operationName="A")).status == 200
    assert (await door.ask("query ($id: ID!) { post(id: $id) { title } }", {"id": door.post})).body["data"]["post"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
async def test_other_methods_are_refused_with_those_that_are_not(door: Door, method: str) -> None:
    response = await door.request(method)
    assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")
    assert response.messages == [f"{method} does nothing here."]


@pytest.mark.parametrize("by", ["POST", "GET"])
async def test_a_subscription_is_told_where_it_belongs(door: Door, by: str) -> None:
    query = f'subscription {{ commentAdded(postId: "{door.post}") {{ cursor }} }}'
    with capture_logs() as logged:
        response = await (door.ask(query) if by == "POST" else door.get(query=query))
    assert (response.status, response.codes) == (200, ["VALIDATION"])
    assert response.messages == [
        "Follow a subscription over a socket that speaks graphql-transport-ws, at ws://127.0.0.1:8000/graphql."
    ]
    assert "data" not in response.body
    assert logged == []


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"]
)
async def test_only_json_is_read(door: Door, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await door.request(headers=headers, chunks=[b'{"query": "{ viewer { id } }"}'])
    assert (response.status, response.codes) == (415, ["BAD_REQUEST"])
    assert response.messages == [
        f"The body is {content_type.split(';')[0] or 'of no told type'}; send application/json."
    ]


@pytest.mark.parametrize(
    "content_type", ["application/json", "APPLICATION/JSON; charset=UTF-8", " application/json ;a=b"]
)
async def test_json_is_known_however_its_type_is_spelled(door: Door, content_type: str) -> None:
    response = await door.request(headers={"content-type": content_type}, chunks=[b'{"query": "{ viewer { id } }"}'])
    assert response.status == 200


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (None, JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("application/graphql-response+json", GRAPHQL_RESPONSE),
        ("Application/GraphQL-Response+JSON; charset=utf-8", GRAPHQL_RESPONSE),
        ("application/graphql-response+json, application/json;q=0.9", GRAPHQL_RESPONSE),
        ("application/json, application/graphql-response+json", GRAPHQL_RESPONSE),
        ("application/graphql-response+json;q=0.5, application/json", JSON),
        ("application/graphql-response+json;q=0.000, */*", JSON),
        ("application/graphql-response+json;q=nan", JSON),
        ("application/graphql-response+json;q=", JSON),
        (",;,q=1;;", JSON),
    ],
)
async def test_the_answer_is_of_the_type_that_the_client_wants(
    door: Door, accept: str | None, content_type: str
) -> None:
    response = await door.ask("{ viewer { id } }", **({} if accept is None else {"accept": accept}))
    assert (response.status, response.headers["content-type"]) == (200, content_type)


def endpoint_of(door: Door) -> HttpEndpoint:
    [endpoint] = [route.app for route in door.app.routes if isinstance(route, Route) and route.path == "/graphql"]
    assert isinstance(endpoint, HttpEndpoint)
    return endpoint


@pytest.mark.parametrize("accept", ["text/html", "application/*;q=0", "application/graphql-response+json;q=0"])
async def test_who_can_read_no_answer_of_ours_is_told_before_anything_is_done(door: Door, accept: str) -> None:
    endpoint_of(door)._page = None
    for by in ("GET", "POST"):
        response = await door.request(by, headers={"accept": accept, "content-type": "application/json"})
        assert (response.status, response.headers["content-type"]) == (406, JSON)
        assert response.messages == [
            "Answers are application/graphql-response+json or application/json; accept one of them."
        ]


async def test_a_browser_that_asks_nothing_is_shown_the_page_where_there_is_one(door: Door) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    endpoint = endpoint_of(door)
    endpoint._page = None
    without = await door.request("GET", headers=browser)
    assert (without.status, without.messages) == (400, ["`query` is the text of a document."])

    async def page(http: Request) -> PlainTextResponse:
        return PlainTextResponse(f"a page at {http.url.path}")

    endpoint._page = page
    for method in ("GET", "HEAD"):
        shown = await door.request(method, headers=browser)
        assert (shown.status, shown.content) == (200, b"a page at /graphql")
    asked = await door.request("GET", query=urlencode({"query": "{ viewer { id } }"}).encode(), headers=browser)
    assert asked.body == {"data": {"viewer": None}}
    for program in ({}, {"accept": "*/*"}, {"accept": "application/json, text/html"}):
        assert (await door.request("GET", headers=program)).status == 400


async def test_what_was_not_executed_is_told_by_the_status_to_who_knows_the_newer_type(door: Door) -> None:
    cases: list[tuple[Any, ...]] = [
        ("{ nothing }", None),
        ("{ viewer", None),
        ("query ($id: ID!) { post(id: $id) { title } }", {}),
        ("query ($id: ID!) { post(id: $id) { title } }", {"id": None}),
        ("query A { viewer { id } } query B { viewer { id } }", None),
    ]
    for query, variables in cases:
        older, newer = await door.ask(query, variables), await door.ask(query, variables, **NEWER)
        assert (older.status, newer.status) == (200, 400)
        assert older.body == newer.body
        assert "data" not in newer.body
        assert newer.messages != []


async def test_what_was_executed_is_a_success_even_where_it_failed_in_part(door: Door) -> None:
    query = 'query ($id: ID!) { there: post(id: $id) { title } wrong: post(id: "x") { title } }'
    response = await door.ask(query, {"id": door.post}, **NEWER)
    assert response.status == 200
    assert response.body["data"] == {"there": {"title": "Noël"}, "wrong": None}
    assert response.codes == ["ID_INVALID"]


async def test_what_may_be_sent_is_told_to_who_asks(door: Door) -> None:
    response = await door.request("OPTIONS")
    assert (response.status, response.content) == (204, b"")
    assert response.headers["allow"] == "GET, HEAD, POST, OPTIONS"


async def test_nobody_between_us_keeps_or_guesses_at_an_answer(door: Door) -> None:
    answers = [
        await door.ask("{ viewer { id } }"),
        await door.get(query="{ viewer { id } }"),
        await door.post_body(b""),
        await door.request("OPTIONS"),
        await door.request("PUT"),
        await door.ask("{ viewer { id } }", authorization="Bearer x"),
    ]
    for response in answers:
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["vary"] == "Accept, Accept-Language, Authorization, Cookie, Origin"
        assert response.headers["x-content-type-options"] == "nosniff"


async def test_the_operation_is_chosen_by_its_name(door: Door) -> None:
    two = "query A { a: viewer { id } } query B { b: viewer { id } }"
    cases = [
        ("A", {"data": {"a": None}}),
        ("B", {"data": {"b": None}}),
        ("", "Must provide operation name if query contains multiple operations."),
        (None, "Must provide operation name if query contains multiple operations."),
        ("C", 'Unknown operation named "C".'),
        ("a", 'Unknown operation named "a".'),
    ]
    for name, expected in cases:
        body = orjson.dumps({"query": two, "operationName": name})
        parameters = {"query": two} | ({} if name is None else {"operationName": name})
        for response in (
            await door.post_body(body, **NEWER),
            await door.request("GET", query=urlencode(parameters).encode(), headers=NEWER),
        ):
            if isinstance(expected, dict):
                assert (response.status, response.body) == (200, expected)
            else:
                assert (response.status, response.messages) == (400, [expected])
    one = orjson.dumps({"query": "{ viewer { id } }", "operationName": ""})
    assert (await door.post_body(one)).body == {"data": {"viewer": None}}


async def test_what_the_specification_does_not_know_is_let_be(door: Door) -> None:
    asked = {"query": "{ viewer { id } }", "extensions": {"a": 1}, "variables": None, "operationName": None, "id": 7}
    assert (await door.post_body(orjson.dumps(asked))).body == {"data": {"viewer": None}}
    response = await door.get(query="{ viewer { id } }", extensions='{"a": 1}', variables="", operationName="", id="7")
    assert response.body == {"data": {"viewer": None}}
    assert (await door.get(query="{ viewer { id } }", variables="null", extensions="")).status == 200


@pytest.mark.parametrize(
    ("coding", "status"), [("gzip", 415), ("br, gzip", 415), ("deflate", 415), ("x", 415), ("identity", 200), ("", 200)]
)
async def test_a_packed_body_is_refused(door: Door, coding: str, status: int) -> None:
    headers = {"content-type": "application/json", "content-encoding": coding}
    response = await door.request(headers=headers, chunks=[b'{"query": "{ viewer { id } }"}'])
    assert response.status == status
    if status == 415:
        assert response.messages == [f"The body is packed by {coding}; send it as it is."]
        assert response.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("charset", ["latin1", "utf-16", '"iso-8859-1"', "x", ""])
async def test_json_in_another_charset_is_refused(door: Door, charset: str) -> None:
    headers = {"content-type": f"application/json; charset={charset}"}
    response = await door.request(headers=headers, chunks=[b'{"query": "{ viewer { id } }"}'])
    wanted = charset.strip('"')
    assert (response.status, response.messages) == (415, [f"The body is in {wanted}; send UTF-8."])


# Front ends of other sites ------------------------------------------------------------------------------------------


async def test_a_named_front_end_may_call_and_read_and_another_may_not(sqlite_url: str) -> None:
    friend, stranger = "https://app.example.org", "https://evil.example"
    async with opened(database_url=sqlite_url, allowed_origins=friend) as door:
        asks = {
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type",
        }
        allowed = await door.request("OPTIONS", headers={"origin": friend, **asks})
        assert allowed.status == 204
        assert {name: value for name, value in allowed.headers.items() if name.startswith("access-")} == {
            "access-control-allow-origin": friend,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": "Allow, Retry-After, WWW-Authenticate",
            "access-control-allow-methods": "GET, HEAD, POST, OPTIONS",
            "access-control-allow-headers": "authorization,content-type",
            "access-control-max-age": "7200",
        }
        refused = await door.request("OPTIONS", headers={"origin": stranger, **asks})
        assert [name for name in refused.headers if name.startswith("access-")] == []

        answers = [
            (await door.ask("{ viewer { id } }", origin=friend), 200),
            (await door.ask("{ viewer { id } }", origin=friend, authorization="Bearer x"), 401),
            (await door.post_body(b"", origin=friend), 400),
        ]
        for response, status in answers:
            assert (response.status, response.headers["access-control-allow-origin"]) == (status, friend)
            assert response.headers["access-control-allow-credentials"] == "true"
        for origin in (stranger, "null", "https://app.example.org.evil.example", "http://app.example.org"):
            response = await door.ask("{ viewer { id } }", origin=origin)
            assert response.status == 200
            assert [name for name in response.headers if name.startswith("access-")] == []


# Bodies that are none -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"query"',
        b"1",
        b'[{"query": "{ viewer { id } }"}]',
        b'\xef\xbb\xbf{"query": "{ viewer { id } }"}',
        b'{"query": "{ viewer { id } }", "extensions": []}',
        b'{"query": "{ viewer { id } }", "extensions": "{}"}',
        b'{"query": "{ viewer { id } }", "variables": NaN}',
        b'{"query": "{ viewer { id } }", "variables": {"a": 1e999}}',
        b"\xff\xfe",
        b'{"query": "\xff"}',
        b'{"query": "\\ud800"}',
        b"[" * 5_000,
        b"NaN",
        b"{}",
        b'{"query": null}',
        b'{"query": 1}',
        b'{"query": ""}',
        b'{"query": " "}',
        b'{"query": "{ viewer { id } }", "variables": []}',
        b'{"query": "{ viewer { id } }", "variables": "{}"}',
        b'{"query": "{ viewer { id } }", "variables": 0}',
        b'{"query": "{ viewer { id } }", "operationName": 1}',
        b'{"query": "{ viewer { id } }", "operationName": ["Q"]}',
        b"query=%7Bviewer%7Bid%7D%7D",
    ],
)
async def test_a_body_that_asks_for_nothing_is_refused_with_a_reason(door: Door, body: bytes) -> None:
    for headers in ({}, NEWER):
        response = await door.post_body(body, **headers)
        assert (response.status, response.headers["content-type"]) == (400, GRAPHQL_RESPONSE if headers else JSON)
        [message] = response.messages
        assert message.endswith((".", "`."))


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"query": ""},
        {"query": "{ viewer { id } }", "variables": "{"},
        {"query": "{ viewer { id } }", "variables": "[]"},
        {"query": "{ viewer { id } }", "extensions": "{"},
        {"query": "{ viewer { id } }", "extensions": "1"},
    ],
)
async def test_an_address_that_asks_for_nothing_is_refused_with_a_reason(
    door: Door, parameters: dict[str, str]
) -> None:
    response = await door.get(**parameters)
    assert response.status == 400
    assert response.messages != []


@pytest.mark.parametrize("name", ["query", "variables", "operationName", "extensions"])
async def test_a_parameter_that_is_given_twice_is_refused(door: Door, name: str) -> None:
    once = [("query", "{ viewer { id } }"), ("variables", "{}"), ("operationName", ""), ("extensions", "{}")]
    assert (await door.request("GET", query=urlencode(once).encode())).status == 200
    twice = [*once, (name, dict(once)[name])]
    response = await door.request("GET", query=urlencode(twice).encode())
    assert (response.status, response.messages) == (400, [f"`{name}` is given more than once."])
    other = [*once, ("a", "1"), ("a", "2")]
    assert (await door.request("GET", query=urlencode(other).encode())).status == 200


async def test_a_batch_is_refused_as_such(door: Door) -> None:
    response = await door.post_body(b'[{"query": "{ viewer { id } }"}]')
    assert (response.status, response.messages) == (400, ["The body is a batch; send one operation per request."])


async def test_a_body_that_is_too_large_is_refused_while_it_is_read(door: Door) -> None:
    headers = {"content-type": "application/json"}
    chunks = [b'{"query": "{ viewer { id } } #', *[b"x" * 1_000] * 100]
    response = await door.request(headers=headers, chunks=chunks)
    assert (response.status, response.messages) == (413, ["The body has more than 20000 bytes."])
    assert response.unread == 80
    fits = b'{"query": "{ viewer { id } } #' + b"x" * (BODY_LIMIT - 32) + b'"}'
    assert len(fits) == BODY_LIMIT
    assert (await door.post_body(fits)).status == 200
    assert (await door.post_body(fits + b" ")).status == 413


async def test_a_body_that_is_announced_too_large_is_not_read(door: Door) -> None:
    chunks = [b'{"query": "{ viewer { id } }"}'] * 3
    for length in (str(BODY_LIMIT + 1), "9" * 5_000):
        headers = {"content-type": "application/json", "content-length": length}
        response = await door.request(headers=headers, chunks=chunks)
        assert (response.status, response.messages) == (413, ["The body has more than 20000 bytes."])
        assert (response.unread, response.headers["connection"]) == (3, "close")
    for untold in ("x", "-1", "²", "1e9", ""):
        response = await door.request(
            headers={"content-type": "application/json", "content-length": untold}, chunks=chunks[:1]
        )
        assert response.status == 200


async def test_a_body_that_does_not_come_is_waited_for_no_longer_than_is_set(sqlite_url: str) -> None:
    async with opened(database_url=sqlite_url, body_seconds=0.02) as door:
        response = await door.request(
            headers={"content-type": "application/json"}, chunks=[b'{"query": "{ vie'], stalls=True
        )
    assert (response.status, response.messages) == (408, ["The body did not come within 0.02 seconds."])
    assert response.headers["connection"] == "close"


async def test_a_client_that_goes_away_is_no_defect(door: Door) -> None:
    with capture_logs() as logged:
        response = await door.request(
            headers={"content-type": "application/json"}, chunks=[b'{"query": "{ vie'], cut=True
        )
    assert response.status == 400
    assert logged == []


NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "body", "a"]), inner, max_size=3)
    ),
    max_leaves=6,
)
QUERIES = st.sampled_from(
    [
        "query ($id: ID!) { post(id: $id) { title } }",
        "query ($id: ID) { node(id: $id) { id } }",
        "query ($id: [ID!]!) { nodes(ids: $id) { id } }",
        "query ($id: String) { post(slug: $id) { thread { nodes { id } } } }",
        "query ($id: Cursor) { posts(after: $id) { nodes { id } } }",
        "query ($id: Int) { posts(first: $id) { nodes { id } } }",
        "query ($id: Int) { posts(last: $id) { nodes { excerpt(length: 5) } } }",
        "mutation ($input: AddCommentInput!) { addComment(input: $input) { errors { code } } }",
        'mutation ($a: ID!) { deletePost(input: {id: $a, clientMutationId: "k"}) { errors { code } } }',
    ]
)


async def unharmed(response: Response) -> None:
    assert response.status in (200, 400, 405, 406, 413, 415)
    assert response.body.get("errors") or "data" in response.body
    assert "Internal error." not in response.content.decode()


@settings(max_examples=60)
@given(body=st.binary(max_size=200) | st.builds(orjson.dumps, VALUES))
@example(b'{"query": "{ viewer { id } }", "variables": {"a": ' + b"[" * 900 + b"]" * 900 + b"}}")
@example(b'{"query": "' + b"{a" * 2000 + b'"}')
@example(b'{"query": "{ post(id: ' + b"[" * 2000 + b'"}')
@example(b'{"query": "{ post(id: \\"\\\\ud800\\") { id } }"}')
@example(b'{"query": "{ post(id: \\"\\\\u{D800}\\") { id } }"}')
@example(b'{"query": "{ post(id: 99999999999999999999999) { id } }"}')
@example(b'{"query": "{ posts(first: 99999999999999999999999) { nodes { id } } }"}')
@example(b'{"query": "\\u0000{ viewer { id } }"}')
async def test_any_bytes_are_answered_with_a_reason(door: Door, body: bytes) -> None:
    await unharmed(await door.post_body(body))


@settings(max_examples=80)
@given(query=QUERIES | st.text(max_size=40), values=VALUES, name=st.none() | st.text(max_size=5))
async def test_any_variables_are_answered_with_a_reason(door: Door, query: str, values: Any, name: str | None) -> None:
    variables = values if isinstance(values, dict) else {"id": values, "input": values, "a": values}
    try:
        body = orjson.dumps({"query": query, "variables": variables, "operationName": name})
    except TypeError:
        return  # halves of surrogate pairs, which no JSON can carry
    await unharmed(await door.post_body(body, authorization=f"Bearer {door.token}"))


@settings(max_examples=40)
@given(query=st.binary(max_size=60) | st.builds(lambda q: urlencode({"query": q}).encode(), QUERIES))
@example(b"query=%FF%FE")
@example(b"query=%7Bviewer%7Bid%7D%7D&variables=%FF")
@example(b"query=%7Bviewer%7Bid%7D%7D&operationName=%00")
@example(b"query&query=&variables")
async def test_any_address_is_answered_with_a_reason(door: Door, query: bytes) -> None:
    await unharmed(await door.request("GET", query=query))


# What decides how a request is taken; and what anybody may write into it.
TEXTS = st.text(st.characters(max_codepoint=255), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "accept",
            "accept-language",
            "access-control-request-headers",
            "access-control-request-method",
            "authorization",
            "content-encoding",
            "content-length",
            "content-type",
            "cookie",
            "host",
            "origin",
            "sec-fetch-site",
            "x-forwarded-for",
        ]
    ),
    TEXTS
    | st.sampled_from(
        [
            "*/*",
            "application/json",
            "Bearer x",
            "palabre-session=pal_s_x",
            "http://localhost:8000",
            "same-origin",
            "127.0.0.1",
            "identity",
            "fr, *;q=0",
            "9" * 5_000,
            "0",
        ]
    ),
    max_size=6,
)


@settings(max_examples=150)
@given(
    method=st.sampled_from(["GET", "HEAD", "POST", "OPTIONS", "PUT", "QUERY", "é"]),
    headers=HEADERS,
    query=st.binary(max_size=40) | st.just(b"query=%7Bviewer%7Bid%7D%7D"),
    chunks=st.lists(st.binary(max_size=30) | st.just(b'{"query": "{ viewer { id } }"}'), min_size=1, max_size=3),
    cut=st.booleans(),
)
async def test_any_request_is_answered_with_a_reason(
    door: Door, method: str, headers: dict[str, str], query: bytes, chunks: list[bytes], cut: bool
) -> None:
    response = await door.request(method, query=query, headers=headers, chunks=chunks, cut=cut)
    assert response.status in (200, 204, 400, 401, 403, 405, 406, 413, 415)
    assert (response.status == 204) is (response.content == b"")
    assert response.status == 204 or response.body.get("errors") or "data" in response.body
    assert "Internal error." not in response.content.decode()
    if response.status not in (200, 204):
        [error] = response.body["errors"]
        assert error["extensions"]["code"] in ("BAD_REQUEST", "UNAUTHENTICATED", "FORBIDDEN", "VALIDATION")


# Ids and cursors ----------------------------------------------------------------------------------------------------

WRONG = ["", "x", "UG9zdDox=", "UG9zdDo", "VXNlcjoxCg", "\x00", "é", "x" * 500, "UG9zdDo5OTk5OTk5OTk5OTk5OTk5OTk5OQ"]


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_was_never_given_out_is_the_clients_error_with_its_code(door: Door, wrong: str) -> None:
    for query, code in (
        ("query ($x: ID!) { post(id: $x) { id } }", "ID_INVALID"),
        ("query ($x: ID!) { comment(id: $x) { id } }", "ID_INVALID"),
        ("query ($x: ID!) { node(id: $x) { id } }", "ID_INVALID"),
        ("query ($x: ID!) { nodes(ids: [$x]) { id } }", "ID_INVALID"),
        ('query ($x: ID!) { post(slug: "noel") { thread(focus: $x) { nodes { id } } } }', "ID_INVALID"),
        ("query ($x: Cursor!) { posts(after: $x) { nodes { id } } }", "CURSOR_INVALID"),
        ("query ($x: Cursor!) { posts(before: $x) { nodes { id } } }", "CURSOR_INVALID"),
        ('query ($x: Cursor!) { post(slug: "noel") { comments(after: $x) { nodes { id } } } }', "CURSOR_INVALID"),
        ('query ($x: Cursor!) { post(slug: "noel") { thread(before: $x) { nodes { id } } } }', "CURSOR_INVALID"),
        ('query ($x: Cursor!) { post(slug: "noel") { revisions(after: $x) { nodes { id } } } }', "CURSOR_INVALID"),
    ):
        response = await door.ask(query, {"x": wrong})
        assert (response.status, response.codes) == (200, [code]), query


# Defects ------------------------------------------------------------------------------------------------------------


async def test_a_defect_is_masked_with_an_id_and_logged_once_without_anybodys_words(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> str:
        raise ZeroDivisionError("a defect of ours")

    words = secrets.token_hex(8)
    monkeypatch.setattr(text, "clean", broken)
    add = 'mutation Add($body: Markdown!) { addComment(input: {postId: "UG9zdDox", body: $body}) { errors { code } } }'
    find = "query Find($body: String!) { post(slug: $body) { title } }"
    for query, name in ((add, "Add"), (find, "Find")):
        with capture_logs() as logged:
            response = await door.ask_as_greg(query, {"body": words})
        [error] = response.body["errors"]
        [line] = logged
        assert (response.status, error["message"]) == (200, "Internal error.")
        assert error["extensions"] == {"code": "INTERNAL", "id": line["id"]}
        assert (line["event"], line["log_level"], line["operation"]) == ("defect", "error", name)
        assert isinstance(line["exc_info"], ZeroDivisionError)
        assert "a defect of ours" not in response.content.decode()


async def test_what_is_logged_of_a_defect_holds_no_secret(
    door: Door, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: str) -> str:
        raise ZeroDivisionError

    configure()
    monkeypatch.setattr(text, "clean", broken)
    response = await door.ask_as_greg("query ($slug: String!) { post(slug: $slug) { title } }", {"slug": "mot"})
    line, request = capsys.readouterr().err.splitlines()
    assert orjson.loads(line)["request_id"] == orjson.loads(request)["request_id"] == response.headers["x-request-id"]
    assert orjson.loads(line)["id"] == response.body["errors"][0]["extensions"]["id"]
    assert "ZeroDivisionError" in line
    assert door.token not in line
    assert '"mot"' not in line


async def test_a_defect_before_the_operation_is_masked_too(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr("graph.http.requests.from_json", broken)
    with capture_logs() as logged:
        response = await door.ask("{ viewer { id } }")
    assert (response.status, response.messages, response.codes) == (500, ["Internal error."], ["INTERNAL"])
    assert [line["id"] for line in logged] == [response.body["errors"][0]["extensions"]["id"]]


# In which language --------------------------------------------------------------------------------------------------

TOO_LONG = 'mutation { editProfile(input: {displayName: "%s"}) { errors { message } } }' % ("x" * 51)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("fr-FR, en;q=0.5", "Un nom compte au plus 50 caractères."),
        ("en, fr;q=0.5", "A name has at most 50 characters."),
        ("de", "A name has at most 50 characters."),
    ],
)
async def test_a_refusal_speaks_the_language_that_the_request_asks_for(door: Door, header: str, message: str) -> None:
    credentials = {"authorization": f"Bearer {door.token}", "accept-language": header}
    response = await door.ask(TOO_LONG, None, **credentials)
    assert response.body["data"]["editProfile"]["errors"] == [{"message": message}]


async def test_errors_of_the_request_speak_it_too(door: Door) -> None:
    response = await door.post_body(b"[]", **{"accept-language": "fr"})
    assert response.messages == ["Le corps est un lot\u202f; envoyez une opération par requête."]
    response = await door.ask('{ post(id: "x") { title } }', None, **{"accept-language": "fr"})
    assert response.messages == ["Cet identifiant est mal formé\u202f: il ne vient pas de nous."]
    assert response.codes == ["ID_INVALID"]
    response = await door.ask("{" + "viewer { user {" * 40 + "id" + "}}" * 40 + "}", None, **{"accept-language": "fr"})
    assert response.messages == ["L’opération compte 81 niveaux\u202f; 30 sont permis."]


async def test_without_a_wish_it_is_the_language_of_the_account(door: Door) -> None:
    changes: Changes = door.app.state.services.changes
    await changes.run(lambda change: change_user(change, 1, locale="fr-CH"), audience=Audience())
    response = await door.ask_as_greg(TOO_LONG)
    assert response.body["data"]["editProfile"]["errors"] == [{"message": "Un nom compte au plus 50 caractères."}]


async def test_who_guesses_passwords_is_known_by_the_address_of_the_client(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    door.app.state.services.attempts.clients.burst = 1

    async def guess(account: str, peer: str) -> str:
        query = f'mutation {{ signIn(input: {{identifier: "{account}", password: "x"}}) {{ errors {{ code }} }} }}'
        body = orjson.dumps({"query": query})
        response = await door.request(headers={"content-type": "application/json"}, chunks=[body], peer=peer)
        [error] = response.body["data"]["signIn"]["errors"]
        return str(error["code"])

    assert await guess("ada", "192.0.2.1") == "UNAUTHENTICATED"
    assert await guess("zoe", "192.0.2.1") == "RATE_LIMITED"
    assert await guess("zoe", "192.0.2.2") == "UNAUTHENTICATED"


async def test_a_token_in_use_is_told_once_a_minute_and_never_by_each_request(door: Door) -> None:
    asked = "{ viewer { apiTokens { nodes { lastUsedAt } } } }"

    async def last_used() -> str:
        [node] = (await door.ask_as_greg(asked)).body["data"]["viewer"]["apiTokens"]["nodes"]
        await door.app.state.services.uses.finish()
        return str(node["lastUsedAt"])

    made = await last_used()
    door.clock.now += 59_999_999
    assert [await last_used() for _ in range(3)] == [made] * 3
    door.clock.now += 1
    await last_used()
    assert await last_used() == "2023-11-14T22:14:20.000000Z"
