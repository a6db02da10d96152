"""What an account may be: handles, names, addresses, passwords.  No database, no clock."""

import re
import unicodedata
from typing import Final

from graph import text
from graph.phrases import Phrase, phrase
from graph.refusals import Invalid

HANDLE_SHORTEST: Final = 2  # characters
HANDLE_LIMIT: Final = 30  # characters
DISPLAY_NAME_LIMIT: Final = 50  # characters
BIO_LIMIT: Final = 1_000  # characters of Markdown
EMAIL_LIMIT: Final = 254  # characters: RFC 5321, 4.5.3.1.3, without the angle brackets
EMAIL_LOCAL_LIMIT: Final = 64  # characters before the @: RFC 5321, 4.5.3.1.1
PASSWORD_SHORTEST: Final = 8  # characters: NIST SP 800-63B, 5.1.1.2, which advises against rules of composition
PASSWORD_LIMIT: Final = 200  # characters
TOKEN_NAME_LIMIT: Final = 100  # characters, of what a token is for and of a device
LOCALE_LIMIT: Final = 35  # characters: RFC 5646, 4.4.1

# They would be taken for the site's own voice, or for places in addresses.
_RESERVED: Final = """
    about account accounts admin administrator all anonymous api auth channel community communities deleted everyone
    graphiql graphql help here login logout me mod moderation moderator moderators null official owner palabre
    postmaster privacy root security settings signin signout signup staff support system team undefined user users
    webmaster
"""
RESERVED_HANDLES: Final = frozenset(_RESERVED.split())
BESIDE_LETTERS: Final = "_-."
# Letters and marks that show nothing: two handles would look the same.
INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# They turn the direction of the text that follows.
TURNING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
EMAIL: Final = re.compile(r"(?P<local>[^\s@<>(),:;\"\[\]\\]+)@(?:[^\W_](?:[\w-]*[^\W_])?\.)+[^\W_]{2,63}")
LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


def clean_handle(given: str, *, reserved: bool = False) -> str:
    """As it will be shown.  `reserved` allows what is otherwise kept for the site.  Raises Invalid."""
    handle = text.clean(given)
    path = ("input", "handle")
    if not HANDLE_SHORTEST <= len(handle) <= HANDLE_LIMIT:
        message = phrase("A handle has {shortest} to {limit} characters.", shortest=HANDLE_SHORTEST, limit=HANDLE_LIMIT)
        limit = HANDLE_LIMIT if len(handle) > HANDLE_LIMIT else HANDLE_SHORTEST
        raise Invalid(message, path, limit=limit, actual=len(handle))
    if not all(_in_a_handle(character) for character in handle):
        raise Invalid("A handle consists of letters, digits, `_`, `-` and `.`.", path)
    if not _begins_a_word(handle[0]) or handle.endswith("."):
        raise Invalid("A handle begins with a letter or a digit, and does not end with a full stop.", path)
    if not reserved and _bare(handle_key(handle)) in RESERVED_HANDLES:
        raise Invalid("This handle is kept for the site itself.", path)
    return handle


def handle_key(handle: str) -> str:
    """What is the same in all spellings of a handle; for any text, also one that is no handle."""
    return text.fold(text.clean(handle))


def clean_display_name(given: str) -> str:
    """On one line.  Raises Invalid."""
    name = " ".join(TURNING.sub("", text.clean(given)).split())
    path = ("input", "displayName")
    if not any(unicodedata.category(character)[0] in "LNPS" for character in INVISIBLE.sub("", name)):
        raise Invalid("A name cannot be empty.", path)
    return _within(DISPLAY_NAME_LIMIT, name, phrase("A name"), path)


def clean_bio(given: str | None) -> str | None:
    """None for nothing but space.  Raises Invalid."""
    bio = text.clean(given or "")
    return _within(BIO_LIMIT, bio, phrase("A bio"), ("input", "bio")) if bio else None


def clean_email(given: str) -> str:
    """Plausible: only a mail that arrives proves more.  Raises Invalid."""
    email = text.clean(given)
    found = EMAIL.fullmatch(email)
    if not found or len(email) > EMAIL_LIMIT or len(found["local"]) > EMAIL_LOCAL_LIMIT or ".." in email:
        raise Invalid("This is no e-mail address.", ("input", "email"))
    return email


def email_key(email: str) -> str:
    # Accents are kept: with and without them are two mailboxes.
    return unicodedata.normalize("NFC", text.clean(email).casefold())


def check_password(password: str, *, handle: str, email: str) -> None:
    """Raises Invalid."""
    path = ("input", "password")
    if len(password) < PASSWORD_SHORTEST:
        message = phrase("A password has at least {shortest} characters.", shortest=PASSWORD_SHORTEST)
        raise Invalid(message, path, limit=PASSWORD_SHORTEST, actual=len(password))
    _within(PASSWORD_LIMIT, password, phrase("A password"), path)
    if text.fold(password) in (handle_key(handle), handle_key(email)):
        raise Invalid("A password cannot be the handle or the e-mail address.", path)


def clean_locale(given: str | None) -> str | None:
    """A language tag by its outer form.  Raises Invalid."""
    if given is not None and (len(given) > LOCALE_LIMIT or not LOCALE.fullmatch(given)):
        raise Invalid("This is no language tag, such as fr or en-GB.", ("input", "locale"))
    return given


def clean_token_name(given: str) -> str:
    """What a token is for, on one line.  Raises Invalid."""
    name = " ".join(text.clean(given).split())
    if not name:
        raise Invalid("Say what the token is for.", ("input", "name"))
    return _within(TOKEN_NAME_LIMIT, name, phrase("The name of a token"), ("input", "name"))


def clean_device(given: str | None) -> str | None:
    """Cut to what is shown: browsers call themselves by long names, and nobody types them."""
    return " ".join(text.clean(given or "").split())[:TOKEN_NAME_LIMIT] or None


def check_expiry(expires_at: int | None, now: int) -> None:
    """Raises Invalid for a token that would never be valid.  Both in µs since 1970."""
    if expires_at is not None and expires_at <= now:
        raise Invalid("This moment has passed.", ("input", "expiresAt"))


def _in_a_handle(character: str) -> bool:
    if INVISIBLE.match(character):
        return False
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd" or character in BESIDE_LETTERS


def _begins_a_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def _bare(key: str) -> str:
    return key.translate({ord(character): None for character in BESIDE_LETTERS})


def _within(limit: int, given: str, subject: Phrase, path: tuple[str, ...]) -> str:
    if len(given) > limit:
        message = phrase("{subject} has at most {limit} characters.", subject=subject, limit=limit)
        raise Invalid(message, path, limit=limit, actual=len(given))
    return given
