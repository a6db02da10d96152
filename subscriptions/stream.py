"""What a subscription is to those who deliver it: topics to follow, and a way from an event to a frame.

Knows nothing of the community: `graph` makes the streams, sessions deliver them.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Protocol

from subscriptions.cursor import Lost, Vector
from subscriptions.log import Entry


@dataclass(frozen=True, slots=True)
class Frame:
    """What a position of the log looks like to an audience.

    `payload` is the JSON of an execution result; None: nothing is to be seen, the stream just moves on.  `seen` is
    where the topics stood when the rows were read: who was shown rows of a later moment is not shown this one.
    """

    payload: bytes | None
    seen: Vector
    ends: bool = False  # the subject is gone: nothing comes after this


@dataclass(frozen=True, slots=True)
class Opening:
    """How a stream begins: its first frames, and the place from which it goes on."""

    payloads: Sequence[bytes]
    vector: Vector
    seen: Vector  # where the topics stood when the rows of these frames were read, or before


class StreamEnds(Exception):
    """The stream is over with these errors (the JSON of a list)."""

    def __init__(self, errors: bytes) -> None:
        super().__init__(errors.decode())
        self.errors = errors


class Stream(Protocol):
    @property
    def topics(self) -> Sequence[str]: ...

    @property
    def group(self) -> Hashable:
        """Streams of equal groups have equal frames: a frame is made once for all of them."""

    async def open(self) -> Opening:
        """Raises StreamEnds."""

    async def frame(self, entry: Entry) -> Frame: ...

    async def lost(self, reason: Lost) -> Opening:
        """It cannot go on from where it stood: how it begins anew.  Raises StreamEnds where it does not."""

    async def heartbeat(self, vector: Vector) -> bytes | None:
        """A frame that tells the place of an idle stream; None: this kind has none."""
