"""The whole service, as its clients meet it: over HTTP's doors and sockets, with a database behind it."""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from starlette.applications import Starlette

from graph.app import create_app, public_url, trimmed
from graph.change import Change
from graph.comments import actions as comment_actions
from graph.comments import rules as comment_rules
from graph.communities import actions as community_actions
from graph.context import Services, Viewer
from graph.events import post_topic
from graph.ids import global_id, key_of
from graph.posts import actions as post_actions
from graph.posts import rules as post_rules
from graph.settings import settings_from
from graph.users import actions as user_actions
from graph.users.authentication import viewer_of
from graph.users.tokens import new_secret
from subscriptions import log
from tests.subscriptions.sockets import Socket

START = 1_700_000_000_000_000  # µs
THREAD = """subscription ($post: ID!, $root: ID, $after: LiveCursor, $snapshot: Boolean! = false) {
  thread(postId: $post, rootId: $root, after: $after, snapshot: $snapshot) {
    __typename
    ... on LiveEvent { cursor }
    ... on CommentAdded { comment { bodyText } }
    ... on CommentChanged { comment { bodyText } }
    ... on StreamReset { reason }
    ... on ThreadSnapshot { post { thread { liveCursor nodes { bodyText } } } }
  }
}"""
ADDED = """subscription ($post: ID!, $after: LiveCursor) {
  commentAdded(postId: $post, after: $after) { cursor comment { bodyText } }
}"""
FETCH = "query ($post: ID!) { post(id: $post) { thread { liveCursor nodes { bodyText } } } }"
ANSWER = """mutation ($post: ID!, $body: Markdown!) {
  addComment(input: {postId: $post, body: $body}) { comment { bodyText } errors { code } }
}"""


@dataclass
class Site:
    """One process of the service, and the people who use it."""

    app: Starlette
    clock: "Clock"
    secrets: dict[str, str] = field(default_factory=dict)
    people: dict[str, int] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        services: Services = self.app.state.services
        return services

    async def join(self, name: str, role: str = "MEMBER", *, lasts: int | None = None) -> None:
        """`lasts` in µs: how long the token is good."""
        user_id = await self.does(None, lambda change: user_actions.create_user(change, handle=name, role=role))
        self.people[name] = user_id
        secret = new_secret("API")
        ends = None if lasts is None else self.clock.now + lasts
        await self.does(
            name,
            lambda change: user_actions.create_api_token(change, name="test", secret_hash=secret.hash, expires_at=ends),
        )
        self.secrets[name] = f"Bearer {secret.text}"

    async def does(self, who: str | None, action: Callable[[Change], Coroutine[Any, Any, Any]]) -> Any:
        viewer = Viewer() if who is None else await viewer_of(self.services.storage, self.people[who])
        assert viewer is not None
        return await self.services.changes.run(action, audience=viewer.audience)

    async def publish(self, who: str, **given: Any) -> str:
        written = post_rules.written("Oui.")
        post = await self.does(
            who, lambda change: post_actions.create_post(change, title="Noël", written=written, **given)
        )
        return global_id("Post", post)

    async def answer(self, who: str, post: str, body: str, parent: int | None = None) -> int:
        written = comment_rules.written(body)
        comment: int = await self.does(
            who,
            lambda change: comment_actions.add_comment(change, post_id=key(post), parent_id=parent, written=written),
        )
        return comment

    def socket(self, **given: Any) -> Socket:
        return Socket(self.app, **given)


@dataclass
class Clock:
    now: int = START

    def __call__(self) -> int:
        return self.now


def key(post: str) -> int:
    return key_of(post, "Post")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
async def site(database_url: str) -> AsyncIterator[Site]:
    clock = Clock()
    app = create_app(settings_from({}, {"database_url": database_url}), clock=clock)
    async with app.router.lifespan_context(app):
        site = Site(app, clock)
        for name, role in (("ada", "ADMIN"), ("greg", "MEMBER"), ("michel", "MEMBER")):
            await site.join(name, role)
        yield site


async def event(socket: Socket, operation: str = "1") -> dict[str, Any]:
    """The next event of this stream, without its cursor."""
    [found] = (await socket.said(operation)).values()
    return {name: value for name, value in found.items() if name != "cursor"}


async def refused(socket: Socket, operation: str = "1") -> list[tuple[str, Any]]:
    """(message, code) of the errors with which this operation did not begin, or ended."""
    heard = await socket.hear()
    assert (heard["type"], heard["id"]) == ("error", operation), heard
    return [(error["message"], error.get("extensions", {}).get("code")) for error in heard["payload"]]


