"""What a client may do with communities and their members."""

from collections.abc import Callable
from typing import Annotated, Any

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_in_input, key_returned
from graph.communities import actions, rules
from graph.communities.types import Community, CommunityMembership, CommunityVisibility
from graph.context import CarriedOut, Context, Info, carry_out
from graph.errors import UserError
from graph.nodes import global_id_or_none, one
from graph.scalars import Markdown
from graph.users.authentication import as_now
from graph.users.types import UserRole


@strawberry.input(description="Input of `createCommunity`.")
class CreateCommunityInput:
    client_mutation_id: str | None = key_given()
    name: str = strawberry.field(description=f"At most {rules.NAME_LIMIT} characters.")
    slug: str | None = strawberry.field(
        default=None,
        description=f"Its name in addresses: at most {rules.SLUG_LIMIT} small letters, digits and single hyphens.  "
        "Null: made from the name.",
    )
    description: Markdown | None = strawberry.field(
        default=None, description=f"What it is about, at most {rules.DESCRIPTION_LIMIT} characters."
    )
    visibility: CommunityVisibility = strawberry.field(
        default=CommunityVisibility.PUBLIC, description="Who may read it."
    )


@strawberry.input(description="Names the community for `joinCommunity` and `leaveCommunity`.")
class CommunityInput:
    client_mutation_id: str | None = key_given()
    community_id: strawberry.ID = strawberry.field(description="The community.")


@strawberry.input(description="Input of `setCommunityMember`.")
class SetCommunityMemberInput:
    client_mutation_id: str | None = key_given()
    community_id: strawberry.ID = strawberry.field(description="The community.")
    user_id: strawberry.ID = strawberry.field(description="The person, who need not be a member yet.")
    role: UserRole = strawberry.field(default=UserRole.MEMBER, description="The person's role from now on.")


@strawberry.input(description="Input of `removeCommunityMember`.")
class RemoveCommunityMemberInput:
    client_mutation_id: str | None = key_given()
    community_id: strawberry.ID = strawberry.field(description="The community.")
    user_id: strawberry.ID = strawberry.field(description="The member.")


@strawberry.type(description="Result of `createCommunity` and `leaveCommunity`.")
class CommunityPayload:
    community_key: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    community: Community | None = one(
        "community_key",
        lambda: Community,
        description="The community as it is now; null where it is private and the viewer has left it.",
    )
    errors: list[UserError] = errors_field()


@strawberry.type(description="Result of `joinCommunity` and `setCommunityMember`.")
class CommunityMembershipPayload:
    membership_key: strawberry.Private[int | None]
    community_key: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    membership: CommunityMembership | None = one(
        "membership_key", lambda: CommunityMembership, description="The person's place in the community."
    )
    community: Community | None = one("community_key", lambda: Community, description="The community as it is now.")
    errors: list[UserError] = errors_field()


@strawberry.type(description="Result of `removeCommunityMember`.")
class RemoveCommunityMemberPayload:
    community_key: strawberry.Private[int | None]
    user_key: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    user_id: strawberry.ID | None = global_id_or_none("User", "user_key", "Who is no member any longer.")
    community: Community | None = one("community_key", lambda: Community, description="The community as it is now.")
    errors: list[UserError] = errors_field()


async def create_community(info: Info, input: Annotated[CreateCommunityInput, INPUT]) -> CommunityPayload:
    done = await _carry_out(
        info,
        "createCommunity",
        input,
        lambda change: actions.create_community(
            change,
            name=input.name,
            slug=input.slug,
            description=input.description,
            visibility=input.visibility.name,
        ),
    )
    return CommunityPayload(community_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


async def join_community(info: Info, input: Annotated[CommunityInput, INPUT]) -> CommunityMembershipPayload:
    done = await _carry_out(
        info,
        "joinCommunity",
        input,
        lambda change: actions.join_community(change, community_id=_community(input)),
    )
    return _membership_payload(input, done)


async def leave_community(info: Info, input: Annotated[CommunityInput, INPUT]) -> CommunityPayload:
    done = await _carry_out(
        info,
        "leaveCommunity",
        input,
        lambda change: actions.leave_community(change, community_id=_community(input)),
    )
    return CommunityPayload(community_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


async def set_community_member(
    info: Info, input: Annotated[SetCommunityMemberInput, INPUT]
) -> CommunityMembershipPayload:
    done = await _carry_out(
        info,
        "setCommunityMember",
        input,
        lambda change: actions.set_member(
            change, community_id=_community(input), user_id=_user(input), role=input.role.name
        ),
    )
    return _membership_payload(input, done)


async def remove_community_member(
    info: Info, input: Annotated[RemoveCommunityMemberInput, INPUT]
) -> RemoveCommunityMemberPayload:
    done = await _carry_out(
        info,
        "removeCommunityMember",
        input,
        lambda change: actions.remove_member(change, community_id=_community(input), user_id=_user(input)),
    )
    return RemoveCommunityMemberPayload(
        community_key=done.value,
        user_key=None if done.value is None else _user(input),
        client_mutation_id=input.client_mutation_id,
        errors=done.errors,
    )


async def _carry_out(info: Info, mutation: str, given: Any, action: Callable[..., Any]) -> CarriedOut[int]:
    """Memberships decide on what the viewer sees: from then on the request is answered by the new ones."""
    done: CarriedOut[int] = await carry_out(info, mutation, given, action)
    if done.value is not None:
        await _see_anew(info.context)
    return done


async def _see_anew(context: Context) -> None:
    viewer = await as_now(context.asking.rows, context.viewer)
    if viewer != context.viewer:
        context.viewer = viewer
        await context.read_anew()


def _community(input: CommunityInput | SetCommunityMemberInput | RemoveCommunityMemberInput) -> int:
    return key_in_input("communityId", input.community_id, "Community")


def _user(input: SetCommunityMemberInput | RemoveCommunityMemberInput) -> int:
    return key_in_input("userId", input.user_id, "User")


def _membership_payload(
    input: CommunityInput | SetCommunityMemberInput, done: CarriedOut[int]
) -> CommunityMembershipPayload:
    return CommunityMembershipPayload(
        membership_key=done.value,
        community_key=None if done.value is None else _community(input),
        client_mutation_id=input.client_mutation_id,
        errors=done.errors,
    )


@strawberry.type
class CommunityMutations:
    create_community: CommunityPayload = strawberry.mutation(
        resolver=create_community, description="Found a community, as an admin of the site, and become its first admin."
    )
    join_community: CommunityMembershipPayload = strawberry.mutation(
        resolver=join_community, description="Become a member of a public community; nothing happens to who is one."
    )
    leave_community: CommunityPayload = strawberry.mutation(
        resolver=leave_community, description="Be no member any longer; streams of a private community end at once."
    )
    set_community_member: CommunityMembershipPayload = strawberry.mutation(
        resolver=set_community_member,
        description="Add somebody to a community, or give a member another role.  Moderators add members and make "
        "moderators of them; only admins decide on moderators and admins.",
    )
    remove_community_member: RemoveCommunityMemberPayload = strawberry.mutation(
        resolver=remove_community_member, description="Take somebody out of a community, as one of its moderators."
    )
