"""What a client may do with mail: a forgotten password, an address that is confirmed or changed."""

from dataclasses import replace
from typing import Annotated

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_returned
from graph.change import Action
from graph.context import Context, Info, carry_out, prepare_and_carry_out
from graph.errors import UserError
from graph.mail import actions, rules, store
from graph.mail.codes import hash_of
from graph.nodes import one
from graph.refusals import Unavailable
from graph.users import passwords
from graph.users.mutations import checked_repetition, count_address, show_account
from graph.users.rules import PASSWORD_LIMIT, PASSWORD_SHORTEST, check_password
from graph.users.sessions import compared
from graph.users.types import Viewer


def check_mail(context: Context) -> None:
    """Raises Unavailable where the site sends no mail: who waits for a letter would wait for ever."""
    if not context.services.sends_mail:
        raise Unavailable("This site sends no mail.  Ask its operator.")


# --- requestPasswordReset ---------------------------------------------------------------------------------------


@strawberry.input(description="Input of `requestPasswordReset`.")
class RequestPasswordResetInput:
    client_mutation_id: str | None = key_given()
    email: str = strawberry.field(description="The e-mail address of the account.")


@strawberry.type(description="Result of `requestPasswordReset`: the same whether there is such an account or not.")
class RequestPasswordResetPayload:
    client_mutation_id: str | None = key_returned()
    errors: list[UserError] = errors_field()


async def request_password_reset(
    info: Info, input: Annotated[RequestPasswordResetInput, INPUT]
) -> RequestPasswordResetPayload:
    async def prepare() -> Action[None]:
        check_mail(info.context)
        count_address(info.context, input.email)
        return lambda change: actions.request_password_reset(change, email=input.email)

    done = await prepare_and_carry_out(info, "requestPasswordReset", input, prepare)
    return RequestPasswordResetPayload(client_mutation_id=input.client_mutation_id, errors=done.errors)


# --- resetPassword ----------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `resetPassword`.")
class ResetPasswordInput:
    client_mutation_id: str | None = key_given()
    code: str = strawberry.field(
        description="The code of the mail, or one that the operator gave out; small letters, spaces and missing "
        "hyphens do no harm."
    )
    password: str = strawberry.field(description=f"{PASSWORD_SHORTEST} to {PASSWORD_LIMIT} characters of any kind.")
    end_api_tokens: bool = strawberry.field(
        default=False, description="End the account's API tokens too, as is wise where somebody else knew the password."
    )


@strawberry.type(description="Result of `resetPassword`.")
class ResetPasswordPayload:
    user_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    viewer: Viewer | None = one(
        "user_id",
        lambda: Viewer,
        description="The account, which `signIn` now opens with the new password; null for one that was deactivated.",
    )
    errors: list[UserError] = errors_field()


