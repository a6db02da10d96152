"""A migrated database is the one that the page of tables describes, whoever migrates and how often."""

import asyncio
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from graph.storage import migrate as migrating
from graph.storage.database import Storage
from graph.storage.errors import DriverMissing, SchemaIsNewer
from graph.storage.migrate import migrate, newest_version, refuse_newer, schema_version
from graph.storage.sqlite import path_of
from graph.storage.tables import epochs, metadata

VERSIONS = "alembic_version"


def differences(connection: sa.Connection) -> list[Any]:
    options = {"compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


def definitions(url: str) -> dict[str, list[str]]:
    """What SQLite was told, by name: partial indexes and tables without row numbers included."""
    with closing(sqlite3.connect(path_of(url))) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    return {name: pieces(sql) for name, sql in found if name != VERSIONS}


def pieces(sql: str) -> list[str]:
    """What a definition consists of, in any order: columns that were added later stand behind the constraints."""
    opening, closing = sql.index("("), sql.rindex(")")
    parts = re.split(r",(?![^()]*\))", sql[opening + 1 : closing])
    return [sql[:opening].strip(), *sorted(" ".join(part.split()) for part in parts), sql[closing:].strip()]


def test_the_migrated_schema_is_that_of_the_tables(database_url: str) -> None:
    assert migrating._on(database_url, differences) == []


def test_the_migrated_schema_is_piece_by_piece_that_of_the_tables(sqlite_url: str, tmp_path: Path) -> None:
    by_hand = tmp_path / "by_hand.db"
    engine = sa.create_engine(f"sqlite:///{by_hand}")
    metadata.create_all(engine)
    engine.dispose()
    assert definitions(sqlite_url) == definitions(f"sqlite:///{by_hand}")


def test_text_sorts_by_code_point(postgresql_url: str) -> None:
    columns = sa.text(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name <> 'alembic_version' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    )
    found = migrating._on(postgresql_url, lambda connection: connection.execute(columns).fetchall())
    assert found == []


def test_the_first_migration_names_what_it_applied_and_the_second_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    assert schema_version(url) is None
    assert not (tmp_path / "new.db").exists()
    assert migrate(url)[-1] == newest_version()
    assert schema_version(url) == newest_version()
    assert migrate(url) == []


async def test_a_database_has_one_epoch_and_keeps_it(database_url: str) -> None:
    async def epoch() -> Any:
        async with Storage.at(database_url) as storage:
            ((number, name),) = await storage.rows(sa.select(epochs))
            assert number == 1
            return name

    before = await epoch()
    assert len(bytes.fromhex(before)) == 8
    await asyncio.to_thread(migrate, database_url)
    assert await epoch() == before


def test_many_who_migrate_at_once_do_it_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(migrate, [url] * 4))
    assert sorted(map(len, applied)) == [0, 0, 0, len(max(applied, key=len))]


def test_a_migration_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/new.db"

    def fail(connection: sa.Connection) -> None:
        raise ValueError("no")

    monkeypatch.setattr(migrating, "_begin_history", fail)
    with pytest.raises(ValueError, match="no"):
        migrate(url)
    assert definitions(url) == {}


def test_a_database_of_a_later_version_is_refused_by_name(sqlite_url: str) -> None:
    with closing(sqlite3.connect(path_of(sqlite_url))) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaIsNewer, match="9999"):
        migrate(sqlite_url)
    with pytest.raises(SchemaIsNewer, match="9999"):
        refuse_newer(schema_version(sqlite_url))


def test_a_version_that_is_known_is_not_refused() -> None:
    refuse_newer(None)
    refuse_newer(newest_version())


@pytest.mark.parametrize("package", ["asyncpg", "greenlet"])
def test_a_missing_driver_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DriverMissing, match=r"palabre\[postgres\]"):
        migrate("postgresql://nobody@127.0.0.1/nothing")


def test_a_storage_without_its_driver_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "graph.storage.postgres", None)
    with pytest.raises(DriverMissing, match=r"palabre\[postgres\]"):
        Storage.at("postgresql://nobody@127.0.0.1/nothing")
