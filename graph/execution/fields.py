"""How a field is declared: by where its value comes from.

A type of the schema is either an *entity*, a row of one table, or a plain object that carries values.  Each field
says what it needs of its owner and how its value is had: a pure function of these (`value`), or one batched read
for all owners at once (`batched`).  From one declaration come Strawberry's field with its batched resolver, and
what `graph.execution.plans` needs to run the whole operation level by level.
"""

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, ClassVar, Final, Protocol, Self, TypeAlias

import sqlalchemy as sa
import strawberry
from strawberry.types.field import StrawberryField

from graph.access import Rule
from graph.audience import Audience
from graph.storage.rows import Row, Rows

SOURCE: Final = "palabre.source"


@dataclass(frozen=True, slots=True)
class Asking:
    """What a read may use: rows of one view, and for whom it reads.  Holds the audience, never more of the viewer."""

    rows: Rows
    audience: Audience
    public_url: str
    now: int = 0  # µs since 1970, UTC; for what ends by itself


class Entity:
    """A type whose objects are rows of one table; `see` says which of them an audience may know of."""

    table: ClassVar[sa.Table]
    see: ClassVar[Rule]
    row: Row  # all columns of the table, in their order

    @classmethod
    def of(cls, row: Row) -> Self:
        thing = cls()
        thing.row = row
        return thing


class NoEntity(Entity):
    """Stands where a field's results carry no rows."""

    table = sa.Table("nothing", sa.MetaData())


class Columns:
    """The columns that are wanted of an entity, in the order in which its rows will hold them."""

    def __init__(self, entity: type[Entity], columns: Sequence[sa.Column[Any]] = ()) -> None:
        self.entity = entity
        self.list: list[sa.Column[Any]] = list(columns)

    def index(self, column: sa.Column[Any]) -> int:
        """Where the rows hold this column; from now on it is wanted."""
        if column not in self.list:
            self.list.append(column)
        return self.list.index(column)


def all_columns(entity: type[Entity]) -> Columns:
    return Columns(entity, list(entity.table.columns))


@cache
def _places(table: sa.Table) -> Mapping[str, int]:
    return {column.name: place for place, column in enumerate(table.columns)}


def later(module: str, name: str) -> Callable[[], type[Entity]]:
    """An entity that is imported when it is first needed: types refer to each other in circles.

    What `strawberry.lazy` is for the type of a field, this is for its rows.
    """

    def entity() -> type[Entity]:
        found: type[Entity] = getattr(import_module(module), name)
        return found

    return entity


Need: TypeAlias = "sa.Column[Any] | str"  # a column of the owner's row, or an attribute of the plain object


def take(owner: Any, needs: Sequence[Need]) -> Row:
    """The owner's values for these needs."""
    return tuple(
        getattr(owner, need) if isinstance(need, str) else owner.row[_places(need.table)[need.name]] for need in needs
    )


class Load(Protocol):
    """Reads the field for many owners at once: one result per owner, in their order.

    A result is a value; or a row, in the order of `wanted`, where the field's type is an entity; or an object
    that carries such rows.  Awaits nothing but `asking.rows`.
    """

    def __call__(
        self, asking: Asking, owners: Sequence[Row], wanted: Columns, /, **arguments: Any
    ) -> Coroutine[Any, Any, Sequence[Any]]: ...


@dataclass(frozen=True)
class Value:
    """A pure function of what is needed; of the audience too where `by_audience`."""

    needs: tuple[Need, ...]
    through: Callable[..., Any] | None
    by_audience: bool = False
    per_viewer: bool = False

    def of(self, audience: Audience, values: Row) -> Any:
        if self.through is None:
            return values[0]
        return self.through(audience, *values) if self.by_audience else self.through(*values)


@dataclass(frozen=True)
class Carried:
    """A row, or a list of rows, that a plain object carries in this attribute."""

    attribute: str
    entity: Callable[[], type[Entity]]
    per_viewer: ClassVar[bool] = False


@dataclass(frozen=True)
class Batched:
    """One read for all owners."""

    needs: tuple[Need, ...]
    load: Load
    entity: Callable[[], type[Entity]] | None = None  # whose rows the results are, or carry
    per_viewer: bool = False

    def given(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """What `load` is called with: None stands for what the client left out."""
        names = [p.name for p in inspect.signature(self.load).parameters.values() if p.default is strawberry.UNSET]
        left_out = dict.fromkeys(names)
        return left_out | {name: None if it is strawberry.UNSET else it for name, it in arguments.items()}


Source: TypeAlias = Value | Carried | Batched


def source_of(field: StrawberryField) -> Source | None:
    """None: the field is a plain attribute, or has a resolver of its own that no plan can see through."""
    found: Source | None = field.metadata.get(SOURCE)
    return found


# Declaring ------------------------------------------------------------------------------------------------------


def value(
    *needs: Need,
    description: str,
    through: Callable[..., Any] | None = None,
    by_audience: bool = False,
    per_viewer: bool = False,
    deprecated: str | None = None,
) -> Any:
    source = Value(needs, through, by_audience, per_viewer)

    def resolve(root: Any, info: strawberry.Info) -> Any:
        return source.of(info.context.asking.audience, take(root, needs))

    return _field(resolve, source, description, deprecated)


def carried(attribute: str, entity: Callable[[], type[Entity]], *, description: str) -> Any:
    def resolve(root: Any) -> Any:
        return _wrapped(getattr(root, attribute), entity())

    return _field(resolve, Carried(attribute, entity), description, None)


def batched(
    *needs: Need,
    load: Any,
    description: str,
    entity: Callable[[], type[Entity]] | None = None,
    per_viewer: bool = False,
) -> Any:
    """`load` is a Load whose keyword-only parameters are the field's arguments."""
    source = Batched(needs, load, entity, per_viewer)

    async def resolve(root: Any, info: strawberry.Info, **arguments: Any) -> Any:
        owner = () if root is None else take(root, needs)
        result = await info.context.load(source, owner, source.given(arguments))
        return result if entity is None else _wrapped(result, entity())

    _take_arguments_of(load, resolve)
    return _field(resolve, source, description, None)


def _field(resolve: Any, source: Source, description: str, deprecated: str | None) -> Any:
    return strawberry.field(
        resolver=resolve, description=description, deprecation_reason=deprecated, metadata={SOURCE: source}
    )


def _take_arguments_of(load: Any, resolve: Any) -> None:
    """Give the resolver the keyword-only parameters of `load`: Strawberry reads a field's arguments from there."""
    own = [p for p in inspect.signature(resolve).parameters.values() if p.kind is not p.VAR_KEYWORD]
    given = [p for p in inspect.signature(load).parameters.values() if p.kind is p.KEYWORD_ONLY]
    resolve.__signature__ = inspect.Signature([*own, *given])
    resolve.__annotations__ = {"root": Any, "info": strawberry.Info, **{p.name: p.annotation for p in given}}
    resolve.__module__ = load.__module__


def _wrapped(result: Any, entity: type[Entity]) -> Any:
    """Rows as Strawberry's execution wants them: objects.  Plain objects wrap what they carry by themselves."""
    if isinstance(result, tuple):
        return entity.of(result)
    if isinstance(result, list):
        return [_wrapped(item, entity) for item in result]
    return result
