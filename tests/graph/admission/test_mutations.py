"""Coming into communities over the API: what is answered, what is shown to whom, and what a link gives away."""

from typing import Any

import pytest

from graph.admission import actions
from graph.admission.codes import PREFIX
from graph.ids import global_id
from graph.scalars import instant_text
from graph.users.tokens import hash_of

ERRORS = "errors { __typename code path message }"
INVITED = "invitation { id answer uses usesLimit expiresAt invitee { handle } inviter { handle } community { slug } }"
ASKED = "joinRequest { id answer message answeredAt user { handle } community { slug } }"
CAME = "membership { role user { handle } } community { slug memberCount viewerRole }"
ACTS = {
    "invite": ("InviteToCommunityInput", "inviteToCommunity", INVITED),
    "link": ("CreateInvitationLinkInput", "createInvitationLink", f"code {INVITED}"),
    "accept": ("AcceptInvitationInput", "acceptInvitation", CAME),
    "decline": ("InvitationInput", "declineInvitation", INVITED),
    "withdraw": ("InvitationInput", "withdrawInvitation", INVITED),
    "ask": ("RequestToJoinCommunityInput", "requestToJoinCommunity", ASKED),
    "let in": ("JoinRequestInput", "acceptJoinRequest", CAME),
    "refuse": ("JoinRequestInput", "declineJoinRequest", ASKED),
    "take back": ("JoinRequestInput", "withdrawJoinRequest", ASKED),
}
WAITING = """{ viewer {
    invitations { nodes { community { slug name memberCount posts { nodes { id } } members { nodes { role } } } } }
    joinRequests { nodes { message community { slug } } }
    memberships { nodes { role community { slug } } }
} }"""


async def done(door: Any, who: str, act: str, **given: Any) -> dict[str, Any]:
    input_type, field, shown = ACTS[act]
    text = (
        f"mutation ($input: {input_type}!) {{ done: {field}(input: $input) {{ {shown} {ERRORS} clientMutationId }} }}"
    )
    payload: dict[str, Any] = (await door.community.data(text, await door.viewer(who), input=given))["done"]
    return payload


async def waiting(door: Any, who: str) -> dict[str, list[Any]]:
    viewer = (await door.community.data(WAITING, await door.viewer(who)))["viewer"]
    return {name: found["nodes"] for name, found in viewer.items()}


def place(door: Any, which: str = "private") -> str:
    return global_id("Community", getattr(door, which))


async def test_an_invitation_shows_the_community_and_nothing_that_is_said_in_it(door: Any) -> None:
    mia = await door.viewer("mia")
    await door.community.publish(mia, community_id=door.private)
    payload = await done(door, "mia", "invite", communityId=place(door), userId=global_id("User", door.ids["greg"]))
    assert payload["errors"] == []
    assert payload["invitation"] == {
        "id": global_id("CommunityInvitation", 1),
        "answer": "PENDING",
        "uses": 0,
        "usesLimit": None,
        "expiresAt": None,
        "invitee": {"handle": "greg"},
        "inviter": {"handle": "mia"},
        "community": {"slug": "closed"},
    }
    hidden: dict[str, Any] = {"posts": {"nodes": []}, "members": {"nodes": []}}
    assert (await waiting(door, "greg"))["invitations"] == [
        {"community": {"slug": "closed", "name": "Closed", "memberCount": 2} | hidden}
    ]
    assert (await waiting(door, "zoe"))["invitations"] == []

    accepted = await done(door, "greg", "accept", id=payload["invitation"]["id"])
    assert accepted == {
        "membership": {"role": "MEMBER", "user": {"handle": "greg"}},
        "community": {"slug": "closed", "memberCount": 3, "viewerRole": "MEMBER"},
        "errors": [],
        "clientMutationId": None,
    }
    found = await waiting(door, "greg")
    assert found["invitations"] == []
    assert found["memberships"] == [{"role": "MEMBER", "community": {"slug": "closed"}}]


async def test_who_declines_sees_the_community_no_longer_in_the_same_answer(door: Any) -> None:
    key = global_id("CommunityInvitation", await door.invite("greg"))
    payload = await done(door, "greg", "decline", id=key)
    assert (payload["invitation"]["answer"], payload["invitation"]["community"]) == ("DECLINED", None)


async def test_the_code_of_a_link_is_told_once_and_kept_as_a_hash(door: Any) -> None:
    end = instant_text(door.community.now + 1)
    given = {"communityId": place(door), "usesLimit": 2, "expiresAt": end, "clientMutationId": "one"}
    first = await done(door, "mia", "link", **given)
    again = await done(door, "mia", "link", **given)
    code = first["code"]
    assert code.startswith(PREFIX)
    assert (first["invitation"]["usesLimit"], first["invitation"]["expiresAt"]) == (2, end)
    assert (again["code"], again["invitation"]) == (None, first["invitation"])
    [kept] = await door.invitations()
    assert kept["code_hash"] == hash_of(code)
    assert code not in str(await door.everything())
    came = await done(door, "greg", "accept", code=code)
    assert came["community"]["slug"] == "closed"
    assert (await done(door, "mia", "withdraw", id=first["invitation"]["id"]))["invitation"]["uses"] == 1
    refused = await done(door, "zoe", "accept", code=code)
    assert (refused["membership"], refused["community"]) == (None, None)
    assert [(error["code"], error["path"]) for error in refused["errors"]] == [("NOT_FOUND", ["input", "code"])]


