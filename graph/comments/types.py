"""Comments as clients see them."""

from collections.abc import Sequence
from enum import Enum
from typing import Annotated

import sqlalchemy as sa
import strawberry

from graph import access
from graph.audience import Audience
from graph.comments import discussion
from graph.comments.thread import LiveCollection, ThreadConnection
from graph.execution.fields import Asking, Columns, Entity, batched, carried, value
from graph.nodes import global_id, global_id_or_none, one
from graph.pages import PageInfo, cursor_field, live_cursor, page_info_field, total_count_field
from graph.posts.types import (
    Byline,
    Content,
    Post,
    Revision,
    RevisionConnection,
    ViewerPermissions,
    byline_of,
    load_excerpts,
    post_url,
    revisions_of,
)
from graph.scalars import HTML, URL, Cursor, Instant, LiveCursor, Markdown
from graph.storage.rows import Row, among
from graph.storage.tables import comments, communities, posts, revisions


@strawberry.enum(description="Whether a comment can be read, and why not.  May grow.")
class CommentStatus(Enum):
    PUBLISHED = strawberry.enum_value("PUBLISHED", description="For everybody who may read the post.")
    PENDING = strawberry.enum_value("PENDING", description="Waits for approval: for its author and moderators.")
    DELETED = strawberry.enum_value("DELETED", description="Its text is gone; it stands for its replies.")


_READING = (comments.c.status, comments.c.author_id, comments.c.community_id)


def _if_readable(audience: Audience, text: str, *facts: object) -> str | None:
    return text if access.READ_COMMENT.holds(audience, dict(zip(_READING, facts, strict=True))) else None


def _source_if_readable(audience: Audience, text: str, *facts: object) -> str | None:
    return _if_readable(audience, text, *facts) or None


