"""One message to a mail server: when it is encrypted, who signs in, and what its refusals mean."""

import ssl
import subprocess
from email.message import EmailMessage
from pathlib import Path

import pytest

from graph.mail.transport import NotDelivered, Transport, starttls
from tests.graph.mail.postbox import Postbox


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate for localhost, made for this run."""
    folder = tmp_path_factory.mktemp("certificate")
    key, made = folder / "key.pem", folder / "certificate.pem"
    asking = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        subprocess.run([*asking, *names, "-keyout", str(key), "-out", str(made)], check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl, which makes the certificate, is not installed")
    return key, made


@pytest.fixture
def server_side(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    key, made = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    return context


@pytest.fixture
def client_side(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate[1]))


def letter(to: str = "ada@example.org") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = "noreply@palabre.test", to, "Hello"
    made.set_content("Hello.\n")
    return made


def transport(url: str, tls: ssl.SSLContext | None = None) -> Transport:
    return Transport(url, local_hostname="palabre.test", tls=tls)


@pytest.mark.parametrize(
    ("host", "with_password", "found"),
    [
        ("mail.example.org", True, True),
        ("mail.example.org", False, None),
        ("192.0.2.1", True, True),
        ("localhost", True, False),
        ("127.0.0.1", True, False),
        ("::1", False, False),
    ],
)
async def test_no_password_crosses_a_network_in_the_clear(host: str, with_password: bool, found: bool | None) -> None:
    assert starttls(host, with_password=with_password) is found


async def test_a_user_signs_in_with_a_password_that_was_percent_encoded() -> None:
    async with Postbox().open() as postbox:
        await transport(f"smtp://talk%40example.org:p%40ss%2Fword@127.0.0.1:{postbox.port}").send(letter())
    assert postbox.logins == [("talk@example.org", "p@ss/word")]
    assert len(postbox.mails) == 1


async def test_a_wrong_password_may_be_put_right_later() -> None:
    async with Postbox().open() as postbox:
        with pytest.raises(NotDelivered, match="535") as refused:
            await transport(f"smtp://talk:hunter2@127.0.0.1:{postbox.port}").send(letter())
    assert not refused.value.final
    assert "hunter2" not in str(refused.value)
    assert postbox.mails == []


async def test_smtps_is_encrypted_from_the_first_byte(server_side: ssl.SSLContext, client_side: ssl.SSLContext) -> None:
    async with Postbox().open(tls=server_side, at_once=True) as postbox:
        await transport(f"smtps://talk:p%40ss%2Fword@localhost:{postbox.port}", client_side).send(letter())
    assert len(postbox.mails) == 1


async def test_a_connection_is_encrypted_before_anything_is_said(
    server_side: ssl.SSLContext, client_side: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.mail.transport.is_this_machine", lambda host: False)
    async with Postbox().open(tls=server_side) as postbox:
        await transport(f"smtp://talk:p%40ss%2Fword@localhost:{postbox.port}", client_side).send(letter())
    assert postbox.encrypted == [True]
    assert postbox.logins == [("talk", "p@ss/word")]


async def test_a_server_without_encryption_gets_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graph.mail.transport.is_this_machine", lambda host: False)
    async with Postbox().open() as postbox:
        with pytest.raises(NotDelivered) as refused:
            await transport(f"smtp://talk:p%40ss%2Fword@127.0.0.1:{postbox.port}").send(letter())
    assert not refused.value.final
    assert postbox.logins == []


async def test_a_certificate_that_nobody_vouches_for_is_not_believed(server_side: ssl.SSLContext) -> None:
    async with Postbox().open(tls=server_side, at_once=True) as postbox:
        with pytest.raises(NotDelivered) as refused:
            await transport(f"smtps://talk:p%40ss%2Fword@localhost:{postbox.port}").send(letter())
    assert not refused.value.final
    assert postbox.logins == []


async def test_an_address_beyond_ascii_is_written_to_where_the_server_can() -> None:
    async with Postbox().open() as postbox:
        await transport(postbox.url).send(letter("zoé@example.org"))
    assert postbox.envelopes == [("noreply@palabre.test", ["zoé@example.org"])]


async def test_what_the_server_says_of_an_address_is_not_repeated() -> None:
    async with Postbox(recipient_answer="550 ada@example.org is nobody").open() as postbox:
        with pytest.raises(NotDelivered) as refused:
            await transport(postbox.url).send(letter())
    assert refused.value.final
    assert str(refused.value) == "the recipient was refused with 550"
