"""Each rule of access says the same in Python and in SQL: of every kind of row, for any audience, on both engines."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, product
from typing import Any

import pytest
import sqlalchemy as sa
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    is_required_input_field,
)
from hypothesis import given
from hypothesis import strategies as st

from graph.access import RULES, SCOPE_OF, All, Among, Facts, Is, Missing, Of, Outside, Own, Rule, Some, every, is_, some
from graph.audience import SCOPES, VISITOR, Audience
from graph.schema import schema
from graph.storage.database import Storage
from graph.storage.tables import (
    comments,
    communities,
    community_bans,
    community_invitations,
    community_requests,
    memberships,
    posts,
    revisions,
    tokens,
    users,
)
from graph.users import actions as user_actions
from graph.users.tokens import new_secret

PEOPLE = (1, 2, 3)
PUBLIC, PRIVATE, OTHER, ARCHIVED, ASKED, BY_MODERATORS = COMMUNITIES = (1, 2, 3, 4, 5, 6)
BELONGS: Mapping[sa.Table, Sequence[tuple[sa.Column[Any], sa.Table]]] = {
    memberships: [(memberships.c.community_id, communities)],
    posts: [(posts.c.community_id, communities)],
    comments: [(comments.c.post_id, posts)],
    revisions: [(revisions.c.post_id, posts), (revisions.c.comment_id, comments)],
}
SETTINGS: Mapping[int, Mapping[str, Any]] = {
    PUBLIC: {"visibility": "PUBLIC", "joining": "OPEN", "posting": "MEMBERS", "archived_at": None},
    PRIVATE: {"visibility": "PRIVATE", "joining": "INVITATION", "posting": "MEMBERS", "archived_at": None},
    OTHER: {"visibility": "PRIVATE", "joining": "INVITATION", "posting": "MODERATORS", "archived_at": None},
    ARCHIVED: {"visibility": "PUBLIC", "joining": "OPEN", "posting": "MEMBERS", "archived_at": 1},
    ASKED: {"visibility": "PUBLIC", "joining": "REQUEST", "posting": "MEMBERS", "archived_at": None},
    BY_MODERATORS: {"visibility": "PUBLIC", "joining": "INVITATION", "posting": "MODERATORS", "archived_at": None},
}
number = count(1)


def row(table: sa.Table, **given: Any) -> dict[str, Any]:
    """A row of the table; what is not given is any value that is nobody else's."""
    unique = next(number)
    anything = {int: unique, str: str(unique), bytes: str(unique).encode()}
    return {"id": unique, **{c.name: anything[c.type.python_type] for c in table.columns if not c.nullable}, **given}


def rows_of_all_kinds() -> Iterator[tuple[sa.Table, list[dict[str, Any]]]]:
    """Every combination of what rules look at."""
    yield users, [row(users, id=key) for key in PEOPLE]
    yield communities, [row(communities, id=key, **given) for key, given in SETTINGS.items()]
    yield memberships, [row(memberships, community_id=c, user_id=u) for c, u in product(COMMUNITIES, PEOPLE)]
    for table, by in ((community_invitations, "inviter_id"), (community_bans, "banned_by_id")):
        yield table, [row(table, community_id=c, user_id=u, **{by: 1}) for c, u in product(COMMUNITIES, PEOPLE)]
    yield (
        community_requests,
        [row(community_requests, community_id=c, user_id=u) for c, u in product(COMMUNITIES, PEOPLE)],
    )
    links = community_invitations
    yield links, [row(links, community_id=c, inviter_id=1, code_hash=bytes([c])) for c in COMMUNITIES]
    kinds = product(PEOPLE, ("SESSION", "API"), (None, 1))
    yield tokens, [row(tokens, user_id=user, kind=kind, revoked_at=at) for user, kind, at in kinds]
    states = product(("DRAFT", "PUBLISHED", "REMOVED"), (None, *COMMUNITIES), PEOPLE[:2])
    written = [row(posts, state=state, community_id=c, author_id=author) for state, c, author in states]
    yield posts, written
    answers = [
        row(comments, post_id=post["id"], community_id=post["community_id"], author_id=a, status=status, shown=shown)
        for post, status, shown, a in product(
            written, ("PUBLISHED", "PENDING", "REJECTED", "DELETED"), (0, 1), PEOPLE[:2]
        )
    ]
    yield comments, answers
    yield revisions, [row(revisions, post_id=post["id"], editor_id=1) for post in written]
    yield revisions, [row(revisions, comment_id=answer["id"], editor_id=1) for answer in answers]


