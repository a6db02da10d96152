"""What a client may do with accounts, sessions and tokens."""

from dataclasses import replace
from enum import Enum
from typing import Annotated

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_in_input, key_returned
from graph.change import Action
from graph.context import CarriedOut, Context, Info, carry_out, prepare_and_carry_out
from graph.context import Viewer as Asker
from graph.errors import UserError, user_error
from graph.execution.fields import Asking
from graph.mail.actions import request_sign_up
from graph.nodes import global_id_or_none, one
from graph.refusals import Conflict
from graph.scalars import Instant, Markdown
from graph.users import actions, passwords, rules, store
from graph.users.authentication import authenticate, viewer_of
from graph.users.tokens import new_secret
from graph.users.types import ApiToken, Viewer


@strawberry.enum(description="How the secret of a session travels.")
class CredentialDelivery(Enum):
    TOKEN = strawberry.enum_value(
        "TOKEN", description="In the payload, once: for programs, and for front ends that keep it themselves."
    )
    COOKIE = strawberry.enum_value(
        "COOKIE",
        description="In a cookie that no script can read, and never in a payload: for pages of this site, and of front "
        "ends on the same site that the operator names.  Not over a socket.",
    )


# --- signUp -----------------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `signUp`.")
class SignUpInput:
    client_mutation_id: str | None = key_given()
    handle: str = strawberry.field(
        description=f"{rules.HANDLE_SHORTEST} to {rules.HANDLE_LIMIT} letters of any script, digits, `_`, `-` and `.`; "
        "shown as written, unique whatever its case and accents."
    )
    email: str = strawberry.field(description="Shown to nobody else.")
    password: str = strawberry.field(
        description=f"{rules.PASSWORD_SHORTEST} to {rules.PASSWORD_LIMIT} characters of any kind."
    )
    locale: str | None = strawberry.field(
        default=None, description="The language in which Palabre shall speak to the person, such as `fr` or `pt-BR`."
    )
    delivery: CredentialDelivery | None = strawberry.field(
        default=None,
        description="Begin a session at once, whose secret goes there.  Null: the account is not signed in yet.",
    )


@strawberry.type(description="Result of `signUp`.")
class SignUpPayload:
    user_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    viewer: Viewer | None = one(
        "user_id", lambda: Viewer, description="The new account; null also while its address waits to be confirmed."
    )
    confirmation_sent: bool = strawberry.field(
        default=False,
        description="A code was mailed to the address, and `verifyEmail` makes the account with it: so it is where the "
        "site sends mail.  True also for an address that has an account, whose owner is told so by mail.",
    )
    token: str | None = strawberry.field(
        default=None, description="The secret of the session that was begun with the `delivery` `TOKEN`, shown once."
    )
    expires_at: Instant | None = strawberry.field(
        default=None, description="When the session ends by itself; null where none was begun."
    )
    errors: list[UserError] = errors_field()


async def sign_up(info: Info, input: Annotated[SignUpInput, INPUT]) -> SignUpPayload:
    password_hash = ""

    async def prepare() -> Action[int | None]:
        nonlocal password_hash
        if input.delivery is CredentialDelivery.COOKIE:
            info.context.cookie.check_open("input", "delivery")
        rules.check_password(input.password, handle=input.handle, email=input.email)
        password_hash = await passwords.hashed(input.password)
        act = request_sign_up if info.context.services.sends_mail else actions.sign_up
        return lambda change: act(
            change, handle=input.handle, email=input.email, password_hash=password_hash, locale=input.locale
        )

    # The password stays out of what is remembered under the key: that hash is a fast one.
    remembered = replace(input, password="")
    done = await prepare_and_carry_out(info, "signUp", remembered, prepare)
    done = await checked_repetition(info.context, done, input.password, password_hash)
    payload = SignUpPayload(user_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)
    if done.value is not None and input.delivery is not None:
        payload.token, payload.expires_at = await _begin_session(info.context, done.value, input.delivery)
    elif done.value is not None:
        await show_account(info.context, done.value)
    payload.confirmation_sent = done.value is None and not done.errors
    return payload


