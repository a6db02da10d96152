"""A row as the `databases` API gives it: values by place, by name, by column and as attributes."""

import functools
from collections.abc import Callable, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any

import databases.interfaces
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler


class Columns:
    """What the rows of one statement have in common."""

    def __init__(
        self, names: Sequence[str], places: dict[Any, int], reading: Sequence[Callable[[Any], Any] | None]
    ) -> None:
        self.names, self.places, self.reading = names, places, reading


class Record(databases.interfaces.Record):
    __slots__ = ("_columns", "_values")

    def __init__(self, columns: Columns, values: Iterable[Any]) -> None:
        self._columns = columns
        self._values = tuple(
            value if read is None else read(value) for read, value in zip(columns.reading, values, strict=True)
        )

    @property
    def _mapping(self) -> Mapping[str, Any]:
        return dict(zip(self._columns.names, self._values, strict=True))

    def keys(self) -> KeysView[str]:
        return self._mapping.keys()

    def values(self) -> ValuesView[Any]:
        return self._mapping.values()

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, int | slice):
            return self._values[key]
        place = self._columns.places.get(key)
        if place is None:
            place = self._columns.places[str(key)]
        return self._values[place]

    def __getattr__(self, name: str) -> Any:
        try:
            return self._values[self._columns.places[name]]
        except KeyError:
            raise AttributeError(name) from None

    def __iter__(self) -> Iterator[str]:
        """Over the names, as the API has it: `dict(record)` then works."""
        return iter(self._columns.names)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Record({self._mapping!r})"


@functools.lru_cache(maxsize=1_000)
def columns_of(compiled: SQLCompiler | None, dialect: Dialect, names: tuple[str, ...]) -> Columns:
    """`names` are the driver's: all there is to know of a plain text."""
    entries = compiled._result_columns if compiled is not None else []
    if len(entries) != len(names):
        return Columns(names, {name: place for place, name in reversed(list(enumerate(names)))}, [None] * len(names))
    places: dict[Any, int] = {}
    for place, entry in enumerate(entries):
        for key in (entry.keyname, *entry.objects):
            places.setdefault(key, place)
            if isinstance(key, sa.Column):
                places.setdefault(str(key), place)
    reading = [entry.type._cached_result_processor(dialect, None) for entry in entries]
    return Columns([entry.keyname for entry in entries], places, reading)
