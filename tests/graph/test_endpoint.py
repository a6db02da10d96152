"""GraphQL over HTTP: whatever bytes come in, a response that says what was wrong goes out, and never a 500."""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from structlog.testing import capture_logs

from graph import text
from graph.app import create_app
from graph.audience import Audience
from graph.change import Changes
from graph.endpoint import HttpEndpoint
from graph.ids import global_id
from graph.logs import configure
from graph.posts import actions as post_actions
from graph.posts import rules as post_rules
from graph.settings import settings_from
from graph.users import actions as user_actions
from graph.users.store import change_user
from graph.users.tokens import new_secret

JSON = "application/json; charset=utf-8"
GRAPHQL_RESPONSE = "application/graphql-response+json; charset=utf-8"
NEWER = {"accept": "application/graphql-response+json"}
BODY_LIMIT = 20_000  # bytes
MUTATION = 'mutation { deletePost(input: {id: "UG9zdDox"}) { deletedId errors { code } } }'


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    content: bytes
    unread: int = 0  # chunks of the body that nobody asked for

    @property
    def body(self) -> Any:
        return orjson.loads(self.content)

    @property
    def messages(self) -> list[str]:
        return [error["message"] for error in self.body["errors"]]

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body["errors"]]


@dataclass
class Door:
    """The application as a server calls it."""

    app: Starlette
    token: str
    post: str

    async def request(
        self,
        method: str = "POST",
        *,
        query: bytes = b"",
        headers: dict[str, str] | None = None,
        chunks: Sequence[bytes] = (b"",),
        cut: bool = False,
    ) -> Response:
        """`cut`: the client goes away before the body is whole."""
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": "/graphql",
            "raw_path": b"/graphql",
            "root_path": "",
            "query_string": query,
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 8000),
        }
        left = list(chunks)
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not left:
                return {"type": "http.disconnect"}
            return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or cut}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        start, *bodies = sent
        found = {name.decode(): value.decode() for name, value in start["headers"]}
        return Response(start["status"], found, b"".join(part.get("body", b"") for part in bodies), len(left))

    async def post_body(self, body: bytes, **headers: str) -> Response:
        return await self.request(headers={"content-type": "application/json", **headers}, chunks=[body])

    async def ask(self, query: Any, variables: Any = None, **headers: str) -> Response:
        return await self.post_body(orjson.dumps({"query": query, "variables": variables}), **headers)

    async def ask_as_greg(self, query: Any, variables: Any = None) -> Response:
        return await self.ask(query, variables, authorization=f"Bearer {self.token}")

    async def get(self, **parameters: str) -> Response:
        return await self.request("GET", query=urlencode(parameters).encode())


@pytest.fixture
async def door(sqlite_url: str) -> AsyncIterator[Door]:
    app = create_app(settings_from({}, {"database_url": sqlite_url, "body_bytes_limit": BODY_LIMIT}))
    async with app.router.lifespan_context(app):
        changes: Changes = app.state.services.changes
        secret = new_secret("API")
        user_id = await changes.run(lambda change: user_actions.create_user(change, handle="greg"), audience=Audience())
        greg = Audience(viewer_id=user_id, role="MEMBER")
        await changes.run(
            lambda change: user_actions.create_api_token(change, name="test", secret_hash=secret.hash), audience=greg
        )
        written = post_rules.written("Oui.")
        post = await changes.run(
            lambda change: post_actions.create_post(change, title="Noël", written=written), audience=greg
        )
        yield Door(app, secret.text, global_id("Post", post))


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
    assert response.messages == ["Follow a subscription over a socket that speaks graphql-transport-ws."]
    assert "data" not in response.body
    assert logged == []


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"]
)
async def test_only_json_is_read(door: Door, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    response = await door.request(headers=headers, chunks=[b'{"query": "{ viewer { id } }"}'])
    assert response.status == 415
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


@pytest.mark.parametrize("accept", ["text/html", "application/*;q=0", "application/graphql-response+json;q=0"])
async def test_who_can_read_no_answer_of_ours_is_told_before_anything_is_done(door: Door, accept: str) -> None:
    for by in ("GET", "POST"):
        response = await door.request(by, headers={"accept": accept, "content-type": "application/json"})
        assert (response.status, response.headers["content-type"]) == (406, JSON)
        assert response.messages == [
            "Answers are application/graphql-response+json or application/json; accept one of them."
        ]


async def test_a_browser_that_asks_nothing_is_shown_the_page_where_there_is_one(door: Door) -> None:
    browser = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
    without = await door.request("GET", headers=browser)
    assert (without.status, without.messages) == (400, ["`query` is the text of a document."])
    [endpoint] = [route.app for route in door.app.routes if isinstance(route, Route) and route.path == "/graphql"]
    assert isinstance(endpoint, HttpEndpoint)
    endpoint._page = lambda http: PlainTextResponse(f"a page at {http.url.path}")
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
    ],
)
async def test_an_address_that_asks_for_nothing_is_refused_with_a_reason(
    door: Door, parameters: dict[str, str]
) -> None:
    response = await door.get(**parameters)
    assert response.status == 400
    assert response.messages != []


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


@settings(max_examples=30)
@given(
    headers=st.dictionaries(
        st.sampled_from(["accept", "content-type"]), st.text(st.characters(max_codepoint=255), max_size=40)
    )
)
async def test_any_headers_are_answered_with_a_reason(door: Door, headers: dict[str, str]) -> None:
    await unharmed(await door.request(headers=headers, chunks=[b'{"query": "{ viewer { id } }"}']))


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
    [line] = capsys.readouterr().err.splitlines()
    assert orjson.loads(line)["id"] == response.body["errors"][0]["extensions"]["id"]
    assert "ZeroDivisionError" in line
    assert door.token not in line
    assert '"mot"' not in line


async def test_a_defect_before_the_operation_is_masked_too(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr("graph.requests.from_json", broken)
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
