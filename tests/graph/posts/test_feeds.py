"""Feeds: complete and in order whatever the ties, for who may read what, and each page by an index."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
import sqlalchemy as sa

from graph.audience import VISITOR, Audience
from graph.communities import actions as community_actions
from graph.context import Viewer
from graph.execution.fields import Asking, Columns
from graph.ids import global_id
from graph.pages import PAGE_LIMIT, Page
from graph.posts.feeds import ORDERS, FeedSort, load_community_feed, load_site_feed
from graph.posts.types import Post
from graph.storage import sqlite
from graph.storage.database import Storage
from graph.storage.rows import Rows
from graph.storage.tables import communities, posts, users

SORTS = list(FeedSort)
PLACES = ("site", "community", "site, of one community")
TIED = 10_000
NOTHING = {"first": None, "after": None, "last": None, "before": None}


async def read(asking: Asking, place: str, **given: Any) -> Page:
    wanted = Columns(Post, [posts.c.id])
    if place == "community":
        [found] = await load_community_feed(asking, [(1, "PUBLIC")], wanted, **NOTHING | given)
        return found
    community_id = None if place == "site" else global_id("Community", 1)
    [found] = await load_site_feed(asking, [()], wanted, **NOTHING | given, community_id=community_id)  # type: ignore[arg-type]  # a text is an ID
    return found


@pytest.fixture
async def tied(storage: Storage) -> AsyncIterator[Rows]:
    """Ten thousand posts of one instant in one community."""
    await storage.rows(users.insert().values(id=1, handle="a", handle_key="a", display_name="A", created_at=1))
    await storage.rows(communities.insert().values(id=1, slug="c", name="C", created_at=1))
    numbers = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < TIED))
    values = {"author_id": 1, "community_id": 1, "title": "T", "body": "", "body_html": "", "body_text": ""}
    values |= {"state": "PUBLISHED", "created_at": 7, "published_at": 7, "last_activity_at": 7}
    selected = sa.select(sa.cast(numbers.c.n, sa.Text), *(sa.literal(value) for value in values.values()))
    await storage.rows(posts.insert().from_select(["slug", *values], selected))
    async with storage.reading() as rows:
        yield rows


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sort", SORTS)
async def test_ten_thousand_posts_of_one_instant_page_both_ways_without_loss(
    tied: Rows, sort: FeedSort, place: str
) -> None:
    asking = Asking(tied, VISITOR, "")
    forward: list[int] = []
    after, more = None, True
    while more:
        found = await read(asking, place, sort=sort, first=PAGE_LIMIT, after=after)
        forward += [row[0] for row in found.rows]
        after, more = found.page_info.end_cursor, found.page_info.has_next_page
    backward: list[int] = []
    before, more = None, True
    while more:
        found = await read(asking, place, sort=sort, last=PAGE_LIMIT, before=before)
        backward = [row[0] for row in found.rows] + backward
        before, more = found.page_info.start_cursor, found.page_info.has_previous_page
    assert forward == backward == sorted(forward, reverse=True)
    assert len(set(forward)) == TIED


class Explaining:
    """Runs nothing without asking SQLite how it would."""

    engine = "sqlite"

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.plans: list[str] = []

    async def rows(self, statement: sa.Executable) -> Sequence[Any]:
        compiled = sqlite.compile_statement(statement)
        names = iter(f"a{place}" for place in range(len(compiled.arguments)))
        spelled = "".join(f":{next(names)}" if character == "?" else character for character in compiled.sql)
        values = {f"a{place}": value for place, value in enumerate(compiled.arguments)}
        plan = await self._rows.rows(sa.text(f"EXPLAIN QUERY PLAN {spelled}").bindparams(**values))
        self.plans.append("\n".join(row[3] for row in plan))
        return await self._rows.rows(statement)


@pytest.mark.parametrize("visibility", ["PRIVATE", None])
async def test_of_a_community_that_one_may_not_read_no_post_is_looked_at(
    sqlite_url: str, visibility: str | None
) -> None:
    async with Storage.at(sqlite_url) as storage:
        if visibility is not None:
            await storage.rows(
                communities.insert().values(id=1, slug="c", name="C", visibility=visibility, created_at=1)
            )
        explaining = Explaining(storage)
        page = await read(Asking(explaining, Audience(2, "MEMBER"), ""), "site, of one community")
        assert page.rows == []
        assert explaining.plans == ["SEARCH communities USING INTEGER PRIMARY KEY (rowid=?)"]


async def test_who_is_only_invited_has_no_post_looked_at(sqlite_url: str) -> None:
    invited = Audience(2, "MEMBER", invited_to=frozenset({1}))
    async with Storage.at(sqlite_url) as storage:
        explaining = Explaining(storage)
        wanted = Columns(Post, [posts.c.id])
        asking = Asking(explaining, invited, "")
        [page] = await load_community_feed(
            asking, [(1, "PRIVATE")], wanted, first=3, after=None, last=None, before=None
        )
        assert page.rows == []
        assert explaining.plans == []


COLUMN = {FeedSort.NEWEST: "published_at", FeedSort.ACTIVE: "last_activity_at"}
VIEWERS = [VISITOR, Audience(2, "MEMBER", member_of=frozenset({1, 2})), Audience(3, "ADMIN")]


@pytest.mark.parametrize("who", VIEWERS, ids=["visitor", "member", "admin"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("sort", SORTS)
async def test_a_page_is_found_in_an_index_and_nothing_is_sorted(
    sqlite_url: str, sort: FeedSort, place: str, who: Audience
) -> None:
    async with Storage.at(sqlite_url) as storage:
        await storage.rows(communities.insert().values(id=1, slug="c", name="C", created_at=1))
        rows = storage
        cursor = ORDERS[sort].cursor((7, 5000))
        for given in ({"first": 3}, {"first": 3, "after": cursor}, {"last": 3, "before": cursor}):
            explaining = Explaining(rows)
            await read(Asking(explaining, who, ""), place, sort=sort, **given)
            *_, plan = explaining.plans
            known = "state=?" if place == "site" else "community_id=? AND state=?"
            beyond = f" AND {COLUMN[sort]}{'<' if 'after' in given else '>'}?" if len(given) == 2 else ""
            index = f"posts_{'' if place == 'site' else 'community_id_'}state_{COLUMN[sort]}_id_index"
            assert f"INDEX {index} ({known}{beyond})" in plan
            # The pages of several communities are put side by side: that is all that is ever sorted.
            assert plan.count("B-TREE") == (place == "community")


FEED = """query ($slug: String!, $sort: FeedSort!) {
    community(slug: $slug) { posts(sort: $sort) { nodes { title community { slug } } } }
    posts(sort: $sort) { nodes { title } }
}"""


def titles(found: Any) -> list[str]:
    return [node["title"] for node in found["nodes"]]


@pytest.mark.parametrize("sort", ["NEWEST", "ACTIVE"])
async def test_a_community_lists_its_own_posts_and_the_site_all_that_one_may_read(community: Any, sort: str) -> None:
    ada = await community.viewer(await community.person("ada", role="ADMIN"))
    greg = await community.viewer(await community.person("greg"))
    for name, visibility in (("Open", "PUBLIC"), ("Cave", "PRIVATE")):
        community_id = await community.act(
            lambda change, name=name, visibility=visibility: community_actions.create_community(
                change, name=name, visibility=visibility
            ),
            ada,
        )
        ada = await community.viewer(ada.audience.viewer_id)
        community.now += 1
        await community.publish(ada, name, community_id=community_id)
        await community.publish(ada, f"{name}, later", community_id=community_id, publish=False)
    community.now += 1
    await community.publish(greg, "Site")

    shown = await community.data(FEED, ada, slug="cave", sort=sort)
    assert shown["community"]["posts"]["nodes"] == [{"title": "Cave", "community": {"slug": "cave"}}]
    assert titles(shown["posts"]) == ["Site", "Cave", "Open"]
    for who in (greg, Viewer()):
        assert (await community.data(FEED, who, slug="cave", sort=sort))["community"] is None
        shown = await community.data(FEED, who, slug="open", sort=sort)
        assert titles(shown["community"]["posts"]) == ["Open"]
        assert titles(shown["posts"]) == ["Site", "Open"]


async def test_a_feed_of_one_community_says_nothing_of_one_that_is_private(community: Any) -> None:
    ada = await community.viewer(await community.person("ada", role="ADMIN"))
    cave = await community.act(
        lambda change: community_actions.create_community(change, name="Cave", visibility="PRIVATE"), ada
    )
    ada = await community.viewer(ada.audience.viewer_id)
    await community.publish(ada, "Cave", community_id=cave)
    text = "query ($id: ID) { posts(communityId: $id) { nodes { title } } }"
    assert titles((await community.data(text, ada, id=global_id("Community", cave)))["posts"]) == ["Cave"]
    assert titles((await community.data(text, id=global_id("Community", cave)))["posts"]) == []
    assert titles((await community.data(text, id=global_id("Community", 999)))["posts"]) == []
    [error] = (await community.whole(text, id="Community:1")).errors
    assert error["extensions"]["code"] == "ID_INVALID"


async def test_what_is_answered_while_one_pages_is_met_in_front_and_the_rest_once(community: Any) -> None:
    greg = await community.viewer(await community.person("greg"))
    written = []
    for title in ("one", "two", "three", "four"):
        community.now += 1
        written.append(await community.publish(greg, title))
    text = """query ($after: Cursor) {
        posts(sort: ACTIVE, first: 2, after: $after) { nodes { title } pageInfo { endCursor } }
    }"""
    first = (await community.data(text))["posts"]
    assert titles(first) == ["four", "three"]
    community.now += 1
    await community.answer_post(greg, written[0])
    assert titles((await community.data(text, after=first["pageInfo"]["endCursor"]))["posts"]) == ["two"]
    assert titles((await community.data(text))["posts"]) == ["one", "four"]
