"""How much of each thing a database connection may take, with units and defaults."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    readers: int = 4  # SQLite: connections (and threads) that read at the same time
    connections: int = 10  # PostgreSQL: connections of this process at most
    wait_seconds: float = 10.0  # for a free connection, the turn to write, or an answer to `connect`
    statement_seconds: float = 30.0  # for one statement
    view_seconds: float = 10.0  # a read view, from its first statement to its end
    # How long works may join one transaction.  On SQLite other processes wait for that time: at 50 ms two of
    # them made 9,905 and 10,555 commits in a minute where unbounded they made 23,435 and 2.
    batch_seconds: float = 0.05
    synchronous: str = "FULL"  # SQLite: NORMAL may lose the last commits when the power fails
    cache_bytes: int = 64 * 2**20  # SQLite: pages kept in memory, per connection
    mapped_bytes: int = 256 * 2**20  # SQLite: of the file, read without copying
