"""What ends a session ends what is followed with it, at once, and nothing that others follow."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from graph.context import Viewer
from graph.ids import global_id
from graph.live import Member, SessionEnd
from graph.users import actions
from graph.users.tokens import new_secret
from subscriptions.session import Refusing

START = 1_700_000_000_000_000  # µs
SOON = 5.0  # seconds: long before that, or the test fails
DAY = 24 * 3600 * 1_000_000  # µs
FOLLOW = "subscription Follow($post: ID!) { thread(postId: $post) { __typename cursor } }"


class Device:
    """A browser or program, with one stream open."""

    def __init__(self, community: Any, member: Member, watch: Any) -> None:
        self.community, self.member, self.watch = community, member, watch

    @property
    def viewer(self) -> Viewer:
        return self.member.viewer

    @property
    def token_id(self) -> int:
        assert self.viewer.token_id is not None
        return self.viewer.token_id

    async def is_let_in(self) -> bool:
        """Whether another operation on the same socket is answered."""
        try:
            answer = await self.community.door.begin(self.member, {"query": "{ viewer { id } }"})
        except Refusing:
            return False
        return isinstance(answer, bytes)


async def device(community: Any, kind: str, post: int) -> Device:
    secret = new_secret(kind)
    if kind == "SESSION":
        await community.act(
            lambda change: actions.sign_in(
                change, user_id=1, checked_hash="hash", secret_hash=secret.hash, expires_at=community.now + DAY
            )
        )
    else:
        await community.act(
            lambda change: actions.token_for(change, handle="greg", name="program", secret_hash=secret.hash)
        )
    viewer = await community.by_secret(secret.text)
    member = Member(viewer, secret.text)
    watch = await community.follow_as(member, FOLLOW, post=global_id("Post", post))
    await watch.frame(0)
    return Device(community, member, watch)


Ending = Callable[[Any, Device, Device], Awaitable[Any]]


def by(action: Callable[[Device, Device], Callable[[Any], Any]], *, as_viewer: bool = True) -> Ending:
    async def end(community: Any, here: Device, there: Device) -> None:
        await community.act(action(here, there), *([here.viewer] if as_viewer else []))

    return end


# Which of (here, there, program) are shut out by it.
ENDINGS: dict[str, tuple[Ending, tuple[bool, bool, bool]]] = {
    "revoke_session": (
        by(lambda here, there: lambda change: actions.sign_out(change, session_id=there.token_id)),
        (False, True, False),
    ),
    "sign_out_everywhere": (
        by(lambda here, there: lambda change: actions.sign_out_everywhere(change, here_too=False)),
        (False, True, False),
    ),
    "sign_out_everywhere_and_here": (
        by(lambda here, there: lambda change: actions.sign_out_everywhere(change, here_too=True)),
        (True, True, False),
    ),
    "change_password": (  # here goes on under a new secret, with which it comes back
        by(
            lambda here, there: (
                lambda change: actions.change_password(
                    change, checked_hash="hash", password_hash="other", secret_hash=b"new", expires_at=change.now + DAY
                )
            )
        ),
        (True, True, False),
    ),
    "reset_password": (
        by(
            lambda here, there: (
                lambda change: actions.reset_password(change, user_id=1, password_hash="other", end_api_tokens=True)
            ),
            as_viewer=False,
        ),
        (True, True, True),
    ),
    "set_role": (
        by(
            lambda here, there: lambda change: actions.set_role(change, handle="greg", role="MODERATOR"),
            as_viewer=False,
        ),
        (True, True, False),
    ),
    "deactivate_account": (
        by(lambda here, there: lambda change: actions.deactivate_account(change, checked_hash="hash")),
        (True, True, True),
    ),
    "deactivate": (
        by(lambda here, there: lambda change: actions.deactivate(change, handle="greg"), as_viewer=False),
        (True, True, True),
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
async def test_what_ends_a_session_ends_its_streams_and_no_others(community: Any, name: str) -> None:
    end, expected = ENDINGS[name]
    await community.person("greg", password_hash="hash")
    writer = await community.viewer(await community.person("michel"))
    post = await community.publish(writer)
    devices = [await device(community, kind, post) for kind in ("SESSION", "SESSION", "API")]
    bystander = await community.follow(FOLLOW, post=global_id("Post", post))
    await bystander.frame(0)

    await end(community, devices[0], devices[1])
    await community.answer_post(writer, post)

    for each, is_shut_out in zip(devices, expected, strict=True):
        if is_shut_out:
            await each.watch.end()
            assert [frame["__typename"] for frame in each.watch.frames] == ["StreamReady"]
        else:
            assert (await each.watch.frame(1))["__typename"] == "CommentAdded"
            assert not each.watch.ended
        assert await each.is_let_in() is not is_shut_out
    assert (await bystander.frame(1))["__typename"] == "CommentAdded"


async def test_a_program_reads_live_with_the_scope_to_read_and_shares_its_frames(community: Any) -> None:
    greg = await community.viewer(await community.person("greg"))
    post = await community.publish(greg)
    secret = new_secret("API")
    await community.act(
        lambda change: actions.token_for(change, handle="greg", name="reader", secret_hash=secret.hash, scopes=["READ"])
    )
    reader = await community.by_secret(secret.text)
    stream = await community.door.begin(
        Member(reader, secret.text), {"query": FOLLOW, "variables": {"post": global_id("Post", post)}}
    )
    visitor = await community.door.begin(Member(), {"query": FOLLOW, "variables": {"post": global_id("Post", post)}})
    assert stream.audience == visitor.audience


async def test_a_timer_that_is_early_waits_for_the_session_to_end() -> None:
    """The loop's clock is another than the session's, and no timer is set for longer than a day."""
    ends_at = START + 1_000
    clock = iter([START, START, ends_at - 1, ends_at])
    ended = asyncio.Event()
    SessionEnd(ends_at, lambda: next(clock), ended.set)
    async with asyncio.timeout(SOON):
        await ended.wait()
    assert list(clock) == []


async def test_a_session_that_has_ended_before_it_is_watched_is_told_at_once() -> None:
    ended: list[str] = []
    SessionEnd(START, lambda: START, lambda: ended.append("now"))
    assert ended == ["now"]


async def test_a_session_without_an_end_is_never_told() -> None:
    SessionEnd(None, lambda: START, lambda: pytest.fail("it ended")).cancel()
