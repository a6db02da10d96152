"""A community moves between databases and engines with everything it has; what is broken or foreign is left outside."""

import asyncio
import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from graph.audience import VISITOR
from graph.change import Changes
from graph.exchange.demo import demo_discussion
from graph.exchange.replay import load_demo
from graph.exchange.shapes import TreeShape, load_shape
from graph.keeping import moving, rules, store
from graph.keeping.archive import opened
from graph.keeping.files import AlreadyThere
from graph.keeping.rules import Manifest, UnreadableArchive
from graph.storage.database import Storage
from graph.storage.errors import NotEmpty
from graph.storage.migrate import migrate, newest_version, tables_at
from graph.storage.tables import metadata
from graph.users.actions import create_user
from subscriptions.brokers.memory import MemoryBroker
from subscriptions.cursor import Expired, Lost
from subscriptions.log import page_after, standing
from tests.graph.keeping.filling import START, answers, contents, fill, older_versions

TABLES = [table.name for table in store.in_order(metadata)]


def new_database(folder: Path, name: str = "other.db") -> str:
    url = f"sqlite:///{folder / name}"
    migrate(url)
    return url


async def exported(storage: Storage, file: Path, **given: Any) -> Manifest:
    return await moving.export(storage, file, program="palabre 0.0.0", now=START, **given)


async def brought(file: Path, url: str) -> None:
    async with moving.readable(file) as archive, Storage.at(url) as storage:
        await moving.fill(storage, archive)


async def everything(storage: Storage) -> dict[str, list[Any]]:
    return await contents(storage, metadata)


def travelling(tables: dict[str, list[Any]]) -> dict[str, list[Any]]:
    return {name: rows for name, rows in tables.items() if name not in rules.LEFT_OUT}


async def lived_in(storage: Storage) -> None:
    """The sample discussion, a made-up one below it, and rows in every other table."""
    loaded = await load_demo(storage, demo_discussion(), START)
    [post_id, _] = loaded.post_ids.values()
    await load_shape(
        storage,
        post_id=post_id,
        author_ids=[1, 2],
        comments=700,
        shape=TreeShape.MIXED,
        begins_at=START,
        ends_at=START + 9,
    )


async def in_every_table(storage: Storage) -> None:
    await fill(storage, metadata)


@pytest.mark.parametrize("content", [lived_in, in_every_table])
async def test_a_community_moves_from_sqlite_to_postgresql_and_back_with_everything_it_has(
    sqlite_url: str, postgresql_url: str, tmp_path: Path, content: Callable[[Storage], Any]
) -> None:
    async with Storage.at(sqlite_url) as home:
        await content(home)
        before, asked = await everything(home), await answers(home)
        await exported(home, tmp_path / "out.zip")
    await brought(tmp_path / "out.zip", postgresql_url)
    async with Storage.at(postgresql_url) as abroad:
        there, asked_there = await everything(abroad), await answers(abroad)
        await exported(abroad, tmp_path / "back.zip")
    await brought(tmp_path / "back.zip", back := new_database(tmp_path))
    async with Storage.at(back) as storage:
        after, asked_after = await everything(storage), await answers(storage)
    epochs = [rows["epochs"] for rows in (before, there, after)]
    assert travelling(before) == travelling(there) == travelling(after)
    assert asked == asked_there == asked_after
    assert len({epoch for [(_, epoch)] in epochs}) == 3
    assert asked[0]["posts"]["nodes"]


async def test_every_table_travels_or_says_why_it_stays(storage: Storage, tmp_path: Path) -> None:
    written = await fill(storage, metadata)
    manifest = await exported(storage, tmp_path / "all.zip")
    travelled = {part.shape.name: part.rows for part in manifest.parts}
    assert travelled.keys() | manifest.left_out.keys() == set(TABLES)
    assert travelled.keys() & manifest.left_out.keys() == set()
    assert {name: len(written[name]) for name in travelled} == travelled
    assert all(travelled.values())
    assert set(manifest.left_out) == set(rules.LEFT_OUT)
    assert all(manifest.left_out.values())


