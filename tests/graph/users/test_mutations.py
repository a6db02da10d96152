"""Acts on accounts as a client sees them: what is answered, what is never given twice, where a refusal points."""

from typing import Any

import pytest
from argon2 import PasswordHasher

from graph.context import Context, Viewer
from graph.ids import global_id
from graph.storage.tables import idempotency_keys, tokens, users
from graph.users import actions, passwords
from tests.graph.conftest import SCHEMA

DAY = 24 * 3600 * 1_000_000  # µs
NOBODY = Viewer()
ERRORS = "errors { __typename code path message }"
SIGN_UP = f"""mutation ($input: SignUpInput!) {{
    signUp(input: $input) {{ clientMutationId viewer {{ id email user {{ handle }} }} {ERRORS} }}
}}"""
SIGN_IN = f"""mutation ($input: SignInInput!) {{
    signIn(input: $input) {{
        clientMutationId token expiresAt {ERRORS}
        viewer {{ user {{ handle }} sessions {{ nodes {{ device isCurrent }} }} }}
    }}
}}"""
SIGN_OUT = f"mutation ($input: SignOutInput!) {{ signOut(input: $input) {{ sessionId {ERRORS} }} }}"
CREATE = f"""mutation ($input: CreateApiTokenInput!) {{
    createApiToken(input: $input) {{ apiToken {{ id name expiresAt }} secret {ERRORS} }}
}}"""
REVOKE = f"mutation ($input: RevokeApiTokenInput!) {{ revokeApiToken(input: $input) {{ deletedId {ERRORS} }} }}"
EDIT = f"""mutation ($input: EditProfileInput!) {{
    editProfile(input: $input) {{ viewer {{ user {{ displayName bio }} }} {ERRORS} }}
}}"""

ADA = {"handle": "Ada", "email": "ada@example.org", "password": "correct horse"}


def refusals_of(payload: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def sign_up(site: Any, **given: Any) -> dict[str, Any]:
    payload: dict[str, Any] = (await site.ask(SIGN_UP, input={**ADA, **given}))["signUp"]
    return payload


async def sign_in(site: Any, viewer: Viewer = NOBODY, **given: Any) -> dict[str, Any]:
    given = {"identifier": "ada", "password": ADA["password"], **given}
    payload: dict[str, Any] = (await site.ask(SIGN_IN, viewer, input=given))["signIn"]
    return payload


async def test_who_signs_up_is_shown_their_account_and_is_not_signed_in(site: Any) -> None:
    assert await sign_up(site, clientMutationId="one", locale="fr") == {
        "clientMutationId": "one",
        "viewer": {"id": global_id("Viewer", 1), "email": "ada@example.org", "user": {"handle": "Ada"}},
        "errors": [],
    }
    assert await site.table(tokens) == []


async def test_a_password_is_kept_as_an_argon2id_hash_alone(site: Any) -> None:
    await sign_up(site, clientMutationId="one")
    [row] = await site.table(users)
    assert row[10].startswith("$argon2id$")
    assert ADA["password"] not in str(row)


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"handle": "a"}, ("VALIDATION", ["input", "handle"])),
        ({"handle": "admin"}, ("VALIDATION", ["input", "handle"])),
        ({"email": "nowhere"}, ("VALIDATION", ["input", "email"])),
        ({"password": "short"}, ("VALIDATION", ["input", "password"])),
        ({"password": "ada@example.org"}, ("VALIDATION", ["input", "password"])),
        ({"locale": "klingon!"}, ("VALIDATION", ["input", "locale"])),
        ({"clientMutationId": ""}, ("VALIDATION", ["input", "clientMutationId"])),
    ],
)
async def test_a_refused_sign_up_says_where_and_writes_nothing(site: Any, given: Any, refusal: Any) -> None:
    payload = await sign_up(site, **given)
    assert refusals_of(payload) == [refusal]
    assert payload["viewer"] is None
    assert await site.table(users) == []


