"""Who comes into a community: invited by name, by a link, or at their own request."""

import asyncio
from typing import Any

import pytest

from graph.admission import actions
from graph.audience import VISITOR
from graph.communities import actions as community_actions
from graph.context import Viewer
from graph.refusals import Closed, Conflict, Invalid, NotFound, NotPermitted, Refusal, SignInFirst

DAY = 24 * 3600 * 1_000_000  # µs


async def refused(door: Any, kind: type[Refusal], name: str, action: Any, **given: Any) -> Refusal:
    """The refusal of somebody's act, which has changed nothing."""
    before = await door.everything()
    with pytest.raises(kind) as refusal:
        await door.by(name, action, **given)
    assert await door.everything() == before
    return refusal.value


# Invited by name ------------------------------------------------------------------------------------------------------


async def test_who_is_invited_sees_a_private_community_and_joins_it(door: Any) -> None:
    await refused(door, NotFound, "greg", community_actions.join_community, community_id=door.private)
    key = await door.invite("greg")
    assert await door.invite("greg", by="ada") == key
    assert (await door.viewer("greg")).audience.invited_to == {door.private}
    membership, community_id = await door.by("greg", actions.accept_invitation, invitation_id=key)
    assert community_id == door.private
    assert (await door.roles(door.private))["greg"] == "MEMBER"
    assert await door.counts() == [2, 3]
    [invitation] = await door.invitations()
    assert (invitation["answer"], invitation["inviter_id"]) == ("ACCEPTED", door.ids["mia"])
    assert (await door.viewer("greg")).audience.invited_to == frozenset()
    assert await door.by("greg", actions.accept_invitation, invitation_id=key) == [membership, community_id]


async def test_joining_accepts_the_invitation_too(door: Any) -> None:
    await door.invite("greg")
    await door.by("greg", community_actions.join_community, community_id=door.private)
    assert [each["answer"] for each in await door.invitations()] == ["ACCEPTED"]


@pytest.mark.parametrize(
    ("action", "name", "answer"),
    [(actions.decline_invitation, "greg", "DECLINED"), (actions.withdraw_invitation, "mia", "WITHDRAWN")],
)
async def test_an_invitation_that_is_declined_or_withdrawn_shows_nothing_any_more(
    door: Any, action: Any, name: str, answer: str
) -> None:
    key = await door.invite("greg")
    await door.by(name, action, invitation_id=key)
    assert [each["answer"] for each in await door.invitations()] == [answer]
    assert (await door.viewer("greg")).audience.invited_to == frozenset()
    await refused(door, NotFound, "greg", community_actions.join_community, community_id=door.private)
    await refused(door, Conflict, "greg", actions.accept_invitation, invitation_id=key)
    await refused(door, Conflict, name, action, invitation_id=key)
    assert await door.invite("greg") != key


async def test_an_invitation_is_for_who_is_invited_alone(door: Any) -> None:
    key = await door.invite("greg")
    for action in (actions.accept_invitation, actions.decline_invitation, actions.withdraw_invitation):
        await refused(door, NotFound, "zoe", action, invitation_id=key)
        await refused(door, NotFound, "zoe", action, invitation_id=key + 99)
    await refused(door, NotFound, "mia", actions.accept_invitation, invitation_id=key)
    await refused(door, NotPermitted, "greg", actions.withdraw_invitation, invitation_id=key)


async def test_only_moderators_invite(door: Any) -> None:
    given = {"community_id": door.public, "user_id": door.ids["zoe"]}
    await refused(door, NotPermitted, "greg", actions.invite, **given)
    await refused(door, NotFound, "greg", actions.invite, **given | {"community_id": door.private})
    await refused(door, NotFound, "mia", actions.invite, **given | {"user_id": 999})
    await refused(door, Conflict, "mia", actions.invite, **given | {"user_id": door.ids["ada"]})
    with pytest.raises(SignInFirst):
        await door.community.act(lambda change: actions.invite(change, **given), Viewer(VISITOR))