def test_what_stays_behind_is_named_after_tables_and_columns_that_there_are() -> None:
    assert rules.LEFT_OUT.keys() | rules.SECRET_TABLES.keys() <= set(TABLES)
    for table, columns in rules.SECRET_COLUMNS.items():
        assert {column for column in columns if metadata.tables[table].c[column].nullable} == set(columns)


KNOWN_HARMLESS = {"idempotency_keys.input_hash"}


def test_what_looks_like_a_secret_is_one_or_is_known_to_be_none() -> None:
    looks = {
        f"{table.name}.{column.name}"
        for table in metadata.tables.values()
        for column in table.columns
        if any(word in column.name for word in ("hash", "secret", "password", "token", "code"))
        or isinstance(column.type, sa.LargeBinary)
    }
    secret = {f"{table}.{column}" for table, columns in rules.SECRET_COLUMNS.items() for column in columns}
    stay = tuple(f"{table}." for table in (*rules.LEFT_OUT, *rules.SECRET_TABLES))
    unknown = {name for name in looks if not name.startswith(stay)} - secret - KNOWN_HARMLESS
    assert not unknown, f"say in graph/keeping/rules.py whether {unknown} may leave in an archive"


async def test_without_secrets_nobody_can_get_in(storage: Storage, tmp_path: Path) -> None:
    written = await fill(storage, metadata)
    file = tmp_path / "all.zip"
    manifest = await exported(storage, file, with_secrets=False)
    assert set(manifest.left_out) == {*rules.LEFT_OUT, *rules.SECRET_TABLES}
    await brought(file, other := new_database(tmp_path))
    async with Storage.at(other) as there:
        after = await everything(there)
    assert after["tokens"] == []
    before = await everything(storage)
    for table, columns in rules.SECRET_COLUMNS.items():
        hidden = [column.name in columns for column in metadata.tables[table].columns]
        expected = [
            tuple(None if hide else value for hide, value in zip(hidden, row, strict=True)) for row in before[table]
        ]
        assert after[table] == expected
    with zipfile.ZipFile(file) as zipped:
        text = b"".join(zipped.read(name) for name in zipped.namelist())
    hashes = [row["password_hash"] for row in written["users"] if row["password_hash"]]
    assert hashes
    assert [each for each in hashes if json.dumps(each, ensure_ascii=False).encode() in text] == []


async def test_the_next_rows_get_new_numbers(storage: Storage, tmp_path: Path, database_url: str) -> None:
    async with Storage.at(new_database(tmp_path)) as home:
        await lived_in(home)
        await exported(home, tmp_path / "all.zip")
    await brought(tmp_path / "all.zip", database_url)
    changes = Changes(storage, MemoryBroker(), lambda: START)
    [(highest,)] = await storage.rows(sa.text("SELECT max(id) FROM users"))
    assert await changes.run(lambda change: create_user(change, handle="nova"), audience=VISITOR) == highest + 1
    if storage.engine == "postgresql":
        for table in store.in_order(metadata):
            if table.autoincrement_column is not None and table.name != "users":
                sequence = sa.func.pg_get_serial_sequence(table.name, "id")
                highest = (await storage.rows(sa.select(sa.func.coalesce(sa.func.max(table.c.id), 0))))[0][0]
                assert await storage.rows(sa.select(sa.func.nextval(sequence))) == [(highest + 1,)], table.name


async def test_a_cursor_of_the_old_place_is_told_that_this_is_another_history(
    storage: Storage, database_url: str, tmp_path: Path
) -> None:
    async with Storage.at(new_database(tmp_path)) as home:
        await lived_in(home)
        cursor = await standing(home, ["post:1"])
        await exported(home, tmp_path / "all.zip")
    assert cursor.places["post:1"].position > 0
    await brought(tmp_path / "all.zip", database_url)
    with pytest.raises(Expired) as told:
        await page_after(storage, "post:1", cursor.places["post:1"], 10, epoch=cursor.epoch)
    assert told.value.reason is Lost.EPOCH
    assert (await standing(storage, ["post:1"])).places == cursor.places


