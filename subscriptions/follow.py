"""Following topics of the log: everything after a place, then everything new, once and in order, or told it is lost.

One reader per process, the `Tail`, reads what is new in all followed topics and hands it to their followers.  A
`Follower` first reads from the log what it has missed, up to where the tail is, and then lives on what the tail
hands it.  Whatever goes wrong there has one remedy: read from the log again, from where the consumer really is.

What may be sent to whom is told in a topic of its own, the access topic.  Every read carries that topic's head of
the same moment, and nothing from it is handed over before the access events up to that head have been applied.  So
nothing that was committed after a revocation reaches whom it excludes.
"""

import asyncio
import logging
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TypeVar

from subscriptions import log
from subscriptions.broker import Broker
from subscriptions.cursor import MAX_TOPICS, Expired, Lost, Place, Vector
from subscriptions.log import Entry, Page, Pages, Rows
from subscriptions.meter import Meter

T = TypeVar("T")
logger = logging.getLogger(__name__)

OnAccess = Callable[[Sequence[Entry] | None], Awaitable[None]]
"""Applies access events, in order; returns when nothing more leaves that they forbid.  It may be given the same
events again.  None: some are no longer known, so everything that was permitted must be looked at anew."""

PAGE_ENTRIES = 100  # of one topic in one read
RECENT_ENTRIES = 64  # of one followed topic, kept for those who come back after a short cut
READ_TOPICS = 500  # in one read: the reader's connection is shared, and a page has to fit in memory
READS_BY_FOLLOWERS = 4  # at once: after a restart all come back, and the tail must get its turn
READ_ATTEMPTS = 10  # of a follower, each when the tail itself has just been able to read: enough for a bad line
FULL_READ_SHARE = 0.1  # of the time, for reading all topics because the broker cannot name those that have news


class Stopped(Exception):
    """Nothing more is handed over: the tail was stopped, or the follower was made to leave."""


