"""The three ways to use a database, on both engines."""

import asyncio

import pytest
import sqlalchemy as sa

from graph.storage.database import Storage
from graph.storage.errors import ForeignAwait
from graph.storage.rows import Done, Failed, Rows
from graph.storage.tables import communities


def adding(slug: str) -> sa.Executable:
    return sa.insert(communities).values(slug=slug, name=slug, created_at=1).returning(communities.c.id)


async def slugs(rows: Rows) -> list[str]:
    return [slug for (slug,) in await rows.rows(sa.select(communities.c.slug).order_by(communities.c.id))]


async def test_one_statement_by_itself_is_committed_when_it_returns(two_storages: tuple[Storage, Storage]) -> None:
    one, other = two_storages
    assert list(await one.rows(adding("a"))) == [(1,)]
    assert await slugs(other) == ["a"]


async def test_a_read_runs_in_one_view(storage: Storage) -> None:
    await storage.rows(adding("a"))
    assert await storage.read(slugs) == ["a"]


async def test_a_work_that_fails_leaves_the_others(storage: Storage) -> None:
    async def good(rows: Rows) -> int:
        ((number,),) = await rows.rows(adding("good"))
        return int(number)

    async def bad(rows: Rows) -> None:
        await rows.rows(adding("bad"))
        raise ValueError("no")

    async def again(rows: Rows) -> None:
        await rows.rows(adding("good"))

    outcomes = await storage.write([good, bad, again, good, slugs])
    assert outcomes[0] == Done(1)
    assert isinstance(outcomes[1], Failed)
    assert isinstance(outcomes[1].error, ValueError)
    assert isinstance(outcomes[2], Failed)
    assert isinstance(outcomes[3], Failed)
    assert outcomes[4] == Done(["good"])
    assert await slugs(storage) == ["good"]


async def test_a_reading_sees_one_snapshot_while_another_writes(two_storages: tuple[Storage, Storage]) -> None:
    one, other = two_storages
    async with one.reading() as rows:
        assert await slugs(rows) == []
        await other.rows(adding("a"))
        await one.rows(adding("b"))
        assert await asyncio.gather(*(slugs(rows) for _ in range(20))) == [[]] * 20
    assert await slugs(one) == ["a", "b"]


async def test_a_work_that_awaits_something_else_is_refused_by_name(storage: Storage) -> None:
    async def sleepy(rows: Rows) -> None:
        await asyncio.sleep(0.01)

    async def polite(rows: Rows) -> None:
        await asyncio.sleep(0)

    outcomes = await storage.write([sleepy, polite])
    assert [type(outcome.error) for outcome in outcomes if isinstance(outcome, Failed)] == [ForeignAwait] * 2
    with pytest.raises(ForeignAwait):
        await storage.read(sleepy)
