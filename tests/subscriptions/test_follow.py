"""Following: nothing lost, nothing twice, in order; and when that cannot be, the follower is told."""

import asyncio
import gc
import random
import weakref
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa

from graph.storage.database import Storage
from graph.storage.rows import Done
from subscriptions import follow, log
from subscriptions.broker import Broker, Heard
from subscriptions.brokers.memory import MemoryBroker
from subscriptions.brokers.postgres import PostgresBroker
from subscriptions.brokers.sqlite import SqliteBroker
from subscriptions.cursor import BEGINNING, Expired, Lost, Place, Vector
from subscriptions.follow import Follower, Stopped, Tail
from subscriptions.log import Entry, Row, Rows

T = TypeVar("T")
SOON = 5.0  # seconds: long before that, or the test fails


class DeadBroker(MemoryBroker):
    """A doorbell without a wire."""

    def listen(self, heard: Heard) -> Callable[[], None]:
        return lambda: None


class FrailRows:
    """Rows of a database that can be made to go away, or to wait."""

    def __init__(self, storage: Storage) -> None:
        self.engine = storage.engine
        self._storage = storage
        self.away = False
        self.reads = 0
        self.passing = asyncio.Event()
        self.passing.set()

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        self.reads += 1
        if self.away:
            raise ConnectionError("the database is away")
        rows = await self._storage.rows(statement)
        await self.passing.wait()
        return rows


async def ignore_access(_: Sequence[Entry] | None) -> None:
    pass


async def done(storage: Storage, work: Callable[[Rows], Coroutine[Any, Any, T]]) -> T:
    [outcome] = await storage.write([work])
    assert isinstance(outcome, Done), outcome
    value: T = outcome.value
    return value


@dataclass
class Site:
    """One process: its storage, its doorbell and its tail."""

    storage: Storage
    broker: Broker
    tail: Tail

    async def tell(self, topic: str, *numbers: int) -> None:
        async def work(rows: Rows) -> None:
            for number in numbers:
                await log.append(rows, topic, "said", {"number": number}, at=0)

        await done(self.storage, work)
        self.broker.ring({topic})

    async def standing(self, *topics: str) -> Vector:
        return await log.standing(self.storage, topics)

    async def trim(self, keep_events: int) -> None:
        await done(self.storage, lambda rows: log.trim(rows, keep_events=keep_events, keep_after=0))

    async def rounds(self, count: int = 2) -> None:
        """Until the tail has surely read everything that was told before."""
        for _ in range(count):
            await self.tail.next_round()


@asynccontextmanager
async def site(
    storage: Storage,
    broker: Broker | None = None,
    on_access: follow.OnAccess = ignore_access,
    rows: Rows | None = None,
    **limits: Any,
) -> AsyncIterator[Site]:
    broker = broker or MemoryBroker()
    await broker.start()
    async with Tail(rows or storage, broker, on_access, **limits) as tail:
        yield Site(storage, broker, tail)
    await broker.stop()


@pytest.fixture
async def here(storage: Storage) -> AsyncIterator[Site]:
    async with site(storage) as here:
        yield here


async def given(follower: Follower, count: int, within: float = SOON) -> list[int]:
    """The numbers of the next `count` entries."""
    numbers: list[int] = []
    async with asyncio.timeout(within):
        while len(numbers) < count:
            numbers += [entry.data["number"] for entry in await follower.next()]
    return numbers


async def until(true: Callable[[], bool], within: float = SOON) -> None:
    async with asyncio.timeout(within):
        while not true():  # noqa: ASYNC110  what becomes true has no event of its own
            await asyncio.sleep(0.005)


async def gives_nothing(follower: Follower) -> bool:
    """For as long as a machine needs that has something to give; cancelling `next` loses nothing."""
    try:
        async with asyncio.timeout(0.1):
            await follower.next()
    except TimeoutError:
        return True
    return False


async def reason_of(waiting: Coroutine[Any, Any, object]) -> Lost:
    with pytest.raises(Expired) as expired:
        async with asyncio.timeout(SOON):
            await waiting
    return expired.value.reason


