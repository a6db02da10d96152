"""Documents: what clients send, parsed, held to the limits and validated once, then kept with their plans."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import strawberry
from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLSyntaxError,
    NoSchemaIntrospectionCustomRule,
    OperationDefinitionNode,
    parse,
    specified_rules,
    validate,
)

from graph.errors import request_error
from graph.execution.guard import Limits, check_document
from graph.execution.plans import NotPlanned, Plan, compile_plan, directive_variables
from graph.phrases import phrase

CHARACTERS_KEPT = 500_000  # of documents; parsed, they take some 75 bytes a character
PLANS_KEPT = 16  # of one document: one per operation and per values of its directives


@dataclass(eq=False)
class Document:
    """A document that can be executed.  It is itself, not what it says: streams are grouped by it."""

    schema: strawberry.Schema
    node: DocumentNode
    operations: Mapping[str | None, OperationDefinitionNode]
    fragments: Mapping[str, FragmentDefinitionNode]
    _plans: dict[tuple[Any, ...], Plan | None] = field(default_factory=dict)

    def operation(self, name: str | None) -> OperationDefinitionNode:
        """Raises a GraphQLError where the name is missing or unknown."""
        if name is None:
            if len(self.operations) != 1:
                raise GraphQLError("Must provide operation name if query contains multiple operations.")
            return next(iter(self.operations.values()))
        if name not in self.operations:
            raise GraphQLError(f'Unknown operation named "{name[:100]}".')
        return self.operations[name]

    def plan(self, operation: OperationDefinitionNode, variables: Mapping[str, Any]) -> Plan | None:
        """None: this operation is for Strawberry's execution.  `variables` are coerced."""
        deciding = {name: variables.get(name) for name in self._deciding(operation)}
        key = (operation.name and operation.name.value, *sorted(deciding.items()))
        if key not in self._plans:
            if len(self._plans) >= PLANS_KEPT:
                self._plans.clear()
            self._plans[key] = self._compiled(operation, deciding)
        return self._plans[key]

    def _compiled(self, operation: OperationDefinitionNode, deciding: Mapping[str, Any]) -> Plan | None:
        try:
            return compile_plan(self.schema, operation, self.fragments, deciding)
        except NotPlanned:
            return None

    def _deciding(self, operation: OperationDefinitionNode) -> set[str]:
        names = set(directive_variables(operation))
        for fragment in self.fragments.values():
            names |= set(directive_variables(fragment))
        return names


class Documents:
    """The last documents, by their text.  Raises GraphQLErrors as `Refused` for those that cannot be executed."""

    def __init__(self, schema: strawberry.Schema, limits: Limits) -> None:
        self._schema = schema
        self._limits = limits
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0

    def read(self, text: str) -> Document:
        if text in self._kept:
            self._kept.move_to_end(text)
            return self._kept[text]
        document = self._parsed(text)
        self._kept[text] = document
        self._characters += len(text)
        while self._characters > CHARACTERS_KEPT:
            forgotten, _ = self._kept.popitem(last=False)
            self._characters -= len(forgotten)
        return document

    def _parsed(self, text: str) -> Document:
        size = len(text.encode(errors="replace"))
        if size > self._limits.document_bytes:
            raise Refused(
                [
                    request_error(
                        phrase(
                            "The document has {actual} bytes; {limit} are allowed.",
                            actual=size,
                            limit=self._limits.document_bytes,
                        ),
                        "TOO_COMPLEX",
                        limit=self._limits.document_bytes,
                        actual=size,
                    )
                ]
            )
        try:
            node = parse(text, max_tokens=self._limits.tokens)
        except GraphQLSyntaxError as error:
            raise Refused([error]) from error
        except UnicodeError as error:
            raise Refused([request_error("The document is no well-formed text.", "VALIDATION")]) from error
        operations = {
            definition.name.value if definition.name else None: definition
            for definition in node.definitions
            if isinstance(definition, OperationDefinitionNode)
        }
        fragments = {
            definition.name.value: definition
            for definition in node.definitions
            if isinstance(definition, FragmentDefinitionNode)
        }
        errors = check_document(node, fragments, self._limits) or self._invalid(node)
        if errors:
            raise Refused(errors)
        return Document(self._schema, node, operations, fragments)

    def _invalid(self, node: DocumentNode) -> list[GraphQLError]:
        rules = [*specified_rules, NoSchemaIntrospectionCustomRule] if self._limits.discreet else specified_rules
        return validate(self._schema._schema, node, rules, hide_suggestions=self._limits.discreet)


class Refused(Exception):
    """This request cannot be executed; nothing of it was."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("; ".join(error.message for error in errors))
        self.errors = errors
