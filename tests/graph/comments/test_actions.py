"""What a person can do with comments: what is kept, counted, erased and told, on both engines."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from graph.comments import actions, rules
from graph.comments.paths import path_below, rpath_below
from graph.communities import actions as community_actions
from graph.context import Viewer
from graph.ids import global_id
from graph.posts import actions as post_actions
from graph.refusals import Closed, Conflict, Invalid, NotFound, NotPermitted, Refusal, SignInFirst
from graph.storage.tables import comments, posts, revisions

SECOND = 1_000_000  # µs
START = 1_700_000_000_000_000  # µs
NOBODY = Viewer()
TOP: dict[str, Any] = {"depth": -1, "path": "", "rpath": ""}  # what a root hangs below
# No-break spaces, ligatures, and emoji of several characters.
FRENCH = (
    "« C’est\u00a0à dire\u202f: l’œuvre » — ﬁn, 12\u202f000\u00a0€ 👩\u200d👩\u200d👧\u200d👦 ❤\ufe0f 🏳\ufe0f\u200d🌈"
)


@dataclass
class Discussion:
    """A post by Greg, and a way to say in one line who does what in it."""

    community: Any
    greg: Viewer
    michel: Viewer
    anna: Viewer  # moderator of the site
    post: int = 0
    known: list[int] = field(default_factory=list)

    async def add(self, who: Viewer, parent: int | None = None, body: str = "+1", post: int | None = None) -> int:
        self.community.now += SECOND
        comment: int = await self.community.answer_post(who, post or self.post, body, parent)
        return comment

    async def edit(self, who: Viewer, comment: int, body: str, **given: Any) -> None:
        self.community.now += SECOND
        written = rules.written(body)
        await self.community.act(
            lambda change: actions.edit_comment(change, comment_id=comment, written=written, **given), who
        )

    async def delete(self, who: Viewer, comment: int) -> None:
        self.community.now += SECOND
        await self.community.act(lambda change: actions.delete_comment(change, comment_id=comment), who)

    async def pending(self, who: Viewer, parent: int | None = None) -> int:
        """One that waits for approval, as imports bring them."""
        above = TOP if parent is None else await self.row(parent)
        number = (await self.post_row())["last_number"] + 1
        values = {
            "post_id": self.post,
            "parent_id": parent,
            "author_id": who.audience.viewer_id,
            "number": number,
            "depth": above["depth"] + 1,
            "path": path_below(above["path"], number),
            "rpath": rpath_below(above["rpath"], number),
            "status": "PENDING",
            "shown": 0,
            "body": "un secret",
            "body_html": "<p>un secret</p>",
            "body_text": "un secret",
            "created_at": self.community.now,
        }
        await self.community.storage.rows(posts.update().values(last_number=number).returning(posts.c.id))
        [(comment,)] = await self.community.storage.rows(comments.insert().values(**values).returning(comments.c.id))
        return int(comment)

    async def row(self, comment: int) -> dict[str, Any]:
        [row] = await self.community.storage.rows(comments.select().where(comments.c.id == comment))
        return dict(zip(comments.columns.keys(), row, strict=True))

    async def post_row(self) -> dict[str, Any]:
        [row] = await self.community.storage.rows(posts.select().where(posts.c.id == self.post))
        return dict(zip(posts.columns.keys(), row, strict=True))

    async def told(self) -> list[tuple[str, Any, Any]]:
        """(kind, by whom, which comment) of what was told in the post's topic."""
        told = [(kind, orjson.loads(data)) for kind, data in await self.community.events()]
        return [(kind, data["by"], data.get("comment_id")) for kind, data in told if "by" in data]

    async def kept(self) -> Any:
        tables = [await self.community.table(table) for table in (posts, comments, revisions)]
        return [*tables, await self.community.events()]

    async def shown(self) -> list[int]:
        """Ids in the order of reading."""
        found = sa.select(comments.c.id).where(comments.c.shown == 1).order_by(comments.c.path)
        return [comment for (comment,) in await self.community.storage.rows(found)]


@pytest.fixture
async def discussion(community: Any) -> Discussion:
    roles = {"greg": "MEMBER", "michel": "MEMBER", "anna": "MODERATOR"}
    people = {name: await community.viewer(await community.person(name, role=role)) for name, role in roles.items()}
    discussion = Discussion(community, **people)
    discussion.post = await community.publish(people["greg"])
    return discussion


