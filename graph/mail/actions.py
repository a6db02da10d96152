"""What leads to a mail, and what becomes of it.  Each action is one change, or a part of the one that causes it.

No secret is ever in the outbox: a letter's code is made when it is sent, and arrives here as a hash.
"""

from graph.change import Change
from graph.mail import rules, store
from graph.mail.rules import Letter
from graph.users.rules import clean_email, email_key


async def request_password_reset(change: Change, *, email: str) -> None:
    """Have a code mailed to whom this address belongs, if to anybody.

    Whether there is such an account is looked up when the letter is written, not here: the same is done for every
    address, in the same time.  Raises Invalid for what is no address.
    """
    await queue(change, rules.RESET, clean_email(email))


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
        mail_id, kind, user_id, address, address_key, detail, created_at, tries = row
        about = await (store.person_at(change, address_key) if user_id is None else store.person(change, user_id))
        if about is None or tries > rules.TRIES_LIMIT:
            await store.settle(change, mail_id, tries, state="DROPPED" if about is None else "GIVEN_UP", due_at=None)
            continue
        person_id, handle, locale, own_address = about
        # The address as the account has it: what was typed may look alike and belong to somebody else.
        address = own_address if user_id is None else address
        if kind in rules.LIFETIMES:
            await store.add_code(
                change,
                user_id=person_id,
                kind=kind,
                secret_hash=secret_hash,
                address=address,
                created_at=change.now,
                expires_at=change.now + rules.LIFETIMES[kind],
            )
        return Letter(mail_id, kind, address, handle, locale, detail, created_at, tries)
    return None


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
