"""One-time codes: made to be pasted, or read out on the telephone; kept as a hash only."""

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Final

# Crockford's base 32: no letter in it is taken for a digit, and none for another letter.
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
CHARACTERS: Final = 20  # of 5 bits: 100 random bits, which nobody guesses within the hours that a code lives
IN_A_GROUP: Final = 5  # characters between two hyphens
CODE_LIMIT: Final = 100  # characters of what is looked at

_LOOKALIKES: Final = str.maketrans({"O": "0", "I": "1", "L": "1", "-": None})


@dataclass(frozen=True, slots=True)
class Code:
    text: str = field(repr=False)
    hash: bytes


def new_code() -> Code:
    """Such as 7Q2XM-0VB4K-9ZP3D-HT6WA."""
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(CHARACTERS))
    text = "-".join(drawn[start : start + IN_A_GROUP] for start in range(0, CHARACTERS, IN_A_GROUP))
    return Code(text, hash_of(text))


def hash_of(given: str) -> bytes:
    """The same for every way of writing a code down: small letters, spaces, no hyphens, O for 0."""
    bare = "".join(given[:CODE_LIMIT].split()).upper().translate(_LOOKALIKES)
    return hashlib.sha256(bare.encode(errors="replace")).digest()