async def test_a_database_with_content_is_left_as_it_is(storage: Storage, database_url: str, tmp_path: Path) -> None:
    await fill(storage, metadata)
    await exported(storage, tmp_path / "all.zip")
    before = await everything(storage)
    with pytest.raises(NotEmpty):
        await brought(tmp_path / "all.zip", database_url)
    assert await everything(storage) == before


async def test_an_archive_is_written_as_of_one_moment_while_others_write(storage: Storage, tmp_path: Path) -> None:
    """Somebody arrives, and answers, between any two pages."""
    await lived_in(storage)
    before = await everything(storage)
    changes = Changes(storage, MemoryBroker(), lambda: START)
    arrived: list[asyncio.Future[int]] = []

    def somebody_arrives(done: int, total: int) -> None:
        name = f"late-{len(arrived)}"
        acting = changes.run(lambda change: create_user(change, handle=name), audience=VISITOR)
        arrived.append(asyncio.ensure_future(acting))

    await exported(storage, tmp_path / "all.zip", progress=somebody_arrives)
    assert len(await asyncio.gather(*arrived)) > 3
    await brought(tmp_path / "all.zip", other := new_database(tmp_path))
    async with Storage.at(other) as there:
        after = await everything(there)
    assert travelling(after) == travelling(before)


async def test_a_file_that_is_there_is_never_written_over(storage: Storage, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear Ada")
    with pytest.raises(AlreadyThere):
        await exported(storage, tmp_path / "letter.txt")
    assert (tmp_path / "letter.txt").read_text() == "Dear Ada"


async def test_an_export_that_fails_leaves_no_file(storage: Storage, tmp_path: Path) -> None:
    await fill(storage, metadata)
    folder = tmp_path / "archives"
    folder.mkdir()

    def fail(done: int, total: int) -> None:
        if done == total:
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        await exported(storage, folder / "all.zip", progress=fail)
    assert list(folder.iterdir()) == []


async def test_only_its_owner_may_read_an_archive(storage: Storage, tmp_path: Path) -> None:
    await exported(storage, tmp_path / "all.zip")
    assert (tmp_path / "all.zip").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("revision", older_versions())
async def test_an_archive_of_an_older_version_becomes_what_its_database_would_have_become(
    storage: Storage, database_url: str, bare_url: str, tmp_path: Path, revision: str
) -> None:
    await asyncio.to_thread(migrate, bare_url, revision)
    schema = await asyncio.to_thread(tables_at, bare_url)
    async with Storage.at(bare_url) as old:
        await fill(old, schema)
        await exported(old, tmp_path / "old.zip", schema=schema, revision=revision)
    await asyncio.to_thread(migrate, bare_url)
    await brought(tmp_path / "old.zip", database_url)
    async with Storage.at(bare_url) as migrated:
        assert travelling(await everything(storage)) == travelling(await everything(migrated))
        assert await answers(storage) == await answers(migrated)


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.fixture
async def archive(tmp_path: Path) -> Path:
    file = tmp_path / "all.zip"
    async with Storage.at(new_database(tmp_path, "home.db")) as home:
        await fill(home, metadata)
        await exported(home, file)
    return file


@pytest.fixture
async def refused(storage: Storage, database_url: str) -> Callable[[Path], Any]:
    """Tries to bring a file in, and gives the sentence by which it was refused; nothing has then changed."""
    before = await everything(storage)

    async def attempt(file: Path) -> str:
        with pytest.raises(UnreadableArchive) as told:
            await brought(file, database_url)
        assert await everything(storage) == before
        return str(told.value)

    return attempt


def rewritten(archive: Path, change: Callable[[dict[str, bytes]], None]) -> Path:
    """A zip without any fault, whose files are others."""
    with zipfile.ZipFile(archive) as zipped:
        files = {name: zipped.read(name) for name in zipped.namelist()}
    change(files)
    other = archive.with_name("other.zip")
    with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name, content)
    return other