async def recounted(discussion: Discussion) -> None:
    """Every counter and every path is what counting and walking the tree again gives."""
    names = comments.columns.keys()
    table = await discussion.community.table(comments)
    rows = [dict(zip(names, row, strict=True)) for row in table if row[names.index("post_id")] == discussion.post]
    by_id = {row["id"]: row for row in rows}
    visible = [row for row in rows if row["shown"]]
    for row in rows:
        above = by_id.get(row["parent_id"], TOP)
        assert row["path"] == path_below(above["path"], row["number"])
        assert row["rpath"] == rpath_below(above["rpath"], row["number"])
        assert row["depth"] == above["depth"] + 1
        below = [other for other in visible if other["path"].startswith(row["path"]) and other is not row]
        assert row["shown"] == int(row["status"] == "PUBLISHED" or bool(below))
        assert row["descendant_count"] == len(below)
        assert row["reply_count"] == sum(other["parent_id"] == row["id"] for other in below)
    post = await discussion.post_row()
    assert sorted(row["number"] for row in rows) == list(range(1, len(rows) + 1))
    assert post["last_number"] == len(rows)
    assert post["comment_count"] == sum(row["status"] == "PUBLISHED" for row in rows)
    assert post["root_count"] == sum(row["parent_id"] is None for row in visible)


# Adding -------------------------------------------------------------------------------------------------------------


async def test_a_comment_is_kept_with_its_place_and_told(discussion: Discussion) -> None:
    first = await discussion.add(discussion.michel, body=" *un* ")
    second = await discussion.add(discussion.greg, first, "deux")
    row = await discussion.row(second)
    expected = {
        "id": second,
        "post_id": discussion.post,
        "community_id": None,
        "parent_id": first,
        "author_id": discussion.greg.audience.viewer_id,
        "number": 2,
        "depth": 1,
        "path": "0000100002",
        "rpath": "VVVVUVVVVT",
        "status": "PUBLISHED",
        "shown": 1,
        "body": "deux",
        "body_html": "<p>deux</p>",
        "body_text": "deux",
        "revision": 1,
        "created_at": START + 2 * SECOND,
        "edited_at": None,
        "reply_count": 0,
        "descendant_count": 0,
        "shown_from": 2,
        "shown_until": None,
    }
    assert row == expected
    post = await discussion.post_row()
    assert (post["comment_count"], post["root_count"], post["last_activity_at"]) == (2, 1, START + 2 * SECOND)
    assert await discussion.told() == [
        ("comment_added", discussion.michel.audience.viewer_id, first),
        ("comment_added", discussion.greg.audience.viewer_id, second),
    ]


async def test_one_answers_at_every_depth_to_100_levels_and_no_deeper(discussion: Discussion) -> None:
    parent: int | None = None
    for depth in range(100):
        parent = await discussion.add(discussion.greg, parent)
        assert (await discussion.row(parent))["depth"] == depth
    before = await discussion.kept()
    with pytest.raises(Invalid) as refused:
        await discussion.add(discussion.greg, parent)
    assert (refused.value.path, refused.value.limit) == (("input", "parentId"), 100)
    assert await discussion.kept() == before
    await recounted(discussion)


async def test_french_text_comes_back_as_it_was_written(discussion: Discussion) -> None:
    row = await discussion.row(await discussion.add(discussion.greg, body=FRENCH))
    assert (row["body"], row["body_text"]) == (FRENCH, FRENCH)


async def test_an_answer_to_what_is_not_there_is_refused_and_nothing_changes(discussion: Discussion) -> None:
    other = await discussion.community.publish(discussion.greg, "Autre")
    elsewhere = await discussion.add(discussion.greg, post=other)
    deleted = await discussion.add(discussion.greg)
    await discussion.add(discussion.michel, deleted)
    await discussion.delete(discussion.greg, deleted)
    waiting = await discussion.pending(discussion.michel)
    before = await discussion.kept()
    for parent in (elsewhere, deleted, waiting, 999):
        for who in (discussion.michel, discussion.anna):
            with pytest.raises(NotFound) as refused:
                await discussion.add(who, parent)
            assert (str(refused.value), refused.value.path) == (
                "The comment you answer is gone.",
                ("input", "parentId"),
            )
    assert await discussion.kept() == before


