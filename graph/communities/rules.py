"""What a community may be called, and who decides on whom in it.  Values in, a decision out."""

from typing import Final

from graph import text
from graph.phrases import Phrase, phrase
from graph.refusals import Invalid

NAME_LIMIT: Final = 80  # characters
SLUG_LIMIT: Final = 50  # characters
DESCRIPTION_LIMIT: Final = 2_000  # characters of Markdown
ROLES: Final = ("MEMBER", "MODERATOR", "ADMIN")


def clean_name(given: str) -> str:
    """On one line.  Raises Invalid."""
    name = " ".join(text.clean(given).split())
    if not name:
        raise Invalid("A community has a name.", ("input", "name"))
    return _within(NAME_LIMIT, name, phrase("A name"), "name")


def clean_slug(given: str | None, name: str) -> str:
    """What is given, or what the name gives.  Raises Invalid."""
    if given is None:
        return text.slug(name)[:SLUG_LIMIT].strip("-")
    if not given or text.slug(given) != given:
        raise Invalid("A slug consists of small letters and digits, with single hyphens.", ("input", "slug"))
    return _within(SLUG_LIMIT, given, phrase("A slug"), "slug")


def clean_description(given: str | None) -> str | None:
    """None for nothing but space.  Raises Invalid."""
    description = text.clean(given or "")
    return _within(DESCRIPTION_LIMIT, description, phrase("A description"), "description") if description else None


def may_give(actor: str | None, present: str | None, role: str) -> bool:
    """Whether somebody with the role `actor` gives `role` to somebody who has `present` (None: is no member).

    Moderators add members, and make moderators of them; only admins decide on moderators and admins.
    """
    return actor == "ADMIN" or (actor == "MODERATOR" and role != "ADMIN" and may_remove(actor, present))


def may_remove(actor: str | None, present: str | None) -> bool:
    return actor == "ADMIN" or (actor == "MODERATOR" and present in (None, "MEMBER"))


def _within(limit: int, given: str, subject: Phrase, field: str) -> str:
    if len(given) > limit:
        message = phrase("{subject} has at most {limit} characters.", subject=subject, limit=limit)
        raise Invalid(message, ("input", field), limit=limit, actual=len(given))
    return given