class Tail:
    """Reads the log for all followers in this process."""

    def __init__(
        self,
        rows: Rows,
        broker: Broker,
        on_access: OnAccess,
        *,
        access_topic: str = "access",
        poll_seconds: float = 1.0,  # how late news is at most when the broker is dead
        confirm_seconds: float = 1.0,  # without a look at the access topic for so long, nothing is handed over
        read_seconds: float = 5.0,  # one read, at most
        queue_entries: int = 256,  # that wait for one follower, more or less
        meter: Meter | None = None,
    ) -> None:
        self._rows = rows
        self._broker = broker
        self._on_access = on_access
        self._access_topic = access_topic
        self._poll_seconds = poll_seconds
        self._confirm_seconds = confirm_seconds
        self._read_seconds = read_seconds
        self.queue_entries = queue_entries
        self.meter = meter or Meter()
        self._marks: dict[str, Place] = {}  # how far this process has read, per followed topic
        self._recent: dict[str, deque[Entry]] = {}  # the last entries up to the mark
        self._followers: dict[str, set[Follower]] = {}  # those that live on what is handed over
        self._hush: Callable[[], None] | None = None  # ends our listening to the broker
        self._rung: set[str] = set()
        self._any_rung = False
        self._full_read_at = 0.0  # in the event loop's time, as all moments here
        self._full_read_allowed_at = 0.0
        self._wanted = False  # somebody waits for the next round
        self._wake = asyncio.Event()
        self._round_over = asyncio.Event()
        self._reads = asyncio.Semaphore(READS_BY_FOLLOWERS)
        self._histories = 1  # that we have seen: changes when the database was restored under us
        self._confirmed_at = 0.0
        self._task: asyncio.Task[None] | None = None
        self.stopped = False

    async def start(self) -> None:
        """Access events are applied from now on.  Raises when the database is not there."""
        await self._stand_at_present()
        self._task = asyncio.create_task(self._run(), name="tail of the log")

    async def stop(self) -> None:
        self.stopped = True
        for follower in {follower for followers in self._followers.values() for follower in followers}:
            follower.leave()
        self._end_round()
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def __aenter__(self) -> "Tail":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def follow(self, topics: Sequence[str], after: Vector | None) -> "Follower":
        """Follow up to 32 topics from `after`, exactly; None starts at the present.  Enter it to begin."""
        if self._access_topic in topics:
            raise ValueError(f"The topic {self._access_topic} is for the tail alone.")
        return Follower(self, topics, after)

    @property
    def confirmed(self) -> bool:
        """Whether a moment ago no access event was unknown to us.  If not, nothing may be sent."""
        return self.unread_seconds <= self._confirm_seconds

    @property
    def unread_seconds(self) -> float:
        """Since the log was last read, whether or not anybody follows; grows while the database is away."""
        return _now() - self._confirmed_at

    async def confirmation(self) -> None:
        """Wait until `confirmed`.  Raises Stopped."""
        while not self.confirmed:
            await self.next_round()

    async def applied(self, seen: Vector) -> None:
        """Wait until every access event that was there when `seen` was read has been applied.  Raises Stopped."""
        place = seen.places.get(self._access_topic)
        while place is not None and seen.epoch == self._epoch and self._applied.position < place.position:
            await self.next_round()

    async def next_round(self) -> None:
        """Have the tail look at the log, and wait until it has, however long the database is away.  Raises Stopped."""
        if not self.stopped:
            self._wanted = True
            self._wake.set()
            await self._round_over.wait()
        if self.stopped:
            raise Stopped

    # What followers do here

    async def read(self, places: Mapping[str, Place], limit: int) -> Pages:
        """What comes after these places, once the access events that came before it have been applied."""
        while True:
            histories, began = self._histories, _now()
            pages = await self._patiently(lambda: self._read(places, limit))
            access = pages.pages[self._access_topic]
            # The access topic is read on by the tail alone, so that its events are applied once and in order.
            if pages.epoch == self._epoch and isinstance(access, Page):
                while self._applied.position < access.head.position and histories == self._histories:
                    await self.next_round()
                if histories == self._histories:
                    self._confirmed_at = max(self._confirmed_at, began)
                    return pages
            else:
                await self.next_round()

    def recall(self, vector: Vector) -> dict[str, list[Entry]] | None:
        """What came after these places up to the marks, from memory; None where it must be read.

        Most of those who come back at once, after a cut, miss nothing or a few entries: they cost no read.
        """
        if vector.epoch != self._epoch:
            return None
        missed = {topic: self._recalled(topic, place) for topic, place in vector.places.items()}
        known = {topic: entries for topic, entries in missed.items() if entries is not None}
        return known if len(known) == len(missed) else None

    def _recalled(self, topic: str, place: Place) -> list[Entry] | None:
        if place == self._marks.get(topic):
            return []
        recent = self._recent.get(topic)
        if not recent or not 0 <= (index := place.position - recent[0].position) < len(recent):
            return None
        return list(recent)[index + 1 :] if recent[index].place == place else None

    async def present(self, topics: Sequence[str]) -> Vector:
        """Where these topics stand, as far as this process has read, or in the log where it has not."""
        if all(topic in self._marks for topic in topics):
            return Vector(self._epoch, {topic: self._marks[topic] for topic in topics})
        return await self._patiently(lambda: log.standing(self._rows, topics))

    async def _patiently(self, reading: Callable[[], Awaitable[T]]) -> T:
        """Read, and if the database is away wait for it; a failure that is not the database's is raised."""
        for attempt in range(1, READ_ATTEMPTS + 1):
            try:
                async with self._reads, asyncio.timeout(self._read_seconds):
                    return await reading()
            except Exception as failure:  # storage knows many ways to be away
                if attempt == READ_ATTEMPTS:
                    raise
                logger.debug("A follower cannot read the log and will try again: %r", failure)
            await self.next_round()
        raise AssertionError("unreachable")

    def attach(self, follower: "Follower", topic: str, reached: Place, head: Place) -> bool:
        """Hand what is new in the topic to the follower, if it has read up to where the tail is.

        `head` is where the topic stood when the follower read it.  May be ahead of the tail: what comes is then
        known to the follower until it is not.
        """
        if self.stopped:
            return False
        mark = self._marks.get(topic)
        if mark is None and reached.position == head.position:
            # It may have been rung before anybody followed it: look once.
            mark = self._marks[topic] = reached
            self._ring({topic})
        if mark is None or reached.position < mark.position:
            return False
        self._followers.setdefault(topic, set()).add(follower)
        if self._hush is None:
            self._hush = self._broker.listen(self._heard)
        return True

    def detach(self, follower: "Follower", topics: Collection[str]) -> None:
        for topic in topics:
            followers = self._followers.get(topic, set())
            followers.discard(follower)
            if not followers:
                self._followers.pop(topic, None)
                self._marks.pop(topic, None)
                self._recent.pop(topic, None)
        if not self._followers and self._hush is not None:
            self._hush()
            self._hush = None

    # The rounds

    def _heard(self, topics: Collection[str] | None) -> None:
        self.meter.rings += 1
        self._ring(topics)

    def _ring(self, topics: Collection[str] | None) -> None:
        if topics is None:
            self._any_rung = True
        else:
            self._rung |= self._marks.keys() & topics
            self._wanted |= self._access_topic in topics
        self._wake.set()

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._until_due()
            try:
                await self._round()
                if failures:
                    logger.info("The log can be read again.")
                failures = 0
            except Exception as failure:
                # Supervised: whatever it is, followers must go on as soon as it ends.  Until then none is given
                # anything, as nothing is confirmed.
                if failures == 0:
                    logger.warning("The log cannot be read; nothing is sent until it can.", exc_info=failure)
                self._full_read_at = 0.0
                await asyncio.sleep(min(0.05 * 2**failures, self._poll_seconds) * random.uniform(0.5, 1.0))
                failures = min(failures + 1, 10)

    async def _until_due(self) -> None:
        while not (self._rung or self._wanted or _now() >= self._next_round_at):
            self._wake.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next_round_at):
                    await self._wake.wait()

    @property
    def _full_round_at(self) -> float:
        return min(self._full_read_at, self._full_read_allowed_at) if self._any_rung else self._full_read_at

    @property
    def _next_round_at(self) -> float:
        """Of all topics; or of the access topic alone, while somebody is there to be confirmed."""
        confirm_at = self._confirmed_at + self._confirm_seconds / 2
        return min(self._full_round_at, confirm_at) if self._followers else self._full_round_at

    async def _round(self) -> None:
        """Read the topics that were rung, or all when it is time, and the access topic with them."""
        began = _now()
        full = began >= self._full_round_at
        self.meter.looks += 1
        self.meter.polls += not (self._rung or self._any_rung or self._wanted)
        self.meter.behind_positions = 0
        topics = list(self._marks if full else self._rung)
        self._rung, self._wanted = set(), False
        if full:
            self._any_rung, self._full_read_at = False, began + self._poll_seconds
        for start in range(0, max(1, len(topics)), READ_TOPICS):
            await self._read_and_hand_over(topics[start : start + READ_TOPICS])
        if full:
            self._full_read_allowed_at = _now() + (_now() - began) * (1 / FULL_READ_SHARE - 1)
        self._end_round()

    def _end_round(self) -> None:
        self._round_over.set()
        self._round_over = asyncio.Event()

    async def _read_and_hand_over(self, topics: Sequence[str]) -> None:
        began = _now()
        asked = {topic: self._marks[topic] for topic in topics if topic in self._marks}
        pages = await self._read(asked, PAGE_ENTRIES)
        if not await self._apply_access(pages):
            return
        self._confirmed_at = began
        for topic, mark in asked.items():
            page = pages.pages.get(topic)
            if page is not None:
                self._hand_over(topic, mark, page)

    async def _read(self, places: Mapping[str, Place], limit: int) -> Pages:
        async with asyncio.timeout(self._read_seconds):
            marks = {**places, self._access_topic: self._applied}
            return await log.pages_after(self._rows, marks, limit, always=self._access_topic)

    async def _apply_access(self, pages: Pages) -> bool:
        """Apply what is new in the access topic; False when it cannot be known, and all has begun anew."""
        while True:
            page = pages.pages[self._access_topic]
            if pages.epoch != self._epoch or not isinstance(page, Page):
                await self._begin_anew()
                return False
            if page.entries:
                await self._on_access(page.entries)
                self._applied = page.reached
            if page.complete:
                return True
            pages = await self._read({}, PAGE_ENTRIES)

    async def _begin_anew(self) -> None:
        """The database is not the one we knew, or we slept too long: all read again what they are entitled to."""
        logger.warning("The log has another history than before, or access events were lost.")
        await self._stand_at_present(self._on_access)
        self._histories += 1
        for follower in {follower for followers in self._followers.values() for follower in followers}:
            follower.fall_behind()

    async def _stand_at_present(self, on_access: OnAccess | None = None) -> None:
        began = _now()
        async with asyncio.timeout(self._read_seconds):
            present = await log.standing(self._rows, [self._access_topic])
        if on_access is not None:
            await on_access(None)
        self._epoch = present.epoch
        self._applied = present.places[self._access_topic]
        self._confirmed_at = began

    def _hand_over(self, topic: str, mark: Place, page: Page | Lost) -> None:
        if self._marks.get(topic) != mark:  # left meanwhile, and perhaps followed again from elsewhere
            self._ring({topic})
            return
        followers = tuple(self._followers[topic])
        if isinstance(page, Lost):
            # Ours is lost; a follower's need not be, as some are ahead of us.  Each asks the log for itself.
            for follower in followers:
                follower.fall_behind()
            return
        self._marks[topic] = page.reached
        self.meter.entries += len(page.entries)
        self.meter.behind_positions += page.head.position - page.reached.position
        self._recent.setdefault(topic, deque(maxlen=RECENT_ENTRIES)).extend(page.entries)
        for follower in followers:
            follower.offer(topic, page.entries)
        if not page.complete:
            self._ring({topic})


