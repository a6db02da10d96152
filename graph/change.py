"""One change to the community: rows and events together, or neither.

An action is a plain coroutine that awaits nothing but its `Change`.  It has no effect but through it, so it may be
run again after a deadlock, together with others in one transaction, or inside the writer's thread in one hop;
nothing is acknowledged before COMMIT.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import orjson
import sqlalchemy as sa

from graph.audience import Audience
from graph.events import Event, data_of
from graph.observing.histogram import SIZES, Histogram
from graph.refusals import Conflict, Invalid
from graph.storage.database import Storage
from graph.storage.errors import OutcomeUnknown
from graph.storage.rows import Done, Failed, Outcome, Row, Rows
from graph.storage.tables import idempotency_keys
from subscriptions import log
from subscriptions.broker import Broker

T = TypeVar("T")

GROUP_LIMIT: Final = 32  # changes in one transaction: 5,025/s at 32 against 365/s alone, synchronous=FULL
KEY_LIFETIME: Final = 24 * 3600 * 1_000_000  # µs
TRIES: Final = 3  # of a change with a key whose outcome nobody knows
KEY_LIMIT: Final = 100  # characters of a clientMutationId


@dataclass(frozen=True, slots=True)
class Key:
    """Says that two requests are one: the mutation, the client's key for it and what it was asked to do."""

    mutation: str
    key: str
    input_hash: bytes

    @classmethod
    def of(cls, mutation: str, key: str, given: object) -> "Key":
        """Raises Invalid for a key that PostgreSQL cannot store."""
        if "\x00" in key:
            raise Invalid("A clientMutationId has no NUL in it.", ("input", "clientMutationId"))
        canonical = orjson.dumps(given, option=orjson.OPT_SORT_KEYS, default=str)
        return cls(mutation, key, hashlib.sha256(canonical).digest())


@dataclass
class Change:
    """What an action may use: rows of one transaction, the moment, who acts, and the log."""

    engine: str
    _rows: Rows
    audience: Audience
    now: int  # µs since 1970, UTC; the same for the whole change
    mutation_id: str | None = None
    told: set[str] = field(default_factory=set)

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        return await self._rows.rows(statement)

    async def record(self, event: Event) -> int:
        """Tell it in the event's topic; gives its position there.

        The row that the event is about must be locked before, as a topic's counter stays locked until the end.
        """
        self.told.add(event.topic)
        return await log.append(self._rows, event.topic, event.KIND, data_of(event), at=self.now)


Action = Callable[[Change], Coroutine[Any, Any, T]]


@dataclass
class _Waiting(Generic[T]):
    action: Action[T]
    audience: Audience
    key: Key | None
    done: "asyncio.Future[T]"
    told: set[str] = field(default_factory=set)
    tries: int = 1


