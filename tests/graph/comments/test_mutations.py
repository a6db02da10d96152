"""Answering over the API: what comes back when it is done, and what when it is refused."""

from typing import Any

import pytest

from graph.context import Viewer
from graph.ids import encoded, global_id
from graph.storage.tables import comments, posts, revisions

NOBODY = Viewer()
FRENCH = (
    "« C’est\u00a0à dire\u202f: l’œuvre » — ﬁn, 12\u202f000\u00a0€ 👩\u200d👩\u200d👧\u200d👦 ❤\ufe0f 🏳\ufe0f\u200d🌈"
)
ERRORS = "errors { __typename code path message ... on ValidationError { limit actual } }"
SHOWN = "comment { id number depth parentId status body bodyText revision replyCount } clientMutationId"
ADD = f"""mutation ($input: AddCommentInput!) {{ done: addComment(input: $input) {{
    {SHOWN} {ERRORS} post {{ counts {{ comments roots }} }} position {{ ancestorIds depth previousSiblingId isStable }}
}} }}"""
EDIT = f"mutation ($input: EditCommentInput!) {{ done: editComment(input: $input) {{ {SHOWN} {ERRORS} }} }}"
DELETE = (
    f"mutation ($input: DeleteCommentInput!) {{ done: deleteComment(input: $input) {{ deletedId {SHOWN} {ERRORS} }} }}"
)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
async def greg(community: Any) -> Viewer:
    viewer: Viewer = await community.viewer(await community.person("greg"))
    return viewer


@pytest.fixture
async def post(community: Any, greg: Viewer) -> str:
    return global_id("Post", await community.publish(greg))


async def done(community: Any, text: str, who: Viewer, **given: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await community.data(text, who, input=given))["done"]
    return payload


async def refusals(community: Any, text: str, who: Viewer, **given: Any) -> list[tuple[str, str, list[str] | None]]:
    payload = await done(community, text, who, **given)
    assert payload["comment"] is None
    assert payload.get("deletedId") is None
    assert payload.get("post") is None
    assert payload.get("position") is None
    return [(error["__typename"], error["code"], error["path"]) for error in payload["errors"]]


async def kept(community: Any) -> Any:
    return [await community.table(table) for table in (comments, posts, revisions)] + [await community.events()]


async def test_an_answer_comes_back_with_its_place_and_the_counts_of_its_post(
    community: Any, greg: Viewer, post: str
) -> None:
    first = await done(community, ADD, greg, postId=post, body="un", clientMutationId="one")
    assert first == {
        "comment": {
            "id": global_id("Comment", 1),
            "number": 1,
            "depth": 0,
            "parentId": None,
            "status": "PUBLISHED",
            "body": "un",
            "bodyText": "un",
            "revision": 1,
            "replyCount": 0,
        },
        "clientMutationId": "one",
        "errors": [],
        "post": {"counts": {"comments": 1, "roots": 1}},
        "position": {"ancestorIds": [], "depth": 0, "previousSiblingId": None, "isStable": True},
    }
    reply = await done(community, ADD, greg, postId=post, parentId=first["comment"]["id"], body="deux")
    assert (reply["comment"]["depth"], reply["comment"]["parentId"]) == (1, global_id("Comment", 1))
    assert reply["post"] == {"counts": {"comments": 2, "roots": 1}}
    assert reply["position"]["ancestorIds"] == [global_id("Comment", 1)]


async def test_french_text_comes_back_as_it_was_written(community: Any, greg: Viewer, post: str) -> None:
    added = await done(community, ADD, greg, postId=post, body=FRENCH)
    edited = await done(community, EDIT, greg, id=added["comment"]["id"], body=f"{FRENCH} !")
    assert (added["comment"]["body"], added["comment"]["bodyText"]) == (FRENCH, FRENCH)
    assert (edited["comment"]["body"], edited["comment"]["bodyText"]) == (f"{FRENCH} !", f"{FRENCH} !")


async def test_an_edit_comes_back_with_its_revision(community: Any, greg: Viewer, post: str) -> None:
    comment = (await done(community, ADD, greg, postId=post, body="un"))["comment"]["id"]
    edited = await done(community, EDIT, greg, id=comment, body="deux", expectedRevision=1)
    assert (edited["comment"]["body"], edited["comment"]["revision"]) == ("deux", 2)
    before = await kept(community)
    refused = await refusals(community, EDIT, greg, id=comment, body="trois", expectedRevision=1)
    assert refused == [("ConflictError", "CONFLICT", ["input", "expectedRevision"])]
    assert await kept(community) == before


async def test_a_deleted_leaf_leaves_its_id_alone(community: Any, greg: Viewer, post: str) -> None:
    comment = (await done(community, ADD, greg, postId=post, body="un"))["comment"]["id"]
    gone = await done(community, DELETE, greg, id=comment, clientMutationId="two")
    assert gone == {"deletedId": comment, "comment": None, "clientMutationId": "two", "errors": []}


async def test_a_deleted_parent_comes_back_as_its_tombstone(community: Any, greg: Viewer, post: str) -> None:
    comment = (await done(community, ADD, greg, postId=post, body="un"))["comment"]["id"]
    await done(community, ADD, greg, postId=post, parentId=comment, body="deux")
    gone = await done(community, DELETE, greg, id=comment)
    assert gone["deletedId"] == comment
    shown = {name: gone["comment"][name] for name in ("status", "body", "bodyText", "replyCount")}
    assert shown == {"status": "DELETED", "body": None, "bodyText": None, "replyCount": 1}