async def _begin_session(
    context: Context, user_id: int, delivery: CredentialDelivery
) -> tuple[str | None, Instant | None]:
    """For somebody whose password has just been compared, or chosen; gives what the payload shows of it."""
    secret = new_secret("SESSION")
    expires_at = context.services.now() + context.services.session_microseconds
    checked_hash = await store.password_hash_of(context.asking.rows, user_id)
    assert checked_hash is not None, "a password was compared"
    replaced_id = context.viewer.token_id if context.cookie.came else None
    await context.services.changes.run(
        lambda change: actions.sign_in(
            change,
            user_id=user_id,
            checked_hash=checked_hash,
            secret_hash=secret.hash,
            expires_at=expires_at,
            replaced_id=replaced_id,
        ),
        audience=context.viewer.audience,
    )
    await context.read_anew()
    await _become(context, await authenticate(context.asking.rows, secret.text, context.services.now()))
    return _delivered(context, delivery, secret.text, expires_at), Instant(expires_at)


async def checked_repetition(
    context: Context, done: CarriedOut[int | None], password: str, password_hash: str
) -> CarriedOut[int | None]:
    """A repetition under the same key with another password is another input: it is shown nothing."""
    if done.value is None:
        return done
    kept = await store.password_hash_of(context.asking.rows, done.value)
    if kept == password_hash or (await passwords.verify(password, kept)).matches:
        return done
    refusal = Conflict("This clientMutationId was used for something else.", ("input", "clientMutationId"))
    return CarriedOut(None, [user_error(refusal, context.viewer.audience.locale)])


async def show_account(context: Context, user_id: int) -> None:
    """Read the payload as the new person sees it; whatever else this request does is done by whom it began as."""
    rows = context.asking.rows
    person = await viewer_of(rows, user_id)
    if person is not None:  # otherwise it was deactivated, and is shown to nobody
        context.read_from(Asking(rows, person.audience, context.services.public_url))


# --- signIn -----------------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `signIn`.")
class SignInInput:
    client_mutation_id: str | None = strawberry.field(
        default=None,
        description="Only comes back in the payload: the password is compared each time, and signing in again begins "
        "another session.",
    )
    identifier: str = strawberry.field(description="The handle or the e-mail address.")
    password: str = strawberry.field(description="The password.")
    device: str | None = strawberry.field(
        default=None, description='What the person will know the session by, such as "Firefox on Linux".'
    )
    delivery: CredentialDelivery = strawberry.field(
        default=CredentialDelivery.TOKEN,
        description="Where the secret of the session goes.  Who was signed in by the cookie is signed out of that "
        "session.",
    )


@strawberry.type(description="Result of `signIn`.")
class SignInPayload:
    user_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    viewer: Viewer | None = one("user_id", lambda: Viewer, description="The account that is now signed in.")
    token: str | None = strawberry.field(
        default=None,
        description="The secret of the session, shown this once: send it as `Authorization: Bearer …`.  Null for "
        "`COOKIE`.",
    )
    expires_at: Instant | None = strawberry.field(default=None, description="When the session ends by itself.")
    errors: list[UserError] = errors_field()


async def sign_in(info: Info, input: Annotated[SignInInput, INPUT]) -> SignInPayload:
    context = info.context
    secret = new_secret("SESSION")
    expires_at = context.services.now() + context.services.session_microseconds

    async def prepare() -> Action[int]:
        if input.delivery is CredentialDelivery.COOKIE:
            context.cookie.check_open("input", "delivery")
        user_id, checked_hash, stronger_hash = await _checked(context, input)
        return lambda change: actions.sign_in(
            change,
            user_id=user_id,
            checked_hash=checked_hash,
            stronger_hash=stronger_hash,
            secret_hash=secret.hash,
            expires_at=expires_at,
            device=input.device,
            replaced_id=context.viewer.token_id if context.cookie.came else None,
        )

    done = await prepare_and_carry_out(info, "signIn", replace(input, client_mutation_id=None), prepare)
    if done.errors:
        return SignInPayload(user_id=None, client_mutation_id=input.client_mutation_id, errors=done.errors)
    await _become(context, await authenticate(context.asking.rows, secret.text, context.services.now()))
    return SignInPayload(
        user_id=context.viewer.audience.viewer_id,
        client_mutation_id=input.client_mutation_id,
        token=_delivered(context, input.delivery, secret.text, expires_at),
        expires_at=Instant(expires_at),
        errors=[],
    )


def _delivered(context: Context, delivery: CredentialDelivery, secret: str, expires_at: int) -> str | None:
    """What of the secret the payload shows: nothing where the cookie has it."""
    if delivery is CredentialDelivery.COOKIE:
        context.cookie.keep(secret, expires_at)
        return None
    context.cookie.clear()  # its session has been replaced by this one
    return secret


