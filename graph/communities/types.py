"""What a client can see of communities and of who belongs to them."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import sqlalchemy as sa
import strawberry

from graph import pages
from graph.access import SEE_COMMUNITY, SEE_MEMBERSHIP
from graph.execution.fields import Asking, Columns, Entity, batched, carried, later, value
from graph.nodes import Node, global_id, one
from graph.pages import After, Before, First, Last
from graph.posts import feeds
from graph.scalars import Cursor, Instant, Markdown
from graph.storage.rows import Row, among
from graph.storage.tables import communities, memberships
from graph.users.types import User, UserRole

if TYPE_CHECKING:
    from graph.posts.types import PostConnection


@strawberry.enum(description="Who may read a community.")
class CommunityVisibility(Enum):
    PUBLIC = strawberry.enum_value("PUBLIC", description="Everybody reads, and whoever is signed in may join.")
    PRIVATE = strawberry.enum_value("PRIVATE", description="Only members know that it exists; moderators add them.")


@strawberry.type(description="A person's place in a community.")
class CommunityMembership(Node, Entity):
    table = memberships
    see = SEE_MEMBERSHIP

    id: strawberry.ID = global_id("CommunityMembership", memberships.c.id)
    user: User = one(memberships.c.user_id, lambda: User, description="Who belongs to the community.")
    community: "Community" = one(
        memberships.c.community_id, lambda: Community, description="The community that the person belongs to."
    )
    role: UserRole = value(memberships.c.role, description="What the person may do in this community.")
    created_at: Instant = value(memberships.c.created_at, description="Since when the person belongs to it.")


@strawberry.type(description="An entry of a CommunityMembershipConnection.")
class CommunityMembershipEdge:
    cursor: Cursor = pages.cursor_field()
    node: CommunityMembership = carried("node", lambda: CommunityMembership, description="The membership.")


@strawberry.type(description="A page of memberships.")
class CommunityMembershipConnection:
    edges: list[CommunityMembershipEdge] = strawberry.field(description="The entries of this page, with their cursors.")
    nodes: list[CommunityMembership] = carried(
        "rows", lambda: CommunityMembership, description="The memberships of this page."
    )
    page_info: pages.PageInfo = pages.page_info_field()
    total_count: int | None = pages.total_count_field()


# By the age of the account: the unique index of memberships is in this order.
BY_PERSON = pages.Order("members", (memberships.c.user_id,))


async def load_members(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    first: First = strawberry.UNSET,
    after: After = strawberry.UNSET,
    last: Last = strawberry.UNSET,
    before: Before = strawberry.UNSET,
) -> list[pages.Page]:
    asked = pages.Slice.of(first, after, last, before)
    places = [community for (community,) in owners]
    # Whoever may see a community may see who belongs to it.
    return await pages.page_per_owner(asking, wanted, BY_PERSON, asked, memberships.c.community_id, places, [])


async def load_viewer_roles(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[str | None]:
    viewer_id = asking.audience.viewer_id
    if viewer_id is None:
        return [None for _ in owners]
    mine = (memberships.c.user_id == viewer_id) & among(memberships.c.community_id, [key for (key,) in owners])
    found = await asking.rows.rows(sa.select(memberships.c.community_id, memberships.c.role).where(mine))
    roles: dict[int, str] = dict(found)  # by community
    return [roles.get(community) for (community,) in owners]


@strawberry.type(description="A place with its own members and moderators.")
class Community(Node, Entity):
    table = communities
    see = SEE_COMMUNITY

    id: strawberry.ID = global_id("Community", communities.c.id)
    slug: str = value(communities.c.slug, description="Its name in addresses; unique.")
    name: str = value(communities.c.name, description="Its name for people.")
    description: Markdown | None = value(communities.c.description, description="What it is about.")
    visibility: CommunityVisibility = value(communities.c.visibility, description="Who may read it.")
    created_at: Instant = value(communities.c.created_at, description="When it was founded.")
    viewer_role: UserRole | None = batched(
        communities.c.id,
        load=load_viewer_roles,
        per_viewer=True,
        description="What the viewer may do in it; null when the viewer is no member.",
    )
    members: CommunityMembershipConnection = batched(
        communities.c.id,
        load=load_members,
        entity=lambda: CommunityMembership,
        description="Who belongs to it, the oldest account first.",
    )
    posts: Annotated["PostConnection", strawberry.lazy("graph.posts.types")] = batched(
        communities.c.id,
        load=feeds.load_community_feed,
        entity=later("graph.posts.types", "Post"),
        description="What is published in it.",
    )


@strawberry.type(description="An entry of a CommunityConnection.")
class CommunityEdge:
    cursor: Cursor = pages.cursor_field()
    node: Community = carried("node", lambda: Community, description="The community.")


@strawberry.type(description="A page of communities.")
class CommunityConnection:
    edges: list[CommunityEdge] = strawberry.field(description="The entries of this page, with their cursors.")
    nodes: list[Community] = carried("rows", lambda: Community, description="The communities of this page.")
    page_info: pages.PageInfo = pages.page_info_field()
    total_count: int | None = pages.total_count_field()
