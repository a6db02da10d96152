"""Who founds, joins and leaves communities, and who decides on whom in them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from graph.communities import actions
from graph.context import Viewer
from graph.refusals import Closed, Conflict, Invalid, NotFound, NotPermitted, SignInFirst, Taken
from graph.storage.tables import communities, community_bans, community_slugs, memberships

START = 1_700_000_000_000_000  # µs: when the clock of a site stands


@dataclass
class Place:
    """A public and a private community of ada's, an admin of the site; mia moderates both, greg is in neither."""

    site: Any
    public: int
    private: int
    ids: dict[str, int]
    before: int = 0  # events

    async def by(self, name: str, action: Any) -> Any:
        return await self.site.act(action, await self.site.viewer(self.ids[name]))

    async def join(self, name: str, community_id: int) -> Any:
        return await self.by(name, lambda change: actions.join_community(change, community_id=community_id))

    async def leave(self, name: str, community_id: int) -> Any:
        return await self.by(name, lambda change: actions.leave_community(change, community_id=community_id))

    async def set(self, actor: str, name: str, role: str, community_id: int | None = None) -> Any:
        given: dict[str, Any] = {"community_id": community_id or self.private, "user_id": self.ids[name], "role": role}
        return await self.by(actor, lambda change: actions.set_member(change, **given))

    async def remove(self, actor: str, name: str) -> Any:
        given = {"community_id": self.private, "user_id": self.ids[name]}
        return await self.by(actor, lambda change: actions.remove_member(change, **given))

    async def roles(self, community_id: int) -> dict[str, str]:
        names = {key: name for name, key in self.ids.items()}
        return {names[row[2]]: row[3] for row in await self.site.table(memberships) if row[1] == community_id}

    async def told(self) -> list[str]:
        """Whose access has changed, in order, since everything was set up."""
        names = {key: name for name, key in self.ids.items()}
        return [names[int(data.split(":")[1].split(",")[0])] for _, data in (await self.site.events())[self.before :]]


@pytest.fixture
async def place(site: Any) -> Place:
    ids = {name: await site.person(name) for name in ("greg", "mia", "zoe")}
    ids["ada"] = await site.person("ada", role="ADMIN")
    place = Place(site, 0, 0, ids)
    place.public = await place.by("ada", lambda change: actions.create_community(change, name="Open"))
    place.private = await place.by(
        "ada", lambda change: actions.create_community(change, name="Closed", visibility="PRIVATE")
    )
    for community_id in (place.public, place.private):
        await place.set("ada", "mia", "MODERATOR", community_id)
    place.before = len(await site.events())
    return place


async def test_who_founds_a_community_is_its_first_admin(site: Any) -> None:
    ada_id = await site.person("ada", role="ADMIN")
    community_id = await site.act(
        lambda change: actions.create_community(change, name=" The Garden ", description=" Grow. "),
        await site.viewer(ada_id),
    )
    [row] = await site.table(communities)
    assert row[:6] == (community_id, "the-garden", "The Garden", "Grow.", "PUBLIC", site.now)
    assert [row[1:4] for row in await site.table(memberships)] == [(community_id, ada_id, "ADMIN")]
    assert await site.events() == [("access_changed", f'{{"user_id":{ada_id},"token_id":null}}')]
    audience = (await site.viewer(ada_id)).audience
    assert (audience.member_of, audience.moderates) == (frozenset({community_id}), frozenset({community_id}))


@pytest.mark.parametrize("role", ["MEMBER", "MODERATOR"])
async def test_only_admins_of_the_site_found_communities(site: Any, role: str) -> None:
    greg = await site.viewer(await site.person("greg", role=role))
    with pytest.raises(NotPermitted):
        await site.act(lambda change: actions.create_community(change, name="Mine"), greg)
    with pytest.raises(SignInFirst):
        await site.act(lambda change: actions.create_community(change, name="Mine"), Viewer())
    assert await site.table(communities) == []


