"""A discussion as it happens: the streams over a post's topic, and what each event becomes."""

from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from functools import partial
from typing import Annotated, Any, Final, TypeAlias

import sqlalchemy as sa
import strawberry

from graph import access, ids
from graph.audience import Audience
from graph.comments import discussion
from graph.comments.positions import ThreadPosition, load_positions
from graph.comments.store import IS_SHOWN
from graph.comments.types import Comment
from graph.errors import request_error
from graph.events import CommentAdded as CommentAddedEvent
from graph.events import CommentChanged as CommentChangedEvent
from graph.events import CommentRemoved as CommentRemovedEvent
from graph.events import Event, InPost, event_from, post_topic
from graph.events import PostChanged as PostChangedEvent
from graph.execution.fields import Asking, Columns, batched, value
from graph.live import Following, Gone, live
from graph.nodes import key_or_error, one
from graph.pages import POST_STREAM
from graph.posts.types import Post
from graph.scalars import Instant, LiveCursor
from graph.storage.rows import Row, among
from graph.storage.tables import comments, posts
from subscriptions.cursor import Lost
from subscriptions.log import Entry

PostArgument: TypeAlias = Annotated[strawberry.ID, strawberry.argument(description="The post whose discussion it is.")]
RootArgument: TypeAlias = Annotated[
    strawberry.ID | None, strawberry.argument(description="Only this comment and what hangs below it.")
]
AfterArgument: TypeAlias = Annotated[
    LiveCursor | None,
    strawberry.argument(
        description="Where to go on: a `liveCursor`, or the `cursor` of the last event.  Left out: from now on."
    ),
]

# Types of the events ---------------------------------------------------------------------------------------------


@strawberry.enum(description="What of a post or comment changed.  May grow.")
class ContentAspect(Enum):
    TITLE = strawberry.enum_value("TITLE", description="The title.")
    BODY = strawberry.enum_value("BODY", description="The text.")
    STATUS = strawberry.enum_value("STATUS", description="Whether it can be read.")


@strawberry.enum(description="Why a stream could not go on from where it stood.  May grow.")
class StreamResetReason(Enum):
    RETENTION = strawberry.enum_value("RETENTION", description="What comes next is no longer kept.")
    EPOCH = strawberry.enum_value("EPOCH", description="It stood in another history: the database was restored.")


@strawberry.interface(
    description="An event of a stream.  Strictly increasing within a stream, nothing missing.  Things in it are as "
    "they are at delivery, so that an event applied twice or late does no harm.  Reconnect with the last `cursor` as "
    "`after`."
)
class LiveEvent:
    cursor: LiveCursor = strawberry.field(description="Where the stream stands after this event.")
    at: Instant = strawberry.field(description="When it happened.")


@strawberry.interface(
    description="An event of the `thread` stream.  May grow: take the cursor of unknown ones and go on."
)
class ThreadEvent(LiveEvent):
    pass


@strawberry.type(description="The first frame unless a snapshot comes first: where the stream stands.")
class StreamReady(ThreadEvent):
    pass


@strawberry.type(description="Keeps the cursor of an idle client fresh.")
class StreamHeartbeat(ThreadEvent):
    pass


@strawberry.type(
    description="The log does not reach back to `after`: drop what is loaded, fetch again, and go on from `cursor` on "
    "the same stream, whose events wait until that is done; or subscribe anew, from the `liveCursor` that was fetched."
)
class StreamReset(ThreadEvent):
    reason: StreamResetReason = strawberry.field(description="Why.")


@strawberry.type(
    description="The first frame with `snapshot: true`: select `post { thread }` with the arguments of the page, and "
    "it lands in the cache where the query would put it.  One consistent cut with `cursor`."
)
class ThreadSnapshot(ThreadEvent):
    post_key: strawberry.Private[int]
    post: Post | None = one("post_key", lambda: Post, description="The post as it is at `cursor`.")


async def load_ancestors(asking: Asking, owners: Sequence[Row], wanted: Columns, /) -> list[list[Row]]:
    """Owners are (comment id,).  Root first."""
    keys = [key for (key,) in owners]
    statement = sa.select(comments.c.id, comments.c.post_id, comments.c.path).where(among(comments.c.id, keys))
    found = {row[0]: tuple(row[1:]) for row in await asking.rows.rows(statement)}
    return await discussion.load_ancestors(asking, [found[key] for key in keys], wanted)


def own_mutation_id(audience: Audience, by: int | None, mutation_id: str | None) -> str | None:
    return mutation_id if by is not None and by == audience.viewer_id else None


def mutation_id_field() -> Any:
    return value(
        "by",
        "mutation_id",
        through=own_mutation_id,
        by_audience=True,
        per_viewer=True,
        description="Per viewer: the key of the mutation that did this, for who did it; null for everybody else.",
    )


