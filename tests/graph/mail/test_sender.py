"""Emptying the outbox: what arrives, what is tried again and when, and that each letter is sent once."""

import asyncio
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from graph.change import Changes
from graph.mail import actions, outbox, rules
from graph.mail.sender import Sender
from graph.mail.transport import Transport
from graph.storage.database import Storage
from graph.storage.tables import codes, mails
from subscriptions.brokers.memory import MemoryBroker
from tests.graph.mail.conftest import CORRESPONDENCE, Office, code_in, text_of
from tests.graph.mail.postbox import Postbox

MINUTE = 60 * rules.SECOND


async def ask(site: Any, email: str = "ada@example.org") -> None:
    await site.act(lambda change: actions.request_password_reset(change, email=email))


async def states(site: Any) -> list[tuple[str, int | None, int]]:
    """(state, µs from now until it is due, tries)"""
    rows = await site.storage.rows(sa.select(mails.c.state, mails.c.due_at, mails.c.tries).order_by(mails.c.id))
    return [(state, None if due_at is None else due_at - site.now, tries) for state, due_at, tries in rows]


async def test_a_letter_arrives_with_the_headers_of_an_automatic_message(site: Any, office: Office) -> None:
    await site.person("Ada", email="Ada@Example.org")
    await ask(site)
    [mail] = await office.sent()
    assert office.postbox.envelopes == [("noreply@palabre.test", ["Ada@Example.org"])]
    assert mail["From"] == "Palabre <noreply@palabre.test>"
    assert mail["To"] == "Ada@Example.org"
    assert mail["Subject"] == "A new password on palabre.test"
    assert mail["Date"] == "Tue, 14 Nov 2023 22:13:20 +0000"
    assert mail["Message-ID"] == f"<palabre.1.{site.now}@palabre.test>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "en"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content_charset() == "utf-8"
    assert text_of(mail) == (
        "Somebody, probably you, asked for a new password for your account Ada on palabre.test.\n\n"
        "With this code you can set one, once, within an hour:\n\n"
        f"    {code_in(mail)}\n\n"
        "If it was not you, do nothing: without the code nothing changes.\n"
    )
    assert await states(site) == [("SENT", None, 1)]


async def test_a_letter_is_in_the_language_of_whom_it_is_for(site: Any, office: Office) -> None:
    ada = await site.person("Zoé", email="zoe@example.org")
    await site.storage.rows(sa.text("UPDATE users SET locale = 'fr-CH'"))
    assert ada == 1
    await ask(site, "zoe@example.org")
    mail = await office.last()
    assert mail["Subject"] == "Un nouveau mot de passe sur palabre.test"
    assert mail["Content-Language"] == "fr"
    assert "votre compte Zoé sur palabre.test" in text_of(mail)


async def test_a_front_ends_page_is_linked_where_the_operator_named_it(site: Any, postbox: Postbox) -> None:
    await site.person("ada", email="ada@example.org")
    office = Office(site, postbox, reset_link="https://app.example.org/reset?code={code}")
    await ask(site)
    mail = await office.last()
    assert f"\nhttps://app.example.org/reset?code={code_in(mail)}\n" in text_of(mail)


async def test_no_code_is_in_the_database_in_a_form_that_opens_anything(site: Any, office: Office) -> None:
    await site.person("ada", email="ada@example.org")
    await ask(site)
    assert await site.table(codes) == []
    code = code_in(await office.last())
    kept = repr([await site.table(table) for table in (codes, mails)])
    assert code not in kept
    assert code.replace("-", "") not in kept
    assert len(await site.table(codes)) == 1


async def test_an_address_that_nobody_has_leads_to_the_same_rows_and_to_no_letter(site: Any, office: Office) -> None:
    await site.person("ada", email="ada@example.org")
    await ask(site, "ada@example.org")
    await ask(site, "nobody@example.org")
    queued = await site.table(mails)
    assert [row[1:3] + row[5:] for row in queued] == [("RESET", None, None, "QUEUED", site.now, site.now, 0)] * 2
    assert [mail["To"] for mail in await office.sent()] == ["ada@example.org"]
    assert await states(site) == [("SENT", None, 1), ("DROPPED", None, 1)]


async def test_an_address_is_written_to_five_times_an_hour_at_most(site: Any, office: Office) -> None:
    await site.person("ada", email="ada@example.org")
    for spelling in ("ada@example.org", "ADA@example.org", "ada@EXAMPLE.org") * 3:
        await ask(site, spelling)
    assert len(await office.sent()) == rules.LETTERS_PER_HOUR
    site.now += rules.HOUR
    await ask(site)
    assert len(await office.sent()) == rules.LETTERS_PER_HOUR + 1


