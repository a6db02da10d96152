"""Letters in words: plain text in the language of whom they are for, with the headers of an automatic message."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Final
from urllib.parse import quote

from graph.mail import rules
from graph.mail.rules import Letter
from graph.phrases import language_of, phrase, said


@dataclass(frozen=True, slots=True)
class Correspondence:
    """What all letters of a site have in common.  A link has the place {code} for the code."""

    sender: str  # an address, or a name with an address in angle brackets
    site: str  # where people reach the site
    reset_link: str | None = None
    confirm_link: str | None = None

    @property
    def domain(self) -> str:
        return _in_ascii(parseaddr(self.sender)[1].rpartition("@")[2])


@dataclass(frozen=True, slots=True)
class Wording:
    """What a letter says: patterns of phrases, with {site}, {handle} and {detail}."""

    subject: str
    beginning: str
    code: str | None  # before the code, where there is one
    end: str


ASK_AGAIN: Final = "If it was not you, do nothing: without the code nothing changes."
WORDINGS: Final[Mapping[str, Wording]] = {
    rules.RESET: Wording(
        "A new password on {site}",
        "Somebody, probably you, asked for a new password for your account {handle} on {site}.",
        "With this code you can set one, once, within an hour:",
        ASK_AGAIN,
    ),
    rules.SIGN_UP: Wording(
        "Confirm your address on {site}",
        "Somebody, probably you, wants to make the account {handle} on {site} with this address.",
        "With this code it is made, within three days:",
        "If it was not you, do nothing: without the code there will be no account.",
    ),
    rules.CONFIRM: Wording(
        "Confirm your address on {site}",
        "Somebody, probably you, has the account {handle} on {site} with this address.",
        "With this code you confirm that the address is yours, within three days:",
        "If it was not you, do nothing: the address stays unconfirmed.",
    ),
    rules.CHANGE: Wording(
        "Confirm your new address on {site}",
        "Somebody, probably you, wants the account {handle} on {site} to be reached at this address.",
        "Sign in, and confirm the address with this code, within a day:",
        ASK_AGAIN,
    ),
    rules.CHANGING: Wording(
        "Another address for your account on {site}",
        "Somebody who knows your password, probably you, wants your account {handle} on {site} to be reached at "
        "{detail} instead of this address.  A code was sent there.",
        None,
        "If it was not you, change your password at once: the code is then void.",
    ),
    rules.TAKEN: Wording(
        "You have an account on {site}",
        "Somebody, probably you, wanted to make an account on {site} with this address.  There is one already: it is "
        "called {handle}.",
        None,
        "Sign in with its password, or ask for a new one there.  If it was not you, do nothing.",
    ),
}


def message(letter: Letter, code: str, correspondence: Correspondence, now: int) -> EmailMessage:
    """`now` in µs since 1970.  Raises ValueError for an address that no header can hold."""
    made = EmailMessage(policy=SMTP)
    name, address = parseaddr(correspondence.sender)
    made["From"] = Address(display_name=name, addr_spec=_on_the_wire(address))
    made["To"] = Address(addr_spec=_on_the_wire(letter.address))
    made["Subject"] = _said(WORDINGS[letter.kind].subject, letter, correspondence)
    made["Date"] = format_datetime(datetime.fromtimestamp(now // rules.SECOND, UTC))
    # The same at each try: should a server take one twice, mailboxes can tell.
    made["Message-ID"] = f"<palabre.{letter.mail_id}.{letter.created_at}@{correspondence.domain}>"
    made["Auto-Submitted"] = "auto-generated"  # RFC 3834: no absence is announced to it
    made.set_content("\n\n".join(_paragraphs(letter, code, correspondence)) + "\n", charset="utf-8")
    made["Content-Language"] = language_of(letter.locale)
    return made


def _paragraphs(letter: Letter, code: str, correspondence: Correspondence) -> Iterator[str]:
    wording = WORDINGS[letter.kind]
    yield _said(wording.beginning, letter, correspondence)
    if wording.code is not None:
        yield _said(wording.code, letter, correspondence)
        yield f"    {code}"
        template = correspondence.reset_link if letter.kind == rules.RESET else correspondence.confirm_link
        if template is not None:
            yield _said("Or follow this link:", letter, correspondence)
            yield link(template, code)
    yield _said(wording.end, letter, correspondence)


def link(template: str, code: str) -> str:
    return template.replace("{code}", quote(code, safe=""))


def _said(pattern: str, letter: Letter, correspondence: Correspondence) -> str:
    site = correspondence.site.partition("://")[2]
    return said(phrase(pattern, site=site, handle=letter.handle, detail=letter.detail or ""), letter.locale)


def _on_the_wire(address: str) -> str:
    """With the domain as every mail server knows it."""
    local, _, domain = address.rpartition("@")
    return f"{local}@{_in_ascii(domain)}"


def _in_ascii(domain: str) -> str:
    return domain.encode("idna").decode("ascii")
