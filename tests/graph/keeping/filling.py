"""Databases with rows in every table, whatever the tables are: made up from what the database says of itself.

References lead somewhere, what must be unique is, trees and counts are true, text is of every kind that a person can
send; so the program can be asked about the result, at the newest version or once it was brought there.
"""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa

from graph.change import Changes
from graph.comments.paths import path_below, rpath_below
from graph.context import Context, Services, Viewer
from graph.execution.answers import Engine, Request
from graph.execution.guard import Limits
from graph.keeping import store
from graph.schema import schema
from graph.storage.database import Storage
from graph.storage.migrate import _scripts, newest_version
from graph.storage.rows import Row, Rows
from subscriptions.brokers.memory import MemoryBroker

ROWS: Final = 12  # of each table
LARGEST: Final = 2**63 - 1
START: Final = 1_700_000_000_000_000  # µs

# Without NUL, which PostgreSQL cannot hold and nobody can send.
TEXTS: Final = (
    "",
    " ",
    "Un pseudo compte à peine : « où ? » — dit-elle…",
    "e\u0301 is not é to a machine",
    "👩‍👩‍👧 family, 🏳️‍🌈 flag, \U0010ffff last",
    "\u202eright to left\u202c and \u200f marks",
    "line\u2028separator\r\nand\ttab \x01\x1f\x7f\x85",
    'quotes " \' ` and \\ \\u0041 \\n {"json": null} [0] $.x',
    "ﬁ ﬂ ß İ ı ǅ Ω 中文 עברית العربية",
    "%s %(x)s {0} :name ? $1",
    "\ufeffmark and \ufffd \ud7ff \ue000",
)

# What a column of this name holds, where the program knows only these words.
WORDS: Final[Mapping[str, Sequence[str]]] = {
    "users.role": ("MEMBER", "MODERATOR", "ADMIN"),
    "users.locale": ("en", "fr", "fr-CH"),
    "tokens.kind": ("SESSION", "API"),
    "communities.visibility": ("PUBLIC", "PRIVATE"),
    "communities.joining": ("OPEN", "REQUEST", "INVITATION"),
    "communities.posting": ("MEMBERS", "MODERATORS"),
    "tokens.scopes": ("READ", "READ WRITE"),
    "community_invitations.state": ("OPEN", "ACCEPTED", "DECLINED", "REVOKED"),
    "community_requests.state": ("PENDING", "APPROVED", "DECLINED", "WITHDRAWN"),
    "mails.state": ("QUEUED", "SENT", "DROPPED", "GIVEN_UP"),
    "memberships.role": ("MEMBER", "MODERATOR", "ADMIN"),
    "posts.kind": ("ARTICLE",),
    "posts.state": ("PUBLISHED", "PUBLISHED", "DRAFT", "REMOVED"),
    "posts.discussion": ("OPEN", "LOCKED"),
    "posts.language": ("fr", "en"),
    "comments.status": ("PUBLISHED",),
    "pingbacks.kind": ("PINGBACK", "TRACKBACK"),
    "pingbacks.status": ("PUBLISHED", "PENDING"),
    "topics.name": tuple(f"post:{number}" for number in range(1, ROWS + 1)),
    "idempotency_keys.result": ("null", "[1]"),
}

Values = dict[str, Any]


