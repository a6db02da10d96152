"""A part of an import: what one transaction brings into one post, with the names by which it will be known again.

A post with more comments than one part holds stays a draft until its last part is in, so that nobody sees half a
discussion; where the import is cut, the next run finds it unfinished and goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graph.events import CommentAdded, PostAdded, data_of, post_topic
from graph.exchange import rules, store
from graph.exchange.rules import Node, Person, show
from graph.posts import store as post_store
from graph.posts.rules import free_slug
from graph.storage.rows import Rows
from graph.storage.tables import comments, former_handles, pingbacks, users
from graph.text import slug
from graph.users.rules import email_key
from subscriptions import log

UNFINISHED = "unfinished"  # kind of origin of a post that has not got all its parts yet


@dataclass(frozen=True, slots=True)
class Incoming:
    """A comment, rendered, with its place: below a comment that came before (its key), one by id, or the post."""

    key: str
    parent: str | int | None
    author: str  # the key of a person
    values: Mapping[str, Any]  # of the row


@dataclass(frozen=True, slots=True)
class Notice:
    """A pingback or trackback."""

    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Part:
    source: str
    key: str  # of the post
    author: str  # of the post: the key of a person
    values: Mapping[str, Any]  # of the post
    begins: bool  # the post itself comes in with it
    ends: bool  # nothing of the post comes after it
    tells: bool  # the post was complete before: somebody may be following
    people: Sequence[Person]
    comments: Sequence[Incoming]  # each after what it answers
    notices: Sequence[Notice]
    now: int  # µs


async def bring(rows: Rows, part: Part) -> set[str]:
    """Gives the topics of the log in which something was told."""
    people = await bring_people(rows, part.source, part.people, part.now)
    post_id = await _post(rows, part, people)
    told = await _grow(rows, part, post_id, people)
    await _add_notices(rows, part, post_id)
    if part.ends and not part.tells:
        told |= await _finish(rows, part, post_id)
    return told


# -- People -------------------------------------------------------------------------------------------------------


async def bring_people(rows: Rows, source: str, people: Sequence[Person], now: int) -> dict[str, int]:
    """Ids of all of them, by their keys; those that are not here yet come in."""
    here = await store.origins_of(rows, source, "user", [person.key for person in people])
    new = [person for person in people if person.key not in here]
    wanted = {handle for person in new for handle in rules.handles_for(person)}
    taken = await store.taken(rows, users.c.handle_key, sorted(wanted))
    taken |= await store.taken(rows, former_handles.c.handle_key, sorted(wanted))
    handles = rules.free_handles(new, taken)
    keys = {email_key(person.email) for person in new if person.email}
    emails = rules.free_emails(new, await store.taken(rows, users.c.email_key, sorted(keys)))
    ids = await store.add_people(rows, [_user(person, handles, emails, now) for person in new])
    came = {person.key: ids[handles[person.key]] for person in new}
    await store.remember(rows, source, "user", came)
    return here | came


def _user(person: Person, handles: Mapping[str, str], emails: Mapping[str, str], now: int) -> dict[str, Any]:
    email = emails.get(person.key)
    return {
        "handle": handles[person.key],
        "handle_key": handles[person.key],
        "display_name": person.name,
        "email": email,
        "email_key": None if email is None else email_key(email),
        "created_at": min(person.since, now),
    }


# -- The post -----------------------------------------------------------------------------------------------------


async def _post(rows: Rows, part: Part, people: Mapping[str, int]) -> int:
    if not part.begins:
        return (await store.origins_of(rows, part.source, "post", [part.key]))[part.key]
    values = {
        **part.values,
        "author_id": people[part.author],
        "slug": await _slug(rows, part.values["slug"]),
        "state": part.values["state"] if part.ends else "DRAFT",
    }
    [(post_id,)] = await store.add_post(rows, values)
    await store.remember(rows, part.source, "post", {part.key: post_id})
    if not part.ends:
        await store.remember(rows, part.source, UNFINISHED, {part.key: post_id})
    return int(post_id)


async def _slug(rows: Rows, wanted: str) -> str:
    return free_slug(wanted, await post_store.slugs_like(rows, slug(wanted)))


async def _finish(rows: Rows, part: Part, post_id: int) -> set[str]:
    if not part.begins:
        await post_store.change(rows, post_id, state=part.values["state"])
        await store.forget(rows, part.source, UNFINISHED, part.key)
    if part.values["state"] != "PUBLISHED":
        return set()
    event = PostAdded(None, post_id)
    await log.append(rows, event.topic, event.KIND, data_of(event), at=part.now)
    return {event.topic}


# -- Its comments -------------------------------------------------------------------------------------------------


async def _grow(rows: Rows, part: Part, post_id: int, people: Mapping[str, int]) -> set[str]:
    """Give each comment its number and place, and count what is shown up to the post."""
    if not part.comments:
        return set()
    first_number, community_id = await store.reserve_numbers(rows, post_id, len(part.comments))
    above = await _above(rows, part, post_id)
    nodes = _nodes(part, above, first_number)
    for incoming, node in zip(part.comments, nodes, strict=True):
        if incoming.values["status"] == "PUBLISHED":
            show(node)
    await _add(rows, part, nodes, {"post_id": post_id, "community_id": community_id}, people)
    old = {id(node): node for node in above.values()}
    changed = [node for node in old.values() if node.descendants]
    await store.count_below(rows, [_counts(node) for node in changed])
    appeared = sorted((node for node in [*changed, *nodes] if node.appears), key=lambda node: node.number)
    told = await tell(rows, post_id, appeared, part.now) if part.tells else set()
    published = [each.values for each in part.comments if each.values["status"] == "PUBLISHED"]
    await store.count_in_post(
        rows,
        post_id,
        published=len(published),
        roots=sum(node.parent is None for node in appeared),
        active_at=max((values["created_at"] for values in published), default=part.values["last_activity_at"]),
    )
    return told


async def _above(rows: Rows, part: Part, post_id: int) -> dict[str | int, Node]:
    """What the comments of this part hang below and came before it, by key and by id, with all above."""
    coming = {incoming.key for incoming in part.comments}
    parents = {incoming.parent for incoming in part.comments if incoming.parent not in coming}
    ids = await store.origins_of(rows, part.source, "comment", sorted(key for key in parents if isinstance(key, str)))
    known = {*ids.values(), *(each for each in parents if isinstance(each, int))}
    nodes: dict[str | int, Node] = {}
    by_path: dict[str, Node] = {}
    for comment_id, number, path, rpath, shown in await store.branches(rows, post_id, sorted(known)):
        parent = by_path.get(rules.path_above(path))
        nodes[comment_id] = by_path[path] = Node(number, parent, path, rpath, bool(shown), comment_id)
    return {**nodes, **{key: nodes[comment_id] for key, comment_id in ids.items()}}


def _nodes(part: Part, above: Mapping[str | int, Node], first_number: int) -> list[Node]:
    known = dict(above)
    nodes = []
    for number, incoming in enumerate(part.comments, first_number):
        parent = None if incoming.parent is None else known[incoming.parent]
        known[incoming.key] = node = Node.below(parent, number)
        nodes.append(node)
    return nodes


async def _add(
    rows: Rows, part: Part, nodes: Sequence[Node], place: Mapping[str, Any], people: Mapping[str, int]
) -> None:
    values = [
        {**incoming.values, **place, **_row(node), "author_id": people[incoming.author]}
        for incoming, node in zip(part.comments, nodes, strict=True)
    ]
    among_them = [node for node in nodes if node.parent is not None and node.parent.id is None]
    ids = await store.add_comments(rows, values)
    for node in nodes:
        node.id = ids[node.number]
    linked = [{"id": node.id, "parent_id": node.parent.id} for node in among_them if node.parent is not None]
    await store.change_comments(rows, linked, [comments.c.parent_id])
    known = {incoming.key: ids[node.number] for incoming, node in zip(part.comments, nodes, strict=True)}
    await store.remember(rows, part.source, "comment", known)


def _row(node: Node) -> dict[str, Any]:
    return {
        "number": node.number,
        "parent_id": None if node.parent is None else node.parent.id,
        "depth": node.depth,
        "path": node.path,
        "rpath": node.rpath,
        "shown": int(node.shown),
        "reply_count": node.replies,
        "descendant_count": node.descendants,
    }


def _counts(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "reply_count": node.replies,
        "descendant_count": node.descendants,
        "shown": int(node.shown),
    }


async def tell(rows: Rows, post_id: int, appeared: Sequence[Node], now: int) -> set[str]:
    """Tell those who follow the post what has come into the tree, each after what it hangs below.  Gives the topic."""
    placed = []
    for node in appeared:
        assert node.id is not None
        event = CommentAdded(post_id, None, None, node.id)
        position = await log.append(rows, event.topic, event.KIND, data_of(event), at=now)
        placed.append({"id": node.id, "shown_from": position})
    await store.change_comments(rows, placed, [comments.c.shown_from])
    return {post_topic(post_id)} if placed else set()


async def _add_notices(rows: Rows, part: Part, post_id: int) -> None:
    for notice in part.notices:
        values = {**notice.values, "post_id": post_id}
        [(notice_id,)] = await store.add_all(rows, pingbacks, [values], [pingbacks.c.id])
        await store.remember(rows, part.source, "pingback", {notice.key: notice_id})
