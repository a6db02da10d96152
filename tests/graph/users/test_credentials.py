"""Acts on what opens an account as a client sees them: password, sessions, API tokens and their scopes."""

from typing import Any

import pytest

from graph.context import Context, Viewer
from graph.http.cookies import CookieOutlet
from graph.ids import global_id
from graph.schema import schema
from graph.storage.tables import tokens, users
from graph.users import actions, passwords, store
from graph.users.tokens import new_secret

SECOND = 1_000_000  # µs
DAY = 24 * 3600 * SECOND
ERRORS = "errors { __typename code path message ... on PermissionError { requires } }"
CHANGE = f"""mutation ($input: ChangePasswordInput!) {{
    changePassword(input: $input) {{
        clientMutationId token expiresAt {ERRORS}
        viewer {{ user {{ handle }} sessions {{ nodes {{ device isCurrent }} }} }}
    }}
}}"""
REVOKE = f"mutation ($input: RevokeSessionInput!) {{ revokeSession(input: $input) {{ deletedId {ERRORS} }} }}"
EVERYWHERE = f"""mutation ($input: SignOutEverywhereInput!) {{
    signOutEverywhere(input: $input) {{ endedCount {ERRORS} }}
}}"""
CREATE = f"""mutation ($input: CreateApiTokenInput!) {{
    createApiToken(input: $input) {{ apiToken {{ name scopes expiresAt lastUsedAt }} secret {ERRORS} }}
}}"""
SESSIONS = "{ viewer { sessions { nodes { device createdAt lastUsedAt expiresAt isCurrent } } } }"
PASSWORD, OTHER = "correct horse", "battery staple"