async def test_who_cannot_see_the_post_or_is_not_signed_in_answers_nothing(discussion: Discussion) -> None:
    draft = await discussion.community.publish(discussion.greg, "Brouillon", publish=False)
    before = await discussion.kept()
    for who, post, refusal in (
        (NOBODY, discussion.post, SignInFirst),
        (NOBODY, draft, NotFound),
        (discussion.michel, draft, NotFound),
        (discussion.anna, draft, NotFound),
        (discussion.greg, draft, Closed),
        (discussion.greg, 999, NotFound),
    ):
        with pytest.raises(refusal):
            await discussion.add(who, post=post)
    assert await discussion.kept() == before


async def test_a_locked_discussion_takes_no_more_answers_and_lets_one_edit_and_delete(discussion: Discussion) -> None:
    comment = await discussion.add(discussion.michel)
    await discussion.community.storage.rows(posts.update().values(discussion="LOCKED").returning(posts.c.id))
    before = await discussion.kept()
    for who in (discussion.michel, discussion.anna, discussion.greg):
        with pytest.raises(Closed) as refused:
            await discussion.add(who)
        assert refused.value.path == ("input", "postId")
    assert await discussion.kept() == before
    await discussion.edit(discussion.michel, comment, "-1")
    await discussion.delete(discussion.michel, comment)


# Editing ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("closing", "given", "refusal"),
    [("archive_community", [], Closed), ("ban_from_community", ["user_id"], NotPermitted)],
)
async def test_where_one_writes_no_longer_one_edits_nothing_and_may_delete(
    discussion: Discussion, closing: str, given: list[str], refusal: type[Refusal]
) -> None:
    community = discussion.community
    ada = await community.viewer(await community.person("ada", role="ADMIN"))
    place = await community.act(lambda change: community_actions.create_community(change, name="Cave"), ada)
    ada = await community.viewer(ada.audience.viewer_id)
    post = await community.publish(ada, community_id=place)
    said = await discussion.add(discussion.greg, post=post)
    greg_id = discussion.greg.audience.viewer_id
    action = getattr(community_actions, closing)
    await community.act(lambda change: action(change, community_id=place, **dict.fromkeys(given, greg_id)), ada)
    greg = await community.viewer(greg_id)
    before = await community.table(comments)
    with pytest.raises(refusal):
        await discussion.add(greg, post=post)
    with pytest.raises(refusal):
        await discussion.edit(greg, said, "non")
    assert await community.table(comments) == before
    text = "query ($id: ID!) { comment(id: $id) { viewerCan { reply edit delete } } }"
    shown = (await community.data(text, greg, id=global_id("Comment", said)))["comment"]["viewerCan"]
    assert shown == {"reply": False, "edit": False, "delete": True}
    await discussion.delete(greg, said)
    assert (await discussion.row(said))["status"] == "DELETED"


async def test_former_texts_are_kept_in_their_order(discussion: Discussion) -> None:
    comment = await discussion.add(discussion.michel, body="un")
    await discussion.edit(discussion.michel, comment, "deux", reason=" faute ")
    await discussion.edit(discussion.michel, comment, "trois", expected_revision=2)
    names = revisions.columns.keys()
    wanted = ("comment_id", "post_id", "number", "title", "body", "body_html", "reason", "written_at")
    kept = [tuple(row[names.index(name)] for name in wanted) for row in await discussion.community.table(revisions)]
    assert kept == [
        (comment, None, 1, None, "un", "<p>un</p>", "faute", START + SECOND),
        (comment, None, 2, None, "deux", "<p>deux</p>", None, START + 2 * SECOND),
    ]
    row = await discussion.row(comment)
    assert (row["body"], row["body_text"], row["revision"], row["edited_at"]) == (
        "trois",
        "trois",
        3,
        START + 3 * SECOND,
    )
    assert [kind for kind, *_ in await discussion.told()] == ["comment_added", "comment_changed", "comment_changed"]


async def test_an_edit_that_changes_nothing_is_no_edit(discussion: Discussion) -> None:
    comment = await discussion.add(discussion.michel, body="un")
    before = await discussion.kept()
    await discussion.edit(discussion.michel, comment, " un\n", expected_revision=1)
    assert await discussion.kept() == before