async def _checked(context: Context, input: SignInInput) -> tuple[int, str, str | None]:
    """The person, the hash that the password matches, and a new one when that is outdated.  Raises SignInFirst."""
    found = await _credentials(context, input.identifier)
    user_id, password_hash = found or (0, None)
    verdict = await passwords.verify(input.password, password_hash)
    if not verdict.matches or password_hash is None:
        raise actions.wrong_words()
    return user_id, password_hash, await passwords.hashed(input.password) if verdict.outdated else None


async def _credentials(context: Context, identifier: str) -> tuple[int, str | None] | None:
    storage = context.services.storage
    if "@" in identifier.strip().removeprefix("@"):
        return await store.credentials(storage, email_key=rules.email_key(identifier))
    return await store.credentials(storage, handle_key=rules.handle_key(identifier).removeprefix("@"))


async def _become(context: Context, asker: Asker | None) -> None:
    """From now on this request is somebody else's, or nobody's."""
    context.viewer = asker or Asker()
    if asker is None:
        context.cookie.clear()
    await context.read_anew()


# --- signOut ----------------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `signOut`.")
class SignOutInput:
    client_mutation_id: str | None = key_given()
    session_id: strawberry.ID | None = strawberry.field(
        default=None, description="One of the viewer's sessions; null: the one that this request came with."
    )


@strawberry.type(description="Result of `signOut`.")
class SignOutPayload:
    ended_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    session_id: strawberry.ID | None = global_id_or_none("Session", "ended_id", "The session that has ended.")
    errors: list[UserError] = errors_field()


async def sign_out(info: Info, input: Annotated[SignOutInput, INPUT]) -> SignOutPayload:
    context = info.context
    current = context.viewer.token_id

    async def prepare() -> Action[int]:
        asked = current if input.session_id is None else key_in_input("sessionId", input.session_id, "Session")
        return lambda change: actions.sign_out(change, session_id=asked)

    done = await prepare_and_carry_out(info, "signOut", input, prepare)
    if done.value is not None and done.value == current:
        await _become(context, None)
    return SignOutPayload(ended_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


# --- editProfile ------------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `editProfile`.  What is left out or null stays as it is.")
class EditProfileInput:
    client_mutation_id: str | None = key_given()
    display_name: str | None = strawberry.field(
        default=None, description=f"How the viewer is called, at most {rules.DISPLAY_NAME_LIMIT} characters."
    )
    bio: Markdown | None = strawberry.field(
        default=None,
        description=f"What the viewer says of themself, at most {rules.BIO_LIMIT} characters; empty takes it away.",
    )


@strawberry.type(description="Result of `editProfile`.")
class EditProfilePayload:
    user_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    viewer: Viewer | None = one("user_id", lambda: Viewer, description="The account as it is now.")
    errors: list[UserError] = errors_field()


async def edit_profile(info: Info, input: Annotated[EditProfileInput, INPUT]) -> EditProfilePayload:
    done = await carry_out(
        info,
        "editProfile",
        input,
        lambda change: actions.edit_profile(change, display_name=input.display_name, bio=input.bio),
    )
    return EditProfilePayload(user_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


# --- createApiToken ---------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `createApiToken`.")
class CreateApiTokenInput:
    client_mutation_id: str | None = key_given()
    name: str = strawberry.field(description=f"What the token is for, at most {rules.TOKEN_NAME_LIMIT} characters.")
    expires_at: Instant | None = strawberry.field(default=None, description="When it ends by itself; null: never.")


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
            change, name=input.name, secret_hash=secret.hash, expires_at=input.expires_at
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
        await _become(info.context, None)
    return RevokeApiTokenPayload(token_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


@strawberry.type
class UserMutations:
    sign_up: SignUpPayload = strawberry.mutation(resolver=sign_up, description="Make an account.")
    sign_in: SignInPayload = strawberry.mutation(resolver=sign_in, description="Begin a session.")
    sign_out: SignOutPayload = strawberry.mutation(
        resolver=sign_out, description="End a session; its live streams end too."
    )
    edit_profile: EditProfilePayload = strawberry.mutation(
        resolver=edit_profile, description="Change how the viewer appears."
    )
    create_api_token: CreateApiTokenPayload = strawberry.mutation(
        resolver=create_api_token, description="Make a token for a program that acts for the viewer."
    )
    revoke_api_token: RevokeApiTokenPayload = strawberry.mutation(
        resolver=revoke_api_token, description="End a token; its live streams end too."
    )
