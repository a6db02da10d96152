"""The reference is the schema, explained for people."""

from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLInterfaceType, GraphQLObjectType

from docs.reference import PAGE, reference
from graph.schema import schema

SMALL = """
    "What one can ask."
    type Query {
      "One post."
      post("Its id." id: ID!, "How it is written." form: Form = PLAIN): Post
      article: Post @deprecated(reason: "Use `post`.")
    }
    "What is written."
    type Post implements Named { "As it is called." name: String! }
    "What has a name."
    interface Named { "As it is called." name: String! }
    "How it is written."
    enum Form { "As it is." PLAIN }
    """


def test_the_page_is_of_the_present_schema() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(schema.as_str()), "`make schema` writes it anew"


def test_each_element_is_explained_and_linked() -> None:
    page = reference(SMALL)
    assert "- **`post`** → [`Post`](#post)  \n  One post.\n" in page
    assert "  - `id`: `ID!`  Its id.\n  - `form`: [`Form`](#form) = `PLAIN`  How it is written." in page
    assert "- **`article`** → [`Post`](#post) (deprecated: Use `post`.)" in page
    assert "### Post\n\nWhat is written.\n\nImplements [`Named`](#named)." in page
    assert "### Named\n\nWhat has a name.\n\nOne of [`Post`](#post)." in page
    assert "### Form\n\nHow it is written.\n\n- `PLAIN` As it is." in page


def test_nothing_of_the_schema_is_missing() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for of in schema._schema.type_map.values():
        if of.name.startswith("__") or not isinstance(
            of, GraphQLObjectType | GraphQLInterfaceType | GraphQLInputObjectType | GraphQLEnumType
        ):
            continue
        assert f"## {of.name}\n" in page