async def test_only_its_author_edits_a_comment_and_only_the_text_they_saw(discussion: Discussion) -> None:
    comment = await discussion.add(discussion.michel)
    before = await discussion.kept()
    for who, refusal in ((discussion.greg, NotPermitted), (discussion.anna, NotPermitted), (NOBODY, SignInFirst)):
        with pytest.raises(refusal):
            await discussion.edit(who, comment, "-1")
    for seen in (0, 2):
        with pytest.raises(Conflict):
            await discussion.edit(discussion.michel, comment, "-1", expected_revision=seen)
    with pytest.raises(NotFound):
        await discussion.edit(discussion.michel, comment + 1, "-1")
    assert await discussion.kept() == before


# Deleting -----------------------------------------------------------------------------------------------------------


async def test_a_leaf_leaves_the_tree_and_its_texts_are_erased(discussion: Discussion) -> None:
    root = await discussion.add(discussion.greg)
    leaf = await discussion.add(discussion.michel, root, "un secret")
    await discussion.edit(discussion.michel, leaf, "encore un secret")
    await discussion.delete(discussion.michel, leaf)
    row = await discussion.row(leaf)
    texts = {name: row[name] for name in ("body", "body_html", "body_text", "edited_at")}
    assert texts == {"body": "", "body_html": "", "body_text": "", "edited_at": None}
    assert (row["status"], row["shown"], row["shown_from"], row["shown_until"]) == ("DELETED", 0, 2, 4)
    assert await discussion.community.table(revisions) == []
    assert (await discussion.told())[-1] == ("comment_removed", discussion.michel.audience.viewer_id, leaf)
    assert await discussion.shown() == [root]
    await recounted(discussion)


async def test_with_replies_a_tombstone_keeps_the_place(discussion: Discussion) -> None:
    root = await discussion.add(discussion.michel, body="un secret")
    reply = await discussion.add(discussion.greg, root)
    await discussion.delete(discussion.michel, root)
    row = await discussion.row(root)
    assert (row["status"], row["shown"], row["body"], row["body_html"], row["body_text"]) == ("DELETED", 1, "", "", "")
    assert (row["reply_count"], row["descendant_count"], row["shown_until"]) == (1, 1, None)
    assert (await discussion.told())[-1] == ("comment_changed", discussion.michel.audience.viewer_id, root)
    assert await discussion.shown() == [root, reply]
    post = await discussion.post_row()
    assert (post["comment_count"], post["root_count"]) == (1, 1)
    await recounted(discussion)


async def test_tombstones_fall_with_the_last_reply_that_they_stood_for(discussion: Discussion) -> None:
    root = await discussion.add(discussion.michel)
    other = await discussion.add(discussion.greg)
    one = await discussion.add(discussion.michel, root)
    two = await discussion.add(discussion.michel, one)
    three = await discussion.add(discussion.greg, two)
    side = await discussion.add(discussion.greg, root)
    for comment in (root, one, two):
        await discussion.delete(discussion.michel, comment)
    assert await discussion.shown() == [root, one, two, three, side, other]

    await discussion.delete(discussion.greg, three)
    assert await discussion.shown() == [root, side, other]
    assert (await discussion.told())[-1] == ("comment_removed", discussion.greg.audience.viewer_id, one)
    await recounted(discussion)

    await discussion.delete(discussion.greg, side)
    assert await discussion.shown() == [other]
    assert (await discussion.told())[-1] == ("comment_removed", discussion.greg.audience.viewer_id, root)
    post = await discussion.post_row()
    assert (post["comment_count"], post["root_count"], post["last_number"]) == (1, 1, 6)
    await recounted(discussion)


async def test_a_comment_is_deleted_once_by_its_author_or_a_moderator_alone(discussion: Discussion) -> None:
    first, second = [await discussion.add(discussion.michel) for _ in range(2)]
    before = await discussion.kept()
    for who, refusal in ((discussion.greg, NotPermitted), (NOBODY, SignInFirst)):
        with pytest.raises(refusal):
            await discussion.delete(who, first)
    assert await discussion.kept() == before

    for who, comment in ((discussion.michel, first), (discussion.anna, second)):
        await discussion.delete(who, comment)
        after = await discussion.kept()
        with pytest.raises(NotFound):
            await discussion.delete(who, comment)
        with pytest.raises(NotFound):
            await discussion.edit(discussion.michel, comment, "encore")
        assert await discussion.kept() == after