# Joining


async def test_what_is_told_after_joining_is_given_in_order(here: Site) -> None:
    async with here.tail.follow(["post:1"], None) as follower:
        for number in range(5):
            await here.tell("post:1", number)
        assert await given(follower, 5) == [0, 1, 2, 3, 4]


async def test_without_a_cursor_a_follower_starts_at_the_present(here: Site) -> None:
    await here.tell("post:1", 1, 2)
    async with here.tail.follow(["post:1", "post:2"], None) as follower:
        assert follower.vector == await here.standing("post:1", "post:2")
        await here.tell("post:1", 3)
        assert await given(follower, 1) == [3]


async def test_what_was_told_since_the_cursor_is_given_first(here: Site) -> None:
    await here.tell("post:1", 1)
    cursor = await here.standing("post:1")
    await here.tell("post:1", 2, 3)
    async with here.tail.follow(["post:1"], cursor) as follower:
        assert follower.vector == cursor
        await here.tell("post:1", 4)
        assert await given(follower, 3) == [2, 3, 4]


async def test_a_stream_over_several_topics_gives_each_in_its_order(here: Site) -> None:
    cursor = await here.standing("post:1", "post:2", "post:3")
    await here.tell("post:1", 1, 2)
    await here.tell("post:2", 11, 12)
    async with here.tail.follow(["post:1", "post:2", "post:3"], cursor) as follower:
        await here.tell("post:3", 21)
        await here.tell("post:1", 3)
        numbers = await given(follower, 6)
    for first, topic in ((0, [1, 2, 3]), (10, [11, 12]), (20, [21])):
        assert [number for number in numbers if first < number < first + 10] == topic


async def test_long_histories_come_in_pages(here: Site) -> None:
    cursor = await here.standing("post:1")
    for start in range(0, 1000, 100):
        await here.tell("post:1", *range(start, start + 100))
    async with here.tail.follow(["post:1"], cursor) as follower:
        assert len(await follower.next()) <= here.tail.queue_entries
        assert (await given(follower, 744))[-1] == 999


async def test_a_follower_continues_exactly_from_where_another_stood(here: Site) -> None:
    cursor = await here.standing("post:1")
    await here.tell("post:1", *range(10))
    async with here.tail.follow(["post:1"], cursor) as follower:
        [*entries] = await follower.next()
    halfway = cursor.past_all(entries[:4])
    async with here.tail.follow(["post:1"], halfway) as follower:
        assert await given(follower, 6) == [4, 5, 6, 7, 8, 9]
        assert follower.vector == await here.standing("post:1")


async def test_a_cursor_ahead_of_this_process_waits_for_it(two_storages: tuple[Storage, Storage]) -> None:
    async with (
        site(two_storages[0], poll_seconds=60) as here,
        site(two_storages[1]) as there,
        here.tail.follow(["post:1"], None) as early,
    ):
        await here.rounds()
        await there.tell("post:1", 1, 2)  # here nobody rings
        cursor = await there.standing("post:1")
        async with here.tail.follow(["post:1"], cursor) as late:
            await there.tell("post:1", 3)
            here.broker.ring({"post:1"})
            assert await given(late, 1) == [3]
            assert await given(early, 3) == [1, 2, 3]


async def test_a_cursor_ahead_of_the_database_is_of_another_history(here: Site) -> None:
    await here.tell("post:1", 1)
    now = await here.standing("post:1")
    ahead = Vector(now.epoch, {"post:1": Place(2, 7)})
    assert await reason_of(here.tail.follow(["post:1"], ahead).join()) == Lost.EPOCH


async def test_a_cursor_of_another_history_is_told_by_its_epoch_or_its_tag(here: Site) -> None:
    await here.tell("post:1", 1)
    now = await here.standing("post:1")
    for other in (Vector("other", now.places), Vector(now.epoch, {"post:1": Place(1, 7)})):
        assert await reason_of(here.tail.follow(["post:1"], other).join()) == Lost.EPOCH


