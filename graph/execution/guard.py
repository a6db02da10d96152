"""Limits before work: how deep a document is and how many fields it has are bounded before it is validated, and how
many things an operation may bring before it is executed.

Fields are counted as they stand after all fragments are spread, and each fragment is measured once: walking it again
at each spread would take exponential time on nested ones, here, in validation and in making a plan.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import DocumentNode, FragmentDefinitionNode, GraphQLError, OperationDefinitionNode, OperationType

from graph.errors import request_error
from graph.phrases import phrase


@dataclass(frozen=True, slots=True)
class Limits:
    document_bytes: int = 100_000
    tokens: int = 5_000
    depth: int = 30  # levels of nested fields; introspection as tools send it has 13
    fields: int = 3_000  # after all fragments are spread
    things: int = 20_000  # entries of lists, if every list were full
    acts: int = 10  # mutations in one operation
    discreet: bool = False  # tell nothing of the schema: no introspection, no suggestions


def check_document(
    node: DocumentNode, fragments: Mapping[str, FragmentDefinitionNode], limits: Limits
) -> list[GraphQLError]:
    """What is wrong with it; empty when it is within its limits."""
    depth_of, fields_of = Measure(fragments, _deeper), Measure(fragments, _more_fields)
    for definition in node.definitions:
        if not isinstance(definition, OperationDefinitionNode):
            continue
        for message, measured, limit in (
            ("The operation has {actual} levels; {limit} are allowed.", depth_of.below(definition), limits.depth),
            ("The operation has {actual} fields; {limit} are allowed.", fields_of.below(definition), limits.fields),
        ):
            if measured > limit:
                return [_too_complex(message, limit, measured)]
        acts = len(definition.selection_set.selections)
        if definition.operation is OperationType.MUTATION and acts > limits.acts:
            return [_too_complex("The operation has {actual} mutations; {limit} are allowed.", limits.acts, acts)]
    return []


def check_operation(
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
    limits: Limits,
) -> GraphQLError | None:
    """Whether all its lists, as long as they may be, hold more than is allowed.  `variables` are coerced."""
    entries = Entries(fragments, variables)
    things = entries.below(operation)
    if things <= limits.things:
        return None
    return _too_complex(
        "The operation may bring {actual} things; {limit} are allowed: ask for shorter pages.",
        limits.things,
        things,
    )


def _too_complex(pattern: str, limit: int, actual: int) -> GraphQLError:
    return request_error(phrase(pattern, limit=limit, actual=actual), "TOO_COMPLEX", limit=limit, actual=actual)


MEASURED_MOST = 10**9  # beyond which nobody needs to know


class Measure:
    """A number of what stands below a node, made of the numbers of its selections."""

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], add: Callable[[int, Any, int], int]) -> None:
        self._fragments = fragments
        self._add = add
        self._known: dict[str, int] = {}

    def below(self, node: Any) -> int:
        measured = 0
        for selection in getattr(getattr(node, "selection_set", None), "selections", ()):
            if selection.kind == "fragment_spread":
                measured = self._add(measured, None, self._of_fragment(selection.name.value))
            else:
                field = selection if selection.kind == "field" else None
                measured = self._add(measured, field, self.below(selection))
        return min(measured, MEASURED_MOST)

    def _of_fragment(self, name: str) -> int:
        if name not in self._known:
            self._known[name] = 0  # a fragment that spreads itself is for validation to refuse
            fragment = self._fragments.get(name)
            self._known[name] = 0 if fragment is None else self.below(fragment)
        return self._known[name]


def _deeper(measured: int, field: Any, below: int) -> int:
    return max(measured, below + (field is not None))


def _more_fields(measured: int, field: Any, below: int) -> int:
    return measured + below + (field is not None)


class Entries(Measure):
    """How many entries of lists there may be below a node.

    A list is a field that selects `edges` or `nodes`; it holds what `first` or `last` says, or a page.  A few lists
    are not paged: they are known by name, or hold what was asked for by `ids`.
    """

    def __init__(self, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]) -> None:
        super().__init__(fragments, self._entries)
        self._variables = variables
        self._lists = Measure(fragments, _selects_entries)

    def _entries(self, measured: int, field: Any, below: int) -> int:
        size = None if field is None else self._size(field)
        return measured + (below if size is None else size * (1 + below))

    def _size(self, field: Any) -> int | None:
        """None: it is no list."""
        given = {argument.name.value: self._given(argument.value) for argument in field.arguments or ()}
        if "ids" in given:
            return given["ids"] or 1
        if field.name.value in UNPAGED:
            return UNPAGED[field.name.value]
        if not self._lists.below(field):
            return None
        sizes = [size for name in ("first", "last") if (size := given.get(name)) is not None]
        return sizes[0] if sizes else USUAL_PAGE

    def _given(self, value: Any) -> int | None:
        """The number that an argument says, or how many it names."""
        if value.kind == "variable":
            given = self._variables.get(value.name.value)
        elif value.kind == "list_value":
            given = value.values
        else:
            given = getattr(value, "value", None)
        if isinstance(given, list | tuple):
            return len(given)
        return max(int(given), 0) if given is not None and str(given).lstrip("-").isdecimal() else None


def _selects_entries(measured: int, field: Any, below: int) -> int:
    """Whether a level selects entries: fields below it are not of the level, those in fragments are."""
    return max(measured, below if field is None else int(field.name.value in ("edges", "nodes")))


USUAL_PAGE = 50  # entries of a list that says nothing of its length
UNPAGED = {"ancestors": 99, "context": 99}  # lists that are not paged: a thread has 100 levels
