"""What a request is answered with where a part of it fails while another waits for the same rows."""

from typing import Any

from graph.communities import actions

# Both lists want the invitations of the same community, in one read; in the second a neighbour fails.
HALF_WRONG = """{
    a: communities { nodes { slug invitations { nodes { id } } } }
    b: communities { nodes { slug bans(first: -1) { totalCount } invitations { nodes { id } } } }
}"""


async def test_a_field_that_fails_takes_nothing_from_others_who_wait_for_the_same_rows(community: Any) -> None:
    ada = await community.viewer(await community.person("ada", role="ADMIN"))
    await community.act(lambda change: actions.create_community(change, name="Cave"), ada)
    ada = await community.viewer(ada.audience.viewer_id)
    answer = await community.whole(HALF_WRONG, ada)
    assert [error["message"] for error in answer.errors] == ["`first` is -1; it can be 0 to 100."]
