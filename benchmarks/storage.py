"""Our SQLite connections beside those that `databases` brings, on the same file with the same durability.

    python -m benchmarks.storage [--runs 3] [--directory /where/the/disk/is]

Each line is the median of interleaved runs.  Both sides write with journal_mode=WAL and synchronous=FULL.
"""

import argparse
import asyncio
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import databases
import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

from graph.storage.database import Storage
from graph.storage.migrate import migrate
from graph.storage.rows import Failed, Rows, Work
from graph.storage.tables import communities, topics

READS = 600
INSERTS = 150  # by one task
MANY_INSERTS = 1_000  # by 64 tasks
TRANSACTIONS = 600
TASKS = 16
WRITERS = 64
GROUP = 32  # works in one batch at most
PATIENCE_SECONDS = 120  # of the stock connections: with the usual 5, 64 tasks that insert are told "locked"
PROCESS_TRANSACTIONS = 300  # of each of two processes

chosen = sa.select(communities).where(communities.c.id == sa.bindparam("id", type_=sa.BigInteger()))
head = sa.select(topics.c.head).where(topics.c.id == 1)


@dataclass(frozen=True)
class Line:
    """One comparison: seconds of each side, or a figure of its own."""

    name: str
    goal: str
    stock: Callable[[str], Coroutine[Any, Any, float]]
    ours: Callable[[str], Coroutine[Any, Any, float]]


class Groups:
    """Works that arrive while a batch is written form the next one."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._waiting: list[tuple[Work[Any], asyncio.Future[Any]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def write(self, work: Work[Any]) -> Any:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return await answer

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            outcomes = await self._storage.write([work for work, _ in batch])
            for (_, answer), outcome in zip(batch, outcomes, strict=False):
                answer.set_exception(outcome.error) if isinstance(outcome, Failed) else answer.set_result(outcome.value)
            self._waiting = batch[len(outcomes) :] + self._waiting
        self._writer = None


numbers = itertools.count(1_000_000)


def adding() -> Any:
    return sa.insert(communities).values(slug=f"community {next(numbers)}", name="A community", created_at=1)


async def add(rows: Rows) -> None:
    await rows.rows(adding())


async def advance(rows: Rows) -> None:
    ((position,),) = await rows.rows(head)
    await rows.rows(sa.update(topics).where(topics.c.id == 1).values(head=position + 1))


async def advance_through(database: databases.Database) -> None:
    async with database.transaction():
        position = await database.fetch_val(head)
        await database.execute(sa.update(topics).where(topics.c.id == 1).values(head=position + 1))


async def seconds_of(times: int, tasks: int, act: Callable[[], Awaitable[Any]]) -> float:
    """How long `times` acts of `tasks` tasks take."""
    left = iter(range(times))

    async def one_after_another() -> None:
        for _ in left:
            await act()

    began = time.perf_counter()
    await asyncio.gather(*(one_after_another() for _ in range(tasks)))
    return time.perf_counter() - began


async def refused_of(times: int, tasks: int, act: Callable[[], Awaitable[Any]]) -> float:
    """How many of `times` acts of `tasks` tasks raise."""
    refused = 0

    async def tolerant() -> None:
        nonlocal refused
        try:
            await act()
        except Exception:
            refused += 1

    await seconds_of(times, tasks, tolerant)
    return refused


def stock(measure: Callable[[databases.Database], Coroutine[Any, Any, float]]) -> Any:
    async def run(url: str) -> float:
        async with databases.Database(url, timeout=PATIENCE_SECONDS) as database:
            return await measure(database)

    return run


def through_the_api(measure: Callable[[databases.Database], Coroutine[Any, Any, float]]) -> Any:
    async def run(url: str) -> float:
        async with Storage.at(url) as storage:
            return await measure(storage.database)

    return run


def ours(measure: Callable[[Storage], Coroutine[Any, Any, float]]) -> Any:
    async def run(url: str) -> float:
        async with Storage.at(url) as storage:
            return await measure(storage)

    return run


async def reads_through(database: databases.Database, tasks: int = 1) -> float:
    return await seconds_of(READS, tasks, lambda: database.fetch_one(communities.select().where(communities.c.id == 1)))


async def reads(storage: Storage, tasks: int = 1) -> float:
    return await seconds_of(READS, tasks, lambda: storage.rows(sa.select(communities).where(communities.c.id == 1)))


async def inserts_through(database: databases.Database) -> float:
    return await seconds_of(INSERTS, 1, lambda: database.execute(adding()))


async def inserts(storage: Storage) -> float:
    return await seconds_of(INSERTS, 1, lambda: storage.rows(adding()))


async def many_inserts_through(database: databases.Database) -> float:
    return await seconds_of(MANY_INSERTS, WRITERS, lambda: database.execute(adding()))


async def many_inserts_alone(storage: Storage) -> float:
    return await seconds_of(MANY_INSERTS, WRITERS, lambda: storage.rows(adding()))


async def many_inserts_in_groups(storage: Storage) -> float:
    groups = Groups(storage)
    return await seconds_of(MANY_INSERTS, WRITERS, lambda: groups.write(add))


async def refusals_through(database: databases.Database) -> float:
    return await refused_of(TRANSACTIONS, TASKS, lambda: advance_through(database))


async def transactions_through(database: databases.Database) -> float:
    return await seconds_of(TRANSACTIONS, TASKS, lambda: advance_through(database))


async def transactions_in_groups(storage: Storage) -> float:
    groups = Groups(storage)
    return await seconds_of(TRANSACTIONS, TASKS, lambda: groups.write(advance))


LINES = [
    Line(f"{READS} single rows, API", "", stock(reads_through), through_the_api(reads_through)),
    Line(f"{READS} single rows", "4x", stock(reads_through), ours(reads)),
    Line(
        f"{READS} single rows, {TASKS} tasks",
        "4x",
        stock(lambda database: reads_through(database, TASKS)),
        ours(lambda storage: reads(storage, TASKS)),
    ),
    Line(f"{INSERTS} inserts, one after another", "", stock(inserts_through), ours(inserts)),
    Line(f"{MANY_INSERTS} inserts, {WRITERS} tasks, alone", "", stock(many_inserts_through), ours(many_inserts_alone)),
    Line(
        f"{MANY_INSERTS} inserts, {WRITERS} tasks, in groups",
        "2x",
        stock(many_inserts_through),
        ours(many_inserts_in_groups),
    ),
]


async def two_processes(url: str, side: str) -> list[dict[str, float]]:
    """What each of two processes at once says: refused, seconds, p50 and p99 in milliseconds."""
    command = [sys.executable, "-m", "benchmarks.storage", "--process", side, url]
    processes = [await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE) for _ in range(2)]
    return [json.loads((await process.communicate())[0]) for process in processes]


async def process(url: str, side: str) -> dict[str, float]:
    database = databases.Database(url) if side == "stock" else Storage.at(url).database
    milliseconds: list[float] = []

    async def timed() -> None:
        began = time.perf_counter()
        try:
            await advance_through(database)
        finally:
            milliseconds.append(1000 * (time.perf_counter() - began))

    async with database:
        began = time.perf_counter()
        refused = await refused_of(PROCESS_TRANSACTIONS, TASKS, timed)
        seconds = time.perf_counter() - began
    places = statistics.quantiles(milliseconds, n=100)
    return {"refused": refused, "seconds": seconds, "p50": places[49], "p99": places[98]}


def prepared(directory: str) -> str:
    """The address of a migrated file with one community and one topic."""
    url = f"sqlite:///{Path(tempfile.mkdtemp(dir=directory))}/palabre.db"
    migrate(url)
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.insert(communities).values(id=1, slug="c", name="C", created_at=1))
        connection.execute(sa.insert(topics).values(id=1, name="t", head=0, head_tag=0))
    engine.dispose()
    return url


def compared(line: Line, runs: int, directory: str) -> tuple[float, float]:
    """Medians of both sides, run in turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    for _ in range(runs):
        for side, measure in zip(seconds, (line.stock, line.ours), strict=True):
            side.append(asyncio.run(measure(prepared(directory))))
    return statistics.median(seconds[0]), statistics.median(seconds[1])


