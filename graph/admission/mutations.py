"""What a client may do to let people into communities, and to come in."""

from typing import Annotated, Any

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_in_input, key_returned
from graph.admission import actions, rules, store
from graph.admission.codes import new_code
from graph.admission.types import CommunityInvitation, CommunityJoinRequest
from graph.change import Action
from graph.communities.mutations import CommunityMembershipPayload, carry_out_anew
from graph.context import CarriedOut, Info
from graph.errors import UserError
from graph.nodes import one
from graph.refusals import Invalid
from graph.scalars import Instant
from graph.users.tokens import SECRET_LIMIT, hash_of


@strawberry.input(description="Input of `inviteToCommunity`.")
class InviteToCommunityInput:
    client_mutation_id: str | None = key_given()
    community_id: strawberry.ID = strawberry.field(description="The community.")
    user_id: strawberry.ID = strawberry.field(description="The person, who then sees the community and may join it.")


@strawberry.input(description="Input of `createInvitationLink`.")
class CreateInvitationLinkInput:
    client_mutation_id: str | None = key_given()
    community_id: strawberry.ID = strawberry.field(description="The community.")
    uses_limit: int | None = strawberry.field(
        default=None, description=f"How many may join by it, at most {rules.USES_LIMIT}; null: any number."
    )
    expires_at: Instant | None = strawberry.field(default=None, description="When it ends by itself; null: never.")


@strawberry.input(description="Names the invitation for `declineInvitation` and `withdrawInvitation`.")
class InvitationInput:
    client_mutation_id: str | None = key_given()
    id: strawberry.ID = strawberry.field(description="The invitation.")


@strawberry.input(description="Input of `acceptInvitation`: `id` or `code`, one of them.")
class AcceptInvitationInput:
    client_mutation_id: str | None = key_given()
    id: strawberry.ID | None = strawberry.field(default=None, description="An invitation to the viewer.")
    code: str | None = strawberry.field(default=None, description="The code of a link.")


@strawberry.input(description="Input of `requestToJoinCommunity`.")
class RequestToJoinCommunityInput:
    client_mutation_id: str | None = key_given()
    community_id: strawberry.ID = strawberry.field(description="The community.")
    message: str | None = strawberry.field(
        default=None, description=f"For its moderators; at most {rules.MESSAGE_LIMIT} characters."
    )


@strawberry.input(
    description="Names the request for `acceptJoinRequest`, `declineJoinRequest` and `withdrawJoinRequest`."
)
class JoinRequestInput:
    client_mutation_id: str | None = key_given()
    id: strawberry.ID = strawberry.field(description="The request.")


@strawberry.type(description="What came of an act on an invitation.")
class InvitationPayload:
    invitation_key: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    invitation: CommunityInvitation | None = one(
        "invitation_key", lambda: CommunityInvitation, description="The invitation as it is now."
    )
    errors: list[UserError] = errors_field()


@strawberry.type(description="Result of `createInvitationLink`.")
class CreateInvitationLinkPayload:
    invitation_key: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    invitation: CommunityInvitation | None = one(
        "invitation_key", lambda: CommunityInvitation, description="The new invitation."
    )
    code: str | None = strawberry.field(
        default=None,
        description="What to put into an address and send around.  Shown this once: a repetition of the mutation does "
        "not have it.",
    )
    errors: list[UserError] = errors_field()


@strawberry.type(description="What came of an act on a request to join.")
class JoinRequestPayload:
    request_key: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    join_request: CommunityJoinRequest | None = one(
        "request_key", lambda: CommunityJoinRequest, description="The request as it is now."
    )
    errors: list[UserError] = errors_field()


async def invite_to_community(info: Info, input: Annotated[InviteToCommunityInput, INPUT]) -> InvitationPayload:
    def action(change: Any) -> Any:
        community_id = key_in_input("communityId", input.community_id, "Community")
        return actions.invite(change, community_id=community_id, user_id=key_in_input("userId", input.user_id, "User"))

    return _invitation_payload(input, await carry_out_anew(info, "inviteToCommunity", input, action))


async def create_invitation_link(
    info: Info, input: Annotated[CreateInvitationLinkInput, INPUT]
) -> CreateInvitationLinkPayload:
    code = new_code()
    done = await carry_out_anew(
        info,
        "createInvitationLink",
        input,
        lambda change: actions.invite_by_link(
            change,
            community_id=key_in_input("communityId", input.community_id, "Community"),
            code_hash=code.hash,
            uses_limit=input.uses_limit,
            expires_at=input.expires_at,
        ),
    )
    # A repetition finds the first link, whose code nobody can tell any more.
    new = done.value is not None and await store.is_link(info.context.asking.rows, done.value, code.hash)
    return CreateInvitationLinkPayload(
        invitation_key=done.value,
        client_mutation_id=input.client_mutation_id,
        code=code.text if new else None,
        errors=done.errors,
    )


async def accept_invitation(info: Info, input: Annotated[AcceptInvitationInput, INPUT]) -> CommunityMembershipPayload:
    done = await carry_out_anew(info, "acceptInvitation", input, _accepting(input))
    return _membership_payload(input, done)


