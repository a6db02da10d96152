"""What a client may do with mail: a forgotten password, an address that is confirmed or changed."""

from typing import Annotated

import strawberry

from graph.acts import INPUT, errors_field, key_given, key_returned
from graph.change import Action
from graph.context import Context, Info, prepare_and_carry_out
from graph.errors import UserError
from graph.mail import actions
from graph.refusals import Unavailable


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
        return lambda change: actions.request_password_reset(change, email=input.email)

    done = await prepare_and_carry_out(info, "requestPasswordReset", input, prepare)
    return RequestPasswordResetPayload(client_mutation_id=input.client_mutation_id, errors=done.errors)


@strawberry.type
class MailMutations:
    request_password_reset: RequestPasswordResetPayload = strawberry.mutation(
        resolver=request_password_reset,
        description="Mail a code for a new password to the account with this address, if there is one; then comes "
        "`resetPassword`.  Refused with an UnavailableError where the site sends no mail.",
    )