def manifest_with(archive: Path, change: Callable[[Any], None]) -> Path:
    def alter(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        change(manifest)
        files["manifest.json"] = json.dumps(manifest).encode()

    return rewritten(archive, alter)


def bytes_of(file: Path) -> bytes:
    return file.read_bytes()


async def test_an_archive_that_was_only_rewritten_is_taken(archive: Path, storage: Storage, database_url: str) -> None:
    await brought(manifest_with(archive, lambda manifest: None), database_url)
    assert len((await everything(storage))["users"]) == 12


async def test_an_archive_that_is_cut_off_anywhere_is_refused(
    archive: Path, refused: Callable[[Path], Any], tmp_path: Path
) -> None:
    size = len(bytes_of(archive))
    for length in (0, 1, size // 3, size // 2, size - 30, size - 1):
        (tmp_path / "cut.zip").write_bytes(bytes_of(archive)[:length])
        assert await refused(tmp_path / "cut.zip") == "it is cut off, or no archive of Palabre"


async def test_an_archive_that_is_damaged_anywhere_is_refused(
    archive: Path, refused: Callable[[Path], Any], tmp_path: Path
) -> None:
    with zipfile.ZipFile(archive) as zipped:
        inside = [each for each in zipped.infolist() if each.file_size > 200]
    assert len(inside) > 10
    for each in inside:
        damaged = bytearray(bytes_of(archive))
        damaged[each.header_offset + 30 + len(each.filename) + 60] ^= 0x40
        (tmp_path / "damaged.zip").write_bytes(damaged)
        assert await refused(tmp_path / "damaged.zip")


@pytest.mark.parametrize("content", [b"Dear Ada", b"SQLite format 3\0" + bytes(500), b'{"posts": []}'])
async def test_a_file_of_another_kind_is_refused(
    refused: Callable[[Path], Any], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "letter").write_bytes(content)
    assert await refused(tmp_path / "letter") == "it is cut off, or no archive of Palabre"


async def test_a_zip_of_another_program_is_refused(refused: Callable[[Path], Any], tmp_path: Path) -> None:
    for name, content in {"photo.txt": "x", "manifest.json": "[]"}.items():
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as zipped:
            zipped.writestr(name, content)
        assert "archive of Palabre" in await refused(tmp_path / "photos.zip")


async def test_a_later_format_and_a_later_schema_are_refused_by_name(
    archive: Path, refused: Callable[[Path], Any]
) -> None:
    def later(manifest: Any) -> None:
        manifest["format_version"] = 2

    def newer(manifest: Any) -> None:
        manifest["schema_revision"] = "9999"

    assert await refused(manifest_with(archive, later)) == (
        "it is of format 2, which this program (which knows 1) cannot read; "
        "use the Palabre that wrote it, or a newer one"
    )
    assert await refused(manifest_with(archive, newer)) == (
        "it was written by a later Palabre (palabre 0.0.0, at version 9999 of the database, where this program knows "
        f"{newest_version()}); use that Palabre, or a newer one"
    )


def at(manifest: Any, table: str) -> Any:
    [found] = [each for each in manifest["tables"] if each["name"] == table]
    return found


def fewer_rows(manifest: Any) -> None:
    at(manifest, "users")["rows"] -= 1
    manifest["rows"] -= 1


def other_sum(manifest: Any) -> None:
    at(manifest, "users")["sha256"] = "0" * 64


def no_tables(manifest: Any) -> None:
    del manifest["tables"]


def unknown_column(manifest: Any) -> None:
    at(manifest, "pingbacks")["columns"]["nonsense"] = at(manifest, "pingbacks")["columns"].pop("url")


def other_kind(manifest: Any) -> None:
    at(manifest, "pingbacks")["columns"]["url"] = "integer"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (fewer_rows, "its table users has 12 rows where 11 were written"),
        (other_sum, "its table users is not as it was written"),
        (no_tables, "its manifest is incomplete or altered"),
        (unknown_column, "a row of pingbacks does not have the columns that the manifest names"),
        (other_kind, "a row of pingbacks has something else than was promised in url"),
    ],
)
async def test_a_manifest_that_says_something_else_than_the_tables_is_refused(
    archive: Path, refused: Callable[[Path], Any], change: Callable[[Any], None], sentence: str
) -> None:
    assert await refused(manifest_with(archive, change)) == sentence


