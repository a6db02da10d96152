"""The thread window as clients see it: a page of a tree, depth first, that draws itself."""

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import strawberry

from graph.comments.discussion import CommentSort
from graph.execution.fields import carried, later, value
from graph.nodes import global_id_or_none, one
from graph.pages import PageInfo, live_cursor, page_info_field
from graph.scalars import Cursor, LiveCursor

if TYPE_CHECKING:
    from graph.comments.types import Comment

LazyComment = Annotated["Comment", strawberry.lazy("graph.comments.types")]


comment_type = later("graph.comments.types", "Comment")


@strawberry.enum(description="Why replies are left out.  May grow.")
class ThreadGapReason(Enum):
    DEPTH = strawberry.enum_value("DEPTH", description="The row stands as deep as the window goes.")
    SIBLINGS = strawberry.enum_value("SIBLINGS", description="It has more replies than the window shows of each.")


@strawberry.type(description="Replies that the window leaves out.")
class ThreadGap:
    count: int = strawberry.field(description="How many rows, at any depth.")
    direct_count: int = strawberry.field(description="How many of them answer the row itself.")
    cursor: Cursor | None = strawberry.field(
        description="Where they begin: `after` of the row's own `thread`.  Null: at its first reply."
    )
    reason: ThreadGapReason = strawberry.field(description="Why they are left out.")


@strawberry.type(description="A row of a thread window.")
class ThreadEdge:
    cursor: Cursor = strawberry.field(description="The place of this row in the window.")
    node: LazyComment = carried("node", comment_type, description="The comment.")
    depth: int = strawberry.field(description="Depth in the post (roots are 0), also inside `Comment.thread`.")
    parent_id: strawberry.ID | None = global_id_or_none(
        "Comment", "parent_key", "What the comment answers; null: the post."
    )
    more: ThreadGap | None = strawberry.field(
        description="Replies of this row that are not in the window: load them with "
        "`node.thread(after: more.cursor)` and put them after the last loaded row of this branch.  Null: none is "
        "left out, though they may go on in the next page."
    )


@strawberry.type(description="What became of the comment asked for with `focus`.")
class ThreadFocus:
    comment: LazyComment | None = one("comment_key", comment_type, description="The comment.")
    is_in_page: bool = strawberry.field(description="Whether this page shows it.")


@strawberry.interface(description="A list that can be followed live.")
class LiveCollection:
    live_cursor: LiveCursor = strawberry.field(
        description="Position of this snapshot in the event log: `after` of a subscription."
    )

    @classmethod
    def is_type_of(cls, found: object, info: object) -> bool:
        """What is read for a list is always shown as the field's own type."""
        return True


@strawberry.type(
    description="A depth-first window over a tree.  Every edge can be drawn from what is in the page alone."
)
class ThreadConnection(LiveCollection):
    edges: list[ThreadEdge] = strawberry.field(description="Rows, each with its place in the tree.")
    nodes: list[LazyComment] = carried("rows", comment_type, description="The comments without their places.")
    page_info: PageInfo = page_info_field()
    resolved_sort: CommentSort = value("resolved_sort", description="The order of this window.")
    context: list[LazyComment] = carried(
        "context",
        comment_type,
        description="Ancestors of the first row that lie before this page, root first: a deep page or a permanent "
        "link draws itself with them.",
    )
    focus: ThreadFocus | None = strawberry.field(
        description="What became of `focus`; null where none was given, or it is not shown in this thread."
    )
    live_cursor: LiveCursor = live_cursor()
