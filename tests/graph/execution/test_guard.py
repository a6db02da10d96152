"""Limits are kept before work, in time that grows with the text alone."""

from typing import Any

import pytest

from graph.execution.documents import Documents, Refused
from graph.execution.guard import Limits, check_operation
from graph.schema import schema

DOUBLING = (
    "query Q { ...F0 } "
    + " ".join(f"fragment F{n} on Query {{ ...F{n + 1} ...F{n + 1} }}" for n in range(60))
    + " fragment F60 on Query { viewer { id } }"
)

BRANCHING = (
    'query Q { comment(id: "x") { ...F0 } } '
    + " ".join(
        f"fragment F{n} on Comment {{ a: parent {{ ...F{n + 1} }} b: parent {{ ...F{n + 1} }} }}" for n in range(25)
    )
    + " fragment F25 on Comment { id }"
)


def refusal(text: str, limits: Limits) -> dict[str, Any]:
    with pytest.raises(Refused) as refused:
        Documents(schema, limits).read(text)
    error = refused.value.errors[0]
    return {"message": error.message, **(error.extensions or {})}


@pytest.mark.parametrize("text", [DOUBLING, BRANCHING])
def test_fragments_that_double_at_each_level_are_refused_before_they_are_spread(text: str) -> None:
    assert refusal(text, Limits(depth=100))["code"] == "TOO_COMPLEX"


def test_a_document_too_deep_is_told_by_how_much() -> None:
    text = '{ comment(id: "x") { parent { parent { parent { id } } } } }'

    assert refusal(text, Limits(depth=4)) == {
        "message": "The operation has 5 levels; 4 are allowed.",
        "code": "TOO_COMPLEX",
        "limit": 4,
        "actual": 5,
    }
    assert Documents(schema, Limits(depth=5)).read(text)


def test_passwords_cannot_be_guessed_by_the_dozen_in_one_request() -> None:
    acts = " ".join(f'g{n}: signIn(input: {{identifier: "a", password: "{n}"}}) {{ token }}' for n in range(11))

    assert refusal(f"mutation {{ {acts} }}", Limits())["message"] == "The operation has 11 mutations; 10 are allowed."


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("{ posts(first: 10) { nodes { id } } }", 10),
        ("{ posts(first: 10) { edges { node { comments(first: 5) { nodes { id } } } } } }", 10 + 10 * 5),
        ("{ posts { nodes { id } } }", 50),
        ("query ($n: Int) { posts(last: $n) { ...P } } fragment P on PostConnection { nodes { id } }", 7),
        ("{ viewer { id } }", 0),
    ],
)
def test_what_lists_may_bring_is_counted_with_what_they_hold(text: str, things: int) -> None:
    document = Documents(schema, Limits()).read(text)
    operation = document.operation(None)

    assert check_operation(operation, document.fragments, {"n": 7}, Limits(things=things)) is None
    if things:
        error = check_operation(operation, document.fragments, {"n": 7}, Limits(things=things - 1))
        assert error is not None
        assert (error.extensions or {})["actual"] == things


def test_in_production_nothing_is_told_of_the_schema() -> None:
    discreet = Limits(discreet=True)

    assert "introspection" in refusal("{ __schema { queryType { name } } }", discreet)["message"]
    assert "Did you mean" not in refusal("{ pots { nodes { id } } }", discreet)["message"]
    assert "Did you mean" in refusal("{ pots { nodes { id } } }", Limits())["message"]
