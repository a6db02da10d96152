"""How comments are read below posts and comments: who reads what, page by page, and from where one goes on live."""

from typing import Any

import pytest

from graph.comments import actions, rules
from graph.comments.paths import path_below, rpath_below
from graph.context import Viewer
from graph.events import post_topic
from graph.ids import encoded, global_id
from graph.storage.tables import comments, posts
from subscriptions import log
from subscriptions.cursor import decode

NOBODY = Viewer()
LIST = """query ($post: ID!, $sort: CommentSort! = OLDEST, $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
  post(id: $post) { comments(sort: $sort, first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { number } } nodes { number } totalCount liveCursor
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  } }
}"""
THREAD = """query ($post: ID!, $sort: CommentSort! = OLDEST, $shape: ThreadShape, $focus: ID,
                   $first: Int, $after: Cursor, $last: Int, $before: Cursor) {
  post(id: $post) {
    thread(sort: $sort, shape: $shape, focus: $focus, first: $first, after: $after, last: $last, before: $before) {
      edges { cursor depth parentId node { number } more { count directCount cursor reason } }
      nodes { number } resolvedSort liveCursor context { number } focus { isInPage comment { number } }
      pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
  }
}"""


@pytest.fixture
async def greg(community: Any) -> Viewer:
    viewer: Viewer = await community.viewer(await community.person("greg"))
    return viewer


@pytest.fixture
async def post(community: Any, greg: Viewer) -> int:
    key: int = await community.publish(greg, "Noël")
    return key


async def tree(community: Any, who: Viewer, post: int) -> list[int]:
    """Numbers 1 to 7: roots 1, 2 and 7; below 1: 3 and 4, below 4: 5, below 5: 6."""
    keys: list[int] = []
    for above in (None, None, 1, 1, 4, 5, None):
        keys.append(await community.answer_post(who, post, "+1", None if above is None else keys[above - 1]))
    return keys


def numbers(nodes: list[dict[str, int]]) -> list[int]:
    return [node["number"] for node in nodes]


async def delete(community: Any, who: Viewer, comment: int) -> None:
    await community.act(lambda change: actions.delete_comment(change, comment_id=comment), who)


async def waiting(community: Any, who: Viewer, post: int, parent: int, above: list[int]) -> int:
    """A reply that waits for approval, as imports bring them; `above` are the numbers of its ancestors."""
    number = 8
    path, rpath = "", ""
    for each in (*above, number):
        path, rpath = path_below(path, each), rpath_below(rpath, each)
    values = {
        "post_id": post,
        "parent_id": parent,
        "author_id": who.audience.viewer_id,
        "number": number,
        "depth": len(above),
        "path": path,
        "rpath": rpath,
        "status": "PENDING",
        "shown": 0,
        "body": "un secret",
        "body_html": "<p>un secret</p>",
        "body_text": "un secret",
        "created_at": community.now,
    }
    await community.storage.rows(posts.update().values(last_number=number).returning(posts.c.id))
    [(comment,)] = await community.storage.rows(comments.insert().values(**values).returning(comments.c.id))
    return int(comment)


# Lists --------------------------------------------------------------------------------------------------------------


async def test_roots_are_listed_in_either_order_with_their_count(community: Any, greg: Viewer, post: int) -> None:
    await tree(community, greg, post)
    for sort, expected in (("OLDEST", [1, 2, 7]), ("NEWEST", [7, 2, 1])):
        shown = (await community.data(LIST, post=global_id("Post", post), sort=sort))["post"]["comments"]
        assert (numbers(shown["nodes"]), shown["totalCount"]) == (expected, 3)


async def test_a_list_says_from_where_it_can_be_followed(community: Any, greg: Viewer, post: int) -> None:
    for expected in (0, 7):
        for text, name in ((LIST, "comments"), (THREAD, "thread")):
            cursor = (await community.data(text, post=global_id("Post", post)))["post"][name]["liveCursor"]
            place = decode(cursor, [post_topic(post)], "post")
            assert place == await log.standing(community.storage, [post_topic(post)])
            assert place.places[post_topic(post)].position == expected
        if expected == 0:
            await tree(community, greg, post)