async def test_a_cursor_at_the_floor_continues_and_one_below_is_told(here: Site) -> None:
    below = await here.standing("post:1")
    await here.tell("post:1", 1, 2)
    at = await here.standing("post:1")
    await here.tell("post:1", 3, 4)
    await here.trim(keep_events=2)
    async with here.tail.follow(["post:1"], at) as follower:
        assert await given(follower, 2) == [3, 4]
    assert await reason_of(here.tail.follow(["post:1"], below).join()) == Lost.RETENTION


async def test_the_access_topic_is_not_for_followers(here: Site) -> None:
    with pytest.raises(ValueError, match="for the tail alone"):
        here.tail.follow(["access"], None)


async def test_a_follower_has_1_to_32_topics(here: Site) -> None:
    with pytest.raises(ValueError, match="not 33"):
        here.tail.follow([f"post:{number}" for number in range(33)], None)
    with pytest.raises(ValueError, match="not 0"):
        here.tail.follow([], None)


# Slow and broken ones


async def test_a_slow_follower_keeps_little_waiting_and_loses_nothing(storage: Storage) -> None:
    async with site(storage, queue_entries=10) as here, here.tail.follow(["post:1"], None) as follower:
        for number in range(100):
            await here.tell("post:1", number)
        await here.rounds()
        assert len(follower._queue) <= 10
        assert await given(follower, 100) == list(range(100))
        await here.tell("post:1", 100)
        assert await given(follower, 1) == [100]


async def test_a_slow_follower_does_not_hold_up_the_others(storage: Storage) -> None:
    async with (
        site(storage, queue_entries=5) as here,
        here.tail.follow(["post:1"], None),
        here.tail.follow(["post:1"], None) as quick,
    ):
        for number in range(50):
            await here.tell("post:1", number)
            assert await given(quick, 1) == [number]


async def test_a_follower_that_falls_behind_retention_is_told(storage: Storage) -> None:
    async with site(storage, queue_entries=5) as here, here.tail.follow(["post:1"], None) as follower:
        await here.tell("post:1", *range(20))
        await here.rounds()
        await here.trim(keep_events=5)
        assert await reason_of(follower.next()) == Lost.RETENTION
        assert follower.vector.places == {"post:1": BEGINNING}


async def test_when_the_tail_itself_falls_behind_retention_each_follower_is_told_what_is_true_of_it(
    two_storages: tuple[Storage, Storage],
) -> None:
    async with (
        site(two_storages[0], poll_seconds=60) as here,
        site(two_storages[1]) as there,
        here.tail.follow(["post:1"], None) as behind,
    ):
        await here.rounds()
        await there.tell("post:1", *range(20))
        await there.trim(keep_events=5)
        cursor = await there.standing("post:1")
        async with here.tail.follow(["post:1"], cursor) as ahead:
            await there.tell("post:1", 20)
            here.broker.ring({"post:1"})
            assert await given(ahead, 1) == [20]
            assert await reason_of(behind.next()) == Lost.RETENTION


async def test_with_a_dead_doorbell_news_is_late_and_not_lost(storage: Storage) -> None:
    async with (
        site(storage, DeadBroker(), poll_seconds=0.05) as here,
        here.tail.follow(["post:1"], None) as follower,
    ):
        await here.tell("post:1", 1, 2)
        assert await given(follower, 2) == [1, 2]


async def test_a_ring_is_enough(storage: Storage) -> None:
    async with (
        site(storage, poll_seconds=60, confirm_seconds=60) as here,
        here.tail.follow(["post:1"], None) as follower,
    ):
        for number in range(20):
            await here.tell("post:1", number)
            assert await given(follower, 1) == [number]


async def test_what_is_told_while_a_follower_joins_needs_no_second_ring(storage: Storage) -> None:
    class Joining(FrailRows):
        async def rows(self, statement: sa.Executable) -> Sequence[Row]:
            rows = await super().rows(statement)
            await self.then()
            return rows

        async def then(self) -> None:
            pass

    rows = Joining(storage)
    async with site(storage, rows=rows, poll_seconds=60, confirm_seconds=60) as here:

        async def tell_once() -> None:
            rows.then = nothing  # type: ignore[method-assign]  # the fault that is played
            await here.tell("post:1", 1)

        async def nothing() -> None:
            pass

        for after in (None, await here.standing("post:1")):
            rows.then = tell_once  # type: ignore[method-assign]  # the fault that is played
            async with here.tail.follow(["post:1"], after) as follower:
                assert await given(follower, 1) == [1]