async def test_a_slug_in_use_is_refused_at_what_it_came_from(place: Place) -> None:
    with pytest.raises(Taken) as by_name:
        await place.by("ada", lambda change: actions.create_community(change, name="OPEN"))
    with pytest.raises(Taken) as by_slug:
        await place.by("ada", lambda change: actions.create_community(change, name="Other", slug="open"))
    assert (by_name.value.path, by_slug.value.path) == (("input", "name"), ("input", "slug"))


async def test_anybody_signed_in_joins_a_public_community_once(place: Place) -> None:
    first = await place.join("greg", place.public)
    assert await place.join("greg", place.public) == first
    assert (await place.roles(place.public))["greg"] == "MEMBER"
    assert await place.told() == ["greg"]


async def test_joining_leaves_a_moderator_what_they_are(place: Place) -> None:
    await place.join("mia", place.public)
    assert (await place.roles(place.public))["mia"] == "MODERATOR"


async def test_who_joins_twice_at_once_joins_once(place: Place) -> None:
    joined = await asyncio.gather(*(place.join("greg", place.public) for _ in range(8)))
    assert len(set(joined)) == 1
    assert await place.told() == ["greg"]


async def test_a_private_community_cannot_be_found_by_who_is_not_in_it(place: Place) -> None:
    unknown = place.private + 99
    for community_id in (place.private, unknown):
        for action in (place.join, place.leave):
            with pytest.raises(NotFound) as refused:
                await action("greg", community_id)
            assert str(refused.value) == "There is no such community."
            assert refused.value.path == ("input", "communityId")
    assert await place.told() == []


async def test_nobody_joins_nothing(place: Place) -> None:
    for action in (actions.join_community, actions.leave_community):
        with pytest.raises(SignInFirst):
            await place.site.act(lambda change, action=action: action(change, community_id=place.public), Viewer())


async def test_an_admin_of_the_site_who_sees_a_private_community_is_added_not_joined(place: Place) -> None:
    await place.set("ada", "mia", "ADMIN")
    await place.leave("ada", place.private)
    with pytest.raises(NotPermitted):
        await place.join("ada", place.private)
    await place.set("ada", "ada", "ADMIN")
    assert (await place.roles(place.private))["ada"] == "ADMIN"


async def test_leaving_ends_the_membership_and_is_told_to_live_delivery(place: Place) -> None:
    await place.join("greg", place.public)
    assert await place.leave("greg", place.public) == place.public
    assert await place.leave("greg", place.public) == place.public
    assert "greg" not in await place.roles(place.public)
    assert await place.told() == ["greg", "greg"]


async def test_a_moderator_adds_members_and_makes_moderators(place: Place) -> None:
    membership_id = await place.set("mia", "greg", "MEMBER")
    assert await place.set("mia", "greg", "MODERATOR") == membership_id
    assert (await place.roles(place.private))["greg"] == "MODERATOR"
    assert await place.told() == ["greg", "greg"]


async def test_the_role_that_one_has_already_is_no_news(place: Place) -> None:
    await place.set("mia", "greg", "MEMBER")
    await place.set("mia", "greg", "MEMBER")
    assert await place.told() == ["greg"]


@pytest.mark.parametrize(("name", "role"), [("greg", "ADMIN"), ("ada", "MEMBER"), ("mia", "MEMBER"), ("mia", "ADMIN")])
async def test_a_moderator_decides_on_no_moderator_and_no_admin(place: Place, name: str, role: str) -> None:
    before = await place.roles(place.private)
    with pytest.raises(NotPermitted) as refused:
        await place.set("mia", name, role)
    assert refused.value.requires == "ADMIN"
    assert await place.roles(place.private) == before
    assert await place.told() == []


async def test_a_member_decides_on_nobody(place: Place) -> None:
    await place.set("mia", "greg", "MEMBER")
    for role in ("MEMBER", "MODERATOR"):
        with pytest.raises(NotPermitted) as refused:
            await place.set("greg", "zoe", role)
        assert refused.value.requires == "MODERATOR"
    with pytest.raises(NotPermitted):
        await place.remove("greg", "mia")
    with pytest.raises(NotPermitted):
        await place.remove("greg", "greg")


