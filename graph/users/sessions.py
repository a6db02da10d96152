"""What the acts that begin, renew or end a session have in common: a secret, who asks from then on, who knows it."""

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Self, TypeVar

import strawberry

from graph.access import check_all_scopes
from graph.context import Context
from graph.context import Viewer as Asker
from graph.refusals import SignInFirst
from graph.scalars import Instant
from graph.users import actions, passwords, store
from graph.users.authentication import authenticate
from graph.users.tokens import Secret, new_secret

Given = TypeVar("Given")


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


@dataclass(frozen=True, slots=True)
class Fresh:
    """A secret for a session that is to begin, or to go on under it, and when that ends."""

    secret: Secret
    expires_at: int  # µs since 1970, UTC

    @classmethod
    def of(cls, context: Context) -> Self:
        return cls(new_secret("SESSION"), context.services.now() + context.services.session_microseconds)


async def begin_session(
    context: Context, user_id: int, delivery: CredentialDelivery
) -> tuple[str | None, Instant | None]:
    """For somebody whose password has just been compared, or chosen; gives what the payload shows of it."""
    fresh = Fresh.of(context)
    checked_hash = await store.password_hash_of(context.asking.rows, user_id)
    assert checked_hash is not None, "a password was compared"
    replaced_id = context.viewer.token_id if context.cookie.came else None
    await context.services.changes.run(
        lambda change: actions.sign_in(
            change,
            user_id=user_id,
            checked_hash=checked_hash,
            secret_hash=fresh.secret.hash,
            expires_at=fresh.expires_at,
            replaced_id=replaced_id,
        ),
        audience=context.viewer.audience,
    )
    await context.read_anew()
    return await delivered(context, fresh, delivery), Instant(fresh.expires_at)


async def delivered(context: Context, fresh: Fresh, delivery: CredentialDelivery) -> str | None:
    """From now on the request comes with this secret; gives what the payload shows of it, nothing for a cookie."""
    asker = await authenticate(context.asking.rows, fresh.secret.text, context.services.now())
    await become(context, asker)
    if delivery is CredentialDelivery.COOKIE:
        context.cookie.keep(fresh.secret.text, fresh.expires_at)
        return None
    context.cookie.clear()  # its session has been replaced by this one
    return fresh.secret.text


async def become(context: Context, asker: Asker | None) -> None:
    """From now on this request is somebody else's, or nobody's."""
    context.viewer = asker or Asker()
    if asker is None:
        context.cookie.clear()
    await context.read_anew()


async def compared(context: Context, password: str | None, field: str) -> str | None:
    """The hash of the viewer's password, which this is; None where they have none, and none is given.

    Raises SignInFirst, TooOften, Invalid for another one, and NotPermitted where there is none and the credential may
    not do everything: who gives an account its first password may do everything from then on.
    """
    viewer_id = context.viewer.audience.viewer_id
    if viewer_id is None:
        raise SignInFirst("Sign in first.")
    kept = await store.password_hash_of(context.services.storage, viewer_id)
    if kept is None and password is None:
        check_all_scopes(context.viewer.audience)
        return None
    attempt = context.services.attempts.begin(f"viewer {viewer_id}", context.client, context.services.now())
    if not (await passwords.verify(password or "", kept)).matches:
        raise actions.wrong_password(field)
    attempt.succeeded()
    return kept


def compared_each_time() -> Any:
    return strawberry.field(
        default=None,
        description="Only comes back in the payload: the password is compared each time, and what is done is done "
        "again.",
    )


def keyless(given: Given) -> Given:
    """The input without its key: nothing of it is remembered."""
    changed: Given = replace(given, client_mutation_id=None)  # type: ignore[type-var]  # inputs are dataclasses
    return changed
