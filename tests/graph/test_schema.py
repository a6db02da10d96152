"""The schema as front-end developers meet it: every element explained, and fields that can be selected side by side."""

from collections import defaultdict
from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLAbstractType,
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    get_named_type,
    is_abstract_type,
    is_required_argument,
    is_specified_scalar_type,
    parse,
    validate,
)

from graph.schema import schema

CORE = schema._schema
TYPES = [
    each for name, each in CORE.type_map.items() if not name.startswith("__") and not is_specified_scalar_type(each)
]

# Whoever asks for things of several kinds by `node` in one operation gives one of these another name.
KNOWN_APART = {("Node", "body"), ("Node", "bodyHtml"), ("Node", "community"), ("Node", "title")}


def elements(of: GraphQLNamedType) -> Iterator[tuple[str, str | None]]:
    """The type and everything in it, with what is said of each."""
    yield of.name, of.description
    if isinstance(of, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in of.fields.items():
            yield f"{of.name}.{name}", field.description
            for argument, given in field.args.items():
                yield f"{of.name}.{name}({argument}:)", given.description
    elif isinstance(of, GraphQLInputObjectType):
        yield from ((f"{of.name}.{name}", field.description) for name, field in of.fields.items())
    elif isinstance(of, GraphQLEnumType):
        yield from ((f"{of.name}.{name}", value.description) for name, value in of.values.items())


@pytest.mark.parametrize("of", TYPES, ids=lambda of: of.name)
def test_every_element_is_described(of: GraphQLNamedType) -> None:
    assert [name for name, description in elements(of) if not (description or "").strip()] == []


def selected_from() -> list[GraphQLAbstractType]:
    """The interfaces and unions that some field returns: there alone are members selected side by side."""
    objects = [each for each in TYPES if isinstance(each, GraphQLObjectType | GraphQLInterfaceType)]
    returned = {get_named_type(field.type) for each in objects for field in each.fields.values()}
    return sorted(filter(is_abstract_type, returned), key=lambda each: each.name)


@pytest.mark.parametrize("of", selected_from(), ids=lambda of: of.name)
def test_fields_of_one_name_have_one_type_across_members(of: GraphQLAbstractType) -> None:
    types: dict[str, set[str]] = defaultdict(set)
    for member in CORE.get_possible_types(of):
        for name, field in member.fields.items():
            types[name].add(str(field.type))
    apart = {(of.name, name) for name, found in types.items() if len(found) > 1}
    assert apart == {pair for pair in KNOWN_APART if pair[0] == of.name}


@pytest.mark.parametrize("of", selected_from(), ids=lambda of: of.name)
def test_all_fields_of_all_members_can_be_selected_at_once(of: GraphQLAbstractType) -> None:
    """What a normalised cache and a code generator do with fragments, said by the rule that servers apply."""
    fragments = [
        f"... on {member.name} {{ {' '.join(plain_fields(of, member))} }}" for member in CORE.get_possible_types(of)
    ]
    document = parse(f"fragment All on {of.name} {{ {' '.join(fragments)} }}")
    unused = "Fragment 'All' is never used."
    assert [error.message for error in validate(CORE, document) if error.message != unused] == []


def plain_fields(of: GraphQLAbstractType, member: GraphQLObjectType) -> Iterator[str]:
    yield "__typename"
    for name, field in member.fields.items():
        if (of.name, name) in KNOWN_APART or any(map(is_required_argument, field.args.values())):
            continue
        named = get_named_type(field.type)
        yield f"{name} {{ __typename }}" if hasattr(named, "fields") or is_abstract_type(named) else name
