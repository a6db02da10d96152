"""From a request to its answer: what was executed and how, what was refused, and what a client learns of a defect."""

from typing import Any

import pytest
from graphql import GraphQLError
from structlog.testing import capture_logs

from graph import text
from graph.context import Context, Viewer
from graph.errors import request_error
from graph.execution.answers import Answer, Engine, Request
from graph.execution.guard import Limits
from graph.ids import global_id
from graph.observing.observed import report
from graph.refusals import NotFound
from graph.schema import schema

NOBODY = Viewer()


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


async def answer(community: Any, query: str, who: Viewer = NOBODY, name: str | None = None, **variables: Any) -> Answer:
    found: Answer = await community.engine.answer(Request(query, variables, name), Context(community.services, who))
    return found


@pytest.fixture
async def greg(community: Any) -> Viewer:
    viewer: Viewer = await community.viewer(await community.person("greg"))
    return viewer


def test_a_body_has_errors_where_there_are_some_and_data_where_it_was_executed() -> None:
    error = {"message": "no"}
    assert Answer({"a": 1}, []).body() == {"data": {"a": 1}}
    assert Answer(None, [error]).body() == {"errors": [error], "data": None}
    assert Answer(None, [error], executed=False).body() == {"errors": [error]}


async def test_a_query_over_declared_fields_is_planned_and_others_are_not(community: Any, greg: Viewer) -> None:
    post = global_id("Post", await community.publish(greg, "Noël"))
    planned = await answer(community, "query ($id: ID!) { post(id: $id) { title } }", id=post)
    other = await answer(community, "query ($id: ID!) { node(id: $id) { ... on Post { title } } }", id=post)
    assert (planned.data, planned.planned) == ({"post": {"title": "Noël"}}, True)
    assert (other.data, other.planned) == ({"node": {"title": "Noël"}}, False)


async def test_an_error_of_the_request_is_worded_by_the_other_execution(community: Any) -> None:
    found = await answer(community, 'query Q { wrong: post(id: "x") { title } posts { nodes { title } } }')
    assert (found.executed, found.planned) == (True, False)
    assert found.data == {"wrong": None, "posts": {"nodes": []}}
    [error] = found.errors
    assert (error["path"], error["locations"]) == (["wrong"], [{"line": 1, "column": 11}])
    assert error["extensions"] == {"code": "ID_INVALID", "id": "x"}


@pytest.mark.parametrize(
    ("query", "name", "variables"),
    [
        ("{ nothing }", None, {}),
        ("{", None, {}),
        ("query A { viewer { id } } query B { viewer { id } }", None, {}),
        ("query A { viewer { id } } query B { viewer { id } }", "C", {}),
        ("query ($id: ID!) { post(id: $id) { id } }", None, {}),
        ("query ($n: Int) { posts(first: $n) { nodes { id } } }", None, {"n": 2**31}),
        ("query ($n: Int) { posts(first: $n) { nodes { id } } }", None, {"n": "1"}),
        ("query ($s: FeedSort) { posts(sort: $s) { nodes { id } } }", None, {"s": "BEST"}),
        ('subscription { commentAdded(postId: "UG9zdDox") { cursor } }', None, {}),
    ],
)
async def test_what_cannot_be_executed_is_refused_as_a_whole(
    community: Any, query: str, name: str | None, variables: dict[str, Any]
) -> None:
    with capture_logs() as logged:
        found = await answer(community, query, NOBODY, name, **variables)
    assert (found.data, found.executed, found.planned) == (None, False, False)
    assert found.errors[0]["message"] not in ("", "Internal error.")
    assert logged == []


async def test_what_is_wrong_with_variables_is_told_within_reason(community: Any) -> None:
    query = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    found = await answer(community, query, ids=[None] * 5_000)
    assert len(found.errors) <= 51
    assert not found.executed


async def test_too_much_is_refused_before_it_is_read(community: Any) -> None:
    community.engine = Engine(schema, Limits(things=100))
    query = "query ($n: Int) { posts(first: $n) { nodes { comments(first: $n) { nodes { id } } } } }"
    found = await answer(community, query, n=20)
    assert not found.executed
    assert found.errors[0]["extensions"] == {"code": "TOO_COMPLEX", "limit": 100, "actual": 420}
    assert (await answer(community, query, n=5)).executed


async def test_a_mutation_shows_what_it_has_done_and_a_query_one_moment(community: Any, greg: Viewer) -> None:
    post = global_id("Post", await community.publish(greg))
    add = "addComment(input: {postId: $id, body: $body}) { post { counts { comments } } }"
    query = f"mutation ($id: ID!, $body: Markdown!) {{ a: {add} b: {add} }}"
    found = await answer(community, query, greg, id=post, body="oui")
    assert [found.data[name]["post"]["counts"]["comments"] for name in "ab"] == [1, 2]


# Defects ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "planned"),
    [
        ('query Find { post(slug: "noel") { title } }', True),
        ('query Find { post(slug: "noel") { title } __schema { queryType { name } } }', False),
    ],
)
async def test_a_defect_is_logged_once_with_the_id_that_the_client_is_told(
    community: Any, monkeypatch: pytest.MonkeyPatch, query: str, planned: bool
) -> None:
    def broken(_: str) -> str:
        raise ZeroDivisionError("a defect of ours")

    monkeypatch.setattr(text, "clean", broken)
    with capture_logs() as logged:
        found = await answer(community, query)
    [error], [line] = found.errors, logged
    assert error["message"] == "Internal error."
    assert error["extensions"] == {"code": "INTERNAL", "id": line["id"]}
    assert (line["operation"], type(line["exc_info"])) == ("Find", ZeroDivisionError)
    assert found.executed
    assert "a defect of ours" not in str(found.errors)


async def test_only_defects_are_masked(community: Any) -> None:
    document = community.engine.documents.read("query Q { viewer { id } }")
    operation = document.operation(None)
    errors = [
        GraphQLError("worded by the execution"),
        GraphQLError("worded by us", original_error=request_error("worded by us", "VALIDATION")),
        GraphQLError("There is no such post.", original_error=NotFound("There is no such post.", ("input", "id"))),
        GraphQLError("a secret", original_error=ValueError("a secret")),
    ]
    with capture_logs() as logged:
        shown = community.engine.shown(errors, operation, "en")
    assert [error["message"] for error in shown] == [
        "worded by the execution",
        "worded by us",
        "There is no such post.",
        "Internal error.",
    ]
    assert shown[2]["extensions"] == {"code": "NOT_FOUND"}
    assert [line["id"] for line in logged] == [shown[3]["extensions"]["id"]]


def test_every_defect_has_an_id_of_its_own() -> None:
    with capture_logs() as logged:
        ids = [report(ValueError(), "Q", ["post"]) for _ in range(3)]
    assert [line["id"] for line in logged] == ids
    assert len(set(ids)) == 3
    assert {(line["operation"], tuple(line["path"])) for line in logged} == {("Q", ("post",))}
