"""The law of plans: a plan's answer is Strawberry's, for every operation, every viewer, on both engines."""

from typing import Any

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.admission import actions as admission_actions
from graph.comments import actions as comment_actions
from graph.comments import rules as comment_rules
from graph.communities import actions as community_actions
from graph.context import Viewer
from graph.execution import plans
from graph.execution.documents import Documents
from graph.execution.fields import Asking
from graph.execution.guard import Limits
from graph.execution.plans import NotPlanned, compile_plan
from graph.ids import global_id
from graph.posts import actions as post_actions
from graph.schema import schema

DEPTH = 5  # levels of random operations

THREAD_PAGE = """
query ThreadPage($id: ID!, $after: Cursor, $withText: Boolean = true) {
  post(id: $id) {
    ...Head
    thread(first: 3, after: $after) {
      liveCursor
      pageInfo { hasNextPage endCursor }
      edges { cursor depth parentId more { count directCount reason cursor } node { ...Row } }
    }
  }
}
fragment Head on Post { id title counts { comments roots } author: byline { author { handle } } }
fragment Row on Comment { id number bodyText @include(if: $withText) byline { author { displayName } } }
"""

NESTED = """
query Nested($slug: String!) {
  post(slug: $slug) {
    comments(first: 5) {
      totalCount
      nodes {
        ...Row
        replies(first: 2) { edges { node { ...Row replies(last: 1) { nodes { ...Row } } } } }
      }
    }
  }
}
fragment Row on Comment { id depth bodyHtml createdAt byline { author { handle } } viewerCan { reply edit } }
"""

COMMUNITY = """
query Community($slug: String!) {
  post(slug: $slug) { title }
  community(slug: "cave") {
    name memberCount postCount viewerMembership { role createdAt } viewerPermissions { join post moderate }
    members(first: 3, sort: ROLE) { totalCount edges { cursor node { role user { handle } } } }
    posts(first: 3, sort: ACTIVE) { nodes { title community { slug } viewerCan { reply } } }
    invitations { nodes { answer invitee { handle } } } joinRequests { nodes { message } } bans { nodes { reason } }
  }
}
"""

MINE = """
query Mine {
  viewer {
    memberships(first: 2) { nodes { role community { slug name } } pageInfo { endCursor } }
    invitations { nodes { community { slug } } } joinRequests { nodes { answer community { slug } } }
  }
  communities { nodes { slug joining } }
}
"""

FEED = "query Feed { posts(first: 30) { nodes { id title slug excerpt(length: 40) byline { author { handle } } } } }"


class Discussion:
    """Two posts, one of them a draft, with answers of several depths, one deleted and one edited."""

    def __init__(self, community: Any) -> None:
        self.community = community

    async def begin(self) -> "Discussion":
        community = self.community
        greg, michel = [await community.viewer(await community.person(handle)) for handle in ("greg", "michel")]
        anna = await community.viewer(await community.person("anna", role="MODERATOR"))
        self.viewers = [Viewer(), greg, michel, anna]
        self.post = await community.publish(greg, "Été : l’œuvre")
        self.draft = await community.publish(michel, "Brouillon", publish=False)
        root = await community.answer_post(michel, self.post, "Greg > **oui**")
        other = await community.answer_post(greg, self.post, "non")
        below = [await community.answer_post(anna, self.post, f"réponse {n}", root) for n in range(4)]
        deeper = await community.answer_post(greg, self.post, "plus bas", below[1])
        self.comments = [root, other, *below, deeper]
        written = comment_rules.written("corrigé")
        await community.act(
            lambda change: comment_actions.edit_comment(change, comment_id=other, written=written), greg
        )
        await community.act(lambda change: comment_actions.delete_comment(change, comment_id=below[1]), anna)
        await community.act(
            lambda change: post_actions.edit_post(change, post_id=self.post, title="Été : l’œuvre, suite"), greg
        )
        await self._beside()
        return self

    async def _beside(self) -> None:
        """A private community of Anna's with a post, and one of hers where one asks to be let in."""
        act = self.community.act
        root = await self.community.viewer(await self.community.person("root", role="ADMIN"))
        _, greg, michel, anna = [viewer.audience.viewer_id for viewer in self.viewers]
        founding = community_actions.create_community
        cave = await act(lambda change: founding(change, name="Cave", visibility="PRIVATE"), root)
        gate = await act(lambda change: founding(change, name="Porte", joining="REQUEST"), root)
        for place, who, role in ((cave, anna, "ADMIN"), (gate, anna, "MODERATOR"), (cave, greg, "MEMBER")):
            await act(
                lambda change, p=place, w=who, r=role: community_actions.set_member(
                    change, community_id=p, user_id=w, role=r
                ),
                root,
            )
        await act(lambda change: admission_actions.invite(change, community_id=cave, user_id=michel), root)
        await act(
            lambda change: admission_actions.request_to_join(change, community_id=gate, message="+1"), self.viewers[1]
        )
        self.viewers = [Viewer(), *[await self.community.viewer(key) for key in (greg, michel, anna)]]
        await self.community.publish(self.viewers[3], "Entre nous", community_id=cave)