async def test_counts_say_at_which_position_they_were_read(community: Any, greg: Viewer, post: int) -> None:
    await tree(community, greg, post)
    text = "query ($post: ID!) { post(id: $post) { counts { comments roots asOf } thread { liveCursor } } }"
    shown = (await community.data(text, post=global_id("Post", post)))["post"]
    assert (shown["counts"]["comments"], shown["counts"]["roots"]) == (7, 3)
    assert shown["counts"]["asOf"] == shown["thread"]["liveCursor"]


async def test_lists_page_in_both_directions_without_loss(community: Any, greg: Viewer, post: int) -> None:
    for _ in range(5):
        await community.answer_post(greg, post)
    for sort in ("OLDEST", "NEWEST"):
        for take, beyond, end, more in (
            ("first", "after", "endCursor", "hasNextPage"),
            ("last", "before", "startCursor", "hasPreviousPage"),
        ):
            seen: list[int] = []
            place, left = None, True
            while left:
                given = {take: 2, beyond: place, "sort": sort}
                page = (await community.data(LIST, post=global_id("Post", post), **given))["post"]["comments"]
                found = numbers([edge["node"] for edge in page["edges"]])
                seen = seen + found if take == "first" else found + seen
                place, left = page["pageInfo"][end], page["pageInfo"][more]
            assert seen == ([1, 2, 3, 4, 5] if sort == "OLDEST" else [5, 4, 3, 2, 1])


async def test_replies_of_many_are_read_level_by_level(community: Any, greg: Viewer, post: int) -> None:
    await tree(community, greg, post)
    text = """query ($post: ID!) { post(id: $post) { comments { nodes { number replies(first: 1) {
        totalCount pageInfo { hasNextPage } nodes { number replies(sort: NEWEST) { nodes { number } } }
    } } } } }"""
    shown = (await community.data(text, post=global_id("Post", post)))["post"]["comments"]["nodes"]
    nothing: dict[str, Any] = {"totalCount": 0, "pageInfo": {"hasNextPage": False}, "nodes": []}
    assert shown == [
        {
            "number": 1,
            "replies": {
                "totalCount": 2,
                "pageInfo": {"hasNextPage": True},
                "nodes": [{"number": 3, "replies": {"nodes": []}}],
            },
        },
        {"number": 2, "replies": nothing},
        {"number": 7, "replies": nothing},
    ]


async def test_a_comment_knows_its_way_up(community: Any, greg: Viewer, post: int) -> None:
    keys = await tree(community, greg, post)
    text = """query ($id: ID!) { comment(id: $id) {
        number depth url parent { number } root { number } ancestors { number } post { title }
        thread { edges { depth node { number } } } descendantCount
    } }"""
    deepest = (await community.data(text, id=global_id("Comment", keys[5])))["comment"]
    assert deepest == {
        "number": 6,
        "depth": 3,
        "url": f"{community.services.public_url}/p/noel#6",
        "parent": {"number": 5},
        "root": {"number": 1},
        "ancestors": [{"number": 1}, {"number": 4}, {"number": 5}],
        "post": {"title": "Noël"},
        "thread": {"edges": []},
        "descendantCount": 0,
    }
    fourth = (await community.data(text, id=global_id("Comment", keys[3])))["comment"]
    assert fourth["thread"]["edges"] == [{"depth": 2, "node": {"number": 5}}, {"depth": 3, "node": {"number": 6}}]
    first = (await community.data(text, id=global_id("Comment", keys[0])))["comment"]
    assert (first["parent"], first["root"], first["ancestors"]) == (None, {"number": 1}, [])


async def test_a_comment_is_found_by_its_number_in_its_post(community: Any, greg: Viewer, post: int) -> None:
    keys = await tree(community, greg, post)
    text = "query ($post: ID!, $number: Int!) { post(id: $post) { comment(number: $number) { id } } }"
    for number, expected in ((6, global_id("Comment", keys[5])), (8, None), (0, None), (-1, None), (2**31 - 1, None)):
        found = (await community.data(text, post=global_id("Post", post), number=number))["post"]["comment"]
        assert (found and found["id"]) == expected


