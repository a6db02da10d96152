"""What a client may do with accounts, sessions and tokens."""

from dataclasses import replace
from typing import Annotated

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_in_input, key_returned
from graph.change import Action
from graph.context import CarriedOut, Context, Info, carry_out, prepare_and_carry_out
from graph.errors import UserError, user_error
from graph.mail.actions import request_sign_up
from graph.nodes import global_id_or_none, one
from graph.refusals import Conflict
from graph.scalars import Instant, Markdown
from graph.users import actions, passwords, rules, store
from graph.users.attempts import Attempt
from graph.users.authentication import viewer_of
from graph.users.credentials import CredentialMutations
from graph.users.sessions import (
    CredentialDelivery,
    Fresh,
    become,
    begin_session,
    compared,
    compared_each_time,
    delivered,
    keyless,
)
from graph.users.types import User, Viewer

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
    attempt: Attempt | None = None
    sends_mail = info.context.services.sends_mail

    async def prepare() -> Action[int | None]:
        nonlocal password_hash, attempt
        if input.delivery is CredentialDelivery.COOKIE:
            info.context.cookie.check_open("input", "delivery")
        rules.check_password(input.password, handle=input.handle, email=input.email)
        attempt = count_address(info.context, input.email)
        password_hash = await passwords.hashed(input.password)
        act = request_sign_up if sends_mail else actions.sign_up
        return lambda change: act(
            change, handle=input.handle, email=input.email, password_hash=password_hash, locale=input.locale
        )

    # The password stays out of what is remembered under the key: that hash is a fast one.
    remembered = replace(input, password="")
    done = await prepare_and_carry_out(info, "signUp", remembered, prepare)
    done = await checked_repetition(info.context, done, input.password, password_hash)
    if attempt is not None and done.value is not None:
        attempt.succeeded()
    payload = SignUpPayload(user_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)
    if done.value is not None and input.delivery is not None:
        payload.token, payload.expires_at = await begin_session(info.context, done.value, input.delivery)
    elif done.value is not None:
        await show_account(info.context, done.value)
    payload.confirmation_sent = done.value is None and not done.errors
    return payload


def count_address(context: Context, address: str) -> Attempt:
    """Who has mails sent to ever other addresses, or tries which of them have an account, is slowed down like who
    guesses passwords.  Raises TooOften.
    """
    return context.services.attempts.begin(f"mail {rules.email_key(address)}", context.client, context.services.now())


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
        context.read_from(context.services.asking(rows, person.audience))


# --- signIn -----------------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `signIn`.")
class SignInInput:
    client_mutation_id: str | None = compared_each_time()
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
    fresh = Fresh.of(context)

    async def prepare() -> Action[int]:
        if input.delivery is CredentialDelivery.COOKIE:
            context.cookie.check_open("input", "delivery")
        user_id, checked_hash, stronger_hash = await _checked(context, input)
        return lambda change: actions.sign_in(
            change,
            user_id=user_id,
            checked_hash=checked_hash,
            stronger_hash=stronger_hash,
            secret_hash=fresh.secret.hash,
            expires_at=fresh.expires_at,
            device=input.device,
            replaced_id=context.viewer.token_id if context.cookie.came else None,
        )

    done = await prepare_and_carry_out(info, "signIn", keyless(input), prepare)
    if done.errors:
        return SignInPayload(user_id=None, client_mutation_id=input.client_mutation_id, errors=done.errors)
    token = await delivered(context, fresh, input.delivery)
    return SignInPayload(
        user_id=context.viewer.audience.viewer_id,
        client_mutation_id=input.client_mutation_id,
        token=token,
        expires_at=Instant(fresh.expires_at),
        errors=[],
    )


