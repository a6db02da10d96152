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
