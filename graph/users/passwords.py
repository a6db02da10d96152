"""Passwords: hashed and compared in a few threads, so that nobody waits for them but who signs in."""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from threading import BoundedSemaphore
from typing import Any, Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from graph.refusals import TooOften

T = TypeVar("T")

# Argon2id with RFC 9106's second recommended option: 64 MiB and 3 passes.
HASHER: Final = PasswordHasher()
THREADS: Final = 2  # each hash in flight holds its 64 MiB
WAITING: Final = 40  # hashes, each of some 50 ms: whoever comes later would wait for more than a second
RETRY_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Verdict:
    matches: bool
    outdated: bool = False  # made with weaker parameters than today's: hash anew while the password is known


class Bench:
    """Threads, and a queue before them that has an end."""

    def __init__(self, threads: int, waiting: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="passwords")
        self._room = BoundedSemaphore(threads + waiting)

    @property
    def waiting(self) -> int:
        """What no thread has taken up yet."""
        return self._threads._work_queue.qsize()

    async def do(self, work: Callable[..., T], *arguments: Any) -> T:
        """Raises TooOften when too many wait already."""
        if not self._room.acquire(blocking=False):
            message = "Too many people are signing in at this moment.  Try again in a few seconds."
            raise TooOften(message, retry_after_seconds=RETRY_SECONDS)
        done = self._threads.submit(work, *arguments)
        # Not when the caller leaves: what has begun keeps its thread and its memory.
        done.add_done_callback(lambda _: self._room.release())
        return await asyncio.wrap_future(done)


BENCH: Final = Bench(THREADS, WAITING)


async def hashed(password: str) -> str:
    """Raises TooOften."""
    return await BENCH.do(_hash, password)


async def verify(password: str, password_hash: str | None) -> Verdict:
    """Takes the same time where there is no hash: whether an account exists is not told by the clock.

    Raises TooOften.
    """
    return await BENCH.do(_verify, password, password_hash)


def _hash(password: str) -> str:
    return HASHER.hash(_bytes(password))


def _verify(password: str, password_hash: str | None) -> Verdict:
    try:
        HASHER.verify(password_hash or _nobodys(), _bytes(password))
    except VerifyMismatchError:
        return Verdict(False)
    if password_hash is None:
        return Verdict(False)
    return Verdict(True, HASHER.check_needs_rehash(password_hash))


@cache
def _nobodys() -> str:
    return HASHER.hash(secrets.token_bytes(32))


def _bytes(password: str) -> bytes:
    # One keyboard writes é as one character, another as two: NIST SP 800-63B, 5.1.1.2, asks for NFKC or NFKD.
    return unicodedata.normalize("NFKC", password).encode(errors="surrogatepass")
