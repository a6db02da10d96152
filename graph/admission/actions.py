"""How people come into communities: they are invited, or ask to be let in.  Each action is one change."""

from graph import access
from graph.access import Facts
from graph.admission import rules, store
from graph.change import Change
from graph.communities import rules as community_rules
from graph.communities import standing
from graph.communities import store as communities_store
from graph.communities.standing import Here, here, here_by_invitation, moderating
from graph.events import AccessChanged
from graph.refusals import Conflict, NotFound, NotPermitted
from graph.storage.tables import communities
from graph.storage.tables import community_invitations as invitations
from graph.storage.tables import community_requests as requests

COMMUNITY = ("input", "communityId")


async def invite(change: Change, *, community_id: int, user_id: int) -> int:
    """Let somebody see a community and join it; gives the invitation's id, also of the one that waits already.

    Raises NotFound for a community or a person, SignInFirst, NotPermitted for all but moderators and for who is
    banned, Closed, and Conflict for a member.
    """
    place = await moderating(change, community_id)
    community_rules.check_open(place.facts[communities.c.archived_at], COMMUNITY)
    await standing.check_person(change, user_id)
    if await communities_store.membership(change, community_id, user_id) is not None:
        raise Conflict("This person is a member already.", ("input", "userId"))
    await standing.check_not_banned(change, community_id, user_id)
    present = await store.invitation_of(change, community_id, user_id)
    if present is not None:
        return present
    invited = {"community_id": community_id, "user_id": user_id, "inviter_id": place.viewer_id}
    invitation_id = await store.add_invitation(change, **invited, created_at=change.now)
    await change.record(AccessChanged(user_id))
    return invitation_id


async def invite_by_link(
    change: Change,
    *,
    community_id: int,
    code_hash: bytes,
    uses_limit: int | None = None,
    expires_at: int | None = None,
) -> int:
    """Let whoever has the code join a community; gives the invitation's id.

    `expires_at` in µs since 1970, None: never.  Raises NotFound, SignInFirst, NotPermitted, Closed, Invalid.
    """
    place = await moderating(change, community_id)
    community_rules.check_open(place.facts[communities.c.archived_at], COMMUNITY)
    return await store.add_invitation(
        change,
        community_id=community_id,
        inviter_id=place.viewer_id,
        code_hash=code_hash,
        uses_limit=rules.check_uses(uses_limit),
        created_at=change.now,
        expires_at=rules.check_expiry(expires_at, change.now),
    )


async def accept_invitation(
    change: Change, *, invitation_id: int | None = None, code_hash: bytes | None = None
) -> list[int]:
    """Join as one was invited to, by one of the two; gives the ids of the membership and the community.

    Raises SignInFirst, NotFound for what was never offered or is not good any more, Conflict for what was answered
    already, Closed, and NotPermitted for who is banned.
    """
    viewer_id = standing.somebody(change)
    if code_hash is None:
        facts, place = await _own_invitation(change, invitation_id)
    else:
        facts, place = await _by_code(change, code_hash)
    community_id: int = facts[invitations.c.community_id]
    if place.membership is not None:
        return [place.membership.id, community_id]
    if code_hash is None:
        rules.check_pending(facts[invitations.c.answer], "id")
    else:
        rules.check_good(store.link_of(facts), change.now)
    path = ("input", "id" if code_hash is None else "code")
    community_rules.check_open(place.facts[communities.c.archived_at], path)
    community_rules.check_not_banned(place.banned, path)
    if code_hash is not None:
        await store.use_link(change, facts[invitations.c.id])
    return [await standing.add_member(change, community_id, viewer_id, "MEMBER"), community_id]


async def decline_invitation(change: Change, *, invitation_id: int) -> int:
    """Gives the invitation's id.  Raises SignInFirst, NotFound, Conflict."""
    viewer_id = standing.somebody(change)
    facts, _ = await _own_invitation(change, invitation_id)
    rules.check_pending(facts[invitations.c.answer], "id")
    await store.answer_invitation(change, facts[invitations.c.community_id], viewer_id, "DECLINED")
    await change.record(AccessChanged(viewer_id))
    return invitation_id


async def withdraw_invitation(change: Change, *, invitation_id: int) -> int:
    """Of a person or by a link, as a moderator; gives the invitation's id.

    Raises SignInFirst, NotFound, NotPermitted, Conflict.
    """
    standing.somebody(change)
    facts = await _invitation(change, invitation_id)
    await moderating(change, facts[invitations.c.community_id], ("input", "id"))
    facts = await _invitation(change, invitation_id)
    rules.check_pending(facts[invitations.c.answer], "id")
    await store.withdraw_invitation(change, invitation_id)
    if facts[invitations.c.user_id] is not None:
        await change.record(AccessChanged(facts[invitations.c.user_id]))
    return invitation_id