class World:
    """Not a dataclass: Hypothesis would print all of it."""

    def __init__(self, storage: Storage, rows: dict[sa.Table, dict[int, dict[str, Any]]]) -> None:
        self.storage = storage
        self.rows = rows
        self.known: dict[sa.Table, dict[int, Facts]] = {}

    def all_facts(self, table: sa.Table) -> dict[int, Facts]:
        if table not in self.known:
            self.known[table] = {key: self.facts(table, key) for key in self.rows[table]}
        return self.known[table]

    def facts(self, table: sa.Table, key: int | None) -> Facts:
        """Of the row and of all that it belongs to; nulls of what it does not belong to."""
        row = {} if key is None else self.rows[table][key]
        facts = {column: row.get(column.name) for column in table.columns}
        for reference, owner in BELONGS.get(table, ()):
            if facts[reference] is None:
                facts = {**self.facts(owner, None), **facts}
            else:
                facts |= self.facts(owner, facts[reference])
        return facts

    async def differences(self, rule: Rule, audience: Audience) -> set[int]:
        """The rows of which Python and SQL do not say the same."""
        table = table_of(rule)
        selected = await self.storage.rows(sa.select(table.c.id).where(rule.where(audience)))
        held = {key for key, facts in self.all_facts(table).items() if rule.holds(audience, facts)}
        return held ^ {key for (key,) in selected}


@pytest.fixture
async def world(storage: Storage) -> World:
    kept: dict[sa.Table, dict[int, dict[str, Any]]] = {}
    for table, rows in rows_of_all_kinds():
        for start in range(0, len(rows), 500):
            await storage.rows(table.insert().values(rows[start : start + 500]).returning(table.c.id))
        kept.setdefault(table, {}).update({each["id"]: each for each in rows})
    return World(storage, kept)


def tables_of(rule: Rule) -> set[sa.Table]:
    match rule:
        case Is(column=column) | Missing(column=column) | Own(column=column):
            return {column.table}
        case Among(column=column) | Outside(column=column):
            return {column.table}
        case Of(reference=reference):
            return {reference.table}
        case All(rules=rules) | Some(rules=rules):
            return {table for each in rules for table in tables_of(each)}
    return set()


def table_of(rule: Rule) -> sa.Table:
    """Whose rows a rule is about; any will do for one that looks at none."""
    [table] = tables_of(rule) or {users}
    return table


audiences = st.builds(
    Audience,
    viewer_id=st.sampled_from([None, *PEOPLE]),
    role=st.sampled_from(["VISITOR", "MEMBER", "MODERATOR", "ADMIN"]),
    member_of=st.frozensets(st.sampled_from(COMMUNITIES)),
    moderates=st.frozensets(st.sampled_from(COMMUNITIES)),
    invited_to=st.frozensets(st.sampled_from(COMMUNITIES)),
    banned_from=st.frozensets(st.sampled_from(COMMUNITIES)),
    scopes=st.frozensets(st.sampled_from(sorted(SCOPES))),
)


@given(audience=audiences)
async def test_every_rule_says_the_same_in_python_and_in_sql(world: World, audience: Audience) -> None:
    differing = {name for name, rule in RULES.items() if await world.differences(rule, audience)}
    assert differing == set()


@pytest.mark.parametrize("name", RULES)
def test_every_rule_looks_at_one_kind_of_row(name: str) -> None:
    assert len(tables_of(RULES[name])) <= 1


class NotIn(Rule):
    """Wrong where the column is null: Python says yes, SQL neither yes nor no."""

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return bool(facts[posts.c.community_id] != PRIVATE)

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        return posts.c.community_id != PRIVATE


class Forgetful(Own):
    """Wrong for visitors: the viewer that nobody is owns what nobody owns."""

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return bool(facts[self.column] == audience.viewer_id)


class Uncorrelated(Of):
    """Wrong for all but the first: some row of the other table will do."""

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        return sa.select(sa.literal(1)).where(self.rule.where(audience)).exists()


@pytest.mark.parametrize(
    "wrong",
    [
        every(is_(posts.c.state, "PUBLISHED"), some(NotIn(), Own(posts.c.author_id))),
        Forgetful(tokens.c.revoked_at),
        Uncorrelated(comments.c.post_id, posts, is_(posts.c.state, "PUBLISHED")),
    ],
    ids=["null is neither", "nobody owns", "any row will do"],
)
async def test_a_wrong_rule_is_found(world: World, wrong: Rule) -> None:
    assert await world.differences(wrong, VISITOR)


