"""What tests share: a database of each engine, migrated and empty."""

import asyncio
import fcntl
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg
import pytest
from hypothesis import HealthCheck, settings

from graph.observing.logs import configure
from graph.storage.database import Storage
from graph.storage.migrate import migrate
from graph.storage.tables import metadata
from graph.web import build

T = TypeVar("T")

ENGINES = ("sqlite", "postgresql")
POSTGRES_URL = os.environ.get("PALABRE_TEST_POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")

# Deleting took 2 to 4 ms between tests of few rows, TRUNCATE 90: it makes new files for each table and index.
EMPTYING = "; ".join(
    [
        *(f'DELETE FROM "{table.name}"' for table in reversed(metadata.sorted_tables) if table.name != "epochs"),
        "SELECT setval(format('%I', sequencename)::regclass, 1, false) FROM pg_sequences"
        " WHERE schemaname = 'public' AND last_value IS NOT NULL",
    ]
)

# `storage` is emptied between tests, not between the examples of one.
settings.register_profile(
    "palabre",
    deadline=None,
    max_examples=30,
    derandomize=bool(os.environ.get("CI")),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("palabre")


@pytest.fixture(autouse=True)
def logs() -> None:
    """As the program configures them, whatever the test before has run: it may have been the program itself."""
    configure("info")


@pytest.fixture(scope="session")
def built_page() -> None:
    """The page at /graphql, built by one test process for all.  Skips where npm brings nothing."""
    with (build.SOURCE / "package-lock.json").open(encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            build.build()
        except build.NotBuilt as failure:
            if os.environ.get("CI"):
                raise
            pytest.skip(f"the page cannot be built here: {failure}")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated file, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.db"
    _apart(migrate, f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def postgresql_database() -> Iterator[str]:
    """The address of a migrated database that exists for this run."""
    name = f"palabre_test_{secrets.token_hex(6)}"
    try:
        _administer(f'CREATE DATABASE "{name}"')
    except OSError as error:
        reason = f"no PostgreSQL answers at PALABRE_TEST_POSTGRES_URL ({error})"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    url = urlsplit(POSTGRES_URL)._replace(path=f"/{name}").geturl()
    try:
        _apart(migrate, url)
        yield url
    finally:
        _administer(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    path = tmp_path / "palabre.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgresql_url(postgresql_database: str) -> str:
    _administer(EMPTYING, postgresql_database)
    return postgresql_database


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> str:
    """The address of a migrated, empty database, on each engine in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def bare_url(database_url: str, tmp_path: Path) -> Iterator[str]:
    """A second place on the same engine, where nothing was made yet."""
    if database_url.startswith("sqlite"):
        yield f"sqlite:///{tmp_path / 'bare.db'}"
        return
    name = f"palabre_test_{secrets.token_hex(6)}"
    _administer(f'CREATE DATABASE "{name}"')
    try:
        yield urlsplit(POSTGRES_URL)._replace(path=f"/{name}").geturl()
    finally:
        _administer(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[Storage]:
    async with Storage.at(database_url) as storage:
        yield storage


@pytest.fixture
async def two_storages(database_url: str) -> AsyncIterator[tuple[Storage, Storage]]:
    """Two on the same database, as two processes would have."""
    async with Storage.at(database_url) as one, Storage.at(database_url) as other:
        yield one, other


def _administer(sql: str, url: str = POSTGRES_URL) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    _apart(asyncio.run, run())


def _apart(call: Callable[..., T], *arguments: Any) -> T:
    """In a thread of its own: the test's has its event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(call, *arguments).result()