async def test_many_events_at_once_need_one_ring(storage: Storage) -> None:
    async with (
        site(storage, poll_seconds=60, confirm_seconds=60) as here,
        here.tail.follow(["post:1"], None) as follower,
    ):
        await here.rounds()
        await here.tell("post:1", *range(250))
        assert await given(follower, 250) == list(range(250))


async def test_while_the_database_is_away_followers_wait_and_then_go_on(storage: Storage) -> None:
    rows = FrailRows(storage)
    async with (
        site(storage, rows=rows, poll_seconds=60) as here,
        here.tail.follow(["post:1"], None) as follower,
    ):
        await here.tell("post:1", 1)
        assert await given(follower, 1) == [1]
        cursor = follower.vector
        rows.away = True
        await here.tell("post:1", 2)
        joining = asyncio.create_task(here.tail.follow(["post:1"], cursor).join())
        assert await gives_nothing(follower)
        rows.away = False
        assert await given(follower, 1) == [2]
        await joining


async def test_a_failure_of_the_reader_itself_is_not_waited_out_for_ever(storage: Storage) -> None:
    class Broken(FrailRows):
        async def rows(self, statement: sa.Executable) -> Sequence[Row]:
            if isinstance(statement, sa.TextClause) and "post:1" in str(statement.compile().params):
                raise LookupError("a defect")
            return await super().rows(statement)

    async with site(storage, rows=Broken(storage)) as here:
        cursor = await here.standing("post:1")
        with pytest.raises(LookupError):
            await here.tail.follow(["post:1"], cursor).join()


async def test_nothing_is_given_that_was_not_confirmed_a_moment_ago(storage: Storage) -> None:
    rows = FrailRows(storage)
    async with (
        site(storage, rows=rows, poll_seconds=0.05, confirm_seconds=0.2) as here,
        here.tail.follow(["post:1"], None) as follower,
    ):
        await here.tell("post:1", 1)
        await here.rounds()
        rows.away = True
        await until(lambda: not here.tail.confirmed)
        assert await gives_nothing(follower)  # although it waits in the queue
        rows.away = False
        assert await given(follower, 1) == [1]
        assert here.tail.confirmed


# Revocation has an order


