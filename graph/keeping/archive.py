"""An archive as a file: a zip with a manifest and one file of lines per table, written and read as a stream."""

import contextlib
import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from graph.keeping.rules import (
    LINE_BYTES,
    MANIFEST,
    MANIFEST_BYTES,
    Manifest,
    Part,
    Shape,
    UnreadableArchive,
    Value,
    file_of,
    line_of,
    manifest_of,
    manifest_text,
    reader,
)

COMPRESSION: Final = 6  # zlib's own choice: 9 took half as long again for one hundredth less

Told = Callable[[int], None]  # so many rows more


class Writer:
    """Writes the tables one after another, and the manifest last: without its end a zip cannot be opened."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION)
        self.parts: list[Part] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    @contextlib.contextmanager
    def table(self, shape: Shape) -> Iterator["TableWriter"]:
        with self._zip.open(file_of(shape), "w", force_zip64=True) as opened:
            table = TableWriter(shape, opened)
            yield table
        self.parts.append(table.part())

    def finish(self, manifest: Manifest) -> None:
        self._zip.writestr(MANIFEST, manifest_text(manifest))


class TableWriter:
    def __init__(self, shape: Shape, file: IO[bytes]) -> None:
        self._shape, self._file = shape, file
        self._rows = self._bytes = 0
        self._hash = hashlib.sha256()

    def write(self, rows: Sequence[Sequence[Value]]) -> None:
        text = b"".join(line_of(self._shape, row) for row in rows)
        self._file.write(text)
        self._hash.update(text)
        self._rows += len(rows)
        self._bytes += len(text)

    def part(self) -> Part:
        return Part(self._shape, self._rows, self._bytes, self._hash.hexdigest())


@dataclass(frozen=True, slots=True)
class Archive:
    """One that opened and says what it is; `verify` tells whether it is whole."""

    zip: zipfile.ZipFile
    manifest: Manifest

    def rows(self, part: Part) -> Iterator[dict[str, Value]]:
        """Row by row.  Raises UnreadableArchive, at the end at the latest, when they are not those of the manifest."""
        read = reader(part.shape)
        count, sums = 0, hashlib.sha256()
        for line in self._lines(part):
            sums.update(line)
            count += 1
            yield read(line)
        if count != part.rows:
            raise UnreadableArchive(f"its table {part.shape.name} has {count} rows where {part.rows} were written")
        if sums.hexdigest() != part.sha256:
            raise UnreadableArchive(f"its table {part.shape.name} is not as it was written")

    def _lines(self, part: Part) -> Iterator[bytes]:
        with _telling(f"its table {part.shape.name} is damaged"), self.zip.open(part.file) as opened:
            while line := opened.readline(LINE_BYTES):
                if not line.endswith(b"\n"):
                    raise UnreadableArchive(f"a line of its table {part.shape.name} is cut off or too long")
                yield line

    def verify(self, told: Told = lambda rows: None) -> None:
        """Read all of it.  Raises UnreadableArchive."""
        expected = {MANIFEST, *(part.file for part in self.manifest.parts)}
        if sorted(self.zip.namelist()) != sorted(expected):
            raise UnreadableArchive("it does not hold exactly the files that its manifest names")
        for part in self.manifest.parts:
            for _ in self.rows(part):
                told(1)


@contextlib.contextmanager
def opened(file: Path) -> Iterator[Archive]:
    """Raises UnreadableArchive where it is none that this program can read, and OSError."""
    with file.open("rb") as raw, contextlib.ExitStack() as stack:
        with _telling("it is cut off, or no archive of Palabre"):
            zipped = stack.enter_context(zipfile.ZipFile(raw))
            text = _manifest_text(zipped)
        yield Archive(zipped, manifest_of(text))


def _manifest_text(zipped: zipfile.ZipFile) -> bytes:
    with zipped.open(MANIFEST) as opened:
        return opened.read(MANIFEST_BYTES)


@contextlib.contextmanager
def _telling(complaint: str) -> Iterator[None]:
    """All that the library says of a broken file, in one word of ours."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError) as error:
        raise UnreadableArchive(complaint) from error
