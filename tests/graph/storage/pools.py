"""What a pool has at rest: that nothing leaked."""

import asyncio
import os
from pathlib import Path
from typing import Any

from graph.storage.database import Storage
from graph.storage.postgres import PostgreSQL
from graph.storage.slots import Slots
from graph.storage.sqlite import SQLite


def slots_of(storage: Storage) -> list[Slots[Any]]:
    pool = storage._pool
    if isinstance(pool, SQLite):
        return [pool._writers, pool._readers]
    assert isinstance(pool, PostgreSQL)
    return [pool._places]


async def at_rest(storage: Storage) -> bool:
    """Waits for what ends in the background, at most five seconds; whether all connections came back."""
    for _ in range(500):
        if all(slots.idle == slots.size for slots in slots_of(storage)):
            return True
        await asyncio.sleep(0.01)
    return False


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if os.path.exists("/proc/self/fd") else 0
