"""What a client may do with what opens an account: its password, its sessions, its API tokens."""

from typing import Annotated

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_in_input, key_returned
from graph.change import Action
from graph.context import Info, carry_out, prepare_and_carry_out
from graph.errors import UserError
from graph.nodes import global_id_or_none, one
from graph.scalars import Instant
from graph.users import actions, passwords, rules, store
from graph.users.sessions import CredentialDelivery, Fresh, become, compared, compared_each_time, delivered, keyless
from graph.users.tokens import new_secret
from graph.users.types import ApiToken, TokenScope, Viewer

# --- changePassword ---------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `changePassword`.")
class ChangePasswordInput:
    client_mutation_id: str | None = compared_each_time()
    current_password: str | None = strawberry.field(
        default=None, description="The present one; null for an account that has none yet."
    )
    new_password: str = strawberry.field(
        description=f"{rules.PASSWORD_SHORTEST} to {rules.PASSWORD_LIMIT} characters of any kind."
    )
    end_api_tokens: bool = strawberry.field(
        default=False, description="Also end the viewer's API tokens, but the one that this request came with."
    )


@strawberry.type(description="Result of `changePassword`.")
class ChangePasswordPayload:
    user_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    viewer: Viewer | None = one("user_id", lambda: Viewer, description="The account.")
    token: str | None = strawberry.field(
        default=None,
        description="The new secret of the session that this request came with, shown this once; the former one opens "
        "nothing any more.  Null where a cookie has it, and for an API token, which stays as it is.",
    )
    expires_at: Instant | None = strawberry.field(
        default=None, description="When that session now ends by itself; null for an API token."
    )
    errors: list[UserError] = errors_field()


async def change_password(info: Info, input: Annotated[ChangePasswordInput, INPUT]) -> ChangePasswordPayload:
    context = info.context
    fresh = Fresh.of(context)

    async def prepare() -> Action[int | None]:
        if context.cookie.came:
            context.cookie.check_open()
        checked_hash = await compared(context, input.current_password, "currentPassword")
        await _check_new(info, input.new_password)
        password_hash = await passwords.hashed(input.new_password)
        return lambda change: actions.change_password(
            change,
            checked_hash=checked_hash,
            password_hash=password_hash,
            secret_hash=fresh.secret.hash,
            expires_at=fresh.expires_at,
            end_api_tokens=input.end_api_tokens,
        )

    done = await prepare_and_carry_out(info, "changePassword", keyless(input), prepare)
    user_id = None if done.errors else context.viewer.audience.viewer_id
    payload = ChangePasswordPayload(user_id=user_id, client_mutation_id=input.client_mutation_id, errors=done.errors)
    if done.value is not None:
        by_cookie = CredentialDelivery.COOKIE if context.cookie.came else CredentialDelivery.TOKEN
        payload.token = await delivered(context, fresh, by_cookie)
        payload.expires_at = Instant(fresh.expires_at)
    return payload


async def _check_new(info: Info, password: str) -> None:
    """Raises Invalid."""
    viewer_id = info.context.viewer.audience.viewer_id
    assert viewer_id is not None, "a password was compared"
    handle, email = await store.names_of(info.context.services.storage, viewer_id)
    rules.check_password(password, handle=handle, email=email or "", field="newPassword")


# --- revokeSession ----------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `revokeSession`.")
class RevokeSessionInput:
    client_mutation_id: str | None = key_given()
    id: strawberry.ID = strawberry.field(description="One of the viewer's sessions.")


@strawberry.type(description="Result of `revokeSession`.")
class RevokeSessionPayload:
    ended_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    deleted_id: strawberry.ID | None = global_id_or_none("Session", "ended_id", "The session that has ended.")
    errors: list[UserError] = errors_field()


