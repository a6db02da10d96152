"""What an archive is: its manifest, its rows as lines of JSON, and every reason to refuse one.  Knows no file.

docs/archive.md says the same to those who write another program.
"""

import base64
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import orjson

FORMAT: Final = "palabre archive"
FORMAT_VERSION: Final = 1  # of what is on this page; a change that old readers would misread gets another
MANIFEST: Final = "manifest.json"
MANIFEST_BYTES: Final = 4 * 2**20  # at most: it names tables and columns, nothing else
LINE_BYTES: Final = 64 * 2**20  # at most, of one row

# The tables that stay behind, and why.  Every other one travels: a new table does so without a word here.
LEFT_OUT: Final[Mapping[str, str]] = {
    "epochs": "the copy begins a history of its own, so that clients of the old one are told",
    "mails": "letters leave from one place; those that wait are sent there",
    "codes": "a one-time code is good for minutes, at the place that gave it out",
    "sign_ups": "an account that waits for the code of a letter is asked for again",
}

# What lets somebody in, or might: left out on request.  Of the columns the values become null.
SECRET_TABLES: Final[Mapping[str, str]] = {
    "tokens": "they let people and programs in; the archive was written without secrets",
}
SECRET_COLUMNS: Final[Mapping[str, Collection[str]]] = {
    "users": {"password_hash"},
    "community_invitations": {"code_hash"},
}

Kind: TypeAlias = Literal["integer", "text", "bytes"]
Value: TypeAlias = int | str | bytes | None
JsonObject: TypeAlias = Mapping[str, Any]

LARGEST: Final = 2**63  # whole numbers have 64 bits in both engines


class UnreadableArchive(Exception):
    """It cannot be taken in.  The message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    kind: Kind
    required: bool = False  # has neither null nor a default to stand in when an archive lacks it


@dataclass(frozen=True, slots=True)
class Shape:
    """What a table looks like: of a schema, or as an archive holds it."""

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]  # the primary key: the order of the rows


@dataclass(frozen=True, slots=True)
class Part:
    """A table in an archive: one file, one row a line."""

    shape: Shape
    rows: int
    byte_count: int
    sha256: str

    @property
    def file(self) -> str:
        return file_of(self.shape)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself."""

    program: str
    schema_revision: str
    engine: str  # where the rows came from; they go anywhere
    made_at: str  # UTC, as ISO 8601 writes it
    with_secrets: bool
    parts: tuple[Part, ...]  # what a row refers to stands in an earlier table, or in its own
    left_out: Mapping[str, str]  # tables and why

    @property
    def rows(self) -> int:
        return sum(part.rows for part in self.parts)


def file_of(shape: Shape) -> str:
    return f"tables/{shape.name}.ndjson"


def reason_to_leave(table: str, *, with_secrets: bool) -> str | None:
    """None where the table travels."""
    return LEFT_OUT.get(table) or (None if with_secrets else SECRET_TABLES.get(table))


# Rows -------------------------------------------------------------------------------------------------------------


def line_of(shape: Shape, row: Sequence[Value]) -> bytes:
    """One row in the order of the columns."""
    values = {column.name: _told(value) for column, value in zip(shape.columns, row, strict=True)}
    return orjson.dumps(values, option=orjson.OPT_APPEND_NEWLINE)


def _told(value: Value) -> int | str | None:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


Read: TypeAlias = Callable[[bytes], dict[str, Value]]


def reader(shape: Shape) -> Read:
    """Turns a line into a row by column name, or raises UnreadableArchive."""
    names = {column.name for column in shape.columns}
    allowed = {column.name: _JSON_TYPES[column.kind] for column in shape.columns}
    encoded = [column.name for column in shape.columns if column.kind == "bytes"]

    def read(line: bytes) -> dict[str, Value]:
        row = _object(line, shape.name)
        if row.keys() != names:
            raise UnreadableArchive(f"a row of {shape.name} does not have the columns that the manifest names")
        for name, value in row.items():
            if type(value) not in allowed[name] or (type(value) is int and not -LARGEST <= value < LARGEST):
                raise UnreadableArchive(f"a row of {shape.name} has something else than was promised in {name}")
        for name in encoded:
            row[name] = _decoded(row[name], f"{shape.name}.{name}")
        return row

    return read


_JSON_TYPES: Final[Mapping[Kind, tuple[type, ...]]] = {
    "integer": (int, type(None)),
    "text": (str, type(None)),
    "bytes": (str, type(None)),
}