@pytest.fixture
async def discussion(community: Any) -> Discussion:
    return await Discussion(community).begin()


@pytest.mark.parametrize("text", [THREAD_PAGE, NESTED, FEED, COMMUNITY])
async def test_what_front_ends_ask_is_planned_and_answered_like_strawberry_does(
    discussion: Discussion, text: str
) -> None:
    for viewer in discussion.viewers:
        answer = await discussion.community.whole(
            text, viewer, **named(text, id=global_id("Post", discussion.post), slug="ete-l-oeuvre")
        )
        assert answer.planned
        assert answer.errors == []
        assert next(iter(answer.data.values())) is not None


async def test_what_the_viewer_has_is_planned_too(discussion: Discussion) -> None:
    for viewer, memberships in zip(discussion.viewers, (None, 1, 0, 2), strict=True):
        answer = await discussion.community.whole(MINE, viewer)
        assert (answer.planned, answer.errors) == (True, [])
        mine = answer.data["viewer"]
        assert (None if mine is None else len(mine["memberships"]["nodes"])) == memberships


async def test_a_condition_that_changes_makes_another_plan(discussion: Discussion) -> None:
    named = {"id": global_id("Post", discussion.post)}

    without = await discussion.community.data(THREAD_PAGE, **named, withText=False)
    with_text = await discussion.community.data(THREAD_PAGE, **named, withText=True)

    assert "bodyText" not in without["post"]["thread"]["edges"][0]["node"]
    assert with_text["post"]["thread"]["edges"][0]["node"]["bodyText"] == "Greg > oui"


async def test_a_level_costs_one_statement_whatever_its_width(discussion: Discussion) -> None:
    community = discussion.community
    asked: list[Any] = []

    class Counting:
        def __init__(self, rows: Any) -> None:
            self.engine = rows.engine
            self._rows = rows

        async def rows(self, statement: Any) -> Any:
            asked.append(statement)
            return await self._rows.rows(statement)

    document = community.engine.documents.read(NESTED)
    plan = document.plan(document.operation(None), {})
    async with community.storage.reading() as rows:
        asking = Asking(Counting(rows), Viewer().audience, "")
        variables = community.engine.coerced(document.operation(None), {"slug": "ete-l-oeuvre"})
        await plan.run(asking, variables)

    # The post; and on each of three levels the comments, their authors, and what the viewer may do with them.
    assert len(asked) == 1 + 3 * 3


def named(text: str, **variables: str) -> dict[str, str]:
    return {name: value for name, value in variables.items() if f"${name}" in text}


# Random operations --------------------------------------------------------------------------------------------------


# Keys are dense from 1, so what a discussion is made of is known before it is: the last of each kind is nobody's.
IDS = [global_id(name, key) for name, last in (("Post", 4), ("User", 5), ("Comment", 8)) for key in range(1, last + 1)]


@st.composite
def operations(draw: st.DrawFn) -> str:
    query = schema._schema.query_type
    assert query is not None
    fields = draw(
        st.lists(
            st.sampled_from(["post", "posts", "comment", "user", "viewer", "communities", "community"]),
            min_size=1,
            max_size=3,
        )
    )
    parts = [f"a{place}: {selected(draw, name, query.fields[name], DEPTH)}" for place, name in enumerate(fields)]
    return "query Random { " + " ".join(parts) + " }"


def selected(draw: st.DrawFn, name: str, field: GraphQLField, depth: int) -> str:
    given = " ".join(filter(None, (argument(draw, key, it.type) for key, it in field.args.items())))
    return f"{name}{f'({given})' if given else ''}{below(draw, get_named_type(field.type), depth)}"


