"""A site that sends mail, and the mail server that it sends it to."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from email.message import EmailMessage
from typing import Any

import pytest

from graph.change import Changes
from graph.mail.letters import Correspondence
from graph.mail.sender import Sender
from graph.mail.transport import Transport
from graph.storage.database import Storage
from subscriptions.brokers.memory import MemoryBroker
from tests.graph.mail.postbox import Postbox

CORRESPONDENCE = Correspondence("Palabre <noreply@palabre.test>", "https://palabre.test")


class Office:
    """One process's share in sending the mails of a site."""

    def __init__(self, site: Any, postbox: Postbox, storage: Storage | None = None, **given: Any) -> None:
        self.site, self.postbox = site, postbox
        storage = storage or site.storage
        self.sender = Sender(
            storage,
            Changes(storage, MemoryBroker(), lambda: site.now),
            Transport(postbox.url, local_hostname="palabre.test"),
            replace(CORRESPONDENCE, **given),
            lambda: site.now,
        )

    async def sent(self) -> list[EmailMessage]:
        """What has arrived, once everything that is due was tried."""
        await self.sender.send_due()
        return self.postbox.mails

    async def last(self) -> EmailMessage:
        return (await self.sent())[-1]


def text_of(mail: EmailMessage) -> str:
    text: str = mail.get_content()
    return text.replace("\r\n", "\n")


def code_in(mail: EmailMessage) -> str:
    found = re.search(r"^    ([0-9A-Z]{5}(?:-[0-9A-Z]{5}){3})$", text_of(mail), re.MULTILINE)
    assert found, text_of(mail)
    return found[1]


@pytest.fixture
async def postbox() -> AsyncIterator[Postbox]:
    async with Postbox().open() as postbox:
        yield postbox


@pytest.fixture
async def office(site: Any, postbox: Postbox) -> Office:
    """The sender of a site that sends mail."""
    site.services = replace(site.services, sends_mail=True)
    return Office(site, postbox)