async def test_a_taken_handle_and_a_taken_address_are_told_apart(site: Any) -> None:
    await sign_up(site)
    assert refusals_of(await sign_up(site, handle="ADA", email="b@example.org")) == [("DUPLICATE", ["input", "handle"])]
    assert refusals_of(await sign_up(site, handle="bob")) == [("DUPLICATE", ["input", "email"])]
    assert len(await site.table(users)) == 1


async def test_a_sign_up_sent_twice_is_done_once(site: Any) -> None:
    first = await sign_up(site, clientMutationId="one")
    assert await sign_up(site, clientMutationId="one") == first
    assert len(await site.table(users)) == 1


@pytest.mark.parametrize("other", [{"password": "another one"}, {"email": "b@example.org"}])
async def test_another_sign_up_under_the_key_is_a_conflict_and_is_shown_nothing(site: Any, other: Any) -> None:
    await sign_up(site, clientMutationId="one")
    payload = await sign_up(site, clientMutationId="one", **other)
    assert refusals_of(payload) == [("CONFLICT", ["input", "clientMutationId"])]
    assert payload["viewer"] is None


async def test_what_is_kept_under_a_key_does_not_depend_on_the_password(site: Any) -> None:
    kept = []
    for password in ("correct horse", "battery staple"):
        await sign_up(site, clientMutationId="one", password=password)
        kept.append((await site.table(idempotency_keys))[0][3])
        await site.storage.rows(idempotency_keys.delete())
        await site.storage.rows(users.delete())
    assert kept[0] == kept[1]


@pytest.mark.parametrize("identifier", ["ada", "ADA", "@ada", " ada ", "ada@example.org", "ADA@Example.org"])
async def test_one_signs_in_by_handle_or_address(site: Any, identifier: str) -> None:
    await sign_up(site)
    payload = await sign_in(site, identifier=identifier, device="Firefox", clientMutationId="k")
    assert payload == {
        "clientMutationId": "k",
        "viewer": {"user": {"handle": "Ada"}, "sessions": {"nodes": [{"device": "Firefox", "isCurrent": True}]}},
        "token": payload["token"],
        "expiresAt": "2023-12-14T22:13:20.000000Z",
        "errors": [],
    }
    viewer = await site.by_secret(payload["token"])
    assert viewer is not None
    site.now += 30 * DAY
    assert await site.by_secret(payload["token"]) is None


async def test_an_unknown_person_and_a_wrong_password_get_the_same_answer(site: Any) -> None:
    await sign_up(site)
    await site.person("without")
    answers = [
        await sign_in(site, password="wrong"),
        await sign_in(site, identifier="nobody"),
        await sign_in(site, identifier="nobody@example.org"),
        await sign_in(site, identifier="without"),
        await sign_in(site, identifier="\x00\ud800", password="\ud800"),
    ]
    assert refusals_of(answers[0]) == [("UNAUTHENTICATED", ["input"])]
    assert all(answer == answers[0] for answer in answers)
    assert await site.table(tokens) == []


async def test_each_sign_in_begins_a_session_also_under_one_key(site: Any) -> None:
    await sign_up(site)
    first = await sign_in(site, clientMutationId="one")
    second = await sign_in(site, clientMutationId="one")
    assert first["token"] != second["token"]
    assert refusals_of(await sign_in(site, clientMutationId="one", password="wrong")) == [
        ("UNAUTHENTICATED", ["input"])
    ]
    assert await site.table(idempotency_keys) == []


