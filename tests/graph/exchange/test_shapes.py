"""Made-up discussions are whole: counted, numbered and placed like real ones."""

from collections import Counter

import pytest
import sqlalchemy as sa

from graph.comments.paths import ancestors_of, path_below, rpath_below
from graph.exchange import shapes
from graph.exchange.shapes import TreeShape, load_shape
from graph.storage.database import Storage
from graph.storage.rows import Row
from graph.storage.tables import comments, posts, users

EVENING = 1_700_000_000_000_000
MORNING = EVENING + 12 * 3600 * 1_000_000


async def new_post(storage: Storage, slug: str = "post") -> tuple[int, list[int]]:
    """The post, and three people who may have written."""
    author_ids = []
    for name in ("ada", "greg", "lise"):
        person = {"handle": name + slug, "handle_key": name + slug, "display_name": name, "created_at": 0}
        ((user_id,),) = await storage.rows(sa.insert(users).values(person).returning(users.c.id))
        author_ids.append(user_id)
    text = {"title": slug, "body": "", "body_html": "", "body_text": ""}
    values = {"author_id": author_ids[0], "slug": slug, "state": "PUBLISHED", "created_at": 0, "last_activity_at": 0}
    ((post_id,),) = await storage.rows(sa.insert(posts).values(**values, **text).returning(posts.c.id))
    return post_id, author_ids


async def load(storage: Storage, shape: TreeShape, count: int, slug: str = "post", seed: int = 1) -> int:
    post_id, author_ids = await new_post(storage, slug)
    await load_more(storage, post_id, author_ids, shape, count, seed)
    return post_id


async def load_more(
    storage: Storage, post_id: int, author_ids: list[int], shape: TreeShape, count: int, seed: int = 1
) -> None:
    await load_shape(
        storage,
        post_id=post_id,
        author_ids=author_ids,
        comments=count,
        shape=shape,
        begins_at=EVENING,
        ends_at=MORNING,
        seed=seed,
    )


async def rows_of(storage: Storage, post_id: int, *columns: sa.ColumnElement[object]) -> list[Row]:
    found = await storage.rows(sa.select(*columns).where(comments.c.post_id == post_id).order_by(comments.c.number))
    return list(found)


@pytest.fixture(autouse=True)
def small_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "GROUP", 70)


@pytest.mark.parametrize("shape", TreeShape)
async def test_every_comment_stands_where_its_parent_says(storage: Storage, shape: TreeShape) -> None:
    post_id = await load(storage, shape, 300)
    c = comments.c
    found = await rows_of(storage, post_id, c.number, c.id, c.parent_id, c.path, c.rpath, c.depth)
    assert [row[0] for row in found] == list(range(1, 301))
    by_id = {row[1]: row for row in found}
    for number, _, parent_id, path, rpath, depth in found:
        parent = by_id[parent_id] if parent_id else None
        assert path == path_below(parent[3] if parent else None, number)
        assert rpath == rpath_below(parent[4] if parent else None, number)
        assert depth == (parent[5] + 1 if parent else 0)


@pytest.mark.parametrize("shape", TreeShape)
async def test_counts_say_what_hangs_below(storage: Storage, shape: TreeShape) -> None:
    post_id = await load(storage, shape, 300)
    c = comments.c
    found = await rows_of(storage, post_id, c.id, c.parent_id, c.path, c.reply_count, c.descendant_count)
    replies = Counter(row[1] for row in found)
    descendants = Counter(above for row in found for above in ancestors_of(row[2]))
    assert [row[3] for row in found] == [replies[row[0]] for row in found]
    assert [row[4] for row in found] == [descendants[row[2]] for row in found]
    p = posts.c
    (counters,) = await storage.rows(
        sa.select(p.last_number, p.comment_count, p.root_count, p.last_activity_at).where(p.id == post_id)
    )
    assert counters == (300, 300, replies[None], MORNING)


async def test_comments_that_were_there_keep_their_place(storage: Storage) -> None:
    post_id, author_ids = await new_post(storage)
    await load_more(storage, post_id, author_ids, TreeShape.MIXED, 100)
    before = await rows_of(storage, post_id, *comments.c)
    await load_more(storage, post_id, author_ids, TreeShape.DEEP, 100)
    after = await rows_of(storage, post_id, *comments.c)
    assert after[:100] == before
    assert len(after) == 200


async def test_comments_arrive_in_order_and_end_when_they_should(storage: Storage) -> None:
    post_id = await load(storage, TreeShape.WIDE, 100)
    times = [at for (at,) in await rows_of(storage, post_id, comments.c.created_at)]
    assert times == sorted(times)
    assert times[0] > EVENING
    assert times[-1] == MORNING


async def test_the_same_seed_grows_the_same_tree(storage: Storage) -> None:
    grown = [
        await rows_of(storage, await load(storage, TreeShape.MIXED, 100, slug, seed), comments.c.path, comments.c.body)
        for slug, seed in (("one", 7), ("two", 7), ("three", 8))
    ]
    assert grown[0] == grown[1]
    assert grown[0] != grown[2]


async def test_a_new_comment_can_follow_a_loaded_one(storage: Storage) -> None:
    post_id = await load(storage, TreeShape.MIXED, 100)
    (given,) = await storage.rows(sa.select(comments).where(comments.c.post_id == post_id, comments.c.number == 100))
    values = dict(zip(comments.c.keys(), given, strict=True)) | {"number": 101, "path": "00035", "rpath": "VVVSQ"}
    del values["id"]
    ((new_id,),) = await storage.rows(sa.insert(comments).values(values).returning(comments.c.id))
    assert new_id == given[0] + 1


async def test_progress_is_told_after_each_commit(storage: Storage) -> None:
    post_id, author_ids = await new_post(storage)
    told: list[int] = []
    await load_shape(
        storage,
        post_id=post_id,
        author_ids=author_ids,
        comments=150,
        shape=TreeShape.MIXED,
        begins_at=EVENING,
        ends_at=MORNING,
        progress=told.append,
    )
    assert told == [70, 140, 150]


async def test_a_post_that_is_not_there_is_refused_and_nothing_is_written(storage: Storage) -> None:
    with pytest.raises(LookupError, match="no post 99"):
        await load_more(storage, 99, [1], TreeShape.MIXED, 10)
    assert await storage.rows(sa.select(comments.c.id)) == []


def test_a_mixed_tree_has_three_replies_for_each_root() -> None:
    tree = shapes.grown(4_000, TreeShape.MIXED, seed=1)
    assert 900 < tree.reply_counts[0] < 1_100


def test_in_a_wide_tree_the_first_comment_has_nearly_all_replies() -> None:
    tree = shapes.grown(1_000, TreeShape.WIDE, seed=1)
    assert 930 < tree.reply_counts[1] < 970


def test_a_deep_tree_is_made_of_chains_as_deep_as_a_thread_can_be() -> None:
    tree = shapes.grown(250, TreeShape.DEEP, seed=1)
    assert max(tree.depths) == 99
    assert tree.reply_counts[0] == 3