async def test_a_moderator_of_the_site_moderates_texts_and_not_memberships(place: Place) -> None:
    sam = await place.site.viewer(await place.site.person("sam", role="MODERATOR"))
    with pytest.raises(NotPermitted):
        await place.site.act(
            lambda change: actions.set_member(change, community_id=place.private, user_id=place.ids["greg"]), sam
        )


async def test_who_came_as_a_moderator_and_is_none_any_longer_decides_on_nobody(place: Place) -> None:
    mia_before = await place.site.viewer(place.ids["mia"])
    await place.set("ada", "mia", "MEMBER")
    with pytest.raises(NotPermitted):
        await place.site.act(
            lambda change: actions.set_member(change, community_id=place.private, user_id=place.ids["greg"]),
            mia_before,
        )
    assert "greg" not in await place.roles(place.private)


async def test_a_stranger_finds_nothing_to_decide_on(place: Place) -> None:
    with pytest.raises(NotFound) as refused:
        await place.set("greg", "zoe", "MEMBER")
    assert refused.value.path == ("input", "communityId")
    place.ids["nobody"] = 999
    with pytest.raises(NotFound) as refused:
        await place.set("mia", "nobody", "MEMBER")
    assert refused.value.path == ("input", "userId")


async def test_a_removed_member_is_out_and_live_delivery_is_told(place: Place) -> None:
    await place.set("mia", "greg", "MEMBER")
    assert await place.remove("mia", "greg") == place.private
    assert "greg" not in await place.roles(place.private)
    assert await place.told() == ["greg", "greg"]
    with pytest.raises(NotFound) as refused:
        await place.remove("mia", "greg")
    assert refused.value.path == ("input", "userId")


async def test_a_moderator_removes_members_and_themself_only(place: Place) -> None:
    await place.set("ada", "greg", "MODERATOR")
    for name in ("greg", "ada"):
        with pytest.raises(NotPermitted):
            await place.remove("mia", name)
    await place.remove("mia", "mia")
    assert await place.roles(place.private) == {"ada": "ADMIN", "greg": "MODERATOR"}


async def test_a_name_that_is_refused_founds_nothing(place: Place) -> None:
    before = await place.site.table(communities)
    with pytest.raises(Invalid):
        await place.by("ada", lambda change: actions.create_community(change, name=" "))
    assert await place.site.table(communities) == before


# Settings -------------------------------------------------------------------------------------------------------------


def settled(row: Any) -> dict[str, Any]:
    return dict(zip(communities.columns.keys(), row, strict=True))


async def edit(place: Place, actor: str, community_id: int, **given: Any) -> Any:
    return await place.by(actor, lambda change: actions.edit_community(change, community_id=community_id, **given))


async def test_an_admin_changes_what_is_given_and_the_rest_stays(place: Place) -> None:
    before = settled((await place.site.table(communities))[0])
    await edit(place, "ada", place.public, name=" The  Garden ", joining="REQUEST", posting="MODERATORS")
    after = settled((await place.site.table(communities))[0])
    changed = {"name": "The Garden", "joining": "REQUEST", "posting": "MODERATORS", "revision": 2}
    assert after == before | changed
    await edit(place, "ada", place.public, name="The Garden", description=" ")
    assert settled((await place.site.table(communities))[0]) == after
    assert await place.told() == []


