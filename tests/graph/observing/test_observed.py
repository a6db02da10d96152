"""What is written down of each request and each operation, and what is not."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from argon2 import PasswordHasher

from graph import text
from graph.live import LiveDoor
from graph.observing.histogram import Histogram
from graph.observing.logs import configure
from graph.observing.observed import Numbers, Observed, Observing
from graph.users import passwords
from tests.graph.doors import Door, opened
from tests.subscriptions.sockets import Socket

Read = Callable[[], list[dict[str, Any]]]
POST = "query Titles($id: ID!) { post(id: $id) { title } }"
RENAME = 'mutation Rename { editProfile(input: {displayName: "Greg"}) { errors { code } } }'
FOLLOW = "subscription Follow($post: ID!) { thread(postId: $post) { __typename } }"


@pytest.fixture
async def door(sqlite_url: str) -> AsyncIterator[Door]:
    async with opened(database_url=sqlite_url) as door:
        yield door


@pytest.fixture
def read(capsys: pytest.CaptureFixture[str]) -> Read:
    """The lines since they were last read."""
    configure()
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def without_times(line: dict[str, Any]) -> dict[str, Any]:
    assert line.pop("ms") >= 0
    assert line.pop("at").endswith("Z")
    return line


# Requests -----------------------------------------------------------------------------------------------------------


async def test_a_request_is_one_line_with_what_it_was_and_how_it_went(door: Door, read: Read) -> None:
    response = await door.ask(POST, {"id": door.post}, authorization=f"Bearer {door.token}")
    [line] = read()
    assert without_times(line) == {
        "level": "info",
        "event": "request",
        "request_id": response.headers["x-request-id"],
        "kind": "query",
        "operation": "Titles",
        "viewer": 1,
        "client": "127.0.0.1",
        "planned": True,
        "method": "POST",
        "path": "/graphql",
        "status": 200,
    }


async def test_a_mutation_runs_through_strawberry_and_its_refusal_is_told_by_code(door: Door, read: Read) -> None:
    await door.ask(RENAME)
    [line] = read()
    assert (line["kind"], line["operation"], line["planned"]) == ("mutation", "Rename", False)
    assert line["codes"] == ["UNAUTHENTICATED"]
    assert "viewer" not in line


async def test_what_is_no_operation_is_a_line_without_one(door: Door, read: Read) -> None:
    for query in ("{ post(", "{ nothing }"):
        await door.ask(query, accept="application/graphql-response+json")
    await door.request("PUT")
    unread, unknown, method = read()
    assert (unread["status"], unknown["status"], method["status"]) == (400, 400, 405)
    assert "operation" not in unread
    assert unread["codes"] != []
    assert "codes" not in method


async def test_a_long_name_is_cut(door: Door, read: Read) -> None:
    await door.ask(f"query {'N' * 200} {{ viewer {{ id }} }}")
    [line] = read()
    assert line["operation"] == "N" * 80


async def test_who_only_asks_whether_it_lives_is_not_written_down(door: Door, read: Read) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await door.request("GET", path=path)).status == 200
    assert read() == []


async def test_a_path_with_a_secret_in_it_is_shown_without(door: Door, read: Read) -> None:
    assert (await door.request("GET", path=f"/reset/{door.token}", query=b"token=hunter2")).status == 404
    [line] = read()
    assert (line["path"], line["status"]) == ("/reset/pal_***", 404)
    assert "hunter2" not in str(line)


# The request's id ---------------------------------------------------------------------------------------------------


async def test_each_request_has_an_id_of_its_own(door: Door, read: Read) -> None:
    responses = [await door.ask("{ viewer { id } }") for _ in range(2)]
    one, other = [response.headers["x-request-id"] for response in responses]
    assert one != other
    assert [line["request_id"] for line in read()] == [one, other]


async def test_an_id_of_a_safe_shape_is_kept(door: Door, read: Read) -> None:
    for given in ("6f1c2d3e-0000-4000-8000-123456789abc", "01HV.x_y-z"):
        response = await door.ask("{ viewer { id } }", **{"X-Request-ID": given})
        assert response.headers["x-request-id"] == given
        assert [line["request_id"] for line in read()] == [given]


@pytest.mark.parametrize(
    "given",
    [
        "",
        "short",
        "x" * 65,
        "greg@example.org",
        'a"},{"level":"error',
        "two words",
        "new\tline1",
        "pal_t_abcdefghijk",
        "é" * 9,
    ],
)
async def test_an_id_of_another_shape_is_not_repeated(door: Door, read: Read, given: str) -> None:
    response = await door.ask("{ viewer { id } }", **{"X-Request-ID": given})
    made = response.headers["x-request-id"]
    assert made != given
    assert len(made) == 16
    assert [line["request_id"] for line in read()] == [made]


async def test_a_defect_bears_the_id_of_its_request_and_the_one_that_the_client_got(
    door: Door, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: str) -> str:
        raise ZeroDivisionError

    monkeypatch.setattr(text, "clean", broken)
    response = await door.ask('{ post(slug: "mot") { title } }')
    defect, request = read()
    assert defect["request_id"] == request["request_id"] == response.headers["x-request-id"]
    assert defect["id"] == response.body["errors"][0]["extensions"]["id"]
    assert (defect["event"], request["codes"]) == ("defect", ["INTERNAL"])


async def test_what_breaks_outside_of_graphql_is_logged_once_with_the_id_that_the_client_gets(read: Read) -> None:
    async def broken(*_: Any) -> None:
        raise ZeroDivisionError

    response = await Door(Observing(broken, Numbers()), None, "", "").request("GET")  # type: ignore[arg-type]  # no site
    defect, request = read()
    assert (response.status, response.body["errors"][0]["extensions"]) == (
        500,
        {"code": "INTERNAL", "id": defect["id"]},
    )
    assert (request["status"], request["request_id"]) == (500, defect["request_id"])


# Sockets ------------------------------------------------------------------------------------------------------------


async def test_a_subscription_is_a_line_when_it_begins_and_one_when_it_is_over(door: Door, read: Read) -> None:
    async with Socket(door.app, authorization=f"Bearer {door.token}") as socket:
        await socket.greeted()
        await socket.ask(FOLLOW, "sub-1", post=door.post)
        assert (await socket.hear())["type"] == "next"
        [began] = read()
        await socket.say({"type": "complete", "id": "sub-1"})
        await socket.pinged()
    [over] = read()
    known = {"kind": "subscription", "operation": "Follow", "viewer": 1, "client": "127.0.0.1", "id": "sub-1"}
    assert began.items() >= ({"event": "subscribed"} | known).items()
    assert over.items() >= ({"event": "operation", "outcome": "left", "frames": 1} | known).items()
    assert over["request_id"] == began["request_id"]
    assert over["ms"] > 0


async def test_a_query_over_a_socket_is_one_line(door: Door, read: Read) -> None:
    async with Socket(door.app) as socket:
        await socket.greeted()
        await socket.ask(POST, "q", id=door.post)
        assert [(await socket.hear())["type"] for _ in range(2)] == ["next", "complete"]
    [line] = read()
    assert (line["event"], line["kind"], line["operation"], line["planned"]) == ("operation", "query", "Titles", True)
    assert (line["outcome"], line["frames"]) == ("complete", 1)


async def test_a_subscription_that_is_refused_is_told_with_its_code(door: Door, read: Read) -> None:
    async with Socket(door.app) as socket:
        await socket.greeted()
        await socket.ask(FOLLOW, "q", post="nonsense")
        assert (await socket.hear())["type"] == "error"
    [line] = read()
    assert (line["outcome"], line["frames"], line["codes"]) == ("error", 0, ["ID_INVALID"])


async def test_an_operations_id_that_could_be_anything_is_not_repeated(door: Door, read: Read) -> None:
    async with Socket(door.app) as socket:
        await socket.greeted()
        await socket.ask(POST, "my password is hunter2", id=door.post)
        await socket.hear()
        await socket.hear()
    [line] = read()
    assert "id" not in line


# Secrets ------------------------------------------------------------------------------------------------------------

PASSWORD, WRONG, EMAIL, TEXT = "correct horse battery", "wrong-staple-9", "zoe.secret@example.org", "Nobody's business"
SIGN_UP = """mutation ($email: String!, $password: String!) {
  signUp(input: {handle: "zoe", email: $email, password: $password, delivery: TOKEN}) { token errors { code } }
}"""
SIGN_IN = """mutation ($as: String!, $password: String!, $delivery: CredentialDelivery!) {
  signIn(input: {identifier: $as, password: $password, delivery: $delivery}) { token errors { code } }
}"""
RESET = "mutation ($email: String!) { requestPasswordReset(input: {email: $email}) { errors { code } } }"
COMMENT = """mutation ($post: ID!, $body: Markdown!) {
  addComment(input: {postId: $post, body: $body}) { errors { code } }
}"""


class Holding(Exception):
    """A defect whose frames and message hold what they should not show."""


def breaking(*arguments: Any, **named: Any) -> Any:
    password, email, everything = PASSWORD, EMAIL, (arguments, named)
    raise Holding(f"cannot do it with {password}, {email} and {everything}")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobodys.cache_clear()


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("level", ["debug", "info"])
@pytest.mark.parametrize("form", ["json", "console"])
async def test_no_secret_of_anybody_is_ever_written_down(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], level: str, form: Any
) -> None:
    configure(level, form)
    try:
        async with opened(database_url=sqlite_url) as door:
            found = await everything_secret(door, monkeypatch)
    finally:
        configure()
    said = capsys.readouterr().err
    assert said.count("defect") >= 4
    assert said.count("request") > 10
    assert [secret for secret in found if secret in said] == []


async def everything_secret(door: Door, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Use every kind of secret, well and badly; gives them all."""
    signed_up = await door.ask(SIGN_UP, {"email": EMAIL, "password": PASSWORD})
    session = signed_up.body["data"]["signUp"]["token"]
    as_zoe = {"authorization": f"Bearer {session}"}
    by_cookie = await door.ask(SIGN_IN, {"as": EMAIL, "password": PASSWORD, "delivery": "COOKIE"})
    [cookie] = [each.split(";")[0] for each in by_cookie.set_cookies]
    await door.ask("{ viewer { id } }", cookie=cookie)
    await door.ask(SIGN_IN, {"as": EMAIL, "password": WRONG, "delivery": "TOKEN"})
    await door.ask(SIGN_IN.replace("$password,", f'"{WRONG}",'), {"as": EMAIL, "delivery": "TOKEN"})
    await door.ask(RESET, {"email": EMAIL})
    await door.ask(COMMENT, {"post": door.post, "body": TEXT}, **as_zoe)
    await door.ask("{ viewer { id } }", authorization=f"Bearer {session}x")
    await door.ask("{ viewer { id } }", authorization=f"Basic {WRONG}")
    await door.get(query=f'{{ post(slug: "{TEXT}") {{ title }} }}', variables=json.dumps({"password": WRONG}))
    await door.post_body(f'{{"query": "{{", "variables": "{WRONG}'.encode())
    async with Socket(door.app) as socket:
        await socket.greeted(f"Bearer {session}")
        await socket.ask(SIGN_IN, **{"as": EMAIL, "password": WRONG, "delivery": "TOKEN"})
        await socket.hear()
        await socket.hear()
        monkeypatch.setattr(LiveDoor, "_stream", breaking)
        await socket.ask(FOLLOW, post=door.post)
        await socket.hear()
    for broken in ("graph.users.passwords.verify", "graph.comments.rules.written", "graph.text.clean"):
        monkeypatch.setattr(broken, breaking)
    await door.ask(SIGN_IN, {"as": EMAIL, "password": PASSWORD, "delivery": "TOKEN"})
    await door.ask(COMMENT, {"post": door.post, "body": TEXT}, **as_zoe)
    await door.ask("query ($s: String!) { post(slug: $s) { title } }", {"s": WRONG}, **as_zoe)
    return [PASSWORD, WRONG, EMAIL, EMAIL.split("@")[0], TEXT, session, cookie, cookie.split("=")[1], door.token]


# Numbers ------------------------------------------------------------------------------------------------------------


def test_numbers_are_kept_by_what_can_be_listed_and_never_by_name() -> None:
    numbers = Numbers()
    for name in (f"Name{number}" for number in range(1_000)):
        seen = Observed("id")
        seen.asks("query", name, 1)
        seen.answered(planned=True, errors=[{"extensions": {"code": "TOO_DEEP"}}])
        numbers.request(seen, "http", "200")
    assert list(numbers.requests) == [("http", "query", "200", True)]
    assert sum(numbers.requests["http", "query", "200", True].counts) == 1_000
    assert numbers.refused == {"TOO_DEEP": 1_000}


async def test_open_sockets_are_counted_while_they_are_open(door: Door) -> None:
    numbers = door.app.state.shown.numbers
    async with Socket(door.app) as socket:
        await socket.greeted()
        assert numbers.sockets == 1
    assert numbers.sockets == 0


def test_a_number_is_counted_between_its_bounds() -> None:
    histogram = Histogram((1.0, 2.0))
    for number in (0.5, 1.0, 1.5, 7.0):
        histogram.observe(number)
    assert (histogram.counts, histogram.total) == ([2, 1, 1], 10.0)