async def load_urls(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[str]:
    """Owners are (post id, number)."""
    statement = sa.select(posts.c.id, posts.c.slug).where(among(posts.c.id, sorted({key for key, _ in owners})))
    slugs = {key: slug for key, slug in await asking.rows.rows(statement)}  # noqa: C416  mypy cannot read dict() of rows
    return [f"{post_url(asking.public_url, slugs[key])}#{number}" for key, number in owners]


async def load_readable_excerpts(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    length: Annotated[int, strawberry.argument(description="At most so many characters.")] = 280,
) -> list[str | None]:
    texts = [(_if_readable(asking.audience, text, *facts),) for text, *facts in owners]
    return await load_excerpts(asking, texts, wanted, length=length)


_COMMENT_FACTS = (
    comments.c.post_id,
    comments.c.community_id,
    comments.c.author_id,
    comments.c.status,
    comments.c.shown,
)
_POST_FACTS = (
    posts.c.id,
    posts.c.state,
    posts.c.author_id,
    posts.c.community_id,
    posts.c.discussion,
    communities.c.archived_at,
)


async def load_permissions(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[ViewerPermissions]:
    """Owners are the values of _COMMENT_FACTS."""
    keys = sorted({owner[0] for owner in owners})
    placed = posts.outerjoin(communities, communities.c.id == posts.c.community_id)
    found = await asking.rows.rows(sa.select(*_POST_FACTS).select_from(placed).where(among(posts.c.id, keys)))
    by_post = {row[0]: dict(zip(_POST_FACTS, row, strict=True)) for row in found}
    return [_permissions(asking.audience, owner, by_post[owner[0]]) for owner in owners]


def _permissions(audience: Audience, comment: Row, post: access.Facts) -> ViewerPermissions:
    # Who sees the comment may see its community.
    community = {communities.c.id: None, communities.c.visibility: "PUBLIC"}
    facts = {**community, **post, **dict(zip(_COMMENT_FACTS, comment, strict=True))}
    answerable = facts[comments.c.status] == "PUBLISHED" and facts[posts.c.discussion] == "OPEN"
    return ViewerPermissions(
        reply=answerable and access.COMMENT_ON_POST.holds(audience, facts),
        edit=access.EDIT_COMMENT.holds(audience, facts),
        delete=access.DELETE_COMMENT.holds(audience, facts),
    )


@strawberry.type(description="An answer to a post or to another comment.")
class Comment(Content, Entity):
    table = comments
    see = access.SEE_COMMENT

    id: strawberry.ID = global_id("Comment", comments.c.id)
    url: URL = batched(comments.c.post_id, comments.c.number, load=load_urls, description="Address of its place.")
    post: Post | None = one(comments.c.post_id, lambda: Post, description="What is discussed.")
    status: CommentStatus = value(comments.c.status, description="Whether it can be read, and why not.")
    byline: Byline = value(comments.c.author_id, through=byline_of, description="Who signs it.")
    body: Markdown | None = value(
        comments.c.body,
        *_READING,
        through=_source_if_readable,
        by_audience=True,
        description="The source; null for what was deleted or imported as HTML.",
    )
    body_html: HTML | None = value(
        comments.c.body_html,
        *_READING,
        through=_if_readable,
        by_audience=True,
        description="The text, ready to show; null for what was deleted.",
    )
    body_text: str | None = value(
        comments.c.body_text,
        *_READING,
        through=_if_readable,
        by_audience=True,
        description="The text without any marks; null for what was deleted.",
    )
    excerpt: str | None = batched(
        comments.c.body_text,
        *_READING,
        load=load_readable_excerpts,
        description="Plain text cut at a word, for cards and notifications.",
    )
    created_at: Instant = value(comments.c.created_at, description="When it was written.")
    last_edited_at: Instant | None = value(comments.c.edited_at, description="When its text last changed; null: never.")
    parent_id: strawberry.ID | None = global_id_or_none(
        "Comment", comments.c.parent_id, "What it answers; null: the post."
    )
    parent: Annotated["Comment", strawberry.lazy("graph.comments.types")] | None = one(
        comments.c.parent_id, lambda: Comment, description="What it answers; null: the post."
    )
    root: Annotated["Comment", strawberry.lazy("graph.comments.types")] | None = batched(
        comments.c.post_id,
        comments.c.path,
        load=discussion.load_root,
        entity=lambda: Comment,
        description="The comment below the post in whose branch it stands; itself where it answers the post.",
    )
    depth: int = value(comments.c.depth, description="Levels above it; roots are 0.")
    number: int = value(
        comments.c.number, description="Dense per-post number in order of arrival: stable, never used twice."
    )
    ancestors: list[Annotated["Comment", strawberry.lazy("graph.comments.types")]] = batched(
        comments.c.post_id,
        comments.c.path,
        load=discussion.load_ancestors,
        entity=lambda: Comment,
        description="From the root down to the parent; at most 99.",
    )
    replies: Annotated["CommentConnection", strawberry.lazy("graph.comments.types")] = batched(
        comments.c.id,
        comments.c.post_id,
        comments.c.reply_count,
        load=discussion.load_replies,
        entity=lambda: Comment,
        description="Direct replies.",
    )
    thread: ThreadConnection = batched(
        comments.c.post_id,
        comments.c.path,
        load=discussion.load_comment_thread,
        entity=lambda: Comment,
        description="The branch below it as a depth-first window; its direct replies are the top level.",
    )
    reply_count: int = value(comments.c.reply_count, description="Direct replies in the tree, tombstones included.")
    descendant_count: int = value(
        comments.c.descendant_count, description="All replies below it in the tree, tombstones included."
    )
    revision: int = value(comments.c.revision, description="Number of the present text; for `expectedRevision`.")
    revisions: RevisionConnection = batched(
        comments.c.id,
        comments.c.revision,
        load=revisions_of(revisions.c.comment_id),
        entity=lambda: Revision,
        description="Former texts, oldest first.",
    )
    viewer_can: ViewerPermissions = batched(
        *_COMMENT_FACTS,
        load=load_permissions,
        per_viewer=True,
        description="Per viewer: what the viewer may do with it.",
    )


@strawberry.type(description="An entry of a CommentConnection.")
class CommentEdge:
    cursor: Cursor = cursor_field()
    node: Comment = carried("node", lambda: Comment, description="The comment.")


@strawberry.type(description="A page of a list of comments.")
class CommentConnection(LiveCollection):
    edges: list[CommentEdge] = strawberry.field(description="Entries with their places.")
    nodes: list[Comment] = carried("rows", lambda: Comment, description="The entries without their places.")
    page_info: PageInfo = page_info_field()
    total_count: int | None = total_count_field()
    live_cursor: LiveCursor = live_cursor()
