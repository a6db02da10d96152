"""Counters, and how to count what they count: questions that both engines understand, of a sample of bounded size."""

from dataclasses import dataclass
from typing import Final

SAMPLE: Final = 50  # rows of each table, chosen at random: a counter that is often wrong is found soon


@dataclass(frozen=True, slots=True)
class Counter:
    table: str
    column: str
    counted: str  # the right value, of the row that is called `counted`

    @property
    def question(self) -> str:
        """Key, what is stored, and what is right, of some rows."""
        sample = f"SELECT * FROM {self.table} ORDER BY random() LIMIT {SAMPLE}"
        return f"SELECT counted.id, counted.{self.column}, ({self.counted}) FROM ({sample}) AS counted"


_BELOW: Final = "path > counted.path AND path < counted.path || '~'"  # as graph.comments.paths has it

COUNTERS: Final = (
    Counter(
        "posts",
        "comment_count",
        "SELECT count(*) FROM comments WHERE post_id = counted.id AND status = 'PUBLISHED'",
    ),
    Counter(
        "posts",
        "root_count",
        "SELECT count(*) FROM comments WHERE post_id = counted.id AND parent_id IS NULL AND shown = 1",
    ),
    Counter(
        "comments",
        "reply_count",
        "SELECT count(*) FROM comments WHERE parent_id = counted.id AND shown = 1",
    ),
    Counter(
        "comments",
        "descendant_count",
        f"SELECT count(*) FROM comments WHERE post_id = counted.post_id AND shown = 1 AND {_BELOW}",
    ),
    Counter(
        "communities",
        "member_count",
        "SELECT count(*) FROM memberships WHERE community_id = counted.id",
    ),
    Counter(
        "communities",
        "post_count",
        "SELECT count(*) FROM posts WHERE community_id = counted.id AND state = 'PUBLISHED'",
    ),
    Counter(
        "topics",
        "head",
        "SELECT coalesce(max(position), counted.head) FROM events WHERE topic_id = counted.id",
    ),
)
