"""Finding posts: who finds which, in what order, page by page."""

from typing import Any

import pytest

from graph.communities import actions as community_actions
from graph.context import Viewer
from graph.ids import encoded, global_id
from graph.posts import actions
from graph.storage.tables import posts

SECOND = 1_000_000  # µs
NOBODY = Viewer()
BY_ID = "query ($id: ID!) { post(id: $id) { title } }"
BY_SLUG = "query ($slug: String!) { post(slug: $slug) { title } }"
BY_NODE = "query ($id: ID!) { node(id: $id) { ... on Post { title } } }"
LIST = """query ($sort: FeedSort! = NEWEST, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
  posts(sort: $sort, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { title } } nodes { title }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
  }
}"""


async def people(community: Any) -> tuple[Viewer, ...]:
    """Ada, who is an admin, Anna, a moderator, Greg and Michel."""
    roles = {"ada": "ADMIN", "anna": "MODERATOR", "greg": "MEMBER", "michel": "MEMBER"}
    return tuple([await community.viewer(await community.person(name, role=role)) for name, role in roles.items()])


async def titles(community: Any, who: Viewer = NOBODY, **given: Any) -> list[str]:
    return [node["title"] for node in (await community.data(LIST, who, **given))["posts"]["nodes"]]


async def test_a_post_is_found_by_its_id_its_address_and_as_a_node(community: Any) -> None:
    _, _, greg, _ = await people(community)
    post = global_id("Post", await community.publish(greg, "Été à Noël"))
    shown = {"title": "Été à Noël"}
    assert (await community.data(BY_ID, id=post))["post"] == shown
    assert (await community.data(BY_NODE, id=post))["node"] == shown
    assert (await community.data(BY_SLUG, slug="ete-a-noel"))["post"] == shown


async def test_what_is_not_there_is_null(community: Any) -> None:
    assert (await community.data(BY_ID, id=global_id("Post", 1)))["post"] is None
    assert (await community.data(BY_ID, id=global_id("Post", 10**18 - 1)))["post"] is None
    for slug in ("", "nowhere", "a\x00b", "x" * 1000, "' OR 1=1 --"):
        assert (await community.data(BY_SLUG, slug=slug))["post"] is None


@pytest.mark.parametrize("text", ["{ post { title } }", '{ post(id: "UG9zdDox", slug: "noel") { title } }'])
async def test_a_post_is_asked_for_in_one_way(community: Any, text: str) -> None:
    answer = await community.whole(text)
    assert answer.data == {"post": None}
    [error] = answer.errors
    assert (error["message"], error["extensions"]) == ("Give `id` or `slug`, one of them.", {"code": "VALIDATION"})


async def test_a_private_community_is_seen_by_those_in_it_and_those_who_moderate_everything(community: Any) -> None:
    ada, anna, greg, michel = await people(community)
    cave = await community.act(
        lambda change: community_actions.create_community(change, name="Cave", visibility="PRIVATE"), ada
    )
    greg_id = greg.audience.viewer_id
    assert greg_id is not None
    await community.act(lambda change: community_actions.set_member(change, community_id=cave, user_id=greg_id), ada)
    greg = await community.viewer(greg_id)
    post = await community.publish(greg, "Cave", community_id=cave)
    comment = await community.answer_post(greg, post)
    ids = {"post": global_id("Post", post), "comment": global_id("Comment", comment)}
    own = await community.data("query ($post: ID!) { post(id: $post) { slug } }", greg, post=ids["post"])
    slug = own["post"]["slug"]
    text = """query ($post: ID!, $comment: ID!, $slug: String!) {
        post(id: $post) { title thread { nodes { number } } }
        bySlug: post(slug: $slug) { title }
        posts { nodes { title } }
        comment(id: $comment) { number }
        nodes(ids: [$post, $comment]) { id }
        postNode: node(id: $post) { id }
    }"""
    outside: dict[str, Any] = {
        "post": None,
        "bySlug": None,
        "posts": {"nodes": []},
        "comment": None,
        "nodes": [None, None],
        "postNode": None,
    }
    inside = {
        "post": {"title": "Cave", "thread": {"nodes": [{"number": 1}]}},
        "bySlug": {"title": "Cave"},
        "posts": {"nodes": [{"title": "Cave"}]},
        "comment": {"number": 1},
        "nodes": [{"id": ids["post"]}, {"id": ids["comment"]}],
        "postNode": {"id": ids["post"]},
    }
    for who in (greg, ada, anna):
        assert await community.data(text, who, **ids, slug=slug) == inside
    for who in (michel, NOBODY):
        assert await community.data(text, who, **ids, slug=slug) == outside


async def test_the_list_has_what_is_published_the_last_first(community: Any) -> None:
    _, _, greg, _ = await people(community)
    for title in ("un", "deux", "trois"):
        community.now += SECOND
        await community.publish(greg, title)
    await community.publish(greg, "brouillon", publish=False)
    gone = await community.publish(greg, "parti")
    await community.act(lambda change: actions.delete_post(change, post_id=gone), greg)
    assert await titles(community) == ["trois", "deux", "un"]
    assert await titles(community, greg) == ["trois", "deux", "un"]