async def test_who_is_banned_is_not_invited_and_loses_invitation_and_request(door: Any) -> None:
    await door.invite("greg", community_id=door.public)
    await door.ask("greg")
    banned = {"community_id": door.public, "user_id": door.ids["greg"]}
    await door.by("mia", community_actions.ban_from_community, **banned)
    assert [each["answer"] for each in await door.invitations()] == ["WITHDRAWN"]
    assert [each["answer"] for each in await door.requests()] == ["DECLINED"]
    await refused(door, NotPermitted, "mia", actions.invite, **banned)
    refusal = await refused(door, NotPermitted, "greg", actions.request_to_join, community_id=door.public)
    assert str(refusal) == "You are banned from this community."


# Invited by a link ----------------------------------------------------------------------------------------------------


async def test_a_link_lets_in_as_many_as_it_is_for_and_a_member_does_not_use_it_up(door: Any) -> None:
    key, code = await door.link(uses_limit=1)
    await door.by("mia", actions.accept_invitation, code_hash=code)
    await door.by("greg", actions.accept_invitation, code_hash=code)
    await door.by("greg", actions.accept_invitation, code_hash=code)
    assert [(each["uses"], each["answer"]) for each in await door.invitations()] == [(1, "PENDING")]
    refusal = await refused(door, NotFound, "zoe", actions.accept_invitation, code_hash=code)
    assert (str(refusal), refusal.path) == ("This invitation is not good any more.", ("input", "code"))
    assert "zoe" not in await door.roles(door.private)
    assert key == 1


async def test_of_two_who_use_the_last_place_at_once_one_comes_in(door: Any) -> None:
    _, code = await door.link(uses_limit=1)
    came = await asyncio.gather(
        *(door.by(name, actions.accept_invitation, code_hash=code) for name in ("greg", "zoe")), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in came) == ["NotFound", "list"]
    assert await door.counts() == [2, 3]


async def test_a_link_ends_when_it_was_said_to_and_when_it_is_withdrawn(door: Any) -> None:
    _, code = await door.link(expires_at=door.community.now + DAY)
    key, other = await door.link()
    await door.by("mia", actions.withdraw_invitation, invitation_id=key)
    await refused(door, NotFound, "greg", actions.accept_invitation, code_hash=other)
    door.community.now += DAY
    await refused(door, NotFound, "greg", actions.accept_invitation, code_hash=code)
    await refused(door, NotFound, "greg", actions.accept_invitation, code_hash=b"guessed")


@pytest.mark.parametrize("given", [{"uses_limit": 0}, {"uses_limit": 10_001}, {"expires_at": 1}])
async def test_a_link_that_nobody_could_use_is_refused(door: Any, given: dict[str, int]) -> None:
    await refused(door, Invalid, "mia", actions.invite_by_link, community_id=door.private, code_hash=b"1", **given)


async def test_only_moderators_make_links(door: Any) -> None:
    given = {"community_id": door.public, "code_hash": b"1"}
    await refused(door, NotPermitted, "greg", actions.invite_by_link, **given)
    await refused(door, NotFound, "greg", actions.invite_by_link, **given | {"community_id": door.private})


async def test_a_ban_holds_against_a_link(door: Any) -> None:
    _, code = await door.link()
    given = {"community_id": door.private, "user_id": door.ids["greg"]}
    await door.by("mia", community_actions.ban_from_community, **given)
    await refused(door, NotPermitted, "greg", actions.accept_invitation, code_hash=code)


async def test_a_ban_ends_the_links_of_who_is_banned_and_no_others(door: Any) -> None:
    _, code = await door.link()
    await door.by("ada", actions.invite_by_link, community_id=door.private, code_hash=b"of ada")
    banned = {"community_id": door.private, "user_id": door.ids["mia"]}
    await door.by("ada", community_actions.ban_from_community, **banned)
    await refused(door, NotFound, "greg", actions.accept_invitation, code_hash=code)
    await door.by("ada", community_actions.unban_from_community, **banned)
    await refused(door, NotFound, "greg", actions.accept_invitation, code_hash=code)
    await door.by("greg", actions.accept_invitation, code_hash=b"of ada")
    assert (await door.roles(door.private))["greg"] == "MEMBER"


