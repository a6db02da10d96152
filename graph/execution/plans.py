"""Plans: a parsed operation over declared fields, run level by level instead of field by field.

A plan has one step per selected field.  A step gives the field's values for all objects of its level at once, so
a level costs one statement per batched field whatever the number of objects, and on SQLite the whole plan runs in
one hop to the reader's thread.  What a plan cannot do runs through Strawberry's own execution, the whole
operation: there is no third way, and both give the same answer.

    compile_plan    operation -> Plan, or NotPlanned
    Plan.run        Plan + variables -> the `data` of the answer
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import strawberry
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    GraphQLEnumType,
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLScalarType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
)
from graphql.execution.values import get_argument_values
from strawberry.types.arguments import convert_arguments
from strawberry.types.base import StrawberryObjectDefinition
from strawberry.types.field import StrawberryField

from graph.execution.fields import Asking, Batched, Carried, Columns, Entity, Need, NoEntity, Value, source_of


class NotPlanned(Exception):
    """This operation, or this answer, is for Strawberry's execution; says why."""


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a plan."""

    asking: Asking
    variables: Mapping[str, Any]


class Step(Protocol):
    """One response key of a level."""

    key: str

    async def values(self, run: Run, owners: Sequence[Any]) -> Sequence[Any]:
        """The JSON values for these owners, in their order."""


@dataclass(slots=True)
class Level:
    """The selected fields of one object type."""

    steps: list[Step] = field(default_factory=list)

    async def objects(self, run: Run, owners: Sequence[Any]) -> list[dict[str, Any]]:
        if not owners:
            return []
        keys = [step.key for step in self.steps]
        columns = [await step.values(run, owners) for step in self.steps]
        return [dict(zip(keys, values, strict=True)) for values in zip(*columns, strict=True)]


Complete = Callable[[Run, Sequence[Any]], Any]  # results of a level -> their JSON values (a coroutine)
Taking = Callable[[Any], Any]


@dataclass(slots=True)
class TypenameStep:
    key: str
    type_name: str

    async def values(self, run: Run, owners: Sequence[Any]) -> Sequence[Any]:
        return [self.type_name] * len(owners)


@dataclass(slots=True)
class ValueStep:
    key: str
    source: Value
    taking: Taking
    complete: Complete

    async def values(self, run: Run, owners: Sequence[Any]) -> Sequence[Any]:
        of, audience, taking = self.source.of, run.asking.audience, self.taking
        values: Sequence[Any] = await self.complete(run, [of(audience, taking(owner)) for owner in owners])
        return values


@dataclass(slots=True)
class AttributeStep:
    """Of a plain object: a value, an object or a list of these; or rows that it carries."""

    key: str
    attribute: str
    complete: Complete

    async def values(self, run: Run, owners: Sequence[Any]) -> Sequence[Any]:
        values: Sequence[Any] = await self.complete(run, [getattr(owner, self.attribute) for owner in owners])
        return values


@dataclass(slots=True)
class BatchedStep:
    key: str
    source: Batched
    taking: Taking
    wanted: Columns
    arguments: Callable[[Run], dict[str, Any]]
    complete: Complete

    async def values(self, run: Run, owners: Sequence[Any]) -> Sequence[Any]:
        arguments = self.source.given(self.arguments(run))
        taken = [self.taking(owner) for owner in owners]
        results = await self.source.load(run.asking, taken, self.wanted, **arguments)
        values: Sequence[Any] = await self.complete(run, results)
        return values


@dataclass(slots=True)
class Plan:
    top: Level

    async def run(self, asking: Asking, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The answer's `data`.  Raises what a field raised, or NotPlanned: Strawberry then words the errors."""
        [data] = await self.top.objects(Run(asking, variables), [()])
        return data


# Compiling ------------------------------------------------------------------------------------------------------


def compile_plan(
    schema: strawberry.Schema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    directives: Mapping[str, Any],
) -> Plan:
    """`directives` are the variables that @skip and @include read: a plan is made for their values.

    Raises NotPlanned where the operation is not a query over declared fields.
    """
    if operation.operation is not OperationType.QUERY:
        raise NotPlanned("only queries are planned")
    compiler = Compiler(schema, schema._schema, fragments, directives)
    query = schema._schema.query_type
    assert query is not None
    return Plan(compiler.level(query, [operation.selection_set], None))


def directive_variables(node: Any) -> Iterator[str]:
    """The names of the variables that decide on @skip and @include below this node."""
    for directive in getattr(node, "directives", None) or ():
        for argument in directive.arguments:
            if argument.value.kind == "variable":
                yield argument.value.name.value
    for selection in getattr(getattr(node, "selection_set", None), "selections", ()):
        yield from directive_variables(selection)