async def test_a_moderator_of_a_community_deletes_there_and_nowhere_else(discussion: Discussion) -> None:
    community = discussion.community
    ada = await community.viewer(await community.person("ada", role="ADMIN"))
    place = await community.act(lambda change: community_actions.create_community(change, name="Jardin"), ada)
    mia_id = await community.person("mia")
    await community.act(
        lambda change: community_actions.set_member(change, community_id=place, user_id=mia_id, role="MODERATOR"), ada
    )
    ada, mia = [await community.viewer(who) for who in (ada.audience.viewer_id, mia_id)]
    there = await community.publish(ada, "Jardin", community_id=place)
    here = await discussion.add(discussion.michel)
    with pytest.raises(NotPermitted):
        await discussion.delete(mia, here)
    await discussion.delete(mia, await discussion.add(discussion.michel, post=there))
    assert await discussion.shown() == [here]


async def test_what_waits_for_approval_is_changed_without_a_word_to_others(discussion: Discussion) -> None:
    waiting = await discussion.pending(discussion.michel)
    for who in (discussion.greg, NOBODY):
        with pytest.raises(NotFound):
            await discussion.delete(who, waiting)
    await discussion.edit(discussion.michel, waiting, "autrement")
    assert (await discussion.row(waiting))["body"] == "autrement"
    await discussion.delete(discussion.anna, waiting)
    row = await discussion.row(waiting)
    assert (row["status"], row["shown"], row["body"], row["revision"]) == ("DELETED", 0, "", 1)
    assert await discussion.told() == []
    await recounted(discussion)


async def test_nothing_is_done_in_a_post_that_is_gone_or_a_draft_again(discussion: Discussion) -> None:
    comment = await discussion.add(discussion.michel)
    await discussion.community.act(
        lambda change: post_actions.unpublish_post(change, post_id=discussion.post), discussion.greg
    )
    before = await discussion.kept()
    for who in (discussion.michel, discussion.anna):
        for act in (discussion.add(who, comment), discussion.edit(who, comment, "-1"), discussion.delete(who, comment)):
            with pytest.raises(NotFound):
                await act
    assert await discussion.kept() == before


# Histories ----------------------------------------------------------------------------------------------------------

DOING = st.tuples(st.sampled_from(["add", "add", "add", "delete", "edit"]), st.integers(0, 2), st.integers(0, 50))


async def does(discussion: Discussion, name: str, actor: int, choice: int) -> None:
    who = (discussion.greg, discussion.michel, discussion.anna)[actor]
    chosen = discussion.known[choice % len(discussion.known)] if discussion.known and choice else None
    try:
        if name == "add":
            discussion.known.append(await discussion.add(who, chosen))
        elif chosen is not None and name == "delete":
            await discussion.delete(who, chosen)
        elif chosen is not None:
            await discussion.edit(who, chosen, f"{choice}")
    except Refusal:
        return  # also what is refused belongs to a history


@settings(max_examples=12)
@given(history=st.lists(DOING, min_size=5, max_size=25))
async def test_counters_are_what_counting_again_gives_after_any_history(
    discussion: Discussion, history: list[tuple[str, int, int]]
) -> None:
    discussion.known = []
    discussion.post = await discussion.community.publish(discussion.greg)
    for name, actor, choice in history:
        await does(discussion, name, actor, choice)
    await recounted(discussion)


@settings(max_examples=4)
@given(history=st.lists(DOING, min_size=20, max_size=40))
async def test_counters_are_right_too_when_all_do_it_at_once(
    discussion: Discussion, history: list[tuple[str, int, int]]
) -> None:
    discussion.post = await discussion.community.publish(discussion.greg)
    discussion.known = [await discussion.add(discussion.greg)]
    discussion.known += [await discussion.add(discussion.michel, discussion.known[0]) for _ in range(3)]
    await asyncio.gather(*(does(discussion, name, actor, choice) for name, actor, choice in history))
    await recounted(discussion)
