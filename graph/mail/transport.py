"""One message to the operator's mail server, by SMTP.  Knows no letters, remembers nothing."""

import asyncio
import ssl
from email.message import EmailMessage
from ipaddress import ip_address
from typing import Final
from urllib.parse import unquote, urlsplit

import aiosmtplib

from graph.observing.logs import described

SEND_SECONDS: Final = 120  # for one message, from connecting to the server's last word; the lease is longer
COMMAND_SECONDS: Final = 30  # for each of the server's answers


class NotDelivered(Exception):
    """The server did not take the message; `final` where it would not take it later either."""

    def __init__(self, reason: str, *, final: bool) -> None:
        super().__init__(reason)
        self.final = final


class Transport:
    """A mail server at smtp://user:password@host:port or smtps://…; each message has a connection of its own."""

    def __init__(self, url: str, *, local_hostname: str, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None, "the settings let no such address through"
        self._host = parts.hostname
        self._at_once = parts.scheme == "smtps"
        self._port = parts.port or (465 if self._at_once else 587 if parts.username else 25)
        self._user = None if parts.username is None else unquote(parts.username)
        self._password = None if parts.password is None else unquote(parts.password)
        self._local_hostname, self._tls = local_hostname, tls

    async def send(self, message: EmailMessage) -> None:
        """Raises NotDelivered."""
        try:
            async with asyncio.timeout(SEND_SECONDS), self._connection() as connection:
                await connection.send_message(message)
        except (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError, UnicodeError) as error:
            raise NotDelivered(_reason(error), final=_is_final(error)) from error

    def _connection(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._at_once,
            start_tls=None if self._at_once else starttls(self._host, with_password=self._password is not None),
            tls_context=self._tls,
            local_hostname=self._local_hostname,  # otherwise a name server is asked each time
            timeout=COMMAND_SECONDS,
        )


def starttls(host: str, *, with_password: bool) -> bool | None:
    """True: not without; None: where the server offers it; False: never.

    No password crosses a network in the clear.  On this machine there is none to cross, and a mail server that
    stands there seldom has a certificate that one could check.
    """
    return False if is_this_machine(host) else True if with_password else None


def is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_final(error: Exception) -> bool:
    """Whether it is about this message, and the server's mind is made up (5xx).

    Being refused a connection, a password or a sender is about the settings: they may be put right.
    """
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=refused):
            return all(each.code >= 500 for each in refused)
        case aiosmtplib.SMTPRecipientRefused(code=code) | aiosmtplib.SMTPDataError(code=code):
            return code >= 500
        case aiosmtplib.SMTPException() | OSError():
            return False
    return True  # a message that cannot be put into words for a mail server


def _reason(error: Exception) -> str:
    """For the log: the kind of failure and the code, never words that may quote an address or a password."""
    match error:
        case aiosmtplib.SMTPRecipientsRefused(recipients=[first, *_]):
            return f"the recipient was refused with {first.code}"
        case aiosmtplib.SMTPRecipientRefused(code=code):
            return f"the recipient was refused with {code}"
        case aiosmtplib.SMTPResponseException(code=code):
            return f"{type(error).__name__} {code}"
    return described(error)