async def _checked(context: Context, input: SignInInput) -> tuple[int, str, str | None]:
    """The person, the hash that the password matches, and a new one when that is outdated.

    Raises SignInFirst, and TooOften.  The same is done for who exists and who does not.
    """
    names = _names(input.identifier)
    attempt = context.services.attempts.begin(repr(names), context.client, context.services.now())
    user_id, password_hash = await store.credentials(context.services.storage, **names) or (0, None)
    verdict = await passwords.verify(input.password, password_hash)
    if not verdict.matches or password_hash is None:
        raise actions.wrong_words()
    attempt.succeeded()
    return user_id, password_hash, await passwords.hashed(input.password) if verdict.outdated else None


def _names(identifier: str) -> dict[str, str]:
    if "@" in identifier.strip().removeprefix("@"):
        return {"email_key": rules.email_key(identifier)}
    return {"handle_key": rules.handle_key(identifier).removeprefix("@")}


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
        await become(context, None)
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


# --- changeHandle -----------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `changeHandle`.")
class ChangeHandleInput:
    client_mutation_id: str | None = key_given()
    handle: str = strawberry.field(
        description="As in `signUp`, or one that the viewer had before.  The same one can be spelt otherwise at any "
        f"time, another one taken once in {rules.RENAME_DAYS} days; {rules.FORMER_HANDLES_LIMIT} former ones are kept."
    )


@strawberry.type(description="Result of `changeHandle`.")
class ChangeHandlePayload:
    user_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    viewer: Viewer | None = one("user_id", lambda: Viewer, description="The account as it is now.")
    errors: list[UserError] = errors_field()


async def change_handle(info: Info, input: Annotated[ChangeHandleInput, INPUT]) -> ChangeHandlePayload:
    done = await carry_out(
        info, "changeHandle", input, lambda change: actions.change_handle(change, handle=input.handle)
    )
    return ChangeHandlePayload(user_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


# --- deactivateAccount ------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `deactivateAccount`.")
class DeactivateAccountInput:
    client_mutation_id: str | None = compared_each_time()
    password: str | None = strawberry.field(
        default=None, description="The viewer's; null for an account without a password."
    )


@strawberry.type(description="Result of `deactivateAccount`.")
class DeactivateAccountPayload:
    user_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    user: User | None = one("user_id", lambda: User, description="What is left for others to see.")
    returns_until: Instant | None = strawberry.field(
        default=None,
        description="Until when signing in takes the account up again; after that the operator can.  Null without a "
        "password.",
    )
    errors: list[UserError] = errors_field()


async def deactivate_account(info: Info, input: Annotated[DeactivateAccountInput, INPUT]) -> DeactivateAccountPayload:
    context = info.context

    async def prepare() -> Action[int]:
        checked_hash = await compared(context, input.password, "password")
        return lambda change: actions.deactivate_account(change, checked_hash=checked_hash)

    done = await prepare_and_carry_out(info, "deactivateAccount", keyless(input), prepare)
    payload = DeactivateAccountPayload(
        user_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors
    )
    if done.value is not None:
        await become(context, None)
        until = await store.returns_until(context.asking.rows, done.value)
        payload.returns_until = None if until is None else Instant(until)
    return payload


@strawberry.type
class UserMutations(CredentialMutations):
    sign_up: SignUpPayload = strawberry.mutation(resolver=sign_up, description="Make an account.")
    sign_in: SignInPayload = strawberry.mutation(resolver=sign_in, description="Begin a session.")
    sign_out: SignOutPayload = strawberry.mutation(
        resolver=sign_out, description="End a session; its live streams end too."
    )
    edit_profile: EditProfilePayload = strawberry.mutation(
        resolver=edit_profile, description="Change how the viewer appears."
    )
    change_handle: ChangeHandlePayload = strawberry.mutation(
        resolver=change_handle,
        description="Take another handle.  The former one goes on leading to the viewer, and nobody else gets it.",
    )
    deactivate_account: DeactivateAccountPayload = strawberry.mutation(
        resolver=deactivate_account,
        description="Close the account: all sessions and API tokens end, picture and bio are hidden, what was written "
        "stays under the name.",
    )
