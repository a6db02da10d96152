"""Things with a global id: the Node interface, and fields that lead from one thing to another."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import sqlalchemy as sa
import strawberry

from graph import ids
from graph.errors import request_error
from graph.execution.fields import Asking, Columns, Entity, Need, batched, value
from graph.phrases import phrase
from graph.storage.rows import Row, among


@strawberry.interface(description="Anything with a global id, to be fetched by `node`.")
class Node:
    id: strawberry.ID = strawberry.field(description="Global and opaque; the same for ever.")


def global_id(type_name: str, key: sa.Column[int]) -> Any:
    def encode(row_key: int) -> str:
        return ids.global_id(type_name, row_key)

    return value(key, through=encode, description="Global and opaque; the same for ever.")


def global_id_or_none(type_name: str, key: Need, description: str) -> Any:
    def encode(row_key: int | None) -> str | None:
        return None if row_key is None else ids.global_id(type_name, row_key)

    return value(key, through=encode, description=description)


def key_or_error(global_id: str, *type_names: str) -> int:
    """The key in a global id of one of these types; a malformed one is the client's error."""
    try:
        return ids.key_of(global_id, *type_names)
    except ids.Malformed as wrong:
        message = phrase("This id is malformed: {reason}.", reason=wrong.reason)
        raise request_error(message, "ID_INVALID", id=global_id[:100]) from wrong


async def by_keys(asking: Asking, wanted: Columns, keys: Collection[int]) -> dict[int, Row]:
    """The visible ones of these rows, by key."""
    if not keys:
        return {}
    entity = wanted.entity
    place = wanted.index(entity.table.c.id)
    statement = sa.select(*wanted.list).where(among(entity.table.c.id, sorted(keys)), entity.see.where(asking.audience))
    return {row[place]: tuple(row) for row in await asking.rows.rows(statement)}


async def load_by_key(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[Row | None]:
    found = await by_keys(asking, wanted, {key for (key,) in owners if key is not None})
    return [found.get(key) for (key,) in owners]


async def load_lists_by_key(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[list[Row]]:
    """For a need that is a sequence of keys: the visible ones, in its order."""
    found = await by_keys(asking, wanted, {key for (keys,) in owners for key in keys})
    return [[found[key] for key in keys if key in found] for (keys,) in owners]


def one(key: Need, entity: Callable[[], type[Entity]], *, description: str) -> Any:
    """The thing whose key the owner holds; null where there is none or the audience may not see it."""
    return batched(key, load=load_by_key, entity=entity, description=description)


def several(keys: Need, entity: Callable[[], type[Entity]], *, description: str) -> Any:
    return batched(keys, load=load_lists_by_key, entity=entity, description=description)
