"""What a client can see of how people come into communities."""

from enum import Enum

import strawberry

from graph import pages
from graph.access import SEE_INVITATION, SEE_JOIN_REQUEST
from graph.communities.types import Community
from graph.execution.fields import Entity, carried, value
from graph.nodes import Node, global_id, one
from graph.scalars import Cursor, Instant, Markdown
from graph.storage.tables import community_invitations, community_requests
from graph.users.types import User


@strawberry.enum(description="What became of an invitation or a request.  May grow.")
class AdmissionAnswer(Enum):
    PENDING = strawberry.enum_value("PENDING", description="It waits; a link stays so while it is used.")
    ACCEPTED = strawberry.enum_value("ACCEPTED", description="The person became a member.")
    DECLINED = strawberry.enum_value("DECLINED", description="Who was asked said no.")
    WITHDRAWN = strawberry.enum_value("WITHDRAWN", description="Who asked took it back.")


@strawberry.type(
    description="Lets somebody see a community and join it: one person, or whoever has the code of a link."
)
class CommunityInvitation(Node, Entity):
    table = community_invitations
    see = SEE_INVITATION

    id: strawberry.ID = global_id("CommunityInvitation", community_invitations.c.id)
    community: Community | None = one(
        community_invitations.c.community_id,
        lambda: Community,
        description="Where to; null where it is private and the viewer may not know of it any more.",
    )
    invitee: User | None = one(
        community_invitations.c.user_id, lambda: User, description="Who is invited; null: it is a link."
    )
    inviter: User = one(community_invitations.c.inviter_id, lambda: User, description="Who invites.")
    answer: AdmissionAnswer = value(community_invitations.c.answer, description="What became of it.")
    uses: int = value(community_invitations.c.uses, description="How many have joined by this link.")
    uses_limit: int | None = value(
        community_invitations.c.uses_limit, description="How many may join by this link; null: any number."
    )
    created_at: Instant = value(community_invitations.c.created_at, description="When it was made.")
    expires_at: Instant | None = value(
        community_invitations.c.expires_at, description="When this link ends by itself; null: never."
    )


@strawberry.type(description="An entry of a CommunityInvitationConnection.")
class CommunityInvitationEdge:
    cursor: Cursor = pages.cursor_field()
    node: CommunityInvitation = carried("node", lambda: CommunityInvitation, description="The invitation.")


@strawberry.type(description="A page of invitations.")
class CommunityInvitationConnection:
    edges: list[CommunityInvitationEdge] = strawberry.field(description="The entries of this page, with their cursors.")
    nodes: list[CommunityInvitation] = carried(
        "rows", lambda: CommunityInvitation, description="The invitations of this page."
    )
    page_info: pages.PageInfo = pages.page_info_field()
    total_count: int | None = pages.total_count_field()


@strawberry.type(description="Somebody asks to be let into a community.")
class CommunityJoinRequest(Node, Entity):
    table = community_requests
    see = SEE_JOIN_REQUEST

    id: strawberry.ID = global_id("CommunityJoinRequest", community_requests.c.id)
    community: Community | None = one(
        community_requests.c.community_id,
        lambda: Community,
        description="Where to; null where it has become private since.",
    )
    user: User = one(community_requests.c.user_id, lambda: User, description="Who asks.")
    message: str | None = value(community_requests.c.message, description="What the person says to the moderators.")
    answer: AdmissionAnswer = value(community_requests.c.answer, description="What became of it.")
    created_at: Instant = value(community_requests.c.created_at, description="When it was made.")
    answered_at: Instant | None = value(
        community_requests.c.answered_at, description="When it was answered or withdrawn; null: it waits."
    )


@strawberry.type(description="An entry of a CommunityJoinRequestConnection.")
class CommunityJoinRequestEdge:
    cursor: Cursor = pages.cursor_field()
    node: CommunityJoinRequest = carried("node", lambda: CommunityJoinRequest, description="The request.")


@strawberry.type(description="A page of requests to join.")
class CommunityJoinRequestConnection:
    edges: list[CommunityJoinRequestEdge] = strawberry.field(
        description="The entries of this page, with their cursors."
    )
    nodes: list[CommunityJoinRequest] = carried(
        "rows", lambda: CommunityJoinRequest, description="The requests of this page."
    )
    page_info: pages.PageInfo = pages.page_info_field()
    total_count: int | None = pages.total_count_field()


@strawberry.type(description="What a link invites to, before one accepts.")
class CommunityPreview:
    name: str = strawberry.field(description="The community's name.")
    description: Markdown | None = strawberry.field(description="What it is about.")
    member_count: int = strawberry.field(description="How many people belong to it.")
    expires_at: Instant | None = strawberry.field(description="When the link ends by itself; null: never.")
