"""Writing posts over the API: what comes back when it is done, and what when it is refused."""

from typing import Any

import pytest

from graph.context import Viewer
from graph.ids import encoded, global_id
from graph.storage.tables import posts, revisions

NOBODY = Viewer()
ERRORS = "errors { __typename code path message ... on ValidationError { limit actual } }"
SHOWN = "post { id title summary body bodyHtml state revision slug } clientMutationId"
CREATE = f"mutation ($input: CreatePostInput!) {{ done: createPost(input: $input) {{ {SHOWN} {ERRORS} }} }}"
EDIT = f"mutation ($input: EditPostInput!) {{ done: editPost(input: $input) {{ {SHOWN} {ERRORS} }} }}"
PUBLISH = f"mutation ($input: PostInput!) {{ done: publishPost(input: $input) {{ {SHOWN} {ERRORS} }} }}"
UNPUBLISH = f"mutation ($input: PostInput!) {{ done: unpublishPost(input: $input) {{ {SHOWN} {ERRORS} }} }}"
DELETE = (
    f"mutation ($input: PostInput!) {{ done: deletePost(input: $input) {{ deletedId clientMutationId {ERRORS} }} }}"
)
MALFORMED = ["", "x", "Post:1", encoded("Post:"), encoded("Post:01"), encoded("Post:1 "), encoded("Post:" + "9" * 19)]


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


@pytest.fixture
async def greg(community: Any) -> Viewer:
    viewer: Viewer = await community.viewer(await community.person("greg"))
    return viewer


async def done(community: Any, text: str, who: Viewer, **given: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await community.data(text, who, input=given))["done"]
    return payload


async def refusals(community: Any, text: str, who: Viewer, **given: Any) -> list[tuple[str, str, list[str] | None]]:
    payload = await done(community, text, who, **given)
    assert payload.get("post") is None
    assert payload.get("deletedId") is None
    return [(error["__typename"], error["code"], error["path"]) for error in payload["errors"]]


async def kept(community: Any) -> Any:
    return [await community.table(posts), await community.table(revisions), await community.events()]


async def test_a_new_post_comes_back_as_it_is(community: Any, greg: Viewer) -> None:
    given = {"kind": "QUESTION", "title": " Noël ", "body": "*Oui*", "summary": "abc", "clientMutationId": "one"}
    assert await done(community, CREATE, greg, **given) == {
        "post": {
            "id": global_id("Post", 1),
            "title": "Noël",
            "summary": "abc",
            "body": "*Oui*",
            "bodyHtml": "<p><em>Oui</em></p>",
            "state": "PUBLISHED",
            "revision": 1,
            "slug": "noel",
        },
        "clientMutationId": "one",
        "errors": [],
    }


async def test_a_draft_comes_back_to_its_author(community: Any, greg: Viewer) -> None:
    made = await done(community, CREATE, greg, kind="ARTICLE", title="Noël", body="Oui", publish=False)
    assert made["post"]["state"] == "DRAFT"
    shown = [await done(community, text, greg, id=made["post"]["id"]) for text in (PUBLISH, UNPUBLISH)]
    assert [payload["post"]["state"] for payload in shown] == ["PUBLISHED", "DRAFT"]


async def test_an_edit_comes_back_with_its_revision_and_keeps_what_was_left_out(community: Any, greg: Viewer) -> None:
    post = global_id("Post", await community.publish(greg, "Noël", body="un", summary="abc"))
    edited = await done(community, EDIT, greg, id=post, title="Pâques", body=None, summary=None, expectedRevision=1)
    assert (edited["post"]["title"], edited["post"]["body"], edited["post"]["summary"]) == ("Pâques", "un", "abc")
    assert (edited["post"]["revision"], edited["post"]["slug"]) == (2, "noel")


async def test_a_deleted_post_leaves_its_id(community: Any, greg: Viewer) -> None:
    post = global_id("Post", await community.publish(greg))
    assert await done(community, DELETE, greg, id=post, clientMutationId="one") == {
        "deletedId": post,
        "clientMutationId": "one",
        "errors": [],
    }
    assert await refusals(community, DELETE, greg, id=post) == [("NotFoundError", "NOT_FOUND", ["input", "id"])]


@pytest.mark.parametrize(
    ("given", "field", "limit", "actual"),
    [
        ({"title": ""}, "title", None, None),
        ({"title": "x" * 201}, "title", 200, 201),
        ({"body": " "}, "body", None, None),
        ({"body": "x" * 200_001}, "body", 200_000, 200_001),
        ({"summary": "x" * 501}, "summary", 500, 501),
        ({"language": "klingon!"}, "language", None, None),
        ({"communityId": "nowhere"}, "communityId", None, None),
        ({"communityId": global_id("Post", 1)}, "communityId", None, None),
        ({"clientMutationId": ""}, "clientMutationId", 100, 0),
        ({"clientMutationId": "x" * 101}, "clientMutationId", 100, 101),
        ({"clientMutationId": "a\x00b"}, "clientMutationId", None, None),
    ],
)
async def test_what_cannot_be_accepted_says_where_and_how_much_and_writes_nothing(
    community: Any, greg: Viewer, given: dict[str, Any], field: str, limit: int | None, actual: int | None
) -> None:
    payload = await done(community, CREATE, greg, **{"kind": "ARTICLE", "title": "Noël", "body": "Oui"} | given)
    [error] = payload["errors"]
    assert (error["__typename"], error["code"], error["path"]) == ("ValidationError", "VALIDATION", ["input", field])
    assert (error["limit"], error["actual"]) == (limit, actual)
    assert payload["post"] is None
    assert await kept(community) == [[], [], []]


