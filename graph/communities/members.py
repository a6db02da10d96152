"""The members of a community, page by page, for all who may read in it."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated, Final

import strawberry

from graph import access
from graph.communities.belonging import pages_by_key
from graph.communities.rules import RANKS
from graph.execution.fields import Asking, Columns
from graph.pages import After, Before, First, Last, Order, Page, Slice, empty_page
from graph.storage.rows import Row
from graph.storage.tables import communities, memberships
from graph.users.types import UserRole


@strawberry.enum(description="Order of members.  May grow.")
class MemberSort(Enum):
    ROLE = strawberry.enum_value(
        "ROLE", description="Admins, then moderators, then members; each the longest in first."
    )
    JOINED = strawberry.enum_value("JOINED", description="The longest in first.")


# Each column list ends an index that begins with (community_id).
ORDERS: Final = {
    MemberSort.ROLE: Order("members-role", (memberships.c.rank, memberships.c.created_at, memberships.c.id)),
    MemberSort.JOINED: Order("members-joined", (memberships.c.created_at, memberships.c.id)),
}


async def load_members(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    sort: Annotated[MemberSort, strawberry.argument(description="Their order.")] = MemberSort.ROLE,
    role: Annotated[
        UserRole | None, strawberry.argument(description="Only those with this role in it.")
    ] = strawberry.UNSET,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[Page]:
    """Owners are (community id, visibility, member count)."""
    asked = Slice.of(first, after, last, before)
    facts = {key: {communities.c.id: key, communities.c.visibility: visibility} for key, visibility, _ in owners}
    readable = [key for key, each in facts.items() if access.READ_COMMUNITY.holds(asking.audience, each)]
    where = [] if role is None else [memberships.c.rank == RANKS[role.name]]
    found = await pages_by_key(asking, wanted, ORDERS[sort], asked, memberships.c.community_id, readable, where)
    for key, _, members in owners:
        if key in found and role is None:
            found[key].total_count = members
    return [found.get(key) or empty_page() for key, _, _ in owners]
