"""What a person can do with an account.  Each action is one change: decision, rows, events.

Secrets and passwords arrive here as hashes: an action may run twice, and what it returns may be kept.
"""

from collections.abc import Collection
from typing import Any, Final

from graph.audience import SCOPES
from graph.change import Change
from graph.events import AccessChanged
from graph.mail.store import end_codes
from graph.phrases import phrase
from graph.refusals import Invalid, NotFound, SignInFirst, Taken
from graph.storage.tables import users
from graph.users import rules, store

SESSIONS: Final = ("SESSION",)
EVERYTHING: Final = ("API", "SESSION")

# --- signing up and in ------------------------------------------------------------------------------------------


async def sign_up(
    change: Change,
    *,
    handle: str,
    email: str,
    password_hash: str,
    locale: str | None = None,
) -> int:
    """Make an account; gives its id.  Raises Invalid, and Taken for a handle or an address that somebody has."""
    return await _add(
        change,
        handle=rules.clean_handle(handle),
        email=rules.clean_email(email),
        password_hash=password_hash,
        locale=rules.clean_locale(locale) or change.audience.locale,
    )


async def sign_in(
    change: Change,
    *,
    user_id: int,
    checked_hash: str,
    secret_hash: bytes,
    expires_at: int,
    device: str | None = None,
    stronger_hash: str | None = None,
    replaced_id: int | None = None,
) -> int:
    """Begin a session for somebody whose password was compared with `checked_hash`; gives its id.

    Who has deactivated the account takes it up again by this, within the days that the rules give.
    Raises SignInFirst when the password was changed meanwhile.  `stronger_hash` takes the place of the former.  The
    session `replaced_id`, of whoever was signed in before, ends.
    """
    columns = (users.c.password_hash, users.c.deactivated_at, users.c.returns_until)
    kept = await store.account(change, user_id, *columns, lock=True)
    password_hash, deactivated_at, returns_until = kept or (None, None, None)
    if password_hash != checked_hash or not rules.may_sign_in(deactivated_at, returns_until, change.now):
        raise wrong_words()
    values: dict[str, Any] = {} if deactivated_at is None else {"deactivated_at": None, "returns_until": None}
    if stronger_hash is not None:
        values["password_hash"] = stronger_hash
    if values:
        await store.change_user(change, user_id, **values)
    if replaced_id is not None:
        await _end_if_it_lasts(change, replaced_id)
    return await _add_token(
        change, user_id, "SESSION", secret_hash, expires_at, name=rules.clean_device(device), scopes=SCOPES
    )


async def _end_if_it_lasts(change: Change, session_id: int) -> None:
    viewer_id = _somebody(change)
    if await store.revoke_token(change, session_id, user_id=viewer_id, kind="SESSION", at=change.now):
        await change.record(AccessChanged(viewer_id, session_id))


def wrong_words() -> SignInFirst:
    """Says the same for an unknown person and for a wrong password."""
    return SignInFirst("There is no such account, or the password is another one.", ("input",))


# --- sessions and API tokens ------------------------------------------------------------------------------------


async def sign_out(change: Change, *, session_id: int | None, field: str = "sessionId") -> int:
    """End one of the viewer's sessions; gives its id.  Raises SignInFirst, and NotFound for any other."""
    return await _revoke(change, session_id, "SESSION", "There is no such session.", field)


async def sign_out_everywhere(change: Change, *, here_too: bool) -> int:
    """End all of the viewer's sessions, the one in use only if `here_too`; gives how many.  Raises SignInFirst."""
    viewer_id = _somebody(change)
    but = None if here_too else change.audience.token_id
    ended = await store.end_tokens(change, viewer_id, SESSIONS, at=change.now, but=but)
    await change.record(AccessChanged(viewer_id))
    return len(ended)


