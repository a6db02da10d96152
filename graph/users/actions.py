"""What a person can do with an account.  Each action is one change: decision, rows, events.

Secrets and passwords arrive here as hashes: an action may run twice, and what it returns may be kept.
"""

from typing import Any

from graph.change import Change
from graph.events import AccessChanged
from graph.phrases import phrase
from graph.refusals import NotFound, SignInFirst, Taken
from graph.users import rules, store


async def sign_up(change: Change, *, handle: str, email: str, password_hash: str, locale: str | None = None) -> int:
    """Make an account; gives its id.  Raises Invalid, and Taken for a handle or an address that somebody has."""
    return await _add(
        change,
        handle=rules.clean_handle(handle),
        email=rules.clean_email(email),
        password_hash=password_hash,
        locale=rules.clean_locale(locale) or change.audience.locale,
    )


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
    """Give somebody another role on the whole site, as the operator; gives their id.  Raises NotFound."""
    user_id = await _by_handle(change, handle)
    await store.change_user(change, user_id, role=role)
    await change.record(AccessChanged(user_id))
    return user_id


async def token_for(
    change: Change, *, handle: str, name: str, secret_hash: bytes, expires_at: int | None = None
) -> int:
    """Make an API token for somebody, as the operator; gives its id.  Raises NotFound and Invalid."""
    user_id = await _by_handle(change, handle)
    return await _add_token(change, user_id, "API", rules.clean_token_name(name), secret_hash, expires_at)


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

    Raises SignInFirst when the password was changed meanwhile.  `stronger_hash` takes the place of the former.  The
    session `replaced_id`, of whoever was signed in before, ends.
    """
    if await store.password_hash_of(change, user_id, lock=True) != checked_hash:
        raise wrong_words()
    if stronger_hash is not None:
        await store.change_user(change, user_id, password_hash=stronger_hash)
    if replaced_id is not None:
        await _end_if_it_lasts(change, replaced_id)
    return await _add_token(change, user_id, "SESSION", rules.clean_device(device), secret_hash, expires_at)


async def _end_if_it_lasts(change: Change, session_id: int) -> None:
    viewer_id = _somebody(change)
    if await store.revoke_token(change, session_id, user_id=viewer_id, kind="SESSION", at=change.now):
        await change.record(AccessChanged(viewer_id, session_id))


def wrong_words() -> SignInFirst:
    """Says the same for an unknown person and for a wrong password."""
    return SignInFirst("There is no such account, or the password is another one.", ("input",))


async def sign_out(change: Change, *, session_id: int | None) -> int:
    """End one of the viewer's sessions; gives its id.  Raises SignInFirst, and NotFound for any other."""
    return await _revoke(change, session_id, "SESSION", "There is no such session.", "sessionId")


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


async def create_api_token(change: Change, *, name: str, secret_hash: bytes, expires_at: int | None = None) -> int:
    """Gives the token's id.  Raises SignInFirst and Invalid."""
    viewer_id = _somebody(change)
    return await _add_token(change, viewer_id, "API", rules.clean_token_name(name), secret_hash, expires_at)


async def revoke_api_token(change: Change, *, token_id: int) -> int:
    """Gives the token's id.  Raises SignInFirst, and NotFound when the viewer has no such token."""
    return await _revoke(change, token_id, "API", "There is no such token.", "id")


def _somebody(change: Change) -> int:
    if change.audience.viewer_id is None:
        raise SignInFirst("Sign in first.")
    return change.audience.viewer_id


async def _by_handle(change: Change, handle: str) -> int:
    user_id = await store.id_by_handle(change, rules.handle_key(handle))
    if user_id is None:
        raise NotFound(phrase("Nobody has the handle {handle}.", handle=handle), ("input", "handle"))
    return user_id


async def _add(change: Change, *, handle: str, email: str | None, **values: Any) -> int:
    handle_key = rules.handle_key(handle)
    values["display_name"] = values.get("display_name") or handle
    values["email_key"] = None if email is None else rules.email_key(email)
    user_id = await store.add_user(
        change, handle=handle, handle_key=handle_key, email=email, created_at=change.now, **values
    )
    if user_id is None:
        if await store.id_by_handle(change, handle_key) is not None:
            raise Taken("Somebody has this handle already.", ("input", "handle"))
        raise Taken("There is an account with this e-mail address.", ("input", "email"))
    return user_id


async def _add_token(
    change: Change, user_id: int, kind: str, name: str | None, secret_hash: bytes, expires_at: int | None
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
    )


async def _revoke(change: Change, token_id: int | None, kind: str, message: str, field: str) -> int:
    viewer_id = _somebody(change)
    if token_id is None or not await store.revoke_token(change, token_id, user_id=viewer_id, kind=kind, at=change.now):
        raise NotFound(message, ("input", field))
    await change.record(AccessChanged(viewer_id, token_id))
    return token_id
