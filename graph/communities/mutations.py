"""What a client may do with communities and their members."""

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_in_input, key_returned
from graph.communities import actions, rules
from graph.communities.types import (
    Community,
    CommunityBan,
    CommunityJoining,
    CommunityMembership,
    CommunityPosting,
    CommunityVisibility,
)
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
    joining: CommunityJoining | None = strawberry.field(
        default=None, description="How one joins it.  Null: OPEN where it is public, INVITATION where it is private."
    )
    posting: CommunityPosting = strawberry.field(default=CommunityPosting.MEMBERS, description="Who publishes in it.")


@strawberry.input(description="Input of `editCommunity`.  What is left out stays as it is.")
class EditCommunityInput:
    client_mutation_id: str | None = key_given()
    community_id: strawberry.ID = strawberry.field(description="The community.")
    name: str | None = strawberry.field(default=None, description="The new name.")
    slug: str | None = strawberry.field(
        default=None, description="Its new name in addresses; the former ones still lead there, and to nothing else."
    )
    description: Markdown | None = strawberry.field(
        default=None, description="What it is about; nothing but space takes it away."
    )
    visibility: CommunityVisibility | None = strawberry.field(
        default=None,
        description="Who may read it.  When it becomes private, streams of those who are no members end at once, and "
        "it is joined by invitation.",
    )
    joining: CommunityJoining | None = strawberry.field(default=None, description="How one joins it.")
    posting: CommunityPosting | None = strawberry.field(default=None, description="Who publishes in it.")
    expected_revision: int | None = strawberry.field(
        default=None, description="The `revision` that the editor saw: a ConflictError when it is another by now."
    )


@strawberry.input(
    description="Names the community for `joinCommunity`, `leaveCommunity`, `archiveCommunity` and "
    "`unarchiveCommunity`."
)
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


@strawberry.input(description="Input of `banFromCommunity`.")
class BanFromCommunityInput:
    client_mutation_id: str | None = key_given()
    community_id: strawberry.ID = strawberry.field(description="The community.")
    user_id: strawberry.ID = strawberry.field(description="The person, who need not be a member.")
    reason: str | None = strawberry.field(
        default=None,
        description=f"Why; the person reads it too.  At most {rules.REASON_LIMIT} characters.",
    )


@strawberry.input(description="Input of `unbanFromCommunity`.")
class UnbanFromCommunityInput:
    client_mutation_id: str | None = key_given()
    community_id: strawberry.ID = strawberry.field(description="The community.")
    user_id: strawberry.ID = strawberry.field(description="Who is banned from it.")


@strawberry.type(description="What came of an act on a community.")
class CommunityPayload:
    community_key: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    community: Community | None = one(
        "community_key",
        lambda: Community,
        description="The community as it is now; null where it was refused, and where it is private and the viewer has "
        "left it.",
    )
    errors: list[UserError] = errors_field()


@strawberry.type(description="What came of an act by which somebody is a member.")
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


@strawberry.type(description="Result of `banFromCommunity`.")
class BanFromCommunityPayload:
    ban_key: strawberry.Private[int | None]
    community_key: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    ban: CommunityBan | None = one("ban_key", lambda: CommunityBan, description="The ban.")
    community: Community | None = one("community_key", lambda: Community, description="The community as it is now.")
    errors: list[UserError] = errors_field()


async def create_community(info: Info, input: Annotated[CreateCommunityInput, INPUT]) -> CommunityPayload:
    done = await carry_out_anew(
        info,
        "createCommunity",
        input,
        lambda change: actions.create_community(
            change,
            name=input.name,
            slug=input.slug,
            description=input.description,
            visibility=input.visibility.name,
            joining=_name(input.joining),
            posting=input.posting.name,
        ),
    )
    return _community_payload(input, done)


async def edit_community(info: Info, input: Annotated[EditCommunityInput, INPUT]) -> CommunityPayload:
    done = await carry_out_anew(
        info,
        "editCommunity",
        input,
        lambda change: actions.edit_community(
            change,
            community_id=_community(input),
            name=input.name,
            slug=input.slug,
            description=input.description,
            visibility=_name(input.visibility),
            joining=_name(input.joining),
            posting=_name(input.posting),
            expected_revision=input.expected_revision,
        ),
    )
    return _community_payload(input, done)


async def archive_community(info: Info, input: Annotated[CommunityInput, INPUT]) -> CommunityPayload:
    done = await carry_out_anew(
        info,
        "archiveCommunity",
        input,
        lambda change: actions.archive_community(change, community_id=_community(input)),
    )
    return _community_payload(input, done)


