"""First come, first served, nobody forgotten."""

import asyncio

import pytest

from graph.storage.errors import Busy, NotConnected
from graph.storage.slots import Slots


async def test_those_who_wait_are_served_in_their_order() -> None:
    slots = Slots("thing", ["a"], wait_seconds=10)
    served: list[int] = []

    async def use(number: int) -> None:
        item = await slots.take()
        served.append(number)
        await asyncio.sleep(0)
        slots.give(item)

    await asyncio.gather(*(use(number) for number in range(5)))
    assert served == [0, 1, 2, 3, 4]
    assert slots.idle == slots.size == 1


async def test_who_waits_too_long_is_told_and_the_next_is_served() -> None:
    slots = Slots("thing", ["a"], wait_seconds=0.02)
    item = await slots.take()
    with pytest.raises(Busy, match="thing"):
        await slots.take()
    waiting = asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    slots.give(item)
    assert await waiting == "a"


async def test_what_was_handed_to_someone_cancelled_goes_to_the_next() -> None:
    slots = Slots("thing", ["a"], wait_seconds=10)
    item = await slots.take()
    leaving, staying = asyncio.create_task(slots.take()), asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    slots.give(item)  # to the first, who has not run since
    leaving.cancel()
    assert await staying == "a"
    with pytest.raises(asyncio.CancelledError):
        await leaving


async def test_closing_waits_for_what_is_in_use_and_refuses_the_others() -> None:
    slots = Slots("thing", ["a", "b"], wait_seconds=10)
    items = [await slots.take(), await slots.take()]
    waiting = asyncio.create_task(slots.take())
    await asyncio.sleep(0)
    closing = asyncio.create_task(slots.close())
    await asyncio.sleep(0)
    with pytest.raises(NotConnected):
        await waiting
    with pytest.raises(NotConnected):
        await slots.take()
    slots.give(items[0])
    await asyncio.sleep(0)
    assert not closing.done()
    slots.give(items[1])
    await closing


async def test_slots_without_anything_are_closed() -> None:
    with pytest.raises(NotConnected):
        await Slots[str]("thing", wait_seconds=10).take()
