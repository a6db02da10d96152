"""Why the community says no: what a person can cause and a client can show.

    Refusal
    ├── Invalid          a value cannot be accepted; says the limit where a number is at stake
    ├── NotFound         there is no such thing, or the viewer may not know that there is
    ├── NotPermitted     the viewer may not
    ├── SignInFirst      nobody is signed in, or not with these words
    ├── Conflict         somebody changed it first, or the idempotency key stands for another input
    ├── Taken            the name belongs to somebody already
    ├── Closed           the discussion takes no more answers
    ├── TooOften         this was tried too often, or too many want it at once; says when to try again
    └── Unavailable      the operator of this site has not set up what it would need

A refusal is an answer, not a crash: rules and actions raise it, `graph.errors` shows it.  Whatever else escapes
is a defect of ours.  `path` leads from the argument down to the input at fault; empty when none is.
"""

from dataclasses import dataclass


@dataclass(eq=False)
class Refusal(Exception):
    message: str
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class Invalid(Refusal):
    limit: int | None = None
    actual: int | None = None


@dataclass(eq=False)
class NotFound(Refusal):
    pass


@dataclass(eq=False)
class NotPermitted(Refusal):
    requires: str | None = None


@dataclass(eq=False)
class SignInFirst(Refusal):
    pass


@dataclass(eq=False)
class Conflict(Refusal):
    pass


@dataclass(eq=False)
class Taken(Refusal):
    pass


@dataclass(eq=False)
class Closed(Refusal):
    pass


@dataclass(eq=False)
class TooOften(Refusal):
    retry_after_seconds: float = 1.0


@dataclass(eq=False)
class Unavailable(Refusal):
    pass
