"""What a release has printed stays: an element goes only after a release has called it deprecated."""

from pathlib import Path

import pytest
from graphql import GraphQLSchema, build_schema, find_breaking_changes
from graphql.utilities import BreakingChange

from graph.schema import schema

RELEASED = sorted((Path(__file__).parents[2] / "docs" / "schemas").glob("*.graphql"))
OLD = """
type Query {
  id: ID
  post(id: ID!): String
  article: String @deprecated(reason: "Use `post`.")
  sorted(by: Sort = NEW): String
}
enum Sort { NEW OLD BEST @deprecated(reason: "Use `NEW`.") }
"""


def deprecated_in(old: GraphQLSchema) -> set[str]:
    """Type.field, Type.VALUE, or Input.field of what has said that it will go."""
    found = set()
    for of in old.type_map.values():
        members = {**getattr(of, "fields", {}), **getattr(of, "values", {})}
        found |= {f"{of.name}.{name}" for name, member in members.items() if member.deprecation_reason}
    return found


def broken(old: GraphQLSchema, new: GraphQLSchema) -> list[str]:
    """What clients of the old schema miss in the new one without having been told."""
    told = deprecated_in(old)
    return [change.description for change in find_breaking_changes(old, new) if not _concerns(change, told)]


def _concerns(change: BreakingChange, elements: set[str]) -> bool:
    return bool(elements & set(change.description.split()))  # "Field Query.article was removed."


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_nothing_that_was_released_goes_without_a_word(path: Path) -> None:
    assert broken(build_schema(path.read_text(encoding="utf-8")), schema._schema) == []


def test_a_release_is_kept_to_be_compared_with() -> None:
    assert RELEASED


@pytest.mark.parametrize(
    ("before", "after", "missed"),
    [
        ("  post(id: ID!): String\n", "", ["Field Query.post was removed."]),
        ("(id: ID!): String", "(id: ID!, now: Int!): String", ["A required argument Query.post(now:) was added."]),
        ("(id: ID!): String", "(id: ID!): Int", ["Field Query.post changed type from String to Int."]),
        (" OLD", "", ["Enum value Sort.OLD was removed."]),
        ('  article: String @deprecated(reason: "Use `post`.")\n', "", []),
        (' BEST @deprecated(reason: "Use `NEW`.")', "", []),
        ("enum Sort { NEW", "enum Sort { HOT NEW", []),
    ],
)
def test_what_breaks_clients_is_found_and_what_was_deprecated_may_go(
    before: str, after: str, missed: list[str]
) -> None:
    assert before in OLD
    assert broken(build_schema(OLD), build_schema(OLD.replace(before, after))) == missed


def test_what_is_deprecated_says_what_to_use_instead() -> None:
    reasons: dict[str, str | None] = {}
    for of in schema._schema.type_map.values():
        members = {**getattr(of, "fields", {}), **getattr(of, "values", {})}
        reasons |= {f"{of.name}.{name}": member.deprecation_reason for name, member in members.items()}
    assert [name for name, reason in reasons.items() if reason is not None and "`" not in reason] == []
