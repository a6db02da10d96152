"""What a client wants to read: the Accept header, by its weights and the precision of its ranges (RFC 9110, 12.5.1)."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

GRAPHQL_RESPONSE: Final = "application/graphql-response+json"
JSON: Final = "application/json"
HTML: Final = "text/html"

NAME: Final = r"[!#$%&'*+.^_`|~0-9a-z-]+"
RANGE: Final = re.compile(rf"{NAME}/{NAME}")
QUALITY: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")  # RFC 9110, 12.4.2


def answer_type(accept: str) -> str | None:
    """The media type to answer with; None where the client can read neither of ours.

    Who weighs both alike gets the newer one if it is named, and plain JSON if nothing but wildcards, or no header,
    speaks for it: a script that did not ask for status codes is not surprised by them.
    """
    wanted = weights(accept)
    if not wanted:
        return JSON
    newer, plain = weight(wanted, GRAPHQL_RESPONSE), weight(wanted, JSON)
    if not newer and not plain:
        return None
    return GRAPHQL_RESPONSE if newer > plain or (newer == plain and GRAPHQL_RESPONSE in wanted) else JSON


def prefers_page(accept: str) -> bool:
    """Whether a page for people is wanted more than an answer for programs, as browsers do that follow a link."""
    wanted = weights(accept)
    return weight(wanted, HTML) > max(weight(wanted, GRAPHQL_RESPONSE), weight(wanted, JSON))


def weight(wanted: Mapping[str, float], media_type: str) -> float:
    """How much this type is wanted, 0..1, by the range that fits it most closely."""
    kind = media_type.split("/")[0]
    return next((wanted[name] for name in (media_type, f"{kind}/*", "*/*") if name in wanted), 0.0)


def weights(accept: str) -> dict[str, float]:
    """Media ranges and how much they are wanted, 0..1; what is malformed counts as not said."""
    return dict(found for part in accept.lower().split(",") for found in _preference(part))


def _preference(part: str) -> Iterator[tuple[str, float]]:
    name, *rest = [piece.strip() for piece in part.split(";")]
    parameters = dict(_parameter(piece) for piece in rest)
    quality = parameters.get("q", "1")
    is_readable = parameters.get("charset", "utf-8") in ("utf-8", "utf8")
    if RANGE.fullmatch(name) and QUALITY.fullmatch(quality) and is_readable:
        yield name, float(quality)


def _parameter(piece: str) -> tuple[str, str]:
    name, _, value = piece.partition("=")
    return name.strip(), value.strip().strip('"')