EVERYBODYS = (None, PUBLIC, ARCHIVED, ASKED, BY_MODERATORS)
VISIBLE_POSTS = {  # (role, member_of) -> (state, community) of what can be read
    ("VISITOR", ()): {("PUBLISHED", c) for c in EVERYBODYS},
    ("MEMBER", ()): {("PUBLISHED", c) for c in EVERYBODYS},
    ("MEMBER", (PRIVATE,)): {("PUBLISHED", c) for c in (*EVERYBODYS, PRIVATE)},
    ("MODERATOR", ()): {("PUBLISHED", c) for c in (None, *COMMUNITIES)},
}


@pytest.mark.parametrize(("role", "member_of"), VISIBLE_POSTS)
async def test_who_reads_which_posts(world: World, role: str, member_of: tuple[int, ...]) -> None:
    audience = Audience(None if role == "VISITOR" else 3, role, frozenset(member_of))
    statement = sa.select(posts.c.state, posts.c.community_id).where(RULES["SEE_POST"].where(audience))
    assert set(await world.storage.rows(statement.distinct())) == VISIBLE_POSTS[role, member_of]


async def test_a_draft_is_its_authors_alone(world: World) -> None:
    drafts = sa.select(posts.c.author_id).where(posts.c.state == "DRAFT").distinct()
    for viewer_id, role, authors in ((1, "MEMBER", {(1,)}), (3, "ADMIN", set()), (None, "VISITOR", set())):
        audience = Audience(viewer_id, role)
        assert set(await world.storage.rows(drafts.where(RULES["SEE_POST"].where(audience)))) == authors


async def test_only_authors_and_moderators_see_what_waits_for_approval(world: World) -> None:
    waiting = sa.select(comments.c.community_id, comments.c.author_id).distinct()
    published = (posts.c.id == comments.c.post_id) & (posts.c.state == "PUBLISHED")
    waiting = waiting.where(comments.c.status == "PENDING", comments.c.shown == 0, sa.exists().where(published))
    moderator = Audience(3, "MEMBER", moderates=frozenset({PUBLIC}))
    for audience, expected in (
        (Audience(1, "MEMBER"), {(place, 1) for place in EVERYBODYS}),
        (moderator, {(PUBLIC, 1), (PUBLIC, 2)}),
        (VISITOR, set()),
    ):
        assert set(await world.storage.rows(waiting.where(RULES["SEE_COMMENT"].where(audience)))) == expected


def test_every_act_says_which_scope_it_needs() -> None:
    mutation = schema._schema.mutation_type
    assert mutation is not None
    assert set(SCOPE_OF) == set(mutation.fields)
    assert {scope for scope in SCOPE_OF.values() if scope is not None} <= SCOPES


def given_for(of: GraphQLInputType) -> Any:
    """Any value that the schema accepts."""
    if isinstance(of, GraphQLNonNull):
        return given_for(of.of_type)
    if isinstance(of, GraphQLList):
        return []
    if isinstance(of, GraphQLInputObjectType):
        return {name: given_for(field.type) for name, field in of.fields.items() if is_required_input_field(field)}
    if isinstance(of, GraphQLEnumType):
        return next(iter(of.values))
    return {"Int": 1, "Boolean": True}.get(of.name, "x")


ACTS = [(name, scope) for name, scope in SCOPE_OF.items() if scope is not None]


@pytest.mark.parametrize(("name", "scope"), ACTS)
async def test_an_act_is_refused_before_anything_else_where_its_scope_is_missing(
    community: Any, name: str, scope: str
) -> None:
    mutation = schema._schema.mutation_type
    assert mutation is not None
    input_type = mutation.fields[name].args["input"].type
    secret = new_secret("API")
    await community.person("greg")
    others = SCOPES - {scope}
    await community.act(
        lambda change: user_actions.token_for(
            change, handle="greg", name="program", secret_hash=secret.hash, scopes=others
        )
    )
    text = f"""mutation Act($input: {input_type}) {{
        {name}(input: $input) {{ errors {{ __typename code path ... on PermissionError {{ requires }} }} }}
    }}"""
    before = await community.events()
    answer = await community.data(text, await community.by_secret(secret.text), input=given_for(input_type))
    assert answer[name]["errors"] == [
        {"__typename": "PermissionError", "code": "NOT_PERMITTED", "path": None, "requires": scope}
    ]
    assert await community.events() == before
