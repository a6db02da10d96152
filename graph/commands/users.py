"""`palabre users`: all that an account may need from the operator, without mail; graph/commands/people.py does it.

Secrets are asked for, or read from standard input: what stands on a command line is shown to every process.
"""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer

from graph.commands.console import note, say
from graph.commands.failures import Failure
from graph.commands.options import takes_settings
from graph.settings import Settings

T = TypeVar("T")

users_app = typer.Typer(
    help="Accounts, in the operator's hands.  A server that runs takes notice within a second.", no_args_is_help=True
)


class Role(StrEnum):
    MEMBER = "member"
    MODERATOR = "moderator"
    ADMIN = "admin"


class TokenScope(StrEnum):
    """As graph.audience has them."""

    READ = "read"
    WRITE = "write"
    COMMUNITIES = "communities"
    ACCOUNT = "account"


Handle = Annotated[str, typer.Argument(help="The person's handle.")]
EndApiTokens = Annotated[bool, typer.Option("--end-api-tokens", help="End their API tokens too.")]
FromStdin = Annotated[
    bool, typer.Option("--stdin", help="Read it from standard input, its first line, instead of asking for it.")
]


def _done(settings: Settings, work: Callable[[], Coroutine[Any, Any, T]], *, makes_database: bool = False) -> T:
    """What came of it, in a database that is ready.  Raises Failure where there is none to change."""
    from graph.commands import databases

    if not makes_database and not databases.is_there(settings):
        file = databases.file_of(settings.database_url)
        raise Failure(f"There is no {file}.  Another database is named with --database-url.")
    databases.make_ready(settings)
    return asyncio.run(work())


# --- looking ----------------------------------------------------------------------------------------------------


