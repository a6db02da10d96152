"""Posts as clients see them, and the parts that posts and comments have in common."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import sqlalchemy as sa
import strawberry

from graph import access, text
from graph.audience import Audience
from graph.comments import discussion
from graph.comments.thread import comment_type
from graph.communities.types import Community
from graph.events import post_topic
from graph.execution.fields import Asking, Columns, Entity, batched, carried, value
from graph.nodes import Node, global_id, one
from graph.pages import (
    After,
    Before,
    First,
    Last,
    Order,
    Page,
    PageInfo,
    Slice,
    cursor_field,
    live_cursors,
    page_info_field,
    page_per_owner,
    total_count_field,
)
from graph.scalars import HTML, URL, Cursor, Instant, LiveCursor, Markdown
from graph.storage.rows import Row, among
from graph.storage.tables import communities, posts, revisions
from graph.users.types import User

if TYPE_CHECKING:
    from graph.comments.thread import ThreadConnection
    from graph.comments.types import Comment, CommentConnection

EXCERPT_LIMIT = 1000  # characters


@strawberry.enum(description="What a post is.  May grow.")
class PostKind(Enum):
    ARTICLE = strawberry.enum_value("ARTICLE", description="A text that stands by itself.")
    QUESTION = strawberry.enum_value("QUESTION", description="Something that its author wants to know.")
    PRESS_RELEASE = strawberry.enum_value("PRESS_RELEASE", description="News from an organization.")
    LEARNING_RESOURCE = strawberry.enum_value("LEARNING_RESOURCE", description="Something to learn from.")
    DISCUSSION = strawberry.enum_value("DISCUSSION", description="A subject to talk about.")
    LINK = strawberry.enum_value("LINK", description="A page elsewhere, with what its finder says of it.")
    ANNOUNCEMENT = strawberry.enum_value("ANNOUNCEMENT", description="News from those who run the place.")


@strawberry.enum(description="Where a post stands between draft and removal.  May grow.")
class PublicationState(Enum):
    DRAFT = strawberry.enum_value("DRAFT", description="Its author's alone.")
    PUBLISHED = strawberry.enum_value("PUBLISHED", description="For all who may read its community.")


@strawberry.enum(description="Whether one may answer.  May grow.")
class DiscussionState(Enum):
    OPEN = strawberry.enum_value("OPEN", description="Everybody who is signed in may answer.")
    LOCKED = strawberry.enum_value("LOCKED", description="Nobody may answer any more.")


@strawberry.type(description="Who signs.")
class Byline:
    author_id: strawberry.Private[int]
    author: User | None = one("author_id", lambda: User, description="The person who wrote it.")


@strawberry.type(description="Per viewer: what the viewer may do here; all false when signed out.")
class ViewerPermissions:
    reply: bool = strawberry.field(description="Answer it.")
    edit: bool = strawberry.field(description="Change its text.")
    delete: bool = strawberry.field(description="Delete it.")


@strawberry.interface(description="What people write and others answer: a post or a comment.")
class Content(Node):
    url: URL = strawberry.field(description="Address of its page.")
    byline: Byline = strawberry.field(description="Who signs it.")
    body: Markdown | None = strawberry.field(
        description="The source as its author wrote it; null for what was deleted or imported as HTML."
    )
    body_html: HTML | None = strawberry.field(description="The text, ready to show; null for what was deleted.")
    body_text: str | None = strawberry.field(description="The text without any marks; null for what was deleted.")
    created_at: Instant = strawberry.field(description="When it was written.")
    last_edited_at: Instant | None = strawberry.field(description="When its text last changed; null: never.")


@strawberry.type(description="A former text of a post or comment.")
class Revision(Node, Entity):
    table = revisions
    see = access.SEE_REVISION

    id: strawberry.ID = global_id("Revision", revisions.c.id)
    number: int = value(revisions.c.number, description="1 is the first text; the present one is not among these.")
    title: str | None = value(revisions.c.title, description="The title it had; null for comments.")
    body: Markdown = value(revisions.c.body, description="The source as it then was.")
    body_html: HTML = value(revisions.c.body_html, description="The same, ready to show.")
    editor: User | None = one(revisions.c.editor_id, lambda: User, description="Who wrote this text.")
    written_at: Instant = value(revisions.c.written_at, description="When this text was written.")
    reason: str | None = value(revisions.c.reason, description="Why it was then changed, in the editor's words.")


@strawberry.type(description="An entry of a RevisionConnection.")
class RevisionEdge:
    cursor: Cursor = cursor_field()
    node: Revision = carried("node", lambda: Revision, description="The former text.")


@strawberry.type(description="A page of a list of former texts.")
class RevisionConnection:
    edges: list[RevisionEdge] = strawberry.field(description="Entries with their places.")
    nodes: list[Revision] = carried("rows", lambda: Revision, description="The entries without their places.")
    page_info: PageInfo = page_info_field()
    total_count: int | None = total_count_field()


REVISION_ORDER = Order("revisions", (revisions.c.number,))


def revisions_of(owner: Any) -> Any:
    """The former texts of a post or comment, by the column of `revisions` that names it."""

    async def load(
        asking: Asking,
        owners: Sequence[Row],
        wanted: Columns,
        /,
        *,
        first: First = strawberry.UNSET,
        after: After = strawberry.UNSET,
        last: Last = strawberry.UNSET,
        before: Before = strawberry.UNSET,
    ) -> list[Page]:
        asked = Slice.of(first, after, last, before)
        keys = [key for key, _ in owners]
        where = [Revision.see.where(asking.audience)]
        pages = await page_per_owner(asking, wanted, REVISION_ORDER, asked, owner, keys, where)
        for page, (_, revision) in zip(pages, owners, strict=True):
            page.total_count = revision - 1
        return pages

    return load


async def load_excerpts(
    asking: Asking,
    owners: Sequence[Row],
    wanted: Columns,
    /,
    *,
    length: Annotated[int, strawberry.argument(description="At most so many characters.")] = 280,
) -> list[str | None]:
    length = max(1, min(length, EXCERPT_LIMIT))
    return [None if body_text is None else text.excerpt(body_text, length) for (body_text,) in owners]


def byline_of(author_id: int) -> Byline:
    return Byline(author_id=author_id)


def source_or_none(body: str) -> str | None:
    """What was imported as HTML has no Markdown source."""
    return body or None


async def load_as_of(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[str]:
    return await live_cursors(asking, [topic for (topic,) in owners])


@strawberry.type(description="Public counters: what readers see, never what waits for approval.")
class DiscussionCounts:
    topic: strawberry.Private[str]
    comments: int = strawberry.field(description="Published comments, at any depth.")
    roots: int = strawberry.field(description="Rows directly below the post, tombstones included.")
    as_of: LiveCursor = batched(
        "topic",
        load=load_as_of,
        description="The position at which these were read: events after it may change them.",
    )


def counts_of(post_id: int, comments: int, roots: int) -> DiscussionCounts:
    return DiscussionCounts(topic=post_topic(post_id), comments=comments, roots=roots)


_PERMITTING = (posts.c.state, posts.c.author_id, posts.c.community_id, posts.c.discussion)


async def load_permissions(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[ViewerPermissions]:
    """Owners are the values of _PERMITTING."""
    facts = [dict(zip(_PERMITTING, owner, strict=True)) for owner in owners]
    keys = sorted({each[posts.c.community_id] for each in facts} - {None})
    archived: dict[int, int] = {}  # when, by community
    if keys:
        statement = sa.select(communities.c.id, communities.c.archived_at).where(among(communities.c.id, keys))
        archived = dict(await asking.rows.rows(statement))
    return [_permissions(asking.audience, each, archived.get(each[posts.c.community_id])) for each in facts]


def _permissions(audience: Audience, post: access.Facts, archived_at: int | None) -> ViewerPermissions:
    facts = {**dict.fromkeys(communities.columns), **post}
    # Who sees the post at all may see its community.
    facts |= {communities.c.visibility: "PUBLIC", communities.c.archived_at: archived_at}
    return ViewerPermissions(
        reply=access.COMMENT_ON_POST.holds(audience, facts) and facts[posts.c.discussion] == "OPEN",
        edit=access.EDIT_POST.holds(audience, facts),
        delete=access.DELETE_POST.holds(audience, facts),
    )


def post_url(public_url: str, slug: str) -> str:
    return f"{public_url}/p/{quote(slug)}"


async def load_post_urls(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[str]:
    return [post_url(asking.public_url, slug) for (slug,) in owners]


@strawberry.type(description="Something published, with its discussion.")
class Post(Content, Entity):
    table = posts
    see = access.SEE_POST

    id: strawberry.ID = global_id("Post", posts.c.id)
    url: URL = batched(posts.c.slug, load=load_post_urls, description="Address of its page.")
    kind: PostKind = value(posts.c.kind, description="What it is.")
    title: str = value(posts.c.title, description="The title, plain text.")
    slug: str = value(posts.c.slug, description="The title as addresses have it; unique, and it never changes.")
    summary: str | None = value(posts.c.summary, description="What it is about, in its author's words.")
    byline: Byline = value(posts.c.author_id, through=byline_of, description="Who signs it.")
    body: Markdown | None = value(
        posts.c.body, through=source_or_none, description="The source; null where it was imported as HTML."
    )
    body_html: HTML | None = value(posts.c.body_html, description="The text, ready to show.")
    body_text: str | None = value(posts.c.body_text, description="The text without any marks.")
    excerpt: str | None = batched(
        posts.c.body_text, load=load_excerpts, description="Plain text cut at a word, for cards and notifications."
    )
    language: str | None = value(posts.c.language, description="Language tag, such as fr; null: not told.")
    state: PublicationState = value(posts.c.state, description="Where it stands between draft and removal.")
    discussion_state: DiscussionState = value(posts.c.discussion, description="Whether one may answer.")
    created_at: Instant = value(posts.c.created_at, description="When it was written.")
    published_at: Instant | None = value(posts.c.published_at, description="When readers could first see it.")
    last_edited_at: Instant | None = value(posts.c.edited_at, description="When its text last changed; null: never.")
    last_activity_at: Instant = value(
        posts.c.last_activity_at, description="When it was published or last answered, whichever was later."
    )
    community: Community | None = one(
        posts.c.community_id, lambda: Community, description="Where it was published; null: on the site itself."
    )
    counts: DiscussionCounts = value(
        posts.c.id,
        posts.c.comment_count,
        posts.c.root_count,
        through=counts_of,
        description="How much was answered.",
    )
    comments: Annotated["CommentConnection", strawberry.lazy("graph.comments.types")] = batched(
        posts.c.id,
        posts.c.root_count,
        load=discussion.load_roots,
        entity=comment_type,
        description="Comments directly below the post; theirs are in `replies`.",
    )
    comment: Annotated["Comment", strawberry.lazy("graph.comments.types")] | None = batched(
        posts.c.id,
        load=discussion.load_by_number,
        entity=comment_type,
        description="The comment with this number, for links like /p/slug#12.",
    )
    thread: Annotated["ThreadConnection", strawberry.lazy("graph.comments.thread")] = batched(
        posts.c.id,
        load=discussion.load_post_thread,
        entity=comment_type,
        description="The whole discussion as a depth-first window, one bounded page at a time.",
    )
    revision: int = value(posts.c.revision, description="Number of the present text; for `expectedRevision`.")
    revisions: RevisionConnection = batched(
        posts.c.id,
        posts.c.revision,
        load=revisions_of(revisions.c.post_id),
        entity=lambda: Revision,
        description="Former texts, oldest first.",
    )
    viewer_can: ViewerPermissions = batched(
        *_PERMITTING,
        load=load_permissions,
        per_viewer=True,
        description="Per viewer: what the viewer may do with it.",
    )


@strawberry.type(description="An entry of a PostConnection.")
class PostEdge:
    cursor: Cursor = cursor_field()
    node: Post = carried("node", lambda: Post, description="The post.")


@strawberry.type(description="A page of a list of posts.")
class PostConnection:
    edges: list[PostEdge] = strawberry.field(description="Entries with their places.")
    nodes: list[Post] = carried("rows", lambda: Post, description="The entries without their places.")
    page_info: PageInfo = page_info_field()
    total_count: int | None = total_count_field()
