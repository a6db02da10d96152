"""What a person can do with mail: ask for a code, and bring it back.  Each action is one change.

Codes arrive here as hashes, like passwords.
"""

from graph.change import Change
from graph.mail import rules, store
from graph.mail.outbox import add_code, queue
from graph.mail.rules import Person
from graph.phrases import phrase
from graph.refusals import Invalid, SignInFirst, Taken, TooOften
from graph.users import actions as user_actions
from graph.users.rules import clean_email, clean_handle, clean_locale, email_key, handle_key
from graph.users.store import change_user, id_by_email, id_by_handle, lock_handles, password_hash_of


async def request_password_reset(change: Change, *, email: str) -> None:
    """Have a code mailed to whom this address belongs, if to anybody.

    Whether there is such an account is looked up when the letter is written, not here: the same is done for every
    address, in the same time.  Raises Invalid for what is no address.
    """
    await queue(change, rules.RESET, clean_email(email))


async def request_sign_up(
    change: Change, *, handle: str, email: str, password_hash: str, locale: str | None = None
) -> None:
    """Have a code mailed that makes this account; who has the address already is told so by mail instead.

    Here the same is done for every address, in the same time.  Raises Invalid, and Taken for a handle that somebody
    has by now; should somebody take it before the code comes back, that is told then.
    """
    handle, email = clean_handle(handle), clean_email(email)
    if await id_by_handle(change, handle_key(handle)) is not None:
        raise user_actions.taken_handle()
    sign_up_id = await store.add_sign_up(
        change,
        handle=handle,
        email=email,
        email_key=email_key(email),
        password_hash=password_hash,
        locale=clean_locale(locale) or change.audience.locale,
        created_at=change.now,
        expires_at=change.now + rules.SIGN_UP_LIFETIME,
    )
    await queue(change, rules.SIGN_UP, email, detail=str(sign_up_id))


async def request_email_confirmation(change: Change) -> int:
    """Have a code mailed to the viewer's address; gives their id.  Raises SignInFirst, Invalid and TooOften."""
    viewer = await _viewer(change)
    if viewer.email is None:
        raise Invalid("You have no e-mail address: give one first.")
    if viewer.email_confirmed_at is not None:
        raise Invalid("This address is confirmed already.")
    await _queue_or_refuse(change, rules.CONFIRM, viewer.email, viewer.id)
    return viewer.id


async def request_email_change(change: Change, *, email: str, checked_hash: str | None) -> int:
    """Have a code mailed to the address that the viewer wants, and a warning to the present one; gives their id.

    Their password was compared with `checked_hash`.  Whether somebody has the address is not told.
    Raises SignInFirst, Invalid, also when the password was changed meanwhile, and TooOften.
    """
    viewer = await _viewer(change)
    if await password_hash_of(change, viewer.id, lock=True) != checked_hash:
        raise user_actions.wrong_password("password")
    email = clean_email(email, "newEmail")
    if email_key(email) == viewer.email_key:
        raise Invalid("This is your address already.", ("input", "newEmail"))
    await _queue_or_refuse(change, rules.CHANGE, email, viewer.id)
    if viewer.email is not None:
        await queue(change, rules.CHANGING, viewer.email, user_id=viewer.id, detail=email)
    return viewer.id


async def _viewer(change: Change) -> Person:
    viewer_id = change.audience.viewer_id
    viewer = None if viewer_id is None else await store.person(change, viewer_id)
    if viewer is None:
        raise SignInFirst("Sign in first.")
    return viewer


async def _queue_or_refuse(change: Change, kind: str, address: str, user_id: int) -> None:
    if not await queue(change, kind, address, user_id=user_id):
        message = "You have asked for this too often.  Try again in an hour."
        raise TooOften(message, retry_after_seconds=rules.HOUR / rules.SECOND)


# --- codes that come back ---------------------------------------------------------------------------------------


