"""What a request and an invitation may say, and how long an invitation is good.  Values in, a decision out."""

from dataclasses import dataclass
from typing import Final

from graph.communities.rules import clean_text
from graph.phrases import phrase
from graph.refusals import Conflict, Invalid, NotFound

MESSAGE_LIMIT: Final = 500  # characters, of a request
USES_LIMIT: Final = 10_000  # of one link


def clean_message(given: str | None) -> str | None:
    """None for nothing but space.  Raises Invalid."""
    return clean_text(given, MESSAGE_LIMIT, phrase("A message"), "message")


def check_uses(given: int | None) -> int | None:
    """None: any number.  Raises Invalid."""
    if given is not None and not 1 <= given <= USES_LIMIT:
        message = phrase("A link is good for 1 to {limit} people.", limit=USES_LIMIT)
        raise Invalid(message, ("input", "usesLimit"), limit=USES_LIMIT, actual=given)
    return given


def check_expiry(given: int | None, now: int) -> int | None:
    """Both in µs since 1970; None: never.  Raises Invalid."""
    if given is not None and given <= now:
        raise Invalid("This moment has passed.", ("input", "expiresAt"))
    return given


@dataclass(frozen=True, slots=True)
class Link:
    answer: str
    uses: int
    uses_limit: int | None
    expires_at: int | None  # µs since 1970

    def is_good(self, now: int) -> bool:
        """Whether it still lets somebody in."""
        free = self.uses_limit is None or self.uses < self.uses_limit
        return self.answer == "PENDING" and free and (self.expires_at is None or now < self.expires_at)


def check_good(link: Link, now: int) -> None:
    """Raises NotFound for a link that was withdrawn, has expired or was used by as many as it was for."""
    if not link.is_good(now):
        raise NotFound("This invitation is not good any more.", ("input", "code"))


def check_pending(answer: str, field: str) -> None:
    """Raises Conflict."""
    if answer != "PENDING":
        raise Conflict("This was answered already.", ("input", field))