async def test_while_the_server_is_down_a_letter_waits_ever_longer(site: Any, office: Office) -> None:
    await site.person("ada", email="ada@example.org")
    async with Postbox().open() as gone:
        pass
    elsewhere = Office(site, gone)
    await ask(site)
    with capture_logs() as logged:
        waits = []
        for _ in range(4):
            await elsewhere.sent()
            [(state, wait, _)] = await states(site)
            assert state == "QUEUED"
            assert wait is not None
            waits.append(wait)
            site.now += wait - 1
            assert await office.sent() == []
            site.now += 1
    assert waits == [MINUTE, 2 * MINUTE, 4 * MINUTE, 8 * MINUTE]
    [mail] = await office.sent()
    assert mail["Message-ID"] == f"<palabre.1.{site.now - sum(waits)}@palabre.test>"
    assert await states(site) == [("SENT", None, 5)]
    assert [(line["event"], line["seconds"]) for line in logged] == [
        ("mail_put_off", wait // rules.SECOND) for wait in waits
    ]
    assert "ada@example.org" not in repr(logged)


async def test_after_ten_tries_a_letter_is_given_up_and_this_is_told(site: Any, office: Office) -> None:
    await site.person("ada", email="ada@example.org")
    office.postbox.data_answer = "451 Later, perhaps"
    await ask(site)
    began = site.now
    with capture_logs() as logged:
        for _ in range(rules.TRIES_LIMIT):
            await office.sent()
            [(_, wait, _)] = await states(site)
            site.now += wait or 0
    assert await states(site) == [("GIVEN_UP", None, rules.TRIES_LIMIT)]
    assert site.now - began == (1 + 2 + 4 + 8 + 16 + 32 + 64 + 128 + 240) * MINUTE
    assert logged[-1] == {
        "event": "mail_given_up",
        "log_level": "error",
        "mail": 1,
        "about": "RESET",
        "tries": 10,
        "reason": "SMTPDataError 451",
    }
    office.postbox.data_answer = "250 OK"
    assert await office.sent() == []


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({"recipient_answer": "450 Try again"}, "QUEUED"),
        ({"recipient_answer": "550 No such user"}, "GIVEN_UP"),
        ({"data_answer": "452 No space"}, "QUEUED"),
        ({"data_answer": "554 Spam"}, "GIVEN_UP"),
    ],
)
async def test_what_would_be_refused_again_is_not_tried_again(
    site: Any, office: Office, answers: dict[str, str], state: str
) -> None:
    await site.person("ada", email="ada@example.org")
    for name, answer in answers.items():
        setattr(office.postbox, name, answer)
    await ask(site)
    assert await office.sent() == []
    [(found, wait, tries)] = await states(site)
    assert (found, tries) == (state, 1)
    assert wait == (MINUTE if state == "QUEUED" else None)


async def test_two_processes_send_each_letter_once(
    site: Any, postbox: Postbox, two_storages: tuple[Storage, Storage]
) -> None:
    addresses = [f"person{number}@example.org" for number in range(12)]
    for number, address in enumerate(addresses):
        await site.person(f"person{number}", email=address)
        await ask(site, address)
    offices = [Office(site, postbox, storage) for storage in two_storages]
    await asyncio.gather(*(office.sent() for office in offices))
    assert sorted(mail["To"] for mail in postbox.mails) == sorted(addresses)
    assert await states(site) == [("SENT", None, 1)] * 12


async def test_a_letter_whose_sender_died_is_sent_by_another_once_the_lease_has_ended(
    site: Any, office: Office
) -> None:
    await site.person("ada", email="ada@example.org")
    await ask(site)
    assert await site.act(lambda change: outbox.take_next(change, secret_hash=b"died")) is not None
    assert await office.sent() == []
    site.now += rules.LEASE
    assert len(await office.sent()) == 1
    assert await states(site) == [("SENT", None, 2)]


async def test_who_comes_back_after_the_lease_has_ended_changes_nothing(site: Any, office: Office) -> None:
    await site.person("ada", email="ada@example.org")
    await ask(site)
    slow = await site.act(lambda change: outbox.take_next(change, secret_hash=b"slow"))
    site.now += rules.LEASE
    await office.sent()
    await site.act(lambda change: outbox.not_delivered(change, slow, final=False))
    assert await states(site) == [("SENT", None, 2)]


async def test_an_address_that_would_make_a_header_of_its_own_is_not_written_to(site: Any, office: Office) -> None:
    ada = await site.person("ada", email="ada@example.org")
    for address in ("eve@example.org\r\nBcc: all@example.org", "eve@example.org>\nRCPT TO:<all@example.org"):
        await site.act(
            lambda change, address=address: outbox.queue(change, rules.CHANGING, address, user_id=ada, detail="x")
        )
    assert await office.sent() == []
    assert office.postbox.envelopes == []
    assert await states(site) == [("GIVEN_UP", None, 1)] * 2


async def test_the_running_sender_sends_what_is_queued_and_ends_when_told(site: Any, postbox: Postbox) -> None:
    await site.person("ada", email="ada@example.org")
    office = Office(site, postbox)
    async with asyncio.timeout(10):
        async with office.sender.running():
            await ask(site)
            await postbox.arrived.wait()
    assert len(postbox.mails) == 1
    assert await states(site) == [("SENT", None, 1)]


async def test_a_server_that_says_nothing_does_not_keep_the_process_from_stopping(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()

    monkeypatch.setattr("graph.mail.sender.STOP_SECONDS", 0.05)
    reached = asyncio.Event()
    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    await site.person("ada", email="ada@example.org")
    await ask(site)
    transport = Transport(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}", local_hostname="x.test")
    changes = Changes(site.storage, MemoryBroker(), lambda: site.now)
    sender = Sender(site.storage, changes, transport, CORRESPONDENCE, lambda: site.now)
    async with asyncio.timeout(10):
        async with sender.running():
            await reached.wait()
        await changes.finish()
        server.close()
        await server.wait_closed()
    assert await states(site) == [("QUEUED", rules.LEASE, 1)]
