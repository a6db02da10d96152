"""What a comment may be and what becomes of the tree around it.  Values in, a decision out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from graph import text
from graph.phrases import phrase
from graph.posts.rules import Written
from graph.refusals import Invalid

BODY_LIMIT: Final = 20_000  # characters after trimming; the longest of a lively thread we measured has 1,412
DEPTH_LIMIT: Final = 100  # levels; deeper than any reader follows, and it bounds paths and recursion


def written(body: str) -> Written:
    body = text.clean(body)
    if not body:
        raise Invalid("A comment cannot be empty.", ("input", "body"))
    if len(body) > BODY_LIMIT:
        message = phrase("{subject} has at most {limit} characters.", subject=phrase("A comment"), limit=BODY_LIMIT)
        raise Invalid(message, ("input", "body"), limit=BODY_LIMIT, actual=len(body))
    rendered = text.render(body)
    return Written(body, rendered.html, rendered.text)


def depth_below(parent_depth: int | None) -> int:
    """Depth of a reply: 0 directly below the post.  Raises Invalid at DEPTH_LIMIT levels."""
    depth = 0 if parent_depth is None else parent_depth + 1
    if depth >= DEPTH_LIMIT:
        raise Invalid(
            phrase("A thread has at most {limit} levels: answer further up.", limit=DEPTH_LIMIT),
            ("input", "parentId"),
            limit=DEPTH_LIMIT,
            actual=depth + 1,
        )
    return depth


@dataclass(frozen=True, slots=True)
class TreeRow:
    """A row of the tree as a removal sees it."""

    id: int
    path: str
    status: str
    descendant_count: int  # shown ones


def falling(comment: TreeRow, ancestors: Sequence[TreeRow]) -> list[TreeRow]:
    """What leaves the tree when the comment's text goes, from the comment upward; `ancestors` root first.

    Nothing while something shown hangs below it: it stands as a tombstone.  Otherwise the comment, and with it
    each tombstone above that stood for it alone.
    """
    if comment.descendant_count:
        return []
    gone = [comment]
    for ancestor in reversed(ancestors):
        if ancestor.status == "PUBLISHED" or ancestor.descendant_count > len(gone):
            break
        gone.append(ancestor)
    return gone