async def test_who_signs_in_gets_todays_hash(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await sign_up(site)
    monkeypatch.setattr(passwords, "HASHER", PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    assert (await sign_in(site))["errors"] == []
    [row] = await site.table(users)
    assert "t=2" in row[10]
    assert (await sign_in(site))["errors"] == []


async def test_after_signing_out_the_secret_opens_nothing(site: Any) -> None:
    await sign_up(site)
    kept, ended = [(await sign_in(site))["token"] for _ in range(2)]
    viewer = await site.by_secret(ended)
    payload = (await site.ask(SIGN_OUT, viewer, input={}))["signOut"]
    assert payload == {"sessionId": global_id("Session", viewer.token_id), "errors": []}
    assert await site.by_secret(ended) is None
    assert await site.by_secret(kept) is not None


async def test_one_signs_out_another_device_by_its_session(site: Any) -> None:
    await sign_up(site)
    here, lost = [await site.by_secret((await sign_in(site))["token"]) for _ in range(2)]
    session_id = global_id("Session", lost.token_id)
    payload = (await site.ask(SIGN_OUT, here, input={"sessionId": session_id}))["signOut"]
    assert payload == {"sessionId": session_id, "errors": []}
    sessions = await site.ask("{ viewer { sessions { nodes { id isCurrent } } } }", here)
    assert sessions["viewer"]["sessions"]["nodes"] == [{"id": global_id("Session", here.token_id), "isCurrent": True}]


async def test_a_request_that_signs_out_goes_on_as_nobody(site: Any) -> None:
    await sign_up(site)
    viewer = await site.by_secret((await sign_in(site))["token"])
    both = f'mutation {{ signOut(input: {{}}) {{ sessionId }} editProfile(input: {{bio: "x"}}) {{ {ERRORS} }} }}'
    assert refusals_of((await site.ask(both, viewer))["editProfile"]) == [("UNAUTHENTICATED", None)]


async def test_a_request_that_signs_in_goes_on_as_the_viewer(site: Any) -> None:
    await sign_up(site)
    both = f"""mutation {{
        signIn(input: {{identifier: "ada", password: "correct horse"}}) {{ token }}
        editProfile(input: {{bio: "x"}}) {{ viewer {{ user {{ bio }} }} {ERRORS} }}
    }}"""
    assert (await site.ask(both))["editProfile"] == {"viewer": {"user": {"bio": "x"}}, "errors": []}


@pytest.mark.parametrize(
    ("session_id", "code"),
    [("nonsense", "VALIDATION"), (global_id("ApiToken", 1), "VALIDATION"), (global_id("Session", 99), "NOT_FOUND")],
)
async def test_a_session_that_is_not_ones_own_is_refused(site: Any, session_id: str, code: str) -> None:
    await sign_up(site)
    viewer = await site.by_secret((await sign_in(site))["token"])
    payload = (await site.ask(SIGN_OUT, viewer, input={"sessionId": session_id}))["signOut"]
    assert refusals_of(payload) == [(code, ["input", "sessionId"])]
    assert payload["sessionId"] is None


async def test_the_profile_is_shown_as_it_now_is(site: Any) -> None:
    greg = await site.viewer(await site.person("greg"))
    payload = (await site.ask(EDIT, greg, input={"displayName": "Greg", "bio": "*Hi*"}))["editProfile"]
    assert payload == {"viewer": {"user": {"displayName": "Greg", "bio": "*Hi*"}}, "errors": []}
    payload = (await site.ask(EDIT, greg, input={"displayName": None, "bio": ""}))["editProfile"]
    assert payload == {"viewer": {"user": {"displayName": "Greg", "bio": None}}, "errors": []}


async def test_the_secret_of_a_token_is_given_once(site: Any) -> None:
    greg_id = await site.person("greg")
    greg = await site.viewer(greg_id)
    given = {"name": "importer", "expiresAt": "2023-11-15T00:00:00Z", "clientMutationId": "one"}
    first = (await site.ask(CREATE, greg, input=given))["createApiToken"]
    again = (await site.ask(CREATE, greg, input=given))["createApiToken"]
    assert first["apiToken"] == {
        "id": global_id("ApiToken", 1), "name": "importer", "expiresAt": "2023-11-15T00:00:00.000000Z"
    }  # fmt: skip
    assert again == {**first, "secret": None}
    assert (await site.by_secret(first["secret"])).audience.viewer_id == greg_id
    assert len(await site.table(tokens)) == 1


async def test_a_revoked_token_is_gone_from_the_list(site: Any) -> None:
    greg = await site.viewer(await site.person("greg"))
    made = [(await site.ask(CREATE, greg, input={"name": name}))["createApiToken"] for name in ("a", "b")]
    token_id = made[0]["apiToken"]["id"]
    payload = (await site.ask(REVOKE, greg, input={"id": token_id}))["revokeApiToken"]
    assert payload == {"deletedId": token_id, "errors": []}
    assert await site.by_secret(made[0]["secret"]) is None
    kept = await site.ask("{ viewer { apiTokens { nodes { name } } } }", greg)
    assert kept["viewer"]["apiTokens"]["nodes"] == [{"name": "b"}]
    assert refusals_of((await site.ask(REVOKE, greg, input={"id": token_id}))["revokeApiToken"]) == [
        ("NOT_FOUND", ["input", "id"])
    ]


CHANGE_HANDLE = """mutation ($input: ChangeHandleInput!) {
    changeHandle(input: $input) {
        viewer { user { handle url } }
        errors { __typename code path ... on RateLimitError { retryAfterSeconds } }
    }
}"""
DEACTIVATE = f"""mutation ($input: DeactivateAccountInput!) {{
    deactivateAccount(input: $input) {{ user {{ handle bio isActive }} returnsUntil {ERRORS} }}
}}"""


async def signed_in(site: Any, **given: Any) -> Viewer:
    viewer: Viewer | None = await site.by_secret((await sign_in(site, **given))["token"])
    assert viewer is not None
    return viewer


async def test_a_former_handle_still_leads_to_the_person_and_signs_them_in(site: Any) -> None:
    await sign_up(site)
    ada = await signed_in(site)
    payload = (await site.ask(CHANGE_HANDLE, ada, input={"handle": "Lovelace"}))["changeHandle"]
    assert payload == {
        "viewer": {"user": {"handle": "Lovelace", "url": "https://palabre.test/@Lovelace"}}, "errors": []
    }  # fmt: skip
    for handle in ("ada", "lovelace"):
        assert await site.ask(f'{{ user(handle: "{handle}") {{ handle }} }}') == {"user": {"handle": "Lovelace"}}
        assert (await sign_in(site, identifier=handle))["errors"] == []
    assert refusals_of(await sign_up(site, email="b@example.org")) == [("DUPLICATE", ["input", "handle"])]


async def test_another_handle_within_a_week_is_told_when_it_can_be(site: Any) -> None:
    await sign_up(site)
    ada = await signed_in(site)
    await site.ask(CHANGE_HANDLE, ada, input={"handle": "Lovelace"})
    payload = (await site.ask(CHANGE_HANDLE, ada, input={"handle": "Countess"}))["changeHandle"]
    assert payload == {
        "viewer": None,
        "errors": [
            {
                "__typename": "RateLimitError",
                "code": "RATE_LIMITED",
                "path": ["input", "handle"],
                "retryAfterSeconds": 7 * 24 * 3600,
            }
        ],
    }


async def test_a_closed_account_shows_its_name_and_no_more_and_signing_in_opens_it_again(site: Any) -> None:
    await sign_up(site)
    ada = await signed_in(site)
    await site.ask(EDIT, ada, input={"bio": "*Hi*"})
    both = f"""mutation ($input: DeactivateAccountInput!) {{
        deactivateAccount(input: $input) {{ user {{ handle bio isActive }} returnsUntil {ERRORS} }}
        editProfile(input: {{bio: "x"}}) {{ {ERRORS} }}
    }}"""
    answer = await site.ask(both, ada, input={"password": ADA["password"]})
    assert answer["deactivateAccount"] == {
        "user": {"handle": "Ada", "bio": None, "isActive": False},
        "returnsUntil": "2023-12-14T22:13:20.000000Z",
        "errors": [],
    }
    assert refusals_of(answer["editProfile"]) == [("UNAUTHENTICATED", None)]
    assert await site.table(tokens) != []
    asked = '{ user(handle: "ada") { handle displayName avatarUrl bio isActive } }'
    closed = {"handle": "Ada", "displayName": "Ada", "avatarUrl": None, "bio": None, "isActive": False}
    assert await site.ask(asked) == {"user": closed}

    assert (await sign_in(site))["viewer"]["user"] == {"handle": "Ada"}
    assert await site.ask(asked) == {"user": {**closed, "bio": "*Hi*", "isActive": True}}


@pytest.mark.parametrize("password", ["wrong", None])
async def test_an_account_is_closed_with_its_password_only(site: Any, password: str | None) -> None:
    await sign_up(site)
    ada = await signed_in(site)
    before = await site.table(users), await site.table(tokens)
    payload = (await site.ask(DEACTIVATE, ada, input={"password": password}))["deactivateAccount"]
    assert refusals_of(payload) == [("VALIDATION", ["input", "password"])]
    assert (payload["user"], payload["returnsUntil"]) == (None, None)
    assert (await site.table(users), await site.table(tokens)) == before


async def test_an_account_that_cannot_be_opened_any_more_is_no_account_to_who_signs_in(site: Any) -> None:
    await sign_up(site)
    unknown = await sign_in(site, identifier="nobody")
    await site.ask(DEACTIVATE, await signed_in(site), input={"password": ADA["password"]})
    site.now += 30 * DAY
    assert await sign_in(site) == unknown


async def test_the_same_work_is_done_for_who_exists_and_who_does_not(site: Any, monkeypatch: Any) -> None:
    await sign_up(site)
    await site.person("without")
    await sign_up(site, handle="closed", email="closed@example.org")
    await site.act(lambda change: actions.deactivate(change, handle="closed"))
    work = []

    class Counting(PasswordHasher):
        def hash(self, *given: Any, **more: Any) -> str:
            work.append("hash")
            return super().hash(*given, **more)

        def verify(self, *given: Any) -> Any:
            work.append("verify")
            return super().verify(*given)

    monkeypatch.setattr(passwords, "HASHER", Counting(time_cost=1, memory_cost=8, parallelism=1))
    passwords._nobodys()
    for identifier in ("ada", "nobody", "ada@example.org", "nobody@example.org", "without", "closed"):
        work.clear()
        refused = await sign_in(site, identifier=identifier, password="wrong")
        assert (refusals_of(refused), work) == ([("UNAUTHENTICATED", ["input"])], ["verify"]), identifier
    for email in ("ada@example.org", "new@example.org"):
        work.clear()
        await sign_up(site, handle="newcomer", email=email)
        assert work == ["hash"], email


async def test_who_guesses_passwords_is_slowed_down_alike_for_accounts_that_are_and_are_not(site: Any) -> None:
    await sign_up(site)
    answers = []
    for identifier in ("ada", "nobody"):
        for _ in range(10):
            assert refusals_of(await sign_in(site, identifier=identifier, password="wrong")) == [
                ("UNAUTHENTICATED", ["input"])
            ]
        answers.append(await sign_in(site, identifier=identifier))
    assert refusals_of(answers[0]) == [("RATE_LIMITED", ["input"])]
    assert answers[0] == answers[1]
    assert await site.table(tokens) == []
    site.now += 60 * 1_000_000
    assert (await sign_in(site))["errors"] == []


async def test_a_full_queue_of_passwords_is_told_and_nothing_is_written(site: Any, monkeypatch: Any) -> None:
    await sign_up(site)
    monkeypatch.setattr(passwords, "BENCH", passwords.Bench(threads=1, waiting=-1))
    before = await site.table(users)
    assert refusals_of(await sign_in(site)) == [("RATE_LIMITED", None)]
    assert refusals_of(await sign_up(site, handle="bob", email="b@example.org")) == [("RATE_LIMITED", None)]
    assert await site.table(users) == before
    assert await site.table(tokens) == []


async def test_who_tries_which_addresses_have_an_account_is_slowed_down(site: Any) -> None:
    await sign_up(site)
    answers = [refusals_of(await sign_up(site, handle=f"eve{number}")) for number in range(11)]
    assert answers == [[("DUPLICATE", ["input", "email"])]] * 10 + [[("RATE_LIMITED", ["input"])]]


async def test_accounts_that_are_made_count_against_nobody(site: Any) -> None:
    for number in range(51):
        context = Context(site.services, NOBODY, client="203.0.113.1")
        await context.read_anew()
        given = {**ADA, "handle": f"pupil{number}", "email": f"pupil{number}@example.org"}
        answer = await SCHEMA.execute(SIGN_UP, variable_values={"input": given}, context_value=context)
        await context.view.aclose()
        assert answer.data is not None
        assert answer.data["signUp"]["errors"] == []
