"""The log: dense, in the order of commits, and honest about what it no longer has."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import asyncpg
import pytest
import sqlalchemy as sa

from graph.storage.database import Storage
from graph.storage.rows import Done, Failed
from subscriptions import log
from subscriptions.cursor import BEGINNING, Expired, Lost, Place
from subscriptions.log import Entry, Page, Rows

T = TypeVar("T")


async def done(storage: Storage, work: Callable[[Rows], Coroutine[Any, Any, T]]) -> T:
    [outcome] = await storage.write([work])
    assert isinstance(outcome, Done), outcome
    value: T = outcome.value
    return value


async def tell(storage: Storage, topic: str, *numbers: int, at: int = 0) -> list[int]:
    """Events that carry a number each; their positions."""

    async def work(rows: Rows) -> list[int]:
        return [await log.append(rows, topic, "said", {"number": number}, at=at) for number in numbers]

    return await done(storage, work)


async def trim(storage: Storage, *, keep_events: int = 1000, keep_after: int = 0) -> int | None:
    return await done(storage, lambda rows: log.trim(rows, keep_events=keep_events, keep_after=keep_after))


async def place_at(storage: Storage, topic: str, position: int) -> Place:
    page = await log.page_after(storage, topic, Place(position - 1, None), 1)
    return page.reached


def numbers(page: Page) -> list[int]:
    return [entry.data["number"] for entry in page.entries]


async def reason_of(reading: Coroutine[Any, Any, object]) -> Lost:
    with pytest.raises(Expired) as expired:
        await reading
    return expired.value.reason


async def test_an_entry_is_what_was_told(storage: Storage) -> None:
    data: dict[str, log.JSON] = {"comment_id": 2**62, "changed": ["status"], "by": None, "deep": {"é": 1.5}}
    position = await done(storage, lambda rows: log.append(rows, "post:1", "comment_changed", data, at=2**55))
    page = await log.page_after(storage, "post:1", BEGINNING, 10)
    assert page.entries == [Entry("post:1", position, page.head.tag or 0, "comment_changed", data, 2**55)]
    assert (page.reached, page.floor, page.complete) == (page.head, 0, True)


async def test_positions_are_dense_and_in_the_order_of_commits_whoever_writes(storage: Storage) -> None:
    async with Storage.at(storage.url) as other:
        order: list[tuple[int, int]] = []

        async def write(writer: int) -> None:
            for turn in range(10):
                [position] = await tell((storage, other)[writer % 2], "post:1", 100 * writer + turn)
                order.append((position, 100 * writer + turn))

        await asyncio.gather(*(write(writer) for writer in range(6)))
    page = await log.page_after(storage, "post:1", BEGINNING, 100)
    assert [entry.position for entry in page.entries] == list(range(1, 61))
    assert {entry.position: entry.data["number"] for entry in page.entries} == dict(order)


async def test_an_event_that_is_rolled_back_takes_no_position(storage: Storage) -> None:
    async def failing(rows: Rows) -> None:
        await log.append(rows, "post:1", "said", {"number": 0}, at=0)
        raise ValueError("no")

    [outcome] = await storage.write([failing])
    assert isinstance(outcome, Failed)
    assert await tell(storage, "post:1", 1, 2) == [1, 2]


async def test_topics_stand_where_their_last_event_is_and_unknown_ones_at_the_beginning(storage: Storage) -> None:
    await tell(storage, "post:1", 1, 2)
    standing = await log.standing(storage, ["post:2", "post:1"])
    page = await log.page_after(storage, "post:1", BEGINNING, 10, epoch=standing.epoch)
    assert list(standing.places.items()) == [("post:2", BEGINNING), ("post:1", page.entries[-1].place)]
    assert page.entries[0].tag != page.entries[1].tag


async def test_a_page_ends_at_its_limit_and_the_next_goes_on(storage: Storage) -> None:
    await tell(storage, "post:1", 1, 2, 3, 4, 5)
    first = await log.page_after(storage, "post:1", BEGINNING, 3)
    second = await log.page_after(storage, "post:1", first.reached, 3)
    assert (numbers(first), first.complete) == ([1, 2, 3], False)
    assert (numbers(second), second.complete) == ([4, 5], True)
    assert (await log.page_after(storage, "post:1", second.reached, 3)).entries == []


async def test_many_topics_are_read_as_of_one_moment_and_only_those_with_news_are_told(storage: Storage) -> None:
    await tell(storage, "post:1", 1, 2)
    await tell(storage, "post:2", 3)
    here = await log.standing(storage, ["post:1", "post:2", "post:3", "access"])
    await tell(storage, "post:2", 4)
    pages = await log.pages_after(storage, here.places, 10, always="access")
    assert pages.epoch == here.epoch
    assert {topic: numbers(page) for topic, page in pages.pages.items() if isinstance(page, Page)} == {
        "post:2": [4],
        "access": [],
    }


async def test_two_histories_at_one_position_are_told_apart_by_the_tag(storage: Storage) -> None:
    await tell(storage, "post:1", 1, 2, 3)
    at_2, at_3 = await place_at(storage, "post:1", 2), await place_at(storage, "post:1", 3)
    await storage.rows(sa.delete(log.events).where(log.events.c.position > 1))
    before = await place_at(storage, "post:1", 1)
    await storage.rows(sa.update(log.topics).values(head=1, head_tag=before.tag))
    assert await reason_of(log.page_after(storage, "post:1", at_2, 10)) == Lost.EPOCH  # ahead of the fallen head
    await tell(storage, "post:1", 12, 13)
    for place in (at_2, at_3):
        assert await reason_of(log.page_after(storage, "post:1", place, 10)) == Lost.EPOCH
    assert numbers(await log.page_after(storage, "post:1", before, 10)) == [12, 13]


async def test_another_epoch_is_another_history(storage: Storage) -> None:
    await tell(storage, "post:1", 1)
    here = await log.standing(storage, ["post:1"])
    await done(storage, log.new_epoch)
    reading = log.page_after(storage, "post:1", here.places["post:1"], 10, epoch=here.epoch)
    assert await reason_of(reading) == Lost.EPOCH


async def test_a_place_ahead_of_the_head_is_of_another_history(storage: Storage) -> None:
    await tell(storage, "post:1", 1)
    assert await reason_of(log.page_after(storage, "post:1", Place(2, 5), 10)) == Lost.EPOCH
    assert await reason_of(log.page_after(storage, "post:2", Place(1, 5), 10)) == Lost.EPOCH
    assert await reason_of(log.page_after(storage, "post:1", Place(2, None), 10)) == Lost.EPOCH


async def test_what_is_beyond_the_count_is_forgotten_and_whoever_missed_it_is_told(storage: Storage) -> None:
    await tell(storage, "post:1", *range(1, 11))
    at_6, at_7 = await place_at(storage, "post:1", 6), await place_at(storage, "post:1", 7)
    await trim(storage, keep_events=3)
    page = await log.page_after(storage, "post:1", at_7, 10)  # exactly at the floor: nothing missed
    assert (numbers(page), page.floor) == ([8, 9, 10], 7)
    assert await reason_of(log.page_after(storage, "post:1", at_6, 10)) == Lost.RETENTION
    assert await reason_of(log.page_after(storage, "post:1", BEGINNING, 10)) == Lost.RETENTION


async def test_a_place_at_the_floor_is_still_told_from_one_of_another_history(storage: Storage) -> None:
    await tell(storage, "post:1", 1, 2, 3)
    at_2 = await place_at(storage, "post:1", 2)
    await trim(storage, keep_events=1)
    assert numbers(await log.page_after(storage, "post:1", at_2, 10)) == [3]
    other = Place(2, (at_2.tag or 0) + 1)
    assert await reason_of(log.page_after(storage, "post:1", other, 10)) == Lost.EPOCH


async def test_what_is_too_old_is_forgotten_topic_by_topic(storage: Storage) -> None:
    await tell(storage, "post:1", 1, 2, at=100)
    await tell(storage, "post:1", 3, 4, at=200)
    await tell(storage, "post:2", 5, 6, at=200)
    await trim(storage, keep_after=150)
    assert numbers(await log.page_after(storage, "post:1", Place(2, None), 10)) == [3, 4]
    assert numbers(await log.page_after(storage, "post:2", BEGINNING, 10)) == [5, 6]
    left = await storage.rows(sa.select(log.events.c.position).order_by(log.events.c.topic_id, log.events.c.position))
    assert [position for (position,) in left] == [3, 4, 1, 2]


async def test_the_last_event_of_a_topic_is_never_forgotten(storage: Storage) -> None:
    await tell(storage, "post:1", 1, 2, 3, at=100)
    here = (await log.standing(storage, ["post:1"])).places["post:1"]
    await trim(storage, keep_events=0, keep_after=10**9)
    await trim(storage, keep_events=0, keep_after=10**9)
    page = await log.page_after(storage, "post:1", here, 10)
    assert (page.head, page.floor) == (here, 2)
    assert await tell(storage, "post:1", 4) == [4]


async def test_forgetting_is_done_in_bounded_parts(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "TRIMMED_EVENTS", 4)
    monkeypatch.setattr(log, "TRIMMED_TOPICS", 2)
    for topic in ("post:1", "post:2", "post:3", "post:4", "post:5"):
        await tell(storage, topic, *range(6))
    removed, beyond, calls = 0, 0, 0
    while True:
        before = await _count_events(storage)
        reached = await done(storage, lambda rows: log.trim(rows, keep_events=1, keep_after=0, beyond=beyond))  # noqa: B023  run before the loop goes on
        removed, calls = before - await _count_events(storage), calls + 1
        assert removed <= 4
        if reached is None:
            break
        beyond = reached
    assert await _count_events(storage) == 5
    assert calls < 15


async def _count_events(storage: Storage) -> int:
    [(count,)] = await storage.rows(sa.select(sa.func.count()).select_from(log.events))
    return int(count)


async def test_forgetting_does_not_wait_for_a_topic_that_a_writer_holds(postgresql_url: str) -> None:
    writer = await asyncpg.connect(postgresql_url)
    async with Storage.at(postgresql_url) as storage:
        await tell(storage, "post:1", 1, 2, 3)
        await tell(storage, "post:2", 1, 2, 3)
        async with writer.transaction():
            await writer.execute("SELECT FROM topics WHERE name = 'post:1' FOR UPDATE")
            async with asyncio.timeout(2):
                await trim(storage, keep_events=1)
        assert await reason_of(log.page_after(storage, "post:2", BEGINNING, 10)) == Lost.RETENTION
        assert numbers(await log.page_after(storage, "post:1", BEGINNING, 10)) == [1, 2, 3]
    await writer.close()


async def test_a_gap_in_the_log_is_told_and_not_skipped(storage: Storage) -> None:
    await tell(storage, "post:1", 1, 2, 3, 4)
    await storage.rows(sa.delete(log.events).where(log.events.c.position == 3))
    at_1 = await place_at(storage, "post:1", 1)
    assert await reason_of(log.page_after(storage, "post:1", at_1, 10)) == Lost.RETENTION
    assert numbers(await log.page_after(storage, "post:1", at_1, 1)) == [2]