async def revoke_session(info: Info, input: Annotated[RevokeSessionInput, INPUT]) -> RevokeSessionPayload:
    done = await carry_out(
        info,
        "revokeSession",
        input,
        lambda change: actions.sign_out(change, session_id=key_in_input("id", input.id, "Session"), field="id"),
    )
    if done.value is not None and done.value == info.context.viewer.token_id:
        await become(info.context, None)
    return RevokeSessionPayload(ended_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


# --- signOutEverywhere ------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `signOutEverywhere`.")
class SignOutEverywhereInput:
    client_mutation_id: str | None = key_given()
    here_too: bool = strawberry.field(
        default=False, description="Also end the session that this request came with; else it goes on."
    )


@strawberry.type(description="Result of `signOutEverywhere`.")
class SignOutEverywherePayload:
    client_mutation_id: str | None = key_returned()
    ended_count: int | None = strawberry.field(default=None, description="How many sessions have ended.")
    errors: list[UserError] = errors_field()


async def sign_out_everywhere(info: Info, input: Annotated[SignOutEverywhereInput, INPUT]) -> SignOutEverywherePayload:
    done = await carry_out(
        info,
        "signOutEverywhere",
        input,
        lambda change: actions.sign_out_everywhere(change, here_too=input.here_too),
    )
    context = info.context
    in_use = context.viewer.token_id
    if in_use is not None and not await store.is_open(context.asking.rows, in_use, context.services.now()):
        await become(context, None)
    return SignOutEverywherePayload(
        client_mutation_id=input.client_mutation_id, ended_count=done.value, errors=done.errors
    )


# --- createApiToken ---------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `createApiToken`.")
class CreateApiTokenInput:
    client_mutation_id: str | None = key_given()
    name: str = strawberry.field(description=f"What the token is for, at most {rules.TOKEN_NAME_LIMIT} characters.")
    scopes: list[TokenScope] | None = strawberry.field(
        default=None,
        description="What it may do, at most as much as what this request came with; `READ` is always among them.  "
        "Null: just as much.  Give as little as the program needs.",
    )
    expires_at: Instant | None = strawberry.field(
        default=None,
        description="When it ends by itself.  Null: never, or with the API token that this request came with, which "
        "it cannot outlive.",
    )


@strawberry.type(description="Result of `createApiToken`.")
class CreateApiTokenPayload:
    token_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    api_token: ApiToken | None = one("token_id", lambda: ApiToken, description="The new token.")
    secret: str | None = strawberry.field(
        default=None,
        description="Shown this once: send it as `Authorization: Bearer …`.  Null for a repetition under the same "
        "`clientMutationId`: revoke that token and make another.",
    )
    errors: list[UserError] = errors_field()


async def create_api_token(info: Info, input: Annotated[CreateApiTokenInput, INPUT]) -> CreateApiTokenPayload:
    secret = new_secret("API")
    done = await carry_out(
        info,
        "createApiToken",
        input,
        lambda change: actions.create_api_token(
            change,
            name=input.name,
            secret_hash=secret.hash,
            scopes=None if input.scopes is None else [scope.name for scope in input.scopes],
            expires_at=input.expires_at,
        ),
    )
    # A repetition finds the first token, whose secret nobody can tell any more.
    new = done.value is not None and await store.is_token(info.context.asking.rows, done.value, secret.hash)
    return CreateApiTokenPayload(
        token_id=done.value,
        client_mutation_id=input.client_mutation_id,
        secret=secret.text if new else None,
        errors=done.errors,
    )


# --- revokeApiToken ---------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `revokeApiToken`.")
class RevokeApiTokenInput:
    client_mutation_id: str | None = key_given()
    id: strawberry.ID = strawberry.field(description="One of the viewer's API tokens.")


@strawberry.type(description="Result of `revokeApiToken`.")
class RevokeApiTokenPayload:
    token_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    deleted_id: strawberry.ID | None = global_id_or_none("ApiToken", "token_id", "The token that has ended.")
    errors: list[UserError] = errors_field()


async def revoke_api_token(info: Info, input: Annotated[RevokeApiTokenInput, INPUT]) -> RevokeApiTokenPayload:
    done = await carry_out(
        info,
        "revokeApiToken",
        input,
        lambda change: actions.revoke_api_token(change, token_id=key_in_input("id", input.id, "ApiToken")),
    )
    if done.value is not None and done.value == info.context.viewer.token_id:
        await become(info.context, None)
    return RevokeApiTokenPayload(token_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


@strawberry.type
class CredentialMutations:
    change_password: ChangePasswordPayload = strawberry.mutation(
        resolver=change_password,
        description="Choose another password.  All other sessions end, and the one in use goes on under a new secret.",
    )
    revoke_session: RevokeSessionPayload = strawberry.mutation(
        resolver=revoke_session, description="End one of the viewer's sessions; its live streams end too."
    )
    sign_out_everywhere: SignOutEverywherePayload = strawberry.mutation(
        resolver=sign_out_everywhere, description="End all of the viewer's sessions, or all but the one in use."
    )
    create_api_token: CreateApiTokenPayload = strawberry.mutation(
        resolver=create_api_token, description="Make a token for a program that acts for the viewer."
    )
    revoke_api_token: RevokeApiTokenPayload = strawberry.mutation(
        resolver=revoke_api_token, description="End a token; its live streams end too."
    )