@users_app.command("list")
@takes_settings("database_url")
def list_users(
    settings: Settings,
    *,
    containing: Annotated[
        str | None, typer.Argument(help="Only those with this in their handle, name or address.")
    ] = None,
    role: Annotated[Role | None, typer.Option(help="Only those with this role.", case_sensitive=False)] = None,
    deactivated: Annotated[bool, typer.Option("--deactivated", help="Only accounts that are closed.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    after: Annotated[str, typer.Option(help="Go on after this handle.")] = "",
) -> None:
    """List accounts by handle: handle, name, role, state and address, between tabs."""
    from graph.commands import people

    listing = people.Listing(
        containing=containing or "",
        role=None if role is None else role.name,
        deactivated=deactivated,
        after=after,
        limit=limit,
    )
    found = _done(settings, lambda: people.listed(settings, listing))
    for line in found[:limit]:
        say("\t".join(line))
    if len(found) > limit:
        note(f"There are more: --after {found[limit - 1][0]}")


@users_app.command("show")
@takes_settings("database_url")
def show_user(settings: Settings, *, handle: Handle) -> None:
    """Show what there is to know about an account."""
    from graph.commands import people

    for name, value in _done(settings, lambda: people.shown(settings, handle)):
        say(f"{name:<10} {value}")


@users_app.command("sessions")
@takes_settings("database_url")
def list_sessions(settings: Settings, *, handle: Handle) -> None:
    """List who is signed in to an account: id, device, begun, last used and end, between tabs."""
    from graph.commands import people

    for line in _done(settings, lambda: people.credentials(settings, handle, "SESSION")):
        say("\t".join(line))


@users_app.command("tokens")
@takes_settings("database_url")
def list_tokens(settings: Settings, *, handle: Handle) -> None:
    """List an account's API tokens: id, name, scopes, made, last used and end, between tabs."""
    from graph.commands import people

    for line in _done(settings, lambda: people.credentials(settings, handle, "API")):
        say("\t".join(line))


# --- the account ------------------------------------------------------------------------------------------------


@users_app.command("create")
@takes_settings("database_url")
def create_user(
    settings: Settings,
    *,
    handle: Handle,
    admin: Annotated[bool, typer.Option("--admin", help="Let them moderate everything.")] = False,
    name: Annotated[str | None, typer.Option(help="How they are called; else the handle.")] = None,
    email: Annotated[str | None, typer.Option(help="Where they are reached.")] = None,
) -> None:
    """Make an account, without a password: `set-password`, `reset-code` and `token` let them in."""
    from graph.commands import people

    _done(
        settings,
        lambda: people.create_user(settings, handle, is_admin=admin, display_name=name, email=email),
        makes_database=True,
    )
    note(f"@{handle} is there.")


@users_app.command("rename")
@takes_settings("database_url")
def rename_user(
    settings: Settings, *, handle: Handle, to: Annotated[str, typer.Argument(help="The new handle.")]
) -> None:
    """Give somebody another handle; the former one leads to them for good."""
    from graph.commands import people

    now_called = _done(settings, lambda: people.rename(settings, handle, to))
    note(f"@{handle} is now @{now_called}.")


@users_app.command("set-role")
@takes_settings("database_url")
def set_role(
    settings: Settings,
    *,
    handle: Handle,
    role: Annotated[Role, typer.Argument(help="Their role.", case_sensitive=False)],
) -> None:
    """Give somebody another role on the whole site; their sessions end."""
    from graph.commands import people

    called = _done(settings, lambda: people.set_role(settings, handle, role.name))
    note(f"@{called} is now {role.value}.")


@users_app.command("set-email")
@takes_settings("database_url")
def set_email(
    settings: Settings,
    *,
    handle: Handle,
    email: Annotated[str | None, typer.Argument(help="Where they are reached; without it, nowhere.")] = None,
    confirmed: Annotated[bool, typer.Option("--confirmed", help="Take your word that it is theirs.")] = False,
) -> None:
    """Give somebody another address, or none; codes that were mailed to the former one are void."""
    from graph.commands import people

    called = _done(settings, lambda: people.set_email(settings, handle, email, confirmed=confirmed))
    note(f"@{called} has no address now." if email is None else f"@{called} is now reached at {email}.")


@users_app.command("confirm-email")
@takes_settings("database_url")
def confirm_email(settings: Settings, *, handle: Handle) -> None:
    """Take your word that an account's address is theirs."""
    from graph.commands import people

    called = _done(settings, lambda: people.confirm_email(settings, handle))
    note(f"The address of @{called} is confirmed.")


@users_app.command("deactivate")
@takes_settings("database_url")
def deactivate(settings: Settings, *, handle: Handle) -> None:
    """Close an account: what they wrote stays, they are signed out everywhere, and only you can open it again."""
    from graph.commands import people

    called = _done(settings, lambda: people.deactivate(settings, handle))
    note(f"@{called} is closed.")


@users_app.command("reactivate")
@takes_settings("database_url")
def reactivate(settings: Settings, *, handle: Handle) -> None:
    """Open an account again."""
    from graph.commands import people

    called = _done(settings, lambda: people.reactivate(settings, handle))
    note(f"@{called} is open.")


# --- letting in, and out ----------------------------------------------------------------------------------------


@users_app.command("set-password")
@takes_settings("database_url")
def set_password(
    settings: Settings, *, handle: Handle, stdin: FromStdin = False, end_api_tokens: EndApiTokens = False
) -> None:
    """Give somebody a password, which is asked for; their sessions end."""
    from graph.commands import people

    password = _first_line() if stdin else _asked_for()
    called = _done(settings, lambda: people.set_password(settings, handle, password, end_api_tokens=end_api_tokens))
    note(f"@{called} has a new password, and is signed out everywhere.")


def _first_line() -> str:
    return sys.stdin.readline().rstrip("\r\n")


def _asked_for() -> str:
    if not sys.stdin.isatty():
        raise Failure("There is no terminal to ask for the password.  Give it on standard input, with --stdin.")
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    return password


@users_app.command("reset-code")
@takes_settings("database_url", "mail_reset_link")
def reset_code(settings: Settings, *, handle: Handle) -> None:
    """Print a code with which they set a password themselves (`resetPassword`), once, within an hour; and its link."""
    from graph.commands import people

    for line in _done(settings, lambda: people.reset_code(settings, handle)):
        say(line)


@users_app.command("revoke-sessions")
@takes_settings("database_url")
def revoke_sessions(settings: Settings, *, handle: Handle, end_api_tokens: EndApiTokens = False) -> None:
    """Sign somebody out everywhere, at once."""
    from graph.commands import people

    called = _done(settings, lambda: people.end_sessions(settings, handle, end_api_tokens=end_api_tokens))
    note(f"@{called} is signed out everywhere.")


@users_app.command("token")
@takes_settings("database_url")
def create_token(
    settings: Settings,
    *,
    handle: Handle,
    name: Annotated[str, typer.Option(help="What the token is for.")] = "command line",
    scope: Annotated[
        list[TokenScope] | None,
        typer.Option(help="What it may do, one or several times; else everything.", case_sensitive=False),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Days until it ends; else it does not.")] = None,
) -> None:
    """Make an API token and print it, and nothing else; it is never shown again."""
    from graph.commands import people

    scopes = [each.name for each in scope] if scope else None
    say(_done(settings, lambda: people.new_token(settings, handle, name, scopes=scopes, days=days)))


@users_app.command("revoke")
@takes_settings("database_url")
def revoke(
    settings: Settings,
    *,
    id: Annotated[int, typer.Argument(min=1, help="As `sessions` and `tokens` show it.")],
) -> None:
    """End one session or API token, at once."""
    from graph.commands import people

    called = _done(settings, lambda: people.revoke(settings, id))
    note(f"{id} of @{called} has ended.")
