"""The outbox: letters queued by the change that causes them, then leased, written and settled by a worker.

No secret is ever in it: a letter's code is made when it is sent, and arrives here as a hash.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from graph.change import Change
from graph.mail import rules, store
from graph.mail.rules import Letter, Person
from graph.users.rules import email_key, may_sign_in


async def queue(
    change: Change, kind: str, address: str, *, user_id: int | None = None, detail: str | None = None
) -> bool:
    """Have a letter sent once this change is committed; False where there have been enough of its kind lately."""
    address_key = email_key(address)
    since = change.now - rules.HOUR
    if await store.count_since(change, kind, since, address_key=address_key) >= rules.LETTERS_PER_HOUR:
        return False
    if user_id is not None and await store.count_since(change, kind, since, user_id=user_id) >= rules.LETTERS_PER_HOUR:
        return False
    await store.add_mail(
        change,
        kind=kind,
        user_id=user_id,
        address=address,
        address_key=address_key,
        detail=detail,
        state="QUEUED",
        created_at=change.now,
        due_at=change.now,
        tries=0,
    )
    return True


async def take_next(change: Change, *, secret_hash: bytes) -> Letter | None:
    """Lease what has been due longest, with a code of its own where it carries one; None: nothing is due.

    What there is nobody to write to for, or was tried too often, is done with on the way.
    """
    while (row := await store.lease(change, change.now, change.now + rules.LEASE)) is not None:
        mail = Mail(*row)
        if mail.tries > rules.TRIES_LIMIT:
            await store.settle(change, mail.id, mail.tries, state="GIVEN_UP", due_at=None)
        elif (letter := await _WRITING[mail.kind](change, mail, secret_hash)) is not None:
            return letter
        else:
            await store.settle(change, mail.id, mail.tries, state="DROPPED", due_at=None)
    return None


@dataclass(frozen=True, slots=True)
class Mail:
    """A row of the outbox, leased."""

    id: int
    kind: str
    user_id: int | None
    address: str
    address_key: str
    detail: str | None
    created_at: int
    tries: int


async def _write_reset(change: Change, mail: Mail, secret_hash: bytes) -> Letter | None:
    person = await store.person_at(change, mail.address_key)
    if person is None or not may_sign_in(person.deactivated_at, person.returns_until, change.now):
        return None
    # The address as the account has it: what was typed may look alike and belong to somebody else.
    letter = _letter(mail, person, address=person.email)
    await _give_code(change, letter, person.id, secret_hash)
    return letter


async def _write_sign_up(change: Change, mail: Mail, secret_hash: bytes) -> Letter | None:
    owner = await store.person_at(change, mail.address_key)
    if owner is not None:
        return _letter(mail, owner, address=owner.email, kind=rules.TAKEN)
    found = await store.give_sign_up_code(change, int(mail.detail or 0), secret_hash, change.now)
    if found is None:
        return None
    handle, locale = found
    return Letter(mail.id, mail.kind, mail.address, handle, locale, None, mail.created_at, mail.tries)


async def _write_confirm(change: Change, mail: Mail, secret_hash: bytes) -> Letter | None:
    person = await store.person(change, mail.user_id)
    if person is None or person.email_key != mail.address_key or person.email_confirmed_at is not None:
        return None
    letter = _letter(mail, person)
    await _give_code(change, letter, person.id, secret_hash)
    return letter


async def _write_change(change: Change, mail: Mail, secret_hash: bytes) -> Letter | None:
    person = await store.person(change, mail.user_id)
    if person is None or await store.person_at(change, mail.address_key) is not None:
        return None  # whether somebody has the address is not told to who asked for it
    letter = _letter(mail, person)
    await _give_code(change, letter, person.id, secret_hash)
    return letter


async def _write_changing(change: Change, mail: Mail, secret_hash: bytes) -> Letter | None:
    person = await store.person(change, mail.user_id)
    return None if person is None else _letter(mail, person)


_WRITING: Final[Mapping[str, Callable[[Change, Mail, bytes], Awaitable[Letter | None]]]] = {
    rules.RESET: _write_reset,
    rules.SIGN_UP: _write_sign_up,
    rules.CONFIRM: _write_confirm,
    rules.CHANGE: _write_change,
    rules.CHANGING: _write_changing,
}


def _letter(mail: Mail, person: Person, *, address: str | None = None, kind: str | None = None) -> Letter:
    return Letter(
        mail.id,
        kind or mail.kind,
        address or mail.address,
        person.handle,
        person.locale,
        mail.detail,
        mail.created_at,
        mail.tries,
    )


async def _give_code(change: Change, letter: Letter, user_id: int, secret_hash: bytes) -> None:
    await add_code(change, letter.kind, user_id, secret_hash, address=letter.address)


async def add_code(change: Change, kind: str, user_id: int, secret_hash: bytes, *, address: str | None) -> None:
    """`address`: where the code is sent, and what it proves; None: the operator hands it over."""
    await store.add_code(
        change,
        user_id=user_id,
        kind=kind,
        secret_hash=secret_hash,
        address=address,
        created_at=change.now,
        expires_at=change.now + rules.LIFETIMES[kind],
    )


async def delivered(change: Change, letter: Letter) -> None:
    await store.settle(change, letter.mail_id, letter.tries, state="SENT", due_at=None)


async def not_delivered(change: Change, letter: Letter, *, final: bool) -> int | None:
    """`final`: it would be refused again.  Gives when it is tried again, µs since 1970; None: it is given up."""
    delay = None if final else rules.delay_after(letter.tries)
    if delay is None:
        await store.settle(change, letter.mail_id, letter.tries, state="GIVEN_UP", due_at=None)
        return None
    await store.settle(change, letter.mail_id, letter.tries, state="QUEUED", due_at=change.now + delay)
    return change.now + delay