@pytest.mark.parametrize(
    ("name", "given", "refusal"),
    [
        ("mia", {"name": "Mine"}, NotPermitted),
        ("greg", {"name": "Mine"}, NotPermitted),
        ("ada", {"name": " "}, Invalid),
        ("ada", {"slug": "Two words"}, Invalid),
        ("ada", {"slug": "closed"}, Taken),
        ("ada", {"visibility": "PRIVATE", "joining": "OPEN"}, Invalid),
        ("ada", {"name": "Mine", "expected_revision": 2}, Conflict),
    ],
)
async def test_settings_that_are_refused_change_nothing(
    place: Place, name: str, given: dict[str, Any], refusal: type[Exception]
) -> None:
    before = await place.site.table(communities), await place.site.table(community_slugs)
    with pytest.raises(refusal):
        await edit(place, name, place.public, **given)
    assert (await place.site.table(communities), await place.site.table(community_slugs)) == before


async def test_a_former_slug_leads_to_its_community_and_is_nobody_elses(place: Place) -> None:
    await edit(place, "ada", place.public, slug="garden")
    for slug in ("open", "garden"):
        with pytest.raises(Taken):
            await edit(place, "ada", place.private, slug=slug)
        with pytest.raises(Taken):
            await place.by("ada", lambda change, slug=slug: actions.create_community(change, name="New", slug=slug))
    await edit(place, "ada", place.public, slug="open")
    assert [settled(row)["slug"] for row in await place.site.table(communities)] == ["open", "closed"]
    led = {row[0]: row[1] for row in await place.site.table(community_slugs)}
    assert led == {"open": place.public, "garden": place.public, "closed": place.private}


async def test_a_community_that_becomes_private_is_joined_by_invitation_and_all_who_follow_are_told(
    place: Place,
) -> None:
    await edit(place, "ada", place.public, visibility="PRIVATE")
    row = settled((await place.site.table(communities))[0])
    assert (row["visibility"], row["joining"]) == ("PRIVATE", "INVITATION")
    assert (await place.site.events())[place.before :] == [("access_changed", '{"user_id":null,"token_id":null}')]
    with pytest.raises(NotFound):
        await place.join("greg", place.public)
    await edit(place, "ada", place.public, visibility="PUBLIC", joining="OPEN")
    await place.join("greg", place.public)


@pytest.mark.parametrize(
    ("joining", "message"),
    [
        ("REQUEST", "Its moderators let people in: ask them."),
        ("INVITATION", "This community is joined by invitation."),
    ],
)
async def test_where_one_asks_or_is_invited_nobody_joins_at_once(place: Place, joining: str, message: str) -> None:
    await edit(place, "ada", place.public, joining=joining)
    with pytest.raises(NotPermitted) as refused:
        await place.join("greg", place.public)
    assert str(refused.value) == message
    assert "greg" not in await place.roles(place.public)


# The last admin -------------------------------------------------------------------------------------------------------


async def test_the_last_admin_neither_leaves_nor_steps_down_nor_is_removed(place: Place) -> None:
    before = await place.roles(place.private)
    await place.set("ada", "zoe", "MEMBER", place.private)
    ways: list[Callable[[], Awaitable[Any]]] = [
        lambda: place.leave("ada", place.private),
        lambda: place.set("ada", "ada", "MEMBER"),
        lambda: place.remove("ada", "ada"),
    ]
    for going in ways:
        with pytest.raises(NotPermitted) as refused:
            await going()
        assert str(refused.value) == "A community has an admin: make somebody else one first."
    assert await place.roles(place.private) == before | {"zoe": "MEMBER"}
    await place.set("ada", "zoe", "ADMIN", place.private)
    await place.leave("ada", place.private)
    assert await place.roles(place.private) == {"mia": "MODERATOR", "zoe": "ADMIN"}


async def test_of_two_admins_who_leave_at_once_one_stays(place: Place) -> None:
    await place.set("ada", "mia", "ADMIN")
    left = await asyncio.gather(*(place.leave(name, place.private) for name in ("ada", "mia")), return_exceptions=True)
    assert sorted(type(each).__name__ for each in left) == ["NotPermitted", "int"]
    assert list((await place.roles(place.private)).values()) == ["ADMIN"]


# Bans -----------------------------------------------------------------------------------------------------------------