async def reset_password(info: Info, input: Annotated[ResetPasswordInput, INPUT]) -> ResetPasswordPayload:
    code_hash = hash_of(input.code)
    password_hash = ""

    async def prepare() -> Action[int | None]:
        nonlocal password_hash
        owner = await store.owner_of(info.context.services.storage, code_hash, rules.RESET)
        if owner is None:  # nobody hashes passwords for who only guesses
            raise actions.invalid_code()
        handle, email = owner
        check_password(input.password, handle=handle, email=email or "")
        password_hash = await passwords.hashed(input.password)
        return lambda change: actions.reset_password(
            change, code_hash=code_hash, password_hash=password_hash, end_api_tokens=input.end_api_tokens
        )

    # The password stays out of what is remembered under the key: that hash is a fast one.
    done = await prepare_and_carry_out(info, "resetPassword", replace(input, password=""), prepare)
    done = await checked_repetition(info.context, done, input.password, password_hash)
    if done.value is not None:
        await show_account(info.context, done.value)
    return ResetPasswordPayload(user_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


# --- verifyEmail ------------------------------------------------------------------------------------------------


@strawberry.input(description="Input of `verifyEmail`.")
class VerifyEmailInput:
    client_mutation_id: str | None = key_given()
    code: str = strawberry.field(
        description="The code of the mail; small letters, spaces and missing hyphens do no harm."
    )
    handle: str | None = strawberry.field(
        default=None,
        description="Of an account that is made: another handle, where somebody has taken the one that `signUp` asked "
        "for.",
    )


@strawberry.type(description="Result of `verifyEmail`.")
class VerifyEmailPayload:
    user_id: strawberry.Private[int | None]
    client_mutation_id: str | None = key_returned()
    viewer: Viewer | None = one("user_id", lambda: Viewer, description="The account whose address is now confirmed.")
    errors: list[UserError] = errors_field()


async def verify_email(info: Info, input: Annotated[VerifyEmailInput, INPUT]) -> VerifyEmailPayload:
    code_hash = hash_of(input.code)
    done = await carry_out(
        info,
        "verifyEmail",
        input,
        lambda change: actions.verify_email(change, code_hash=code_hash, handle=input.handle),
    )
    if done.value is not None:
        await show_account(info.context, done.value)
    return VerifyEmailPayload(user_id=done.value, client_mutation_id=input.client_mutation_id, errors=done.errors)


# --- requestEmailConfirmation -----------------------------------------------------------------------------------


@strawberry.input(description="Input of `requestEmailConfirmation`.")
class RequestEmailConfirmationInput:
    client_mutation_id: str | None = key_given()


@strawberry.type(description="Result of `requestEmailConfirmation`.")
class RequestEmailConfirmationPayload:
    client_mutation_id: str | None = key_returned()
    errors: list[UserError] = errors_field()


async def request_email_confirmation(
    info: Info, input: Annotated[RequestEmailConfirmationInput, INPUT]
) -> RequestEmailConfirmationPayload:
    async def prepare() -> Action[int]:
        check_mail(info.context)
        return actions.request_email_confirmation

    done = await prepare_and_carry_out(info, "requestEmailConfirmation", input, prepare)
    return RequestEmailConfirmationPayload(client_mutation_id=input.client_mutation_id, errors=done.errors)


# --- requestEmailChange -----------------------------------------------------------------------------------------


@strawberry.input(description="Input of `requestEmailChange`.")
class RequestEmailChangeInput:
    client_mutation_id: str | None = key_given()
    new_email: str = strawberry.field(description="Where the viewer wants to be reached.")
    password: str | None = strawberry.field(
        default=None, description="The present password; null for an account that has none."
    )


@strawberry.type(description="Result of `requestEmailChange`: the same whether somebody else has this address or not.")
class RequestEmailChangePayload:
    client_mutation_id: str | None = key_returned()
    errors: list[UserError] = errors_field()


async def request_email_change(
    info: Info, input: Annotated[RequestEmailChangeInput, INPUT]
) -> RequestEmailChangePayload:
    context = info.context

    async def prepare() -> Action[int]:
        check_mail(context)
        checked_hash = await compared(context, input.password, "password")
        return lambda change: actions.request_email_change(change, email=input.new_email, checked_hash=checked_hash)

    done = await prepare_and_carry_out(info, "requestEmailChange", replace(input, password=None), prepare)
    return RequestEmailChangePayload(client_mutation_id=input.client_mutation_id, errors=done.errors)


@strawberry.type
class MailMutations:
    request_password_reset: RequestPasswordResetPayload = strawberry.mutation(
        resolver=request_password_reset,
        description="Mail a code for a new password to the account with this address, if there is one; then comes "
        "`resetPassword`.  Refused with an UnavailableError where the site sends no mail.",
    )
    reset_password: ResetPasswordPayload = strawberry.mutation(
        resolver=reset_password,
        description="Set a new password with the code of the mail, which is good once and for an hour; all sessions "
        "of the account end.",
    )
    verify_email: VerifyEmailPayload = strawberry.mutation(
        resolver=verify_email,
        description="Confirm an address with the code of the mail: makes the account that `signUp` asked for, or "
        "confirms or changes the address of one.  A change is confirmed by who is signed in to the account.",
    )
    request_email_confirmation: RequestEmailConfirmationPayload = strawberry.mutation(
        resolver=request_email_confirmation,
        description="Mail a code to the viewer's address, which is not confirmed yet; then comes `verifyEmail`.",
    )
    request_email_change: RequestEmailChangePayload = strawberry.mutation(
        resolver=request_email_change,
        description="Mail a code to the address that the viewer wants, and a warning to the present one; then comes "
        "`verifyEmail`.",
    )
