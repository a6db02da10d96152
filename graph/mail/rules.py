"""What is mailed, how long a code is good, how often one is tried.  No database, no clock, no network."""

from dataclasses import dataclass
from typing import Final

SECOND: Final = 1_000_000  # µs
HOUR: Final = 3600 * SECOND

# Letters, by what they are about.
RESET: Final = "RESET"  # a code for a new password
SIGN_UP: Final = "SIGN_UP"  # a code that makes the account that was asked for with this address
CONFIRM: Final = "CONFIRM"  # a code that confirms the address of an account
CHANGE: Final = "CHANGE"  # a code that makes this address the account's
CHANGING: Final = "CHANGING"  # tells the present address that another one was asked for
TAKEN: Final = "TAKEN"  # instead of SIGN_UP, to an address that has an account

# How long the code in a letter is good, from when the letter is written.
LIFETIMES: Final = {RESET: HOUR, CONFIRM: 72 * HOUR, CHANGE: 24 * HOUR}
SIGN_UP_LIFETIME: Final = 72 * HOUR  # from when it was asked for

LETTERS_PER_HOUR: Final = 5  # of one kind, to one address or about one account: nobody is flooded through us
LEASE: Final = 300 * SECOND  # how long one worker has a letter to itself; sending is given less
TRIES_LIMIT: Final = 10  # the last one about nine hours after the first
LONGEST_DELAY: Final = 4 * HOUR
KEPT: Final = 24 * HOUR  # how long the outbox remembers what is done; the hours above are counted there


@dataclass(frozen=True, slots=True)
class Letter:
    """One letter to be sent now, by whoever holds its lease.  Its code is made with it, and kept nowhere else."""

    mail_id: int
    kind: str
    address: str
    handle: str  # of the account that it is about
    locale: str  # of that person
    detail: str | None  # CHANGING: the address that was asked for
    created_at: int  # when it was asked for, µs since 1970
    tries: int  # this one included


@dataclass(frozen=True, slots=True)
class Person:
    """An account, as far as letters and codes are concerned."""

    id: int
    handle: str
    locale: str
    email: str | None
    email_key: str | None
    email_confirmed_at: int | None
    deactivated_at: int | None
    returns_until: int | None


def delay_after(tries: int) -> int | None:
    """µs until the next try, doubling from one minute on; None: it is given up."""
    return None if tries >= TRIES_LIMIT else min(60 * SECOND << (tries - 1), LONGEST_DELAY)