def shown(body: str) -> dict[str, Any]:
    return {"__typename": "CommentAdded", "comment": {"bodyText": body}}


READY = {"__typename": "StreamReady"}


# Who one is ---------------------------------------------------------------------------------------------------------


async def test_a_viewer_asks_and_acts_over_the_socket_too(site: Site) -> None:
    post = await site.publish("greg")
    async with site.socket() as socket:
        await socket.greeted(site.secrets["greg"])
        await socket.ask("{ viewer { user { handle } } }")
        assert await socket.said() == {"viewer": {"user": {"handle": "greg"}}}
        assert await socket.hear() == {"id": "1", "type": "complete"}
        await socket.ask(ANSWER, post=post, body="oui")
        assert await socket.said() == {"addComment": {"comment": {"bodyText": "oui"}, "errors": []}}
        assert await socket.hear() == {"id": "1", "type": "complete"}
        await socket.ask("query ($id: ID!) { post(id: $id) { title } }", id="x")
        heard = await socket.hear()
        assert heard["payload"]["data"] == {"post": None}
        assert heard["payload"]["errors"][0]["extensions"]["code"] == "ID_INVALID"


async def test_the_token_may_come_with_the_handshake_and_the_greeting_wins(site: Site) -> None:
    for header, greeting, handle in (("greg", None, "greg"), ("greg", "michel", "michel"), (None, None, None)):
        async with site.socket(authorization=header and site.secrets[header]) as socket:
            await socket.greeted(greeting and site.secrets[greeting])
            await socket.ask("{ viewer { user { handle } } }")
            assert await socket.said() == {"viewer": handle and {"user": {"handle": handle}}}


@pytest.mark.parametrize("authorization", ["Bearer nobody", "Basic eDp5", "Bearer ", "x", "Bearer é🙂" + "x" * 500])
async def test_a_token_that_is_no_good_is_refused_at_the_greeting(site: Site, authorization: str) -> None:
    async with site.socket() as socket:
        await socket.event()
        await socket.say({"type": "connection_init", "payload": {"authorization": authorization}})
        assert await socket.closed() == (4403, "Forbidden")


@pytest.mark.parametrize("given", [1, True, ["Bearer x"], {"Bearer": "x"}])
async def test_a_token_of_another_kind_is_refused_too(site: Site, given: Any) -> None:
    async with site.socket() as socket:
        await socket.event()
        await socket.say({"type": "connection_init", "payload": {"authorization": given}})
        assert await socket.closed() == (4403, "Forbidden")


async def test_a_bad_token_in_the_handshake_is_refused_at_the_greeting(site: Site) -> None:
    async with site.socket(authorization="Bearer nobody") as socket:
        await socket.event()
        await socket.say({"type": "connection_init"})
        assert await socket.closed() == (4403, "Forbidden")


async def test_a_socket_is_spoken_to_in_the_language_of_its_handshake(site: Site) -> None:
    for language, said in (("fr", "Connectez-vous d’abord."), ("de", "Sign in first.")):
        async with site.socket(language=language) as socket:
            await socket.greeted()
            await socket.ask("mutation { signOut(input: {}) { errors { message } } }")
            assert (await socket.said())["signOut"]["errors"] == [{"message": said}]


async def test_a_stream_that_cannot_begin_says_so_in_the_language_of_the_handshake(site: Site) -> None:
    async with site.socket(language="fr-FR, en;q=0.5", authorization=site.secrets["greg"]) as socket:
        await socket.greeted()
        await socket.ask(ADDED, post=global_id("Post", 99))
        assert (await socket.hear())["payload"][0]["message"] == "Cet article n’existe pas."


# What cannot begin --------------------------------------------------------------------------------------------------