def show_comparisons(console: Console, runs: int, directory: str) -> None:
    table = Table("", "stock s", "ours s", "ratio", "goal", title=f"medians of {runs} interleaved runs")
    for line in LINES:
        theirs, own = compared(line, runs, directory)
        table.add_row(line.name, f"{theirs:.3f}", f"{own:.3f}", f"{theirs / own:.1f}x", line.goal)
    console.print(table)


def show_transactions(console: Console, directory: str) -> None:
    table = Table("", "refused", "seconds", title=f"{TRANSACTIONS} transactions that read, then write; {TASKS} tasks")
    for name, refusals, duration in (
        ("stock", stock(refusals_through), None),
        ("ours, API", through_the_api(refusals_through), through_the_api(transactions_through)),
        ("ours, in groups", None, ours(transactions_in_groups)),
    ):
        refused = "0" if refusals is None else f"{asyncio.run(refusals(prepared(directory))):.0f}"
        took = "" if duration is None else f"{asyncio.run(duration(prepared(directory))):.2f}"
        table.add_row(name, refused, took)
    console.print(table)


def show_processes(console: Console, directory: str) -> None:
    title = f"the same from two processes, {PROCESS_TRANSACTIONS} each; milliseconds"
    table = Table("", "refused", "p50", "p99", "p99 of one to the other's", title=title)
    for side in ("stock", "ours"):
        one, other = asyncio.run(two_processes(prepared(directory), side))
        ratio = max(one["p99"], other["p99"]) / min(one["p99"], other["p99"])
        table.add_row(
            side,
            f"{one['refused']:.0f}, {other['refused']:.0f}",
            f"{one['p50']:.0f}, {other['p50']:.0f}",
            f"{one['p99']:.0f}, {other['p99']:.0f}",
            f"{ratio:.1f}x (goal: at most 3x)",
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--directory", default=".")
    parser.add_argument("--process", nargs=2, metavar=("SIDE", "URL"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.process:
        side, url = options.process
        print(json.dumps(asyncio.run(process(url, side))))
        return
    with tempfile.TemporaryDirectory(dir=options.directory, prefix="benchmark-") as directory:
        console = Console()
        show_comparisons(console, options.runs, directory)
        show_transactions(console, directory)
        show_processes(console, directory)


if __name__ == "__main__":
    main()