class Filling:
    """Rows for the tables of one schema; the same seed makes the same."""

    def __init__(self, tables: sa.MetaData, seed: int) -> None:
        self.choose = random.Random(seed)
        self.rows: dict[str, list[Values]] = {}
        # Events name their topic without a reference.
        for table in sorted(store.in_order(tables), key=lambda table: table.name != "topics"):
            if table.name != "epochs":
                made = [self.row(table, number) for number in range(1, ROWS + 1)]
                mend = MENDED.get(table.name)
                self.rows[table.name] = mend(self, made) if mend else made
        self._count()

    def row(self, table: sa.Table, number: int) -> Values:
        return {column.name: self.value(table, column, number) for column in table.columns}

    def value(self, table: sa.Table, column: sa.Column[Any], number: int) -> Any:
        if column.foreign_keys:
            return self.reference(table, column, number)
        if column is table.autoincrement_column:
            return number * 3  # with gaps: rows were removed
        if column.nullable and self.choose.random() < 0.3:
            return None
        words = WORDS.get(f"{table.name}.{column.name}")
        if words is not None:
            return words[number - 1] if len(words) == ROWS else self.choose.choice(words)
        return self.free(column, number)

    def free(self, column: sa.Column[Any], number: int) -> Any:
        if isinstance(column.type, sa.String):
            return f"{self.choose.choice(TEXTS)} {column.name}-{number}"  # so that it is unique
        if isinstance(column.type, sa.LargeBinary):
            return self.choose.randbytes(self.choose.choice((1, 32, 300))) + bytes([number])
        if column.name.endswith("_at") or column.name == "at":
            return START + number * 1_000_003
        if column.server_default is not None or "count" in column.name:
            return self.choose.choice((1, 2))
        return self.choose.choice((1, number, LARGEST - number)) if column.name.endswith("tag") else number

    def reference(self, table: sa.Table, column: sa.Column[Any], number: int) -> Any:
        [key] = column.foreign_keys
        target = key.column.table.name
        if target == table.name or target not in self.rows or (column.nullable and self.choose.random() < 0.3):
            return None  # `MENDED` has the trees
        ids = [row[key.column.name] for row in self.rows[target]]
        # Where pairs must be unique, each row has its own.
        own = any(column.name in columns for columns in uniques(table))
        return ids[number - 1] if own else self.choose.choice(ids)

    def _count(self) -> None:
        """What posts say of their comments, and communities of their members and posts."""
        for post in self.rows["posts"]:
            mine = [row for row in self.rows["comments"] if row["post_id"] == post["id"]]
            post["last_number"] = post["comment_count"] = len(mine)
            post["root_count"] = sum(row["parent_id"] is None for row in mine)
        for community in self.rows["communities"]:
            if "member_count" in community:
                community["member_count"] = self._in(community, "memberships")
                community["post_count"] = self._in(community, "posts", state="PUBLISHED")

    def _in(self, community: Values, table: str, **given: str) -> int:
        mine = [row for row in self.rows[table] if row["community_id"] == community["id"]]
        return sum(row.items() >= given.items() for row in mine)


def uniques(table: sa.Table) -> list[set[str]]:
    """The columns that no two rows have in common; where that holds for some rows only, all are made so."""
    kinds = (sa.UniqueConstraint, sa.PrimaryKeyConstraint)
    constraints = [each for each in table.constraints if isinstance(each, kinds)]
    indexes = [each for each in table.indexes if each.unique]
    return [{column.name for column in each.columns} for each in (*constraints, *indexes)]


def _memberships(filling: Filling, rows: list[Values]) -> list[Values]:
    for row in rows:
        if "rank" in row:
            row.update(rank=("ADMIN", "MODERATOR", "MEMBER").index(row["role"]))
    return rows


def _posts(filling: Filling, rows: list[Values]) -> list[Values]:
    for number, row in enumerate(rows):
        row.update(published_at=None if row["state"] == "DRAFT" else START + number * 7)
    return rows


def _tree(filling: Filling, rows: list[Values]) -> list[Values]:
    """Comments of the first two posts; those of a late id are answered by those of an early one."""
    posts = filling.rows["posts"][:2]
    for half, post in enumerate(posts):
        mine = rows[half::2]
        for number, row in enumerate(mine, 1):
            parent = filling.choose.choice([None, *mine[: number - 1]])
            row.update(post_id=post["id"], community_id=post["community_id"], number=number, shown=1)
            row.update(parent_id=parent["id"] if parent else None, depth=parent["depth"] + 1 if parent else 0)
            row.update(path=path_below(parent["path"] if parent else None, number))
            row.update(rpath=rpath_below(parent["rpath"] if parent else None, number))
            row.update(shown_from=None, shown_until=None)
        for row in mine:
            row["reply_count"] = sum(other["parent_id"] == row["id"] for other in mine)
            row["descendant_count"] = sum(other["path"].startswith(row["path"]) for other in mine) - 1
    ids = {row["id"]: LARGEST - 1_000_000 - row["id"] for row in rows}  # an answer has a lower id than its parent
    for row in rows:
        row.update(id=ids[row["id"]], parent_id=ids.get(row["parent_id"]))
    return rows