def _object(line: bytes, where: str) -> dict[str, Any]:
    try:
        row = orjson.loads(line)
    except ValueError:
        raise UnreadableArchive(f"a line of {where} is not JSON") from None
    if not isinstance(row, dict):
        raise UnreadableArchive(f"a line of {where} is not a JSON object")
    return row


def _decoded(value: Any, where: str) -> bytes | None:
    try:
        return None if value is None else base64.b64decode(value, validate=True)
    except ValueError:
        raise UnreadableArchive(f"a row has no base64 in {where}") from None


# The manifest -----------------------------------------------------------------------------------------------------


def manifest_text(manifest: Manifest) -> bytes:
    told = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "program": manifest.program,
        "schema_revision": manifest.schema_revision,
        "engine": manifest.engine,
        "made_at": manifest.made_at,
        "with_secrets": manifest.with_secrets,
        "rows": manifest.rows,
        "tables": [_told_part(part) for part in manifest.parts],
        "left_out": dict(manifest.left_out),
    }
    return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _told_part(part: Part) -> JsonObject:
    return {
        "name": part.shape.name,
        "file": part.file,
        "rows": part.rows,
        "bytes": part.byte_count,
        "sha256": part.sha256,
        "key": list(part.shape.key),
        "columns": {column.name: column.kind for column in part.shape.columns},
    }


def manifest_of(text: bytes) -> Manifest:
    """Raises UnreadableArchive, also for a format that only a later Palabre knows."""
    try:
        told = orjson.loads(text)
        if told["format"] != FORMAT:
            raise KeyError
        version = told["format_version"]
    except (ValueError, KeyError, TypeError):
        raise UnreadableArchive("its manifest is not that of an archive of Palabre") from None
    if version != FORMAT_VERSION:
        raise UnreadableArchive(
            f"it is of format {version!r}, which this program (which knows {FORMAT_VERSION}) cannot read; "
            "use the Palabre that wrote it, or a newer one"
        )
    try:
        return _manifest(told)
    except (KeyError, TypeError, AttributeError, ValueError):
        raise UnreadableArchive("its manifest is incomplete or altered") from None


def _manifest(told: JsonObject) -> Manifest:
    parts = tuple(_part(each) for each in told["tables"])
    if len({part.shape.name for part in parts}) != len(parts) or told["rows"] != sum(part.rows for part in parts):
        raise ValueError
    return Manifest(
        program=_text(told["program"]),
        schema_revision=_text(told["schema_revision"]),
        engine=_text(told["engine"]),
        made_at=_text(told["made_at"]),
        with_secrets=bool(told["with_secrets"]),
        parts=parts,
        left_out={_text(name): _text(reason) for name, reason in told["left_out"].items()},
    )


def _part(told: JsonObject) -> Part:
    columns = tuple(Column(name, _kind(kind)) for name, kind in told["columns"].items())
    shape = Shape(_text(told["name"]), columns, tuple(map(_text, told["key"])))
    if told["file"] != file_of(shape):
        raise ValueError
    return Part(shape, _count(told["rows"]), _count(told["bytes"]), _text(told["sha256"]))


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError
    return value


def _kind(value: object) -> Kind:
    if value not in _JSON_TYPES:
        raise ValueError
    return value  # type: ignore[return-value]  # it is one of the three


# Whether an archive and a schema belong together -------------------------------------------------------------------


def refuse_misfit(manifest: Manifest, schema: Iterable[Shape]) -> None:
    """Raises UnreadableArchive unless the archive says of each table of its schema what became of it.

    A column that it lacks is left to its default, where it has one.
    """
    known = {shape.name: shape for shape in schema}
    for part in manifest.parts:
        if part.shape.name not in known:
            raise UnreadableArchive(f"it has a table {part.shape.name}, which its schema does not know")
        _refuse_columns(part.shape, known[part.shape.name])
    missing = known.keys() - {part.shape.name for part in manifest.parts} - manifest.left_out.keys()
    if missing:
        raise UnreadableArchive(f"it says nothing of the table {min(missing)}")


def _refuse_columns(given: Shape, known: Shape) -> None:
    kinds = {column.name: column.kind for column in known.columns}
    for column in given.columns:
        if kinds.get(column.name) != column.kind:
            raise UnreadableArchive(
                f"its table {given.name} has a column {column.name} that its schema has not, or not so"
            )
    lacks = {column.name for column in known.columns if column.required} - {column.name for column in given.columns}
    if lacks:
        raise UnreadableArchive(f"its table {given.name} lacks the column {min(lacks)}")