async def request_to_join(change: Change, *, community_id: int, message: str | None = None) -> int:
    """Ask a community's moderators to be let in; gives the request's id, also of the one that waits already.

    Raises NotFound, SignInFirst, Conflict for a member, Closed, Invalid, and NotPermitted for who is banned, or where
    nobody has to ask or nobody may.
    """
    place = await here(change, community_id)
    if place.membership is not None:
        raise Conflict("You are a member already.", COMMUNITY)
    community_rules.check_open(place.facts[communities.c.archived_at], COMMUNITY)
    community_rules.check_not_banned(place.banned, COMMUNITY)
    if not access.REQUEST_TO_JOIN.holds(place.audience, place.facts):
        if access.JOIN_COMMUNITY.holds(place.audience, place.facts):
            raise NotPermitted("Nobody has to ask here: join.", COMMUNITY)
        raise NotPermitted("This community is joined by invitation.", COMMUNITY)
    present = await store.request_of(change, community_id, place.viewer_id)
    if present is not None:
        return present
    asked = {"community_id": community_id, "user_id": place.viewer_id, "created_at": change.now}
    return await store.add_request(change, **asked, message=rules.clean_message(message))


async def accept_request(change: Change, *, request_id: int) -> list[int]:
    """Let somebody in who asked; gives the ids of the membership and the community.

    Raises SignInFirst, NotFound, NotPermitted, Conflict, Closed.
    """
    facts, place = await _asked(change, request_id)
    community_rules.check_open(place.facts[communities.c.archived_at], ("input", "id"))
    community_id, user_id = facts[requests.c.community_id], facts[requests.c.user_id]
    return [await standing.add_member(change, community_id, user_id, "MEMBER"), community_id]


async def decline_request(change: Change, *, request_id: int) -> int:
    """Gives the request's id.  Raises SignInFirst, NotFound, NotPermitted, Conflict."""
    facts, _ = await _asked(change, request_id)
    await _answer(change, facts, "DECLINED")
    return request_id


async def withdraw_request(change: Change, *, request_id: int) -> int:
    """Of one's own; gives the request's id.  Raises SignInFirst, NotFound, Conflict."""
    viewer_id = standing.somebody(change)
    facts = await _request(change, request_id)
    if facts[requests.c.user_id] != viewer_id:
        raise NotFound("There is no such request.", ("input", "id"))
    await here_by_invitation(change, facts[requests.c.community_id])
    rules.check_pending((await _request(change, request_id))[requests.c.answer], "id")
    await _answer(change, facts, "WITHDRAWN")
    return request_id


# Whoever answers locks the community first and looks again: somebody else may just have answered.


async def _invitation(change: Change, invitation_id: int | None) -> Facts:
    facts = await store.invitation(change, key=invitation_id)
    if facts is None or not access.SEE_INVITATION.holds(change.audience, facts):
        raise NotFound("There is no such invitation.", ("input", "id"))
    return facts


async def _own_invitation(change: Change, invitation_id: int | None) -> tuple[Facts, Here]:
    facts = await _invitation(change, invitation_id)
    if facts[invitations.c.user_id] != change.audience.viewer_id:
        raise NotFound("There is no such invitation.", ("input", "id"))
    place = await here_by_invitation(change, facts[invitations.c.community_id])
    return await _invitation(change, invitation_id), place


async def _by_code(change: Change, code_hash: bytes) -> tuple[Facts, Here]:
    facts = await store.invitation(change, code_hash=code_hash)
    if facts is None:
        raise NotFound("There is no such invitation.", ("input", "code"))
    place = await here_by_invitation(change, facts[invitations.c.community_id])
    again = await store.invitation(change, code_hash=code_hash)
    assert again is not None, "invitations are kept"
    return again, place


async def _request(change: Change, request_id: int) -> Facts:
    facts = await store.request(change, request_id)
    if facts is None or not access.SEE_JOIN_REQUEST.holds(change.audience, facts):
        raise NotFound("There is no such request.", ("input", "id"))
    return facts


async def _asked(change: Change, request_id: int) -> tuple[Facts, Here]:
    """A request that waits, for a moderator."""
    standing.somebody(change)
    facts = await _request(change, request_id)
    place = await moderating(change, facts[requests.c.community_id], ("input", "id"))
    facts = await _request(change, request_id)
    rules.check_pending(facts[requests.c.answer], "id")
    return facts, place


async def _answer(change: Change, facts: Facts, answer: str) -> None:
    key, asker = facts[requests.c.community_id], facts[requests.c.user_id]
    await store.answer_request(change, key, asker, answer, change.now)
