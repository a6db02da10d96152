"""Opaque names for clients: global ids of things, cursors of places in lists.

Both are URL-safe base64 of a short text, so that a mistake in one is found by looking at it.  They promise
nothing else: clients only give them back.
"""

import base64
import binascii

from graph.phrases import phrase

ID_LIMIT = 200  # characters; ours have fewer than 40


class Malformed(ValueError):
    """This text was never given out by Palabre; the reason says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def encoded(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decoded(opaque: str, limit: int = 1000) -> str:
    """Undo `encoded`.  Raises Malformed."""
    if len(opaque) > limit:
        raise Malformed(phrase("it has {count} characters", count=len(opaque)))
    try:
        raw = base64.b64decode(opaque.encode("ascii") + b"=" * (-len(opaque) % 4), altchars=b"-_", validate=True)
        text = raw.decode()
    except (UnicodeError, binascii.Error) as wrong:
        raise Malformed(phrase("it is not one of ours")) from wrong
    if encoded(text) != opaque:
        raise Malformed(phrase("it is not one of ours"))
    return text


def global_id(type_name: str, key: int) -> str:
    return encoded(f"{type_name}:{key}")


def parse_global_id(opaque: str) -> tuple[str, int]:
    """The type's name and the key.  Raises Malformed."""
    type_name, _, key = decoded(opaque, ID_LIMIT).partition(":")
    if not type_name.isidentifier() or not key.isascii() or not key.isdecimal() or len(key) > 18:
        raise Malformed(phrase("it is not one of ours"))
    if str(int(key)) != key:
        raise Malformed(phrase("it is not one of ours"))
    return type_name, int(key)


def key_of(opaque: str, *type_names: str) -> int:
    """The key in a global id that must be of one of these types.  Raises Malformed."""
    type_name, key = parse_global_id(opaque)
    if type_name not in type_names:
        raise Malformed(
            phrase("it is the id of a {given}, not of a {wanted}", given=type_name, wanted=" / ".join(type_names))
        )
    return key
