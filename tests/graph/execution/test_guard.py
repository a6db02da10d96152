"""Limits are kept before work, in time that grows with the text alone."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_composite_type,
)

from graph.execution.documents import Documents, Refused
from graph.execution.guard import MEASURED_MOST, UNPAGED, Limits, check_operation
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


VARIABLES = {"n": 7, "ids": ["a", "b", "c", "d"]}


@pytest.mark.parametrize(
    ("text", "things"),
    [
        ("{ posts(first: 10) { nodes { id } } }", 10),
        ("{ posts(first: 10) { edges { node { comments(first: 5) { nodes { id } } } } } }", 10 + 10 * 5),
        ("{ posts { nodes { id } } }", 50),
        ("query ($n: Int) { posts(last: $n) { ...P } } fragment P on PostConnection { nodes { id } }", 7),
        ("{ viewer { id } }", 0),
        ('{ comment(id: "x") { ancestors { id } } }', 99),
        ('{ comment(id: "x") { ancestors { ancestors { id } } } }', 99 + 99 * 99),
        ('{ post(slug: "x") { thread(first: 10) { context { id } edges { cursor } } } }', 10 + 10 * 99),
        ('{ nodes(ids: ["x", "y", "z"]) { ... on Post { comments(first: 5) { nodes { id } } } } }', 3 + 3 * 5),
        ("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", 4),
        ('{ nodes(ids: "x") { id } }', 1),
        ("{ posts(first: 0) { nodes { id } } }", 0),
        ("{ posts(first: null, last: 3) { nodes { id } } }", 3),
    ],
)
def test_what_lists_may_bring_is_counted_with_what_they_hold(text: str, things: int) -> None:
    document = Documents(schema, Limits()).read(text)
    operation = document.operation(None)

    assert check_operation(operation, document.fragments, VARIABLES, Limits(things=things)) is None
    if things:
        error = check_operation(operation, document.fragments, VARIABLES, Limits(things=things - 1))
        assert error is not None
        assert (error.extensions or {})["actual"] == things


def test_a_way_up_within_ways_up_is_refused_before_it_is_gone() -> None:
    text = '{ comment(id: "x") { ' + "ancestors { " * 25 + "id" + " }" * 27

    document = Documents(schema, Limits()).read(text)
    error = check_operation(document.operation(None), document.fragments, {}, Limits())

    assert error is not None
    assert error.extensions == {"code": "TOO_COMPLEX", "limit": Limits().things, "actual": MEASURED_MOST}


def lists_of_things() -> Iterator[tuple[str, str]]:
    """Type and field of every list of objects in the schema."""
    for named in schema._schema.type_map.values():
        if isinstance(named, GraphQLObjectType | GraphQLInterfaceType) and not named.name.startswith("__"):
            for name, field in named.fields.items():
                shown = field.type.of_type if isinstance(field.type, GraphQLNonNull) else field.type
                if isinstance(shown, GraphQLList) and is_composite_type(get_named_type(shown)):
                    yield named.name, name


def test_no_list_of_the_schema_escapes_the_count() -> None:
    uncounted = {
        (of, name)
        for of, name in lists_of_things()
        if name not in ("edges", "nodes") and name not in UNPAGED and not of.endswith("Payload")
    }
    assert uncounted == set()


def test_in_production_nothing_is_told_of_the_schema() -> None:
    discreet = Limits(discreet=True)

    assert "introspection" in refusal("{ __schema { queryType { name } } }", discreet)["message"]
    assert "Did you mean" not in refusal("{ pots { nodes { id } } }", discreet)["message"]
    assert "Did you mean" in refusal("{ pots { nodes { id } } }", Limits())["message"]