@pytest.mark.parametrize(
    ("given", "field", "limit", "actual"),
    [
        ({"body": ""}, "body", None, None),
        ({"body": "\u00a0\n"}, "body", None, None),
        ({"body": "é" * 20_001}, "body", 20_000, 20_001),
        ({"postId": "nowhere"}, "postId", None, None),
        ({"postId": global_id("Comment", 1)}, "postId", None, None),
        ({"parentId": "nowhere"}, "parentId", None, None),
        ({"parentId": global_id("Post", 1)}, "parentId", None, None),
        ({"parentId": ""}, "parentId", None, None),
        ({"clientMutationId": "x" * 101}, "clientMutationId", 100, 101),
    ],
)
async def test_what_cannot_be_accepted_says_where_and_how_much_and_writes_nothing(
    community: Any, greg: Viewer, post: str, given: dict[str, Any], field: str, limit: int | None, actual: int | None
) -> None:
    before = await kept(community)
    [error] = (await done(community, ADD, greg, **{"postId": post, "body": "un"} | given))["errors"]
    assert (error["__typename"], error["code"], error["path"]) == ("ValidationError", "VALIDATION", ["input", field])
    assert (error["limit"], error["actual"]) == (limit, actual)
    assert await kept(community) == before


async def test_the_hundred_and_first_level_is_refused_with_the_limit(community: Any, greg: Viewer, post: str) -> None:
    parent = None
    for _ in range(100):
        parent = (await done(community, ADD, greg, postId=post, parentId=parent, body="+1"))["comment"]["id"]
    before = await kept(community)
    [error] = (await done(community, ADD, greg, postId=post, parentId=parent, body="+1"))["errors"]
    assert error == {
        "__typename": "ValidationError",
        "code": "VALIDATION",
        "path": ["input", "parentId"],
        "message": "A thread has at most 100 levels: answer further up.",
        "limit": 100,
        "actual": 101,
    }
    assert await kept(community) == before


async def test_who_may_not_is_told_why_and_nothing_changes(community: Any, greg: Viewer, post: str) -> None:
    michel = await community.viewer(await community.person("michel"))
    comment = (await done(community, ADD, greg, postId=post, body="un"))["comment"]["id"]
    other = global_id("Post", await community.publish(michel, "Autre"))
    before = await kept(community)
    absent = global_id("Comment", 99)
    assert [
        await refusals(community, ADD, NOBODY, postId=post, body="deux"),
        await refusals(community, ADD, michel, postId=other, parentId=comment, body="deux"),
        await refusals(community, ADD, michel, postId=global_id("Post", 99), body="deux"),
        await refusals(community, EDIT, michel, id=comment, body="deux"),
        await refusals(community, EDIT, NOBODY, id=comment, body="deux"),
        await refusals(community, EDIT, greg, id=absent, body="deux"),
        await refusals(community, EDIT, greg, id=encoded("Comment:x"), body="deux"),
        await refusals(community, DELETE, michel, id=comment),
        await refusals(community, DELETE, NOBODY, id=comment),
        await refusals(community, DELETE, greg, id=absent),
        await refusals(community, DELETE, greg, id=post),
    ] == [
        [("PermissionError", "UNAUTHENTICATED", None)],
        [("NotFoundError", "NOT_FOUND", ["input", "parentId"])],
        [("NotFoundError", "NOT_FOUND", ["input", "postId"])],
        [("PermissionError", "NOT_PERMITTED", ["input", "id"])],
        [("PermissionError", "UNAUTHENTICATED", None)],
        [("NotFoundError", "NOT_FOUND", ["input", "id"])],
        [("ValidationError", "VALIDATION", ["input", "id"])],
        [("PermissionError", "NOT_PERMITTED", ["input", "id"])],
        [("PermissionError", "UNAUTHENTICATED", None)],
        [("NotFoundError", "NOT_FOUND", ["input", "id"])],
        [("ValidationError", "VALIDATION", ["input", "id"])],
    ]
    assert await kept(community) == before


async def test_a_locked_discussion_says_so(community: Any, greg: Viewer, post: str) -> None:
    await community.storage.rows(posts.update().values(discussion="LOCKED").returning(posts.c.id))
    assert await refusals(community, ADD, greg, postId=post, body="un") == [
        ("ClosedError", "LOCKED", ["input", "postId"])
    ]
    assert await community.table(comments) == []


async def test_an_answer_sent_twice_is_written_once_and_shown_as_it_is_by_then(
    community: Any, greg: Viewer, post: str
) -> None:
    given = {"postId": post, "body": "un", "clientMutationId": "one"}
    first = await done(community, ADD, greg, **given)
    await done(community, EDIT, greg, id=first["comment"]["id"], body="deux")
    again = await done(community, ADD, greg, **given)
    assert (again["comment"]["id"], again["comment"]["body"]) == (first["comment"]["id"], "deux")
    assert again["position"] == first["position"]
    assert len(await community.table(comments)) == 1
    assert await refusals(community, ADD, greg, **given | {"body": "trois"}) == [
        ("ConflictError", "CONFLICT", ["input", "clientMutationId"])
    ]


async def test_a_refused_answer_may_be_sent_again_under_its_key(community: Any, greg: Viewer, post: str) -> None:
    given = {"postId": post, "body": "un", "clientMutationId": "one"}
    await community.storage.rows(posts.update().values(discussion="LOCKED").returning(posts.c.id))
    await refusals(community, ADD, greg, **given)
    await community.storage.rows(posts.update().values(discussion="OPEN").returning(posts.c.id))
    assert (await done(community, ADD, greg, **given))["comment"]["number"] == 1
