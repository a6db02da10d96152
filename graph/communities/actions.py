"""What a person can do with communities and those who belong to them.  Each action is one change."""

from typing import Any

from graph import access
from graph.admission import store as admission
from graph.change import Change
from graph.communities import rules, standing, store
from graph.communities.standing import administering, here, moderating
from graph.events import AccessChanged
from graph.posts.rules import check_revision
from graph.refusals import NotFound, NotPermitted, Taken
from graph.storage.tables import communities


async def create_community(
    change: Change,
    *,
    name: str,
    slug: str | None = None,
    description: str | None = None,
    visibility: str = "PUBLIC",
    joining: str | None = None,
    posting: str = "MEMBERS",
) -> int:
    """Found a community, whose first admin is the viewer; gives its id.

    `joining` None: at once where it is public.  Raises SignInFirst, NotPermitted for all but the admins of the site,
    Invalid, and Taken for a slug that leads to another community.
    """
    viewer_id = standing.somebody(change)
    if not access.FOUND_COMMUNITY.holds(change.audience, {}):
        raise NotPermitted("Only admins found communities.", ("input",), requires="ADMIN")
    name = rules.clean_name(name)
    community_id = await store.add(
        change,
        slug=rules.clean_slug(slug, name),
        name=name,
        description=rules.clean_description(description),
        visibility=visibility,
        joining=rules.joining_of(visibility, joining),
        posting=posting,
        created_at=change.now,
    )
    if community_id is None:
        raise Taken("Another community has this slug.", ("input", "name" if slug is None else "slug"))
    await standing.add_member(change, community_id, viewer_id, "ADMIN")
    return community_id


async def edit_community(
    change: Change,
    *,
    community_id: int,
    name: str | None = None,
    slug: str | None = None,
    description: str | None = None,
    visibility: str | None = None,
    joining: str | None = None,
    posting: str | None = None,
    expected_revision: int | None = None,
) -> int:
    """Change what is given; former slugs still lead there.  Gives the community's id.

    Raises NotFound, SignInFirst, NotPermitted for all but admins, Conflict, Invalid, Taken.
    """
    facts = (await administering(change, community_id)).facts
    check_revision(expected_revision, facts[communities.c.revision])
    visibility = visibility or facts[communities.c.visibility]
    values: dict[str, Any] = {
        "visibility": visibility,
        "joining": rules.joining_of(visibility, joining, facts[communities.c.joining]),
        "posting": posting or facts[communities.c.posting],
    }
    if name is not None:
        values["name"] = rules.clean_name(name)
    if slug is not None:
        values["slug"] = rules.clean_slug(slug, "")
    if description is not None:
        values["description"] = rules.clean_description(description)
    changed = {column: new for column, new in values.items() if facts[communities.c[column]] != new}
    if not changed:
        return community_id
    if "slug" in changed and not await store.claim_slug(change, community_id, changed["slug"], change.now):
        raise Taken("Another community has this slug.", ("input", "slug"))
    await store.change(change, community_id, **changed, revision=facts[communities.c.revision] + 1)
    if changed.get("visibility") == "PRIVATE":
        # Whoever reads in it may be one who no longer may.
        await change.record(AccessChanged(None))
    return community_id


async def archive_community(change: Change, *, community_id: int) -> int:
    """Nobody writes in it any more, nor comes in; it stays to be read.  Nothing happens to one that is archived.

    Raises NotFound, SignInFirst, and NotPermitted for all but admins.
    """
    facts = (await administering(change, community_id)).facts
    if facts[communities.c.archived_at] is None:
        await store.change(change, community_id, archived_at=change.now)
    return community_id


async def unarchive_community(change: Change, *, community_id: int) -> int:
    """People write in it again.  Raises NotFound, SignInFirst, and NotPermitted for all but admins."""
    await administering(change, community_id)
    await store.change(change, community_id, archived_at=None)
    return community_id


async def join_community(change: Change, *, community_id: int) -> int:
    """Become a member; gives the membership's id, also of who is one already.

    Raises NotFound, SignInFirst, Closed, and NotPermitted for who is banned, or has to ask or to be invited.
    """
    place = await here(change, community_id)
    if place.membership is not None:
        return place.membership.id
    path = ("input", "communityId")
    rules.check_open(place.facts[communities.c.archived_at], path)
    rules.check_not_banned(place.banned, path)
    if not access.JOIN_COMMUNITY.holds(place.audience, place.facts):
        if place.facts[communities.c.joining] == "REQUEST":
            raise NotPermitted("Its moderators let people in: ask them.", path)
        raise NotPermitted("This community is joined by invitation.", path)
    return await standing.add_member(change, community_id, place.viewer_id, "MEMBER")