class Gate:
    """Applies access events when it is opened."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.applied: list[int] = []
        self.unknown = 0

    async def __call__(self, entries: Sequence[Entry] | None) -> None:
        await self.open.wait()
        if entries is None:
            self.unknown += 1
        else:
            self.applied += [entry.data["number"] for entry in entries]


async def test_nothing_committed_after_a_revocation_is_given_before_it_is_applied(storage: Storage) -> None:
    gate = Gate()
    async with site(storage, on_access=gate) as here, here.tail.follow(["post:1"], None) as follower:
        await here.tell("access", 7)
        await here.tell("post:1", 1)
        assert await gives_nothing(follower)
        gate.open.set()
        assert await given(follower, 1) == [1]
        assert gate.applied == [7]


async def test_nor_is_it_replayed_before(two_storages: tuple[Storage, Storage]) -> None:
    gate = Gate()
    async with site(two_storages[0], on_access=gate, poll_seconds=60, confirm_seconds=60) as here:
        cursor = await here.standing("post:1")
        async with site(two_storages[1]) as there:  # here nobody rings
            await there.tell("access", 7)
            await there.tell("post:1", 1)
        follower = here.tail.follow(["post:1"], cursor)
        joining = asyncio.create_task(follower.join())
        done, _ = await asyncio.wait([joining], timeout=0.1)
        assert not done
        gate.open.set()
        await joining
        assert gate.applied == [7]
        assert await given(follower, 1) == [1]
        follower.leave()


async def test_access_events_are_applied_in_order_however_many(storage: Storage) -> None:
    gate = Gate()
    gate.open.set()
    async with site(storage, on_access=gate) as here:
        await here.tell("access", *range(350))
        await here.rounds()
    assert gate.applied == list(range(350))


async def test_access_events_are_applied_when_nobody_follows_anything(storage: Storage) -> None:
    gate = Gate()
    gate.open.set()
    async with site(storage, DeadBroker(), on_access=gate, poll_seconds=0.02) as here:
        await here.tell("access", 1)
        await until(lambda: gate.applied == [1])


async def test_an_access_event_that_cannot_be_applied_holds_everything_up(storage: Storage) -> None:
    failing = True
    applied = []

    async def on_access(entries: Sequence[Entry] | None) -> None:
        if failing:
            raise LookupError("a defect")
        applied.append(entries)

    async with (
        site(storage, on_access=on_access, poll_seconds=0.05) as here,
        here.tail.follow(["post:1"], None) as follower,
    ):
        await here.tell("access", 7)
        await here.tell("post:1", 1)
        assert await gives_nothing(follower)
        failing = False
        assert await given(follower, 1) == [1]
        assert len(applied) == 1


async def test_access_events_that_are_no_longer_known_make_everything_be_looked_at_anew(
    two_storages: tuple[Storage, Storage],
) -> None:
    gate = Gate()
    async with (
        site(two_storages[0], on_access=gate, poll_seconds=60, confirm_seconds=60) as here,
        here.tail.follow(["post:1"], None) as follower,
        site(two_storages[1]) as there,
    ):
        await here.rounds()
        await there.tell("access", *range(10))
        await there.trim(keep_events=1)
        await here.tell("post:1", 1)
        assert await gives_nothing(follower)
        gate.open.set()
        assert await given(follower, 1) == [1]
        assert (gate.unknown, gate.applied) == (1, [])


async def test_a_database_restored_under_a_running_process_is_noticed(storage: Storage) -> None:
    gate = Gate()
    gate.open.set()
    async with site(storage, on_access=gate, poll_seconds=0.05) as here:
        async with here.tail.follow(["post:1"], None) as follower:
            await here.tell("post:1", 1)
            assert await given(follower, 1) == [1]
            await done(storage, log.new_epoch)
            assert await reason_of(follower.next()) == Lost.EPOCH
            assert gate.unknown == 1
        async with here.tail.follow(["post:1"], None) as follower:
            await here.tell("post:1", 2)
            assert await given(follower, 1) == [2]


async def test_a_database_that_fell_back_under_a_running_process_is_noticed(storage: Storage) -> None:
    async with site(storage, poll_seconds=0.05) as here, here.tail.follow(["post:1"], None) as follower:
        await here.tell("post:1", 1, 2, 3)
        assert await given(follower, 3) == [1, 2, 3]
        first = (await log.page_after(storage, "post:1", BEGINNING, 1)).reached
        await storage.rows(sa.delete(log.events).where(log.events.c.position > 1))
        await storage.rows(sa.update(log.topics).values(head=1, head_tag=first.tag))
        await here.tell("post:1", 12, 13)
        assert await reason_of(follower.next()) == Lost.EPOCH
        async with here.tail.follow(["post:1"], Vector(follower.vector.epoch, {"post:1": first})) as other:
            assert await given(other, 2) == [12, 13]


# Leaving


async def test_leaving_leaves_nothing_behind(storage: Storage) -> None:
    class Counting(MemoryBroker):
        def count(self) -> int:
            return len(self._listeners)

    broker = Counting()
    async with site(storage, broker) as here:
        tasks = len(asyncio.all_tasks())
        followers = [here.tail.follow([f"post:{number}", "post:0"], None) for number in range(1, 20)]
        for follower in followers:
            await follower.join()
        await here.tell("post:0", 1)
        await here.rounds()
        assert broker.count() == 1
        # A read of the tail may be under way, and the driver has tasks of its own: never one for each follower.
        assert len(asyncio.all_tasks()) < tasks + len(followers)
        for follower in followers:
            follower.leave()
        assert broker.count() == 0
        assert (here.tail._marks, here.tail._followers, here.tail._recent) == ({}, {}, {})
        gone = [weakref.ref(follower) for follower in followers]
        followers.clear()
        del follower
        gc.collect()
        assert [reference() for reference in gone] == [None] * len(gone)


async def test_who_waits_is_told_when_made_to_leave_or_when_the_tail_is_stopped(storage: Storage) -> None:
    async with site(storage) as here:
        followers = [here.tail.follow(["post:1"], None) for _ in range(3)]
        for follower in followers:
            await follower.join()
        waiting = [asyncio.create_task(follower.next()) for follower in followers]
        await here.rounds()
        followers[0].leave()
        with pytest.raises(Stopped):
            await waiting[0]
        assert not waiting[1].done()
    for task in waiting[1:]:
        with pytest.raises(Stopped):
            await task


async def test_a_tail_whose_database_is_away_says_so_at_its_start(storage: Storage) -> None:
    rows = FrailRows(storage)
    rows.away = True
    with pytest.raises(ConnectionError):
        await Tail(rows, MemoryBroker(), ignore_access).start()


# Costs


async def test_an_event_costs_one_read_however_many_follow(storage: Storage) -> None:
    rows = FrailRows(storage)
    async with site(storage, rows=rows, poll_seconds=60, confirm_seconds=60) as here, AsyncExitStack() as stack:
        followers = [await stack.enter_async_context(here.tail.follow(["post:1"], None)) for _ in range(50)]
        await here.rounds()
        before = rows.reads
        for number in range(10):
            await here.tell("post:1", number)
            for follower in followers:
                assert await given(follower, 1) == [number]
        assert rows.reads - before == 10


async def test_who_comes_back_after_a_short_cut_costs_no_read(storage: Storage) -> None:
    rows = FrailRows(storage)
    async with site(storage, rows=rows, poll_seconds=60, confirm_seconds=60) as here, AsyncExitStack() as stack:
        stayed = await stack.enter_async_context(here.tail.follow(["post:1", "post:2"], None))
        await here.tell("post:1", 1, 2, 3)
        vectors = [stayed.vector]
        for entry in await stayed.next():
            vectors.append(vectors[-1].past(entry))
        await here.rounds()
        before = rows.reads
        # What came before the first entry that is remembered cannot be told from another history.
        for missed, vector in enumerate(vectors[:0:-1]):
            back = await stack.enter_async_context(here.tail.follow(["post:1", "post:2"], vector))
            assert await given(back, missed) == [1, 2, 3][3 - missed :]
            assert back.vector == stayed.vector
        assert rows.reads == before
        await here.tell("post:1", 4)
        assert await given(back, 1) == [4]


async def test_what_is_remembered_of_another_history_is_not_taken_for_this_one(here: Site) -> None:
    async with here.tail.follow(["post:1"], None):
        await here.tell("post:1", 1, 2)
        await here.rounds()
        now = await here.standing("post:1")
        for places in ({"post:1": Place(2, 7)}, {"post:1": Place(1, 7)}):
            assert await reason_of(here.tail.follow(["post:1"], Vector(now.epoch, places)).join()) == Lost.EPOCH
        assert await reason_of(here.tail.follow(["post:1"], Vector("other", now.places)).join()) == Lost.EPOCH


async def test_a_doorbell_that_names_no_topic_does_not_make_the_tail_read_all_the_time(storage: Storage) -> None:
    class Slow(FrailRows):
        async def rows(self, statement: sa.Executable) -> Sequence[Row]:
            rows = await super().rows(statement)
            await asyncio.sleep(0.01)
            return rows

    rows, broker = Slow(storage), MemoryBroker()
    async with (
        site(storage, broker, rows=rows, poll_seconds=60, confirm_seconds=60) as here,
        here.tail.follow(["post:1"], None),
    ):
        await here.rounds()
        before = rows.reads
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                while True:
                    broker.ring(None)
                    await asyncio.sleep(0.001)
        assert 1 <= rows.reads - before <= 12


# All at once


@dataclass
class Witness:
    """What one consumer was given, between a joining and a leaving or an expiry."""

    start: Vector
    given: list[Entry] = field(default_factory=list)


def faults(witness: Witness, told: dict[str, list[int]]) -> list[str]:
    """Where what was given is not exactly what was told after the start, position by position."""
    found = []
    reached = {topic: place.position for topic, place in witness.start.places.items()}
    for entry in witness.given:
        expected = reached[entry.topic] + 1
        if entry.position != expected:
            found.append(f"{entry.topic}: {entry.position} instead of {expected}")
        elif told[entry.topic][entry.position - 1] != entry.data["number"]:
            found.append(f"{entry.topic}: another event at {entry.position}")
        reached[entry.topic] = entry.position
    return found


@pytest.mark.parametrize("fault", ["none", "drop", "duplicate", "swap", "forge"])
def test_the_checker_sees_planted_faults(fault: str) -> None:
    entries = [Entry("a", position, 1, "said", {"number": 10 * position}, 0) for position in range(3, 9)]
    told = {"a": [10 * position for position in range(1, 10)]}
    if fault == "drop":
        del entries[2]
    elif fault == "duplicate":
        entries.insert(2, entries[1])
    elif fault == "swap":
        entries[1], entries[2] = entries[2], entries[1]
    elif fault == "forge":
        entries[1] = Entry("a", 4, 1, "said", {"number": 41}, 0)
    found = faults(Witness(Vector("e", {"a": Place(2, 1)}), entries), told)
    assert bool(found) == (fault != "none")


class Storm:
    """Many writers and followers on two processes' worth of one database, for a while."""

    topics = ("post:1", "post:2", "post:3")

    def __init__(self, sites: Sequence[Site], readers: Sequence[FrailRows], *, events: int, keep_events: int) -> None:
        self.sites = sites
        self.readers = readers
        self.events = events  # of each writer: a busy machine takes longer and does as much
        self.keep_events = keep_events
        self.told: dict[str, dict[int, int]] = {topic: {} for topic in self.topics}
        self.witnesses: list[Witness] = []
        self.false_alarms: list[str] = []
        self.expired = 0
        self.writing = True
        self.random = random.Random(7)

    async def run(self) -> None:
        writers = [asyncio.create_task(self.write(number)) for number in range(4)]
        others = [asyncio.create_task(self.trim()), asyncio.create_task(self.go_away())]
        consumers = [asyncio.create_task(self.consume(number)) for number in range(24)]
        await asyncio.gather(*writers)
        self.writing = False
        await asyncio.gather(*others)
        heads = await self.sites[0].standing(*self.topics)
        self.heads = {topic: place.position for topic, place in heads.places.items()}
        async with asyncio.timeout(20):
            await asyncio.gather(*consumers)

    async def write(self, writer: int) -> None:
        for number in range(self.events):
            site = self.random.choice(self.sites)
            topics = sorted(self.random.sample(self.topics, self.random.choice((1, 1, 2))))
            mine = 4 * number + writer

            async def work(rows: Rows) -> list[int]:
                return [await log.append(rows, topic, "said", {"number": mine}, at=0) for topic in topics]  # noqa: B023  run before the loop goes on

            for topic, position in zip(topics, await done(site.storage, work), strict=True):
                self.told[topic][position] = mine
            if self.random.random() < 0.8:  # sometimes the bell is not heard
                site.broker.ring(topics)
            await asyncio.sleep(self.random.random() * 0.004)

    async def trim(self) -> None:
        while self.writing:
            await asyncio.sleep(0.05)
            await self.sites[0].trim(self.keep_events)

    async def go_away(self) -> None:
        """The database does, now and then, for those who read it."""
        while self.writing:
            for rows in self.readers:
                rows.away = self.random.random() < 0.3
            await asyncio.sleep(0.05)
        for rows in self.readers:
            rows.away = False

    async def consume(self, number: int) -> None:
        """Joins and leaves, is slow or quick, is cut, goes away for a while; goes on from where it stood."""
        topics = self.random.sample(self.topics, self.random.choice((1, 2, 3)))
        vector = Vector((await self.sites[0].standing()).epoch, dict.fromkeys(topics, BEGINNING))
        witness = self.witness(vector)
        while not self.at_end(vector):
            site = self.random.choice(self.sites)
            try:
                async with site.tail.follow(topics, vector) as follower:
                    vector = await self.stay(follower, witness, slow=number % 4 == 0)
            except Expired as expired:
                await self.judge(expired, vector := self.left_at(witness))
                vector = await site.standing(*topics)
                witness = self.witness(vector)
            if self.random.random() < 0.1:
                await self.be_away(vector)

    async def stay(self, follower: Follower, witness: Witness, *, slow: bool) -> Vector:
        loop = asyncio.get_running_loop()
        end = loop.time() + self.random.random() * 0.5
        with suppress(TimeoutError):
            async with asyncio.timeout_at(end):
                while not self.at_end(follower.vector):
                    # Nothing is awaited between being given and witnessing it.
                    witness.given += await follower.next()
                    if slow:
                        await asyncio.sleep(0.02)
        return follower.vector

    async def be_away(self, vector: Vector) -> None:
        """Until twice as much was told as is kept, or nothing more is."""
        end = {topic: place.position + 2 * self.keep_events for topic, place in vector.places.items()}
        await until(lambda: not self.writing or any(len(self.told[topic]) >= end[topic] for topic in end), within=30)

    def witness(self, start: Vector) -> Witness:
        self.witnesses.append(Witness(start))
        return self.witnesses[-1]

    def left_at(self, witness: Witness) -> Vector:
        return witness.start.past_all(witness.given)

    def at_end(self, vector: Vector) -> bool:
        return (
            not self.writing
            and hasattr(self, "heads")
            and all(place.position == self.heads[topic] for topic, place in vector.places.items())
        )

    async def judge(self, expired: Expired, vector: Vector) -> None:
        """Was it true that the follower's place was no longer kept?"""
        self.expired += 1
        rows = await self.sites[0].storage.rows(sa.select(log.topics.c.name, log.topics.c.floor))
        floors: dict[str, int] = dict(rows)
        topic = expired.topic
        if expired.reason != Lost.RETENTION or topic is None or floors[topic] <= vector.places[topic].position:
            self.false_alarms.append(f"{expired} at {vector} with {floors}")

    def faults(self) -> list[str]:
        told = {topic: [number for _, number in sorted(told.items())] for topic, told in self.told.items()}
        return self.false_alarms + [fault for witness in self.witnesses for fault in faults(witness, told)]


