"""What a page of a thread costs, by size and shape of the tree: it should not grow with the size.

    python -m benchmarks.window [--sizes 200,20000,100000] [--runs 41] [--engines sqlite,postgresql]

Makes databases of its own and removes them; PostgreSQL is looked for at PALABRE_TEST_POSTGRES_URL.
"""

import argparse
import asyncio
import os
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa

from graph.comments.window import Page, Shape, Sort, Window, window
from graph.exchange.shapes import TreeShape, load_shape
from graph.storage.database import Storage
from graph.storage.migrate import migrate
from graph.storage.rows import Row, Rows
from graph.storage.tables import comments, posts, users

PAGE_SIZE = 50
GOAL = 1.5  # the dearest size may cost so many times the cheapest
POSTGRES_URL = os.environ.get("PALABRE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
# What a front end shows of a comment.
COLUMNS = tuple(
    comments.c[name]
    for name in ("number", "author_id", "status", "body_html", "revision", "created_at", "edited_at", "reply_count")
)


@dataclass(frozen=True, slots=True)
class Case:
    shape: TreeShape
    sort: Sort
    page: str  # first, middle, last


@dataclass(slots=True)
class Timed:
    """Rows, and the seconds they took to come."""

    inner: Rows
    seconds: float = 0.0

    @property
    def engine(self) -> str:
        return self.inner.engine

    async def rows(self, statement: sa.Executable) -> Sequence[Row]:
        start = time.perf_counter()
        found = await self.inner.rows(statement)
        self.seconds += time.perf_counter() - start
        return found


@dataclass(frozen=True, slots=True)
class Cost:
    page: float  # milliseconds, all in all: the median
    statements: float  # milliseconds of it, for the rows to come: the median
    fastest: float  # milliseconds of the fastest statements: what else the machine does disturbs them least
    rows: int


async def page_of(
    storage: Storage, post_id: int, sort: Sort, page: Page, columns: Sequence[sa.ColumnElement[Any]] = COLUMNS
) -> tuple[Window, float, float]:
    """The page, its seconds, and those of its statements."""

    async def read(rows: Rows) -> tuple[Window, float]:
        timed = Timed(rows)
        found = await window(timed, post_id=post_id, sort=sort, shape=Shape(), page=page, columns=columns)
        return found, timed.seconds

    start = time.perf_counter()
    found, statement_seconds = await storage.read(read)
    return found, time.perf_counter() - start, statement_seconds


async def page_named(storage: Storage, post_id: int, case: Case) -> Page:
    if case.page == "last":
        return Page(last=PAGE_SIZE)
    if case.page == "first":
        return Page(first=PAGE_SIZE)
    ((size,),) = await storage.rows(sa.select(posts.c.comment_count).where(posts.c.id == post_id))
    whole, _, _ = await page_of(storage, post_id, case.sort, Page(first=size), columns=())
    middle = max(0, (len(whole.rows) - PAGE_SIZE) // 2)
    return Page(first=PAGE_SIZE, after=whole.rows[middle].place)


async def measured(storage: Storage, case: Case, post_ids: dict[int, int], runs: int) -> dict[int, Cost]:
    """By size.  The sizes take turns, so that what else the machine does falls on all of them."""
    pages = {size: await page_named(storage, post_id, case) for size, post_id in post_ids.items()}
    taken: dict[int, list[list[float]]] = {size: [] for size in post_ids}
    counts: dict[int, int] = {}
    for _ in range(runs):
        for size, post_id in post_ids.items():
            found, *seconds = await page_of(storage, post_id, case.sort, pages[size])
            taken[size].append(seconds)
            counts[size] = len(found.rows)
    return {size: cost_of(taken[size], counts[size]) for size in post_ids}


def cost_of(taken: Sequence[Sequence[float]], rows: int) -> Cost:
    """`taken`: seconds of each page, and of its statements."""
    pages, statements = ([1000 * seconds for seconds in each] for each in zip(*taken, strict=True))
    return Cost(statistics.median(pages), statistics.median(statements), min(statements), rows)


async def new_author(storage: Storage) -> int:
    person = {"handle": "writer", "handle_key": "writer", "display_name": "Writer", "created_at": 0}
    ((author_id,),) = await storage.rows(sa.insert(users).values(person).returning(users.c.id))
    assert isinstance(author_id, int)
    return author_id


async def new_post(storage: Storage, author_id: int, size: int, shape: TreeShape) -> int:
    slug = f"{shape}-{size}"
    text = {"title": slug, "body": "", "body_html": "", "body_text": ""}
    values = {"author_id": author_id, "slug": slug, "state": "PUBLISHED", "created_at": 0, "last_activity_at": 0}
    ((post_id,),) = await storage.rows(sa.insert(posts).values(**values, **text).returning(posts.c.id))
    assert isinstance(post_id, int)
    await load_shape(
        storage,
        post_id=post_id,
        author_ids=[author_id],
        comments=size,
        shape=shape,
        begins_at=0,
        ends_at=86_400_000_000,
    )
    return post_id


@asynccontextmanager
async def database(engine: str) -> AsyncIterator[Storage | None]:
    """A new one, migrated; None where none answers."""
    if engine == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            async with migrated(f"sqlite:///{Path(folder) / 'window.db'}") as storage:
                yield storage
        return
    name = f"palabre_window_{secrets.token_hex(6)}"
    if not await administer(f'CREATE DATABASE "{name}"'):
        yield None
        return
    try:
        async with migrated(urlsplit(POSTGRES_URL)._replace(path=f"/{name}").geturl()) as storage:
            yield storage
    finally:
        await administer(f'DROP DATABASE "{name}" WITH (FORCE)')


@asynccontextmanager
async def migrated(url: str) -> AsyncIterator[Storage]:
    await asyncio.to_thread(migrate, url)
    # Finding the middle of a large tree takes a page as long as the tree.
    async with Storage.at(url, statement_seconds=120, view_seconds=120) as storage:
        yield storage


async def administer(sql: str) -> bool:
    """Whether a server answered."""
    try:
        import asyncpg

        connection = await asyncpg.connect(POSTGRES_URL, timeout=5)
    except (ImportError, OSError):
        return False
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
    return True


def ratio(costs: Sequence[float]) -> float:
    return max(costs) / min(costs) if len(costs) > 1 else 1.0


def line(case: Case, costs: dict[int, Cost]) -> str:
    full = {size: cost for size, cost in costs.items() if cost.rows == PAGE_SIZE}
    cells = "".join(f"{cost.page:8.2f} {cost.statements:5.2f} {cost.rows:3}" for cost in costs.values())
    all_sizes = ratio([cost.fastest for cost in full.values()])
    large = ratio([cost.fastest for size, cost in full.items() if size >= 20_000])
    over = "  over the goal" if all_sizes > GOAL else ""
    return f"{case.shape:6} {case.sort:6} {case.page:6}{cells}{all_sizes:8.2f}{large:8.2f}{over}"


async def compare(engine: str, sizes: Sequence[int], runs: int) -> None:
    async with database(engine) as storage:
        if storage is None:
            print(f"\n{engine}: no server answers")
            return
        author_id = await new_author(storage)
        loaded = {
            shape: {size: await new_post(storage, author_id, size, shape) for size in sizes} for shape in TreeShape
        }
        await storage.rows(sa.text("ANALYZE"))
        print(f"\n{engine}: milliseconds of a page, of its statements alone, and its rows; medians of {runs}")
        print(" " * 20 + "".join(f"{size:>18,}" for size in sizes) + "   ratio  >=20k")
        worst: list[float] = []
        for case in (Case(shape, sort, page) for shape in TreeShape for sort in Sort for page in PAGES):
            costs = await measured(storage, case, loaded[case.shape], runs)
            print(line(case, costs))
            worst.append(ratio([cost.fastest for cost in costs.values() if cost.rows == PAGE_SIZE]))
        print(
            f"worst ratio of the fastest statements, of pages of {PAGE_SIZE} rows: {max(worst):.2f}; the goal is {GOAL}"
        )
        print("A shorter page is left out of the ratio: so small a tree has no more rows to show.")


PAGES = ("first", "middle", "last")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--sizes", default="200,20000,100000")
    options.add_argument("--engines", default="sqlite,postgresql")
    options.add_argument("--runs", type=int, default=41)
    given = options.parse_args()
    for engine in given.engines.split(","):
        asyncio.run(compare(engine, [int(size) for size in given.sizes.split(",")], given.runs))


if __name__ == "__main__":
    main()