class Changes:
    """Runs actions, in groups where one writer serves all (SQLite), side by side where many may write."""

    def __init__(self, storage: Storage, broker: Broker, now: Callable[[], int], *, lanes: int | None = None) -> None:
        self._storage = storage
        self._broker = broker
        self._now = now
        self._waiting: deque[_Waiting[Any]] = deque()
        self._in_flight: dict[tuple[int, str, str], asyncio.Future[Any]] = {}
        # PostgreSQL commits connections in groups by itself: there an action has its own transaction.
        self._lanes = lanes or (1 if storage.engine == "sqlite" else 8)
        self._group_limit = GROUP_LIMIT if storage.engine == "sqlite" else 1
        self._busy = 0
        self.groups = Histogram(SIZES)
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, action: Action[T], *, audience: Audience, key: Key | None = None) -> T:
        """Do it once; gives what the action gave, after COMMIT.

        With a key the result must be identities that JSON can hold: a repetition within 24 hours gets the first
        result, another input under the key is a Conflict.  Cancelling takes an action that waits out of the
        queue; one that has begun finishes.
        """
        if key is None:
            return await self._queued(action, audience, None)
        name = (audience.viewer_id or 0, key.mutation, key.key)
        joined = self._in_flight.get(name)
        if joined is not None:  # the first is still under way: its result, or a Conflict, will be in the table
            await asyncio.wait([joined])
        first = asyncio.ensure_future(self._queued(action, audience, key))
        if joined is None:
            self._in_flight[name] = first
            first.add_done_callback(lambda _: self._in_flight.pop(name, None))
        return await first

    @property
    def waiting(self) -> int:
        """Changes that no transaction has begun with."""
        return len(self._waiting)

    async def finish(self) -> None:
        """Wait until everything that was asked is done."""
        while self._running:
            await asyncio.wait(self._running)

    async def _queued(self, action: Action[T], audience: Audience, key: Key | None) -> T:
        waiting = _Waiting(action, audience, key, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._busy < self._lanes:
            self._busy += 1
            lane = asyncio.create_task(self._work())
            self._running.add(lane)
            lane.add_done_callback(self._running.discard)
        done: T = await waiting.done
        return done

    async def _work(self) -> None:
        try:
            while self._waiting:
                group = self._next_group()
                if group:
                    await self._run_group(group)
        finally:
            self._busy -= 1  # with no await since the queue was seen empty: who comes next starts a lane

    def _next_group(self) -> list[_Waiting[Any]]:
        group: list[_Waiting[Any]] = []
        while self._waiting and len(group) < self._group_limit:
            waiting = self._waiting.popleft()
            if not waiting.done.cancelled():
                group.append(waiting)
        return group

    async def _run_group(self, group: list[_Waiting[Any]]) -> None:
        try:
            outcomes = await self._storage.write([self._work_of(waiting) for waiting in group])
        except OutcomeUnknown as unknown:
            self._after_unknown(group, unknown)
            return
        except Exception as failure:
            outcomes = [Failed(failure) for _ in group]
        self._waiting.extendleft(reversed(group[len(outcomes) :]))
        self.groups.observe(len(outcomes))
        told: set[str] = set()
        for waiting, outcome in zip(group, outcomes, strict=False):
            if isinstance(outcome, Done):
                told |= waiting.told
            _settle(waiting.done, outcome)
        if told:
            self._broker.ring(told)

    def _after_unknown(self, group: list[_Waiting[Any]], unknown: OutcomeUnknown) -> None:
        """The connection was lost at COMMIT.  Who has a key is run again: the key tells whether it was done.

        The others are never replayed blindly.  Followers look at the log in both cases.
        """
        self._broker.ring({topic for waiting in group for topic in waiting.told})
        for waiting in group:
            if waiting.key is not None and waiting.tries < TRIES:
                waiting.tries += 1
                self._waiting.append(waiting)
            else:
                _settle(waiting.done, Failed(unknown))

    def _work_of(self, waiting: _Waiting[T]) -> Callable[[Rows], Coroutine[Any, Any, T]]:
        async def work(rows: Rows) -> T:
            mutation_id = None if waiting.key is None else waiting.key.key
            change = Change(rows.engine, rows, waiting.audience, self._now(), mutation_id)
            waiting.told = change.told
            if waiting.key is None:
                return await waiting.action(change)
            return await once(change, waiting.key, waiting.action)

        return work


def _settle(done: "asyncio.Future[Any]", outcome: Outcome) -> None:
    if done.cancelled():
        return
    if isinstance(outcome, Done):
        done.set_result(outcome.value)
    else:
        done.set_exception(outcome.error)


async def once(change: Change, key: Key, action: Action[T]) -> T:
    """Run the action unless this key already has a result.  Only successes are kept.

    Raises Conflict when the key stands for another input.
    """
    table = idempotency_keys
    mine = (
        (table.c.viewer_id == (change.audience.viewer_id or 0))
        & (table.c.mutation == key.mutation)
        & (table.c.key == key.key)
    )
    # The key is locked before everything else: a duplicate on another worker waits here.
    claimed = await change.rows(_claiming(change, key))
    if not claimed:
        [(input_hash, result)] = await change.rows(sa.select(table.c.input_hash, table.c.result).where(mine))
        if bytes(input_hash) != key.input_hash:
            raise Conflict("This clientMutationId was used for something else.", ("input", "clientMutationId"))
        known: T = orjson.loads(result)
        return known
    value = await action(change)
    await change.rows(table.update().where(mine).values(result=orjson.dumps(value).decode()))
    return value


def _claiming(change: Change, key: Key) -> sa.Executable:
    from sqlalchemy.dialects import postgresql, sqlite

    insert: Any = sqlite.insert if change.engine == "sqlite" else postgresql.insert
    table = idempotency_keys
    row: Mapping[str, Any] = {
        "viewer_id": change.audience.viewer_id or 0,
        "mutation": key.mutation,
        "key": key.key,
        "input_hash": key.input_hash,
        "result": "null",
        "created_at": change.now,
    }
    claim: sa.Executable = (
        insert(table)
        .values(row)
        .on_conflict_do_update(
            index_elements=[table.c.viewer_id, table.c.mutation, table.c.key],
            set_={"input_hash": key.input_hash, "result": "null", "created_at": change.now},
            where=table.c.created_at < change.now - KEY_LIFETIME,
        )
        .returning(table.c.created_at)
    )
    return claim


async def forget_keys(rows: Rows, now: int) -> None:
    """Those that nobody can repeat any more; a day longer than promised, so that none goes while it is looked at."""
    table = idempotency_keys
    await rows.rows(table.delete().where(table.c.created_at < now - 2 * KEY_LIFETIME).returning(table.c.viewer_id))