def refusals_of(payload: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def person(site: Any, password: str | None = PASSWORD) -> int:
    password_hash = None if password is None else await passwords.hashed(password)
    user_id: int = await site.person("ada", email="ada@example.org", password_hash=password_hash)
    return user_id


async def session(site: Any, user_id: int, device: str, days: int = 30) -> str:
    """The secret of a new session."""
    secret, kept = new_secret("SESSION"), await store.password_hash_of(site.storage, user_id)
    assert kept is not None
    await site.act(
        lambda change: actions.sign_in(
            change,
            user_id=user_id,
            checked_hash=kept,
            secret_hash=secret.hash,
            expires_at=site.now + days * DAY,
            device=device,
        )
    )
    return secret.text


async def program(site: Any, *scopes: str, **given: Any) -> Viewer:
    secret = new_secret("API")
    await site.act(
        lambda change: actions.token_for(
            change, handle="ada", name="program", secret_hash=secret.hash, scopes=scopes or None, **given
        )
    )
    viewer: Viewer = await site.by_secret(secret.text)
    return viewer


async def test_sessions_are_listed_with_what_one_knows_them_by_and_none_that_has_expired(site: Any) -> None:
    user_id = await person(site)
    await session(site, user_id, "old", days=1)
    site.now += DAY
    secret = await session(site, user_id, "phone")
    await session(site, user_id, "laptop")
    at = {"createdAt": "2023-11-15T22:13:20.000000Z", "lastUsedAt": "2023-11-15T22:13:20.000000Z"}
    until = {"expiresAt": "2023-12-15T22:13:20.000000Z"}
    here = await site.by_secret(secret)
    assert (await site.ask(SESSIONS, here))["viewer"]["sessions"]["nodes"] == [
        {"device": "laptop", **at, **until, "isCurrent": False},
        {"device": "phone", **at, **until, "isCurrent": True},
    ]


async def test_a_session_is_revoked_by_its_id(site: Any) -> None:
    user_id = await person(site)
    here, lost = [await site.by_secret(await session(site, user_id, device)) for device in ("here", "lost")]
    lost_id = global_id("Session", lost.token_id)
    payload = (await site.ask(REVOKE, here, input={"id": lost_id}))["revokeSession"]
    assert payload == {"deletedId": lost_id, "errors": []}
    nodes = (await site.ask(SESSIONS, here))["viewer"]["sessions"]["nodes"]
    assert [node["device"] for node in nodes] == ["here"]
    again = (await site.ask(REVOKE, here, input={"id": lost_id}))["revokeSession"]
    assert (again["deletedId"], refusals_of(again)) == (None, [("NOT_FOUND", ["input", "id"])])


@pytest.mark.parametrize(("here_too", "count"), [(False, 2), (True, 3)])
async def test_one_signs_out_everywhere(site: Any, here_too: bool, count: int) -> None:
    user_id = await person(site)
    secrets = [await session(site, user_id, device) for device in ("here", "there", "elsewhere")]
    here = await site.by_secret(secrets[0])
    both = f"""mutation ($input: SignOutEverywhereInput!) {{
        signOutEverywhere(input: $input) {{ endedCount {ERRORS} }}
        editProfile(input: {{bio: "still here"}}) {{ {ERRORS} }}
    }}"""
    answer = await site.ask(both, here, input={"hereToo": here_too})
    assert answer["signOutEverywhere"] == {"endedCount": count, "errors": []}
    assert refusals_of(answer["editProfile"]) == ([("UNAUTHENTICATED", None)] if here_too else [])
    assert [await site.by_secret(secret) is None for secret in secrets] == [here_too, True, True]


async def test_another_password_leaves_one_session_under_a_new_secret(site: Any) -> None:
    user_id = await person(site)
    former, there = [await session(site, user_id, device) for device in ("here", "there")]
    site.now += DAY
    given = {"currentPassword": PASSWORD, "newPassword": OTHER, "clientMutationId": "k"}
    payload = (await site.ask(CHANGE, await site.by_secret(former), input=given))["changePassword"]
    assert payload == {
        "clientMutationId": "k",
        "token": payload["token"],
        "expiresAt": "2023-12-15T22:13:20.000000Z",
        "viewer": {"user": {"handle": "ada"}, "sessions": {"nodes": [{"device": "here", "isCurrent": True}]}},
        "errors": [],
    }
    assert payload["token"].startswith("pal_s_")
    assert await site.by_secret(former) is None
    assert await site.by_secret(there) is None
    assert (await site.by_secret(payload["token"])).audience.viewer_id == user_id
    assert (await passwords.verify(OTHER, await store.password_hash_of(site.storage, user_id))).matches


async def test_by_cookie_the_new_secret_goes_into_the_cookie_alone(site: Any) -> None:
    here = await site.by_secret(await session(site, await person(site), "here"))
    outlet = CookieOutlet(barred=None, came=True)
    payload = await change_by_cookie(site, here, outlet)
    assert (payload["token"], payload["errors"]) == (None, [])
    assert outlet.secret is not None
    assert (await site.by_secret(outlet.secret)).token_id == here.token_id


async def test_where_no_cookie_can_be_set_the_password_stays(site: Any) -> None:
    here = await site.by_secret(await session(site, await person(site), "here"))
    before = await site.table(users)
    payload = await change_by_cookie(site, here, CookieOutlet(came=True))
    assert refusals_of(payload) == [("VALIDATION", None)]
    assert await site.table(users) == before


async def change_by_cookie(site: Any, viewer: Viewer, outlet: CookieOutlet) -> dict[str, Any]:
    context = Context(site.services, viewer, cookie=outlet)
    await context.read_anew()
    given = {"currentPassword": PASSWORD, "newPassword": OTHER}
    answer = await schema.execute(CHANGE, variable_values={"input": given}, context_value=context)
    await context.view.aclose()
    assert not answer.errors, answer.errors
    assert answer.data is not None
    payload: dict[str, Any] = answer.data["changePassword"]
    return payload


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"currentPassword": "wrong"}, ("VALIDATION", ["input", "currentPassword"])),
        ({"currentPassword": None}, ("VALIDATION", ["input", "currentPassword"])),
        ({"newPassword": "short"}, ("VALIDATION", ["input", "newPassword"])),
        ({"newPassword": "ada@example.org"}, ("VALIDATION", ["input", "newPassword"])),
    ],
)
async def test_a_refused_password_changes_nothing(site: Any, given: Any, refusal: Any) -> None:
    here = await site.by_secret(await session(site, await person(site), "here"))
    before = await site.table(users), await site.table(tokens)
    asked = {"currentPassword": PASSWORD, "newPassword": OTHER, **given}
    payload = (await site.ask(CHANGE, here, input=asked))["changePassword"]
    assert refusals_of(payload) == [refusal]
    assert (payload["token"], payload["viewer"]) == (None, None)
    assert (await site.table(users), await site.table(tokens)) == before


async def test_an_account_without_a_password_gets_its_first_one(site: Any) -> None:
    await person(site, None)
    viewer = await program(site)
    guessed = (await site.ask(CHANGE, viewer, input={"currentPassword": "x", "newPassword": OTHER}))["changePassword"]
    assert refusals_of(guessed) == [("VALIDATION", ["input", "currentPassword"])]
    payload = (await site.ask(CHANGE, viewer, input={"newPassword": OTHER}))["changePassword"]
    assert (payload["token"], payload["expiresAt"], payload["errors"]) == (None, None, [])
    assert (await passwords.verify(OTHER, await store.password_hash_of(site.storage, 1))).matches