async def leave_community(change: Change, *, community_id: int) -> int:
    """Be no member any longer; gives the community's id.  Nothing happens to who is none.

    Raises NotFound, SignInFirst, and NotPermitted for its last admin.
    """
    place = await here(change, community_id)
    if place.membership is not None:
        await _check_admin_stays(change, community_id, place.membership.role, None, "communityId")
        await _remove(change, community_id, place.viewer_id)
    return community_id


async def set_member(change: Change, *, community_id: int, user_id: int, role: str = "MEMBER") -> int:
    """Add somebody, or give a member another role; gives the membership's id.

    Raises NotFound for a community or a person, SignInFirst, and NotPermitted (see rules.may_give) also for who is
    banned and for its last admin.
    """
    place = await moderating(change, community_id)
    await standing.check_person(change, user_id)
    present = await store.membership(change, community_id, user_id)
    present_role = present.role if present else None
    if not rules.may_give(place.role, present_role, role):
        raise NotPermitted("Only its admins decide on moderators and admins.", ("input", "role"), requires="ADMIN")
    if present is None:
        await standing.check_not_banned(change, community_id, user_id)
        return await standing.add_member(change, community_id, user_id, role)
    await _check_admin_stays(change, community_id, present_role, role, "role")
    if present_role != role:
        await store.change_role(change, present.id, role)
        await change.record(AccessChanged(user_id))
    return present.id


async def remove_member(change: Change, *, community_id: int, user_id: int) -> int:
    """Take somebody out of a community; gives the community's id.

    Raises NotFound for a community, or for somebody who is no member, SignInFirst, and NotPermitted.
    """
    place = await moderating(change, community_id)
    present = await store.membership(change, community_id, user_id)
    if present is None:
        raise NotFound("This person is no member.", ("input", "userId"))
    if user_id != place.viewer_id and not rules.may_remove(place.role, present.role):
        raise NotPermitted("Only its admins remove moderators and admins.", ("input", "userId"), requires="ADMIN")
    await _check_admin_stays(change, community_id, present.role, None, "userId")
    await _remove(change, community_id, user_id)
    return community_id


async def ban_from_community(change: Change, *, community_id: int, user_id: int, reason: str | None = None) -> int:
    """Take somebody out who may not write in it nor come back; gives the ban's id, also of who is banned already.

    Links that they made let nobody in any more: under another name it could be they.

    Raises NotFound for a community or a person, SignInFirst, Invalid, and NotPermitted.
    """
    place = await moderating(change, community_id)
    role = await standing.check_person(change, user_id)
    if user_id == place.viewer_id or role in ("MODERATOR", "ADMIN"):
        raise NotPermitted("Nobody bans themself, or who moderates the whole site.", ("input", "userId"))
    present = await store.membership(change, community_id, user_id)
    if not rules.may_remove(place.role, present.role if present else None):
        raise NotPermitted("Only its admins remove moderators and admins.", ("input", "userId"), requires="ADMIN")
    ban_id = await store.ban(change, community_id, user_id)
    if ban_id is not None:
        return ban_id
    if present is not None:
        await _check_admin_stays(change, community_id, present.role, None, "userId")
        await store.remove_member(change, community_id, user_id)
    await admission.answer_invitation(change, community_id, user_id, "WITHDRAWN")
    await admission.answer_request(change, community_id, user_id, "DECLINED", change.now)
    await admission.withdraw_links_of(change, community_id, user_id)
    ban_id = await store.add_ban(
        change,
        community_id=community_id,
        user_id=user_id,
        reason=rules.clean_reason(reason),
        banned_by_id=place.viewer_id,
        created_at=change.now,
    )
    await change.record(AccessChanged(user_id))
    return ban_id


async def unban_from_community(change: Change, *, community_id: int, user_id: int) -> int:
    """Let somebody come back who was banned; gives the community's id.

    Raises NotFound for a community, or for who is not banned, SignInFirst, and NotPermitted.
    """
    await moderating(change, community_id)
    ban_id = await store.ban(change, community_id, user_id)
    if ban_id is None:
        raise NotFound("This person is not banned.", ("input", "userId"))
    await store.lift_ban(change, ban_id)
    await change.record(AccessChanged(user_id))
    return community_id


async def _check_admin_stays(
    change: Change, community_id: int, present: str | None, role: str | None, field: str
) -> None:
    rules.check_admin_stays(present, role, await store.admins_of(change, community_id), field)


async def _remove(change: Change, community_id: int, user_id: int) -> None:
    await store.remove_member(change, community_id, user_id)
    await change.record(AccessChanged(user_id))