# Who reads what -----------------------------------------------------------------------------------------------------

READ = """query ($post: ID!, $id: ID!, $number: Int!) {
  comment(id: $id) { ...Row }
  node(id: $id) { ... on Comment { number } }
  post(id: $post) { comment(number: $number) { number } thread { nodes { number } } counts { comments } }
}
fragment Row on Comment {
  number status body bodyHtml bodyText excerpt revision revisions { totalCount nodes { body } } replyCount
}"""


async def test_what_waits_for_approval_is_seen_by_its_author_and_moderators_and_never_in_the_thread(
    community: Any, greg: Viewer, post: int
) -> None:
    michel = await community.viewer(await community.person("michel"))
    anna = await community.viewer(await community.person("anna", role="MODERATOR"))
    keys = await tree(community, greg, post)
    asked = {"post": global_id("Post", post), "number": 8}
    asked["id"] = global_id("Comment", await waiting(community, michel, post, keys[0], [1]))
    thread = {"thread": {"nodes": [{"number": n} for n in (1, 3, 4, 5, 6, 2, 7)]}, "counts": {"comments": 7}}

    for who in (michel, anna):
        shown = await community.data(READ, who, **asked)
        assert shown["comment"] == {
            "number": 8,
            "status": "PENDING",
            "body": "un secret",
            "bodyHtml": "<p>un secret</p>",
            "bodyText": "un secret",
            "excerpt": "un secret",
            "revision": 1,
            "revisions": {"totalCount": 0, "nodes": []},
            "replyCount": 0,
        }
        assert shown["node"] == {"number": 8}
        assert shown["post"] == {"comment": {"number": 8}, **thread}
    for who in (greg, NOBODY):
        shown = await community.data(READ, who, **asked)
        assert shown == {"comment": None, "node": None, "post": {"comment": None, **thread}}


async def test_of_a_deleted_comment_only_its_place_is_shown(community: Any, greg: Viewer, post: int) -> None:
    anna = await community.viewer(await community.person("anna", role="MODERATOR"))
    keys = await tree(community, greg, post)
    written = rules.written("un secret")
    await community.act(lambda change: actions.edit_comment(change, comment_id=keys[0], written=written), greg)
    await delete(community, greg, keys[0])
    await delete(community, greg, keys[6])
    asked = {"post": global_id("Post", post), "id": global_id("Comment", keys[0]), "number": 7}
    for who in (greg, anna, NOBODY):
        shown = await community.data(READ, who, **asked)
        assert shown["comment"] == {
            "number": 1,
            "status": "DELETED",
            "body": None,
            "bodyHtml": None,
            "bodyText": None,
            "excerpt": None,
            "revision": 1,
            "revisions": {"totalCount": 0, "nodes": []},
            "replyCount": 2,
        }
        thread = {"nodes": [{"number": n} for n in (1, 3, 4, 5, 6, 2)]}
        assert shown["post"] == {"comment": None, "thread": thread, "counts": {"comments": 5}}


async def test_former_texts_are_shown_to_who_reads_the_comment(community: Any, greg: Viewer, post: int) -> None:
    comment = await community.answer_post(greg, post, "un")
    written = rules.written("deux")
    await community.act(
        lambda change: actions.edit_comment(change, comment_id=comment, written=written, reason="faute"), greg
    )
    text = """query ($id: ID!) { comment(id: $id) { lastEditedAt revision revisions {
        totalCount nodes { number title body bodyHtml reason editor { handle } }
    } } }"""
    assert (await community.data(text, id=global_id("Comment", comment)))["comment"] == {
        "lastEditedAt": "2023-11-14T22:13:20.000000Z",
        "revision": 2,
        "revisions": {
            "totalCount": 1,
            "nodes": [
                {
                    "number": 1,
                    "title": None,
                    "body": "un",
                    "bodyHtml": "<p>un</p>",
                    "reason": "faute",
                    "editor": {"handle": "greg"},
                }
            ],
        },
    }


