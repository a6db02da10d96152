"""A forgotten password and an address to confirm, as a client sees them."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from graph.context import Context, Viewer
from graph.mail import rules, store
from graph.storage.tables import mails, sign_ups, users
from graph.users import actions as user_actions
from graph.users import passwords
from graph.users.tokens import new_secret
from tests.graph.conftest import SCHEMA
from tests.graph.mail.conftest import Office, code_in, text_of

NOBODY = Viewer()
ERRORS = "errors { __typename code path message }"
REQUEST_RESET = f"""mutation ($input: RequestPasswordResetInput!) {{
    requestPasswordReset(input: $input) {{ clientMutationId {ERRORS} }}
}}"""


async def asked(site: Any, operation: str, viewer: Viewer = NOBODY, **given: Any) -> dict[str, Any]:
    """The payload of the one mutation."""
    [payload] = (await site.ask(operation, viewer, input=given)).values()
    found: dict[str, Any] = payload
    return found


def refusals_of(payload: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    return [(error["code"], error["path"]) for error in payload["errors"]]


async def test_who_asks_for_a_new_password_is_told_the_same_whether_there_is_an_account(
    site: Any, office: Office
) -> None:
    await site.person("ada", email="ada@example.org")
    known = await asked(site, REQUEST_RESET, email="ada@example.org", clientMutationId="one")
    unknown = await asked(site, REQUEST_RESET, email="nobody@example.org", clientMutationId="one-more")
    assert known == {"clientMutationId": "one", "errors": []}
    assert unknown == {"clientMutationId": "one-more", "errors": []}
    assert [mail["To"] for mail in await office.sent()] == ["ada@example.org"]


async def test_beyond_what_is_sent_in_an_hour_the_answer_stays_the_same(site: Any, office: Office) -> None:
    await site.person("ada", email="ada@example.org")
    answers = [await asked(site, REQUEST_RESET, email="ada@example.org") for _ in range(7)]
    assert answers == [{"clientMutationId": None, "errors": []}] * 7
    assert len(await office.sent()) == 5


async def test_who_asks_for_mails_to_ever_other_addresses_is_slowed_down(site: Any, office: Office) -> None:
    for number in range(50):
        site.services.attempts.begin(f"mail person{number}@example.org", "203.0.113.1", site.now)
    codes = [
        await code_for(site, REQUEST_RESET, {"email": "ada@example.org"}, client)
        for client in ("203.0.113.1", "203.0.113.2")
    ]
    assert codes == [["RATE_LIMITED"], []]
    assert await code_for(site, SIGN_UP, ADA, "203.0.113.1") == ["RATE_LIMITED"]
    assert [len(await site.table(table)) for table in (mails, sign_ups)] == [1, 0]


async def code_for(site: Any, operation: str, given: dict[str, Any], client: str) -> list[str]:
    """The codes of the refusals that somebody at this address gets."""
    context = Context(site.services, NOBODY, client=client)
    await context.read_anew()
    answer = await SCHEMA.execute(operation, variable_values={"input": given}, context_value=context)
    await context.view.aclose()
    assert answer.data is not None
    [payload] = answer.data.values()
    return [error["code"] for error in payload["errors"]]


@pytest.mark.parametrize("email", ["nowhere", "", "ada@example.org\r\nBcc: eve@example.org", "a b@example.org"])
async def test_what_is_no_address_is_refused_and_nothing_is_queued(site: Any, office: Office, email: str) -> None:
    assert refusals_of(await asked(site, REQUEST_RESET, email=email)) == [("VALIDATION", ["input", "email"])]
    assert await site.table(mails) == []


async def test_a_site_that_sends_no_mail_says_so(site: Any) -> None:
    await site.person("ada", email="ada@example.org")
    payload = await asked(site, REQUEST_RESET, email="ada@example.org")
    assert payload["errors"] == [
        {
            "__typename": "UnavailableError",
            "code": "UNAVAILABLE",
            "path": None,
            "message": "This site sends no mail.  Ask its operator.",
        }
    ]
    assert await site.table(mails) == []


# --- a new password ---------------------------------------------------------------------------------------------

RESET = f"""mutation ($input: ResetPasswordInput!) {{
    resetPassword(input: $input) {{ clientMutationId viewer {{ user {{ handle }} }} {ERRORS} }}
}}"""
SIGN_IN = f"mutation ($input: SignInInput!) {{ signIn(input: $input) {{ token {ERRORS} }} }}"
INVALID = [("VALIDATION", ["input", "code"])]


async def someone(site: Any, handle: str = "ada", password: str = "correct horse", **given: Any) -> int:
    user_id: int = await site.person(
        handle, email=f"{handle}@example.org", password_hash=await passwords.hashed(password), **given
    )
    return user_id


async def signed_in(site: Any, password: str = "correct horse", identifier: str = "ada") -> str | None:
    token: str | None = (await asked(site, SIGN_IN, identifier=identifier, password=password))["token"]
    return token


async def reset_code(site: Any, office: Office) -> str:
    await asked(site, REQUEST_RESET, email="ada@example.org")
    return code_in(await office.last())


async def test_a_code_sets_a_password_once_and_ends_all_sessions(site: Any, office: Office) -> None:
    await someone(site)
    session = await signed_in(site)
    code = await reset_code(site, office)
    payload = await asked(site, RESET, code=f" {code.lower()} ", password="another horse", clientMutationId="one")
    assert payload == {"clientMutationId": "one", "viewer": {"user": {"handle": "ada"}}, "errors": []}
    assert session is not None
    assert await site.by_secret(session) is None
    assert await signed_in(site) is None
    assert await signed_in(site, "another horse") is not None
    assert refusals_of(await asked(site, RESET, code=code, password="a third horse")) == INVALID
    assert await signed_in(site, "another horse") is not None


async def test_a_code_that_arrived_shows_that_the_address_is_theirs(site: Any, office: Office) -> None:
    ada = await someone(site)
    await asked(site, RESET, code=await reset_code(site, office), password="another horse")
    assert await confirmed_at(site, ada) == site.now


async def confirmed_at(site: Any, user_id: int) -> int | None:
    statement = sa.select(users.c.email_confirmed_at).where(users.c.id == user_id)
    [(found,)] = await site.storage.rows(statement)
    at: int | None = found
    return at


async def test_a_code_is_good_for_an_hour(site: Any, office: Office) -> None:
    await someone(site)
    code = await reset_code(site, office)
    site.now += rules.HOUR
    assert refusals_of(await asked(site, RESET, code=code, password="another horse")) == INVALID
    assert await signed_in(site) is not None


async def test_with_one_code_used_the_others_are_void(site: Any, office: Office) -> None:
    await someone(site)
    first, second = [await reset_code(site, office) for _ in range(2)]
    assert refusals_of(await asked(site, RESET, code=second, password="another horse")) == []
    assert refusals_of(await asked(site, RESET, code=first, password="a third horse")) == INVALID


async def test_a_reset_sent_twice_is_done_once_and_with_another_password_it_is_a_conflict(
    site: Any, office: Office
) -> None:
    await someone(site)
    given: dict[str, Any] = {"code": await reset_code(site, office), "clientMutationId": "one"}
    first = await asked(site, RESET, password="another horse", **given)
    assert first["errors"] == []
    assert await asked(site, RESET, password="another horse", **given) == first
    other = await asked(site, RESET, password="a third horse", **given)
    assert (refusals_of(other), other["viewer"]) == ([("CONFLICT", ["input", "clientMutationId"])], None)
    assert await signed_in(site, "another horse") is not None


@pytest.mark.parametrize("password", ["short", "ada@example.org", "x" * 201])
async def test_a_password_that_cannot_be_one_leaves_the_code_good(site: Any, office: Office, password: str) -> None:
    await someone(site)
    code = await reset_code(site, office)
    assert refusals_of(await asked(site, RESET, code=code, password=password)) == [
        ("VALIDATION", ["input", "password"])
    ]
    assert refusals_of(await asked(site, RESET, code=code, password="another horse")) == []


@pytest.mark.parametrize("token", ["", "nonsense", "00000-00000-00000-00000", "\x00", "x" * 10_000])
async def test_what_is_no_code_changes_nothing(site: Any, office: Office, token: str) -> None:
    await someone(site)
    assert refusals_of(await asked(site, RESET, code=token, password="another horse")) == INVALID
    assert await signed_in(site) is not None


async def test_api_tokens_end_with_the_password_where_this_is_wished(site: Any, office: Office) -> None:
    ada = await site.viewer(await someone(site))
    secret = new_secret("API")
    await site.act(lambda change: user_actions.create_api_token(change, name="importer", secret_hash=secret.hash), ada)
    await asked(site, RESET, code=await reset_code(site, office), password="another horse")
    assert await site.by_secret(secret.text) is not None
    await asked(site, RESET, code=await reset_code(site, office), password="a third horse", endApiTokens=True)
    assert await site.by_secret(secret.text) is None


async def test_an_account_that_the_operator_closed_gets_no_letter(site: Any, office: Office) -> None:
    await someone(site)
    await site.act(lambda change: user_actions.deactivate(change, handle="ada"))
    await asked(site, REQUEST_RESET, email="ada@example.org")
    assert await office.sent() == []


# --- signing up -------------------------------------------------------------------------------------------------

SIGN_UP = f"""mutation ($input: SignUpInput!) {{
    signUp(input: $input) {{ viewer {{ id }} token confirmationSent {ERRORS} }}
}}"""
VERIFY = f"""mutation ($input: VerifyEmailInput!) {{
    verifyEmail(input: $input) {{ viewer {{ email user {{ handle }} }} {ERRORS} }}
}}"""
ADA: dict[str, Any] = {"handle": "Ada", "email": "Ada@example.org", "password": "correct horse"}
SENT: dict[str, Any] = {"viewer": None, "token": None, "confirmationSent": True, "errors": []}


async def test_where_mail_is_sent_an_account_is_made_by_the_code_that_arrives(site: Any, office: Office) -> None:
    assert await asked(site, SIGN_UP, **ADA, delivery="TOKEN", locale="fr") == SENT
    assert await site.table(users) == []
    assert await signed_in(site) is None
    mail = await office.last()
    assert (mail["To"], mail["Content-Language"]) == ("Ada@example.org", "fr")
    assert await asked(site, VERIFY, code=code_in(mail)) == {
        "viewer": {"email": "Ada@example.org", "user": {"handle": "Ada"}},
        "errors": [],
    }
    assert await confirmed_at(site, 1) == site.now
    assert await signed_in(site) is not None
    assert await site.table(sign_ups) == []
    assert refusals_of(await asked(site, VERIFY, code=code_in(mail))) == INVALID


async def test_a_taken_address_is_answered_the_same_and_its_owner_is_told(site: Any, office: Office) -> None:
    await someone(site)
    free = await asked(site, SIGN_UP, **{**ADA, "handle": "eve", "email": "eve@example.org"})
    rows = [len(await site.table(table)) for table in (mails, sign_ups, users)]
    taken = await asked(site, SIGN_UP, **{**ADA, "handle": "mallory", "email": "ADA@example.org"})
    assert free == taken == SENT
    assert [len(await site.table(table)) for table in (mails, sign_ups, users)] == [rows[0] + 1, rows[1] + 1, rows[2]]
    to_eve, to_ada = await office.sent()
    assert (to_eve["To"], to_eve["Subject"]) == ("eve@example.org", "Confirm your address on palabre.test")
    assert (to_ada["To"], to_ada["Subject"]) == ("ada@example.org", "You have an account on palabre.test")
    assert "it is called ada." in text_of(to_ada)
    for handle in ("eve", "mallory"):  # nor does looking for the account tell
        assert await site.ask(f'{{ user(handle: "{handle}") {{ id }} }}') == {"user": None}


async def test_a_handle_that_somebody_took_meanwhile_is_refused_and_another_may_be_given(
    site: Any, office: Office
) -> None:
    await asked(site, SIGN_UP, **ADA)
    code = code_in(await office.last())
    await site.person("ada")
    assert refusals_of(await asked(site, VERIFY, code=code)) == [("DUPLICATE", ["input", "handle"])]
    payload = await asked(site, VERIFY, code=code, handle="ada.lovelace")
    assert payload["viewer"]["user"]["handle"] == "ada.lovelace"


async def test_a_handle_that_is_taken_already_is_told_at_once(site: Any, office: Office) -> None:
    await site.person("ada")
    payload = await asked(site, SIGN_UP, **ADA)
    assert (refusals_of(payload), payload["confirmationSent"]) == ([("DUPLICATE", ["input", "handle"])], False)
    assert await site.table(mails) == await site.table(sign_ups) == []


async def test_an_account_that_is_not_confirmed_within_three_days_is_not_made(site: Any, office: Office) -> None:
    await asked(site, SIGN_UP, **ADA)
    code = code_in(await office.last())
    site.now += 72 * rules.HOUR
    assert refusals_of(await asked(site, VERIFY, code=code)) == INVALID
    await site.storage.write([lambda rows: store.forget_done(rows, site.now + 1)])
    assert await site.table(sign_ups) == await site.table(mails) == []


async def test_where_no_mail_is_sent_an_account_is_made_at_once(site: Any) -> None:
    payload = await asked(site, SIGN_UP, **ADA)
    assert (payload["viewer"] is None, payload["confirmationSent"], payload["errors"]) == (False, False, [])
    assert await confirmed_at(site, 1) is None
    assert await site.table(mails) == []


# --- an address -------------------------------------------------------------------------------------------------

CONFIRM = f"""mutation ($input: RequestEmailConfirmationInput!) {{
    requestEmailConfirmation(input: $input) {{ {ERRORS} }}
}}"""
CHANGE = f"mutation ($input: RequestEmailChangeInput!) {{ requestEmailChange(input: $input) {{ {ERRORS} }} }}"
NEW: dict[str, Any] = {"newEmail": "ada@new.example", "password": "correct horse"}

OF_WHO_IS_SIGNED_IN: list[tuple[str, dict[str, Any]]] = [(CHANGE, NEW), (CONFIRM, {})]


async def test_an_address_of_before_is_confirmed_by_a_code(site: Any, office: Office) -> None:
    ada_id = await someone(site)
    ada = await site.viewer(ada_id)
    assert refusals_of(await asked(site, CONFIRM, ada)) == []
    assert await confirmed_at(site, ada_id) is None
    assert refusals_of(await asked(site, VERIFY, code=code_in(await office.last()))) == []
    shown = await site.ask("{ viewer { email emailConfirmedAt } }", ada)
    assert shown["viewer"] == {"email": "ada@example.org", "emailConfirmedAt": "2023-11-14T22:13:20.000000Z"}
    assert refusals_of(await asked(site, CONFIRM, ada)) == [("VALIDATION", None)]


async def test_a_new_address_is_taken_once_its_code_came_back_and_the_old_one_is_told(
    site: Any, office: Office
) -> None:
    ada = await site.viewer(await someone(site))
    assert refusals_of(await asked(site, CHANGE, ada, **NEW)) == []
    to_new, to_old = await office.sent()
    assert (to_new["To"], to_old["To"]) == ("ada@new.example", "ada@example.org")
    assert "ada@new.example" in text_of(to_old)
    assert (await site.ask("{ viewer { email } }", ada))["viewer"] == {"email": "ada@example.org"}
    code = code_in(to_new)
    assert refusals_of(await asked(site, VERIFY, code=code)) == [("UNAUTHENTICATED", None)]
    greg = await site.viewer(await someone(site, "greg"))
    assert refusals_of(await asked(site, VERIFY, greg, code=code)) == INVALID
    payload = await asked(site, VERIFY, ada, code=code)
    assert payload["viewer"] == {"email": "ada@new.example", "user": {"handle": "ada"}}
    assert await signed_in(site, identifier="ada@new.example") is not None


async def test_codes_that_went_to_the_former_address_are_void(site: Any, office: Office) -> None:
    ada = await site.viewer(await someone(site))
    old = await reset_code(site, office)
    await asked(site, CHANGE, ada, **NEW)
    new, _ = (await office.sent())[-2:]
    await asked(site, VERIFY, ada, code=code_in(new))
    assert refusals_of(await asked(site, RESET, code=old, password="another horse")) == INVALID


async def test_a_new_password_makes_the_code_for_another_address_void(site: Any, office: Office) -> None:
    ada = await site.viewer(await someone(site))
    await asked(site, CHANGE, ada, **NEW)
    code = code_in((await office.sent())[0])
    await asked(site, RESET, code=await reset_code(site, office), password="another horse")
    assert refusals_of(await asked(site, VERIFY, ada, code=code)) == INVALID


async def test_a_letter_that_still_waits_brings_no_code_for_another_address_after_a_new_password(
    site: Any, office: Office
) -> None:
    ada = await site.viewer(await someone(site))
    await asked(site, CHANGE, ada, **NEW)
    await site.act(lambda change: user_actions.set_password(change, handle="ada", password_hash="another"))
    assert [mail["To"] for mail in await office.sent()] == ["ada@example.org"]  # the warning alone


async def test_of_two_who_take_one_address_at_once_one_is_refused(site: Any, office: Office) -> None:
    for number in range(3):
        people = [await site.viewer(await someone(site, f"{name}{number}")) for name in ("ada", "bob")]
        new = {**NEW, "newEmail": f"new{number}@example.org"}
        for person in people:
            assert refusals_of(await asked(site, CHANGE, person, **new)) == []
        codes = [code_in(mail) for mail in await office.sent() if mail["To"] == new["newEmail"]]
        taking = [asked(site, VERIFY, person, code=code) for person, code in zip(people, codes, strict=True)]
        refusals = [refusals_of(payload) for payload in await asyncio.gather(*taking)]
        assert sorted(refusals) == [[], [("DUPLICATE", ["input"])]]


async def test_an_address_that_somebody_has_is_answered_the_same_and_gets_no_code(site: Any, office: Office) -> None:
    ada = await site.viewer(await someone(site))
    await someone(site, "greg")
    payload = await asked(site, CHANGE, ada, newEmail="Greg@example.org", password="correct horse")
    assert payload == {"errors": []}
    assert [mail["To"] for mail in await office.sent()] == ["ada@example.org"]


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        ({"password": "wrong"}, ("VALIDATION", ["input", "password"])),
        ({"newEmail": "nowhere"}, ("VALIDATION", ["input", "newEmail"])),
        ({"newEmail": "ADA@example.org"}, ("VALIDATION", ["input", "newEmail"])),
    ],
)
async def test_a_refused_change_of_address_sends_nothing(
    site: Any, office: Office, given: dict[str, Any], refusal: Any
) -> None:
    ada = await site.viewer(await someone(site))
    assert refusals_of(await asked(site, CHANGE, ada, **{**NEW, **given})) == [refusal]
    assert await site.table(mails) == []


async def test_nobody_and_no_token_without_the_scope_changes_an_address(site: Any, office: Office) -> None:
    ada = await site.viewer(await someone(site))
    token = replace(ada, audience=replace(ada.audience, scopes=frozenset({"READ", "WRITE"})))
    for operation, given in OF_WHO_IS_SIGNED_IN:
        assert refusals_of(await asked(site, operation, **given)) == [("UNAUTHENTICATED", None)]
        assert refusals_of(await asked(site, operation, token, **given)) == [("NOT_PERMITTED", None)]
    assert await site.table(mails) == []


async def test_asking_too_often_is_refused_to_who_is_signed_in(site: Any, office: Office) -> None:
    ada = await site.viewer(await someone(site))
    for number in range(5):
        await asked(site, CHANGE, ada, newEmail=f"ada@{number}.example", password="correct horse")
    assert refusals_of(await asked(site, CHANGE, ada, **NEW)) == [("RATE_LIMITED", None)]


async def test_each_act_that_needs_mail_is_refused_where_there_is_none(site: Any) -> None:
    ada = await site.viewer(await someone(site))
    for operation, given in OF_WHO_IS_SIGNED_IN:
        assert refusals_of(await asked(site, operation, ada, **given)) == [("UNAVAILABLE", None)]
