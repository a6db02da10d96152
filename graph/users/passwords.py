"""Passwords: hashed and compared in a few threads, so that nobody waits for them but who signs in."""

import asyncio
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

# Argon2id with RFC 9106's second recommended option: 64 MiB and 3 passes.
HASHER: Final = PasswordHasher()
# Each hash in flight holds its 64 MiB.
_threads: Final = ThreadPoolExecutor(2, thread_name_prefix="passwords")


@dataclass(frozen=True, slots=True)
class Verdict:
    matches: bool
    outdated: bool = False  # made with weaker parameters than today's: hash anew while the password is known


async def hashed(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_threads, _hash, password)


async def verify(password: str, password_hash: str | None) -> Verdict:
    """Takes the same time where there is no hash: whether an account exists is not told by the clock."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _verify, password, password_hash)


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