async def create_api_token(
    change: Change,
    *,
    name: str,
    secret_hash: bytes,
    scopes: Collection[str] | None = None,
    expires_at: int | None = None,
) -> int:
    """Gives the token's id.  Made with a token, it may do no more and lives no longer than that one.

    Raises SignInFirst, Invalid and NotPermitted.
    """
    viewer_id = _somebody(change)
    end = rules.clean_end(expires_at, await store.end_of_api_token(change, change.audience.token_id))
    allowed = rules.clean_scopes(scopes, change.audience.scopes)
    return await _add_token(
        change, viewer_id, "API", secret_hash, end, name=rules.clean_token_name(name), scopes=allowed
    )


async def revoke_api_token(change: Change, *, token_id: int) -> int:
    """Gives the token's id.  Raises SignInFirst, and NotFound when the viewer has no such token."""
    return await _revoke(change, token_id, "API", "There is no such token.", "id")


# --- passwords --------------------------------------------------------------------------------------------------


async def change_password(
    change: Change,
    *,
    checked_hash: str | None,
    password_hash: str,
    secret_hash: bytes,
    expires_at: int,
    end_api_tokens: bool = False,
) -> int | None:
    """Another password for the viewer, whose former one was compared with `checked_hash` (None: there was none).

    All other sessions end, other API tokens too if so wished; the session in use goes on under a new secret.  Gives
    its id, None where an API token is in use.  Raises SignInFirst, and Invalid when the password was changed meanwhile.
    """
    viewer_id = _somebody(change)
    if await store.password_hash_of(change, viewer_id, lock=True) != checked_hash:
        raise wrong_password()
    current = change.audience.token_id
    await _set_password(change, viewer_id, password_hash)
    kinds = EVERYTHING if end_api_tokens else SESSIONS
    await store.end_tokens(change, viewer_id, kinds, at=change.now, but=current)
    await change.record(AccessChanged(viewer_id))
    return await store.renew_session(change, current, viewer_id, secret_hash=secret_hash, expires_at=expires_at)


def wrong_password(field: str = "currentPassword") -> Invalid:
    return Invalid("This is not the present password.", ("input", field))


async def reset_password(change: Change, *, user_id: int, password_hash: str, end_api_tokens: bool = False) -> int:
    """Another password for somebody who has shown in another way who they are; gives their id.

    All their sessions end, their API tokens too if so wished.  Raises NotFound.
    """
    if await store.account(change, user_id, users.c.id, lock=True) is None:
        raise NotFound("There is no such account.", ("input",))
    await _set_password(change, user_id, password_hash)
    await _shut_out(change, user_id, EVERYTHING if end_api_tokens else SESSIONS)
    return user_id


# --- profile and handle -----------------------------------------------------------------------------------------


async def edit_profile(change: Change, *, display_name: str | None = None, bio: str | None = None) -> int:
    """Change what is given, an empty bio takes it away; gives the viewer's id.  Raises SignInFirst and Invalid."""
    viewer_id = _somebody(change)
    values: dict[str, str | None] = {}
    if display_name is not None:
        values["display_name"] = rules.clean_display_name(display_name)
    if bio is not None:
        values["bio"] = rules.clean_bio(bio)
    if values:
        await store.change_user(change, viewer_id, **values)
    return viewer_id


async def change_handle(change: Change, *, handle: str) -> int:
    """Another handle for the viewer, whose id comes back; the former one leads to them from now on.

    A former one can be taken back, and the same one spelt otherwise at any time.
    Raises SignInFirst, Invalid, Taken, and TooOften soon after the last time.
    """
    viewer_id = _somebody(change)
    await _rename(change, viewer_id, rules.clean_handle(handle), bounded=True)
    return viewer_id


# --- leaving and coming back ------------------------------------------------------------------------------------


async def deactivate_account(change: Change, *, checked_hash: str | None) -> int:
    """Close the viewer's account, whose password was compared with `checked_hash` (None: there is none).

    What they wrote stays under their name; all their sessions and tokens end.  Gives their id.
    Raises SignInFirst, and Invalid when the password was changed meanwhile.
    """
    viewer_id = _somebody(change)
    if await store.password_hash_of(change, viewer_id, lock=True) != checked_hash:
        raise wrong_password("password")
    await _deactivate(change, viewer_id, returns_until=change.now + rules.RETURN_DAYS * rules.DAY)
    return viewer_id