# At their own request -------------------------------------------------------------------------------------------------


async def test_who_asks_is_let_in_by_a_moderator(door: Any) -> None:
    key = await door.ask("greg", " Let me in. ")
    assert await door.ask("greg", "Now!") == key
    assert "greg" not in await door.roles(door.public)
    await refused(door, NotFound, "zoe", actions.accept_request, request_id=key)
    await refused(door, NotPermitted, "greg", actions.accept_request, request_id=key)
    door.community.now += 1
    assert (await door.by("mia", actions.accept_request, request_id=key))[1] == door.public
    assert (await door.roles(door.public))["greg"] == "MEMBER"
    [request] = await door.requests()
    assert (request["message"], request["answer"]) == ("Let me in.", "ACCEPTED")
    assert request["answered_at"] == door.community.now
    await refused(door, Conflict, "mia", actions.accept_request, request_id=key)
    await refused(door, Conflict, "greg", actions.request_to_join, community_id=door.public)


@pytest.mark.parametrize(
    ("action", "name", "answer"),
    [(actions.decline_request, "mia", "DECLINED"), (actions.withdraw_request, "greg", "WITHDRAWN")],
)
async def test_a_request_is_declined_by_a_moderator_and_withdrawn_by_who_made_it(
    door: Any, action: Any, name: str, answer: str
) -> None:
    key = await door.ask("greg")
    other = "greg" if name == "mia" else "mia"
    await refused(door, NotPermitted if other == "greg" else NotFound, other, action, request_id=key)
    await door.by(name, action, request_id=key)
    assert [each["answer"] for each in await door.requests()] == [answer]
    await refused(door, Conflict, name, action, request_id=key)
    await refused(door, Conflict, "mia", actions.accept_request, request_id=key)
    assert await door.ask("greg") != key


async def test_one_asks_only_where_one_has_to_and_may(door: Any) -> None:
    await refused(door, NotFound, "greg", actions.request_to_join, community_id=door.private)
    await refused(door, Invalid, "greg", actions.request_to_join, community_id=door.public, message="x" * 501)
    edited = {"community_id": door.public, "joining": "OPEN"}
    await door.by("ada", community_actions.edit_community, **edited)
    refusal = await refused(door, NotPermitted, "greg", actions.request_to_join, community_id=door.public)
    assert str(refusal) == "Nobody has to ask here: join."
    await door.by("ada", community_actions.edit_community, **edited | {"joining": "INVITATION"})
    refusal = await refused(door, NotPermitted, "greg", actions.request_to_join, community_id=door.public)
    assert str(refusal) == "This community is joined by invitation."


async def test_nobody_comes_into_what_is_archived(door: Any) -> None:
    invitation = await door.invite("greg", community_id=door.public)
    request = await door.ask("zoe")
    await door.by("ada", community_actions.archive_community, community_id=door.public)
    given = {"community_id": door.public}
    await refused(door, Closed, "greg", actions.accept_invitation, invitation_id=invitation)
    await refused(door, Closed, "mia", actions.accept_request, request_id=request)
    await refused(door, Closed, "greg", actions.request_to_join, **given)
    await refused(door, Closed, "mia", actions.invite, **given, user_id=door.ids["zoe"])
    await refused(door, Closed, "mia", actions.invite_by_link, **given, code_hash=b"1")
    await door.by("mia", actions.decline_request, request_id=request)


async def test_who_asks_several_times_at_once_has_asked_once(door: Any) -> None:
    assert len(set(await asyncio.gather(*(door.ask("greg") for _ in range(8))))) == 1
    assert len(await door.requests()) == 1