async def test_what_one_may_do_is_told_per_viewer(community: Any, greg: Viewer, post: int) -> None:
    michel = await community.viewer(await community.person("michel"))
    anna = await community.viewer(await community.person("anna", role="MODERATOR"))
    comment = await community.answer_post(michel, post)
    await community.answer_post(greg, post, parent=comment)
    text = "query ($id: ID!) { comment(id: $id) { viewerCan { reply edit delete } } }"

    async def may() -> list[tuple[bool, ...]]:
        asked = [
            await community.data(text, who, id=global_id("Comment", comment)) for who in (greg, michel, anna, NOBODY)
        ]
        return [tuple(data["comment"]["viewerCan"].values()) for data in asked]

    assert await may() == [
        (True, False, False),
        (True, True, True),
        (True, False, True),
        (False, False, False),
    ]
    await delete(community, michel, comment)
    assert await may() == [(False, False, False)] * 4


# The window, as it is asked for ------------------------------------------------------------------------------------


async def test_the_whole_discussion_is_one_depth_first_page(community: Any, greg: Viewer, post: int) -> None:
    keys = await tree(community, greg, post)
    thread = (await community.data(THREAD, post=global_id("Post", post)))["post"]["thread"]
    above = {3: 0, 4: 0, 5: 3, 6: 4}
    assert [(edge["node"]["number"], edge["depth"], edge["parentId"]) for edge in thread["edges"]] == [
        (number, depth, global_id("Comment", keys[above[number]]) if number in above else None)
        for number, depth in ((1, 0), (3, 1), (4, 1), (5, 2), (6, 3), (2, 0), (7, 0))
    ]
    assert all(edge["more"] is None for edge in thread["edges"])
    assert (thread["resolvedSort"], thread["context"], thread["focus"]) == ("OLDEST", [], None)
    newest = (await community.data(THREAD, post=global_id("Post", post), sort="NEWEST"))["post"]["thread"]
    assert numbers(newest["nodes"]) == [7, 2, 1, 4, 5, 6, 3]


async def test_a_page_that_begins_in_a_branch_brings_the_way_to_it(community: Any, greg: Viewer, post: int) -> None:
    await tree(community, greg, post)
    asked = {"post": global_id("Post", post)}
    first = (await community.data(THREAD, **asked, first=4))["post"]["thread"]
    rest = (await community.data(THREAD, **asked, after=first["pageInfo"]["endCursor"]))["post"]["thread"]
    assert numbers(first["nodes"]) + numbers(rest["nodes"]) == [1, 3, 4, 5, 6, 2, 7]
    assert numbers(rest["context"]) == [1, 4, 5]
    assert (rest["pageInfo"]["hasNextPage"], rest["pageInfo"]["hasPreviousPage"]) == (False, True)


async def test_what_is_left_out_is_counted_and_found_from_its_row(community: Any, greg: Viewer, post: int) -> None:
    keys = await tree(community, greg, post)
    asked = {"post": global_id("Post", post), "shape": {"maxDepth": 2, "repliesPerParent": 1}}
    thread = (await community.data(THREAD, **asked))["post"]["thread"]
    assert numbers(thread["nodes"]) == [1, 3, 2, 7]
    more = thread["edges"][0]["more"]
    assert (more["count"], more["directCount"], more["reason"]) == (3, 1, "SIBLINGS")
    text = "query ($id: ID!, $after: Cursor) { comment(id: $id) { thread(after: $after) { nodes { number } } } }"
    rest = await community.data(text, id=global_id("Comment", keys[0]), after=more["cursor"])
    assert numbers(rest["comment"]["thread"]["nodes"]) == [4, 5, 6]


