"""A WordPress site's discussions come in once, with their people, places and dates, however often one tries."""

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from graph.audience import Audience
from graph.change import Changes
from graph.comments.actions import add_comment
from graph.comments.paths import path_below, rpath_below
from graph.exchange import imports, parts
from graph.exchange.imports import import_wordpress
from graph.exchange.report import Places, Report, Tally, Unaccounted
from graph.exchange.rules import CIRCLE, PARENT_MISSING, PARENT_OUT, POST_GONE, REPEATED, TOO_DEEP
from graph.exchange.wordpress import UnreadableExport
from graph.posts.rules import Written
from graph.storage.database import Storage
from graph.storage.rows import Outcome, Row, Work
from graph.storage.tables import comments, events, metadata, origins, pingbacks, posts, topics, users
from subscriptions.brokers.memory import MemoryBroker

SHARED = Path(os.environ.get("PALABRE_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))
NOW = 1_700_000_000_000_000  # µs
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

HEAD = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:wp="http://wordpress.org/export/1.2/" xmlns:content="http://purl.org/rss/1.0/modules/content/"
  xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/" xmlns:dc="http://purl.org/dc/elements/1.1/">
<channel><title>L’arbre</title><link>https://arbre.example</link><language>fr-FR</language>
"""
TAIL = "</channel></rss>\n"


def at(minute: int) -> str:
    return str(datetime(2014, 1, 14, tzinfo=UTC) + timedelta(minutes=minute))[:19]


def micros(minute: int) -> int:
    return (datetime(2014, 1, 14, tzinfo=UTC) + timedelta(minutes=minute) - EPOCH) // timedelta(microseconds=1)


def tags(prefix: str, told: dict[str, Any]) -> str:
    return "".join(f"<wp:{prefix}{name}>{escape(str(value))}</wp:{prefix}{name}>" for name, value in told.items())


def comment(number: int, parent: int = 0, *, minute: int | None = None, **told: Any) -> str:
    usual = {
        "author": f"Moussa {number}",
        "author_email": "moussa@arbre.example",
        "date_gmt": at(number if minute is None else minute),
        "content": f"Parole {number}",
        "approved": "1",
        "type": "comment",
        "parent": parent,
        "user_id": 0,
    }
    return f"<wp:comment>{tags('comment_', {'id': number, **usual, **told})}</wp:comment>\n"


def item(number: int, *inside: str, creator: str = "awa", title: str = "Sous l’arbre", **told: Any) -> str:
    usual = {
        "post_date_gmt": at(0),
        "comment_status": "open",
        "post_name": f"billet-{number}",
        "status": "publish",
        "post_type": "post",
        "post_password": "",
    }
    text = f"<content:encoded>On parle de {number}.</content:encoded>"
    head = f"<title>{escape(title)}</title><dc:creator>{creator}</dc:creator>{text}"
    return f"<item>{head}{tags('', {'post_id': number, **usual, **told})}\n{''.join(inside)}</item>\n"


def author(login: str, **told: Any) -> str:
    usual = {"email": f"{login}@arbre.example", "display_name": login.title()}
    return f"<wp:author>{tags('author_', {'login': login, **usual, **told})}</wp:author>\n"


@dataclass
class Site:
    """The community into which exports are brought."""

    storage: Storage
    path: Path
    steps: list[tuple[int, int]] = field(default_factory=list)

    def write(self, *body: str | bytes) -> None:
        text = "".join(part for part in body if isinstance(part, str))
        self.path.write_bytes(body[0] if isinstance(body[0], bytes) else (HEAD + text + TAIL).encode())

    async def bring(self, *body: str | bytes, dry_run: bool = False, source: str | None = None) -> Report:
        if body:
            self.write(*body)

        def progress(done: int, of: int) -> None:
            self.steps.append((done, of))

        return await import_wordpress(
            self.storage, self.path, source=source, dry_run=dry_run, progress=progress, now=NOW
        )

    async def rows(self, *columns: Any) -> Sequence[Row]:
        return await self.storage.rows(sa.select(*columns).order_by(columns[0].table.c.id))

    async def tree(self) -> list[tuple[Any, ...]]:
        """Number, number of the parent, status, shown, replies, descendants: of all comments, as they arrived."""
        parent = comments.alias("parent")
        c = comments.c
        found = (
            sa.select(c.number, parent.c.number, c.status, c.shown, c.reply_count, c.descendant_count)
            .select_from(comments.outerjoin(parent, parent.c.id == c.parent_id))
            .order_by(c.post_id, c.number)
        )
        return [tuple(row) for row in await self.storage.rows(found)]

    async def everything(self) -> dict[str, list[Row]]:
        tables = [table for table in metadata.sorted_tables if table.name not in ("epochs", "events", "topics")]
        return {table.name: sorted(map(tuple, await self.storage.rows(sa.select(table)))) for table in tables}

    async def told(self) -> list[tuple[str, str]]:
        found = (
            sa.select(topics.c.name, events.c.kind)
            .join(topics, topics.c.id == events.c.topic_id)
            .order_by(topics.c.name, events.c.position)
        )
        return [(topic, kind) for topic, kind in await self.storage.rows(found)]

    async def clear(self) -> None:
        for table in reversed(metadata.sorted_tables):
            if table.name != "epochs":
                await self.storage.rows(table.delete())

    async def assert_sound(self) -> None:
        """Every number, path and counter is what the rows say, counted here from scratch."""
        found = await self.storage.rows(sa.select(*comments.c))
        rows = [dict(zip(comments.c.keys(), row, strict=True)) for row in found]
        by_id = {row["id"]: row for row in rows}
        for post in await self.storage.rows(sa.select(*posts.c)):
            told = dict(zip(posts.c.keys(), post, strict=True))
            mine = [row for row in rows if row["post_id"] == told["id"]]
            assert sorted(row["number"] for row in mine) == list(range(1, told["last_number"] + 1))
            assert told["comment_count"] == sum(row["status"] == "PUBLISHED" for row in mine)
            assert told["root_count"] == sum(row["shown"] and row["parent_id"] is None for row in mine)
            published = [row["created_at"] for row in mine if row["status"] == "PUBLISHED"]
            assert told["last_activity_at"] == max([told["created_at"], *published])
        for row in rows:
            parent = by_id.get(row["parent_id"])
            assert row["path"] == path_below(parent["path"] if parent else None, row["number"])
            assert row["rpath"] == rpath_below(parent["rpath"] if parent else None, row["number"])
            assert row["depth"] == (parent["depth"] + 1 if parent else 0)
            assert parent is None or (parent["post_id"] == row["post_id"] and parent["number"] < row["number"])
            below = [each for each in rows if each["shown"] and each["path"].startswith(row["path"]) and each != row]
            below = [each for each in below if each["post_id"] == row["post_id"]]
            assert row["descendant_count"] == len(below)
            assert row["reply_count"] == sum(each["parent_id"] == row["id"] for each in below)
            assert row["shown"] == (row["status"] == "PUBLISHED" or bool(below))


@pytest.fixture
def site(storage: Storage, tmp_path: Path) -> Site:
    return Site(storage, tmp_path / "export.xml")


def sums(report: Report) -> dict[str, tuple[int, int, dict[str, int]]]:
    return {
        kind: (
            tally.imported,
            tally.already_here,
            {reason: places.count for reason, places in tally.skipped.items()},
        )
        for kind, tally in report.kinds.items()
        if tally.total
    }


# -- Posts


async def test_a_post_comes_in_as_it_stood(site: Site) -> None:
    await site.bring(author("awa"), item(18, title="Sous l&#8217;arbre <em>ici</em>"))
    [row] = await site.rows(*posts.c)
    told = dict(zip(posts.c.keys(), row, strict=True))
    assert {name: told[name] for name in told if name not in ("id", "author_id")} == {
        "community_id": None,
        "kind": "ARTICLE",
        "slug": "billet-18",
        "title": "Sous l’arbre ici",
        "summary": None,
        "body": "",
        "body_html": "<p>On parle de 18.</p>",
        "body_text": "On parle de 18.",
        "language": "fr-FR",
        "state": "PUBLISHED",
        "discussion": "OPEN",
        "revision": 1,
        "created_at": micros(0),
        "published_at": micros(0),
        "edited_at": None,
        "last_activity_at": micros(0),
        "last_number": 0,
        "comment_count": 0,
        "root_count": 0,
    }
    assert await site.told() == [("community:none", "post_added")]


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({"status": "publish"}, ("PUBLISHED", micros(0))),
        ({"status": "draft"}, ("DRAFT", None)),
        ({"status": "pending"}, ("DRAFT", None)),
        ({"status": "future"}, ("DRAFT", None)),
        ({"post_type": "page"}, ("PUBLISHED", micros(0))),
    ],
)
async def test_only_what_was_published_is_published(site: Site, told: dict[str, str], outcome: tuple[Any, ...]) -> None:
    await site.bring(item(1, **told))
    assert [tuple(row) for row in await site.rows(posts.c.state, posts.c.published_at)] == [outcome]
    assert len(await site.told()) == (outcome[0] == "PUBLISHED")


@pytest.mark.parametrize(
    ("told", "kind", "reason"),
    [
        ({"status": "private"}, "post", "in state “private”"),
        ({"status": "trash"}, "post", "in the trash"),
        ({"post_password": "enter"}, "post", "protected by a password"),
        ({"post_type": "attachment"}, "other", "of type “attachment”"),
        ({"post_type": "nav_menu_item"}, "other", "of type “nav_menu_item”"),
        ({"post_type": "revision", "status": "inherit"}, "other", "of type “revision”"),
        ({"post_type": "recette"}, "other", "of type “recette”"),
    ],
)
async def test_what_is_no_post_for_all_stays_out_with_its_discussion(
    site: Site, told: dict[str, str], kind: str, reason: str
) -> None:
    report = await site.bring(item(1, comment(2), comment(3, type="pingback"), **told))
    assert sums(report) == {
        kind: (0, 0, {reason: 1}),
        "comment": (0, 0, {POST_GONE: 1}),
        "pingback": (0, 0, {POST_GONE: 1}),
    }
    assert report.of(kind).skipped[reason] == Places(1, [5])
    assert [len(rows) for rows in (await site.everything()).values()] == [0] * len(await site.everything())


async def test_posts_with_one_name_get_addresses_of_their_own(site: Site) -> None:
    await site.bring(item(1, post_name=""), item(2, post_name=""), item(3, post_name="%c3%a9t%c3%a9"))
    assert [slug for (slug,) in await site.rows(posts.c.slug)] == ["sous-l-arbre", "sous-l-arbre-2", "ete"]


async def test_a_post_without_a_title_is_named_by_its_first_words(site: Site) -> None:
    await site.bring(item(1, title=""))
    assert [title for (title,) in await site.rows(posts.c.title)] == ["On parle de 1."]


async def test_a_closed_discussion_stays_closed(site: Site) -> None:
    await site.bring(item(1, comment_status="closed"))
    assert [state for (state,) in await site.rows(posts.c.discussion)] == ["LOCKED"]


async def test_an_item_that_stands_twice_in_the_file_comes_in_once(site: Site) -> None:
    report = await site.bring(item(1, comment(2)), item(1, comment(2), comment(3)))
    assert sums(report)["post"] == (1, 0, {REPEATED: 1})
    assert sums(report)["comment"] == (1, 0, {POST_GONE: 2})


# -- People


async def test_authors_come_in_without_a_password(site: Site) -> None:
    report = await site.bring(author("awa", display_name="Awa Ndiaye"), item(1), item(2, creator="griot"))
    columns = (users.c.handle, users.c.display_name, users.c.email, users.c.password_hash, users.c.created_at)
    assert [tuple(row) for row in await site.rows(*columns)] == [
        ("awa", "Awa Ndiaye", "awa@arbre.example", None, micros(0)),
        ("griot", "griot", None, None, micros(0)),
    ]
    assert sums(report)["author"] == (2, 0, {})


async def test_commenters_are_told_apart_by_name_and_address(site: Site) -> None:
    await site.bring(
        item(
            1,
            comment(1, author="Moussa", author_email="m@a.example"),
            comment(2, author="Moussa", author_email="M@A.example"),
            comment(3, author="Moussa", author_email="other@a.example"),
            comment(4, author="", author_email=""),
            comment(5, author="Ping &laquo; Pong", author_email=""),
            creator="",
        )
    )
    assert [tuple(row) for row in await site.rows(users.c.handle, users.c.display_name, users.c.email)][1:] == [
        ("moussa", "Moussa", None),
        ("moussa_2", "Moussa", None),
        ("anonyme_2", "Anonyme", None),
        ("ping_pong", "Ping « Pong", None),
    ]
    authors = [author_id for (author_id,) in await site.rows(comments.c.author_id)]
    assert authors[0] == authors[1] != authors[2]


async def test_an_author_who_was_signed_in_comments_as_the_author(site: Site) -> None:
    signed_in = comment(1, author="Awa", author_email="", user_id=7)
    by_address = comment(2, author="Awa", author_email="awa@arbre.example", user_id=8)
    pretender = comment(3, author="Awa", author_email="awa@arbre.example")
    await site.bring(author("awa", id=7), item(1, signed_in, by_address, pretender))
    [(awa, _), (other, _)] = await site.rows(users.c.id, users.c.handle)
    assert [author_id for (author_id,) in await site.rows(comments.c.author_id)] == [awa, awa, other]


async def test_a_handle_that_somebody_has_is_left_to_them(site: Site) -> None:
    here = {"handle": "Awa", "handle_key": "awa", "display_name": "Awa", "created_at": 1}
    await site.storage.rows(users.insert().values(**here, email="a@b.example", email_key="awa@arbre.example"))
    await site.bring(author("awa"), author("admin"), item(1))
    assert [tuple(row) for row in await site.rows(users.c.handle, users.c.email)] == [
        ("Awa", "a@b.example"),
        ("awa_2", None),
        ("admin_2", "admin@arbre.example"),
    ]


async def test_many_people_of_one_name_all_find_a_handle(site: Site) -> None:
    many = [comment(number, author="Anonymous", author_email=f"{number}@a.example") for number in range(1, 60)]
    await site.bring(item(1, *many))
    handles = [handle for (handle,) in await site.rows(users.c.handle)]
    assert len(set(handles)) == 60
    assert all(2 <= len(handle) <= 30 for handle in handles)


# -- Comments


async def test_replies_find_their_places_whatever_their_order_in_the_file(site: Site) -> None:
    report = await site.bring(item(1, comment(30, 20), comment(20, 10), comment(40, 10), comment(10), comment(50)))
    assert await site.tree() == [
        (1, None, "PUBLISHED", 1, 2, 3),
        (2, 1, "PUBLISHED", 1, 1, 1),
        (3, 2, "PUBLISHED", 1, 0, 0),
        (4, 1, "PUBLISHED", 1, 0, 0),
        (5, None, "PUBLISHED", 1, 0, 0),
    ]
    assert report.notes == {}
    await site.assert_sound()


async def test_a_reply_that_claims_to_be_older_than_its_parent_comes_after_it(site: Site) -> None:
    await site.bring(item(1, comment(1, minute=50), comment(2, 1, minute=10), comment(3, minute=20)))
    rows = await site.rows(comments.c.number, comments.c.body_text, comments.c.created_at)
    assert sorted(tuple(row) for row in rows) == [
        (1, "Parole 3", micros(20)),
        (2, "Parole 1", micros(50)),
        (3, "Parole 2", micros(10)),
    ]


async def test_approval_decides_what_readers_see(site: Site) -> None:
    report = await site.bring(
        item(
            1,
            comment(1, approved="0"),
            comment(2, 1),
            comment(3, approved="0"),
            comment(4, approved="spam"),
            comment(5, approved="trash"),
            comment(6, approved="post-trashed"),
            comment(7, type="order_note"),
            comment(8, approved="x"),
        )
    )
    assert await site.tree() == [
        (1, None, "PENDING", 1, 1, 1),  # a placeholder, for the reply below it
        (2, 1, "PUBLISHED", 1, 0, 0),
        (3, None, "PENDING", 0, 0, 0),
    ]
    reasons = {"spam": 1, "in the trash": 2, "of type “order_note”": 1, "in state “x”": 1}
    assert sums(report)["comment"] == (3, 0, reasons)
    await site.assert_sound()


async def test_a_reply_to_what_is_missing_answers_the_post(site: Site) -> None:
    report = await site.bring(item(1, comment(2, 99)), item(3, comment(4, 2)))
    assert [row[:2] for row in await site.tree()] == [(1, None), (1, None)]
    assert report.notes == {PARENT_MISSING: Places(2, [6, 9])}


async def test_a_reply_to_what_stays_out_answers_what_that_one_answered(site: Site) -> None:
    report = await site.bring(
        item(1, comment(1), comment(2, 1, approved="spam"), comment(3, 2, approved="trash"), comment(4, 3))
    )
    assert [row[:2] for row in await site.tree()] == [(1, None), (2, 1)]
    assert report.notes == {PARENT_OUT: Places(1, [9])}


async def test_a_circle_of_replies_is_opened_at_its_earliest(site: Site) -> None:
    report = await site.bring(item(1, comment(3, 4), comment(4, 5), comment(5, 3), comment(6, 5), comment(7, 7)))
    assert [row[:2] for row in await site.tree()] == [(1, None), (2, 1), (3, 2), (4, 2), (5, None)]
    assert report.notes == {CIRCLE: Places(2, [6, 10])}
    await site.assert_sound()


async def test_replies_deeper_than_a_thread_goes_are_attached_further_up(site: Site) -> None:
    report = await site.bring(item(1, *(comment(number, number - 1) for number in range(1, 121))))
    assert [depth for (depth,) in await site.rows(comments.c.depth)] == [*range(100), *([99] * 20)]
    assert report.notes[TOO_DEEP].count == 20
    await site.assert_sound()


async def test_the_same_comment_twice_comes_in_once_and_another_under_its_number_too(site: Site) -> None:
    report = await site.bring(item(1, comment(1), comment(1), comment(1, content="Autre")))
    assert sums(report)["comment"] == (2, 0, {REPEATED: 1})
    assert sums(await site.bring())["comment"] == (0, 2, {REPEATED: 1})


async def test_a_comment_without_a_date_has_that_of_its_post(site: Site) -> None:
    await site.bring(item(1, comment(1, date_gmt="0000-00-00 00:00:00"), comment(2, date="2014-01-14 00:02:00")))
    assert [moment for (moment,) in await site.rows(comments.c.created_at)] == [micros(0), micros(2)]


async def test_what_people_wrote_is_safe_and_complete(site: Site) -> None:
    await site.bring(item(1, comment(1, content="«\u00a0Œuvre\u00a0» <script>x</script><i onclick=x>ici</i>\n\nlà")))
    assert [tuple(row) for row in await site.rows(comments.c.body, comments.c.body_html, comments.c.body_text)] == [
        ("", "<p>«&nbsp;Œuvre&nbsp;» <i>ici</i></p>\n<p>là</p>", "«\u00a0Œuvre\u00a0» ici\n\nlà")
    ]


async def test_notices_of_other_sites_are_kept_apart(site: Site) -> None:
    notice: dict[str, Any] = {
        "author": "Un site &laquo; ici",
        "author_url": "https://b.example/x",
        "content": "[...] <b>cité</b> [...]",
    }
    report = await site.bring(
        item(
            1,
            comment(1, type="pingback", **notice),
            comment(2, type="trackback", approved="0", **notice),
            comment(3, 1),
            comment(4, type="pingback", approved="spam"),
            comment(5, type="pingback", author_url="javascript:alert(1)"),
        )
    )
    columns = (pingbacks.c.kind, pingbacks.c.url, pingbacks.c.title, pingbacks.c.excerpt, pingbacks.c.status)
    told = ("https://b.example/x", "Un site « ici", "[...] cité [...]")
    assert [tuple(row) for row in await site.rows(*columns)] == [
        ("PINGBACK", *told, "PUBLISHED"),
        ("TRACKBACK", *told, "PENDING"),
    ]
    assert sums(report)["pingback"] == (1, 0, {"spam": 1, "without an address of the web": 1})
    assert sums(report)["trackback"] == (1, 0, {})
    assert [row[:2] for row in await site.tree()] == [(1, None)]
    assert sums(await site.bring())["pingback"] == (0, 1, {"spam": 1, "without an address of the web": 1})


# -- Again, and again


async def test_a_second_run_brings_nothing(site: Site) -> None:
    first = await site.bring(author("awa"), item(1, comment(1), comment(2, 1)), item(2, status="draft"))
    before, told = await site.everything(), await site.told()
    second = await site.bring()
    assert await site.everything() == before
    assert await site.told() == told
    assert sums(first) == {"author": (1, 0, {}), "post": (2, 0, {}), "comment": (2, 0, {}), "commenter": (2, 0, {})}
    assert sums(second) == {"author": (0, 1, {}), "post": (0, 2, {}), "comment": (0, 2, {})}


async def test_a_rehearsal_reports_the_same_and_writes_nothing(site: Site) -> None:
    body = [author("awa"), item(1, comment(1), comment(2, 9), comment(3, approved="spam")), item(2, status="trash")]
    before = await site.everything()
    rehearsal = await site.bring(*body, dry_run=True)
    assert await site.everything() == before
    report = await site.bring()
    assert (sums(rehearsal), rehearsal.notes) == (sums(report), report.notes)
    assert (rehearsal.dry_run, report.dry_run) == (True, False)


async def test_two_sites_are_told_apart(site: Site) -> None:
    await site.bring(item(1, comment(1)))
    report = await site.bring(source="another")
    assert report.source == "another"
    assert sums(report)["post"] == (1, 0, {})
    assert await site.rows(posts.c.slug) == [("billet-1",), ("billet-1-2",)]


async def test_a_later_export_adds_what_came_since_and_tells_it(site: Site) -> None:
    await site.bring(item(1, comment(1), comment(2, 1, approved="0")))
    report = await site.bring(
        item(1, comment(1), comment(2, 1, approved="0"), comment(3, 2, minute=0), comment(4), comment(5, approved="0"))
    )
    assert sums(report)["comment"] == (3, 2, {})
    assert await site.tree() == [
        (1, None, "PUBLISHED", 1, 1, 2),
        (2, 1, "PENDING", 1, 1, 1),  # now a placeholder
        (3, 2, "PUBLISHED", 1, 0, 0),
        (4, None, "PUBLISHED", 1, 0, 0),
        (5, None, "PENDING", 0, 0, 0),
    ]
    await site.assert_sound()
    [(post_id,)] = await site.rows(posts.c.id)
    topic = f"post:{post_id}"
    assert await site.told() == [("community:none", "post_added"), *[(topic, "comment_added")] * 3]
    assert [position for (position,) in await site.rows(comments.c.shown_from)] == [None, 1, 2, 3, None]
    assert report.told == {topic}


async def test_a_reply_to_what_came_with_an_earlier_export_is_placed_below_it(site: Site) -> None:
    await site.bring(item(1, comment(1), comment(2, 1)))
    report = await site.bring(item(1, comment(3, 2)))
    assert [row[:2] for row in await site.tree()] == [(1, None), (2, 1), (3, 2)]
    assert report.notes == {}
    await site.assert_sound()


async def test_a_deep_thread_that_was_brought_before_goes_on_at_its_last_level(site: Site) -> None:
    await site.bring(item(1, *(comment(number, number - 1) for number in range(1, 101))))
    report = await site.bring(item(1, comment(101, 100), comment(102, 101)))
    assert [depth for (depth,) in await site.rows(comments.c.depth)][-2:] == [99, 99]
    assert report.notes[TOO_DEEP].count == 2
    await site.assert_sound()


async def test_what_was_answered_here_in_the_meantime_keeps_its_place(site: Site) -> None:
    await site.bring(item(1, comment(1)))
    [(post_id, viewer_id)] = await site.rows(posts.c.id, posts.c.author_id)
    [(comment_id,)] = await site.rows(comments.c.id)
    changes = Changes(site.storage, MemoryBroker(), lambda: NOW)
    await changes.run(
        partial(add_comment, post_id=post_id, parent_id=comment_id, written=Written("Ici", "<p>Ici</p>", "Ici")),
        audience=Audience(viewer_id=viewer_id, role="MEMBER"),
    )
    await site.bring(item(1, comment(1), comment(2, 1, minute=0)))
    assert await site.tree() == [
        (1, None, "PUBLISHED", 1, 2, 2),
        (2, 1, "PUBLISHED", 1, 0, 0),
        (3, 1, "PUBLISHED", 1, 0, 0),
    ]
    await site.assert_sound()


async def test_a_large_discussion_comes_in_by_parts_and_is_seen_when_it_is_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "PART_COMMENTS", 4)
    states: list[str] = []
    write = site.storage.write

    async def watched(works: Sequence[Work[Any]]) -> list[Outcome]:
        outcomes = await write(works)
        states.extend(state for (state,) in await site.rows(posts.c.state))
        return outcomes

    monkeypatch.setattr(site.storage, "write", watched)
    await site.bring(item(1, *(comment(number, number // 2) for number in range(1, 20))))
    assert states == ["DRAFT"] * 4 + ["PUBLISHED"]
    await site.assert_sound()
    assert await site.told() == [("community:none", "post_added")]
    assert site.steps[-1] == (20, 20)
    assert await site.storage.rows(sa.select(origins).where(origins.c.kind == parts.UNFINISHED)) == []


class Cut(Exception):
    """The power is gone."""


@pytest.mark.parametrize("writes", range(1, 6))
async def test_a_run_that_was_cut_goes_on_where_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    monkeypatch.setattr(imports, "PART_COMMENTS", 3)
    monkeypatch.setattr(imports, "BATCH_PARTS", 2)
    body = [
        author("awa"),
        item(1, *(comment(number, number // 2) for number in range(1, 12))),
        item(2, comment(1)),
        item(3, creator="griot"),
    ]
    await site.bring(*body)
    whole = await site.everything()
    await site.clear()

    left = writes
    write = site.storage.write

    async def cutting(works: Sequence[Work[Any]]) -> list[Outcome]:
        nonlocal left
        left -= 1
        if left < 0:
            raise Cut
        return await write(works)

    with monkeypatch.context() as patch:
        patch.setattr(site.storage, "write", cutting)
        with pytest.raises(Cut):
            await site.bring()
    report = await site.bring()
    assert sums(report)["comment"][0] + sums(report)["comment"][1] == 12
    await site.assert_sound()
    assert contents(await site.everything()) == contents(whole)


def contents(everything: dict[str, list[Row]]) -> list[tuple[Any, ...]]:
    """What two communities have in common that differ in nothing but the identities of their rows."""
    told: list[tuple[Any, ...]] = []
    for name, rows in everything.items():
        columns = [place for place, column in enumerate(metadata.tables[name].c) if not column.name.endswith("id")]
        told += sorted((name, *(row[place] for place in columns)) for row in rows)
    return told


# -- What is broken


async def test_a_broken_export_changes_nothing(site: Site) -> None:
    site.write(item(1, comment(1)))
    whole = site.path.read_bytes()
    before = await site.everything()
    for end in range(0, len(whole.rstrip()) - 1, 50):
        with pytest.raises(UnreadableExport):
            await site.bring(whole[:end])
    assert await site.everything() == before


async def test_an_export_with_wrong_bytes_is_refused_or_accounted_for(site: Site) -> None:
    site.write(author("awa"), item(1, comment(1), comment(2, 1), comment(3, 2)), item(2, comment(4, type="pingback")))
    whole = site.path.read_bytes()
    chance = random.Random(7)
    for _ in range(60):
        place = chance.randrange(len(whole))
        broken = whole[:place] + bytes([chance.randrange(256)]) + whole[place + 1 :]
        before = await site.everything()
        try:
            await site.bring(broken)
        except UnreadableExport:
            assert await site.everything() == before
    await site.assert_sound()


def test_a_thing_that_is_nowhere_in_the_report_is_a_defect() -> None:
    report = Report("x", dry_run=False, kinds={"post": Tally(imported=1)})
    report.check({"post": 1})
    with pytest.raises(Unaccounted, match="2 of kind post in the file, 1 in the report"):
        report.check({"post": 2})


# -- Any tree at all


FOREST = st.lists(
    st.tuples(st.integers(0, 14), st.integers(0, 30), st.sampled_from(["1", "1", "1", "0", "spam"])), max_size=14
)


@given(first=FOREST, more=FOREST)
async def test_any_discussion_in_any_two_exports_is_sound(
    site: Site, first: list[tuple[int, int, str]], more: list[tuple[int, int, str]]
) -> None:
    await site.clear()
    every = [
        comment(number, parent, minute=minute, approved=approved)
        for number, (parent, minute, approved) in enumerate([*first, *more], 1)
    ]
    await site.bring(item(1, *every[: len(first)]))
    await site.assert_sound()
    report = await site.bring(item(1, *every))
    await site.assert_sound()
    assert report.of("comment").total == len(every)


# -- Exports that we did not write


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "isso.wordpress.xml",
            {"author": (2, 0, {}), "post": (3, 0, {}), "comment": (8, 0, {}), "commenter": (5, 0, {})},
        ),
        (
            "theme-test-data.themeunittestdata.wordpress.xml",
            {
                "author": (3, 0, {}),
                "post": (57, 0, {"protected by a password": 1}),
                "page": (21, 0, {}),
                "other": (0, 0, {"of type “attachment”": 37, "of type “nav_menu_item”": 70}),
                "comment": (28, 0, {POST_GONE: 1}),
                "commenter": (16, 0, {}),
                "pingback": (2, 0, {}),
                "trackback": (2, 0, {}),
            },
        ),
    ],
)
async def test_exports_from_elsewhere_come_in_completely(
    site: Site, name: str, expected: dict[str, tuple[int, int, dict[str, int]]]
) -> None:
    if not (SHARED / name).exists():
        pytest.skip(f"no {name} in PALABRE_SHARED_DATA ({SHARED})")
    site.path = SHARED / name
    assert sums(await site.bring()) == expected
    await site.assert_sound()
    before = await site.everything()
    again = await site.bring()
    assert sum(tally.imported for tally in again.kinds.values()) == 0
    assert await site.everything() == before
