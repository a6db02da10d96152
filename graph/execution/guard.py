"""Limits before work: what a document may ask for is bounded before it is validated.

Measured once per fragment: validation rules that walk fragments again at each spread take exponential time on
nested ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, FragmentDefinitionNode, GraphQLError, OperationDefinitionNode

from graph.errors import request_error


@dataclass(frozen=True, slots=True)
class Limits:
    document_bytes: int = 100_000
    tokens: int = 5_000
    depth: int = 30  # levels of nested fields; introspection as tools send it has 13


def check_document(
    node: DocumentNode, fragments: Mapping[str, FragmentDefinitionNode], limits: Limits
) -> list[GraphQLError]:
    """What is wrong with it; empty when it is within its limits."""
    depths = _Depths(fragments)
    for definition in node.definitions:
        if isinstance(definition, OperationDefinitionNode):
            depth = depths.of(definition)
            if depth > limits.depth:
                message = f"The operation is {depth} levels deep; {limits.depth} are allowed."
                return [request_error(message, "TOO_COMPLEX", limit=limits.depth, actual=depth)]
    return []


class _Depths:
    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode]) -> None:
        self._fragments = fragments
        self._known: dict[str, int] = {}

    def of(self, node: Any) -> int:
        """Levels of fields below this node."""
        deepest = 0
        for selection in getattr(getattr(node, "selection_set", None), "selections", ()):
            if selection.kind == "field":
                deepest = max(deepest, 1 + self.of(selection))
            elif selection.kind == "inline_fragment":
                deepest = max(deepest, self.of(selection))
            else:
                deepest = max(deepest, self._of_fragment(selection.name.value))
        return deepest

    def _of_fragment(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = 0  # a fragment that spreads itself is for validation to refuse
            fragment = self._fragments.get(name)
            self._known[name] = 0 if fragment is None else self.of(fragment)
        return self._known[name]
