"""Communities as a client sees them: what is visible to whom, page by page."""

import json
from typing import Any

import pytest

from graph.communities import actions
from graph.context import Viewer
from graph.ids import encoded, global_id


@pytest.fixture
async def founded(site: Any) -> dict[str, Any]:
    """Viewers by name: ada founded a public and a private community, mia is in the private one."""
    ada = await site.viewer(await site.person("ada", role="ADMIN"))
    mia_id = await site.person("mia")
    greg_id = await site.person("greg")
    await site.act(lambda change: actions.create_community(change, name="Open", description="*All*"), ada)
    private = await site.act(lambda change: actions.create_community(change, name="Closed", visibility="PRIVATE"), ada)
    await site.act(lambda change: actions.set_member(change, community_id=private, user_id=mia_id), ada)
    people = {name: await site.viewer(key) for name, key in (("mia", mia_id), ("greg", greg_id))}
    return {**people, "ada": await site.viewer(1), "nobody": Viewer()}


async def test_a_public_community_is_everybodys_to_see(site: Any, founded: Any) -> None:
    asked = """{ community(slug: "open") {
        id slug name description visibility createdAt viewerRole
        members { nodes { user { handle } role community { slug } } totalCount }
    } }"""
    assert (await site.ask(asked))["community"] == {
        "id": global_id("Community", 1),
        "slug": "open",
        "name": "Open",
        "description": "*All*",
        "visibility": "PUBLIC",
        "createdAt": "2023-11-14T22:13:20.000000Z",
        "viewerRole": None,
        "members": {
            "nodes": [{"user": {"handle": "ada"}, "role": "ADMIN", "community": {"slug": "open"}}],
            "totalCount": 1,
        },
    }


@pytest.mark.parametrize(
    ("name", "slugs"),
    [("nobody", ["open"]), ("greg", ["open"]), ("mia", ["closed", "open"]), ("ada", ["closed", "open"])],
)
async def test_a_private_community_is_null_and_unlisted_for_who_is_not_in_it(
    site: Any, founded: Any, name: str, slugs: list[str]
) -> None:
    asked = f"""{{
        communities {{ nodes {{ slug }} }}
        bySlug: community(slug: "closed") {{ slug }}
        byId: community(id: "{global_id("Community", 2)}") {{ slug }}
    }}"""
    data = await site.ask(asked, founded[name])
    assert [node["slug"] for node in data["communities"]["nodes"]] == slugs
    expected = {"slug": "closed"} if "closed" in slugs else None
    assert data["bySlug"] == data["byId"] == expected


async def test_the_viewer_sees_their_own_role(site: Any, founded: Any) -> None:
    asked = "{ communities { nodes { slug viewerRole } } }"
    assert (await site.ask(asked, founded["mia"]))["communities"]["nodes"] == [
        {"slug": "closed", "viewerRole": "MEMBER"},
        {"slug": "open", "viewerRole": None},
    ]


async def test_communities_and_members_are_paged_both_ways(site: Any, founded: Any) -> None:
    asked = """query ($after: Cursor, $before: Cursor, $first: Int, $last: Int) {
        communities(first: $first, after: $after, last: $last, before: $before) {
            nodes { slug } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
        community(slug: "closed") { members(first: 1) { nodes { user { handle } } pageInfo { hasNextPage } } }
    }"""
    first = (await site.answer(asked, founded["mia"], first=1)).data
    assert first["community"]["members"] == {
        "nodes": [{"user": {"handle": "ada"}}], "pageInfo": {"hasNextPage": True}
    }  # fmt: skip
    page = first["communities"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([{"slug": "closed"}], True)
    second = (await site.answer(asked, founded["mia"], first=1, after=page["pageInfo"]["endCursor"])).data
    page = second["communities"]
    assert (page["nodes"], page["pageInfo"]["hasNextPage"]) == ([{"slug": "open"}], False)
    back = (await site.answer(asked, founded["mia"], last=1, before=page["pageInfo"]["startCursor"])).data
    assert back["communities"]["nodes"] == [{"slug": "closed"}]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("", "VALIDATION"),
        ('(id: "x", slug: "open")', "VALIDATION"),
        ('(id: "nonsense")', "ID_INVALID"),
        (f'(id: "{global_id("User", 1)}")', "ID_INVALID"),
    ],
)
async def test_a_wrong_way_to_ask_is_the_clients_error(site: Any, arguments: str, code: str) -> None:
    answer = await site.answer(f"{{ community{arguments} {{ id }} }}")
    assert [error.extensions["code"] for error in answer.errors] == [code]