async def test_who_guesses_the_present_password_is_slowed_down(site: Any) -> None:
    here = await site.by_secret(await session(site, await person(site), "here"))
    wrong = {"currentPassword": "wrong", "newPassword": OTHER}
    for _ in range(10):
        await site.ask(CHANGE, here, input=wrong)
    right = {"currentPassword": PASSWORD, "newPassword": OTHER}
    assert refusals_of((await site.ask(CHANGE, here, input=right))["changePassword"]) == [("RATE_LIMITED", ["input"])]
    site.now += 60 * SECOND
    assert (await site.ask(CHANGE, here, input=right))["changePassword"]["errors"] == []


async def test_a_visitor_has_nothing_to_change(site: Any) -> None:
    for operation, given in (
        (CHANGE, {"newPassword": OTHER}),
        (REVOKE, {"id": global_id("Session", 1)}),
        (EVERYWHERE, {}),
        (CREATE, {"name": "x"}),
    ):
        [payload] = (await site.ask(operation, input=given)).values()
        assert refusals_of(payload) == [("UNAUTHENTICATED", None)]


# --- scopes -----------------------------------------------------------------------------------------------------


async def test_a_token_is_made_with_scopes_and_an_end(site: Any) -> None:
    here = await site.by_secret(await session(site, await person(site), "here"))
    given = {"name": "bot", "scopes": ["WRITE"], "expiresAt": "2023-12-01T00:00:00Z"}
    payload = (await site.ask(CREATE, here, input=given))["createApiToken"]
    assert payload["apiToken"] == {
        "name": "bot",
        "scopes": ["READ", "WRITE"],
        "expiresAt": "2023-12-01T00:00:00.000000Z",
        "lastUsedAt": "2023-11-14T22:13:20.000000Z",
    }
    assert (await site.by_secret(payload["secret"])).audience.scopes == {"READ", "WRITE"}


async def test_without_scopes_a_token_may_what_its_maker_may(site: Any) -> None:
    await person(site)
    for maker, scopes in (
        (await program(site), ["ACCOUNT", "COMMUNITIES", "READ", "WRITE"]),
        (await program(site, "ACCOUNT"), ["ACCOUNT", "READ"]),
    ):
        payload = (await site.ask(CREATE, maker, input={"name": "bot"}))["createApiToken"]
        assert payload["apiToken"]["scopes"] == scopes


async def test_a_token_makes_none_that_may_more(site: Any) -> None:
    await person(site)
    maker = await program(site, "ACCOUNT")
    before = await site.table(tokens)
    payload = (await site.ask(CREATE, maker, input={"name": "bot", "scopes": ["WRITE"]}))["createApiToken"]
    assert [(error["__typename"], error["path"], error["requires"]) for error in payload["errors"]] == [
        ("PermissionError", ["input", "scopes"], "WRITE")
    ]
    assert await site.table(tokens) == before


@pytest.mark.parametrize("selected", ["email", "sessions { nodes { id } }", "apiTokens { nodes { id } }"])
async def test_a_program_that_may_not_see_the_account_is_told_what_it_lacks(site: Any, selected: str) -> None:
    await person(site)
    asked = f"{{ viewer {{ user {{ handle }} {selected} }} }}"
    answer = await site.answer(asked, await program(site, "READ", "WRITE", "COMMUNITIES"))
    [error] = answer.errors
    assert error.extensions == {"code": "NOT_PERMITTED", "requires": "ACCOUNT"}
    assert error.path[:2] == ["viewer", selected.split()[0]]
    assert (await site.answer(asked, await program(site, "ACCOUNT"))).errors is None


async def test_such_a_program_sees_the_rest(site: Any) -> None:
    await person(site)
    asked = "{ viewer { user { handle } settings { locale } } }"
    assert await site.ask(asked, await program(site, "READ")) == {
        "viewer": {"user": {"handle": "ada"}, "settings": {"locale": "en"}}
    }


async def test_no_token_with_few_scopes_gives_an_account_its_first_password(site: Any) -> None:
    user_id = await person(site, password=None)
    few, all_of_them = await program(site, "ACCOUNT"), await program(site)
    payload = (await site.ask(CHANGE, few, input={"newPassword": OTHER}))["changePassword"]
    assert [(error["__typename"], error["requires"]) for error in payload["errors"]] == [
        ("PermissionError", "COMMUNITIES")
    ]
    assert await store.password_hash_of(site.storage, user_id) is None
    assert (await site.ask(CHANGE, all_of_them, input={"newPassword": OTHER}))["changePassword"]["errors"] == []
