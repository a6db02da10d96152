"""What a person can do with posts: who may, what is kept, what is erased and what is told, on both engines."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from graph.communities import actions as community_actions
from graph.context import Viewer
from graph.ids import global_id
from graph.posts import actions, rules
from graph.refusals import Closed, Conflict, Invalid, NotFound, NotPermitted, Refusal, SignInFirst
from graph.storage.tables import communities, posts, revisions

SECOND = 1_000_000  # µs
START = 1_700_000_000_000_000  # µs
NOBODY = Viewer()


@dataclass
class Press:
    """A community of people, and a way to say in one line who does what."""

    community: Any
    ada: Viewer  # admin of the site
    anna: Viewer  # moderator of the site
    greg: Viewer
    michel: Viewer

    async def publish(self, who: Viewer, title: str = "Noël", **given: Any) -> int:
        post: int = await self.community.publish(who, title, **given)
        return post

    async def edit(self, who: Viewer, post: int, **given: Any) -> int:
        if "body" in given:
            given["written"] = rules.written(given.pop("body"))
        return await self.does(who, "edit_post", post, **given)

    async def does(self, who: Viewer, name: str, post: int, **given: Any) -> int:
        self.community.now += SECOND
        action = getattr(actions, name)
        done: int = await self.community.act(lambda change: action(change, post_id=post, **given), who)
        return done

    async def row(self, post: int) -> dict[str, Any]:
        [row] = await self.community.storage.rows(posts.select().where(posts.c.id == post))
        return dict(zip(posts.columns.keys(), row, strict=True))

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """What was told of posts, topic by topic, without who did it."""
        told = [(kind, orjson.loads(data)) for kind, data in await self.community.events()]
        return [(kind, data) for kind, data in told if kind.startswith("post_")]

    async def kept(self) -> Any:
        return [await self.community.table(posts), await self.community.table(revisions), await self.told()]

    async def found(self, name: str, visibility: str) -> int:
        """A community that Ada moderates; people see it from now on."""
        community_id: int = await self.community.act(
            lambda change: community_actions.create_community(change, name=name, visibility=visibility), self.ada
        )
        await self.renew()
        return community_id

    async def add_member(self, community_id: int, who: Viewer, role: str = "MEMBER") -> None:
        user_id = who.audience.viewer_id
        assert user_id is not None
        await self.community.act(
            lambda change: community_actions.set_member(change, community_id=community_id, user_id=user_id, role=role),
            self.ada,
        )
        await self.renew()

    async def renew(self) -> None:
        for name in ("ada", "anna", "greg", "michel"):
            setattr(self, name, await self.community.viewer(getattr(self, name).audience.viewer_id))


@pytest.fixture
async def press(community: Any) -> Press:
    roles = {"ada": "ADMIN", "anna": "MODERATOR", "greg": "MEMBER", "michel": "MEMBER"}
    return Press(
        community,
        **{name: await community.viewer(await community.person(name, role=role)) for name, role in roles.items()},
    )


async def sees(press: Press, who: Viewer, post: int) -> bool:
    [found] = [
        await press.community.data("query ($id: ID!) { post(id: $id) { title } }", who, id=global_id("Post", post))
    ]
    return found["post"] is not None


# Writing ------------------------------------------------------------------------------------------------------------


async def test_a_post_is_kept_as_written_and_told_in_the_list_of_its_place(press: Press) -> None:
    post = await press.publish(
        press.greg, " Été à Noël ", body="Oui, *sous son nom*.", summary=" Un choix ", language="fr", kind="QUESTION"
    )
    row = await press.row(post)
    assert row | {"id": 1, "author_id": 0} == {
        "id": 1,
        "community_id": None,
        "author_id": 0,
        "kind": "QUESTION",
        "slug": "ete-a-noel",
        "title": "Été à Noël",
        "summary": "Un choix",
        "body": "Oui, *sous son nom*.",
        "body_html": "<p>Oui, <em>sous son nom</em>.</p>",
        "body_text": "Oui, sous son nom.",
        "language": "fr",
        "state": "PUBLISHED",
        "discussion": "OPEN",
        "revision": 1,
        "created_at": START,
        "published_at": START,
        "edited_at": None,
        "last_activity_at": START,
        "last_number": 0,
        "comment_count": 0,
        "root_count": 0,
    }
    assert row["author_id"] == press.greg.audience.viewer_id
    assert await press.told() == [("post_added", {"community_id": None, "post_id": post})]


async def test_a_draft_is_its_authors_alone_and_told_to_nobody(press: Press) -> None:
    post = await press.publish(press.greg, publish=False)
    row = await press.row(post)
    assert (row["state"], row["published_at"]) == ("DRAFT", None)
    assert await press.told() == []
    seen = [await sees(press, who, post) for who in (press.greg, press.michel, press.anna, press.ada, NOBODY)]
    assert seen == [True, False, False, False, False]


async def test_posts_of_one_title_have_numbered_addresses(press: Press) -> None:
    numbered = [await press.publish(press.greg, title) for title in ("Été à Noël", "ete a noel", "ÉTÉ À NOËL", "Été")]
    slugs = [(await press.row(post))["slug"] for post in numbered]
    assert slugs == ["ete-a-noel", "ete-a-noel-2", "ete-a-noel-3", "ete"]


async def test_two_who_choose_one_title_at_once_have_two_addresses(press: Press) -> None:
    written = await asyncio.gather(*(press.publish(who, "Noël") for who in (press.greg, press.michel) * 4))
    assert {(await press.row(post))["slug"] for post in written} == {"noel", *(f"noel-{n}" for n in range(2, 9))}


async def test_who_is_not_signed_in_writes_nothing(press: Press) -> None:
    with pytest.raises(SignInFirst):
        await press.publish(NOBODY)
    assert await press.kept() == [[], [], []]


async def test_a_post_that_cannot_be_accepted_is_not_written(press: Press) -> None:
    for given in ({"title": "x" * 201}, {"title": " "}, {"summary": "x" * 501}, {"language": "?"}):
        with pytest.raises(Invalid):
            await press.publish(press.greg, **given)
    assert await press.kept() == [[], [], []]


# Editing ------------------------------------------------------------------------------------------------------------


async def test_former_texts_are_kept_in_their_order(press: Press) -> None:
    post = await press.publish(press.greg, body="un")
    await press.edit(press.greg, post, body="deux", reason="faute")
    await press.edit(press.greg, post, title="Pâques")
    await press.edit(press.greg, post, body="trois", summary="abc", expected_revision=3)

    columns = ("number", "title", "body", "body_html", "reason", "written_at", "editor_id", "comment_id")
    kept = [tuple(row) for row in await press.community.storage.rows(revisions.select().order_by(revisions.c.number))]
    names = revisions.columns.keys()
    greg = press.greg.audience.viewer_id
    assert [tuple(row[names.index(name)] for name in columns) for row in kept] == [
        (1, "Noël", "un", "<p>un</p>", "faute", START, greg, None),
        (2, "Noël", "deux", "<p>deux</p>", None, START + SECOND, greg, None),
        (3, "Pâques", "deux", "<p>deux</p>", None, START + 2 * SECOND, greg, None),
    ]
    row = await press.row(post)
    assert (row["title"], row["body"], row["summary"], row["revision"]) == ("Pâques", "trois", "abc", 4)
    assert (row["edited_at"], row["slug"], row["last_activity_at"]) == (START + 3 * SECOND, "noel", START)


async def test_an_edit_is_told_with_what_it_changed(press: Press) -> None:
    post = await press.publish(press.greg, body="un")
    by = {"post_id": post, "by": press.greg.audience.viewer_id, "mutation_id": None}
    await press.edit(press.greg, post, title="Pâques")
    await press.edit(press.greg, post, body="deux", title="Avent")
    await press.edit(press.greg, post, summary="abc")
    assert (await press.told())[1:] == [
        ("post_changed", by | {"changed": ["TITLE"]}),
        ("post_changed", by | {"changed": ["TITLE", "BODY"]}),
        ("post_changed", by | {"changed": ["BODY"]}),
    ]


async def test_an_edit_that_changes_nothing_is_no_edit(press: Press) -> None:
    post = await press.publish(press.greg, "Noël", body="un", summary="abc")
    before = await press.kept()
    await press.edit(press.greg, post)
    await press.edit(press.greg, post, title=" Noël ", body="un\n", summary="abc", expected_revision=1)
    assert await press.kept() == before


async def test_an_edit_of_a_draft_is_told_to_nobody(press: Press) -> None:
    post = await press.publish(press.greg, publish=False)
    await press.edit(press.greg, post, title="Pâques")
    assert (await press.row(post))["title"] == "Pâques"
    assert await press.told() == []


async def test_nothing_but_space_takes_the_summary_away(press: Press) -> None:
    post = await press.publish(press.greg, summary="abc")
    await press.edit(press.greg, post, summary=" ")
    assert (await press.row(post))["summary"] is None


async def test_who_saw_another_text_changes_nothing(press: Press) -> None:
    post = await press.publish(press.greg)
    await press.edit(press.greg, post, title="Pâques")
    before = await press.kept()
    for seen in (0, 1, 3):
        with pytest.raises(Conflict):
            await press.edit(press.greg, post, title="Avent", expected_revision=seen)
    assert await press.kept() == before


async def test_of_two_who_saw_the_same_text_one_is_refused(press: Press) -> None:
    post = await press.publish(press.greg)
    outcomes = await asyncio.gather(
        *(press.edit(press.greg, post, title=title, expected_revision=1) for title in ("Pâques", "Avent")),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Conflict", "int"]
    assert (await press.row(post))["revision"] == 2


# Publishing and taking back -----------------------------------------------------------------------------------------


async def test_publishing_a_draft_shows_it_once(press: Press) -> None:
    post = await press.publish(press.greg, publish=False)
    for _ in range(2):
        await press.does(press.greg, "publish_post", post)
    row = await press.row(post)
    assert (row["state"], row["created_at"], row["published_at"]) == ("PUBLISHED", START, START + SECOND)
    assert row["last_activity_at"] == START + SECOND
    assert await sees(press, NOBODY, post)
    changed = {"post_id": post, "by": press.greg.audience.viewer_id, "mutation_id": None, "changed": ["STATUS"]}
    assert sorted(await press.told()) == [
        ("post_added", {"community_id": None, "post_id": post}),
        ("post_changed", changed),
    ]


async def test_unpublishing_makes_it_its_authors_alone_again(press: Press) -> None:
    post = await press.publish(press.greg)
    for _ in range(2):
        await press.does(press.greg, "unpublish_post", post)
    assert (await press.row(post))["state"] == "DRAFT"
    assert [await sees(press, who, post) for who in (press.greg, press.anna, NOBODY)] == [True, False, False]
    changed = {"post_id": post, "by": press.greg.audience.viewer_id, "mutation_id": None, "changed": ["STATUS"]}
    assert await press.told() == [
        ("post_added", {"community_id": None, "post_id": post}),
        ("post_removed", {"community_id": None, "post_id": post}),
        ("post_changed", changed),
    ]


async def test_a_deleted_post_is_nobodys_and_its_texts_are_erased(press: Press) -> None:
    post = await press.publish(press.greg, body="un secret", summary="secret")
    await press.edit(press.greg, post, body="encore un secret")
    comment = await press.community.answer_post(press.michel, post)
    await press.does(press.greg, "delete_post", post)

    row = await press.row(post)
    assert (row["state"], row["body"], row["body_html"], row["body_text"], row["summary"]) == (
        "REMOVED",
        "",
        "",
        "",
        None,
    )
    assert await press.community.table(revisions) == []
    for who in (press.greg, press.michel, press.anna, press.ada, NOBODY):
        assert not await sees(press, who, post)
        for name in ("edit_post", "publish_post", "unpublish_post", "delete_post"):
            with pytest.raises(NotFound):
                await press.does(who, name, post)
    with pytest.raises(NotFound):
        await press.community.answer_post(press.greg, post, parent=comment)
    assert (await press.told())[-3:] == [
        ("post_removed", {"community_id": None, "post_id": post}),
        *[told for told in await press.told() if told[0] == "post_changed"],
    ]


async def test_the_address_of_a_deleted_post_is_not_used_again(press: Press) -> None:
    await press.does(press.greg, "delete_post", await press.publish(press.greg, "Noël"))
    assert (await press.row(await press.publish(press.greg, "Noël")))["slug"] == "noel-2"


async def test_the_end_of_a_draft_is_not_told_in_the_list_that_never_had_it(press: Press) -> None:
    post = await press.publish(press.greg, publish=False)
    await press.does(press.greg, "delete_post", post)
    assert [kind for kind, _ in await press.told()] == ["post_changed"]


# Who may ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["edit_post", "publish_post", "unpublish_post"])
async def test_only_the_author_changes_a_post(press: Press, name: str) -> None:
    post = await press.publish(press.greg)
    before = await press.kept()
    for who, refusal in ((press.michel, NotPermitted), (press.anna, NotPermitted), (NOBODY, SignInFirst)):
        with pytest.raises(refusal):
            await press.does(who, name, post)
    with pytest.raises(NotFound):
        await press.does(press.greg, name, post + 1)
    assert await press.kept() == before


async def test_a_draft_cannot_be_found_by_who_is_not_its_author(press: Press) -> None:
    post = await press.publish(press.greg, publish=False)
    before = await press.kept()
    for who in (press.michel, press.anna, press.ada, NOBODY):
        for name in ("edit_post", "publish_post", "unpublish_post", "delete_post"):
            with pytest.raises(NotFound) as refused:
                await press.does(who, name, post)
            assert refused.value.path == ("input", "id")
    assert await press.kept() == before


async def test_a_post_is_deleted_by_its_author_and_by_moderators_alone(press: Press) -> None:
    community_id = await press.found("Jardin", "PUBLIC")
    await press.add_member(community_id, press.michel, "MODERATOR")
    await press.add_member(community_id, press.greg)
    here = [await press.publish(press.greg, community_id=community_id) for _ in range(4)]
    elsewhere = await press.publish(press.greg)
    other = await press.community.viewer(await press.community.person("zoe"))

    for who, post, refusal in (
        (other, here[0], NotPermitted),
        (NOBODY, here[0], SignInFirst),
        (press.michel, elsewhere, NotPermitted),
    ):
        with pytest.raises(refusal):
            await press.does(who, "delete_post", post)
        assert (await press.row(post))["state"] == "PUBLISHED"
    for who, post in zip((press.greg, press.michel, press.anna, press.ada), here, strict=True):
        await press.does(who, "delete_post", post)
        assert (await press.row(post))["state"] == "REMOVED"


# Communities --------------------------------------------------------------------------------------------------------


async def test_only_members_and_those_who_moderate_everything_write_in_a_community(press: Press) -> None:
    community_id = await press.found("Jardin", "PUBLIC")
    with pytest.raises(NotPermitted) as refused:
        await press.publish(press.greg, community_id=community_id)
    assert (refused.value.path, refused.value.requires) == (("input", "communityId"), "MEMBER")
    assert await press.kept() == [[], [], []]

    await press.add_member(community_id, press.greg)
    written = [await press.publish(who, community_id=community_id) for who in (press.greg, press.anna)]
    assert [(await press.row(post))["community_id"] for post in written] == [community_id] * 2
    assert await press.told() == [("post_added", {"community_id": community_id, "post_id": post}) for post in written]


async def test_a_private_community_cannot_be_found_by_who_writes_from_outside(press: Press) -> None:
    community_id = await press.found("Cave", "PRIVATE")
    for who, which in ((press.greg, community_id), (press.greg, community_id + 99), (press.ada, community_id + 99)):
        with pytest.raises(NotFound) as refused:
            await press.publish(who, community_id=which)
        assert refused.value.path == ("input", "communityId")
    assert await press.kept() == [[], [], []]


async def test_a_post_of_a_private_community_cannot_be_found_from_outside(press: Press) -> None:
    community_id = await press.found("Cave", "PRIVATE")
    await press.add_member(community_id, press.greg)
    post = await press.publish(press.greg, community_id=community_id)
    before = await press.kept()
    for who in (press.michel, NOBODY):
        for act in (
            press.does(who, "edit_post", post),
            press.does(who, "publish_post", post),
            press.does(who, "unpublish_post", post),
            press.does(who, "delete_post", post),
            press.community.answer_post(who, post),
        ):
            with pytest.raises(NotFound):
                await act
    assert await press.kept() == before


async def test_an_author_who_left_a_private_community_has_left_their_posts_there(press: Press) -> None:
    community_id = await press.found("Cave", "PRIVATE")
    await press.add_member(community_id, press.greg)
    post = await press.publish(press.greg, community_id=community_id)
    await press.community.act(
        lambda change: community_actions.leave_community(change, community_id=community_id), press.greg
    )
    await press.renew()
    with pytest.raises(Refusal) as refused:
        await press.edit(press.greg, post, title="Pâques")
    assert type(refused.value) is NotFound


async def test_a_title_does_not_tell_of_a_draft_that_has_the_same(community: Any) -> None:
    greg = await community.viewer(await community.person("greg"))
    michel = await community.viewer(await community.person("michel"))
    await community.publish(greg, "Fusion avec Acme", publish=False)

    post = await community.publish(michel, "Fusion avec Acme")

    shown = await community.data("query ($id: ID!) { post(id: $id) { slug } }", id=global_id("Post", post))
    assert shown["post"]["slug"] == "fusion-avec-acme"


# In a community -----------------------------------------------------------------------------------------------------

CAN = "query ($id: ID!) { post(id: $id) { viewerCan { reply edit delete } } }"


async def may(press: Press, who: Viewer, post: int) -> list[str]:
    found = (await press.community.data(CAN, who, id=global_id("Post", post)))["post"]
    return [name for name, yes in found["viewerCan"].items() if yes]


async def in_community(press: Press, name: str, community_id: int, **given: Any) -> None:
    """Ada does something with a community or somebody in it."""
    action = getattr(community_actions, name)
    await press.community.act(lambda change: action(change, community_id=community_id, **given), press.ada)
    await press.renew()


async def posts_counted(press: Press, community_id: int) -> int:
    [row] = await press.community.storage.rows(communities.select().where(communities.c.id == community_id))
    return dict(zip(communities.columns.keys(), row, strict=True))["post_count"]  # type: ignore[no-any-return]  # a number


async def test_where_moderators_publish_members_do_not(press: Press) -> None:
    place = await press.found("Gazette", "PUBLIC")
    await press.add_member(place, press.greg)
    draft = await press.publish(press.greg, community_id=place, publish=False)
    await in_community(press, "edit_community", place, posting="MODERATORS")
    before = await press.kept()
    for doing in (press.publish(press.greg, community_id=place), press.does(press.greg, "publish_post", draft)):
        with pytest.raises(NotPermitted) as refused:
            await doing
        assert (str(refused.value), refused.value.requires) == (
            "Only moderators publish in this community.",
            "MODERATOR",
        )
    assert await press.kept() == before
    await press.add_member(place, press.greg, "MODERATOR")
    await press.does(press.greg, "publish_post", draft)
    assert await posts_counted(press, place) == 1


async def test_a_draft_is_not_published_where_its_author_is_no_member_any_longer(press: Press) -> None:
    place = await press.found("Cave", "PRIVATE")
    await press.add_member(place, press.greg)
    draft = await press.publish(press.greg, community_id=place, publish=False)
    await in_community(press, "remove_member", place, user_id=press.greg.audience.viewer_id)
    before = await press.kept()
    with pytest.raises(NotPermitted) as refused:
        await press.does(press.greg, "publish_post", draft)
    assert refused.value.requires == "MEMBER"
    assert await press.kept() == before


async def test_in_an_archived_community_all_is_read_and_nothing_written_but_taken_away(press: Press) -> None:
    place = await press.found("Gazette", "PUBLIC")
    await press.add_member(place, press.greg)
    post = await press.publish(press.greg, community_id=place)
    draft = await press.publish(press.greg, community_id=place, publish=False)
    assert await may(press, press.greg, post) == ["reply", "edit", "delete"]
    await in_community(press, "archive_community", place)
    before = await press.kept()
    for doing in (
        press.publish(press.greg, community_id=place),
        press.publish(press.ada, community_id=place),
        press.edit(press.greg, post, title="Pâques"),
        press.does(press.greg, "publish_post", draft),
        press.community.answer_post(press.michel, post),
    ):
        with pytest.raises(Closed) as refused:
            await doing
        assert str(refused.value) == "This community is archived: it is read, and nobody writes in it any more."
    assert await press.kept() == before
    assert await may(press, press.greg, post) == ["delete"]
    assert await sees(press, NOBODY, post)
    await press.does(press.greg, "delete_post", post)
    await in_community(press, "unarchive_community", place)
    await press.does(press.greg, "publish_post", draft)


async def test_who_is_banned_writes_nothing_there_and_takes_away_what_is_theirs(press: Press) -> None:
    place = await press.found("Gazette", "PUBLIC")
    await press.add_member(place, press.greg)
    post = await press.publish(press.greg, community_id=place)
    elsewhere = await press.publish(press.michel)
    await in_community(press, "ban_from_community", place, user_id=press.greg.audience.viewer_id)
    before = await press.kept()
    for doing in (
        press.publish(press.greg, community_id=place),
        press.edit(press.greg, post, title="Pâques"),
        press.does(press.greg, "unpublish_post", post),
        press.community.answer_post(press.greg, post),
    ):
        with pytest.raises(NotPermitted):
            await doing
    assert await press.kept() == before
    assert await may(press, press.greg, post) == ["delete"]
    assert await may(press, press.michel, post) == ["reply"]
    await press.community.answer_post(press.greg, elsewhere)
    await press.does(press.greg, "delete_post", post)
    assert await posts_counted(press, place) == 0


async def test_published_posts_of_a_community_are_counted_whatever_happens(press: Press) -> None:
    place = await press.found("Gazette", "PUBLIC")
    one = await press.publish(press.ada, community_id=place)
    two = await press.publish(press.ada, community_id=place, publish=False)
    await press.publish(press.ada)
    counted = [await posts_counted(press, place)]
    for name, post in (
        ("publish_post", two),
        ("publish_post", two),
        ("unpublish_post", two),
        ("unpublish_post", two),
        ("delete_post", two),
        ("delete_post", one),
    ):
        await press.does(press.ada, name, post)
        counted.append(await posts_counted(press, place))
    assert counted == [1, 2, 2, 1, 1, 1, 0]