@pytest.mark.parametrize(
    "place", ["[]", "{}", "7", '["communities"]', '["communities",7]', '["other","open"]', '["communities","\\u0000"]']
)
async def test_a_cursor_that_was_never_given_out_is_the_clients_error(site: Any, founded: Any, place: str) -> None:
    asked = "query ($after: Cursor) { communities(after: $after) { nodes { slug } } }"
    answer = await site.answer(asked, after=encoded(place))
    assert [error.extensions["code"] for error in answer.errors] == ["CURSOR_INVALID"]


@pytest.mark.parametrize("place", [2**63, -(2**63) - 1, True, 1.5])
async def test_a_cursor_of_no_number_that_a_database_holds_is_the_clients_error(
    site: Any, founded: Any, place: Any
) -> None:
    asked = 'query ($after: Cursor) { community(slug: "open") { members(after: $after) { nodes { role } } } }'
    answer = await site.answer(asked, after=encoded(json.dumps(["members-role", 0, place, 1])))
    assert [error.extensions["code"] for error in answer.errors] == ["CURSOR_INVALID"]


@pytest.mark.parametrize("slug", ["none", "", "OPEN", "\x00", "\ud800"])
async def test_an_unknown_slug_is_null(site: Any, founded: Any, slug: str) -> None:
    answer = await site.answer("query ($slug: String) { community(slug: $slug) { id } }", slug=slug)
    assert (answer.data, answer.errors) == ({"community": None}, None)


SETTINGS = """{ communities { nodes {
    slug joining posting archivedAt revision memberCount postCount
    viewerMembership { role } viewerPermissions { join requestToJoin post moderate administer }
} } }"""


async def test_settings_counts_and_what_one_may_do_are_told(community: Any) -> None:
    ada_id, greg_id = await community.person("ada", role="ADMIN"), await community.person("greg")
    ada = await community.viewer(ada_id)
    given: list[dict[str, Any]] = [
        {"name": "a"},
        {"name": "b", "joining": "REQUEST", "posting": "MODERATORS"},
        {"name": "c", "joining": "INVITATION"},
    ]
    keys = [await community.act(lambda change, g=g: actions.create_community(change, **g), ada) for g in given]
    ada, greg = await community.viewer(ada_id), await community.viewer(greg_id)
    await community.publish(ada, community_id=keys[0])
    await community.publish(ada, community_id=keys[0], publish=False)
    await community.act(lambda change: actions.archive_community(change, community_id=keys[2]), ada)

    def shown(found: Any) -> list[tuple[Any, ...]]:
        return [
            (
                node["slug"],
                node["joining"],
                node["posting"],
                node["archivedAt"] is not None,
                node["memberCount"],
                node["postCount"],
                node["viewerMembership"],
                [name for name, may in node["viewerPermissions"].items() if may],
            )
            for node in found["communities"]["nodes"]
        ]

    rows: list[tuple[Any, ...]] = [
        ("a", "OPEN", "MEMBERS", False, 1, 1),
        ("b", "REQUEST", "MODERATORS", False, 1, 0),
        ("c", "INVITATION", "MEMBERS", True, 1, 0),
    ]
    assert shown(await community.data(SETTINGS)) == [(*row, None, []) for row in rows]
    may: list[list[str]] = [["join"], ["requestToJoin"], []]
    assert shown(await community.data(SETTINGS, greg)) == [(*row, None, m) for row, m in zip(rows, may, strict=True)]
    all_of_it = ["post", "moderate", "administer"]
    own = (all_of_it, all_of_it, all_of_it[1:])
    assert shown(await community.data(SETTINGS, ada)) == [
        (*row, {"role": "ADMIN"}, m) for row, m in zip(rows, own, strict=True)
    ]


