"""What a client may ask about people."""

from collections.abc import Sequence
from typing import Annotated

import sqlalchemy as sa
import strawberry

from graph.errors import request_error
from graph.execution.fields import Asking, Columns, batched
from graph.nodes import key_or_error
from graph.storage.rows import Row
from graph.storage.tables import users
from graph.users import rules, store
from graph.users.types import User, Viewer


async def load_viewer(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[Row | None]:
    viewer_id = asking.audience.viewer_id
    found = await _first(asking, wanted, users.c.id == viewer_id) if viewer_id is not None else None
    return [found for _ in owners]


async def load_user(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    id: Annotated[strawberry.ID | None, strawberry.argument(description="The person's global id.")] = strawberry.UNSET,
    handle: Annotated[
        str | None, strawberry.argument(description="The person's handle in any case, without `@`.")
    ] = strawberry.UNSET,
) -> list[Row | None]:
    if (id is None) == (handle is None):
        raise request_error("Give either `id` or `handle`.", "VALIDATION")
    if id is not None:
        mine = users.c.id == key_or_error(id, "User")
    else:
        assert handle is not None
        mine = store.called(rules.handle_key(handle))
    found = await _first(asking, wanted, mine)
    return [found for _ in owners]


async def _first(asking: Asking, wanted: Columns, mine: sa.ColumnElement[bool]) -> Row | None:
    wanted.index(users.c.id)  # a statement selects at least one column
    statement = sa.select(*wanted.list).where(mine, wanted.entity.see.where(asking.audience))
    found = await asking.rows.rows(statement)
    return found[0] if found else None


@strawberry.type
class UserQueries:
    viewer: Viewer | None = batched(
        load=load_viewer,
        entity=lambda: Viewer,
        per_viewer=True,
        description="The account of who asks; null when nobody is signed in.",
    )
    user: User | None = batched(
        load=load_user, entity=lambda: User, description="A person, by id or by handle; null when there is none."
    )
