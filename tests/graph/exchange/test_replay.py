"""The sample discussion in a database: as it went, at its own times, once, and never in somebody's way."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from graph.exchange import replay
from graph.exchange.demo import demo_discussion
from graph.exchange.replay import Loaded, OtherContent, load_demo
from graph.storage.database import Storage
from graph.storage.rows import Row
from graph.storage.tables import comments, events, origins, posts, revisions, users

DISCUSSION = demo_discussion()
NOW = 1_700_000_000_000_000  # µs
ALL_TABLES = (users, posts, comments, revisions, origins, events)


async def load(storage: Storage) -> Loaded:
    return await load_demo(storage, DISCUSSION, NOW)


async def rows(storage: Storage, table: sa.Table, *columns: str) -> Sequence[Row]:
    return await storage.rows(
        sa.select(*(table.c[name] for name in columns or table.c.keys())).order_by(*table.primary_key)
    )


async def everything(storage: Storage) -> list[Any]:
    return [await rows(storage, table) for table in ALL_TABLES]


def at(moment: timedelta) -> int:
    began_at = NOW - DISCUSSION.length // timedelta(microseconds=1)
    return began_at + moment // timedelta(microseconds=1)


async def test_everybody_who_takes_part_has_an_account_and_one_is_for_the_visitor(storage: Storage) -> None:
    await load(storage)
    found = await rows(storage, users, "handle", "display_name", "locale", "password_hash")
    assert found[0] == ("you", "You", "en", None)
    assert [row[:3] for row in found[1:]] == [(each.handle, each.name, each.locale) for each in DISCUSSION.people]
    assert {row[3] for row in found} == {None}


async def test_posts_are_found_by_the_names_they_have_in_the_discussion(storage: Storage) -> None:
    loaded = await load(storage)
    titles: dict[int, str] = dict(await rows(storage, posts, "id", "title"))
    assert loaded.is_new
    assert {slug: titles[key] for slug, key in loaded.post_ids.items()} == {
        post.slug: post.title for post in DISCUSSION.posts
    }


async def test_everything_happens_at_its_own_time_and_ends_now(storage: Storage) -> None:
    await load(storage)
    written = sorted(comment.at for post in DISCUSSION.posts for comment in post.comments)
    assert sorted(moment for (moment,) in await rows(storage, comments, "created_at")) == list(map(at, written))
    told = [moment for (moment,) in await storage.rows(sa.select(events.c.at).order_by(events.c.at))]
    assert told[-1] == NOW


async def test_the_edit_keeps_the_first_text_and_the_deletion_leaves_a_tombstone(storage: Storage) -> None:
    await load(storage)
    scenes = [comment for post in DISCUSSION.posts for comment in post.comments]
    [edited] = [comment for comment in scenes if comment.edit]
    [deleted] = [comment for comment in scenes if comment.deleted_at]
    [(body, written_at)] = await rows(storage, revisions, "body", "written_at")
    assert (body, written_at) == (edited.body, at(edited.at))
    gone = await storage.rows(
        sa.select(comments.c.created_at, comments.c.body, comments.c.shown).where(comments.c.status == "DELETED")
    )
    assert list(gone) == [(at(deleted.at), "", 1)]


async def test_a_second_time_changes_nothing(storage: Storage) -> None:
    first = await load(storage)
    before = await everything(storage)
    second = await load(storage)
    assert (second.is_new, second.post_ids) == (False, first.post_ids)
    assert await everything(storage) == before


async def test_of_two_at_once_one_writes_and_both_find_it(two_storages: tuple[Storage, Storage]) -> None:
    one, other = await asyncio.gather(*map(load, two_storages))
    assert sorted([one.is_new, other.is_new]) == [False, True]
    assert one.post_ids == other.post_ids
    assert len(await rows(two_storages[0], posts)) == len(DISCUSSION.posts)


async def test_a_load_that_is_cut_leaves_nothing_and_the_next_one_finds_a_free_place(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise ConnectionAbortedError

    with monkeypatch.context() as broken:
        broken.setattr(replay, "delete_comment", fail)
        with pytest.raises(ConnectionAbortedError):
            await load(storage)
    assert await everything(storage) == [[]] * len(ALL_TABLES)
    assert (await load(storage)).is_new


@pytest.mark.parametrize("table", [users, posts], ids=["people", "posts"])
async def test_other_content_is_never_joined(storage: Storage, table: sa.Table) -> None:
    person = {"handle": "eve", "handle_key": "eve", "display_name": "Eve", "created_at": NOW, "role": "MEMBER"}
    [(eve,)] = await storage.rows(users.insert().values(person).returning(users.c.id))
    if table is posts:
        post = {
            "author_id": eve,
            "kind": "ARTICLE",
            "title": "A",
            "slug": "a",
            "body": "",
            "body_html": "",
            "body_text": "",
        }
        times = {"state": "DRAFT", "created_at": NOW, "last_activity_at": NOW}
        await storage.rows(posts.insert().values(**post, **times).returning(posts.c.id))
    before = await everything(storage)
    with pytest.raises(OtherContent):
        await load(storage)
    assert await everything(storage) == before
