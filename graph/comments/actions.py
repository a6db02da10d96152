"""What a person can do with comments.  Each action is one change: decision, rows, event."""

from graph import access
from graph.access import Facts, Rule
from graph.change import Change
from graph.comments import rules, store
from graph.comments.paths import SEGMENT_CHARACTERS, depth_of, path_below, rpath_below
from graph.comments.rules import TreeRow
from graph.events import CommentAdded, CommentChanged, CommentRemoved
from graph.posts import store as post_store
from graph.posts.actions import check_in_use
from graph.posts.rules import Written, check_revision, clean_reason
from graph.refusals import Closed, NotFound, NotPermitted, SignInFirst
from graph.storage.tables import comments, posts


async def add_comment(change: Change, *, post_id: int, parent_id: int | None, written: Written) -> int:
    """Answer a post, or a comment in it, and tell those who follow; gives the comment's id.

    Raises NotFound (post, or a parent that is not there to be answered), SignInFirst, Closed, Invalid (depth).
    """
    post = await _open_post(change, post_id)
    parent = None if parent_id is None else await _answerable(change, post_id, parent_id)
    depth = rules.depth_below(None if parent is None else parent[comments.c.depth])
    number = await store.next_number(change, post_id, root=parent is None, at=change.now)
    comment_id = await store.add(
        change,
        {
            "post_id": post_id,
            "community_id": post[posts.c.community_id],
            "parent_id": parent_id,
            "author_id": change.audience.viewer_id,
            "number": number,
            "depth": depth,
            "path": path_below(None if parent is None else parent[comments.c.path], number),
            "rpath": rpath_below(None if parent is None else parent[comments.c.rpath], number),
            "status": "PUBLISHED",
            "shown": 1,
            "body": written.body,
            "body_html": written.html,
            "body_text": written.text,
            "created_at": change.now,
        },
    )
    if parent is not None:
        await store.count_below(change, post_id, parent[comments.c.path], descendants=1, replies=1)
    position = await change.record(CommentAdded(post_id, change.audience.viewer_id, change.mutation_id, comment_id))
    await store.change(change, comment_id, shown_from=position)
    return comment_id


async def edit_comment(
    change: Change,
    *,
    comment_id: int,
    written: Written,
    expected_revision: int | None = None,
    reason: str | None = None,
) -> int:
    """Change the text; the former one stays as a revision.  Raises NotFound, NotPermitted, Conflict, Invalid."""
    facts = await _comment_for(change, comment_id, access.EDIT_COMMENT)
    check_revision(expected_revision, facts[comments.c.revision])
    reason = clean_reason(reason)
    if facts[comments.c.body] == written.body:
        return comment_id
    await store.keep_revision(
        change,
        comment_id=comment_id,
        number=facts[comments.c.revision],
        body=facts[comments.c.body],
        body_html=facts[comments.c.body_html],
        editor_id=facts[comments.c.author_id],
        reason=reason,
        written_at=facts[comments.c.edited_at] or facts[comments.c.created_at],
    )
    await store.change(
        change,
        comment_id,
        body=written.body,
        body_html=written.html,
        body_text=written.text,
        revision=facts[comments.c.revision] + 1,
        edited_at=change.now,
    )
    await _tell_changed(change, facts, "BODY")
    return comment_id


async def delete_comment(change: Change, *, comment_id: int) -> int:
    """Erase the text and its former forms.

    With replies a tombstone keeps the place; without, the row leaves the tree, and with it the tombstones above
    that stood for it alone.  Raises NotFound, SignInFirst, NotPermitted.
    """
    facts = await _comment_for(change, comment_id, access.DELETE_COMMENT)
    await store.forget_revisions(change, comment_id)
    erased = {"body": "", "body_html": "", "body_text": "", "edited_at": None, "revision": 1}
    await store.change(change, comment_id, status="DELETED", **erased)
    published = int(facts[comments.c.status] == "PUBLISHED")
    fallen = await _falling(change, facts) if facts[comments.c.shown] else []
    if fallen:
        await _take_out(change, facts, fallen)
    else:
        await _tell_changed(change, facts, "BODY", "STATUS")
    roots = sum(1 for place in fallen if depth_of(place.path) == 0)
    await store.uncount_in_post(change, facts[comments.c.post_id], published=published, roots=roots)
    return comment_id


async def _falling(change: Change, facts: Facts) -> list[TreeRow]:
    above = await store.ancestors(change, facts[comments.c.post_id], facts[comments.c.path])
    comment = TreeRow(facts[comments.c.id], facts[comments.c.path], "DELETED", facts[comments.c.descendant_count])
    return rules.falling(comment, above)


async def _take_out(change: Change, facts: Facts, fallen: list[TreeRow]) -> None:
    """One event for the topmost: whoever hears of it takes out what hangs below."""
    post_id, top = facts[comments.c.post_id], fallen[-1]
    removed = CommentRemoved(post_id, change.audience.viewer_id, change.mutation_id, top.id)
    await store.hide(change, [place.id for place in fallen], await change.record(removed))
    parent_path = top.path[:-SEGMENT_CHARACTERS]
    if parent_path:
        await store.count_below(change, post_id, parent_path, descendants=-len(fallen), replies=-1)


async def _open_post(change: Change, post_id: int) -> Facts:
    """The post, locked, for somebody who may answer in it."""
    post = await post_store.facts_of(change, post_id, lock=True)
    if post is None or not access.SEE_POST.holds(change.audience, post):
        raise NotFound("There is no such post.", ("input", "postId"))
    if change.audience.viewer_id is None:
        raise SignInFirst("Sign in to answer.")
    check_in_use(change, post, "postId")
    if not access.COMMENT_ON_POST.holds(change.audience, post):
        raise Closed("This post is a draft: publish it first.", ("input", "postId"))
    if post[posts.c.discussion] != "OPEN":
        raise Closed("This discussion takes no more answers.", ("input", "postId"))
    return post


async def _answerable(change: Change, post_id: int, parent_id: int) -> Facts:
    parent = await store.facts_of(change, parent_id)
    if parent is None or parent[comments.c.post_id] != post_id or parent[comments.c.status] != "PUBLISHED":
        raise NotFound("The comment you answer is gone.", ("input", "parentId"))
    return parent


async def _comment_for(change: Change, comment_id: int, rule: Rule) -> Facts:
    """The comment with its post, the post locked, for somebody who may do this with it."""
    post_id = await store.post_id_of(change, comment_id)
    post = None if post_id is None else await post_store.facts_of(change, post_id, lock=True)
    comment = None if post is None else await store.facts_of(change, comment_id)
    facts = None if post is None or comment is None else {**post, **comment}
    if facts is None or not access.SEE_COMMENT.holds(change.audience, facts):
        raise NotFound("There is no such comment.", ("input", "id"))
    if facts[comments.c.status] == "DELETED":
        raise NotFound("This comment was deleted.", ("input", "id"))
    if not rule.holds(change.audience, facts):
        if change.audience.viewer_id is None:
            raise SignInFirst("Sign in first.")
        if change.audience.viewer_id == facts[comments.c.author_id]:
            check_in_use(change, facts, "id")
        raise NotPermitted("Only its author may do this with the comment.", ("input", "id"))
    return facts


async def _tell_changed(change: Change, facts: Facts, *aspects: str) -> None:
    """Only of rows that followers have seen: one that waits for approval is nobody else's to know."""
    if facts[comments.c.shown]:
        await change.record(
            CommentChanged(
                facts[comments.c.post_id],
                change.audience.viewer_id,
                change.mutation_id,
                facts[comments.c.id],
                aspects,
            )
        )
