"""Who asks over HTTP: a session's cookie counts for our own pages, and for those of named front ends."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from argon2 import PasswordHasher

from graph.users import passwords
from tests.graph.doors import Door, Response, opened

OURS, FRIEND, EVIL = "https://talk.example.org", "https://app.example.org", "https://evil.example"
NAME = "__Host-palabre-session"
CLEARED = f"{NAME}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure"
WHO = "{ viewer { user { handle } } }"
DAY = 24 * 3600 * 1_000_000  # µs
NOBODY: dict[str, Any] = {"data": {"viewer": None}}
SIGN_IN = """mutation ($delivery: CredentialDelivery!, $password: String! = "correct horse") {
  signIn(input: {identifier: "zoe", password: $password, delivery: $delivery}) {
    token expiresAt viewer { user { handle } } errors { message path code }
  }
}"""
SIGN_UP = """mutation ($handle: String!, $delivery: CredentialDelivery, $key: String) {
  signUp(input: {
    handle: $handle, email: "%s@example.org", password: "correct horse", delivery: $delivery, clientMutationId: $key
  }) { token expiresAt viewer { user { handle } } errors { message path code } }
}"""
SIGN_OUT = "mutation { signOut(input: {}) { sessionId errors { code } } }"
RENAME = 'mutation { editProfile(input: {displayName: "Mallory"}) { viewer { user { displayName } } errors { code } } }'


def as_zoe() -> dict[str, Any]:
    return {"data": {"viewer": {"user": {"handle": "zoe"}}}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # What slows down who guesses would slow down the tests.
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobodys.cache_clear()


@pytest.fixture
async def door(database_url: str) -> AsyncIterator[Door]:
    async with opened(database_url=database_url, public_url=OURS, allowed_origins=FRIEND) as door:
        await sign_up(door, "zoe")
        yield door


async def sign_up(door: Door, handle: str, delivery: str | None = None, **headers: str) -> Response:
    return await door.ask(SIGN_UP % handle, {"handle": handle, "delivery": delivery}, **headers)


async def sign_in(door: Door, delivery: str = "COOKIE", **headers: str) -> Response:
    return await door.ask(SIGN_IN, {"delivery": delivery}, **headers)


def cookie_of(response: Response) -> str:
    """What the browser sends from now on."""
    [set_cookie] = response.set_cookies
    pair, *attributes = set_cookie.split("; ")
    name, _, secret = pair.partition("=")
    assert (name, attributes) == (NAME, ["Max-Age=2592000", "Path=/", "HttpOnly", "SameSite=Lax", "Secure"])
    assert secret.startswith("pal_s_")
    return pair


async def cookie(door: Door) -> str:
    return cookie_of(await sign_in(door))


# In and out ---------------------------------------------------------------------------------------------------------


async def test_one_signs_in_by_a_cookie_and_no_payload_shows_the_secret(door: Door) -> None:
    response = await sign_in(door, origin=OURS)
    payload = response.body["data"]["signIn"]
    assert (payload["token"], payload["errors"]) == (None, [])
    assert payload["viewer"] == {"user": {"handle": "zoe"}}
    assert payload["expiresAt"] is not None
    kept = cookie_of(response)
    assert kept.partition("=")[2] not in response.content.decode()
    for headers in ({}, {"origin": OURS, "sec-fetch-site": "same-origin"}, {"origin": FRIEND}):
        asked = await door.ask(WHO, cookie=f"a=b; {kept}", **headers)
        assert (asked.body, asked.set_cookies) == (as_zoe(), [])


async def test_a_token_is_the_default_and_sets_no_cookie(door: Door) -> None:
    response = await door.ask(
        'mutation { signIn(input: {identifier: "zoe", password: "correct horse"}) { token errors { code } } }'
    )
    token = response.body["data"]["signIn"]["token"]
    assert response.set_cookies == []
    assert (await door.ask(WHO, authorization=f"Bearer {token}")).body == as_zoe()


async def test_a_wrong_password_sets_no_cookie(door: Door) -> None:
    response = await door.ask(SIGN_IN, {"delivery": "COOKIE", "password": "wrong"})
    assert [error["code"] for error in response.body["data"]["signIn"]["errors"]] == ["UNAUTHENTICATED"]
    assert response.set_cookies == []


@pytest.mark.parametrize("delivery", ["COOKIE", "TOKEN", None])
async def test_signing_up_may_begin_the_session_too(door: Door, delivery: str | None) -> None:
    response = await sign_up(door, "yves", delivery)
    payload = response.body["data"]["signUp"]
    assert (payload["viewer"], payload["errors"]) == ({"user": {"handle": "yves"}}, [])
    assert (payload["expiresAt"] is None) is (delivery is None)
    if delivery == "COOKIE":
        assert payload["token"] is None
        asked = await door.ask(WHO, cookie=cookie_of(response))
    elif delivery == "TOKEN":
        asked = await door.ask(WHO, authorization=f"Bearer {payload['token']}")
    else:
        assert payload["token"] is None
        asked = await door.ask(WHO)
    assert asked.body == {"data": {"viewer": delivery and {"user": {"handle": "yves"}}}}
    assert len(response.set_cookies) == (delivery == "COOKIE")


async def test_signing_up_twice_under_one_key_makes_one_account_and_another_session(door: Door) -> None:
    asked = {"handle": "yves", "delivery": "TOKEN", "key": "k"}
    first, second = [(await door.ask(SIGN_UP % "yves", asked)).body["data"]["signUp"] for _ in range(2)]
    assert (first["viewer"], second["viewer"]) == ({"user": {"handle": "yves"}},) * 2
    assert first["token"] != second["token"]
    assert (await door.ask(WHO, authorization=f"Bearer {second['token']}")).body == {
        "data": {"viewer": {"user": {"handle": "yves"}}}
    }


async def test_signing_out_takes_the_cookie_back(door: Door) -> None:
    kept = await cookie(door)
    response = await door.ask(SIGN_OUT, cookie=kept)
    assert response.body["data"]["signOut"]["errors"] == []
    assert response.set_cookies == [CLEARED]
    again = await door.ask(WHO, cookie=kept)
    assert (again.status, again.body, again.set_cookies) == (200, NOBODY, [CLEARED])


async def test_a_session_that_was_ended_elsewhere_takes_its_cookie_along(door: Door) -> None:
    kept, other = await cookie(door), (await sign_in(door, "TOKEN")).body["data"]["signIn"]["token"]
    sessions = await door.ask("{ viewer { sessions { nodes { id isCurrent } } } }", cookie=kept)
    [mine] = [node["id"] for node in sessions.body["data"]["viewer"]["sessions"]["nodes"] if node["isCurrent"]]
    ended = await door.ask(
        "mutation ($id: ID) { signOut(input: {sessionId: $id}) { sessionId } }",
        {"id": mine},
        authorization=f"Bearer {other}",
    )
    assert (ended.body, ended.set_cookies) == ({"data": {"signOut": {"sessionId": mine}}}, [])
    response = await door.ask(RENAME, cookie=kept)
    assert response.body["data"]["editProfile"]["errors"] == [{"code": "UNAUTHENTICATED"}]
    assert response.set_cookies == [CLEARED]


async def test_an_expired_cookie_and_one_of_nobodys_are_taken_back(door: Door) -> None:
    kept = await cookie(door)
    door.clock.now += 30 * DAY - 1
    assert (await door.ask(WHO, cookie=kept)).body == as_zoe()
    door.clock.now += 1
    for value in (kept, f"{NAME}=pal_s_nobody", f"{NAME}={'x' * 500}", f"{NAME}=é"):
        response = await door.ask(WHO, cookie=value)
        assert (response.status, response.body, response.set_cookies) == (200, NOBODY, [CLEARED])


async def test_signing_in_again_ends_the_session_that_the_cookie_stood_for(door: Door) -> None:
    first = await cookie(door)
    second = cookie_of(await sign_in(door, cookie=first))
    assert first != second
    assert (await door.ask(WHO, cookie=first)).body == NOBODY
    assert (await door.ask(WHO, cookie=second)).body == as_zoe()
    by_token = await sign_in(door, "TOKEN", cookie=second)
    assert by_token.set_cookies == [CLEARED]
    assert (await door.ask(WHO, cookie=second)).body == NOBODY
    token = by_token.body["data"]["signIn"]["token"]
    assert (await door.ask(WHO, authorization=f"Bearer {token}")).body == as_zoe()


async def test_a_failed_attempt_to_sign_in_again_ends_nothing(door: Door) -> None:
    kept = await cookie(door)
    await door.ask(SIGN_IN, {"delivery": "COOKIE", "password": "wrong"}, cookie=kept)
    assert (await door.ask(WHO, cookie=kept)).body == as_zoe()


async def test_a_token_in_the_header_wins_over_the_cookie(door: Door) -> None:
    kept = await cookie(door)
    greg = {"data": {"viewer": {"user": {"handle": "greg"}}}}
    for extra in ({}, {"origin": EVIL}, {"sec-fetch-site": "cross-site"}):
        response = await door.ask(WHO, cookie=kept, authorization=f"Bearer {door.token}", **extra)
        assert (response.body, response.set_cookies) == (greg, [])
    assert (await door.ask(WHO, cookie=kept, authorization="Bearer nobody")).status == 401
    assert (await door.ask(WHO, cookie=kept, authorization=" ")).body == as_zoe()


# Attacks from other sites -------------------------------------------------------------------------------------------


async def name_of_zoe(door: Door, kept: str) -> str:
    found = await door.ask("{ viewer { user { displayName } } }", cookie=kept)
    name: str = found.body["data"]["viewer"]["user"]["displayName"]
    return name


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
async def test_a_form_of_another_site_changes_nothing(door: Door, content_type: str | None) -> None:
    kept, body = await cookie(door), orjson.dumps({"query": RENAME})
    given = {"cookie": kept} | ({} if content_type is None else {"content-type": content_type})
    told = await door.request(headers={**given, "origin": EVIL, "sec-fetch-site": "cross-site"}, chunks=[body])
    untold = await door.request(headers=given, chunks=[body])
    assert (told.status, untold.status) == (403, 415)
    assert await name_of_zoe(door, kept) == "zoe"


@pytest.mark.parametrize(
    "given",
    [
        {"origin": EVIL},
        {"origin": "null"},
        {"origin": "https://blog.example.org", "sec-fetch-site": "same-site"},
        {"origin": "http://talk.example.org"},
        {"origin": OURS, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_script_of_another_site_changes_and_learns_nothing(door: Door, given: dict[str, str]) -> None:
    kept = await cookie(door)
    for query in (RENAME, WHO):
        response = await door.ask(query, cookie=kept, **given)
        assert (response.status, response.codes) == (403, ["FORBIDDEN"])
        assert response.messages[0].endswith("may not use this site’s cookie.")
        assert "data" not in response.body
        assert "access-control-allow-origin" not in response.headers
        assert response.set_cookies == []
    assert await name_of_zoe(door, kept) == "zoe"


async def test_a_link_on_another_site_leads_nowhere(door: Door) -> None:
    kept = await cookie(door)
    query = f"query={RENAME}".encode().replace(b" ", b"+")
    assert (await door.request("GET", query=query, headers={"cookie": kept})).status == 405
    asked = b"query=%7Bviewer%7Buser%7Bhandle%7D%7D%7D"
    followed = await door.request("GET", query=asked, headers={"cookie": kept, "sec-fetch-site": "cross-site"})
    assert followed.status == 403
    for site in ("none", "same-origin"):  # typed, or a link of ours
        typed = await door.request("GET", query=asked, headers={"cookie": kept, "sec-fetch-site": site})
        assert (typed.status, typed.body) == (200, as_zoe())
    assert await name_of_zoe(door, kept) == "zoe"


async def test_another_site_can_sign_nobody_in(door: Door) -> None:
    """Else it could have people write under an account of its own."""
    response = await sign_in(door, origin=EVIL)
    [error] = response.body["data"]["signIn"]["errors"]
    assert error == {
        "message": f"Pages of {EVIL} may not use this site’s cookie.",
        "path": ["input", "delivery"],
        "code": "VALIDATION",
    }
    assert response.set_cookies == []
    response = await sign_up(door, "mallory", "COOKIE", origin=EVIL)
    assert [error["path"] for error in response.body["data"]["signUp"]["errors"]] == [["input", "delivery"]]
    assert (await door.ask('{ user(handle: "mallory") { handle } }')).body == {"data": {"user": None}}


# Where there is no cookie -------------------------------------------------------------------------------------------


async def test_in_the_open_no_cookie_is_set_and_none_is_taken(sqlite_url: str) -> None:
    async with opened(database_url=sqlite_url, public_url="http://talk.example.org") as door:
        await sign_up(door, "zoe")
        response = await sign_in(door)
        [error] = response.body["data"]["signIn"]["errors"]
        assert error["message"] == "A cookie needs https, or a server on this machine; take the token."
        assert response.set_cookies == []
        token = (await sign_in(door, "TOKEN")).body["data"]["signIn"]["token"]
        for name in ("palabre-session", NAME):
            response = await door.ask(WHO, cookie=f"{name}={token}")
            assert (response.body, response.set_cookies) == (NOBODY, [])


async def test_on_this_machine_a_plain_cookie_does(sqlite_url: str) -> None:
    async with opened(database_url=sqlite_url, port=8000) as door:
        await sign_up(door, "zoe")
        [set_cookie] = (await sign_in(door, origin="http://localhost:8000")).set_cookies
        pair, *attributes = set_cookie.split("; ")
        assert pair.startswith("palabre-session=pal_s_")
        assert attributes == ["Max-Age=2592000", "Path=/", "HttpOnly", "SameSite=Lax"]
        for origin in ("http://localhost:8000", "http://127.0.0.1:8000"):
            assert (await door.ask(WHO, cookie=pair, origin=origin)).body == as_zoe()
        assert (await door.ask(WHO, cookie=pair, origin="http://localhost:3000")).status == 403
