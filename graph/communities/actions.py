"""What a person can do with communities and those who belong to them.  Each action is one change."""

from graph import access
from graph.access import Facts
from graph.change import Change
from graph.communities import rules, store
from graph.events import AccessChanged
from graph.refusals import NotFound, NotPermitted, SignInFirst, Taken
from graph.users import store as people


async def create_community(
    change: Change, *, name: str, slug: str | None = None, description: str | None = None, visibility: str = "PUBLIC"
) -> int:
    """Found a community, whose first admin is the viewer; gives its id.

    Raises SignInFirst, NotPermitted for all but the admins of the site, Invalid, and Taken for a slug in use.
    """
    viewer_id = _somebody(change)
    if not access.FOUND_COMMUNITY.holds(change.audience, {}):
        raise NotPermitted("Only admins found communities.", ("input",), requires="ADMIN")
    name = rules.clean_name(name)
    community_id = await store.add(
        change,
        slug=rules.clean_slug(slug, name),
        name=name,
        description=rules.clean_description(description),
        visibility=visibility,
        created_at=change.now,
    )
    if community_id is None:
        raise Taken("Another community has this slug.", ("input", "name" if slug is None else "slug"))
    await store.add_member(change, community_id, viewer_id, "ADMIN", change.now)
    await change.record(AccessChanged(viewer_id))
    return community_id


async def join_community(change: Change, *, community_id: int) -> int:
    """Become a member; gives the membership's id, also of who is one already.

    Raises NotFound, SignInFirst, and NotPermitted where one is added by moderators.
    """
    facts = await _visible(change, community_id)
    viewer_id = _somebody(change)
    present = await store.membership(change, community_id, viewer_id)
    if present is not None:
        return present[0]
    if not access.JOIN_COMMUNITY.holds(change.audience, facts):
        raise NotPermitted("Moderators add members to this community.", ("input", "communityId"))
    membership_id = await _added(change, community_id, viewer_id, "MEMBER")
    # None: somebody else added them in the same instant.
    return membership_id if membership_id is not None else await join_community(change, community_id=community_id)


async def leave_community(change: Change, *, community_id: int) -> int:
    """Be no member any longer; gives the community's id.  Nothing happens to who is none.

    Raises NotFound and SignInFirst.
    """
    await _visible(change, community_id)
    viewer_id = _somebody(change)
    if await store.remove_member(change, community_id, viewer_id):
        await change.record(AccessChanged(viewer_id))
    return community_id


async def set_member(change: Change, *, community_id: int, user_id: int, role: str = "MEMBER") -> int:
    """Add somebody, or give a member another role; gives the membership's id.

    Raises NotFound for a community or a person, SignInFirst, and NotPermitted (see rules.may_give).
    """
    actor = await _moderator(change, community_id)
    if not await people.is_user(change, user_id):
        raise NotFound("There is no such person.", ("input", "userId"))
    present = await store.membership(change, community_id, user_id, lock=True)
    if not rules.may_give(actor, present and present[1], role):
        raise NotPermitted("Only its admins decide on moderators and admins.", ("input", "role"), requires="ADMIN")
    if present is None:
        membership_id = await _added(change, community_id, user_id, role)
        if membership_id is None:  # they joined in the same instant: decide anew
            return await set_member(change, community_id=community_id, user_id=user_id, role=role)
        return membership_id
    if present[1] != role:
        await store.change_role(change, present[0], role)
        await change.record(AccessChanged(user_id))
    return present[0]


async def remove_member(change: Change, *, community_id: int, user_id: int) -> int:
    """Take somebody out of a community; gives the community's id.

    Raises NotFound for a community, or for somebody who is no member, SignInFirst, and NotPermitted.
    """
    actor = await _moderator(change, community_id)
    present = await store.membership(change, community_id, user_id, lock=True)
    if present is None:
        raise NotFound("This person is no member.", ("input", "userId"))
    if user_id != change.audience.viewer_id and not rules.may_remove(actor, present[1]):
        raise NotPermitted("Only its admins remove moderators and admins.", ("input", "userId"), requires="ADMIN")
    await store.remove_member(change, community_id, user_id)
    await change.record(AccessChanged(user_id))
    return community_id


def _somebody(change: Change) -> int:
    if change.audience.viewer_id is None:
        raise SignInFirst("Sign in first.")
    return change.audience.viewer_id


async def _visible(change: Change, community_id: int) -> Facts:
    facts = await store.facts_of(change, community_id)
    if facts is None or not access.SEE_COMMUNITY.holds(change.audience, facts):
        raise NotFound("There is no such community.", ("input", "communityId"))
    return facts


async def _moderator(change: Change, community_id: int) -> str:
    """The viewer's role where it lets them decide on members.  Read here: it may have changed since they came."""
    facts = await _visible(change, community_id)
    viewer_id = _somebody(change)
    present = await store.membership(change, community_id, viewer_id)
    actor = "ADMIN" if change.audience.role == "ADMIN" else present[1] if present else None
    if actor is None or not access.MANAGE_COMMUNITY.holds(change.audience, facts):
        raise NotPermitted("Only its moderators decide on members.", ("input", "communityId"), requires="MODERATOR")
    return actor


async def _added(change: Change, community_id: int, user_id: int, role: str) -> int | None:
    membership_id = await store.add_member(change, community_id, user_id, role, change.now)
    if membership_id is not None:
        await change.record(AccessChanged(user_id))
    return membership_id
