"""Mail as a whole service sends it: asked for over HTTP, sent by the server's own worker, brought back over HTTP."""

import asyncio
from typing import Any

from httpx2 import ASGITransport, AsyncClient

from graph.app import create_app
from graph.settings import settings_from
from tests.graph.mail.conftest import code_in
from tests.graph.mail.postbox import Postbox

SIGN_UP = """mutation {
  signUp(input: {handle: "zoé", email: "zoe@example.org", password: "correct horse", locale: "fr"}) {
    viewer { id } confirmationSent errors { message }
  }
}"""
VERIFY = """mutation ($code: String!) {
  verifyEmail(input: {code: $code}) { viewer { user { handle } } errors { message } }
}"""


async def test_who_signs_up_gets_a_mail_and_an_account_by_it(database_url: str) -> None:
    async with Postbox().open() as postbox:
        mail = {"mail_url": postbox.url, "mail_from": "noreply@palabre.test"}
        app = create_app(settings_from({}, {"database_url": database_url, **mail}))
        async with app.router.lifespan_context(app), AsyncClient(transport=ASGITransport(app)) as client:

            async def ask(query: str, **variables: Any) -> Any:
                given = {"query": query, "variables": variables}
                return (await client.post("http://127.0.0.1:8000/graphql", json=given)).json()["data"]

            assert (await ask(SIGN_UP))["signUp"] == {"viewer": None, "confirmationSent": True, "errors": []}
            async with asyncio.timeout(10):
                await postbox.arrived.wait()
            [letter] = postbox.mails
            assert letter["Subject"] == "Confirmez votre adresse sur 127.0.0.1:8000"
            answer = (await ask(VERIFY, code=code_in(letter)))["verifyEmail"]
            assert answer == {"viewer": {"user": {"handle": "zoé"}}, "errors": []}
