"""A change: rows and events together or neither, in groups, once per key, and told when it is there to be read."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import sqlalchemy as sa

from graph.audience import Audience
from graph.change import KEY_LIFETIME, Change, Changes, Key
from graph.events import PostAdded
from graph.refusals import Conflict, Invalid, NotFound
from graph.storage.database import Storage
from graph.storage.rows import Outcome, Work
from graph.storage.tables import communities, events, idempotency_keys
from subscriptions.brokers.memory import MemoryBroker

START = 1_700_000_000_000_000  # µs
GREG = Audience(viewer_id=1, role="MEMBER")
MICHEL = Audience(viewer_id=2, role="MEMBER")


@dataclass
class Watched:
    """The database as changes see it; what was asked of it is written down, and it can be made to wait."""

    storage: Storage
    happened: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    most: int = 1000  # works that have time in one transaction
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    passing: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def engine(self) -> str:
        return self.storage.engine

    async def write(self, works: Sequence[Work[Any]]) -> list[Outcome]:
        self.begun.set()
        await self.passing.wait()
        outcomes = await self.storage.write(works[: self.most])
        self.batches.append(len(outcomes))
        self.happened.append("committed")
        return outcomes


class Bell(MemoryBroker):
    def __init__(self, happened: list[str]) -> None:
        super().__init__()
        self._happened = happened

    def ring(self, topics: Collection[str] | None) -> None:
        self._happened.append("rung " + " ".join(sorted(topics or ())))


@dataclass
class Desk:
    """Where changes are asked for, under a clock that only tests move."""

    watched: Watched
    now: int = START

    def __post_init__(self) -> None:
        self.bell = Bell(self.watched.happened)
        self.changes = Changes(self.watched, self.bell, lambda: self.now)  # type: ignore[arg-type]  # all of it that is used
        self.watched.passing.set()

    async def run(self, action: Any, key: Key | None = None, audience: Audience = GREG) -> Any:
        return await self.changes.run(action, audience=audience, key=key)

    async def slugs(self) -> list[str]:
        found = await self.watched.storage.rows(sa.select(communities.c.slug).order_by(communities.c.id))
        return [slug for (slug,) in found]

    async def positions(self) -> list[int]:
        found = await self.watched.storage.rows(sa.select(events.c.position).order_by(events.c.position))
        return [position for (position,) in found]

    async def keys(self) -> list[str]:
        return [key for (key,) in await self.watched.storage.rows(sa.select(idempotency_keys.c.key))]


@pytest.fixture
async def desk(storage: Storage) -> AsyncIterator[Desk]:
    desk = Desk(Watched(storage))
    yield desk
    desk.watched.passing.set()
    await desk.changes.finish()


def founding(slug: str, then: BaseException | None = None) -> Callable[[Change], Any]:
    """An action that writes a row and tells it, and then fails where it is told to."""

    async def found(change: Change) -> int:
        adding = communities.insert().values(slug=slug, name=slug, created_at=change.now)
        [(key,)] = await change.rows(adding.returning(communities.c.id))
        await change.record(PostAdded(None, key))
        if then is not None:
            raise then
        return int(key)

    return found


def key(name: str, given: object = None, mutation: str = "found") -> Key:
    return Key.of(mutation, name, given)


# Groups -------------------------------------------------------------------------------------------------------------


async def test_what_is_asked_at_once_shares_transactions_where_one_writer_serves_all(desk: Desk) -> None:
    slugs = [f"{number:02}" for number in range(32)]
    done = await asyncio.gather(*(desk.run(founding(slug)) for slug in slugs))
    assert sum(desk.watched.batches) == 32
    assert len(set(done)) == 32
    assert sorted(await desk.slugs()) == slugs
    assert await desk.positions() == list(range(1, 33))
    if desk.watched.engine == "sqlite":
        assert len(desk.watched.batches) <= 8  # one, unless the machine is so busy that a transaction's time is over
        assert await desk.slugs() == slugs
    else:
        assert desk.watched.batches == [1] * 32


async def test_a_refusal_and_a_defect_leave_the_others_of_their_group(desk: Desk) -> None:
    outcomes = await asyncio.gather(
        desk.run(founding("a")),
        desk.run(founding("b", then=NotFound("no"))),
        desk.run(founding("c", then=ZeroDivisionError())),
        desk.run(founding("d")),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["int", "NotFound", "ZeroDivisionError", "int"]
    assert sorted(await desk.slugs()) == ["a", "d"]
    assert await desk.positions() == [1, 2]


async def test_what_had_no_time_in_one_transaction_goes_on_in_the_next_in_order(desk: Desk) -> None:
    desk.watched.most = 3
    slugs = [f"{number:02}" for number in range(10)]
    await asyncio.gather(*(desk.run(founding(slug)) for slug in slugs))
    assert sorted(await desk.slugs()) == slugs
    if desk.watched.engine == "sqlite":
        assert await desk.slugs() == slugs
        assert max(desk.watched.batches) <= 3


async def test_when_the_database_is_away_all_who_asked_are_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(works: Sequence[Work[Any]]) -> list[Outcome]:
        raise ConnectionError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(desk.watched.storage, "write", away)
        outcomes = await asyncio.gather(*(desk.run(founding(slug)) for slug in "ab"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectionError, ConnectionError]
    assert desk.watched.happened == []
    await desk.run(founding("c"))
    assert await desk.slugs() == ["c"]


async def test_an_action_may_be_run_again_and_has_its_effect_once(desk: Desk) -> None:
    write = desk.watched.storage.write

    async def after_a_deadlock(works: Sequence[Work[Any]]) -> list[Outcome]:
        """As when the database ends a transaction in the middle: everything is run, undone, and run again."""

        def undone(work: Work[Any]) -> Work[Any]:
            async def run(rows: Any) -> None:
                await work(rows)
                raise ConnectionAbortedError

            return run

        await write([undone(work) for work in works])
        return await write(works)

    desk.watched.storage.write = after_a_deadlock  # type: ignore[method-assign]  # fails once in its place
    try:
        done = await asyncio.gather(desk.run(founding("a"), key("one")), desk.run(founding("b"), key("two")))
        again = await desk.run(founding("a"), key("one"))
    finally:
        del desk.watched.storage.write
    assert sorted(await desk.slugs()) == ["a", "b"]
    assert again == done[0]
    assert await desk.positions() == [1, 2]
    assert sorted(await desk.keys()) == ["one", "two"]


async def test_two_that_lock_each_others_rows_are_both_done(desk: Desk) -> None:
    await desk.run(founding("a"))
    await desk.run(founding("b"))

    def naming(first: str, second: str) -> Callable[[Change], Any]:
        async def name(change: Change) -> str:
            for slug in (first, second):
                row = communities.update().where(communities.c.slug == slug).values(name=f"by {first}")
                await change.rows(row.returning(communities.c.id))
            return first

        return name

    asked = [desk.run(naming(*pair)) for pair in (("a", "b"), ("b", "a"))]
    assert await asyncio.gather(*asked) == ["a", "b"]
    found = await desk.watched.storage.rows(sa.select(communities.c.name).distinct())
    assert len(found) == 1


# The bell -----------------------------------------------------------------------------------------------------------


async def test_the_bell_rings_after_the_commit_for_what_was_told(desk: Desk) -> None:
    await desk.run(founding("a"))
    assert desk.watched.happened == ["committed", "rung community:none"]


async def test_what_was_undone_rings_no_bell(desk: Desk) -> None:
    with pytest.raises(NotFound):
        await desk.run(founding("a", then=NotFound("no")))
    assert desk.watched.happened == ["committed"]
    assert await desk.positions() == []


# Cancelling ---------------------------------------------------------------------------------------------------------


async def test_what_waits_can_be_taken_back_and_what_has_begun_finishes(desk: Desk) -> None:
    desk.watched.passing.clear()
    lanes = 1 if desk.watched.engine == "sqlite" else 8
    begun = [asyncio.create_task(desk.run(founding(f"begun {number}"))) for number in range(lanes)]
    await desk.watched.begun.wait()
    waiting = asyncio.create_task(desk.run(founding("waiting")))
    await asyncio.sleep(0)
    for task in (*begun, waiting):
        task.cancel()
    await asyncio.gather(*begun, waiting, return_exceptions=True)
    desk.watched.passing.set()
    await desk.changes.finish()
    assert sorted(await desk.slugs()) == sorted(f"begun {number}" for number in range(lanes))
    assert all(task.cancelled() for task in (*begun, waiting))
    assert desk.watched.happened == ["committed", "rung community:none"] * lanes


async def test_finish_waits_for_everything_that_was_asked(desk: Desk) -> None:
    tasks = [asyncio.create_task(desk.run(founding(slug))) for slug in "abc"]
    await asyncio.sleep(0)
    await desk.changes.finish()
    assert sorted(await desk.slugs()) == ["a", "b", "c"]
    await asyncio.gather(*tasks)


# Keys ---------------------------------------------------------------------------------------------------------------


async def test_the_same_key_gives_the_first_result_and_does_nothing(desk: Desk) -> None:
    first = await desk.run(founding("a"), key("one"))
    assert await desk.run(founding("b"), key("one")) == first
    assert await desk.slugs() == ["a"]
    assert await desk.positions() == [1]


async def test_another_input_under_the_key_is_refused_and_does_nothing(desk: Desk) -> None:
    await desk.run(founding("a"), key("one", {"body": "un"}))
    with pytest.raises(Conflict) as refused:
        await desk.run(founding("b"), key("one", {"body": "deux"}))
    assert refused.value.path == ("input", "clientMutationId")
    assert await desk.slugs() == ["a"]


async def test_a_key_belongs_to_one_viewer_and_one_mutation(desk: Desk) -> None:
    await desk.run(founding("a"), key("one"))
    await desk.run(founding("b"), key("one"), MICHEL)
    await desk.run(founding("c"), key("one", mutation="other"))
    await desk.run(founding("d"), key("one"), Audience())
    assert await desk.slugs() == ["a", "b", "c", "d"]


async def test_the_same_input_in_another_order_is_the_same_input() -> None:
    assert Key.of("m", "one", {"a": 1, "b": 2}) == Key.of("m", "one", {"b": 2, "a": 1})
    assert Key.of("m", "one", {"a": 1, "b": None}) != Key.of("m", "one", {"a": None, "b": 1})


def test_a_key_that_cannot_be_stored_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        key("a\x00b")
    assert refused.value.path == ("input", "clientMutationId")


async def test_failures_are_not_kept(desk: Desk) -> None:
    for failure in (NotFound("no"), ZeroDivisionError()):
        with pytest.raises(type(failure)):
            await desk.run(founding("a", then=failure), key("one"))
    assert await desk.keys() == []
    await desk.run(founding("b"), key("one", "another input by now"))
    assert await desk.slugs() == ["b"]


async def test_a_key_is_kept_for_24_hours(desk: Desk) -> None:
    first = await desk.run(founding("a"), key("one"))
    desk.now += KEY_LIFETIME
    assert await desk.run(founding("b"), key("one")) == first
    desk.now += 1
    second = await desk.run(founding("c"), key("one", "another input by now"))
    assert await desk.slugs() == ["a", "c"]
    assert await desk.run(founding("d"), key("one", "another input by now")) == second
    assert KEY_LIFETIME == 24 * 3600 * 1_000_000


async def test_duplicates_at_once_join_the_first(desk: Desk) -> None:
    done = await asyncio.gather(*(desk.run(founding(f"{number}"), key("one")) for number in range(8)))
    assert len(set(done)) == 1
    assert await desk.slugs() == ["0"]


async def test_duplicates_at_once_with_other_inputs_are_refused(desk: Desk) -> None:
    outcomes = await asyncio.gather(
        *(desk.run(founding(f"{number}"), key("one", number)) for number in range(4)), return_exceptions=True
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["int", "Conflict", "Conflict", "Conflict"]
    assert await desk.slugs() == ["0"]


async def test_duplicates_in_two_processes_are_done_once(two_storages: tuple[Storage, Storage]) -> None:
    desks = [Desk(Watched(storage)) for storage in two_storages]
    done = await asyncio.gather(*(desk.run(founding("a"), key("one")) for desk in desks * 4))
    assert len(set(done)) == 1
    assert await desks[0].slugs() == ["a"]


async def test_a_duplicate_of_what_was_refused_is_tried_for_itself(desk: Desk) -> None:
    outcomes = await asyncio.gather(
        desk.run(founding("a", then=NotFound("no")), key("one")),
        desk.run(founding("b"), key("one")),
        return_exceptions=True,
    )
    assert [type(outcome).__name__ for outcome in outcomes] == ["NotFound", "int"]
    assert await desk.slugs() == ["b"]


async def test_a_duplicate_of_what_was_taken_back_is_done_for_itself(desk: Desk) -> None:
    desk.watched.passing.clear()
    lanes = 1 if desk.watched.engine == "sqlite" else 8
    busy = [asyncio.create_task(desk.run(founding(f"busy {number}"))) for number in range(lanes)]
    await desk.watched.begun.wait()
    first = asyncio.create_task(desk.run(founding("first"), key("one")))
    await asyncio.sleep(0)
    second = asyncio.create_task(desk.run(founding("second"), key("one")))
    await asyncio.sleep(0)
    first.cancel()
    desk.watched.passing.set()
    await asyncio.gather(*busy, second)
    assert {slug for slug in await desk.slugs() if "busy" not in slug} == {"second"}


async def test_what_an_action_did_is_told_with_its_key_and_in_one_instant(desk: Desk) -> None:
    seen: list[tuple[str | None, int, int | None]] = []

    async def act(change: Change) -> None:
        seen.append((change.mutation_id, change.now, change.audience.viewer_id))
        desk.now += 1
        seen.append((change.mutation_id, change.now, change.audience.viewer_id))

    await desk.run(act, key("one"))
    await desk.run(act)
    assert seen == [("one", START, 1)] * 2 + [(None, START + 1, 1)] * 2
