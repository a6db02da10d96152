"""What a link shows of a community before one accepts."""

from typing import Any

from graph.admission import actions
from graph.admission.codes import new_code
from graph.scalars import instant_text

ASKED = """query ($code: String!) {
    communityByInvitation(code: $code) { name description memberCount expiresAt }
}"""


async def shown(door: Any, code: str) -> Any:
    """The same for a visitor and for somebody who is signed in."""
    found = [(await door.community.data(ASKED, who, code=code)) for who in (await door.viewer("greg"),)]
    found.append(await door.community.data(ASKED, code=code))
    assert found[0] == found[1]
    return found[0]["communityByInvitation"]


async def test_a_link_shows_what_it_invites_to_while_it_is_good(door: Any) -> None:
    code = new_code()
    end = door.community.now + 10
    given = {"community_id": door.private, "code_hash": code.hash, "expires_at": end}
    key = await door.by("mia", actions.invite_by_link, **given)
    assert await shown(door, code.text) == {
        "name": "Closed",
        "description": None,
        "memberCount": 2,
        "expiresAt": instant_text(end),
    }
    door.community.now = end
    assert await shown(door, code.text) is None
    door.community.now = end - 1
    await door.by("mia", actions.withdraw_invitation, invitation_id=key)
    assert await shown(door, code.text) is None


async def test_what_is_no_code_shows_nothing(door: Any) -> None:
    for code in ("", "pal_i_guess", "\x00", "x" * 10_000):
        assert await shown(door, code) is None
