"""Accounts in the operator's hands: what `palabre users` does, and what it tells."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import sqlalchemy as sa

from graph import app, text
from graph.audience import VISITOR
from graph.change import Action, Change, Changes, T
from graph.commands.databases import opened
from graph.mail import actions as mail_actions
from graph.mail.codes import new_code
from graph.mail.letters import link
from graph.settings import Settings
from graph.storage.rows import Rows
from graph.storage.tables import users
from graph.users import actions, passwords, rules, store
from graph.users.tokens import new_secret
from subscriptions.brokers.memory import MemoryBroker

DAY: Final = 24 * 3600 * 1_000_000  # µs
NEVER: Final = "-"

# --- looking ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Listing:
    """Which accounts to list, in the order of their handles."""

    containing: str = ""
    role: str | None = None
    deactivated: bool = False
    after: str = ""  # a handle
    limit: int = 100


async def listed(settings: Settings, listing: Listing) -> list[Sequence[str]]:
    """(handle, name, role, state, address), one more than the limit where there are more."""
    shown = (users.c.handle, users.c.display_name, users.c.role, users.c.deactivated_at, users.c.email)
    async with opened(settings) as storage:
        found = await storage.rows(
            sa.select(*shown).where(*_chosen(listing)).order_by(users.c.handle_key).limit(listing.limit + 1)
        )
    return [
        (handle, name, role, "in use" if deactivated_at is None else "closed", email or NEVER)
        for handle, name, role, deactivated_at, email in found
    ]


def _chosen(listing: Listing) -> list[sa.ColumnElement[bool]]:
    wanted = [users.c.handle_key > rules.handle_key(listing.after)]
    if listing.role is not None:
        wanted.append(users.c.role == listing.role)
    if listing.deactivated:
        wanted.append(users.c.deactivated_at.is_not(None))
    if listing.containing:
        by_handle = users.c.handle_key.contains(text.fold(listing.containing), autoescape=True)
        by_address = users.c.email_key.contains(rules.email_key(listing.containing), autoescape=True)
        by_name = users.c.display_name.icontains(listing.containing, autoescape=True)
        wanted.append(by_handle | by_address | by_name)
    return wanted


async def shown(settings: Settings, handle: str) -> list[tuple[str, str]]:
    """(what, how it is) of one account.  Raises NotFound."""
    async with opened(settings) as storage:
        user_id = await _id_of(storage, handle)
        person = await store.account(storage, user_id, *users.columns)
        assert person is not None, "accounts are never deleted"
        open_doors = await store.tokens_of(storage, user_id, app.now())
        former = await store.former_handles_of(storage, user_id)
    about = dict(zip((column.name for column in users.columns), person, strict=True))
    kinds = [kind for _, kind, *_ in open_doors]
    return [
        ("Handle", about["handle"]),
        ("Formerly", ", ".join(former) or NEVER),
        ("Name", about["display_name"]),
        ("Role", about["role"].lower()),
        ("Address", _address(about)),
        ("Password", "none" if about["password_hash"] is None else "set"),
        ("Language", about["locale"]),
        ("Made", _moment(about["created_at"])),
        ("State", _state(about)),
        ("Sessions", str(kinds.count("SESSION"))),
        ("Tokens", str(kinds.count("API"))),
    ]


def _address(about: dict[str, Any]) -> str:
    if about["email"] is None:
        return NEVER
    confirmed_at = about["email_confirmed_at"]
    return f"{about['email']} ({'not confirmed' if confirmed_at is None else f'confirmed {_moment(confirmed_at)}'})"


def _state(about: dict[str, Any]) -> str:
    if about["deactivated_at"] is None:
        return "in use"
    closed = f"closed {_moment(about['deactivated_at'])}"
    if about["returns_until"] is None:
        return f"{closed}, by the operator"
    return f"{closed}, by themself, who may come back until {_moment(about['returns_until'])}"


async def credentials(settings: Settings, handle: str, kind: str) -> list[Sequence[str]]:
    """(id, name, scopes of API tokens, made, last used, end) of what opens the account.  Raises NotFound."""
    async with opened(settings) as storage:
        found = await store.tokens_of(storage, await _id_of(storage, handle), app.now())
    return [
        (str(token_id), name or NEVER, *([scopes] if kind == "API" else []), *map(_moment, times))
        for token_id, its_kind, name, scopes, *times in found
        if its_kind == kind
    ]


def _moment(at: int | None) -> str:
    return NEVER if at is None else f"{datetime.fromtimestamp(at // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


# --- the account ------------------------------------------------------------------------------------------------


async def create_user(
    settings: Settings,
    handle: str,
    *,
    is_admin: bool,
    display_name: str | None = None,
    email: str | None = None,
) -> None:
    """Raises Refusal."""
    role = "ADMIN" if is_admin else "MEMBER"
    await _carry_out(
        settings,
        lambda change: actions.create_user(change, handle=handle, role=role, display_name=display_name, email=email),
    )


# What follows gives the handle by which the person goes now, and raises Refusal: a former handle does as well.


async def rename(settings: Settings, handle: str, to: str) -> str:
    return await _on_account(settings, lambda change: actions.rename(change, handle=handle, to=to))


async def set_role(settings: Settings, handle: str, role: str) -> str:
    return await _on_account(settings, lambda change: actions.set_role(change, handle=handle, role=role))


async def set_email(settings: Settings, handle: str, email: str | None, *, confirmed: bool) -> str:
    return await _on_account(
        settings, lambda change: mail_actions.set_email(change, handle=handle, email=email, confirmed=confirmed)
    )


async def confirm_email(settings: Settings, handle: str) -> str:
    return await _on_account(settings, lambda change: mail_actions.confirm_email(change, handle=handle))


async def deactivate(settings: Settings, handle: str) -> str:
    return await _on_account(settings, lambda change: actions.deactivate(change, handle=handle))


async def reactivate(settings: Settings, handle: str) -> str:
    return await _on_account(settings, lambda change: actions.reactivate(change, handle=handle))


# --- letting in, and out ----------------------------------------------------------------------------------------


async def set_password(settings: Settings, handle: str, password: str, *, end_api_tokens: bool) -> str:
    async with opened(settings) as storage:
        person = await store.account(storage, await _id_of(storage, handle), users.c.handle, users.c.email)
    assert person is not None, "accounts are never deleted"
    rules.check_password(password, handle=person[0], email=person[1] or "")
    password_hash = await passwords.hashed(password)
    return await _on_account(
        settings,
        lambda change: actions.set_password(
            change, handle=handle, password_hash=password_hash, end_api_tokens=end_api_tokens
        ),
    )


async def reset_code(settings: Settings, handle: str) -> list[str]:
    """The code, and the link that holds it where the operator has named one.  Raises NotFound."""
    code = new_code()
    await _carry_out(settings, lambda change: mail_actions.reset_code_for(change, handle=handle, secret_hash=code.hash))
    template = settings.mail_reset_link
    return [code.text] if template is None else [code.text, link(template, code.text)]


async def end_sessions(settings: Settings, handle: str, *, end_api_tokens: bool) -> str:
    return await _on_account(
        settings, lambda change: actions.end_sessions(change, handle=handle, end_api_tokens=end_api_tokens)
    )


async def revoke(settings: Settings, token_id: int) -> str:
    return await _on_account(settings, lambda change: actions.revoke(change, token_id=token_id))


async def new_token(
    settings: Settings,
    handle: str,
    name: str,
    *,
    scopes: Collection[str] | None = None,
    days: int | None = None,
    expires_at: int | None = None,
) -> str:
    """The secret of a new API token of this person, which ends after so many days or at a moment.  Raises Refusal."""
    secret = new_secret("API")
    ends = expires_at if days is None else app.now() + days * DAY
    await _carry_out(
        settings,
        lambda change: actions.token_for(
            change, handle=handle, name=name, secret_hash=secret.hash, scopes=scopes, expires_at=ends
        ),
    )
    return secret.text


# --- below ------------------------------------------------------------------------------------------------------


async def _id_of(rows: Rows, handle: str) -> int:
    user_id = await store.id_by_handle(rows, rules.handle_key(handle))
    if user_id is None:
        raise actions.nobody(handle)
    return user_id


async def _on_account(settings: Settings, action: Action[int]) -> str:
    async def act(change: Change) -> str:
        person = await store.account(change, await action(change), users.c.handle)
        assert person is not None, "accounts are never deleted"
        handle: str = person[0]
        return handle

    return await _carry_out(settings, act)


async def _carry_out(settings: Settings, action: Action[T]) -> T:
    async with opened(settings) as storage:
        # Nobody hears this bell: servers of the same database see by themselves what was committed elsewhere.
        changes = Changes(storage, MemoryBroker(), app.now)
        return await changes.run(action, audience=VISITOR)