# --- the operator's ---------------------------------------------------------------------------------------------


async def create_user(
    change: Change,
    *,
    handle: str,
    display_name: str | None = None,
    email: str | None = None,
    password_hash: str | None = None,
    role: str = "MEMBER",
) -> int:
    """Make an account for somebody, as the operator: reserved handles are free, and e-mail and password may be missing.

    Raises Invalid and Taken.
    """
    return await _add(
        change,
        handle=rules.clean_handle(handle, reserved=True),
        display_name=None if display_name is None else rules.clean_display_name(display_name),
        email=None if email is None else rules.clean_email(email),
        password_hash=password_hash,
        role=role,
    )


async def set_role(change: Change, *, handle: str, role: str) -> int:
    """Give somebody another role on the whole site, as the operator; gives their id.  Raises NotFound.

    Their sessions end: one that was stolen before does not grow with them.
    """
    user_id = await by_handle(change, handle)
    await store.change_user(change, user_id, role=role)
    await _shut_out(change, user_id, SESSIONS)
    return user_id


async def set_password(change: Change, *, handle: str, password_hash: str, end_api_tokens: bool = False) -> int:
    """Give somebody another password, as the operator; gives their id.  Raises NotFound."""
    user_id = await by_handle(change, handle)
    return await reset_password(change, user_id=user_id, password_hash=password_hash, end_api_tokens=end_api_tokens)


async def rename(change: Change, *, handle: str, to: str) -> int:
    """Give somebody another handle, also a reserved one, as the operator; gives their id.

    Raises NotFound, Invalid and Taken.
    """
    user_id = await by_handle(change, handle)
    await _rename(change, user_id, rules.clean_handle(to, reserved=True), bounded=False)
    return user_id


async def deactivate(change: Change, *, handle: str) -> int:
    """Close somebody's account, as the operator, who alone can open it again; gives their id.  Raises NotFound."""
    user_id = await by_handle(change, handle)
    await _deactivate(change, user_id, returns_until=None)
    return user_id


async def reactivate(change: Change, *, handle: str) -> int:
    """Open somebody's account again, as the operator; gives their id.  Raises NotFound."""
    user_id = await by_handle(change, handle)
    await store.change_user(change, user_id, deactivated_at=None, returns_until=None)
    return user_id


async def token_for(
    change: Change,
    *,
    handle: str,
    name: str,
    secret_hash: bytes,
    scopes: Collection[str] | None = None,
    expires_at: int | None = None,
) -> int:
    """Make an API token for somebody, as the operator; gives its id.  Raises NotFound and Invalid."""
    user_id = await by_handle(change, handle)
    allowed = rules.clean_scopes(scopes, SCOPES)
    return await _add_token(
        change, user_id, "API", secret_hash, expires_at, name=rules.clean_token_name(name), scopes=allowed
    )


async def end_sessions(change: Change, *, handle: str, end_api_tokens: bool = False) -> int:
    """End all of somebody's sessions, their API tokens too if so wished, as the operator; gives their id.

    Raises NotFound.
    """
    user_id = await by_handle(change, handle)
    await _shut_out(change, user_id, EVERYTHING if end_api_tokens else SESSIONS)
    return user_id


async def revoke(change: Change, *, token_id: int) -> int:
    """End anybody's session or API token, as the operator; gives whose it was.  Raises NotFound."""
    user_id = await store.revoke_token(change, token_id, at=change.now)
    if user_id is None:
        raise NotFound("There is no such token.", ("input", "id"))
    await change.record(AccessChanged(user_id, token_id))
    return user_id


# --- below ------------------------------------------------------------------------------------------------------


def _somebody(change: Change) -> int:
    if change.audience.viewer_id is None:
        raise SignInFirst("Sign in first.")
    return change.audience.viewer_id


