"""Execute once, send to all: a frame is made for the first stream of a group that needs it, the others share it.

A frame shows rows as they were when it was made.  Whoever has been shown rows of a later moment gets a frame of
their own making: else a client could be told of a place beside a row that it was not told of, because that row was
gone by the time its turn came.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Hashable
from functools import partial

from subscriptions.cursor import Vector
from subscriptions.log import Entry
from subscriptions.meter import Meter
from subscriptions.stream import Frame, Stream

FRAMES_KEPT = 2_000  # of all groups: some seconds of a lively process, for those who come back after a cut


class Fanout:
    """The frames of one process."""

    def __init__(self, frames_kept: int = FRAMES_KEPT, *, meter: Meter | None = None) -> None:
        self._frames: OrderedDict[Hashable, asyncio.Task[Frame]] = OrderedDict()
        self._frames_kept = frames_kept
        self.meter = meter or Meter()

    async def frame(self, stream: Stream, entry: Entry, seen: Vector | None) -> Frame:
        """The frame of this event, no older than what the stream has seen."""
        self.meter.frames_asked += 1
        key = (stream.group, entry.topic, entry.position, entry.tag)
        while True:
            task = self._frames.get(key) or self._begin(key, stream, entry)
            frame = await asyncio.shield(task)
            if seen is None or is_as_new(frame.seen, seen):
                return frame
            self._forget(key, task)

    def _begin(self, key: Hashable, stream: Stream, entry: Entry) -> "asyncio.Task[Frame]":
        self.meter.frames_made += 1
        task = asyncio.create_task(self.made(stream, entry))
        task.add_done_callback(partial(self._forget_failed, key))
        self._frames[key] = task
        if len(self._frames) > self._frames_kept:
            self._frames.popitem(last=False)
        return task

    async def made(self, stream: Stream, entry: Entry) -> Frame:
        """Apart, for who wants to know how long it takes."""
        return await stream.frame(entry)

    def _forget_failed(self, key: Hashable, task: "asyncio.Task[Frame]") -> None:
        """Whoever waited is told; where nobody waits any more, nobody may find it later."""
        if task.cancelled() or task.exception() is not None:
            self._forget(key, task)

    def _forget(self, key: Hashable, task: "asyncio.Task[Frame]") -> None:
        if self._frames.get(key) is task:
            del self._frames[key]


def is_as_new(one: Vector, other: Vector) -> bool:
    """Whether `one` was read when everything in `other` was there; of another history: yes, nothing can be said."""
    if one.epoch != other.epoch:
        return True
    return all(
        one.places[topic].position >= place.position for topic, place in other.places.items() if topic in one.places
    )
