"""What a client can see of communities and of who belongs to them."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from graph import access, pages
from graph.access import SEE_BAN, SEE_COMMUNITY, SEE_MEMBERSHIP
from graph.admission import lists
from graph.audience import Audience
from graph.communities import belonging
from graph.communities.members import load_members
from graph.execution.fields import Asking, Columns, Entity, batched, carried, later, value
from graph.nodes import Node, global_id, one
from graph.posts import feeds
from graph.scalars import Cursor, Instant, Markdown
from graph.storage.rows import Row
from graph.storage.tables import communities, community_bans, memberships
from graph.users.types import User, UserRole

if TYPE_CHECKING:
    from graph.admission.types import CommunityInvitationConnection, CommunityJoinRequestConnection
    from graph.posts.types import PostConnection


@strawberry.enum(description="Who may read a community.")
class CommunityVisibility(Enum):
    PUBLIC = strawberry.enum_value("PUBLIC", description="Everybody reads.")
    PRIVATE = strawberry.enum_value(
        "PRIVATE", description="Only members read, and only they and who is invited know that it exists."
    )


@strawberry.enum(description="How one becomes a member of a community.  May grow.")
class CommunityJoining(Enum):
    OPEN = strawberry.enum_value("OPEN", description="Whoever is signed in joins at once.")
    REQUEST = strawberry.enum_value("REQUEST", description="One asks, and its moderators let one in.")
    INVITATION = strawberry.enum_value(
        "INVITATION", description="One is invited or added by its moderators; always so where it is private."
    )


@strawberry.enum(description="Who publishes in a community.  Whoever reads in it may answer.  May grow.")
class CommunityPosting(Enum):
    MEMBERS = strawberry.enum_value("MEMBERS", description="All members.")
    MODERATORS = strawberry.enum_value("MODERATORS", description="Its moderators and admins.")


@strawberry.type(description="A person's place in a community.")
class CommunityMembership(Node, Entity):
    table = memberships
    see = SEE_MEMBERSHIP

    id: strawberry.ID = global_id("CommunityMembership", memberships.c.id)
    user: User = one(memberships.c.user_id, lambda: User, description="Who belongs to the community.")
    community: Annotated["Community", strawberry.lazy("graph.communities.types")] = one(
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


@strawberry.type(description="Somebody who may not write in a community, nor come back to it.")
class CommunityBan(Node, Entity):
    table = community_bans
    see = SEE_BAN

    id: strawberry.ID = global_id("CommunityBan", community_bans.c.id)
    user: User = one(community_bans.c.user_id, lambda: User, description="Who is banned.")
    community: Annotated["Community", strawberry.lazy("graph.communities.types")] | None = one(
        community_bans.c.community_id,
        lambda: Community,
        description="The community; null where it is private and the viewer is out of it.",
    )
    reason: str | None = value(community_bans.c.reason, description="Why, in the words of who decided it.")
    banned_by: User = one(community_bans.c.banned_by_id, lambda: User, description="Who decided it.")
    created_at: Instant = value(community_bans.c.created_at, description="Since when.")


@strawberry.type(description="An entry of a CommunityBanConnection.")
class CommunityBanEdge:
    cursor: Cursor = pages.cursor_field()
    node: CommunityBan = carried("node", lambda: CommunityBan, description="The ban.")


@strawberry.type(description="A page of bans.")
class CommunityBanConnection:
    edges: list[CommunityBanEdge] = strawberry.field(description="The entries of this page, with their cursors.")
    nodes: list[CommunityBan] = carried("rows", lambda: CommunityBan, description="The bans of this page.")
    page_info: pages.PageInfo = pages.page_info_field()
    total_count: int | None = pages.total_count_field()


@strawberry.type(description="Per viewer: what the viewer may do in a community; all false when signed out.")
class CommunityPermissions:
    join: bool = strawberry.field(description="Become a member at once, by `joinCommunity`.")
    request_to_join: bool = strawberry.field(description="Ask to be let in, by `requestToJoinCommunity`.")
    post: bool = strawberry.field(description="Publish in it.")
    moderate: bool = strawberry.field(description="Invite and let in members, remove and ban them.")
    administer: bool = strawberry.field(description="Change its settings, and decide on moderators and admins.")


_PERMITTING = (
    communities.c.id,
    communities.c.visibility,
    communities.c.joining,
    communities.c.posting,
    communities.c.archived_at,
)


async def load_permissions(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[CommunityPermissions]:
    """Owners are the values of _PERMITTING."""
    roles = await belonging.roles(asking, [owner[0] for owner in owners])
    return [_permissions(asking.audience, owner, roles.get(owner[0])) for owner in owners]


def _permissions(audience: Audience, owner: Row, role: str | None) -> CommunityPermissions:
    facts = dict(zip(_PERMITTING, owner, strict=True))
    return CommunityPermissions(
        join=access.JOIN_COMMUNITY.holds(audience, facts),
        request_to_join=access.REQUEST_TO_JOIN.holds(audience, facts),
        post=access.WRITE_POST_IN_COMMUNITY.holds(audience, facts),
        moderate=access.MANAGE_COMMUNITY.holds(audience, facts),
        administer="ADMIN" in (audience.role, role),
    )


async def load_viewer_roles(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[str | None]:
    roles = await belonging.roles(asking, [community for (community,) in owners])
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
    joining: CommunityJoining = value(communities.c.joining, description="How one becomes a member.")
    posting: CommunityPosting = value(communities.c.posting, description="Who publishes in it.")
    created_at: Instant = value(communities.c.created_at, description="When it was founded.")
    archived_at: Instant | None = value(
        communities.c.archived_at,
        description="Since when it is only read: nobody writes in it or joins it; null: it is in use.",
    )
    revision: int = value(communities.c.revision, description="Number of the present settings; for `expectedRevision`.")
    member_count: int = value(communities.c.member_count, description="How many people belong to it.")
    post_count: int = value(communities.c.post_count, description="How many posts are published in it.")
    viewer_role: UserRole | None = batched(
        communities.c.id,
        load=load_viewer_roles,
        per_viewer=True,
        description="What the viewer may do in it; null when the viewer is no member.",
    )
    viewer_membership: CommunityMembership | None = batched(
        communities.c.id,
        load=belonging.load_viewer_memberships,
        entity=lambda: CommunityMembership,
        per_viewer=True,
        description="Per viewer: their place in it; null when the viewer is no member.",
    )
    viewer_permissions: CommunityPermissions = batched(
        *_PERMITTING,
        load=load_permissions,
        per_viewer=True,
        description="Per viewer: what the viewer may do in it.",
    )
    members: CommunityMembershipConnection = batched(
        communities.c.id,
        communities.c.visibility,
        communities.c.member_count,
        load=load_members,
        entity=lambda: CommunityMembership,
        description="Who belongs to it, for all who may read in it; empty for who is only invited.",
    )
    bans: CommunityBanConnection = batched(
        communities.c.id,
        load=belonging.load_bans,
        entity=lambda: CommunityBan,
        description="Who is banned from it, the last one first, for those who moderate it; empty for everybody else.",
    )
    invitations: Annotated["CommunityInvitationConnection", strawberry.lazy("graph.admission.types")] = batched(
        communities.c.id,
        load=lists.load_invitations,
        entity=later("graph.admission.types", "CommunityInvitation"),
        description="Invitations to people that wait for an answer, and links, the last one first, for those who "
        "moderate it; empty for everybody else.",
    )
    join_requests: Annotated["CommunityJoinRequestConnection", strawberry.lazy("graph.admission.types")] = batched(
        communities.c.id,
        load=lists.load_requests,
        entity=later("graph.admission.types", "CommunityJoinRequest"),
        description="Requests that wait for an answer, the oldest first, for those who moderate it; empty for "
        "everybody else.",
    )
    posts: Annotated["PostConnection", strawberry.lazy("graph.posts.types")] = batched(
        communities.c.id,
        communities.c.visibility,
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