async def test_the_last_answered_is_the_most_active(community: Any) -> None:
    _, _, greg, michel = await people(community)
    written = []
    for title in ("un", "deux", "trois"):
        community.now += SECOND
        written.append(await community.publish(greg, title))
    community.now += SECOND
    await community.answer_post(michel, written[0])
    assert await titles(community, sort="ACTIVE") == ["un", "trois", "deux"]
    assert await titles(community, sort="NEWEST") == ["trois", "deux", "un"]


@pytest.mark.parametrize("sort", ["NEWEST", "ACTIVE"])
async def test_posts_of_one_instant_page_in_both_directions_without_loss(community: Any, sort: str) -> None:
    _, _, greg, _ = await people(community)
    for number in range(7):
        await community.publish(greg, str(number))
    whole = await titles(community, sort=sort)
    assert whole == ["6", "5", "4", "3", "2", "1", "0"]
    for size in (1, 3):
        for take, beyond, end, more in (
            ("first", "after", "endCursor", "hasNextPage"),
            ("last", "before", "startCursor", "hasPreviousPage"),
        ):
            seen: list[str] = []
            place, left = None, True
            while left:
                page = (await community.data(LIST, sort=sort, **{take: size, beyond: place}))["posts"]
                found = [edge["node"]["title"] for edge in page["edges"]]
                seen = seen + found if take == "first" else found + seen
                place, left = page["pageInfo"][end], page["pageInfo"][more]
            assert seen == whole


async def test_a_page_ends_where_a_post_has_gone(community: Any) -> None:
    _, _, greg, _ = await people(community)
    written = [await community.publish(greg, str(number)) for number in range(4)]
    cursor = (await community.data(LIST, first=2))["posts"]["pageInfo"]["endCursor"]
    await community.act(lambda change: actions.delete_post(change, post_id=written[2]), greg)
    assert await titles(community, after=cursor) == ["1", "0"]
    assert await titles(community, before=cursor) == ["3"]


async def test_a_cursor_is_good_for_its_own_list_alone(community: Any) -> None:
    _, _, greg, _ = await people(community)
    await community.publish(greg)
    cursor = (await community.data(LIST, sort="NEWEST"))["posts"]["edges"][0]["cursor"]
    forged = [cursor[:-1], cursor + "A", "", "é", encoded("[]"), encoded('["posts-active"]'), "x" * 2000]
    forged += [encoded(f'["posts-active",{value},1]') for value in ("null", "true", '"1"', "1.5", 2**63, "[1]")]
    for wrong in (cursor, *forged):
        answer = await community.whole(LIST, sort="ACTIVE", after=wrong)
        assert [error["extensions"]["code"] for error in answer.errors] == ["CURSOR_INVALID"]
        assert answer.data is None


async def test_a_malformed_id_is_the_clients_error(community: Any) -> None:
    for text in (BY_ID, BY_NODE):
        for wrong in ("", "x", "Post:1", encoded("Post:-1"), encoded("Post:1.0"), encoded("Post:٣"), "x" * 300):
            answer = await community.whole(text, id=wrong)
            [error] = answer.errors
            assert error["extensions"] == {"code": "ID_INVALID", "id": wrong[:100]}
    [error] = (await community.whole(BY_ID, id=global_id("Comment", 1))).errors
    assert error["message"] == "This id is malformed: it is the id of a Comment, not of a Post."


REVISIONS = """query ($id: ID!, $first: Int) { post(id: $id) {
    revision revisions(first: $first) { nodes { number title body reason editor { handle } } totalCount }
} }"""


async def test_former_texts_are_shown_to_who_sees_the_post(community: Any) -> None:
    _, _, greg, michel = await people(community)
    post = await community.publish(greg, "un", body="1")
    for title in ("deux", "trois"):
        await community.act(
            lambda change, title=title: actions.edit_post(change, post_id=post, title=title, reason=f"pas {title}"),
            greg,
        )
    shown = (await community.data(REVISIONS, michel, id=global_id("Post", post), first=10))["post"]
    assert shown == {
        "revision": 3,
        "revisions": {
            "nodes": [
                {"number": 1, "title": "un", "body": "1", "reason": "pas deux", "editor": {"handle": "greg"}},
                {"number": 2, "title": "deux", "body": "1", "reason": "pas trois", "editor": {"handle": "greg"}},
            ],
            "totalCount": 2,
        },
    }


async def test_what_one_may_do_is_told_per_viewer(community: Any) -> None:
    ada, anna, greg, michel = await people(community)
    post = global_id("Post", await community.publish(greg))
    text = "query ($id: ID!) { post(id: $id) { viewerCan { reply edit delete } } }"
    may = [
        tuple((await community.data(text, who, id=post))["post"]["viewerCan"].values())
        for who in (greg, michel, anna, ada, NOBODY)
    ]
    assert may == [
        (True, True, True),
        (True, False, False),
        (True, False, True),
        (True, False, True),
        (False, False, False),
    ]
    await community.storage.rows(posts.update().values(discussion="LOCKED").returning(posts.c.id))
    assert (await community.data(text, greg, id=post))["post"]["viewerCan"]["reply"] is False