async def by_handle(change: Change, handle: str) -> int:
    """The person's id, also by a former handle.  Raises NotFound."""
    user_id = await store.id_by_handle(change, rules.handle_key(handle))
    if user_id is None:
        raise nobody(handle)
    return user_id


def nobody(handle: str) -> NotFound:
    return NotFound(phrase("Nobody has the handle {handle}.", handle=handle), ("input", "handle"))


async def _add(change: Change, *, handle: str, email: str | None, **values: Any) -> int:
    handle_key = await _claim(change, handle)
    values["display_name"] = values.get("display_name") or handle
    values["email_key"] = None if email is None else rules.email_key(email)
    user_id = await store.add_user(
        change, handle=handle, handle_key=handle_key, email=email, created_at=change.now, **values
    )
    if user_id is None:
        if await store.id_by_handle(change, handle_key) is not None:  # an import brought them in meanwhile
            raise taken_handle()
        raise Taken("There is an account with this e-mail address.", ("input", "email"))
    return user_id


def taken_handle() -> Taken:
    return Taken("Somebody has this handle already.", ("input", "handle"))


async def _claim(change: Change, handle: str, user_id: int | None = None) -> str:
    """The key of a handle that this person may take, or a new one.  Raises Taken."""
    key = rules.handle_key(handle)
    await store.lock_handles(change)
    owners = await store.owners_of(change, rules.look_alikes(key))
    if owners.get(key, user_id) != user_id:
        raise taken_handle()
    if any(owner != user_id for owner in owners.values()):
        raise Taken("This handle looks like somebody else's.", ("input", "handle"))
    return key


async def _rename(change: Change, user_id: int, handle: str, *, bounded: bool) -> None:
    key = await _claim(change, handle, user_id)
    kept = await store.account(change, user_id, users.c.handle_key, users.c.renamed_at, lock=True)
    assert kept is not None, "accounts are never deleted"
    values: dict[str, Any] = {"handle": handle, "handle_key": key}
    if key != kept[0]:
        if bounded:
            taken_back = key in await store.owners_of(change, {key})
            former = 0 if taken_back else await store.count_former_handles(change, user_id)
            rules.check_rename(kept[1], former, change.now)
            values["renamed_at"] = change.now
        await store.leave_handle(change, user_id, kept[0], for_key=key, at=change.now)
    await store.change_user(change, user_id, **values)


async def _deactivate(change: Change, user_id: int, *, returns_until: int | None) -> None:
    await store.change_user(change, user_id, deactivated_at=change.now, returns_until=returns_until)
    await _shut_out(change, user_id, EVERYTHING)


async def _set_password(change: Change, user_id: int, password_hash: str) -> None:
    """With the former password goes what was begun by who knew it: codes for another address, or another password."""
    await store.change_user(change, user_id, password_hash=password_hash)
    await end_codes(change, user_id, change.now)


async def _shut_out(change: Change, user_id: int, kinds: tuple[str, ...]) -> None:
    await store.end_tokens(change, user_id, kinds, at=change.now)
    await change.record(AccessChanged(user_id))


async def _add_token(
    change: Change,
    user_id: int,
    kind: str,
    secret_hash: bytes,
    expires_at: int | None,
    *,
    name: str | None,
    scopes: Collection[str],
) -> int:
    rules.check_expiry(expires_at, change.now)
    return await store.add_token(
        change,
        user_id=user_id,
        kind=kind,
        secret_hash=secret_hash,
        name=name,
        created_at=change.now,
        last_used_at=change.now,
        expires_at=expires_at,
        scopes=" ".join(sorted(scopes)),
    )


async def _revoke(change: Change, token_id: int | None, kind: str, message: str, field: str) -> int:
    viewer_id = _somebody(change)
    if token_id is None or not await store.revoke_token(change, token_id, user_id=viewer_id, kind=kind, at=change.now):
        raise NotFound(message, ("input", field))
    await change.record(AccessChanged(viewer_id, token_id))
    return token_id
