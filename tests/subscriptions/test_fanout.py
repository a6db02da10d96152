"""Execute once, send to all: who shares a frame, who gets a newer one, and what becomes of one that fails."""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from subscriptions.cursor import Lost, Place, Vector
from subscriptions.fanout import Fanout, is_as_new
from subscriptions.log import Entry
from subscriptions.stream import Frame, Opening


def at(position: int, epoch: str = "e") -> Vector:
    return Vector(epoch, {"post:1": Place(position, position)})


def entry(position: int, topic: str = "post:1", tag: int = 7) -> Entry:
    return Entry(topic, position, tag, "comment_added", {}, 0)


@dataclass
class Stage:
    """The rows that streams show, and how often they were read."""

    position: int = 10
    made: int = 0
    failure: Exception | None = None
    passing: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    making: "asyncio.Task[Any] | None" = None

    def __post_init__(self) -> None:
        self.passing.set()


class Shown:
    """A stream that shows where its stage stands."""

    topics: Sequence[str] = ("post:1",)

    def __init__(self, stage: Stage, group: str = "all") -> None:
        self._stage = stage
        self.group = group

    async def open(self) -> Opening:
        raise NotImplementedError

    async def lost(self, reason: Lost) -> Opening:
        raise NotImplementedError

    async def heartbeat(self, vector: Vector) -> bytes | None:
        raise NotImplementedError

    async def frame(self, entry: Entry) -> Frame:
        stage = self._stage
        stage.made += 1
        seen = at(stage.position)
        stage.making = asyncio.current_task()
        stage.begun.set()
        await stage.passing.wait()
        if stage.failure is not None:
            raise stage.failure
        return Frame(f"{self.group} {entry.position} as of {stage.position}".encode(), seen)


@pytest.fixture
def stage() -> Stage:
    return Stage()


async def test_those_who_see_the_same_are_given_the_same_bytes(stage: Stage) -> None:
    fanout = Fanout()
    frames = await asyncio.gather(*(fanout.frame(Shown(stage), entry(5), None) for _ in range(100)))
    assert len({id(frame.payload) for frame in frames}) == 1
    assert (stage.made, fanout.meter.frames_made) == (1, 1)


async def test_who_comes_later_is_given_the_frame_that_was_kept(stage: Stage) -> None:
    fanout = Fanout()
    first = await fanout.frame(Shown(stage), entry(5), None)
    assert await fanout.frame(Shown(stage), entry(5), at(10)) is first
    assert stage.made == 1


async def test_others_and_other_events_have_frames_of_their_own(stage: Stage) -> None:
    fanout = Fanout()
    asked = [
        ("all", entry(5)),
        ("own", entry(5)),
        ("all", entry(6)),
        ("all", entry(5, tag=8)),
        ("all", entry(5, "post:2")),
    ]
    frames = [await fanout.frame(Shown(stage, group), event, None) for group, event in asked]
    assert len({id(frame) for frame in frames}) == stage.made == 5


async def test_nobody_is_shown_rows_of_an_earlier_moment_than_before(stage: Stage) -> None:
    fanout = Fanout()
    early = await fanout.frame(Shown(stage), entry(5), None)
    stage.position = 12
    late = await fanout.frame(Shown(stage), entry(5), at(12))
    assert (early.seen, late.seen) == (at(10), at(12))
    assert await fanout.frame(Shown(stage), entry(5), at(11)) is late
    assert await fanout.frame(Shown(stage), entry(5), None) is late
    assert stage.made == 2


async def test_what_is_seen_never_goes_back_however_frames_and_moments_mix(stage: Stage) -> None:
    fanout = Fanout(frames_kept=3)
    ahead: Vector | None = None
    for position in range(1, 30):
        stage.position = max(stage.position, position + position % 3)
        behind = await fanout.frame(Shown(stage), entry(position), None)
        before = ahead
        ahead = (await fanout.frame(Shown(stage), entry(position), ahead)).seen
        assert before is None or is_as_new(ahead, before)
        assert is_as_new(ahead, behind.seen)


async def test_a_frame_of_another_history_is_as_good_as_any(stage: Stage) -> None:
    fanout = Fanout()
    frame = await fanout.frame(Shown(stage), entry(5), at(99, "another"))
    assert frame.seen == at(10)
    assert stage.made == 1


def test_topics_that_only_one_has_seen_say_nothing() -> None:
    both = Vector("e", {"a": Place(1, 1), "b": Place(5, 5)})
    assert is_as_new(Vector("e", {"a": Place(1, 1)}), both)
    assert not is_as_new(Vector("e", {"a": Place(0, 0), "c": Place(9, 9)}), both)
    assert not is_as_new(Vector("e", {"a": Place(2, 2), "b": Place(4, 4)}), both)


async def test_a_failure_is_told_to_all_who_wait_and_is_not_kept(stage: Stage) -> None:
    fanout = Fanout()
    stage.failure = ZeroDivisionError()
    outcomes: list[Any] = await asyncio.gather(
        *(fanout.frame(Shown(stage), entry(5), None) for _ in range(3)), return_exceptions=True
    )
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError] * 3
    assert stage.made == 1
    stage.failure = None
    assert (await fanout.frame(Shown(stage), entry(5), None)).payload == b"all 5 as of 10"
    assert stage.made == 2


async def test_who_leaves_takes_the_frame_from_nobody(stage: Stage) -> None:
    fanout = Fanout()
    stage.passing.clear()
    leaving, staying = [asyncio.create_task(fanout.frame(Shown(stage), entry(5), None)) for _ in range(2)]
    await stage.begun.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    stage.passing.set()
    assert (await staying).payload == b"all 5 as of 10"
    assert stage.made == 1


async def test_a_failure_that_nobody_waited_for_is_not_kept_either(stage: Stage) -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    fanout = Fanout()
    stage.passing.clear()
    stage.failure = ZeroDivisionError()
    leaving = asyncio.create_task(fanout.frame(Shown(stage), entry(5), None))
    await stage.begun.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    assert stage.making is not None
    stage.passing.set()
    await asyncio.wait([stage.making])

    stage.failure = stage.making = None
    assert (await fanout.frame(Shown(stage), entry(5), None)).payload == b"all 5 as of 10"
    del leaving
    gc.collect()
    assert complaints == []


async def test_only_so_many_frames_are_kept(stage: Stage) -> None:
    fanout = Fanout(frames_kept=2)
    for position in (1, 2, 3):
        await fanout.frame(Shown(stage), entry(position), None)
    for position in (3, 2):
        await fanout.frame(Shown(stage), entry(position), None)
    assert stage.made == 3
    await fanout.frame(Shown(stage), entry(1), None)
    assert stage.made == 4