def _topics(filling: Filling, rows: list[Values]) -> list[Values]:
    for row in rows:
        row.update(head=1, head_tag=filling.choose.randrange(1, 2**48), floor=0, floor_tag=0)
    return rows


def _events(filling: Filling, rows: list[Values]) -> list[Values]:
    for row, topic in zip(rows, filling.rows["topics"], strict=True):
        row.update(topic_id=topic["id"], position=1, tag=topic["head_tag"])
        row.update(kind="post_changed", data=json.dumps({"post_id": 1}))
    return rows


def _revisions(filling: Filling, rows: list[Values]) -> list[Values]:
    """Of a post or of a comment."""
    for row, post, comment in zip(rows, filling.rows["posts"], filling.rows["comments"], strict=True):
        of_post = filling.choose.random() < 0.5
        row.update(post_id=post["id"] if of_post else None, comment_id=None if of_post else comment["id"])
    return rows


MENDED: Final[Mapping[str, Callable[[Filling, list[Values]], list[Values]]]] = {
    "memberships": _memberships,
    "posts": _posts,
    "comments": _tree,
    "topics": _topics,
    "events": _events,
    "revisions": _revisions,
}


async def fill(storage: Storage, tables: sa.MetaData, seed: int = 1) -> dict[str, list[Values]]:
    """What was written into each table."""
    filling = Filling(tables, seed)

    async def work(rows: Rows) -> None:
        await store.let_references_wait(rows, store.waiting(tables))
        for table in store.in_order(tables):
            for row in filling.rows.get(table.name, ()):
                await rows.rows(sa.insert(table).values(row))
        await store.look_at_references(rows, store.waiting(tables))
        await store.count_on(rows, store.in_order(tables))

    [outcome] = await storage.write([work])
    assert hasattr(outcome, "value"), outcome
    return filling.rows


async def contents(storage: Storage, tables: sa.MetaData) -> dict[str, list[Row]]:
    """Every row of every table, in the order of the keys."""
    return {
        table.name: list(await storage.rows(sa.select(table).order_by(*table.primary_key.columns)))
        for table in store.in_order(tables)
    }


# What the program is asked, to see that it understands what it finds -------------------------------------------------

QUESTION: Final = """
query Everything($sort: FeedSort!) {
  posts(first: 50, sort: $sort) {
    nodes {
      id url title slug summary language bodyText publishedAt lastActivityAt revision
      counts { comments }
      byline { author { handle displayName bio } }
      community { slug name }
      thread(first: 100) { edges { depth parentId cursor node { ...Spoken } more { count reason } } }
      newest: thread(first: 3, sort: NEWEST) { edges { node { id } more { count cursor } } pageInfo { hasNextPage } }
    }
    pageInfo { hasNextPage }
  }
  communities(first: 50) { nodes { id slug name description } }
}
fragment Spoken on Comment {
  id url bodyText bodyHtml status number createdAt lastEditedAt
  byline { author { handle } }
  ancestors { id }
  replies(first: 2) { nodes { id } }
}
"""
SORTS: Final = ("NEWEST", "ACTIVE")


async def answers(storage: Storage) -> list[Any]:
    changes = Changes(storage, MemoryBroker(), lambda: START)
    services = Services(storage, changes, lambda: START, "https://palabre.test", 1)
    engine = Engine(schema, Limits(things=10_000_000))
    found = [await engine.answer(Request(QUESTION, {"sort": sort}), Context(services, Viewer())) for sort in SORTS]
    assert [answer for answer in found if answer.errors] == []
    return [answer.data for answer in found]


def older_versions() -> list[str]:
    """Every released version of the database but this program's own."""
    return sorted(script.revision for script in _scripts().walk_revisions() if script.revision != newest_version())
