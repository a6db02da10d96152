"""A forgotten password and an address to confirm, as a client sees them."""

from typing import Any

import pytest

from graph.context import Viewer
from graph.storage.tables import mails
from tests.graph.mail.conftest import Office

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
