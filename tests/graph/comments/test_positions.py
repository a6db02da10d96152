"""Where a comment goes among rows that a client has already."""

from typing import Any

import pytest

from graph.audience import VISITOR
from graph.comments import actions
from graph.comments.discussion import CommentSort
from graph.comments.positions import ThreadPosition, load_positions
from graph.comments.types import Comment
from graph.context import Viewer
from graph.execution.fields import Asking, all_columns
from graph.ids import global_id
from graph.storage.tables import comments

OLDEST, NEWEST = CommentSort.OLDEST, CommentSort.NEWEST


@pytest.fixture
async def greg(community: Any) -> Viewer:
    viewer: Viewer = await community.viewer(await community.person("greg"))
    return viewer


@pytest.fixture
async def post(community: Any, greg: Viewer) -> int:
    key: int = await community.publish(greg)
    return key


async def positions(community: Any, *owners: tuple[int | None, int | None], sort: CommentSort) -> Any:
    async with community.storage.reading() as rows:
        asking = Asking(rows, VISITOR, "https://palabre.test")
        return await load_positions(asking, owners, all_columns(Comment), sort=sort)


async def siblings(community: Any, *keys: int, sort: CommentSort) -> list[str | None]:
    """What stands before each, as it was when it was added."""
    return [
        found.previous_sibling_id for found in await positions(community, *((key, None) for key in keys), sort=sort)
    ]


def ids(*keys: int | None) -> list[str | None]:
    return [None if key is None else global_id("Comment", key) for key in keys]


async def test_the_first_of_its_level_stands_before_no_sibling(community: Any, greg: Viewer, post: int) -> None:
    root = await community.answer_post(greg, post)
    reply = await community.answer_post(greg, post, parent=root)
    deeper = await community.answer_post(greg, post, parent=reply)
    found = await positions(community, (root, None), (reply, None), (deeper, None), sort=OLDEST)
    above: list[Any] = ids(root, reply)
    assert found == [
        ThreadPosition(ancestor_ids=[], depth=0, previous_sibling_id=None, is_stable=True),
        ThreadPosition(ancestor_ids=above[:1], depth=1, previous_sibling_id=None, is_stable=True),
        ThreadPosition(ancestor_ids=above, depth=2, previous_sibling_id=None, is_stable=True),
    ]


async def test_the_oldest_first_follows_the_one_that_came_before(community: Any, greg: Viewer, post: int) -> None:
    root = await community.answer_post(greg, post)
    replies = [await community.answer_post(greg, post, parent=root) for _ in range(3)]
    other = await community.answer_post(greg, post)
    assert await siblings(community, *replies, other, sort=OLDEST) == ids(None, *replies[:2], root)


async def test_the_newest_first_has_nothing_before_it_when_it_comes(community: Any, greg: Viewer, post: int) -> None:
    roots = [await community.answer_post(greg, post) for _ in range(3)]
    assert await siblings(community, *roots, sort=NEWEST) == ids(None, None, None)


async def test_what_came_later_in_the_log_is_not_yet_in_front_of_the_reader(
    community: Any, greg: Viewer, post: int
) -> None:
    first, second, third = [await community.answer_post(greg, post) for _ in range(3)]
    # As a client sees them that reads position 3, where all are there.
    at_three = await positions(community, (first, 4), (second, 4), (third, 4), sort=NEWEST)
    assert [found.previous_sibling_id for found in at_three] == ids(second, third, None)
    at_two = await positions(community, (first, 3), (second, 3), sort=NEWEST)
    assert [found.previous_sibling_id for found in at_two] == ids(second, None)


async def test_what_has_left_the_tree_is_no_sibling_and_a_tombstone_is_one(
    community: Any, greg: Viewer, post: int
) -> None:
    tombstone, gone, last = [await community.answer_post(greg, post) for _ in range(3)]
    await community.answer_post(greg, post, parent=tombstone)
    for comment in (tombstone, gone):
        await community.act(lambda change, comment=comment: actions.delete_comment(change, comment_id=comment), greg)
    assert await siblings(community, last, sort=OLDEST) == ids(tombstone)


async def test_what_was_there_before_the_log_counts_as_always_there(community: Any, greg: Viewer, post: int) -> None:
    first, second = [await community.answer_post(greg, post) for _ in range(2)]
    await community.storage.rows(comments.update().values(shown_from=None).returning(comments.c.id))
    assert await siblings(community, first, second, sort=NEWEST) == ids(second, None)
    assert [found.previous_sibling_id for found in await positions(community, (second, 1), sort=OLDEST)] == ids(first)


async def test_what_is_not_there_has_no_position(community: Any, greg: Viewer, post: int) -> None:
    assert await positions(community, (None, None), (99, None), (99, 1), sort=OLDEST) == [None, None, None]