async def test_a_reason_is_cleaned_and_has_at_most_500_characters(community: Any, greg: Viewer) -> None:
    post = global_id("Post", await community.publish(greg))
    before = await kept(community)
    refused = await refusals(community, EDIT, greg, id=post, title="Pâques", reason="x" * 501)
    assert refused == [("ValidationError", "VALIDATION", ["input", "reason"])]
    assert await kept(community) == before

    await done(community, EDIT, greg, id=post, title="Pâques", reason=" fau\x00te ")
    await done(community, EDIT, greg, id=post, title="Avent", reason=" ")
    reasons = [row[revisions.columns.keys().index("reason")] for row in await community.table(revisions)]
    assert reasons == ["faute", None]


@pytest.mark.parametrize("text", [EDIT, PUBLISH, UNPUBLISH, DELETE])
@pytest.mark.parametrize("malformed", [*MALFORMED, encoded("Comment:1"), encoded("Community:1")])
async def test_a_malformed_id_is_refused_where_it_stands(
    community: Any, greg: Viewer, text: str, malformed: str
) -> None:
    assert await refusals(community, text, greg, id=malformed) == [("ValidationError", "VALIDATION", ["input", "id"])]


@pytest.mark.parametrize("text", [EDIT, PUBLISH, UNPUBLISH, DELETE])
async def test_who_may_not_is_told_why_and_nothing_changes(community: Any, greg: Viewer, text: str) -> None:
    michel = await community.viewer(await community.person("michel"))
    shown = global_id("Post", await community.publish(greg))
    draft = global_id("Post", await community.publish(greg, publish=False))
    before = await kept(community)
    answers = [
        await refusals(community, text, who, id=post)
        for who, post in ((michel, shown), (NOBODY, shown), (michel, draft), (NOBODY, draft))
    ]
    assert answers == [
        [("PermissionError", "NOT_PERMITTED", ["input", "id"])],
        [("PermissionError", "UNAUTHENTICATED", None)],
        [("NotFoundError", "NOT_FOUND", ["input", "id"])],
        [("NotFoundError", "NOT_FOUND", ["input", "id"])],
    ]
    assert await kept(community) == before


async def test_who_saw_another_text_is_told_which_revision_there_is(community: Any, greg: Viewer) -> None:
    post = global_id("Post", await community.publish(greg))
    await done(community, EDIT, greg, id=post, title="Pâques")
    before = await kept(community)
    payload = await done(community, EDIT, greg, id=post, title="Avent", expectedRevision=1)
    assert payload["errors"] == [
        {
            "__typename": "ConflictError",
            "code": "CONFLICT",
            "path": ["input", "expectedRevision"],
            "message": "Somebody changed it first: it is at revision 2, not 1.",
        }
    ]
    assert payload["post"] is None
    assert await kept(community) == before


async def test_a_post_sent_twice_is_written_once_and_shown_as_it_is_by_then(community: Any, greg: Viewer) -> None:
    given = {"kind": "ARTICLE", "title": "Noël", "body": "Oui", "clientMutationId": "one"}
    first = await done(community, CREATE, greg, **given)
    await done(community, EDIT, greg, id=first["post"]["id"], title="Pâques")
    again = await done(community, CREATE, greg, **given)
    assert (again["post"]["id"], again["post"]["title"]) == (first["post"]["id"], "Pâques")
    assert len(await community.table(posts)) == 1
    other = await refusals(community, CREATE, greg, **given | {"title": "Avent"})
    assert other == [("ConflictError", "CONFLICT", ["input", "clientMutationId"])]


async def test_each_act_of_one_operation_sees_what_the_former_did(community: Any, greg: Viewer) -> None:
    text = f"""mutation ($a: EditPostInput!, $b: EditPostInput!) {{
        first: editPost(input: $a) {{ {SHOWN} }} second: editPost(input: $b) {{ {SHOWN} {ERRORS} }}
    }}"""
    post = global_id("Post", await community.publish(greg))
    one, two = {"id": post, "title": "Pâques"}, {"id": post, "title": "Avent", "expectedRevision": 2}
    shown = await community.data(text, greg, a=one, b=two)
    assert [(shown[name]["post"]["title"], shown[name]["post"]["revision"]) for name in ("first", "second")] == [
        ("Pâques", 2),
        ("Avent", 3),
    ]
