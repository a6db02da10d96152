"""Acts on communities as a client sees them: what is answered, and where a refusal points."""

from typing import Any

import pytest

from graph.ids import global_id

ERRORS = "errors { code path }"
OPEN, CLOSED = global_id("Community", 1), global_id("Community", 2)
FOUND = f"""mutation ($input: CreateCommunityInput!) {{
    createCommunity(input: $input) {{ community {{ id slug visibility viewerRole }} {ERRORS} }}
}}"""
JOIN = f"""mutation ($input: CommunityInput!) {{
    joinCommunity(input: $input) {{
        clientMutationId membership {{ role user {{ handle }} }} community {{ slug viewerRole }} {ERRORS}
    }}
}}"""
LEAVE = f"""mutation ($input: CommunityInput!) {{
    leaveCommunity(input: $input) {{ community {{ slug viewerRole }} {ERRORS} }}
}}"""
SET = f"""mutation ($input: SetCommunityMemberInput!) {{
    setCommunityMember(input: $input) {{ membership {{ role user {{ handle }} }} community {{ slug }} {ERRORS} }}
}}"""
REMOVE = f"""mutation ($input: RemoveCommunityMemberInput!) {{
    removeCommunityMember(input: $input) {{
        userId community {{ members {{ nodes {{ user {{ handle }} }} }} }} {ERRORS}
    }}
}}"""


@pytest.fixture
async def people(site: Any) -> dict[str, Any]:
    """Viewers by name: ada, an admin of the site, has founded a public and a private community."""
    ada_id = await site.person("ada", role="ADMIN")
    greg_id = await site.person("greg")
    ada = await site.viewer(ada_id)
    for name, visibility in (("Open", "PUBLIC"), ("Closed", "PRIVATE")):
        await site.ask(FOUND, ada, input={"name": name, "visibility": visibility})
    return {"ada": await site.viewer(ada_id), "greg": await site.viewer(greg_id)}


async def test_who_founds_a_private_community_sees_it_in_the_answer(site: Any) -> None:
    admin = await site.viewer(await site.person("admin", role="ADMIN"))
    payload = (await site.ask(FOUND, admin, input={"name": "Us", "visibility": "PRIVATE"}))["createCommunity"]
    assert payload == {
        "community": {"id": OPEN, "slug": "us", "visibility": "PRIVATE", "viewerRole": "ADMIN"},
        "errors": [],
    }


async def test_who_may_not_found_communities_is_told(site: Any, people: Any) -> None:
    payload = (await site.ask(FOUND, people["greg"], input={"name": "Mine"}))["createCommunity"]
    assert payload == {"community": None, "errors": [{"code": "NOT_PERMITTED", "path": ["input"]}]}


async def test_joining_shows_the_new_membership(site: Any, people: Any) -> None:
    given = {"communityId": OPEN, "clientMutationId": "one"}
    expected = {
        "clientMutationId": "one",
        "membership": {"role": "MEMBER", "user": {"handle": "greg"}},
        "community": {"slug": "open", "viewerRole": "MEMBER"},
        "errors": [],
    }
    for _ in range(2):
        assert (await site.ask(JOIN, people["greg"], input=given))["joinCommunity"] == expected


@pytest.mark.parametrize(
    ("community_id", "code"), [(CLOSED, "NOT_FOUND"), ("nonsense", "VALIDATION"), (global_id("User", 1), "VALIDATION")]
)
async def test_what_cannot_be_joined_is_refused_at_its_id(site: Any, people: Any, community_id: str, code: str) -> None:
    payload = (await site.ask(JOIN, people["greg"], input={"communityId": community_id}))["joinCommunity"]
    assert payload == {
        "clientMutationId": None,
        "membership": None,
        "community": None,
        "errors": [{"code": code, "path": ["input", "communityId"]}],
    }


async def test_who_leaves_a_private_community_sees_it_no_longer_in_the_same_answer(site: Any, people: Any) -> None:
    greg_id = people["greg"].audience.viewer_id
    given = {"communityId": CLOSED, "userId": global_id("User", greg_id)}
    payload = (await site.ask(SET, people["ada"], input=given))["setCommunityMember"]
    assert payload == {
        "membership": {"role": "MEMBER", "user": {"handle": "greg"}}, "community": {"slug": "closed"}, "errors": []
    }  # fmt: skip
    greg = await site.viewer(greg_id)
    assert (await site.ask(LEAVE, greg, input={"communityId": CLOSED}))["leaveCommunity"] == {
        "community": None,
        "errors": [],
    }
    await site.ask(JOIN, greg, input={"communityId": OPEN})
    assert (await site.ask(LEAVE, await site.viewer(greg_id), input={"communityId": OPEN}))["leaveCommunity"] == {
        "community": {"slug": "open", "viewerRole": None},
        "errors": [],
    }


async def test_a_removed_member_is_named_in_the_answer(site: Any, people: Any) -> None:
    given = {"communityId": CLOSED, "userId": global_id("User", people["greg"].audience.viewer_id)}
    await site.ask(SET, people["ada"], input={**given, "role": "MODERATOR"})
    payload = (await site.ask(REMOVE, people["ada"], input=given))["removeCommunityMember"]
    assert payload == {
        "userId": given["userId"],
        "community": {"members": {"nodes": [{"user": {"handle": "ada"}}]}},
        "errors": [],
    }
    payload = (await site.ask(REMOVE, people["ada"], input=given))["removeCommunityMember"]
    assert payload == {
        "userId": None,
        "community": None,
        "errors": [{"code": "NOT_FOUND", "path": ["input", "userId"]}],
    }
