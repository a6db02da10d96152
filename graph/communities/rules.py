"""What a community may be called, how it is settled, and who decides on whom in it.  Values in, a decision out."""

from typing import Final

from graph import text
from graph.phrases import Phrase, phrase
from graph.refusals import Closed, Invalid, NotPermitted

NAME_LIMIT: Final = 80  # characters
SLUG_LIMIT: Final = 50  # characters
DESCRIPTION_LIMIT: Final = 2_000  # characters of Markdown
REASON_LIMIT: Final = 500  # characters, of a ban
ROLES: Final = ("MEMBER", "MODERATOR", "ADMIN")
RANKS: Final = {"ADMIN": 0, "MODERATOR": 1, "MEMBER": 2}  # as lists of members have them


def clean_name(given: str) -> str:
    """On one line.  Raises Invalid."""
    name = " ".join(text.clean(given).split())
    if not name:
        raise Invalid("A community has a name.", ("input", "name"))
    return within(NAME_LIMIT, name, phrase("A name"), "name")


def clean_slug(given: str | None, name: str) -> str:
    """What is given, or what the name gives.  Raises Invalid."""
    if given is None:
        return text.slug(name)[:SLUG_LIMIT].strip("-")
    if not given or text.slug(given) != given:
        raise Invalid("A slug consists of small letters and digits, with single hyphens.", ("input", "slug"))
    return within(SLUG_LIMIT, given, phrase("A slug"), "slug")


def clean_description(given: str | None) -> str | None:
    """None for nothing but space.  Raises Invalid."""
    return clean_text(given, DESCRIPTION_LIMIT, phrase("A description"), "description")


def clean_reason(given: str | None) -> str | None:
    """Why somebody was banned; None for nothing but space.  Raises Invalid."""
    return clean_text(given, REASON_LIMIT, phrase("A reason"), "reason")


def clean_text(given: str | None, limit: int, subject: Phrase, field: str) -> str | None:
    cleaned = text.clean(given or "")
    return within(limit, cleaned, subject, field) if cleaned else None


def within(limit: int, given: str, subject: Phrase, field: str) -> str:
    if len(given) > limit:
        message = phrase("{subject} has at most {limit} characters.", subject=subject, limit=limit)
        raise Invalid(message, ("input", field), limit=limit, actual=len(given))
    return given


def joining_of(visibility: str, given: str | None, present: str = "OPEN") -> str:
    """How one joins a community of this visibility, where `given` is what is asked for.  Raises Invalid.

    Nobody can ask to be let into what they cannot see: a private community is joined by invitation.
    """
    if visibility == "PUBLIC":
        return given or present
    if given not in (None, "INVITATION"):
        raise Invalid("A private community is joined by invitation.", ("input", "joining"))
    return "INVITATION"


def may_give(actor: str | None, present: str | None, role: str) -> bool:
    """Whether somebody with the role `actor` gives `role` to somebody who has `present` (None: is no member).

    Moderators add members, and make moderators of them; only admins decide on moderators and admins.
    """
    return actor == "ADMIN" or (actor == "MODERATOR" and role != "ADMIN" and may_remove(actor, present))


def may_remove(actor: str | None, present: str | None) -> bool:
    return actor == "ADMIN" or (actor == "MODERATOR" and present in (None, "MEMBER"))


def check_admin_stays(present: str | None, role: str | None, admins: int, field: str) -> None:
    """A community has an admin.  `role` is what somebody will have instead of `present` (None: is no member).

    Raises NotPermitted for the last of `admins`.
    """
    if present == "ADMIN" and role != "ADMIN" and admins == 1:
        raise NotPermitted("A community has an admin: make somebody else one first.", ("input", field))


def check_open(archived_at: int | None, path: tuple[str, ...]) -> None:
    """Raises Closed."""
    if archived_at is not None:
        raise Closed("This community is archived: it is read, and nobody writes in it any more.", path)


def check_not_banned(banned: bool, path: tuple[str, ...]) -> None:
    """Raises NotPermitted."""
    if banned:
        raise NotPermitted("You are banned from this community.", path)