async def test_a_table_that_is_missing_or_too_many_is_refused(archive: Path, refused: Callable[[Path], Any]) -> None:
    def lose(files: dict[str, bytes]) -> None:
        del files["tables/users.ndjson"]

    def add(files: dict[str, bytes]) -> None:
        files["tables/rooms.ndjson"] = b"{}\n"

    def forget(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        manifest["rows"] -= at(manifest, "pingbacks")["rows"]
        manifest["tables"].remove(at(manifest, "pingbacks"))
        files["manifest.json"] = json.dumps(manifest).encode()
        del files["tables/pingbacks.ndjson"]

    for change in (lose, add):
        assert await refused(rewritten(archive, change)) == "it does not hold exactly the files that its manifest names"
    assert await refused(rewritten(archive, forget)) == "it says nothing of the table pingbacks"


def replaced(archive: Path, table: str, change: Callable[[Any], None]) -> Path:
    """All sums are right: what another program could have written."""

    def alter(files: dict[str, bytes]) -> None:
        lines = files[f"tables/{table}.ndjson"].splitlines(keepends=True)
        row = json.loads(lines[0])
        change(row)
        lines[0] = json.dumps(row).encode() + b"\n"
        text = files[f"tables/{table}.ndjson"] = b"".join(lines)
        manifest = json.loads(files["manifest.json"])
        at(manifest, table).update(bytes=len(text), sha256=hashlib.sha256(text).hexdigest())
        files["manifest.json"] = json.dumps(manifest).encode()

    return rewritten(archive, alter)


async def test_rows_that_refer_to_nothing_are_refused_and_nothing_of_the_rest_is_there(
    archive: Path, storage: Storage, database_url: str
) -> None:
    before = await everything(storage)

    def orphan(row: Any) -> None:
        row["parent_id"] = 4

    with pytest.raises(Exception, match=r"(?i)foreign key"):
        await brought(replaced(archive, "comments", orphan), database_url)
    assert await everything(storage) == before


async def test_a_column_that_is_not_there_gets_its_default(archive: Path, storage: Storage, database_url: str) -> None:
    """As another program may leave out what it has no word for."""

    def alter(files: dict[str, bytes]) -> None:
        rows = [json.loads(line) for line in files["tables/users.ndjson"].splitlines()]
        for row in rows:
            del row["locale"], row["bio"]
        text = files["tables/users.ndjson"] = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        manifest = json.loads(files["manifest.json"])
        del at(manifest, "users")["columns"]["locale"], at(manifest, "users")["columns"]["bio"]
        at(manifest, "users").update(bytes=len(text), sha256=hashlib.sha256(text).hexdigest())
        files["manifest.json"] = json.dumps(manifest).encode()

    await brought(rewritten(archive, alter), database_url)
    assert set(await storage.rows(sa.text("SELECT locale, bio FROM users"))) == {("en", None)}


async def test_an_archive_that_changes_after_it_was_read_through_is_refused(
    archive: Path, storage: Storage, database_url: str
) -> None:
    before = await everything(storage)
    other = manifest_with(archive, other_sum)
    with opened(other) as unverified, pytest.raises(UnreadableArchive, match="its table users is not as it was"):
        await moving.fill(storage, unverified)
    assert await everything(storage) == before