async def test_an_operation_that_cannot_begin_says_why_and_leaves_the_others_alive(site: Site) -> None:
    post = await site.publish("greg")
    wrong: list[tuple[str, dict[str, Any], str | None]] = [
        ("subscription {", {}, None),
        ("", {}, None),
        ("subscription { nothing }", {}, None),
        (ADDED, {}, None),
        (ADDED, {"post": None}, None),
        (ADDED, {"post": ["a", "b"]}, None),
        (ADDED, {"post": "x"}, "ID_INVALID"),
        (ADDED, {"post": global_id("Comment", 1)}, "ID_INVALID"),
        (ADDED, {"post": global_id("Post", 99)}, "NOT_FOUND"),
        (ADDED, {"post": post, "after": "x"}, "CURSOR_INVALID"),
        (ADDED, {"post": post, "after": ""}, "CURSOR_INVALID"),
        (ADDED, {"post": post, "after": "x" * 5000}, "CURSOR_INVALID"),
        (THREAD, {"post": post, "root": "x"}, "ID_INVALID"),
        (THREAD, {"post": post, "root": ""}, "ID_INVALID"),
        (THREAD, {"post": post, "root": global_id("Comment", 99)}, "NOT_FOUND"),
        ("subscription A { __typename } subscription B { __typename }", {}, None),
        ("subscription { __typename }", {}, None),
    ]
    async with site.socket() as socket:
        await socket.greeted()
        await socket.ask(THREAD, "alive", post=post)
        assert await event(socket, "alive") == READY
        for query, variables, code in wrong:
            await socket.ask(query, "wrong", **variables)
            errors = await refused(socket, "wrong")
            assert all(message != "Internal error." for message, _ in errors), query
            assert code is None or [found for _, found in errors] == [code], query
        await site.answer("greg", post, "oui")
        assert await event(socket, "alive") == shown("oui")


async def test_a_subscription_follows_one_thing(site: Site) -> None:
    post = await site.publish("greg")
    one = f'commentAdded(postId: "{post}") {{ cursor }}'
    two, hidden = f"subscription {{ a: {one} b: {one} }}", f"subscription {{ ... {{ {one} }} }}"
    async with site.socket() as socket:
        await socket.greeted()
        for query in (two, hidden):
            await socket.ask(query)
            assert (await refused(socket))[0][0] != "Internal error."
        await socket.pinged()


async def test_what_one_may_not_see_cannot_be_followed(site: Site) -> None:
    cave = await site.does(
        "ada", lambda change: community_actions.create_community(change, name="Cave", visibility="PRIVATE")
    )
    private = await site.publish("ada", community_id=cave)
    draft = await site.publish("greg", publish=False)
    for who, post in ((None, private), ("greg", private), (None, draft), ("michel", draft), ("ada", draft)):
        async with site.socket() as socket:
            await socket.greeted(who and site.secrets[who])
            for query in (THREAD, ADDED):
                await socket.ask(query, post=post)
                assert await refused(socket) == [("There is no such post.", "NOT_FOUND")]
    async with site.socket() as socket:
        await socket.greeted(site.secrets["greg"])
        await socket.ask(THREAD, post=draft)
        assert await event(socket) == READY


# Following ----------------------------------------------------------------------------------------------------------


async def test_a_discussion_is_followed_from_where_it_was_fetched(site: Site) -> None:
    post = await site.publish("greg")
    await site.answer("greg", post, "un")
    async with site.socket() as socket:
        await socket.greeted()
        await socket.ask(FETCH, post=post)
        fetched = (await socket.said())["post"]["thread"]
        assert fetched["nodes"] == [{"bodyText": "un"}]
        assert (await socket.hear())["type"] == "complete"
        await site.answer("greg", post, "deux")
        await socket.ask(THREAD, "thread", post=post, after=fetched["liveCursor"])
        first = (await socket.said("thread"))["thread"]
        assert first == {"__typename": "StreamReady", "cursor": fetched["liveCursor"]}
        assert await event(socket, "thread") == shown("deux")
        await socket.ask(ADDED, "added", post=post, after=fetched["liveCursor"])
        assert await event(socket, "added") == {"comment": {"bodyText": "deux"}}
        await site.answer("michel", post, "trois")
        heard = [await socket.hear() for _ in range(2)]
        assert sorted(message["id"] for message in heard) == ["added", "thread"]


async def test_without_a_cursor_a_stream_begins_now(site: Site) -> None:
    post = await site.publish("greg")
    await site.answer("greg", post, "avant")
    async with site.socket() as socket:
        await socket.greeted()
        await socket.ask(THREAD, post=post)
        assert await event(socket) == READY
        await site.answer("greg", post, "après")
        assert await event(socket) == shown("après")


async def test_a_snapshot_comes_first_and_the_stream_goes_on_from_it(site: Site) -> None:
    post = await site.publish("greg")
    await site.answer("greg", post, "un")
    async with site.socket() as socket:
        await socket.greeted()
        for after in (None, "of an earlier time"):
            if after is not None:
                await socket.ask(FETCH, "fetch", post=post)
                after = (await socket.said("fetch"))["post"]["thread"]["liveCursor"]
                assert (await socket.hear())["type"] == "complete"
                await site.answer("greg", post, "deux")
                assert await event(socket, "None") == shown("deux")
            await socket.ask(THREAD, str(after), post=post, snapshot=True, after=after)
            first = (await socket.said(str(after)))["thread"]
            assert first["__typename"] == "ThreadSnapshot"
            assert first["post"]["thread"]["liveCursor"] == first["cursor"]
            bodies = [node["bodyText"] for node in first["post"]["thread"]["nodes"]]
            assert bodies == ["un"] + ([] if after is None else ["deux"])


