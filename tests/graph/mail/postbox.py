"""A mail server on loopback that keeps what it is sent, and refuses what a test wants it to refuse."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from aiosmtpd.smtp import SMTP as Protocol
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session


@dataclass
class Postbox:
    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)  # from, to
    recipient_answer: str = "250 OK"
    data_answer: str = "250 OK"
    logins: list[tuple[str, str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.recipient_answer.startswith("2"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.data_answer.startswith("2"):
            self.mails.append(message_from_bytes(envelope.content, policy=SMTP))
            self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
            self.encrypted.append(session.ssl is not None)
            self.arrived.set()
        return self.data_answer

    def authenticate(self, server: Any, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login.decode(), data.password.decode()))
        right = data.password == b"p@ss/word"
        return AuthResult(success=right, handled=right)  # what is not handled is refused with 535

    @asynccontextmanager
    async def open(self, *, tls: ssl.SSLContext | None = None, at_once: bool = False) -> AsyncIterator["Postbox"]:
        """`tls`: offered by STARTTLS, or spoken `at_once`; passwords are then asked for."""

        def protocol() -> Protocol:
            return Protocol(
                self,
                hostname="mail.test",
                ident="test",
                enable_SMTPUTF8=True,
                authenticator=self.authenticate,
                auth_require_tls=False,
                tls_context=None if at_once else tls,
            )

        loop = asyncio.get_running_loop()
        server = await loop.create_server(protocol, "127.0.0.1", self.port, ssl=tls if at_once else None)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            await server.wait_closed()