async def unarchive_community(info: Info, input: Annotated[CommunityInput, INPUT]) -> CommunityPayload:
    done = await carry_out_anew(
        info,
        "unarchiveCommunity",
        input,
        lambda change: actions.unarchive_community(change, community_id=_community(input)),
    )
    return _community_payload(input, done)


async def join_community(info: Info, input: Annotated[CommunityInput, INPUT]) -> CommunityMembershipPayload:
    done = await carry_out_anew(
        info,
        "joinCommunity",
        input,
        lambda change: actions.join_community(change, community_id=_community(input)),
    )
    return _membership_payload(input, done)


async def leave_community(info: Info, input: Annotated[CommunityInput, INPUT]) -> CommunityPayload:
    done = await carry_out_anew(
        info,
        "leaveCommunity",
        input,
        lambda change: actions.leave_community(change, community_id=_community(input)),
    )
    return _community_payload(input, done)


async def set_community_member(
    info: Info, input: Annotated[SetCommunityMemberInput, INPUT]
) -> CommunityMembershipPayload:
    done = await carry_out_anew(
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
    done = await carry_out_anew(
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


async def ban_from_community(info: Info, input: Annotated[BanFromCommunityInput, INPUT]) -> BanFromCommunityPayload:
    done = await carry_out_anew(
        info,
        "banFromCommunity",
        input,
        lambda change: actions.ban_from_community(
            change, community_id=_community(input), user_id=_user(input), reason=input.reason
        ),
    )
    return BanFromCommunityPayload(
        ban_key=done.value,
        community_key=None if done.value is None else _community(input),
        client_mutation_id=input.client_mutation_id,
        errors=done.errors,
    )


async def unban_from_community(info: Info, input: Annotated[UnbanFromCommunityInput, INPUT]) -> CommunityPayload:
    done = await carry_out_anew(
        info,
        "unbanFromCommunity",
        input,
        lambda change: actions.unban_from_community(change, community_id=_community(input), user_id=_user(input)),
    )
    return _community_payload(input, done)


async def carry_out_anew(info: Info, mutation: str, given: Any, action: Callable[..., Any]) -> CarriedOut[Any]:
    """Memberships decide on what the viewer sees: from then on the request is answered by the new ones."""
    done: CarriedOut[Any] = await carry_out(info, mutation, given, action)
    if done.value is not None:
        await _see_anew(info.context)
    return done


async def _see_anew(context: Context) -> None:
    viewer = await as_now(context.asking.rows, context.viewer)
    if viewer != context.viewer:
        context.viewer = viewer
        await context.read_anew()


def _community(input: Any) -> int:
    return key_in_input("communityId", input.community_id, "Community")


def _user(input: Any) -> int:
    return key_in_input("userId", input.user_id, "User")


def _name(given: Enum | None) -> str | None:
    return None if given is None else given.name


def _community_payload(input: Any, done: CarriedOut[int]) -> CommunityPayload:
    return CommunityPayload(community_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


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
        resolver=join_community,
        description="Become a member at once, where everybody may or the viewer is invited; nothing "
        "happens to who is one.",
    )
    archive_community: CommunityPayload = strawberry.mutation(
        resolver=archive_community,
        description="Let a community only be read from now on, as one of its admins: nobody writes in it or joins it.",
    )
    unarchive_community: CommunityPayload = strawberry.mutation(
        resolver=unarchive_community, description="Let people write in an archived community again."
    )
    edit_community: CommunityPayload = strawberry.mutation(
        resolver=edit_community, description="Change the settings of a community, as one of its admins."
    )
    ban_from_community: BanFromCommunityPayload = strawberry.mutation(
        resolver=ban_from_community,
        description="Take somebody out who may not write in a community any more, nor come back, as one of its "
        "moderators.  What the person wrote stays.",
    )
    unban_from_community: CommunityPayload = strawberry.mutation(
        resolver=unban_from_community, description="Let somebody come back who was banned."
    )
    leave_community: CommunityPayload = strawberry.mutation(
        resolver=leave_community,
        description="Be no member any longer; streams of a private community end at once.  The last admin of a "
        "community cannot leave it.",
    )
    set_community_member: CommunityMembershipPayload = strawberry.mutation(
        resolver=set_community_member,
        description="Add somebody to a community, or give a member another role.  Moderators add members and make "
        "moderators of them; only admins decide on moderators and admins.",
    )
    remove_community_member: RemoveCommunityMemberPayload = strawberry.mutation(
        resolver=remove_community_member, description="Take somebody out of a community, as one of its moderators."
    )
