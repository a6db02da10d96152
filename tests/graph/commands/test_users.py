"""Accounts in the operator's hands: what each command does, prints and refuses, on each engine."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from argon2 import PasswordHasher
from typer.testing import CliRunner

from graph.cli import app
from graph.client import Client, Unexpected
from graph.users import passwords
from tests.graph.processes import free_port, running

Users = Callable[..., Any]
CODE = re.compile(r"[0-9A-Z]{5}(-[0-9A-Z]{5}){3}")
MOMENT = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"


@pytest.fixture
def users(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Users]:
    """`palabre users …` on a migrated, empty database."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    env = {"PALABRE_DATABASE_URL": database_url}
    yield lambda *arguments, **given: CliRunner().invoke(app, ["users", *arguments], env=env, **given)
    structlog.reset_defaults()


def told(result: Any) -> str:
    """What a command that was carried out had to say about it."""
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    said: str = result.stderr
    return said


def printed(result: Any) -> list[list[str]]:
    """The lines of a table, in their columns."""
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


def account(users: Users, handle: str) -> dict[str, str]:
    result = users("show", handle)
    assert result.exit_code == 0, result.output
    return dict(line.split(None, 1) for line in result.stdout.splitlines())


def refused(result: Any) -> str:
    assert (result.exit_code, result.stdout) == (1, ""), result.output
    said: str = result.stderr
    return said.rstrip("\n")


def test_an_account_is_made_and_shown(users: Users) -> None:
    assert told(users("create", "Ada", "--admin", "--name", "Ada Lovelace", "--email", "ada@example.org")) == (
        "@Ada is there.\n"
    )
    shown = account(users, "ada")
    assert re.fullmatch(MOMENT, shown.pop("Made"))
    assert shown == {
        "Handle": "Ada",
        "Formerly": "-",
        "Name": "Ada Lovelace",
        "Role": "admin",
        "Address": "ada@example.org (not confirmed)",
        "Password": "none",
        "Language": "en",
        "State": "in use",
        "Sessions": "0",
        "Tokens": "0",
    }


def test_accounts_are_listed_by_handle_page_by_page(users: Users) -> None:
    for handle in ("zoé", "Ada", "greg"):
        users("create", handle)
    first = users("list", "--limit", "2")
    assert printed(first) == [["Ada", "Ada", "MEMBER", "in use", "-"], ["greg", "greg", "MEMBER", "in use", "-"]]
    assert first.stderr == "There are more: --after greg\n"
    rest = users("list", "--limit", "2", "--after", "greg")
    assert [line[0] for line in printed(rest)] == ["zoé"]
    assert rest.stderr == ""


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (["ZOE"], ["zoé"]),
        (["lovelace"], ["ada"]),
        (["@EXAMPLE.org"], ["ada", "zoé"]),
        (["%"], []),
        (["--role", "admin"], ["ada"]),
        (["--deactivated"], ["greg"]),
        (["--role", "admin", "zo"], []),
    ],
)
def test_accounts_are_found_by_what_is_known_of_them(users: Users, given: list[str], found: list[str]) -> None:
    users("create", "zoé", "--email", "zoe@example.org")
    users("create", "ada", "--admin", "--name", "Ada Lovelace", "--email", "ada@example.org")
    users("create", "greg")
    users("deactivate", "greg")
    assert [line[0] for line in printed(users("list", *given))] == found


def test_a_former_handle_leads_to_the_person_for_good(users: Users) -> None:
    users("create", "ada")
    assert told(users("rename", "ada", "Admin")) == "@ada is now @Admin.\n"
    assert (account(users, "ada")["Handle"], account(users, "admin")["Formerly"]) == ("Admin", "ada")
    users("create", "greg")
    assert refused(users("rename", "greg", "ada")) == "Somebody has this handle already."
    assert told(users("set-role", "ada", "moderator")) == "@Admin is now moderator.\n"


def test_a_role_is_given_and_ends_sessions(users: Users) -> None:
    users("create", "ada")
    told(users("set-role", "ada", "admin"))
    assert account(users, "ada")["Role"] == "admin"
    assert users("set-role", "ada", "king").exit_code == 2
    assert account(users, "ada")["Role"] == "admin"


def test_an_address_is_given_confirmed_and_taken_away(users: Users) -> None:
    users("create", "ada")
    users("create", "greg", "--email", "greg@example.org")
    assert refused(users("confirm-email", "ada")) == "ada has no e-mail address."
    assert told(users("set-email", "ada", "ada@example.org")) == "@ada is now reached at ada@example.org.\n"
    assert account(users, "ada")["Address"] == "ada@example.org (not confirmed)"
    assert told(users("confirm-email", "ada")) == "The address of @ada is confirmed.\n"
    assert re.fullmatch(rf"ada@example\.org \(confirmed {MOMENT}\)", account(users, "ada")["Address"])
    assert refused(users("set-email", "ada", "Greg@example.org")) == "There is an account with this e-mail address."
    assert refused(users("set-email", "ada", "nowhere")) == "This is no e-mail address."
    assert account(users, "ada")["Address"].startswith("ada@example.org (confirmed")
    assert told(users("set-email", "ada")) == "@ada has no address now.\n"
    assert account(users, "ada")["Address"] == "-"
    told(users("set-email", "ada", "ada@new.example", "--confirmed"))
    assert account(users, "ada")["Address"].startswith("ada@new.example (confirmed")


def test_a_password_comes_from_standard_input_and_is_never_shown(users: Users) -> None:
    users("create", "ada")
    result = users("set-password", "ada", "--stdin", input="correct horse\nbattery\n")
    assert told(result) == "@ada has a new password, and is signed out everywhere.\n"
    assert account(users, "ada")["Password"] == "set"