async def test_a_former_slug_finds_the_community_by_its_present_one(site: Any, founded: Any) -> None:
    for slug in ("garden", "orchard"):
        await site.act(
            lambda change, slug=slug: actions.edit_community(change, community_id=1, slug=slug), founded["ada"]
        )
    asked = "query ($slug: String) { community(slug: $slug) { id slug } }"
    for slug in ("open", "garden", "orchard"):
        found = (await site.answer(asked, slug=slug)).data["community"]
        assert found == {"id": global_id("Community", 1), "slug": "orchard"}


MEMBERS = """query ($sort: MemberSort!, $role: UserRole, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
    community(slug: "open") {
        members(sort: $sort, role: $role, first: $first, after: $after, last: $last, before: $before) {
            nodes { user { handle } role } totalCount
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        }
    }
}"""


async def test_members_are_listed_by_role_or_by_when_they_came_both_ways_whatever_the_ties(community: Any) -> None:
    ada = await community.viewer(await community.person("ada", role="ADMIN"))
    await community.act(lambda change: actions.create_community(change, name="Open"), ada)
    joined = ["ada"]
    for number, role in enumerate(("MEMBER", "MODERATOR", "MEMBER", "ADMIN", "MEMBER", "MODERATOR")):
        community.now += number // 3  # three at one instant, and three at another
        user_id = await community.person(f"p{number}")
        joined.append(f"p{number}")
        await community.act(
            lambda change, user_id=user_id, role=role: actions.set_member(
                change, community_id=1, user_id=user_id, role=role
            ),
            ada,
        )

    async def read(sort: str, **given: Any) -> Any:
        return (await community.data(MEMBERS, ada, sort=sort, **given))["community"]["members"]

    def names(found: Any) -> list[str]:
        return [node["user"]["handle"] for node in found["nodes"]]

    by_role = ["ada", "p3", "p1", "p5", "p0", "p2", "p4"]
    for sort, whole in (("JOINED", joined), ("ROLE", by_role)):
        assert (names(await read(sort)), (await read(sort))["totalCount"]) == (whole, 7)
        for take, beyond, end, more in (
            ("first", "after", "endCursor", "hasNextPage"),
            ("last", "before", "startCursor", "hasPreviousPage"),
        ):
            seen: list[str] = []
            place, left = None, True
            while left:
                found = await read(sort, **{take: 2, beyond: place})
                seen = seen + names(found) if take == "first" else names(found) + seen
                place, left = found["pageInfo"][end], found["pageInfo"][more]
            assert seen == whole
        moderators = await read(sort, role="MODERATOR")
        assert (names(moderators), moderators["totalCount"]) == (["p1", "p5"], None)


async def test_bans_are_listed_for_moderators_and_shown_to_who_is_banned(community: Any) -> None:
    ada_id, greg_id, zoe_id = [await community.person(*each) for each in (("ada",), ("greg",), ("zoe",))]
    root = await community.viewer(await community.person("root", role="ADMIN"))
    await community.act(lambda change: actions.create_community(change, name="Open"), root)
    await community.act(lambda change: actions.set_member(change, community_id=1, user_id=ada_id, role="ADMIN"), root)
    await community.act(
        lambda change: actions.ban_from_community(change, community_id=1, user_id=greg_id, reason="Spam."), root
    )
    text = """query ($ban: ID!) {
        community(slug: "open") { bans { nodes { user { handle } reason bannedBy { handle } } } }
        node(id: $ban) { ... on CommunityBan { reason community { slug } } }
    }"""
    seen = {}
    for key in (ada_id, greg_id, zoe_id):
        found = await community.data(text, await community.viewer(key), ban=global_id("CommunityBan", 1))
        seen[key] = (found["community"]["bans"]["nodes"], found["node"])
    one = [{"user": {"handle": "greg"}, "reason": "Spam.", "bannedBy": {"handle": "root"}}]
    itself = {"reason": "Spam.", "community": {"slug": "open"}}
    assert seen == {ada_id: (one, itself), greg_id: ([], itself), zoe_id: ([], None)}