@dataclass(slots=True)
class Compiler:
    schema: strawberry.Schema
    core: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    directives: Mapping[str, Any]

    def level(self, of: GraphQLObjectType, sets: Sequence[SelectionSetNode], wanted: Columns | None) -> Level:
        selected: dict[str, list[FieldNode]] = {}
        for selection_set in sets:
            self._collect(of, selection_set, selected)
        return Level([self._step(of, key, nodes, wanted) for key, nodes in selected.items()])

    def _collect(self, of: GraphQLObjectType, given: SelectionSetNode, into: dict[str, list[FieldNode]]) -> None:
        for node in given.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                into.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
                continue
            fragment: Any = node if isinstance(node, InlineFragmentNode) else self.fragments[node.name.value]  # type: ignore[attr-defined]  # a spread has a name
            if self._applies(of, fragment):
                self._collect(of, fragment.selection_set, into)

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            name = directive.name.value
            if name not in ("skip", "include"):
                raise NotPlanned(f"@{name} is not planned")
            given = directive.arguments[0].value
            condition = self.directives[given.name.value] if given.kind == "variable" else given.value
            if not isinstance(condition, bool):
                raise NotPlanned(f"@{name} has no condition")
            if condition is (name == "skip"):
                return False
        return True

    def _applies(self, of: GraphQLObjectType, fragment: Any) -> bool:
        condition = fragment.type_condition
        if condition is None or condition.name.value == of.name:
            return True
        named = self.core.type_map[condition.name.value]
        return not isinstance(named, GraphQLObjectType) and self.core.is_sub_type(named, of)  # type: ignore[arg-type]  # a condition names a composite type

    def _step(self, of: GraphQLObjectType, key: str, nodes: list[FieldNode], wanted: Columns | None) -> Step:
        name = nodes[0].name.value
        if name == "__typename":
            return TypenameStep(key, of.name)
        if name not in of.fields:
            raise NotPlanned(f"{of.name}.{name} is for introspection")
        core = of.fields[name]
        declared: StrawberryField = core.extensions["strawberry-definition"]
        sets = [node.selection_set for node in nodes if node.selection_set is not None]
        match source_of(declared):
            case Value() as source:
                taking = self._taking(of, source.needs, wanted)
                return ValueStep(key, source, taking, self._complete(core.type, sets, None))
            case Carried(attribute=attribute):
                return AttributeStep(key, attribute, self._complete(core.type, sets, wanted))
            case Batched() as source:
                below = self._below(source)
                taking = self._taking(of, source.needs, wanted)
                complete = self._complete(core.type, sets, below)
                return BatchedStep(key, source, taking, below, self._arguments(core, declared, nodes[0]), complete)
        if declared.base_resolver is not None:
            raise NotPlanned(f"{of.name}.{name} is not declared")
        return AttributeStep(key, declared.python_name, self._complete(core.type, sets, wanted))

    def _below(self, source: Batched) -> Columns:
        if source.entity is None:
            return Columns(NoEntity)
        entity = source.entity()
        return Columns(entity, [entity.table.c.id])  # a statement selects at least one column

    def _taking(self, of: GraphQLObjectType, needs: tuple[Need, ...], wanted: Columns | None) -> Taking:
        """How the needs are taken from an owner: by their places in a row, or from an object's attributes."""
        if not needs:
            return lambda owner: ()
        if _is_entity(of):
            assert wanted is not None, f"{of.name} is read without saying which columns"
            places = [wanted.index(need) for need in needs if not isinstance(need, str)]
            return lambda row: tuple(row[place] for place in places)
        names = [need for need in needs if isinstance(need, str)]
        return lambda owner: tuple(getattr(owner, name) for name in names)

    def _arguments(self, core: GraphQLField, declared: StrawberryField, node: FieldNode) -> Any:
        def arguments(run: Run) -> dict[str, Any]:
            return arguments_of(self.schema, core, declared, node, run.variables)

        return arguments

    def _complete(self, of: GraphQLOutputType, sets: list[SelectionSetNode], wanted: Columns | None) -> Complete:
        if isinstance(of, GraphQLNonNull):
            return _never_null(self._complete(of.of_type, sets, wanted))
        if isinstance(of, GraphQLList):
            return _lists(self._complete(of.of_type, sets, wanted))
        if isinstance(of, GraphQLScalarType | GraphQLEnumType):
            return _leaves(of)
        if isinstance(of, GraphQLObjectType):
            return _objects(self.level(of, sets, wanted))
        raise NotPlanned(f"{of} may be of several types")


def arguments_of(
    schema: strawberry.Schema, core: GraphQLField, declared: StrawberryField, node: FieldNode, variables: Any
) -> dict[str, Any]:
    """What the client gave, as Python values by Python names.  `variables` are coerced."""
    return convert_arguments(
        get_argument_values(core, node, variables),
        declared.arguments,
        scalar_registry=schema.schema_converter.scalar_registry,
        config=schema.config,
    )


def _is_entity(of: GraphQLObjectType) -> bool:
    definition: StrawberryObjectDefinition = of.extensions["strawberry-definition"]
    return issubclass(definition.origin, Entity)


def _leaves(of: GraphQLScalarType | GraphQLEnumType) -> Complete:
    serialize = of.serialize

    async def complete(run: Run, results: Sequence[Any]) -> Sequence[Any]:
        return [None if result is None else serialize(result) for result in results]

    return complete


def _objects(level: Level) -> Complete:
    async def complete(run: Run, results: Sequence[Any]) -> Sequence[Any]:
        present = iter(await level.objects(run, [result for result in results if result is not None]))
        return [None if result is None else next(present) for result in results]

    return complete


def _lists(items: Complete) -> Complete:
    async def complete(run: Run, results: Sequence[Any]) -> Sequence[Any]:
        flat = iter(await items(run, [item for result in results if result is not None for item in result]))
        return [None if result is None else [next(flat) for _ in result] for result in results]

    return complete


def _never_null(inner: Complete) -> Complete:
    async def complete(run: Run, results: Sequence[Any]) -> Sequence[Any]:
        values: Sequence[Any] = await inner(run, results)
        if any(value is None for value in values):
            raise NotPlanned("a value that is never null is null")
        return values

    return complete
