"""What a person can do with posts.  Each action is one change: decision, rows, events."""

import secrets
from typing import Any

from graph import access, text
from graph.access import Facts
from graph.change import Change
from graph.communities import rules as community_rules
from graph.events import PostAdded, PostChanged, PostRemoved
from graph.posts import rules, store
from graph.posts.rules import Written
from graph.refusals import NotFound, NotPermitted, SignInFirst
from graph.storage.tables import communities, posts

# Each try that fails is a post that somebody else has just written under this title: as many as may write at once.
SLUG_TRIES = 100


async def create_post(
    change: Change,
    *,
    title: str,
    written: Written,
    kind: str = "ARTICLE",
    summary: str | None = None,
    language: str | None = None,
    community_id: int | None = None,
    publish: bool = True,
) -> int:
    """Write a post, published or as a draft; gives its id.

    Raises SignInFirst, Invalid, NotFound for a community that the viewer may not see, NotPermitted where only
    members write.
    """
    author_id = _somebody(change)
    title = rules.clean_title(title)
    hidden = not publish
    if community_id is not None:
        community = await _check_community(change, community_id)
        hidden = hidden or community[communities.c.visibility] == "PRIVATE"
    values: dict[str, Any] = {
        "author_id": author_id,
        "community_id": community_id,
        "kind": kind,
        "title": title,
        "summary": rules.clean_summary(summary),
        "language": rules.clean_language(language),
        **_text(written),
        "state": "PUBLISHED" if publish else "DRAFT",
        "created_at": change.now,
        "published_at": change.now if publish else None,
        "last_activity_at": change.now,
    }
    post_id = await _add_under_free_slug(change, title, values, hidden=hidden)
    if publish:
        await store.count_in_community(change, community_id, 1)
        await change.record(PostAdded(community_id, post_id))
    return post_id


async def edit_post(
    change: Change,
    *,
    post_id: int,
    title: str | None = None,
    written: Written | None = None,
    summary: str | None = None,
    expected_revision: int | None = None,
    reason: str | None = None,
) -> int:
    """Change what is given; the former text stays as a revision.  Raises NotFound, NotPermitted, Conflict, Invalid."""
    facts = await post_for(change, post_id, access.EDIT_POST)
    rules.check_revision(expected_revision, facts[posts.c.revision])
    reason = rules.clean_reason(reason)
    values: dict[str, Any] = {}
    if title is not None:
        values["title"] = rules.clean_title(title)
    if written is not None:
        values |= _text(written)
    if summary is not None:
        values["summary"] = rules.clean_summary(summary)
    changed = {name: new for name, new in values.items() if facts[posts.c[name]] != new}
    if not changed:
        return post_id
    await _keep_former(change, facts, reason)
    await store.change(change, post_id, **changed, revision=facts[posts.c.revision] + 1, edited_at=change.now)
    aspects = tuple(aspect for name, aspect in (("title", "TITLE"), ("body", "BODY")) if name in changed)
    if facts[posts.c.state] == "PUBLISHED":
        await change.record(_post_changed(change, post_id, *(aspects or ("BODY",))))
    return post_id


async def publish_post(change: Change, *, post_id: int) -> int:
    """Show a draft to readers; nothing happens to a post that they see already.

    Raises NotFound, NotPermitted, also where its author may publish in its community no longer, and Closed.
    """
    facts = await post_for(change, post_id, access.EDIT_POST)
    if facts[posts.c.state] == "PUBLISHED":
        return post_id
    if facts[posts.c.community_id] is not None:
        _check_may_publish(change, facts, "id")
    await store.change(
        change,
        post_id,
        state="PUBLISHED",
        published_at=facts[posts.c.published_at] or change.now,
        last_activity_at=change.now,
    )
    await store.count_in_community(change, facts[posts.c.community_id], 1)
    await change.record(_post_changed(change, post_id, "STATUS"))
    await change.record(PostAdded(facts[posts.c.community_id], post_id))
    return post_id


async def unpublish_post(change: Change, *, post_id: int) -> int:
    """Back to a draft, which is its author's alone; nothing happens to a draft."""
    facts = await post_for(change, post_id, access.EDIT_POST)
    if facts[posts.c.state] == "DRAFT":
        return post_id
    await store.change(change, post_id, state="DRAFT")
    await store.count_in_community(change, facts[posts.c.community_id], -1)
    await change.record(_post_changed(change, post_id, "STATUS"))
    await change.record(PostRemoved(facts[posts.c.community_id], post_id))
    return post_id