async def reset_password(change: Change, *, code_hash: bytes, password_hash: str, end_api_tokens: bool = False) -> int:
    """Another password for whom this code was given to; gives their id.  All their sessions and other codes end.

    A code that was mailed shows also that mail arrives there.  Raises Invalid for a code that is none any more.
    """
    user_id, _, address = await _used(change, code_hash, (rules.RESET,))
    await user_actions.reset_password(
        change, user_id=user_id, password_hash=password_hash, end_api_tokens=end_api_tokens
    )
    person = await store.person(change, user_id)
    assert person is not None, "accounts are never deleted"
    if address is not None and person.email_key == email_key(address) and person.email_confirmed_at is None:
        await change_user(change, user_id, email_confirmed_at=change.now)
    return user_id


async def verify_email(change: Change, *, code_hash: bytes, handle: str | None = None) -> int:
    """What the code was mailed for: an account is made, or an address confirmed or changed; gives the account's id.

    `handle` is for an account that is made, should somebody have taken the one asked for.  A change needs the viewer
    to be who asked for it: the new address may have been mistyped.
    Raises Invalid for a code that is none any more, SignInFirst, and Taken.
    """
    asked_for = await store.take_sign_up(change, code_hash, change.now)
    if asked_for is not None:
        wanted, email, password_hash, locale = asked_for
        user_id = await user_actions.sign_up(
            change, handle=handle or wanted, email=email, password_hash=password_hash, locale=locale
        )
        await change_user(change, user_id, email_confirmed_at=change.now)
        return user_id
    user_id, kind, address = await _used(change, code_hash, (rules.CONFIRM, rules.CHANGE))
    await (_change_email if kind == rules.CHANGE else _confirm_email)(change, user_id, address)
    return user_id


async def _change_email(change: Change, user_id: int, address: str) -> None:
    if change.audience.viewer_id is None:
        raise SignInFirst("Sign in first.")
    if change.audience.viewer_id != user_id:
        raise invalid_code()
    await take_address(change, user_id, address, confirmed=True)


async def _confirm_email(change: Change, user_id: int, address: str) -> None:
    person = await store.person(change, user_id)
    if person is None or person.email_key != email_key(address):
        raise invalid_code()
    await change_user(change, user_id, email_confirmed_at=change.now)


async def take_address(change: Change, user_id: int, address: str | None, *, confirmed: bool) -> None:
    """Make it the account's, or take the present one away; codes that were sent to the former one end.

    Raises Taken for an address that somebody else has.
    """
    key = None if address is None else email_key(address)
    await lock_handles(change)
    if key is not None and await id_by_email(change, key) not in (None, user_id):
        raise Taken("There is an account with this e-mail address.", ("input",))
    confirmed_at = change.now if confirmed else None
    await change_user(change, user_id, email=address, email_key=key, email_confirmed_at=confirmed_at)
    await store.end_codes(change, user_id, change.now)


async def _used(change: Change, code_hash: bytes, kinds: tuple[str, ...]) -> tuple[int, str, str]:
    found = await store.use_code(change, code_hash, kinds, change.now)
    if found is None:
        raise invalid_code()
    user_id, kind, address = found
    return user_id, kind, address


def invalid_code() -> Invalid:
    return Invalid("This code is not valid, or no longer.", ("input", "code"))


# --- the operator's ---------------------------------------------------------------------------------------------


async def reset_code_for(change: Change, *, handle: str, secret_hash: bytes) -> int:
    """A code with which somebody can set a new password, handed over by the operator; gives their id.

    Raises NotFound.
    """
    user_id = await user_actions.by_handle(change, handle)
    await add_code(change, rules.RESET, user_id, secret_hash, address=None)
    return user_id


async def set_email(change: Change, *, handle: str, email: str | None, confirmed: bool = False) -> int:
    """Another address for somebody, None for none, as the operator; gives their id.

    Raises NotFound, Invalid and Taken.
    """
    user_id = await user_actions.by_handle(change, handle)
    await take_address(change, user_id, None if email is None else clean_email(email), confirmed=confirmed)
    return user_id


async def confirm_email(change: Change, *, handle: str) -> int:
    """Take the operator's word that the address is theirs; gives their id.

    Raises NotFound, and Invalid where there is none.
    """
    user_id = await user_actions.by_handle(change, handle)
    person = await store.person(change, user_id)
    if person is None or person.email is None:
        raise Invalid(phrase("{handle} has no e-mail address.", handle=handle), ("input", "handle"))
    await change_user(change, user_id, email_confirmed_at=change.now)
    return user_id
