"""A process that writes as fast as it can: says how many commits it made in its time."""

import asyncio
import sys
import time

import sqlalchemy as sa

from graph.storage.database import Storage
from graph.storage.rows import Rows
from graph.storage.tables import communities


async def main(url: str, seconds: float, name: str) -> None:
    commits = 0

    async def work(rows: Rows) -> None:
        await rows.rows(sa.select(sa.func.count()).select_from(communities))
        slug = f"{name} {commits}"
        await rows.rows(sa.insert(communities).values(slug=slug, name=slug, created_at=1))

    async with Storage.at(url) as storage:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            (outcome,) = await storage.write([work])
            assert hasattr(outcome, "value"), outcome
            commits += 1
    print(commits)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2]), sys.argv[3]))