async def in_a_storm(storages: Collection[Storage], *, keep_events: int) -> Storm:
    readers = [FrailRows(storage) for storage in storages]
    async with AsyncExitStack() as stack:
        sites = [
            await stack.enter_async_context(
                site(storage, broker_of(storage), rows=rows, poll_seconds=0.2, queue_entries=20)
            )
            for storage, rows in zip(storages, readers, strict=True)
        ]
        storm = Storm(sites, readers, events=120, keep_events=keep_events)
        await storm.run()
        for each in sites:
            assert (each.tail._marks, each.tail._followers) == ({}, {})
    return storm


def broker_of(storage: Storage) -> Broker:
    if storage.engine == "postgresql":
        return PostgresBroker(storage.url)
    return SqliteBroker(storage.url.removeprefix("sqlite:///"))


@pytest.mark.parametrize("keep_events", [10_000, 30])
async def test_in_a_storm_nothing_is_lost_doubled_or_out_of_order_and_what_expired_is_told_exactly(
    two_storages: tuple[Storage, Storage], keep_events: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "RECENT_ENTRIES", 5)  # so that many must read
    storm = await in_a_storm(two_storages, keep_events=keep_events)
    assert storm.faults() == []
    assert sum(len(witness.given) for witness in storm.witnesses) > 1000
    assert bool(storm.expired) == (keep_events == 30)
