"""What live delivery counts of itself while it goes on."""

from typing import Any

import pytest

from graph.storage.database import Storage
from subscriptions.meter import Meter
from tests.subscriptions.test_follow import DeadBroker, FrailRows, given, site, until

RARELY: dict[str, Any] = {"poll_seconds": 600, "confirm_seconds": 600}  # nothing is looked at that nobody rang for


async def test_a_look_that_was_rung_for_is_no_poll(storage: Storage) -> None:
    meter = Meter()
    async with site(storage, meter=meter, **RARELY) as here, here.tail.follow(["a"], None) as follower:
        await here.rounds()
        rings, looks, polls, entries = meter.rings, meter.looks, meter.polls, meter.entries
        await here.tell("a", 1, 2)
        assert await given(follower, 2) == [1, 2]
        assert (meter.rings, meter.looks, meter.polls, meter.entries) == (rings + 1, looks + 1, polls, entries + 2)
        assert meter.behind_positions == 0


async def test_a_look_that_nobody_rang_for_is_a_poll(storage: Storage) -> None:
    meter = Meter()
    async with (
        site(storage, DeadBroker(), meter=meter, poll_seconds=0.02) as here,
        here.tail.follow(["a"], None) as follower,
    ):
        polls = meter.polls
        await here.tell("a", 1)
        assert await given(follower, 1) == [1]
        await until(lambda: meter.polls > polls)
        assert meter.rings == 0


async def test_what_a_look_leaves_for_the_next_is_how_far_it_is_behind(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subscriptions.follow.PAGE_ENTRIES", 2)
    meter, seen = Meter(), []
    async with site(storage, meter=meter, **RARELY) as here, here.tail.follow(["a"], None) as follower:
        await here.rounds()
        hand_over = here.tail._hand_over

        def handing_over(*given: Any) -> None:
            hand_over(*given)
            seen.append(meter.behind_positions)

        monkeypatch.setattr(here.tail, "_hand_over", handing_over)
        await here.tell("a", *range(5))
        assert await given(follower, 5) == [0, 1, 2, 3, 4]
    assert seen == [3, 1, 0]


async def test_a_log_that_cannot_be_read_grows_old_until_it_can(storage: Storage) -> None:
    rows = FrailRows(storage)
    async with site(storage, rows=rows, poll_seconds=0.02) as here:
        rows.away = True
        await until(lambda: here.tail.unread_seconds > 0.2)
        rows.away = False
        await until(lambda: here.tail.unread_seconds < 0.2)


async def test_a_follower_that_is_too_slow_is_counted_when_it_falls_behind(storage: Storage) -> None:
    meter = Meter()
    async with (
        site(storage, meter=meter, queue_entries=2) as here,
        here.tail.follow(["a"], None) as follower,
    ):
        for number in range(6):
            await here.tell("a", number)
            await here.rounds()
        assert meter.fallen_behind == 1
        assert await given(follower, 6) == [0, 1, 2, 3, 4, 5]
