"""Secrets that open the door: made here, shown once, kept as a hash only."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final

# Whoever finds one, a person or a scanner of leaked files, can tell what it is.
PREFIXES: Final = {"SESSION": "pal_s_", "API": "pal_t_"}
SECRET_LIMIT: Final = 100  # characters; ours have 49


@dataclass(frozen=True, slots=True)
class Secret:
    text: str = field(repr=False)
    hash: bytes


def new_secret(kind: str) -> Secret:
    """`kind` is SESSION or API."""
    text = PREFIXES[kind] + secrets.token_urlsafe(32)
    return Secret(text, hash_of(text))


def hash_of(secret: str) -> bytes:
    # 256 random bits cannot be guessed: a slow hash would add nothing but time to every request.
    return hashlib.sha256(secret.encode(errors="replace")).digest()
