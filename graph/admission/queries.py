"""What a client may ask about how people come into communities."""

from typing import Annotated

import sqlalchemy as sa
import strawberry

from graph.admission import store
from graph.admission.types import CommunityPreview
from graph.context import Info
from graph.scalars import Instant, Markdown
from graph.storage.tables import communities
from graph.storage.tables import community_invitations as invitations
from graph.users.tokens import SECRET_LIMIT, hash_of


async def invited_by_code(
    info: Info, code: Annotated[str, strawberry.argument(description="The code of a link.")]
) -> CommunityPreview | None:
    """Not planned: whether a link is good depends on the clock."""
    rows, now = info.context.asking.rows, info.context.services.now()
    link = await store.invitation(rows, code_hash=hash_of(code[:SECRET_LIMIT]))
    if link is None or not store.link_of(link).is_good(now):
        return None
    shown = (communities.c.name, communities.c.description, communities.c.member_count)
    mine = communities.c.id == link[invitations.c.community_id]
    [(name, description, members)] = await rows.rows(sa.select(*shown).where(mine))
    expires_at = link[invitations.c.expires_at]
    return CommunityPreview(
        name=name,
        description=None if description is None else Markdown(description),
        member_count=members,
        expires_at=None if expires_at is None else Instant(expires_at),
    )


@strawberry.type
class AdmissionQueries:
    community_by_invitation: CommunityPreview | None = strawberry.field(
        resolver=invited_by_code,
        description="What a link invites to, by its code; null where it is not good (any more).",
    )