def _accepting(input: AcceptInvitationInput) -> Action[list[int]]:
    async def action(change: Any) -> list[int]:
        if (input.id is None) == (input.code is None):
            raise Invalid("Give either `id` or `code`.", ("input",))
        if input.id is not None:
            key = key_in_input("id", input.id, "CommunityInvitation")
            return await actions.accept_invitation(change, invitation_id=key)
        return await actions.accept_invitation(change, code_hash=hash_of((input.code or "")[:SECRET_LIMIT]))

    return action


async def decline_invitation(info: Info, input: Annotated[InvitationInput, INPUT]) -> InvitationPayload:
    done = await carry_out_anew(
        info,
        "declineInvitation",
        input,
        lambda change: actions.decline_invitation(change, invitation_id=_invitation(input)),
    )
    return _invitation_payload(input, done)


async def withdraw_invitation(info: Info, input: Annotated[InvitationInput, INPUT]) -> InvitationPayload:
    done = await carry_out_anew(
        info,
        "withdrawInvitation",
        input,
        lambda change: actions.withdraw_invitation(change, invitation_id=_invitation(input)),
    )
    return _invitation_payload(input, done)


async def request_to_join_community(
    info: Info, input: Annotated[RequestToJoinCommunityInput, INPUT]
) -> JoinRequestPayload:
    done = await carry_out_anew(
        info,
        "requestToJoinCommunity",
        input,
        lambda change: actions.request_to_join(
            change,
            community_id=key_in_input("communityId", input.community_id, "Community"),
            message=input.message,
        ),
    )
    return _request_payload(input, done)


async def accept_join_request(info: Info, input: Annotated[JoinRequestInput, INPUT]) -> CommunityMembershipPayload:
    done = await carry_out_anew(
        info,
        "acceptJoinRequest",
        input,
        lambda change: actions.accept_request(change, request_id=_request(input)),
    )
    return _membership_payload(input, done)


async def decline_join_request(info: Info, input: Annotated[JoinRequestInput, INPUT]) -> JoinRequestPayload:
    done = await carry_out_anew(
        info,
        "declineJoinRequest",
        input,
        lambda change: actions.decline_request(change, request_id=_request(input)),
    )
    return _request_payload(input, done)


async def withdraw_join_request(info: Info, input: Annotated[JoinRequestInput, INPUT]) -> JoinRequestPayload:
    done = await carry_out_anew(
        info,
        "withdrawJoinRequest",
        input,
        lambda change: actions.withdraw_request(change, request_id=_request(input)),
    )
    return _request_payload(input, done)


def _invitation(input: InvitationInput) -> int:
    return key_in_input("id", input.id, "CommunityInvitation")


def _request(input: JoinRequestInput) -> int:
    return key_in_input("id", input.id, "CommunityJoinRequest")


def _invitation_payload(input: Any, done: CarriedOut[int]) -> InvitationPayload:
    return InvitationPayload(invitation_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


def _request_payload(input: Any, done: CarriedOut[int]) -> JoinRequestPayload:
    return JoinRequestPayload(request_key=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


def _membership_payload(input: Any, done: CarriedOut[list[int]]) -> CommunityMembershipPayload:
    membership, community = done.value or (None, None)
    return CommunityMembershipPayload(
        membership_key=membership,
        community_key=community,
        client_mutation_id=input.client_mutation_id,
        errors=done.errors,
    )


@strawberry.type
class AdmissionMutations:
    invite_to_community: InvitationPayload = strawberry.mutation(
        resolver=invite_to_community,
        description="Invite somebody into a community, as one of its moderators; the person then sees it and may join.",
    )
    create_invitation_link: CreateInvitationLinkPayload = strawberry.mutation(
        resolver=create_invitation_link,
        description="Make a code by which whoever has it may join a community, as one of its moderators.",
    )
    accept_invitation: CommunityMembershipPayload = strawberry.mutation(
        resolver=accept_invitation, description="Join the community that one is invited to."
    )
    decline_invitation: InvitationPayload = strawberry.mutation(
        resolver=decline_invitation, description="Say no to an invitation; a private community is then out of sight."
    )
    withdraw_invitation: InvitationPayload = strawberry.mutation(
        resolver=withdraw_invitation, description="Take an invitation or a link back, as one of the moderators."
    )
    request_to_join_community: JoinRequestPayload = strawberry.mutation(
        resolver=request_to_join_community,
        description="Ask to be let into a community whose `joining` is REQUEST; asked twice, it is one request.",
    )
    accept_join_request: CommunityMembershipPayload = strawberry.mutation(
        resolver=accept_join_request, description="Let somebody in who asked, as one of the moderators."
    )
    decline_join_request: JoinRequestPayload = strawberry.mutation(
        resolver=decline_join_request, description="Say no to a request, as one of the moderators."
    )
    withdraw_join_request: JoinRequestPayload = strawberry.mutation(
        resolver=withdraw_join_request, description="Take one's own request back."
    )
