"""The schema: every subject's fields, side by side."""

from collections.abc import Sequence
from typing import Annotated, Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from graph import ids
from graph.admission.mutations import AdmissionMutations
from graph.admission.queries import AdmissionQueries
from graph.admission.types import CommunityInvitation, CommunityJoinRequest
from graph.comments.live import EVENT_TYPES, Subscription
from graph.comments.mutations import CommentMutations
from graph.comments.queries import CommentQueries
from graph.comments.types import Comment
from graph.communities.mutations import CommunityMutations
from graph.communities.queries import CommunityQueries
from graph.communities.types import Community, CommunityBan, CommunityMembership
from graph.context import Info
from graph.errors import ERROR_TYPES, RequestErrorCode, request_error
from graph.execution.fields import Entity, all_columns
from graph.mail.mutations import MailMutations
from graph.nodes import Node, by_keys
from graph.phrases import phrase
from graph.posts.mutations import PostMutations
from graph.posts.queries import PostQueries
from graph.posts.types import Post, Revision
from graph.scalars import SCALARS
from graph.users.mutations import UserMutations
from graph.users.queries import UserQueries
from graph.users.types import ApiToken, Session, User, Viewer

NODES: dict[str, type[Entity]] = {
    "ApiToken": ApiToken,
    "Comment": Comment,
    "Community": Community,
    "CommunityBan": CommunityBan,
    "CommunityInvitation": CommunityInvitation,
    "CommunityJoinRequest": CommunityJoinRequest,
    "CommunityMembership": CommunityMembership,
    "Post": Post,
    "Revision": Revision,
    "Session": Session,
    "User": User,
    "Viewer": Viewer,
}


async def load_nodes(info: Info, given: Sequence[str]) -> list[Any]:
    """The visible ones of these things, in the order asked; None for the others."""
    named = [_parsed(one) for one in given]
    found: dict[tuple[str, int], Any] = {}
    for name in sorted({name for name, _ in named if name in NODES}):
        keys = {key for of, key in named if of == name}
        rows = await by_keys(info.context.asking, all_columns(NODES[name]), keys)
        found |= {(name, key): NODES[name].of(row) for key, row in rows.items()}
    return [found.get(one) for one in named]


def _parsed(given: str) -> tuple[str, int]:
    try:
        return ids.parse_global_id(given)
    except ids.Malformed as wrong:
        message = phrase("This id is malformed: {reason}.", reason=wrong.reason)
        raise request_error(message, "ID_INVALID", id=given[:100]) from wrong


NODES_LIMIT = 100  # ids in one `nodes`


async def node(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="A global id.")]
) -> Node | None:
    [found] = await load_nodes(info, [id])
    thing: Node | None = found
    return thing


async def nodes(
    info: Info,
    ids: Annotated[list[strawberry.ID], strawberry.argument(description=f"At most {NODES_LIMIT} global ids.")],
) -> list[Node | None]:
    if len(ids) > NODES_LIMIT:
        message = phrase("`nodes` takes at most {limit} ids.", limit=NODES_LIMIT)
        raise request_error(message, "VALIDATION", limit=NODES_LIMIT)
    return await load_nodes(info, ids)


@strawberry.type(description="What one can ask.")
class Query(PostQueries, CommentQueries, UserQueries, CommunityQueries, AdmissionQueries):
    node: Node | None = strawberry.field(
        resolver=node, description="Anything by its id; null where there is none or the viewer may not see it."
    )
    nodes: list[Node | None] = strawberry.field(resolver=nodes, description="The same for several ids, in their order.")


@strawberry.type(description="What one can do.  One act, one input, one payload.")
class Mutation(UserMutations, MailMutations, CommunityMutations, AdmissionMutations, PostMutations, CommentMutations):
    pass


def create_schema() -> strawberry.Schema:
    return strawberry.Schema(
        Query,
        Mutation,
        Subscription,
        types=[*ERROR_TYPES, RequestErrorCode, *NODES.values(), *EVENT_TYPES],
        config=StrawberryConfig(scalar_map=SCALARS),
    )


schema = create_schema()