class Follower:
    """One consumer of some topics.

        async with tail.follow(topics, after) as follower:
            ...  # follower.vector: where it stands
            async for entries in follower:
                ...

    Entering and waiting for entries raise Expired when what comes next is lost, Stopped when the tail is.
    No task and no connection belongs to it: one that is not asked costs its queue.
    """

    __slots__ = (
        "__weakref__", "_after", "_behind", "_left", "_queue", "_reached", "_tail", "_topics", "_vector", "_waiting"
    )  # fmt: skip

    def __init__(self, tail: Tail, topics: Sequence[str], after: Vector | None) -> None:
        self._topics = tuple(dict.fromkeys(topics))
        if not 0 < len(self._topics) <= MAX_TOPICS:
            raise ValueError(f"A stream has 1 to {MAX_TOPICS} topics, not {len(self._topics)}.")
        self._tail = tail
        self._after = after
        self._vector = Vector("", {})
        self._reached: dict[str, Place] = {}  # the last entries that wait, or where there are none, the vector
        self._queue: list[Entry] = []
        self._behind: set[str] = set()  # topics of which the log must be read before the tail can be heard
        self._waiting: asyncio.Future[None] | None = None  # an Event would cost every idle follower 600 bytes more
        self._left = False

    @property
    def vector(self) -> Vector:
        """Where the consumer stands: at the last entries it was given.  Cursors are made of it."""
        return self._vector

    async def __aenter__(self) -> "Follower":
        try:
            await self.join()
        except BaseException:
            self.leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.leave()

    def __aiter__(self) -> AsyncIterator[list[Entry]]:
        return self

    async def __anext__(self) -> list[Entry]:
        return await self.next()

    async def next(self) -> list[Entry]:
        """The next entries, at least one: each topic in order, none between topics.

        May be cancelled at any moment: what was not returned is returned next time.
        """
        while True:
            if self._left or self._tail.stopped:
                raise Stopped
            if self._queue:
                await self._tail.confirmation()
                if self._queue:  # not dropped meanwhile
                    return self._take()
            elif self._behind:
                await self._catch_up()
            else:
                await self._news()

    def leave(self) -> None:
        """Nothing remains; whoever waits in `next` is told."""
        self._left = True
        self._tail.detach(self, self._topics)
        self._queue = []
        self._wake()

    async def _news(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _take(self) -> list[Entry]:
        entries, self._queue = self._queue, []
        self._vector = self._vector.past_all(entries)
        return entries

    # What the tail does here

    def offer(self, topic: str, entries: Sequence[Entry]) -> None:
        reached = self._reached[topic].position
        if entries and entries[0].position <= reached:  # we had read further than the tail
            entries = [entry for entry in entries if entry.position > reached]
        if not entries:
            return
        if entries[0].position != reached + 1 or len(self._queue) + len(entries) > self._tail.queue_entries:
            self.fall_behind()
            return
        self._queue.extend(entries)
        self._reached[topic] = entries[-1].place
        self._wake()

    def fall_behind(self) -> None:
        """Forget what waits; read from the log again, from where the consumer is."""
        self._tail.meter.fallen_behind += 1
        self._tail.detach(self, self._topics)
        self._queue = []
        self._reached = dict(self._vector.places)
        self._behind = set(self._topics)
        self._wake()

    # Reading what was missed

    async def join(self) -> None:
        if self._after is None:
            present = await self._tail.present(self._topics)
            self._begin_at(present)
            for topic, place in present.places.items():
                self._attach(topic, place)
        else:
            self._begin_at(self._after)
            await self._catch_up()

    def _begin_at(self, vector: Vector) -> None:
        self._vector = Vector(vector.epoch, {topic: vector.places[topic] for topic in self._topics})
        self._reached = dict(self._vector.places)
        self._behind = set(self._topics)

    async def _catch_up(self) -> None:
        """Queue a page of what was missed in each topic, and listen to the tail where that was all."""
        asked = Vector(
            self._vector.epoch, {topic: self._reached[topic] for topic in self._topics if topic in self._behind}
        )
        remembered = self._tail.recall(asked)
        if remembered is not None:
            for topic, entries in remembered.items():
                self._go_on(topic, entries)
            return
        pages = await self._tail.read(asked.places, max(1, self._tail.queue_entries // len(asked.places)))
        if pages.epoch != self._vector.epoch:
            raise Expired(Lost.EPOCH)
        # Nothing waited when we asked: if we fell behind meanwhile, it was to where we stood then.
        progress = [self._go_on_with(topic, pages.pages.get(topic)) for topic in asked.places]
        if not any(progress):
            # The tail is ahead of the log: the database fell back, and the tail has yet to notice.
            await self._tail.next_round()

    def _go_on_with(self, topic: str, page: Page | Lost | None) -> bool:
        if isinstance(page, Lost):
            raise Expired(page, topic)
        if page is None:  # nothing has happened since
            return self._go_on(topic, [])
        return self._go_on(topic, page.entries, page.head)

    def _go_on(self, topic: str, entries: Sequence[Entry], head: Place | None = None) -> bool:
        """Whether this has brought us further.  `head`: where the topic stood; None where the entries end."""
        self._queue.extend(entries)
        if entries:
            self._reached[topic] = entries[-1].place
        return self._attach(topic, head or self._reached[topic]) or bool(entries)

    def _attach(self, topic: str, head: Place) -> bool:
        if self._left:
            raise Stopped
        attached = self._tail.attach(self, topic, self._reached[topic], head)
        if attached:
            self._behind.discard(topic)
        return attached


def _now() -> float:
    return asyncio.get_running_loop().time()
