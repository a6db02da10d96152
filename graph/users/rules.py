"""What an account may be: handles, names, addresses, passwords.  No database, no clock."""

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import Final

from graph import text
from graph.audience import SCOPES
from graph.phrases import Phrase, phrase
from graph.refusals import Invalid, NotPermitted, TooOften

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
MICROSECONDS: Final = 1_000_000
DAY: Final = 24 * 3600 * MICROSECONDS
RENAME_DAYS: Final = 7  # between two changes of a handle: mentions and links are to stay readable
FORMER_HANDLES_LIMIT: Final = 10  # of one person: nobody else ever gets them
RETURN_DAYS: Final = 30  # within which signing in takes a deactivated account up again

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
_OTHERWISE_NAMED: Final = {"IDEOGRAPHIC": "CJK", "KATAKANA-HIRAGANA": "KATAKANA"}
_WRITTEN_TOGETHER: Final = tuple(
    frozenset({"LATIN", "CJK", *others}) for others in (("HIRAGANA", "KATAKANA"), ("BOPOMOFO",), ("HANGUL",))
)
# Letters of folded handles that look like Latin ones, as small letters and as capitals, after confusables.txt of
# UTS #39.  Within one script nothing is compared: rn and m only look alike in a hurry.
_LOOKING_ALIKE: Final = (
    ("acdehijlopqrsvwxy", "асԁеһіјӏорԛгѕѵԝху"),
    ("abehijkmopcstxy", "авеніјкморсѕтху"),
    ("ayikvoptu", "αγικνορτυ"),
    ("abezhikmnoptyx", "αβεζηικμνορτυχ"),
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
    if not _is_of_one_script(handle_key(handle)):
        raise Invalid("A handle is written in one script: letters of two look alike.", path)
    if not reserved and any(_bare(key) in RESERVED_HANDLES for key in look_alikes(handle_key(handle))):
        raise Invalid("This handle is kept for the site itself.", path)
    return handle


def handle_key(handle: str) -> str:
    """What is the same in all spellings of a handle; for any text, also one that is no handle."""
    return text.fold(text.clean(handle))


def look_alikes(handle_key: str) -> frozenset[str]:
    """The keys of handles in other scripts that look like this one, and its own."""
    return frozenset({handle_key, *_in_other_scripts(handle_key)})


def check_rename(renamed_at: int | None, former: int, now: int) -> None:
    """Raises TooOften within a week of the last time, and Invalid for who left `former` handles already."""
    wait = 0 if renamed_at is None else renamed_at + RENAME_DAYS * DAY - now
    if wait > 0:
        message = phrase("A handle can be changed once in {days} days.", days=RENAME_DAYS)
        raise TooOften(message, ("input", "handle"), retry_after_seconds=wait / MICROSECONDS)
    if former >= FORMER_HANDLES_LIMIT:
        message = phrase("You keep {limit} former handles: take one of them.", limit=FORMER_HANDLES_LIMIT)
        raise Invalid(message, ("input", "handle"), limit=FORMER_HANDLES_LIMIT, actual=former)


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


def clean_email(given: str, field: str = "email") -> str:
    """Plausible: only a mail that arrives proves more.  Raises Invalid."""
    email = text.clean(given)
    found = EMAIL.fullmatch(email)
    if not found or len(email) > EMAIL_LIMIT or len(found["local"]) > EMAIL_LOCAL_LIMIT or ".." in email:
        raise Invalid("This is no e-mail address.", ("input", field))
    return email


def email_key(email: str) -> str:
    # Accents are kept: with and without them are two mailboxes.
    return unicodedata.normalize("NFC", text.clean(email).casefold())


def check_password(password: str, *, handle: str, email: str, field: str = "password") -> None:
    """Raises Invalid."""
    path = ("input", field)
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


def may_sign_in(deactivated_at: int | None, returns_until: int | None, now: int) -> bool:
    """Whether the account is in use, or its owner may still come back to it.  All in µs since 1970."""
    return deactivated_at is None or (returns_until is not None and now < returns_until)


def clean_scopes(asked: Collection[str] | None, own: Collection[str]) -> frozenset[str]:
    """What a new token may do; as much as the credential that makes it, where nothing is asked.

    Who may do anything may also see: READ is always among them.  Raises NotPermitted for more than `own`.
    """
    scopes = SCOPES & (frozenset(own) if asked is None else {"READ", *asked})
    missing = sorted(scopes - frozenset(own))
    if missing:
        raise NotPermitted("A token makes none that may do more than itself.", ("input", "scopes"), missing[0])
    return scopes


def clean_end(asked: int | None, end_of_maker: int | None) -> int | None:
    """When a new token ends: no later than the token that makes it.  Raises Invalid.  All in µs since 1970."""
    if asked is not None and end_of_maker is not None and asked > end_of_maker:
        raise Invalid("A token makes none that lives longer than itself.", ("input", "expiresAt"))
    return end_of_maker if asked is None else asked


def check_expiry(expires_at: int | None, now: int) -> None:
    """Raises Invalid for a token that would never be valid.  Both in µs since 1970."""
    if expires_at is not None and expires_at <= now:
        raise Invalid("This moment has passed.", ("input", "expiresAt"))


def _in_a_handle(character: str) -> bool:
    if INVISIBLE.match(character):
        return False
    category = unicodedata.category(character)
    return category[0] in "LM" or category == "Nd" or character in BESIDE_LETTERS


def _is_of_one_script(key: str) -> bool:
    """Or of scripts that one language is written in together: "highly restrictive" in UTS #39, 5.2."""
    scripts = {_script(character) for character in key if unicodedata.category(character)[0] == "L"}
    return len(scripts) <= 1 or any(scripts <= together for together in _WRITTEN_TOGETHER)


def _script(letter: str) -> str:
    # Python has no table of scripts, but names of letters begin with theirs.
    word = unicodedata.name(letter, "").partition(" ")[0]
    return _OTHERWISE_NAMED.get(word, word)


def _in_other_scripts(key: str) -> Iterator[str]:
    letters = {character for character in key if character.isalpha()}
    for pair in _LOOKING_ALIKE:
        for ours, theirs in (pair, pair[::-1]):
            if letters and letters <= set(ours):
                yield key.translate(str.maketrans(ours, theirs))


def _begins_a_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN"


def _bare(key: str) -> str:
    return key.translate({ord(character): None for character in BESIDE_LETTERS})


def _within(limit: int, given: str, subject: Phrase, path: tuple[str, ...]) -> str:
    if len(given) > limit:
        message = phrase("{subject} has at most {limit} characters.", subject=subject, limit=limit)
        raise Invalid(message, path, limit=limit, actual=len(given))
    return given
