"""A place in a stream, and the text in which a client keeps it.  Knows no database and no clock.

A stream reads one topic or a few.  In each it has come to a place: a position, and the tag stored with the event
at that position.  The tag tells two histories apart that reached the same position; the epoch names the history.
There is no order between topics, so a stream over several has one place per topic: a vector.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from subscriptions.log import Entry

MAX_TOPICS = 32  # of one stream: a cursor must fit in a URL and a page must stay one statement


class Place(NamedTuple):
    """How far one has read in a topic.  `tag` is None where a bare position is all that is known of it."""

    position: int
    tag: int | None


BEGINNING = Place(0, 0)


@dataclass(frozen=True, slots=True)
class Vector:
    """Where a stream stands: a place in each of its topics, in the order in which it names them."""

    epoch: str
    places: Mapping[str, Place]

    def past(self, entry: Entry) -> Vector:
        """Where a stream stands once `entry` has been dealt with."""
        return Vector(self.epoch, {**self.places, entry.topic: entry.place})

    def past_all(self, entries: Iterable[Entry]) -> Vector:
        return Vector(self.epoch, {**self.places, **{entry.topic: entry.place for entry in entries}})


class Lost(Enum):
    """Why a stream cannot be continued from where it stood."""

    RETENTION = "RETENTION"  # what comes next is no longer kept
    EPOCH = "EPOCH"  # it stood in another history: the database was restored, copied or fell back


class Expired(Exception):
    """A stream cannot be continued exactly, and is told so: `topic` is where, None when all of it."""

    def __init__(self, reason: Lost, topic: str | None = None) -> None:
        super().__init__(f"{reason.value} in {topic or 'every topic'}")
        self.reason = reason
        self.topic = topic


class MalformedCursor(ValueError):
    """The text is not a cursor of this stream.  `reason` completes "The cursor …"."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The cursor {reason}.")
        self.reason = reason


# The text is base64url of: version, binding, length of the epoch, epoch, places, checksum.
_VERSION = 1
_BINDING_BYTES = 6
_NUMBER_BYTES = 6  # of a position and of a tag: 2 to the 48th events are enough for one topic
_CHECKSUM_BYTES = 4  # against accidents.  Nothing here is secret: who forges a cursor only loses their own place.
_MAX_CHARACTERS = 1024  # 32 topics take 550


def encode(vector: Vector, topics: Sequence[str], stream: str) -> str:
    """`stream` names the stream and its arguments in a canonical text; only the same stream can decode the cursor."""
    epoch = vector.epoch.encode("ascii")
    numbers = b"".join(_place_bytes(vector.places[topic]) for topic in topics)
    payload = bytes([_VERSION]) + _binding(topics, stream) + bytes([len(epoch)]) + epoch + numbers
    return base64.urlsafe_b64encode(payload + _checksum(payload)).rstrip(b"=").decode()


def decode(text: str, topics: Sequence[str], stream: str) -> Vector:
    """Raises MalformedCursor, and nothing else, whatever the text."""
    payload = _payload(text)
    if payload[0] != _VERSION:
        raise MalformedCursor("was made by another version of the server")
    binding, rest = payload[1 : 1 + _BINDING_BYTES], payload[1 + _BINDING_BYTES :]
    if binding != _binding(topics, stream):
        raise MalformedCursor("belongs to another stream or to other arguments")
    epoch, numbers = rest[1 : 1 + rest[0]], rest[1 + rest[0] :]
    if len(epoch) != rest[0] or len(numbers) != len(topics) * 2 * _NUMBER_BYTES or not epoch.isascii():
        raise MalformedCursor("is cut short or altered")
    return Vector(epoch.decode("ascii"), dict(zip(topics, _places(numbers), strict=True)))


def _payload(text: str) -> bytes:
    """What the text carries, its checksum verified; at least as long as a cursor over no topic."""
    if len(text) > _MAX_CHARACTERS:
        raise MalformedCursor("is too long")
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise MalformedCursor("is cut short or altered") from None
    payload, checksum = raw[:-_CHECKSUM_BYTES], raw[-_CHECKSUM_BYTES:]
    # Several texts decode to the same bytes (padding, spare bits of the last character): only ours is valid.
    ours = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    if len(payload) < 2 + _BINDING_BYTES or checksum != _checksum(payload) or text != ours:
        raise MalformedCursor("is cut short or altered")
    return payload


def _binding(topics: Sequence[str], stream: str) -> bytes:
    if not 0 < len(topics) <= MAX_TOPICS:
        raise ValueError(f"A stream has 1 to {MAX_TOPICS} topics, not {len(topics)}.")
    named = "\0".join((stream, *topics)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(named, digest_size=_BINDING_BYTES, person=b"binding").digest()


def _checksum(payload: bytes) -> bytes:
    return hashlib.blake2b(payload, digest_size=_CHECKSUM_BYTES, person=b"checksum").digest()


def _place_bytes(place: Place) -> bytes:
    if place.tag is None:
        raise ValueError("A cursor is made of places that were read, and those have a tag.")
    return place.position.to_bytes(_NUMBER_BYTES, "big") + place.tag.to_bytes(_NUMBER_BYTES, "big")


def _places(numbers: bytes) -> Iterator[Place]:
    for start in range(0, len(numbers), 2 * _NUMBER_BYTES):
        middle, end = start + _NUMBER_BYTES, start + 2 * _NUMBER_BYTES
        yield Place(int.from_bytes(numbers[start:middle], "big"), int.from_bytes(numbers[middle:end], "big"))