def ancestors_field() -> Any:
    return batched(
        "comment_key",
        load=load_ancestors,
        entity=lambda: Comment,
        description="From the root down to the parent, with their counts as they are now.",
    )


def post_field() -> Any:
    return one("post_key", lambda: Post, description="The post, with its counts as they are now.")


@strawberry.type(description="A comment became visible.")
class CommentAdded(ThreadEvent):
    post_key: strawberry.Private[int]
    comment_key: strawberry.Private[int]
    log_position: strawberry.Private[int]
    by: strawberry.Private[int | None]
    mutation_id: strawberry.Private[str | None]
    client_mutation_id: str | None = mutation_id_field()
    comment: Comment | None = one("comment_key", lambda: Comment, description="The comment as it is now.")
    post: Post | None = post_field()
    ancestors: list[Comment] = ancestors_field()
    position: ThreadPosition | None = batched(
        "comment_key", "log_position", load=load_positions, description="Where it goes in the list on screen."
    )


@strawberry.type(
    description="Text or status changed; a deleted comment that has replies becomes a tombstone by this event."
)
class CommentChanged(ThreadEvent):
    post_key: strawberry.Private[int]
    comment_key: strawberry.Private[int]
    by: strawberry.Private[int | None]
    mutation_id: strawberry.Private[str | None]
    client_mutation_id: str | None = mutation_id_field()
    comment: Comment | None = one("comment_key", lambda: Comment, description="The comment as it is now.")
    post: Post | None = post_field()
    changed: list[ContentAspect] = strawberry.field(description="What changed.")


def _removed_id(key: int) -> str:
    return ids.global_id("Comment", key)


@strawberry.type(description="The row is gone: take it and what hangs below it out of every list.")
class CommentRemoved(ThreadEvent):
    post_key: strawberry.Private[int]
    comment_key: strawberry.Private[int]
    by: strawberry.Private[int | None]
    mutation_id: strawberry.Private[str | None]
    client_mutation_id: str | None = mutation_id_field()
    removed_id: strawberry.ID = value("comment_key", through=_removed_id, description="What is gone.")
    post: Post | None = post_field()
    ancestors: list[Comment] = ancestors_field()


@strawberry.type(description="The post itself changed.")
class PostChanged(ThreadEvent):
    post_key: strawberry.Private[int]
    by: strawberry.Private[int | None]
    mutation_id: strawberry.Private[str | None]
    client_mutation_id: str | None = mutation_id_field()
    post: Post | None = one("post_key", lambda: Post, description="The post as it is now.")
    changed: list[ContentAspect] = strawberry.field(description="What changed.")


EVENT_TYPES: Final[list[type]] = [
    StreamReady,
    StreamHeartbeat,
    StreamReset,
    ThreadSnapshot,
    CommentAdded,
    CommentChanged,
    CommentRemoved,
    PostChanged,
]

# What an entry of the log becomes ---------------------------------------------------------------------------------


async def project(asking: Asking, entry: Entry, cursor: str, *, post_id: int, branch: str) -> object | None:
    """`branch` is the path of the comment whose branch is followed; empty: the whole post."""
    if not await _sees_post(asking, post_id):
        raise Gone
    event = event_from(entry.kind, entry.data)
    if event is None:
        return None
    told: dict[str, Any] = {"cursor": LiveCursor(cursor), "at": Instant(entry.at)}
    if isinstance(event, InPost):
        told |= {"by": event.by, "mutation_id": event.mutation_id}
    if isinstance(event, PostChangedEvent):
        return PostChanged(**told, post_key=post_id, changed=_aspects(event.changed))
    key = comment_of(event)
    if key is None or not await _in_branch(asking, key, branch, shown=not isinstance(event, CommentRemovedEvent)):
        return None
    match event:
        case CommentAddedEvent():
            return CommentAdded(**told, post_key=post_id, comment_key=key, log_position=entry.position)
        case CommentChangedEvent(changed=changed):
            return CommentChanged(**told, post_key=post_id, comment_key=key, changed=_aspects(changed))
    return CommentRemoved(**told, post_key=post_id, comment_key=key)


def comment_of(event: Event) -> int | None:
    if isinstance(event, CommentAddedEvent | CommentChangedEvent | CommentRemovedEvent):
        return event.comment_id
    return None


async def only_added(asking: Asking, entry: Entry, cursor: str, *, post_id: int, branch: str) -> object | None:
    event = await project(asking, entry, cursor, post_id=post_id, branch=branch)
    return event if isinstance(event, CommentAdded) else None


async def _sees_post(asking: Asking, post_id: int) -> bool:
    seen = sa.select(posts.c.id).where(posts.c.id == post_id, access.SEE_POST.where(asking.audience))
    return bool(await asking.rows.rows(seen))


