"""Lists of invitations and requests, read in batches: of a community for its moderators, of a person for themself."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
import strawberry

from graph.admission.store import ASKED, INVITED
from graph.communities.belonging import managed_by
from graph.execution.fields import Asking, Columns
from graph.pages import After, Before, First, Last, Order, Page, Slice, empty_page, page_per_owner
from graph.storage.rows import Row
from graph.storage.tables import community_invitations as invitations
from graph.storage.tables import community_requests as requests

# By the indexes that begin with the community or the person, and the answer.
LAST_INVITED: Final = Order("invitations", (invitations.c.created_at, invitations.c.id), descending=True)
FIRST_ASKED: Final = Order("requests", (requests.c.created_at, requests.c.id))


async def load_invitations(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (community id,)."""
    asked = Slice.of(first, after, last, before)
    return await _managed(asking, owners, wanted, LAST_INVITED, asked, invitations.c.community_id, INVITED)


async def load_requests(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (community id,)."""
    asked = Slice.of(first, after, last, before)
    return await _managed(asking, owners, wanted, FIRST_ASKED, asked, requests.c.community_id, ASKED)


async def load_own_invitations(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (person's id,)."""
    asked = Slice.of(first, after, last, before)
    return await _own(asking, owners, wanted, LAST_INVITED, asked, invitations.c.user_id, INVITED)


async def load_own_requests(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (person's id,)."""
    asked = Slice.of(first, after, last, before)
    return await _own(asking, owners, wanted, FIRST_ASKED, asked, requests.c.user_id, ASKED)


async def _managed(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    order: Order,
    asked: Slice,
    owner: sa.Column[Any],
    waiting: sa.ColumnElement[bool],
) -> list[Page]:
    managed = managed_by(asking, [key for (key,) in owners])
    found = await page_per_owner(asking, wanted, order, asked, owner, managed, [waiting])
    by_community = dict(zip(managed, found, strict=True))
    return [by_community.get(key) or empty_page() for (key,) in owners]


async def _own(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    order: Order,
    asked: Slice,
    owner: sa.Column[Any],
    waiting: sa.ColumnElement[bool],
) -> list[Page]:
    where = [waiting, wanted.entity.see.where(asking.audience)]
    return await page_per_owner(asking, wanted, order, asked, owner, [person for (person,) in owners], where)