async def ban(place: Place, actor: str, name: str, **given: Any) -> Any:
    given = {"community_id": place.public, "user_id": place.ids[name], **given}
    return await place.by(actor, lambda change: actions.ban_from_community(change, **given))


async def unban(place: Place, actor: str, name: str) -> Any:
    given = {"community_id": place.public, "user_id": place.ids[name]}
    return await place.by(actor, lambda change: actions.unban_from_community(change, **given))


async def test_who_is_banned_is_out_and_cannot_come_back_until_the_ban_is_lifted(place: Place) -> None:
    await place.join("greg", place.public)
    ban_id = await ban(place, "mia", "greg", reason=" Spam. ")
    assert await ban(place, "ada", "greg", reason="Again") == ban_id
    assert [row[1:5] for row in await place.site.table(community_bans)] == [
        (place.public, place.ids["greg"], "Spam.", place.ids["mia"])
    ]
    assert "greg" not in await place.roles(place.public)
    assert await place.told() == ["greg", "greg"]
    ways: list[Callable[[], Awaitable[Any]]] = [
        lambda: place.join("greg", place.public),
        lambda: place.set("ada", "greg", "MEMBER", place.public),
    ]
    for coming_back in ways:
        with pytest.raises(NotPermitted):
            await coming_back()
    assert (await place.site.viewer(place.ids["greg"])).audience.banned_from == {place.public}
    await unban(place, "mia", "greg")
    with pytest.raises(NotFound):
        await unban(place, "mia", "greg")
    await place.join("greg", place.public)
    assert (await place.roles(place.public))["greg"] == "MEMBER"


@pytest.mark.parametrize(
    ("actor", "name"), [("greg", "zoe"), ("mia", "mia"), ("mia", "ada"), ("mia", "max"), ("ada", "ada"), ("ada", "sam")]
)
async def test_nobody_bans_themself_their_equals_or_who_moderates_everything(
    place: Place, actor: str, name: str
) -> None:
    place.ids["sam"] = await place.site.person("sam", role="MODERATOR")
    place.ids["max"] = await place.site.person("max")
    await place.set("ada", "max", "MODERATOR", place.public)
    before = await place.roles(place.public)
    with pytest.raises(NotPermitted):
        await ban(place, actor, name)
    assert await place.site.table(community_bans) == []
    assert await place.roles(place.public) == before


# Archived -------------------------------------------------------------------------------------------------------------


async def test_nobody_joins_what_is_archived_and_one_may_leave_it(place: Place) -> None:
    await place.join("zoe", place.public)
    with pytest.raises(NotPermitted):
        await place.by("mia", lambda change: actions.archive_community(change, community_id=place.public))
    for _ in range(2):
        await place.by("ada", lambda change: actions.archive_community(change, community_id=place.public))
        assert settled((await place.site.table(communities))[0])["archived_at"] == START
        place.site.now += 1
    with pytest.raises(Closed):
        await place.join("greg", place.public)
    await place.leave("zoe", place.public)
    await place.by("ada", lambda change: actions.unarchive_community(change, community_id=place.public))
    await place.join("greg", place.public)


# What is counted ------------------------------------------------------------------------------------------------------


async def test_members_are_counted_whatever_happens(place: Place) -> None:
    for doing in (
        place.join("greg", place.public),
        place.join("greg", place.public),
        place.join("zoe", place.public),
        place.set("ada", "greg", "MODERATOR", place.public),
        place.leave("zoe", place.public),
        place.leave("zoe", place.public),
        ban(place, "ada", "greg"),
        place.set("mia", "zoe", "MEMBER"),
        place.remove("mia", "zoe"),
    ):
        await doing
        counted = [settled(row)["member_count"] for row in await place.site.table(communities)]
        assert counted == [len(await place.roles(key)) for key in (place.public, place.private)]
    ranks = {row[3]: row[5] for row in await place.site.table(memberships)}
    assert ranks == {"ADMIN": 0, "MODERATOR": 1}
