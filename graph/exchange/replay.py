"""Writes the sample discussion as it went: every person, text, edit and removal by the real action, at its own time.

All of it is one transaction: a load that is cut leaves nothing, and of several at once one writes.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from graph.audience import VISITOR, Audience
from graph.change import Change
from graph.comments.actions import add_comment, delete_comment, edit_comment
from graph.comments.rules import written as comment_written
from graph.exchange import store
from graph.exchange.demo import Comment, Discussion, Edit, Person, Post
from graph.posts.actions import create_post
from graph.posts.rules import written as post_written
from graph.storage.database import Storage
from graph.storage.rows import Failed, Rows
from graph.storage.tables import origins, posts, users
from graph.users.actions import create_user, edit_profile
from graph.users.rules import handle_key
from graph.users.store import change_user, id_by_handle

SOURCE: Final = "demo"  # of the rows in `origins` by which the discussion is known again
VISITOR_HANDLE: Final = "you"  # an account for whoever tries things out


class OtherContent(Exception):
    """The database has people or posts of its own: it is left as it is."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """Where the discussion stands in a database."""

    is_new: bool  # False: it was here already, as people have left it
    post_ids: Mapping[str, int]  # by slug


async def load_demo(storage: Storage, discussion: Discussion, now: int) -> Loaded:
    """Write the discussion so that it ended just now (µs), unless it is here.  Raises OtherContent."""
    began_at = discussion.began_at(datetime.fromtimestamp(now / 1_000_000, UTC))
    [outcome] = await storage.write([partial(_load, discussion=discussion, began_at=began_at)])
    if isinstance(outcome, Failed):
        raise outcome.error
    slugs = [post.slug for post in discussion.posts]
    found = await storage.read(lambda rows: store.origins_of(rows, SOURCE, "post", slugs))
    return Loaded(outcome.value, {slug: found[slug] for slug in slugs})


async def _load(rows: Rows, *, discussion: Discussion, began_at: datetime) -> bool:
    """False when the discussion is here."""
    if not await _claim(rows):
        return False
    if await rows.rows(sa.union_all(sa.select(users.c.id).limit(1).subquery().select(), _any_post())):
        raise OtherContent
    replay = Replay(rows, began_at)
    await create_user(replay.change(timedelta()), handle=VISITOR_HANDLE, display_name="You")
    for person in discussion.people:
        await replay.arrive(person)
    for at, act in scenes(discussion):
        await act(replay, at)
    await store.remember(rows, SOURCE, "post", replay.posts)
    return True


async def let_in(storage: Storage, password_hash: str) -> None:
    """Give the visitor's account a password.  Sessions that have begun go on: it is no decision of the person."""
    [outcome] = await storage.write([partial(_let_in, password_hash=password_hash)])
    if isinstance(outcome, Failed):
        raise outcome.error


async def _let_in(rows: Rows, *, password_hash: str) -> None:
    user_id = await id_by_handle(rows, handle_key(VISITOR_HANDLE))
    assert user_id is not None, "the sample discussion has this account"
    await change_user(rows, user_id, password_hash=password_hash)


def _any_post() -> sa.Select[Any]:
    return sa.select(posts.c.id).limit(1).subquery().select()


async def _claim(rows: Rows) -> bool:
    """Of several who load at the same time, the others wait here for the first to commit, and get False."""
    insert: Any = sqlite.insert if rows.engine == "sqlite" else postgresql.insert
    mark = {"source": SOURCE, "kind": "discussion", "external_id": "", "local_id": 0}
    claim = insert(origins).values(mark).on_conflict_do_nothing().returning(origins.c.local_id)
    return bool(await rows.rows(claim))


Act = Callable[["Replay", timedelta], Awaitable[None]]


def scenes(discussion: Discussion) -> list[tuple[timedelta, Act]]:
    """Everything that anyone does, in the order of time."""
    found: list[tuple[timedelta, Act]] = []
    for post in discussion.posts:
        found.append((post.at, partial(Replay.publish, post=post)))
        for comment in post.comments:
            found.append((comment.at, partial(Replay.answer, post=post, comment=comment)))
            if comment.edit:
                found.append((comment.edit.at, partial(Replay.edit, post=post, comment=comment, edit=comment.edit)))
            if comment.deleted_at:
                found.append((comment.deleted_at, partial(Replay.delete, post=post, comment=comment)))
    return sorted(found, key=lambda scene: scene[0])


@dataclass
class Replay:
    rows: Rows
    began_at: datetime
    people: dict[str, Audience] = field(default_factory=dict)  # by handle
    posts: dict[str, int] = field(default_factory=dict)  # by slug
    comments: dict[tuple[str, str], int] = field(default_factory=dict)  # by slug and key

    def change(self, at: timedelta, handle: str | None = None) -> Change:
        """What somebody does at this time of the discussion."""
        moment = round((self.began_at + at).timestamp() * 1_000_000)
        return Change(self.rows.engine, self.rows, VISITOR if handle is None else self.people[handle], moment)

    async def arrive(self, person: Person) -> None:
        change = self.change(timedelta())
        user_id = await create_user(change, handle=person.handle, display_name=person.name)
        await change_user(change, user_id, locale=person.locale)  # operators have no say in it, and so no act
        self.people[person.handle] = Audience(viewer_id=user_id, role="MEMBER", locale=person.locale)
        await edit_profile(self.change(timedelta(), person.handle), bio=person.bio)

    async def publish(self, at: timedelta, *, post: Post) -> None:
        self.posts[post.slug] = await create_post(
            self.change(at, post.author),
            title=post.title,
            written=post_written(post.body),
            summary=post.summary,
            language=post.language,
        )

    async def answer(self, at: timedelta, *, post: Post, comment: Comment) -> None:
        self.comments[post.slug, comment.key] = await add_comment(
            self.change(at, comment.author),
            post_id=self.posts[post.slug],
            parent_id=None if comment.parent is None else self.comments[post.slug, comment.parent],
            written=comment_written(comment.body),
        )

    async def edit(self, at: timedelta, *, post: Post, comment: Comment, edit: Edit) -> None:
        comment_id = self.comments[post.slug, comment.key]
        written = comment_written(edit.body)
        await edit_comment(self.change(at, comment.author), comment_id=comment_id, written=written)

    async def delete(self, at: timedelta, *, post: Post, comment: Comment) -> None:
        comment_id = self.comments[post.slug, comment.key]
        await delete_comment(self.change(at, comment.author), comment_id=comment_id)
