"""What a client can see of people: anybody's public face, and the viewer's own account."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import strawberry

from graph import pages
from graph.access import SEE_API_TOKEN, SEE_SESSION, SEE_USER, SEE_VIEWER
from graph.admission import lists
from graph.audience import Audience
from graph.communities import belonging
from graph.errors import request_error
from graph.execution.fields import Asking, Columns, Entity, batched, carried, later, value
from graph.nodes import Node, global_id, one
from graph.pages import After, Before, First, Last
from graph.phrases import phrase
from graph.scalars import URL, Cursor, Instant, Markdown
from graph.storage.rows import Row
from graph.storage.tables import tokens, users
from graph.users import store

if TYPE_CHECKING:
    from graph.admission.types import CommunityInvitationConnection, CommunityJoinRequestConnection
    from graph.communities.types import CommunityMembershipConnection


@strawberry.enum(description="A role on the whole site, or in one community.  May grow.")
class UserRole(Enum):
    MEMBER = strawberry.enum_value("MEMBER", description="Takes part.")
    MODERATOR = strawberry.enum_value("MODERATOR", description="Also decides on what others wrote.")
    ADMIN = strawberry.enum_value("ADMIN", description="Also decides on who has which role.")


async def load_urls(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[URL]:
    return [URL(f"{asking.public_url}/@{quote(handle)}") for (handle,) in owners]


@strawberry.enum(description="What an API token may be used for.  Sessions may be used for everything.  May grow.")
class TokenScope(Enum):
    READ = strawberry.enum_value("READ", description="See what the person sees, and follow it live.  Every token may.")
    WRITE = strawberry.enum_value("WRITE", description="Write, change and delete posts and comments.")
    COMMUNITIES = strawberry.enum_value(
        "COMMUNITIES", description="Join and leave communities, change them, and decide on members and what they wrote."
    )
    ACCOUNT = strawberry.enum_value(
        "ACCOUNT", description="See and change the account: profile, e-mail address, password, sessions and tokens."
    )


def shown_while_active(shown: str | None, deactivated_at: int | None) -> str | None:
    return shown if deactivated_at is None else None


def is_active(deactivated_at: int | None) -> bool:
    return deactivated_at is None


@strawberry.type(description="A person.")
class User(Node, Entity):
    table = users
    see = SEE_USER

    id: strawberry.ID = global_id("User", users.c.id)
    handle: str = value(
        users.c.handle,
        description="The name in addresses and mentions, without `@`; unique whatever its case and accents.",
    )
    display_name: str = value(users.c.display_name, description="How the person is called; not unique.")
    avatar_url: URL | None = value(
        users.c.avatar_url,
        users.c.deactivated_at,
        through=shown_while_active,
        description="A square picture; null where there is none, and while the account is closed.",
    )
    url: URL = batched(users.c.handle, load=load_urls, description="Address of the person's page.")
    bio: Markdown | None = value(
        users.c.bio,
        users.c.deactivated_at,
        through=shown_while_active,
        description="What the person says of themself; null while the account is closed.",
    )
    is_active: bool = value(
        users.c.deactivated_at,
        through=is_active,
        description="False while the account is closed, by the person or by the operator: what they wrote stays.",
    )
    role: UserRole = value(users.c.role, description="The person's role on the whole site.")
    created_at: Instant = value(users.c.created_at, description="When the account was made.")


def is_current(audience: Audience, token_id: int) -> bool:
    return audience.token_id == token_id


@strawberry.type(description="A signed-in browser, app or device of the viewer.")
class Session(Node, Entity):
    table = tokens
    see = SEE_SESSION

    id: strawberry.ID = global_id("Session", tokens.c.id)
    device: str | None = value(tokens.c.name, description="What the client called itself when it signed in.")
    created_at: Instant = value(tokens.c.created_at, description="When this session began.")
    last_used_at: Instant = value(tokens.c.last_used_at, description="When it was last used, to about a minute.")
    expires_at: Instant | None = value(tokens.c.expires_at, description="When it ends by itself.")
    is_current: bool = value(
        tokens.c.id,
        through=is_current,
        by_audience=True,
        per_viewer=True,
        description="Whether this request came with it.",
    )


@strawberry.type(
    description="A credential of a program that acts for the viewer.  The secret itself is never shown again."
)
class ApiToken(Node, Entity):
    table = tokens
    see = SEE_API_TOKEN

    id: strawberry.ID = global_id("ApiToken", tokens.c.id)
    name: str = value(tokens.c.name, description="What the token is for, in the viewer's words.")
    created_at: Instant = value(tokens.c.created_at, description="When it was made.")
    scopes: list[TokenScope] = value(tokens.c.scopes, through=str.split, description="What it may be used for.")
    last_used_at: Instant = value(tokens.c.last_used_at, description="When it was last used, to about a minute.")
    expires_at: Instant | None = value(tokens.c.expires_at, description="When it ends by itself; null: never.")


@strawberry.type(description="An entry of a SessionConnection.")
class SessionEdge:
    cursor: Cursor = pages.cursor_field()
    node: Session = carried("node", lambda: Session, description="The session.")


@strawberry.type(description="A page of sessions.")
class SessionConnection:
    edges: list[SessionEdge] = strawberry.field(description="The entries of this page, with their cursors.")
    nodes: list[Session] = carried("rows", lambda: Session, description="The sessions of this page.")
    page_info: pages.PageInfo = pages.page_info_field()
    total_count: int | None = pages.total_count_field()


@strawberry.type(description="An entry of an ApiTokenConnection.")
class ApiTokenEdge:
    cursor: Cursor = pages.cursor_field()
    node: ApiToken = carried("node", lambda: ApiToken, description="The token.")


@strawberry.type(description="A page of API tokens.")
class ApiTokenConnection:
    edges: list[ApiTokenEdge] = strawberry.field(description="The entries of this page, with their cursors.")
    nodes: list[ApiToken] = carried("rows", lambda: ApiToken, description="The tokens of this page.")
    page_info: pages.PageInfo = pages.page_info_field()
    total_count: int | None = pages.total_count_field()


LATEST_FIRST = pages.Order("tokens", (tokens.c.created_at, tokens.c.id), descending=True)


def needs_account(audience: Audience) -> None:
    """Raises a request error: a program that was not made for it is not shown the account."""
    if "ACCOUNT" not in audience.scopes:
        message = phrase("This token lacks the scope {scope}.", scope="ACCOUNT")
        raise request_error(message, "NOT_PERMITTED", requires="ACCOUNT")


async def _tokens_of(asking: Asking, owners: Sequence[Row], wanted: Columns, asked: pages.Slice) -> list[pages.Page]:
    needs_account(asking.audience)
    people = [person for (person,) in owners]
    where = [wanted.entity.see.where(asking.audience), store.opens(asking.now)]
    return await pages.page_per_owner(asking, wanted, LATEST_FIRST, asked, tokens.c.user_id, people, where)


async def load_sessions(
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
    return await _tokens_of(asking, owners, wanted, pages.Slice.of(first, after, last, before))


async def load_api_tokens(
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
    return await _tokens_of(asking, owners, wanted, pages.Slice.of(first, after, last, before))


@strawberry.type(description="The viewer's preferences.")
class ViewerSettings:
    locale: str = strawberry.field(description="The language in which Palabre speaks to the viewer, such as `fr`.")


def _email(audience: Audience, email: str | None) -> str | None:
    needs_account(audience)
    return email


def _settings(locale: str) -> ViewerSettings:
    return ViewerSettings(locale=locale)


@strawberry.type(description="Who asks, when signed in: the account, which nobody else sees.")
class Viewer(Node, Entity):
    table = users
    see = SEE_VIEWER

    id: strawberry.ID = global_id("Viewer", users.c.id)
    user: User = one(users.c.id, lambda: User, description="The viewer as everybody sees them.")
    email: str | None = value(
        users.c.email,
        through=_email,
        by_audience=True,
        description="Where the viewer is reached; shown to nobody else.  API tokens need the scope `ACCOUNT`.",
    )
    email_confirmed_at: Instant | None = value(
        users.c.email_confirmed_at,
        description="When it was shown that mail to this address arrives; null: not yet, see "
        "`requestEmailConfirmation`.",
    )
    settings: ViewerSettings = value(users.c.locale, through=_settings, description="The viewer's preferences.")
    sessions: SessionConnection = batched(
        users.c.id,
        load=load_sessions,
        entity=lambda: Session,
        description="Browsers and devices that are signed in, the latest first.  API tokens need the scope `ACCOUNT`.",
    )
    api_tokens: ApiTokenConnection = batched(
        users.c.id,
        load=load_api_tokens,
        entity=lambda: ApiToken,
        description="Tokens of programs that act for the viewer, the latest first.  API tokens need the scope "
        "`ACCOUNT`.",
    )
    memberships: Annotated["CommunityMembershipConnection", strawberry.lazy("graph.communities.types")] = batched(
        users.c.id,
        load=belonging.load_memberships,
        entity=later("graph.communities.types", "CommunityMembership"),
        description="The communities that the viewer belongs to, the last joined first.",
    )
    invitations: Annotated["CommunityInvitationConnection", strawberry.lazy("graph.admission.types")] = batched(
        users.c.id,
        load=lists.load_own_invitations,
        entity=later("graph.admission.types", "CommunityInvitation"),
        description="Invitations that wait for the viewer's answer, the last one first.",
    )
    join_requests: Annotated["CommunityJoinRequestConnection", strawberry.lazy("graph.admission.types")] = batched(
        users.c.id,
        load=lists.load_own_requests,
        entity=later("graph.admission.types", "CommunityJoinRequest"),
        description="The viewer's requests to be let into communities that wait for an answer, the oldest first.",
    )
