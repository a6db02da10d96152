"""Documents: parsed and held to the limits once, kept with their plans, refused with a reason."""

from typing import Any

import pytest
from graphql import GraphQLError

from graph.execution import documents
from graph.execution.documents import Document, Documents, Refused
from graph.execution.guard import Limits
from graph.execution.plans import compile_plan
from graph.schema import schema

VIEWER = "{ viewer { id } }"
TWO = "query A { viewer { id } } query B { posts { nodes { id } } }"
CHOOSING = """query Q($more: Boolean!, $id: ID!) {
  post(id: $id) { title summary @include(if: $more) ...Rest }
}
fragment Rest on Post { slug @skip(if: $more) }"""


@pytest.fixture
def kept() -> Documents:
    return Documents(schema, Limits())


def refusal(kept: Documents, text: str) -> dict[str, Any]:
    with pytest.raises(Refused) as refused:
        kept.read(text)
    first = refused.value.errors[0]
    return {"message": first.message, **(first.extensions or {})}


# Keeping ------------------------------------------------------------------------------------------------------------


def test_a_document_is_read_once(kept: Documents) -> None:
    assert kept.read(VIEWER) is kept.read(VIEWER)
    assert kept.read(VIEWER + " ") is not kept.read(VIEWER)


def test_the_documents_used_last_are_kept(kept: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{VIEWER} # {number}" for number in range(4)]
    monkeypatch.setattr(documents, "CHARACTERS_KEPT", 3 * len(texts[0]))
    first, second, _ = [kept.read(text) for text in texts[:3]]
    kept.read(texts[0])
    kept.read(texts[3])
    assert kept.read(texts[0]) is first
    assert kept.read(texts[1]) is not second


def test_what_was_refused_is_not_kept(kept: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "CHARACTERS_KEPT", 100)
    document = kept.read(VIEWER)
    for number in range(50):
        assert "nothing" in refusal(kept, f"{{ nothing{number} }}")["message"]
    assert kept.read(VIEWER) is document


# Refusing -----------------------------------------------------------------------------------------------------------


def test_a_document_of_too_many_bytes_is_refused_unread() -> None:
    limited = Documents(schema, Limits(document_bytes=40))
    assert refusal(limited, VIEWER + " #" + "é" * 11 + "x") == {
        "message": "The document has 42 bytes; 40 are allowed.",
        "code": "TOO_COMPLEX",
        "limit": 40,
        "actual": 42,
    }
    assert limited.read(VIEWER + " #" + "é" * 10 + "x")


def test_a_document_of_too_many_tokens_is_refused() -> None:
    assert "5 tokens" in refusal(Documents(schema, Limits(tokens=5)), VIEWER)["message"]
    assert Documents(schema, Limits(tokens=6)).read(VIEWER)


@pytest.mark.parametrize(
    "text",
    [
        "{a" * 2400,
        "{" + "...{" * 1600,
        "{post(id:" + "[" * 2400,
        "{post(id:" + "{a:" * 1600,
        "query($a:" + "[" * 2400,
        '"""' + "\\" * 1000,
        '{ post(id: "\\ud800") { id } }',
        "\x00",
        "\ud800",
        "",
        "# nothing",
        "}",
    ],
)
def test_what_is_no_document_is_refused_however_it_is_broken(kept: Documents, text: str) -> None:
    assert refusal(kept, text)["message"] != ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{ nothing }", "Cannot query field 'nothing' on type 'Query'."),
        ("query A { viewer { id } } query A { viewer { id } }", "There can be only one operation named 'A'."),
        (VIEWER + " query B { viewer { id } }", "This anonymous operation must be the only defined operation."),
        ("{ viewer { id } ...F }", "Unknown fragment 'F'."),
        ("fragment F on Query { viewer { id } }", "Fragment 'F' is never used."),
        ("type Post { id: ID }", "The 'Post' definition is not executable."),
        ("{ ...A } fragment A on Query { ...A }", "Cannot spread fragment 'A' within itself."),
        ("{ post(id: 1.5) { id } }", "ID cannot represent a non-string and non-integer value: 1.5"),
        (
            "mutation { signOut { sessionId } }",
            "Argument 'Mutation.signOut(input:)' of type 'SignOutInput!' is required",
        ),
    ],
)
def test_what_the_schema_does_not_know_is_refused(kept: Documents, text: str, said: str) -> None:
    assert refusal(kept, text)["message"].startswith(said)


# Operations and plans -----------------------------------------------------------------------------------------------


def test_the_operation_is_named_where_there_are_several(kept: Documents) -> None:
    assert kept.read(VIEWER).operation(None).name is None
    named = kept.read(TWO).operation("B").name
    assert named is not None
    assert named.value == "B"
    for text, name in ((TWO, None), (TWO, "C"), (VIEWER, "A"), (TWO, ""), (TWO, "x" * 5000)):
        with pytest.raises(GraphQLError) as refused:
            kept.read(text).operation(name)
        assert len(refused.value.message) < 200


def plan_of(document: Document, **directives: bool) -> Any:
    return document.plan(document.operation(None), directives)


def test_a_plan_is_made_once_for_what_its_directives_say(kept: Documents) -> None:
    document = kept.read(CHOOSING)
    plans = [plan_of(document, more=more) for more in (True, False, True, False)]
    assert plans[0] is plans[2]
    assert plans[1] is plans[3]
    assert plans[0] is not plans[1]


def test_only_so_many_plans_are_kept(kept: Documents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "PLANS_KEPT", 1)
    document = kept.read(CHOOSING)
    first = plan_of(document, more=True)
    assert plan_of(document, more=True) is first
    plan_of(document, more=False)
    assert plan_of(document, more=True) is not first


@pytest.mark.parametrize(
    "text",
    [
        "mutation { signOut(input: {}) { sessionId } }",
        "{ __schema { queryType { name } } }",
        '{ node(id: "x") { id } }',
        'subscription { commentAdded(postId: "x") { cursor } }',
    ],
)
def test_what_cannot_be_planned_is_tried_once(kept: Documents, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0

    def counting(*given: Any) -> Any:
        nonlocal tried
        tried += 1
        return compile_plan(*given)

    monkeypatch.setattr("graph.execution.documents.compile_plan", counting)
    document = kept.read(text)
    assert [plan_of(document), plan_of(document)] == [None, None]
    assert tried == 1
