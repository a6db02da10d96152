"""Everything that can happen in the community, one class per event, and the topic in which it is told.

Events carry identities and kinds, never text: whoever reads one sees the row as it is by then, so edits, removals
and permissions are honoured, and applying one twice or late does no harm.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, TypeVar

ACCESS_TOPIC = "access"


def post_topic(post_id: int) -> str:
    return f"post:{post_id}"


def community_topic(community_id: int | None) -> str:
    return "community:none" if community_id is None else f"community:{community_id}"


@dataclass(frozen=True, slots=True)
class Event:
    KIND: ClassVar[str]

    @property
    def topic(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class InPost(Event):
    """Something happened in the discussion of a post.  `by` and `mutation_id` are for the one who did it."""

    post_id: int
    by: int | None
    mutation_id: str | None

    @property
    def topic(self) -> str:
        return post_topic(self.post_id)


@dataclass(frozen=True, slots=True)
class CommentAdded(InPost):
    """A comment became visible."""

    KIND = "comment_added"
    comment_id: int


@dataclass(frozen=True, slots=True)
class CommentChanged(InPost):
    """Text or status changed; a deleted comment that keeps its place is one whose status changed."""

    KIND = "comment_changed"
    comment_id: int
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CommentRemoved(InPost):
    """The row is gone from the tree."""

    KIND = "comment_removed"
    comment_id: int


@dataclass(frozen=True, slots=True)
class PostChanged(InPost):
    KIND = "post_changed"
    changed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PostAdded(Event):
    """A post appeared in the list of its community (`community_id` None: of the site itself)."""

    KIND = "post_added"
    community_id: int | None
    post_id: int

    @property
    def topic(self) -> str:
        return community_topic(self.community_id)


@dataclass(frozen=True, slots=True)
class PostRemoved(Event):
    KIND = "post_removed"
    community_id: int | None
    post_id: int

    @property
    def topic(self) -> str:
        return community_topic(self.community_id)


@dataclass(frozen=True, slots=True)
class AccessChanged(Event):
    """What somebody may see has changed, or a session has ended."""

    KIND = "access_changed"
    user_id: int | None  # None: anybody
    token_id: int | None = None

    @property
    def topic(self) -> str:
        return ACCESS_TOPIC


EVENTS = (CommentAdded, CommentChanged, CommentRemoved, PostChanged, PostAdded, PostRemoved, AccessChanged)
_BY_KIND: Mapping[str, type[Event]] = {event.KIND: event for event in EVENTS}

E = TypeVar("E", bound=Event)


def data_of(event: Event) -> dict[str, Any]:
    """The event as the log keeps it."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(event).items()}


def event_from(kind: str, data: Mapping[str, Any]) -> Event | None:
    """The event that was kept; None for a kind that only a newer version knows."""
    if kind not in _BY_KIND:
        return None
    return _BY_KIND[kind](**{name: tuple(value) if isinstance(value, list) else value for name, value in data.items()})
