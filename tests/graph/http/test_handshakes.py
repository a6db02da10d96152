"""Who a socket belongs to: the greeting's token, the handshake's, or the cookie that a page of ours came with."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from argon2 import PasswordHasher

from graph.users import passwords
from tests.graph.doors import Door, opened
from tests.subscriptions.sockets import INIT, Socket

OURS, FRIEND, EVIL = "https://talk.example.org", "https://app.example.org", "https://evil.example"
SIGN_UP = """mutation { signUp(input: {
  handle: "zoe", email: "zoe@example.org", password: "correct horse", delivery: COOKIE
}) { errors { message } } }"""
SIGN_IN = """mutation {
  signIn(input: {identifier: "zoe", password: "correct horse", delivery: COOKIE}) {
    token errors { message path code }
  }
}"""
SIGN_OUT = "mutation { signOut(input: {}) { errors { code } } }"
THREAD = "subscription ($post: ID!) { thread(postId: $post) { __typename } }"
WHO = "{ viewer { user { handle } } }"
ZOE, GREG = {"viewer": {"user": {"handle": "zoe"}}}, {"viewer": {"user": {"handle": "greg"}}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    # What slows down who guesses would slow down the tests.
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@pytest.fixture
async def door(sqlite_url: str) -> AsyncIterator[Door]:
    async with opened(database_url=sqlite_url, public_url=OURS, allowed_origins=FRIEND) as door:
        yield door


async def cookie(door: Door) -> str:
    [set_cookie] = (await door.ask(SIGN_UP)).set_cookies
    return set_cookie.split(";")[0]


async def who(socket: Socket) -> Any:
    await socket.ask(WHO)
    said = await socket.said()
    assert (await socket.hear())["type"] == "complete"
    return said


@pytest.mark.parametrize(("origin", "site"), [(OURS, "same-origin"), (OURS, None), (FRIEND, "same-site"), (None, None)])
async def test_the_cookie_of_the_handshake_counts_for_our_pages_and_named_ones(
    door: Door, origin: str | None, site: str | None
) -> None:
    async with Socket(door.app, cookie=await cookie(door), origin=origin, site=site) as socket:
        await socket.greeted()
        assert await who(socket) == ZOE


@pytest.mark.parametrize("origin", [EVIL, "null", "https://talk.example.org.evil.example"])
async def test_a_page_of_another_site_opens_no_socket(door: Door, origin: str) -> None:
    async with Socket(door.app, cookie=await cookie(door), origin=origin, site="cross-site") as socket:
        assert (await socket.event())["type"] == "websocket.close"


async def test_a_page_that_only_shares_the_host_may_not_use_the_cookie(door: Door) -> None:
    kept, neighbour = await cookie(door), "http://talk.example.org"
    async with Socket(door.app, cookie=kept, origin=neighbour, host="talk.example.org:80") as socket:
        assert (await socket.event())["type"] == "websocket.accept"
        await socket.say(INIT)
        assert await socket.closed() == (4403, "Forbidden")
    async with Socket(door.app, cookie=kept, origin=neighbour, host="talk.example.org:80") as socket:
        await socket.greeted(f"Bearer {door.token}")
        assert await who(socket) == GREG


async def test_a_token_wins_over_the_cookie(door: Door) -> None:
    kept, bearer = await cookie(door), f"Bearer {door.token}"
    async with Socket(door.app, cookie=kept, origin=OURS) as socket:
        await socket.greeted(bearer)
        assert await who(socket) == GREG
    async with Socket(door.app, cookie=kept, authorization=bearer) as socket:
        await socket.greeted()
        assert await who(socket) == GREG
    async with Socket(door.app, cookie=kept, authorization="Bearer nobody") as socket:
        await socket.event()
        await socket.say(INIT)
        assert await socket.closed() == (4403, "Forbidden")


async def test_a_cookie_that_is_no_good_any_more_is_nobodys(door: Door) -> None:
    kept = await cookie(door)
    assert (await door.ask(SIGN_OUT, cookie=kept)).body == {"data": {"signOut": {"errors": []}}}
    async with Socket(door.app, cookie=kept, origin=OURS) as socket:
        await socket.greeted()
        assert await who(socket) == {"viewer": None}
        await socket.ask(THREAD, post=door.post)
        assert await socket.said() == {"thread": {"__typename": "StreamReady"}}


async def test_signing_out_elsewhere_ends_what_the_cookie_had_begun(door: Door) -> None:
    kept = await cookie(door)
    async with Socket(door.app, cookie=kept, origin=OURS) as socket:
        await socket.greeted()
        await socket.ask(THREAD, post=door.post)
        assert await socket.said() == {"thread": {"__typename": "StreamReady"}}
        await door.ask(SIGN_OUT, cookie=kept)
        assert await socket.hear() == {"id": "1", "type": "complete"}
        await socket.ask(WHO)
        heard = await socket.hear()
        assert (heard["type"], heard["payload"][0]["extensions"]) == ("error", {"code": "UNAUTHENTICATED"})


async def test_over_a_socket_no_cookie_can_be_set(door: Door) -> None:
    kept = await cookie(door)
    async with Socket(door.app, cookie=kept, origin=OURS) as socket:
        await socket.greeted()
        await socket.ask(SIGN_IN)
        said = (await socket.said())["signIn"]
        assert said["token"] is None
        assert said["errors"] == [
            {
                "message": "A cookie cannot be set over a socket; sign in by POST.",
                "path": ["input", "delivery"],
                "code": "VALIDATION",
            }
        ]
    assert (await door.ask(WHO, cookie=kept)).body == {"data": ZOE}


async def test_behind_a_proxy_that_names_another_host_our_own_pages_still_open_sockets(door: Door) -> None:
    async with Socket(door.app, cookie=await cookie(door), origin=OURS, host="127.0.0.1:8000") as socket:
        await socket.greeted()
        assert await who(socket) == ZOE


async def test_a_password_is_not_changed_where_the_new_secret_could_not_go_into_the_cookie(door: Door) -> None:
    kept = await cookie(door)
    async with Socket(door.app, cookie=kept, origin=OURS, site="same-origin") as socket:
        await socket.greeted()
        await socket.ask("""mutation { changePassword(input: {
            currentPassword: "correct horse", newPassword: "battery staple"
        }) { token errors { code message } } }""")
        refusal = {"code": "VALIDATION", "message": "A cookie cannot be set over a socket; sign in by POST."}
        assert await socket.said() == {"changePassword": {"token": None, "errors": [refusal]}}
    async with Socket(door.app, cookie=kept, origin=OURS, site="same-origin") as socket:
        await socket.greeted()
        assert await who(socket) == ZOE