async def delete_post(change: Change, *, post_id: int) -> int:
    """Take the post and its discussion away from everybody; its text and former texts are erased."""
    facts = await post_for(change, post_id, access.DELETE_POST)
    await store.forget_revisions(change, post_id)
    await store.change(change, post_id, state="REMOVED", body="", body_html="", body_text="", summary=None)
    if facts[posts.c.state] == "PUBLISHED":
        await store.count_in_community(change, facts[posts.c.community_id], -1)
    await change.record(_post_changed(change, post_id, "STATUS"))
    if facts[posts.c.state] == "PUBLISHED":
        await change.record(PostRemoved(facts[posts.c.community_id], post_id))
    return post_id


async def post_for(change: Change, post_id: int, rule: access.Rule) -> Facts:
    """The post, locked, for somebody who may do this with it.

    Raises NotFound where the viewer may not see it, then SignInFirst, then Closed or NotPermitted.
    """
    facts = await store.facts_of(change, post_id, lock=True)
    if facts is None or not access.SEE_POST.holds(change.audience, facts):
        raise NotFound("There is no such post.", ("input", "id"))
    if not rule.holds(change.audience, facts):
        if _somebody(change) == facts[posts.c.author_id]:
            check_in_use(change, facts, "id")
        raise NotPermitted("Only its author may do this with the post.", ("input", "id"))
    return facts


def check_in_use(change: Change, post: Facts, field: str) -> None:
    """Whether the viewer may write where the post is.  Raises Closed, NotPermitted."""
    path = ("input", field)
    community_rules.check_open(post[communities.c.archived_at], path)
    community_rules.check_not_banned(post[posts.c.community_id] in change.audience.banned_from, path)


def _somebody(change: Change) -> int:
    if change.audience.viewer_id is None:
        raise SignInFirst("Sign in first.")
    return change.audience.viewer_id


async def _check_community(change: Change, community_id: int) -> Facts:
    facts = await store.community_facts(change, community_id)
    if facts is None or not access.SEE_COMMUNITY.holds(change.audience, facts):
        raise NotFound("There is no such community.", ("input", "communityId"))
    _check_may_publish(change, facts, "communityId")
    return facts


def _check_may_publish(change: Change, community: Facts, field: str) -> None:
    path = ("input", field)
    community_rules.check_open(community[communities.c.archived_at], path)
    if access.WRITE_POST_IN_COMMUNITY.holds(change.audience, community):
        return
    if community[communities.c.posting] == "MODERATORS":
        raise NotPermitted("Only moderators publish in this community.", path, requires="MODERATOR")
    raise NotPermitted("Only members write in this community.", path, requires="MEMBER")


async def _add_under_free_slug(change: Change, title: str, values: dict[str, Any], *, hidden: bool) -> int:
    for _ in range(SLUG_TRIES):
        if hidden:
            slug = rules.hidden_slug(title, secrets.token_hex(4))
        else:
            slug = rules.free_slug(title, await store.slugs_like(change, text.slug(title)))
        post_id = await store.add(change, {**values, "slug": slug})
        if post_id is not None:
            return post_id
    raise RuntimeError(f"no free slug for {title!r} after {SLUG_TRIES} tries")


async def _keep_former(change: Change, facts: Facts, reason: str | None) -> None:
    await store.keep_revision(
        change,
        post_id=facts[posts.c.id],
        number=facts[posts.c.revision],
        title=facts[posts.c.title],
        body=facts[posts.c.body],
        body_html=facts[posts.c.body_html],
        editor_id=facts[posts.c.author_id],
        reason=reason,
        written_at=facts[posts.c.edited_at] or facts[posts.c.created_at],
    )


def _text(written: Written) -> dict[str, str]:
    return {"body": written.body, "body_html": written.html, "body_text": written.text}


def _post_changed(change: Change, post_id: int, *aspects: str) -> PostChanged:
    return PostChanged(post_id, change.audience.viewer_id, change.mutation_id, aspects)