async def test_a_branch_is_followed_alone(site: Site) -> None:
    post = await site.publish("greg")
    root, other = [await site.answer("greg", post, body) for body in ("racine", "autre")]
    async with site.socket() as socket:
        await socket.greeted()
        await socket.ask(THREAD, post=post, root=global_id("Comment", root))
        assert await event(socket) == READY
        await site.answer("michel", post, "ailleurs", other)
        await site.answer("michel", post, "ici", root)
        assert await event(socket) == shown("ici")


async def test_who_comes_back_too_late_is_told_where_to_go_on(site: Site) -> None:
    post = await site.publish("greg")
    async with site.socket() as socket:
        await socket.greeted()
        await socket.ask(FETCH, post=post)
        cursor = (await socket.said())["post"]["thread"]["liveCursor"]
        assert (await socket.hear())["type"] == "complete"
        for body in ("un", "deux", "trois"):
            await site.answer("greg", post, body)
        storage = site.services.storage
        assert await trimmed(storage, 1, 0, 0) is None
        assert (await log.standing(storage, [post_topic(key(post))])).places[post_topic(key(post))].position == 3

        await socket.ask(ADDED, post=post, after=cursor)
        heard = await socket.hear()
        assert (heard["type"], heard["id"]) == ("error", "1")
        [error] = heard["payload"]
        assert error["extensions"].keys() == {"code", "reason", "cursor"}
        assert (error["extensions"]["code"], error["extensions"]["reason"]) == ("CURSOR_EXPIRED", "RETENTION")
        await socket.ask(ADDED, post=post, after=error["extensions"]["cursor"])

        await socket.ask(THREAD, "thread", post=post, after=cursor)
        assert await event(socket, "thread") == READY
        reset = (await socket.said("thread"))["thread"]
        assert (reset["__typename"], reset["reason"]) == ("StreamReset", "RETENTION")
        assert reset["cursor"] == error["extensions"]["cursor"]
        await site.answer("greg", post, "quatre")
        events = {message["id"]: message["payload"]["data"] for message in [await socket.hear() for _ in range(2)]}
        assert events["1"]["commentAdded"]["comment"] == {"bodyText": "quatre"}
        assert events["thread"]["thread"]["comment"] == {"bodyText": "quatre"}


async def test_who_stood_in_a_history_before_a_restore_is_told_so(site: Site) -> None:
    post = await site.publish("greg")
    async with site.socket() as socket:
        await socket.greeted()
        await socket.ask(FETCH, post=post)
        cursor = (await socket.said())["post"]["thread"]["liveCursor"]
        assert (await socket.hear())["type"] == "complete"
        await site.services.storage.write([log.new_epoch])
        await socket.ask(ADDED, post=post, after=cursor)
        [error] = (await socket.hear())["payload"]
        assert (error["extensions"]["code"], error["extensions"]["reason"]) == ("CURSOR_EXPIRED", "EPOCH")


async def test_what_is_written_in_one_process_is_heard_in_the_other(site: Site, database_url: str) -> None:
    post = await site.publish("greg")
    other = create_app(settings_from({}, {"database_url": database_url}), clock=site.clock)
    async with other.router.lifespan_context(other), Socket(other) as socket:
        await socket.greeted()
        await socket.ask(THREAD, post=post)
        assert await event(socket) == READY
        await site.answer("greg", post, "d’un autre")
        assert await event(socket) == shown("d’un autre")


# Rights that end ----------------------------------------------------------------------------------------------------


async def leaves(site: Site, cave: int, post: str) -> None:
    await site.does("greg", lambda change: community_actions.leave_community(change, community_id=cave))


async def is_removed(site: Site, cave: int, post: str) -> None:
    greg = site.people["greg"]
    await site.does("ada", lambda change: community_actions.remove_member(change, community_id=cave, user_id=greg))


async def has_the_token_revoked(site: Site, cave: int, post: str) -> None:
    viewer_token = 2  # of those who joined the second was Greg
    await site.does("greg", lambda change: user_actions.revoke_api_token(change, token_id=viewer_token))


async def finds_the_post_deleted(site: Site, cave: int, post: str) -> None:
    await site.does("ada", lambda change: post_actions.delete_post(change, post_id=key(post)))


async def finds_the_post_a_draft_again(site: Site, cave: int, post: str) -> None:
    await site.does("ada", lambda change: post_actions.unpublish_post(change, post_id=key(post)))


