"""What a post may be, and when one may change it.  Values in, a decision out."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from graph import text
from graph.phrases import Phrase, phrase
from graph.refusals import Conflict, Invalid

TITLE_LIMIT: Final = 200  # characters after trimming
SUMMARY_LIMIT: Final = 500  # characters
BODY_LIMIT: Final = 200_000  # characters; a long article has 40,000
REASON_LIMIT: Final = 500  # characters
LANGUAGE_LIMIT: Final = 35  # characters, the longest language tag that RFC 5646 asks a buffer for
KINDS: Final = ("ARTICLE", "QUESTION", "PRESS_RELEASE", "LEARNING_RESOURCE", "DISCUSSION", "LINK", "ANNOUNCEMENT")


@dataclass(frozen=True, slots=True)
class Written:
    """A text in its three forms: as written, as safe HTML, as plain text."""

    body: str
    html: str
    text: str


def clean_title(title: str) -> str:
    return _clean(title, TITLE_LIMIT, phrase("A title"), "title")


def clean_summary(summary: str | None) -> str | None:
    """None for nothing but space."""
    if summary is None or not text.clean(summary):
        return None
    return _clean(summary, SUMMARY_LIMIT, phrase("A summary"), "summary")


def clean_reason(reason: str | None) -> str | None:
    """Why a text was changed; None for nothing but space."""
    if reason is None or not text.clean(reason):
        return None
    return _clean(reason, REASON_LIMIT, phrase("A reason"), "reason")


def written(body: str) -> Written:
    body = _clean(body, BODY_LIMIT, phrase("A post"), "body")
    rendered = text.render(body)
    return Written(body, rendered.html, rendered.text)


def clean_language(language: str | None) -> str | None:
    """A BCP 47 tag by its outer form; which languages exist is not ours to know."""
    if language is None:
        return None
    parts = language.split("-")
    well_formed = all(1 <= len(part) <= 8 and part.isascii() and part.isalnum() for part in parts)
    if len(language) > LANGUAGE_LIMIT or not well_formed or not 2 <= len(parts[0]) <= 3:
        raise Invalid("This is no language tag, such as fr or en-GB.", ("input", "language"))
    return language


def free_slug(title: str, taken: Collection[str]) -> str:
    """The slug of the title, with the next free number where somebody has it."""
    slug = text.slug(title)
    number = 1
    while (candidate := slug if number == 1 else f"{slug}-{number}") in taken:
        number += 1
    return candidate


def hidden_slug(title: str, random: str) -> str:
    """Of a draft, or in a private community: one that nobody else's title can meet, or it would tell of this one."""
    return f"{text.slug(title)}-{random}"


def check_revision(expected: int | None, present: int) -> None:
    """Raises Conflict when the editor saw an older text than the present one."""
    if expected is not None and expected != present:
        message = phrase(
            "Somebody changed it first: it is at revision {present}, not {expected}.",
            present=present,
            expected=expected,
        )
        raise Conflict(message, ("input", "expectedRevision"))


def _clean(given: str, limit: int, subject: Phrase, field: str) -> str:
    cleaned = text.clean(given)
    if not cleaned:
        raise Invalid(phrase("{subject} cannot be empty.", subject=subject), ("input", field))
    if len(cleaned) > limit:
        message = phrase("{subject} has at most {limit} characters.", subject=subject, limit=limit)
        raise Invalid(message, ("input", field), limit=limit, actual=len(cleaned))
    return cleaned