async def test_a_permanent_link_is_shown_however_deep(community: Any, greg: Viewer, post: int) -> None:
    keys = await tree(community, greg, post)
    asked: dict[str, Any] = {"post": global_id("Post", post), "shape": {"maxDepth": 1}}
    focused = (await community.data(THREAD, **asked, focus=global_id("Comment", keys[5])))["post"]["thread"]
    assert focused["focus"] == {"isInPage": True, "comment": {"number": 6}}
    assert numbers(focused["context"])[:1] + numbers(focused["nodes"])[:1] == [1, 6]
    for gone in (99, keys[5]):
        if gone == keys[5]:
            await delete(community, greg, gone)
        thread = (await community.data(THREAD, **asked, focus=global_id("Comment", gone)))["post"]["thread"]
        assert thread["focus"] is None
        assert numbers(thread["nodes"]) == [1, 2, 7]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"first": 1001}, "`first` is 1001; it can be 0 to 1000."),
        ({"last": -1}, "`last` is -1; it can be 0 to 1000."),
        ({"first": 1, "last": 1}, "Give `first` or `last`, not both."),
        ({"shape": {"maxDepth": 0}}, "`shape.maxDepth` is 0; it can be 1 to 100."),
        ({"shape": {"maxDepth": 101}}, "`shape.maxDepth` is 101; it can be 1 to 100."),
        ({"shape": {"repliesPerParent": 101}}, "`shape.repliesPerParent` is 101; it can be 1 to 100."),
        ({"shape": {"repliesPerParent": -1}}, "`shape.repliesPerParent` is -1; it can be 1 to 100."),
    ],
)
async def test_a_window_of_no_or_too_many_rows_is_refused(
    community: Any, greg: Viewer, post: int, given: dict[str, Any], message: str
) -> None:
    answer = await community.whole(THREAD, post=global_id("Post", post), **given)
    assert answer.data == {"post": None}
    [error] = answer.errors
    assert (error["message"], error["extensions"]["code"]) == (message, "VALIDATION")


async def test_no_rows_may_be_asked_for(community: Any, greg: Viewer, post: int) -> None:
    await tree(community, greg, post)
    for text, name in ((LIST, "comments"), (THREAD, "thread")):
        page = (await community.data(text, post=global_id("Post", post), first=0))["post"][name]
        assert (page["edges"], page["pageInfo"]["hasNextPage"], page["pageInfo"]["endCursor"]) == ([], True, None)


async def test_a_cursor_is_good_for_its_own_window_alone(community: Any, greg: Viewer, post: int) -> None:
    await tree(community, greg, post)
    asked = {"post": global_id("Post", post)}
    of_list = (await community.data(LIST, **asked))["post"]["comments"]["pageInfo"]["endCursor"]
    of_newest = (await community.data(THREAD, **asked, sort="NEWEST"))["post"]["thread"]["pageInfo"]["endCursor"]
    forged = ["", "é", "x", "x" * 2000, encoded("[]"), encoded('"thread"'), encoded('["thread"]'), encoded("{}")]
    forged += [
        encoded(f'["thread","OLDEST",{text}]') for text in ('""', '"0"', "1", "null", '"0000~"', '"00001\\u0000"')
    ]
    forged += [encoded('["thread","BEST","00001"]'), encoded(f'["thread","OLDEST","{"00001" * 101}"]')]
    for cursor in (of_list, of_newest, *forged):
        for side in ("after", "before"):
            answer = await community.whole(THREAD, **asked, **{side: cursor})
            assert [error["extensions"]["code"] for error in answer.errors] == ["CURSOR_INVALID"]
    for cursor in (of_newest, *forged):
        answer = await community.whole(LIST, **asked, after=cursor)
        assert [error["extensions"]["code"] for error in answer.errors] == ["CURSOR_INVALID"]


@pytest.mark.parametrize("focus", ["", "x", encoded("Comment:"), encoded("Comment:-1"), global_id("Post", 1)])
async def test_a_malformed_focus_is_the_clients_error(community: Any, greg: Viewer, post: int, focus: str) -> None:
    answer = await community.whole(THREAD, post=global_id("Post", post), focus=focus)
    assert [error["extensions"]["code"] for error in answer.errors] == ["ID_INVALID"]