def argument(draw: st.DrawFn, name: str, of: Any) -> str | None:
    needed = isinstance(of, GraphQLNonNull)
    if not needed and draw(st.integers(0, 2)):
        return None
    inner = get_named_type(of)
    if isinstance(inner, GraphQLEnumType):
        return f"{name}: {draw(st.sampled_from(sorted(inner.values)))}"
    match name:
        case "first" | "last" | "number" | "length":
            return f"{name}: {draw(st.integers(-1, 6))}"
        case "id" | "focus":
            return f'{name}: "{draw(st.sampled_from(IDS))}"'
        case "shape":
            return f"shape: {{maxDepth: {draw(st.integers(1, 3))}, repliesPerParent: {draw(st.integers(1, 3))}}}"
        case "slug":
            return f'slug: "{draw(st.sampled_from(["ete-l-oeuvre", "cave", "porte"]))}"'
        case "communityId":
            return f'communityId: "{global_id("Community", draw(st.integers(1, 3)))}"'
        case "handle":
            return 'handle: "Greg"'
    return f'{name}: "x"' if needed else None


def below(draw: st.DrawFn, of: Any, depth: int) -> str:
    if isinstance(of, GraphQLScalarType | GraphQLEnumType):
        return ""
    assert isinstance(of, GraphQLObjectType | GraphQLInterfaceType)
    leaves = [name for name, it in of.fields.items() if is_leaf(it)]
    branches = [name for name in of.fields if name not in leaves] if depth > 0 else []
    chosen = [*some_of(draw, leaves, 3), *some_of(draw, branches, 2)]
    parts = [
        f"{prefix(draw, place)}{selected(draw, name, of.fields[name], depth - 1)}" for place, name in enumerate(chosen)
    ]
    if draw(st.booleans()) and parts:
        parts = [f"... on {of.name} {{ {' '.join(parts)} }}"]
    return " { __typename " + " ".join(parts) + " }"


def some_of(draw: st.DrawFn, names: list[str], most: int) -> list[str]:
    return draw(st.lists(st.sampled_from(names), max_size=most, unique=True)) if names else []


def prefix(draw: st.DrawFn, place: int) -> str:
    """An alias: fields of one name with other arguments would not merge."""
    return f"b{place}: "


def is_leaf(field: GraphQLField) -> bool:
    return isinstance(get_named_type(field.type), GraphQLScalarType | GraphQLEnumType)


@settings(max_examples=60)
@given(text=operations(), viewer=st.integers(0, 3))
async def test_random_operations_are_answered_like_strawberry_does(community: Any, text: str, viewer: int) -> None:
    if "discussion" not in community.__dict__:
        community.discussion = await Discussion(community).begin()

    await community.whole(text, community.discussion.viewers[viewer])


async def test_the_law_notices_a_planted_fault(discussion: Discussion, monkeypatch: pytest.MonkeyPatch) -> None:
    async def confused(self: Any, run: Any, owners: Any) -> Any:
        values = [self.source.of(run.asking.audience, self.taking(owner)) for owner in owners]
        return await self.complete(run, values[::-1])

    monkeypatch.setattr(plans.ValueStep, "values", confused)

    with pytest.raises(AssertionError):
        await discussion.community.whole(NESTED, slug="ete-l-oeuvre")


async def test_a_field_that_fails_is_worded_by_strawberry(
    discussion: Discussion, monkeypatch: pytest.MonkeyPatch
) -> None:
    from graph.comments import types

    def failing(*_: object) -> str:
        raise RuntimeError("planted")

    source = types.Comment.__strawberry_definition__.get_field("body_html").metadata["palabre.source"]  # type: ignore[attr-defined]  # made by Strawberry
    monkeypatch.setitem(source.__dict__, "through", failing)

    answer = await discussion.community.engine.answer(*(await request_of(discussion, NESTED, slug="ete-l-oeuvre")))

    assert not answer.planned
    assert {error["message"] for error in answer.errors} == {"Internal error."}
    assert answer.errors[0]["path"][:3] == ["post", "comments", "nodes"]


async def request_of(discussion: Discussion, text: str, **variables: str) -> tuple[Any, Any]:
    from graph.context import Context
    from graph.execution.answers import Request

    return Request(text, variables), Context(discussion.community.services, Viewer())


@pytest.mark.parametrize(
    "text",
    [
        '{ node(id: "x") { id } }',
        "{ __schema { queryType { name } } }",
        'mutation { deletePost(input: {id: "x"}) { deletedId } }',
    ],
)
def test_what_no_plan_can_do_is_left_to_strawberry_as_a_whole(text: str) -> None:
    document = Documents(schema, Limits()).read(text)

    with pytest.raises(NotPlanned):
        compile_plan(schema, document.operation(None), document.fragments, {})