@pytest.mark.parametrize(
    ("typed", "complaint"),
    [
        ("short\n", "A password has at least 8 characters."),
        ("", "A password has at least 8 characters."),
        ("ada@example.org\n", "A password cannot be the handle or the e-mail address."),
    ],
)
def test_a_password_that_cannot_be_one_is_refused(users: Users, typed: str, complaint: str) -> None:
    users("create", "ada", "--email", "ada@example.org")
    assert refused(users("set-password", "ada", "--stdin", input=typed)) == complaint
    assert account(users, "ada")["Password"] == "none"


def test_without_a_terminal_no_password_is_asked_for(users: Users) -> None:
    users("create", "ada")
    assert refused(users("set-password", "ada", input="correct horse\n")) == (
        "There is no terminal to ask for the password.  Give it on standard input, with --stdin."
    )
    assert account(users, "ada")["Password"] == "none"


def test_a_code_is_printed_alone_or_with_its_link(users: Users) -> None:
    users("create", "ada")
    code = users("reset-code", "ada")
    assert code.exit_code == 0
    assert CODE.fullmatch(code.stdout.rstrip("\n"))
    with_link = users("reset-code", "ada", "--mail-reset-link", "https://app.example.org/reset?code={code}")
    first, second = with_link.stdout.splitlines()
    assert CODE.fullmatch(first)
    assert second == f"https://app.example.org/reset?code={first}"


def test_roles_and_scopes_are_taken_as_they_are_listed(users: Users) -> None:
    users("create", "ada")
    told(users("set-role", "ada", "MODERATOR"))
    assert [role for _, _, role, *_ in printed(users("list", "--role", "MODERATOR"))] == ["MODERATOR"]
    users("token", "ada", "--scope", "WRITE")
    assert [scopes for _, _, scopes, *_ in printed(users("tokens", "ada"))] == ["READ WRITE"]


def test_a_token_is_made_for_some_uses_and_some_days_listed_and_ended(users: Users) -> None:
    users("create", "ada")
    made = users("token", "ada", "--name", "importer", "--scope", "write", "--days", "3")
    assert re.fullmatch(r"pal_t_[\w-]{43}\n", made.stdout)
    [[token_id, name, scopes, begun, _, end]] = printed(users("tokens", "ada"))
    assert (name, scopes) == ("importer", "READ WRITE")
    assert (begun[:4], end[:2]) == (begun[:4], "20")
    assert printed(users("sessions", "ada")) == []
    assert account(users, "ada")["Tokens"] == "1"
    assert told(users("revoke", token_id)) == f"{token_id} of @ada has ended.\n"
    assert printed(users("tokens", "ada")) == []
    assert refused(users("revoke", token_id)) == "There is no such token."


def test_an_account_is_closed_and_opened(users: Users) -> None:
    users("create", "ada")
    users("token", "ada")
    assert told(users("deactivate", "ada")) == "@ada is closed.\n"
    shown = account(users, "ada")
    assert re.fullmatch(rf"closed {MOMENT}, by the operator", shown["State"])
    assert shown["Tokens"] == "0"
    assert told(users("reactivate", "ada")) == "@ada is open.\n"
    assert account(users, "ada")["State"] == "in use"


def test_a_handle_that_nobody_has_is_told(sqlite_url: str) -> None:
    env = {"PALABRE_DATABASE_URL": sqlite_url}
    for command in (
        ["show", "nobody"],
        ["sessions", "nobody"],
        ["tokens", "nobody"],
        ["rename", "nobody", "other"],
        ["set-role", "nobody", "admin"],
        ["set-email", "nobody", "a@example.org"],
        ["confirm-email", "nobody"],
        ["set-password", "nobody", "--stdin"],
        ["reset-code", "nobody"],
        ["revoke-sessions", "nobody"],
        ["token", "nobody"],
        ["deactivate", "nobody"],
        ["reactivate", "nobody"],
    ):
        result = CliRunner().invoke(app, ["users", *command], env=env, input="correct horse\n")
        assert refused(result) == "Nobody has the handle nobody.", command


def test_where_there_is_no_database_none_is_made_by_looking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["users", "list", "--database-url", "sqlite:///other.db"])
    assert refused(result) == "There is no other.db.  Another database is named with --database-url."
    assert list(tmp_path.iterdir()) == []


# On a server that runs --------------------------------------------------------------------------------------------

SIGN_IN = """mutation { signIn(input: {identifier: "ada", password: "correct horse"}) { token errors { code } } }"""
POST = """mutation { createPost(input: {kind: ARTICLE, title: "Noël", body: "Oui."}) { post { id } } }"""
FOLLOW = "subscription ($post: ID!) { thread(postId: $post) { __typename } }"
NOTICED_SECONDS = 10  # by a server on a busy machine; it promises one


async def test_who_is_signed_out_by_the_operator_is_cut_off_by_a_server_that_runs(
    users: Users, database_url: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(users, "create", "ada")
    await asyncio.to_thread(users, "set-password", "ada", "--stdin", input="correct horse\n")
    port = free_port()
    with running(tmp_path, "serve", "--port", port, "--database-url", database_url):
        address = f"http://127.0.0.1:{port}"
        session = Client(address, (await Client(address).ask(SIGN_IN))["signIn"]["token"])
        post = (await session.ask(POST))["createPost"]["post"]["id"]
        async with session.follow(FOLLOW, post=post) as stream:
            assert await stream.next() == {"thread": {"__typename": "StreamReady"}}
            told(await asyncio.to_thread(users, "revoke-sessions", "ada"))
            async with asyncio.timeout(NOTICED_SECONDS):
                with pytest.raises(Unexpected, match="complete"):
                    await stream.next()
        with pytest.raises(Unexpected, match="401"):
            await session.ask("{ viewer { id } }")