@pytest.mark.parametrize(
    "loses", [leaves, is_removed, has_the_token_revoked, finds_the_post_deleted, finds_the_post_a_draft_again]
)
async def test_whose_right_ends_gets_nothing_that_was_written_after(
    site: Site, loses: Callable[[Site, int, str], Coroutine[Any, Any, None]]
) -> None:
    cave = await site.does(
        "ada", lambda change: community_actions.create_community(change, name="Cave", visibility="PRIVATE")
    )
    greg = site.people["greg"]
    await site.does("ada", lambda change: community_actions.set_member(change, community_id=cave, user_id=greg))
    post = await site.publish("ada", community_id=cave)
    async with AsyncExitStack() as stack:
        reader, owner = [await stack.enter_async_context(site.socket()) for _ in range(2)]
        await reader.greeted(site.secrets["greg"])
        await owner.greeted(site.secrets["ada"])
        for socket in (reader, owner):
            await socket.ask(THREAD, post=post)
            ready = (await socket.said())["thread"]
            assert ready["__typename"] == "StreamReady"
        await reader.ask(ADDED, "added", post=post, after=ready["cursor"])
        await site.answer("ada", post, "pour les membres")
        heard = [await reader.hear() for _ in range(2)]
        assert sorted(message["id"] for message in heard) == ["1", "added"]
        assert await event(owner) == shown("pour les membres")

        await loses(site, cave, post)
        if "post" not in loses.__name__:
            await site.answer("ada", post, "sans lui")
            assert await event(owner) == shown("sans lui")
        assert sorted([(await reader.hear())["id"] for _ in range(2)]) == ["1", "added"]
        await reader.pinged()
        await reader.ask(THREAD, post=post)
        assert (await refused(reader))[0][1] in ("NOT_FOUND", "UNAUTHENTICATED")
        await reader.ask(FETCH, "fetch", post=post)
        heard_last = await reader.hear()
        assert heard_last["payload"] == {"data": {"post": None}} or heard_last["type"] == "error"


async def test_streams_that_end_say_no_more_than_that(site: Site) -> None:
    post = await site.publish("greg")
    async with site.socket() as socket:
        await socket.greeted()
        await socket.ask(THREAD, post=post)
        assert await event(socket) == READY
        await site.does("greg", lambda change: post_actions.delete_post(change, post_id=key(post)))
        assert await socket.hear() == {"id": "1", "type": "complete"}
        await socket.pinged()


async def test_a_session_that_ends_by_itself_ends_its_streams(site: Site) -> None:
    await site.join("zoe", lasts=50_000)
    post = await site.publish("greg")
    async with site.socket() as socket:
        await socket.greeted(site.secrets["zoe"])
        await socket.ask(THREAD, post=post)
        assert await event(socket) == READY
        site.clock.now += 50_000
        assert await socket.hear() == {"id": "1", "type": "complete"}
        await socket.ask("{ viewer { id } }")
        assert await refused(socket) == [("This session has ended.", "UNAUTHENTICATED")]


async def test_who_joins_sees_what_is_written_from_then_on_without_a_new_socket(site: Site) -> None:
    cave = await site.does(
        "ada", lambda change: community_actions.create_community(change, name="Cave", visibility="PRIVATE")
    )
    post, greg = await site.publish("ada", community_id=cave), site.people["greg"]
    async with site.socket() as socket:
        await socket.greeted(site.secrets["greg"])
        await socket.ask(THREAD, post=post)
        assert await refused(socket) == [("There is no such post.", "NOT_FOUND")]
        await site.does("ada", lambda change: community_actions.set_member(change, community_id=cave, user_id=greg))
        await socket.ask(THREAD, post=post)
        assert await event(socket) == READY
        await site.answer("ada", post, "bienvenue")
        assert await event(socket) == shown("bienvenue")


# The process --------------------------------------------------------------------------------------------------------


async def test_who_watches_over_it_learns_that_it_lives_and_is_ready(site: Site) -> None:
    async with AsyncClient(transport=ASGITransport(app=site.app), base_url="http://palabre.test") as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ({"port": 8000}, "http://127.0.0.1:8000"),
        ({"host": "::1", "port": 1}, "http://[::1]:1"),
        ({"public_url": "https://talk.example.org/"}, "https://talk.example.org"),
        ({"public_url": "https://example.org/talk/", "port": 1}, "https://example.org/talk"),
    ],
)
def test_addresses_begin_with_where_people_reach_it(given: dict[str, Any], address: str) -> None:
    assert public_url(settings_from({}, given)) == address
