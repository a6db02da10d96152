"""The scalars of the schema, each over a plain Python value."""

from datetime import UTC, datetime, timedelta
from typing import Any, NewType

from strawberry.types.scalar import ScalarDefinition
from strawberry.types.scalar import scalar as definition

Cursor = NewType("Cursor", str)
LiveCursor = NewType("LiveCursor", str)
Markdown = NewType("Markdown", str)
HTML = NewType("HTML", str)
URL = NewType("URL", str)
Instant = NewType("Instant", int)  # µs since 1970, UTC

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_text(microseconds: int) -> str:
    """ISO 8601, always with six decimals: instants then sort as text too."""
    moment = datetime.fromtimestamp(microseconds // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{microseconds % 1_000_000:06d}Z"


def instant_from(text: str) -> int:
    """Raises ValueError for what is no ISO 8601 instant with an offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("an instant says its offset from UTC, such as Z")
    try:
        return (moment.astimezone(UTC) - EPOCH) // timedelta(microseconds=1)
    except OverflowError as beyond:  # in UTC it is of the year 0 or 10000, which nobody could be shown
        raise ValueError("an instant is of the years 1 to 9999 in UTC") from beyond


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is expected")
    return value


def _scalar(name: str, description: str, serialize: Any = str, parse: Any = _text) -> ScalarDefinition:
    return definition(name=name, description=description, serialize=serialize, parse_value=parse)


SCALARS: dict[object, ScalarDefinition] = {
    Cursor: _scalar(
        "Cursor",
        "A place in a list: opaque, versioned, URL-safe.  Only for `after` and `before` of the list it came from.",
    ),
    LiveCursor: _scalar(
        "LiveCursor",
        "A place in an event stream: opaque, versioned, URL-safe.  Only for `after` of a subscription.  "
        "Never ordered by the client: the server is given one and goes on from it.",
    ),
    Markdown: _scalar("Markdown", "Markdown source as the author wrote it."),
    HTML: _scalar("HTML", "Safe HTML, ready to insert: no scripts, links with nofollow ugc noopener."),
    URL: _scalar("URL", "Absolute URL."),
    Instant: _scalar(
        "DateTime", "ISO 8601 instant, UTC, microseconds.", instant_text, lambda v: instant_from(_text(v))
    ),
}
