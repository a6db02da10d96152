"""Writes docs/reference.md: every element of the schema with its explanation, each linked with the types it speaks of.

`make schema` runs it.  The words are the schema's own: what is wrong here is mended in the descriptions there.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    GraphQLType,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_specified_scalar_type,
    print_ast,
)

from graph.schema import schema

PAGE: Final = Path(__file__).parent / "reference.md"
OPENING: Final = """\
# Reference

Every element of the GraphQL schema, from the schema itself: `make schema` writes this page, and
[schema.graphql](../schema.graphql), which is the same for programs.  How the parts play together is told in the
[guide for front ends](front-ends.md).
"""
ROOTS: Final = ("Query", "Mutation", "Subscription")
KINDS: Final = (
    ("Objects", GraphQLObjectType),
    ("Interfaces", GraphQLInterfaceType),
    ("Unions", GraphQLUnionType),
    ("Enums", GraphQLEnumType),
    ("Inputs", GraphQLInputObjectType),
    ("Scalars", GraphQLScalarType),
)


def reference(text: str) -> str:
    """The whole page, in Markdown, for a schema in its own language."""
    core = build_schema(text)
    named = [core.type_map[name] for name in sorted(core.type_map) if not name.startswith("__")]
    types = [each for each in named if not is_specified_scalar_type(each)]
    written = [OPENING, *(_type(core.type_map[name], "##", core) for name in ROOTS if name in core.type_map)]
    for title, kind in KINDS:
        of_kind = [each for each in types if isinstance(each, kind) and each.name not in ROOTS]
        written += [f"## {title}", *(_type(each, "###", core) for each in of_kind)]
    return "\n\n".join(part.strip() for part in written) + "\n"


def _type(of: GraphQLNamedType, heading: str, core: GraphQLSchema) -> str:
    parts = [f"{heading} {of.name}", _prose(of.description), *_kinship(of, core)]
    if isinstance(of, GraphQLObjectType | GraphQLInterfaceType):
        parts += [_field(name, field) for name, field in of.fields.items()]
    elif isinstance(of, GraphQLInputObjectType):
        parts.append("\n".join(_given(name, field) for name, field in of.fields.items()))
    elif isinstance(of, GraphQLEnumType):
        parts.append("\n".join(f"- `{name}` {_line(value.description)}" for name, value in of.values.items()))
    return "\n\n".join(part for part in parts if part)


def _kinship(of: GraphQLNamedType, core: GraphQLSchema) -> Iterator[str]:
    if isinstance(of, GraphQLObjectType | GraphQLInterfaceType) and of.interfaces:
        yield f"Implements {_links(of.interfaces)}."
    if isinstance(of, GraphQLInterfaceType | GraphQLUnionType):
        yield f"One of {_links(core.get_possible_types(of))}."


def _field(name: str, field: GraphQLField) -> str:
    first = f"- **`{name}`** → {_link(field.type)}{_gone(field.deprecation_reason)}  \n  {_line(field.description)}"
    return "\n".join([first, *(f"  {_given(each, argument)}" for each, argument in field.args.items())])


def _given(name: str, given: GraphQLArgument | GraphQLInputField) -> str:
    literal = given.default and given.default.literal
    default = f" = `{print_ast(literal)}`" if literal else ""
    return f"- `{name}`: {_link(given.type)}{default}{_gone(given.deprecation_reason)}  {_line(given.description)}"


def _gone(reason: str | None) -> str:
    return "" if reason is None else f" (deprecated: {_line(reason)})"


def _links(types: Iterable[GraphQLNamedType]) -> str:
    return ", ".join(_link(each) for each in sorted(types, key=lambda each: each.name))


def _link(of: GraphQLType) -> str:
    """The type as it is written, which leads to where its name is explained."""
    named = get_named_type(of)
    return f"`{of}`" if is_specified_scalar_type(named) else f"[`{of}`](#{named.name.lower()})"


def _prose(text: str | None) -> str:
    return " ".join((text or "").split())


def _line(text: str | None) -> str:
    return _prose(text).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(reference(schema.as_str()), encoding="utf-8")
