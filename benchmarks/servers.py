"""Real servers for the runs: processes on free loopback ports, over a database that exists for the run alone.

What is started here is ended by its process id, also when the run fails.  The database is read with the plain
drivers, so that what is checked does not vouch for itself.
"""

import asyncio
import os
import re
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import httpx2

ENGINES = ("sqlite", "postgresql")
POSTGRES_URL = os.environ.get("PALABRE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
ROOT = Path(__file__).parent.parent
START_SECONDS = 60.0  # a migration on a busy machine included
STOP_SECONDS = 20.0

# What the script `palabre` does, wherever it may be installed.
PALABRE = (sys.executable, "-c", "from graph.cli import main; main()")


class ServerFailed(Exception):
    """The process ended by itself or never answered; the message has its last words."""


@dataclass(frozen=True, slots=True)
class Database:
    """A database of ours, and a way to read it that the servers have no part in."""

    engine: str
    url: str

    def rows(self, sql: str) -> Sequence[tuple[Any, ...]]:
        return _sqlite_rows(self.url, sql) if self.engine == "sqlite" else asyncio.run(_postgresql_rows(self.url, sql))


def _sqlite_rows(url: str, sql: str) -> Sequence[tuple[Any, ...]]:
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=30)) as connection:
        return connection.execute(sql).fetchall()


async def _postgresql_rows(url: str, sql: str) -> Sequence[tuple[Any, ...]]:
    import asyncpg

    connection = await asyncpg.connect(url, timeout=10)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


@contextmanager
def private_database(engine: str, folder: Path) -> Iterator[Database]:
    """An empty database for this run, gone after it."""
    if engine == "sqlite":
        yield Database(engine, f"sqlite:///{folder / 'palabre.db'}")
        return
    name = f"palabre_run_{secrets.token_hex(6)}"
    asyncio.run(_postgresql_rows(POSTGRES_URL, f'CREATE DATABASE "{name}"'))
    try:
        yield Database(engine, urlsplit(POSTGRES_URL)._replace(path=f"/{name}").geturl())
    finally:
        asyncio.run(_postgresql_rows(POSTGRES_URL, f'DROP DATABASE "{name}" WITH (FORCE)'))


@dataclass
class Server:
    """One serving process at a time, on one port, which it keeps over restarts."""

    database: Database
    port: int
    log: Path
    command: str = "serve"
    starts: int = 0
    _process: "subprocess.Popen[bytes] | None" = None
    _log_file: IO[bytes] | None = field(default=None, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    def start(self) -> None:
        """Begin, without waiting."""
        assert self._process is None, "the server is running"
        self._log_file = self.log.open("ab")
        self._process = subprocess.Popen(
            [*PALABRE, self.command, "--database-url", self.database.url, "--port", str(self.port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._log_file,
            env=environment(),
        )
        self.starts += 1

    def wait(self) -> None:
        """Until it answers.  Raises ServerFailed."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise ServerFailed(f"The server at {self.address} does not answer.\n{self.last_words()}")
            time.sleep(0.05)

    def answers(self) -> bool:
        try:
            return httpx2.get(f"http://{self.address}/healthz", timeout=2, trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False

    def kill(self) -> None:
        """As `kill -9` and the kernel's want of memory do it: at once, whatever it was about."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        if self._process is not None:
            self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server is not running"
        self._process.send_signal(number)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._log_file is not None:
            self._log_file.close()
            self._log_file = None

    def cpu_seconds(self) -> float:
        """Of the process so far, in user and in kernel."""
        after_name = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self) -> int:
        [line] = [line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if line[:6] == "VmRSS:"]
        return int(line.split()[1])

    def said(self) -> list[str]:
        """What the server warned of, in all its lives."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        # The first time it says that the database was made.
        return [line for line in lines if line and not re.search(r"^Made | is now at version ", line)]

    def last_words(self) -> str:
        return "\n".join(self.said()[-30:])


def environment() -> dict[str, str]:
    """No setting of the one who runs this reaches the server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PALABRE_")}
    kept["PALABRE_LOG_LEVEL"] = "warning"
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))}


@dataclass(frozen=True, slots=True)
class Site:
    """The servers of a run and what they serve."""

    database: Database
    servers: Sequence[Server]
    folder: Path

    @property
    def addresses(self) -> list[str]:
        return [server.address for server in self.servers]


@contextmanager
def site(engine: str, *, workers: int = 1) -> Iterator[Site]:
    """So many servers on one new database, answering; everything is gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="palabre-run-")))
        database = stack.enter_context(private_database(engine, folder))
        servers = [Server(database, port, folder / f"{port}.log") for port in free_ports(workers)]
        for server in servers:
            stack.callback(server.stop)
            server.start()
            server.wait()
        yield Site(database, servers, folder)


def free_ports(count: int) -> list[int]:
    """Different ones that nobody listens on at this moment."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
