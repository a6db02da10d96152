"""How somebody stands in a community at the moment of a change, and what every way in and out has in common."""

from dataclasses import dataclass, replace

from graph import access
from graph.access import Facts
from graph.admission import store as admission
from graph.audience import Audience
from graph.change import Change
from graph.communities import store
from graph.communities.store import Member
from graph.events import AccessChanged
from graph.refusals import NotFound, NotPermitted, SignInFirst
from graph.storage.tables import communities

COMMUNITY = ("input", "communityId")  # where most inputs name it


@dataclass(frozen=True, slots=True)
class Here:
    """A community, locked, and the viewer as they are in it now: it may have changed since they came."""

    facts: Facts
    audience: Audience
    viewer_id: int
    membership: Member | None

    @property
    def role(self) -> str | None:
        """By which they decide on members: admins of the site decide everywhere."""
        if self.audience.role == "ADMIN":
            return "ADMIN"
        return self.membership.role if self.membership else None

    @property
    def banned(self) -> bool:
        return self.facts[communities.c.id] in self.audience.banned_from


def somebody(change: Change) -> int:
    """Raises SignInFirst."""
    if change.audience.viewer_id is None:
        raise SignInFirst("Sign in first.")
    return change.audience.viewer_id


async def here(change: Change, community_id: int, path: tuple[str, ...] = COMMUNITY) -> Here:
    """Raises NotFound where the viewer may not know of the community, then SignInFirst."""
    facts = await store.facts_of(change, community_id, lock=True)
    place = None if facts is None else await _standing(change, facts)
    if place is None or not access.SEE_COMMUNITY.holds(place[0], place[1]):
        raise NotFound("There is no such community.", path)
    audience, facts, membership = place
    return Here(facts, audience, somebody(change), membership)


async def here_by_invitation(change: Change, community_id: int) -> Here:
    """The same for somebody who was told of the community.  Raises SignInFirst."""
    viewer_id = somebody(change)
    facts = await store.facts_of(change, community_id, lock=True)
    assert facts is not None, "an invitation leads to a community"
    audience, facts, membership = await _standing(change, facts)
    return Here(facts, audience, viewer_id, membership)


async def _standing(change: Change, facts: Facts) -> tuple[Audience, Facts, Member | None]:
    viewer_id, community_id = change.audience.viewer_id, facts[communities.c.id]
    if viewer_id is None:
        return change.audience, facts, None
    membership = await store.membership(change, community_id, viewer_id)
    invited = await admission.invitation_of(change, community_id, viewer_id) is not None
    banned = await store.ban(change, community_id, viewer_id) is not None
    only = frozenset({community_id})
    none: frozenset[int] = frozenset()
    audience = replace(
        change.audience,
        member_of=only if membership else none,
        moderates=only if membership and membership.role != "MEMBER" else none,
        invited_to=only if invited else none,
        banned_from=only if banned else none,
    )
    return audience, facts, membership


async def moderating(change: Change, community_id: int, path: tuple[str, ...] = COMMUNITY) -> Here:
    """Of somebody who decides on members; `path` leads to what names the community.

    Raises NotFound, SignInFirst, NotPermitted.
    """
    place = await here(change, community_id, path)
    if place.role is None or not access.MANAGE_COMMUNITY.holds(place.audience, place.facts):
        raise NotPermitted("Only its moderators decide on members.", path, requires="MODERATOR")
    return place


async def administering(change: Change, community_id: int) -> Here:
    """Of somebody who decides on the community itself.  Raises NotFound, SignInFirst, NotPermitted."""
    place = await here(change, community_id)
    if place.role != "ADMIN":
        message = "Only its admins decide on the community itself."
        raise NotPermitted(message, COMMUNITY, requires="ADMIN")
    return place


async def check_person(change: Change, user_id: int) -> str:
    """The person's role on the site.  Raises NotFound."""
    role = await store.site_role(change, user_id)
    if role is None:
        raise NotFound("There is no such person.", ("input", "userId"))
    return role


async def check_not_banned(change: Change, community_id: int, user_id: int) -> None:
    """Raises NotPermitted."""
    if await store.ban(change, community_id, user_id) is not None:
        raise NotPermitted("This person is banned: lift the ban first.", ("input", "userId"))


async def add_member(change: Change, community_id: int, user_id: int, role: str) -> int:
    """The new membership's id; whatever was asked or offered is answered by it."""
    membership_id = await store.add_member(change, community_id, user_id, role, change.now)
    await admission.answer_invitation(change, community_id, user_id, "ACCEPTED")
    await admission.answer_request(change, community_id, user_id, "ACCEPTED", change.now)
    await change.record(AccessChanged(user_id))
    return membership_id