async def _in_branch(asking: Asking, comment_id: int, branch: str, *, shown: bool) -> bool:
    """Whether the comment is in the branch, and has (or has not) a place in the tree by now.

    A branch also goes with what is removed above it.
    """
    statement = sa.select(comments.c.path, comments.c.shown).where(comments.c.id == comment_id)
    found = await asking.rows.rows(statement)
    if not found or bool(found[0][1]) is not shown:
        return False
    path: str = found[0][0]
    return path.startswith(branch) or (not shown and branch.startswith(path))


def _aspects(names: Sequence[str]) -> list[ContentAspect]:
    """Those that this version knows: another worker may be newer."""
    return [ContentAspect[name] for name in names if name in ContentAspect.__members__]


# The streams -------------------------------------------------------------------------------------------------------


async def begin_comment_added(
    asking: Asking,
    /,
    *,
    post_id: PostArgument,
    root_id: RootArgument = strawberry.UNSET,
    after: AfterArgument = strawberry.UNSET,
) -> Following:
    return await _following(asking, "commentAdded", only_added, post_id, _given(root_id), _given(after))


async def begin_thread(
    asking: Asking,
    /,
    *,
    post_id: PostArgument,
    root_id: RootArgument = strawberry.UNSET,
    after: AfterArgument = strawberry.UNSET,
    snapshot: Annotated[
        bool, strawberry.argument(description="Begin with a ThreadSnapshot of this moment, whatever `after` says.")
    ] = False,
) -> Following:
    following = await _following(asking, "thread", project, post_id, _given(root_id), _given(after))
    opening: Callable[[str, int], object] = _ready
    if snapshot:
        opening = partial(_snapshot, key_or_error(post_id, "Post"))
    return Following(
        name=following.name,
        topics=following.topics,
        cursors=following.cursors,
        after=following.after,
        shared=following.shared,
        community_id=following.community_id,
        project=following.project,
        opening=opening,
        snapshot=snapshot,
        reset=_reset,
        heartbeat=_heartbeat,
    )


def _given(argument: str | None) -> str | None:
    """None for what was left out; an empty text was given, and is as wrong as any other."""
    return None if argument is strawberry.UNSET else argument


async def _following(
    asking: Asking,
    name: str,
    projecting: Callable[..., Awaitable[object | None]],
    post_id: str,
    root_id: str | None,
    after: str | None,
) -> Following:
    key = key_or_error(post_id, "Post")
    statement = sa.select(posts.c.community_id, posts.c.state)
    found = await asking.rows.rows(statement.where(posts.c.id == key, access.SEE_POST.where(asking.audience)))
    if not found:
        raise request_error("There is no such post.", "NOT_FOUND", path=["postId"])
    branch = "" if root_id is None else await _branch(asking, key, key_or_error(root_id, "Comment"))
    return Following(
        name=f"{name}:{key}:{branch}",
        topics=(post_topic(key),),
        cursors=POST_STREAM,
        after=after,
        shared=found[0][1] == "PUBLISHED",
        community_id=found[0][0],
        project=partial(projecting, post_id=key, branch=branch),
    )


async def _branch(asking: Asking, post_id: int, comment_id: int) -> str:
    statement = sa.select(comments.c.path).where(
        comments.c.id == comment_id,
        comments.c.post_id == post_id,
        # One that has left the tree since is still what somebody followed: its removal is to be told.
        sa.or_(IS_SHOWN, comments.c.shown_until.is_not(None)),
    )
    found = await asking.rows.rows(statement)
    if not found:
        raise request_error("There is no such comment in this post.", "NOT_FOUND", path=["rootId"])
    path: str = found[0][0]
    return path


def _ready(cursor: str, at: int) -> object:
    return StreamReady(cursor=LiveCursor(cursor), at=Instant(at))


def _snapshot(post_key: int, cursor: str, at: int) -> object:
    return ThreadSnapshot(cursor=LiveCursor(cursor), at=Instant(at), post_key=post_key)


def _heartbeat(cursor: str, at: int) -> object:
    return StreamHeartbeat(cursor=LiveCursor(cursor), at=Instant(at))


def _reset(reason: Lost, cursor: str, at: int) -> object:
    return StreamReset(cursor=LiveCursor(cursor), at=Instant(at), reason=StreamResetReason[reason.name])


@strawberry.type(
    description="Everything live.  On reconnect give the last cursor as `after`; without `after` a stream begins now.  "
    "Readers need no account for public communities."
)
class Subscription:
    comment_added: CommentAdded = live(
        begin_comment_added,
        description="The simple one: every new comment of a post, or of one branch.  If `after` is out of reach it "
        "ends with the error CURSOR_EXPIRED; `thread` says so by StreamReset and goes on.",
    )
    thread: ThreadEvent = live(
        begin_thread, description="Everything that happens in a discussion, or in one branch of it."
    )