@pytest.mark.parametrize(
    ("given", "code", "path"),
    [
        ({}, "VALIDATION", ["input"]),
        ({"id": "x", "code": "x"}, "VALIDATION", ["input"]),
        ({"id": "x"}, "VALIDATION", ["input", "id"]),
        ({"code": ""}, "NOT_FOUND", ["input", "code"]),
        ({"code": "x" * 10_000}, "NOT_FOUND", ["input", "code"]),
        ({"id": global_id("CommunityInvitation", 99)}, "NOT_FOUND", ["input", "id"]),
    ],
)
async def test_what_is_no_invitation_is_refused_where_it_stands(
    door: Any, given: dict[str, str], code: str, path: list[str]
) -> None:
    payload = await done(door, "greg", "accept", **given)
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [(code, path)]


async def test_a_request_goes_to_the_moderators_and_is_answered(door: Any) -> None:
    asked = await done(door, "greg", "ask", communityId=place(door, "public"), message="Let me in.")
    assert asked["joinRequest"]["answer"] == "PENDING"
    assert (await waiting(door, "greg"))["joinRequests"] == [{"message": "Let me in.", "community": {"slug": "open"}}]
    text = "query ($id: ID) { community(id: $id) { joinRequests { nodes { id message user { handle } } } } }"
    lists = {
        name: (await door.community.data(text, await door.viewer(name), id=place(door, "public")))["community"]
        for name in ("mia", "ada", "greg", "zoe")
    }
    key = asked["joinRequest"]["id"]
    shown = [{"id": key, "message": "Let me in.", "user": {"handle": "greg"}}]
    assert {name: found["joinRequests"]["nodes"] for name, found in lists.items()} == {
        "mia": shown,
        "ada": shown,
        "greg": [],
        "zoe": [],
    }
    assert (await done(door, "mia", "let in", id=key))["community"] == {
        "slug": "open",
        "memberCount": 3,
        "viewerRole": "MODERATOR",
    }
    assert (await waiting(door, "greg"))["joinRequests"] == []


async def test_a_request_is_refused_or_taken_back(door: Any) -> None:
    for who, act, answer in (("mia", "refuse", "DECLINED"), ("greg", "take back", "WITHDRAWN")):
        door.community.now += 1
        key = global_id("CommunityJoinRequest", await door.ask("greg"))
        payload = await done(door, who, act, id=key)
        assert payload["joinRequest"]["answer"] == answer
        assert payload["joinRequest"]["answeredAt"] == instant_text(door.community.now)


@pytest.mark.parametrize("act", ["let in", "refuse"])
async def test_who_may_not_answer_a_request_is_told_at_the_input_that_names_it(door: Any, act: str) -> None:
    payload = await done(door, "greg", act, id=global_id("CommunityJoinRequest", await door.ask("greg")))
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("NOT_PERMITTED", ["input", "id"])]


async def test_who_is_invited_but_no_moderator_cannot_withdraw_it_and_is_told_where(door: Any) -> None:
    payload = await done(door, "greg", "withdraw", id=global_id("CommunityInvitation", await door.invite("greg")))
    assert [(error["code"], error["path"]) for error in payload["errors"]] == [("NOT_PERMITTED", ["input", "id"])]
    assert len((await waiting(door, "greg"))["invitations"]) == 1


async def test_invitations_and_links_are_listed_for_moderators_alone(door: Any) -> None:
    await door.invite("greg")
    door.community.now += 1
    key, _ = await door.link()
    closed, _ = await door.link()
    await door.by("mia", actions.withdraw_invitation, invitation_id=closed)
    text = """query ($id: ID, $after: Cursor) { community(id: $id) {
        invitations(first: 1, after: $after) { nodes { id invitee { handle } } pageInfo { hasNextPage endCursor } }
    } }"""
    mia = await door.viewer("mia")
    first = (await door.community.data(text, mia, id=place(door)))["community"]["invitations"]
    assert first["nodes"] == [{"id": global_id("CommunityInvitation", key), "invitee": None}]
    after = first["pageInfo"]["endCursor"]
    second = (await door.community.data(text, mia, id=place(door), after=after))["community"]["invitations"]
    assert (second["nodes"][0]["invitee"], second["pageInfo"]["hasNextPage"]) == ({"handle": "greg"}, False)
    seen = (await door.community.data(text, await door.viewer("greg"), id=place(door)))["community"]
    assert seen["invitations"]["nodes"] == []


async def test_an_invitation_and_a_request_are_nodes_for_those_they_concern(door: Any) -> None:
    await door.invite("greg")
    await door.ask("greg")
    given = {"a": global_id("CommunityInvitation", 1), "b": global_id("CommunityJoinRequest", 1)}
    text = "query ($a: ID!, $b: ID!) { a: node(id: $a) { id } b: node(id: $b) { id } }"
    for name, seen in (("greg", True), ("mia", True), ("ada", True), ("zoe", False)):
        found = await door.community.data(text, await door.viewer(name), **given)
        assert found == {key: {"id": value} if seen else None for key, value in given.items()}
