"""People at the door of a public and of a private community."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from graph.admission import actions
from graph.admission.codes import new_code
from graph.communities import actions as community_actions
from graph.context import Viewer
from graph.storage.tables import communities, community_invitations, community_requests, memberships


@dataclass
class Door:
    """ada, an admin of the site, founded both communities; mia moderates both; greg and zoe are in neither.

    One asks to be let into the public one.
    """

    community: Any
    ids: dict[str, int]
    public: int = 0
    private: int = 0

    async def viewer(self, name: str) -> Viewer:
        viewer: Viewer = await self.community.viewer(self.ids[name])
        return viewer

    async def by(self, name: str, action: Callable[..., Any], /, **given: Any) -> Any:
        return await self.community.act(lambda change: action(change, **given), await self.viewer(name))

    async def invite(self, name: str, by: str = "mia", community_id: int | None = None) -> int:
        given = {"community_id": community_id or self.private, "user_id": self.ids[name]}
        key: int = await self.by(by, actions.invite, **given)
        return key

    async def link(self, **given: Any) -> tuple[int, bytes]:
        """The invitation's id and the code's hash."""
        code = new_code()
        key = await self.by("mia", actions.invite_by_link, community_id=self.private, code_hash=code.hash, **given)
        return key, code.hash

    async def ask(self, name: str, message: str | None = None) -> int:
        key: int = await self.by(name, actions.request_to_join, community_id=self.public, message=message)
        return key

    async def roles(self, community_id: int) -> dict[str, str]:
        names = {key: name for name, key in self.ids.items()}
        return {names[row[2]]: row[3] for row in await self.community.table(memberships) if row[1] == community_id}

    async def counts(self) -> list[int]:
        column = communities.columns.keys().index("member_count")
        return [row[column] for row in await self.community.table(communities)]

    async def invitations(self) -> list[dict[str, Any]]:
        return await self._rows(community_invitations)

    async def requests(self) -> list[dict[str, Any]]:
        return await self._rows(community_requests)

    async def _rows(self, table: Any) -> list[dict[str, Any]]:
        return [dict(zip(table.columns.keys(), row, strict=True)) for row in await self.community.table(table)]

    async def everything(self) -> Any:
        """What a refusal must not change."""
        tables = (communities, memberships, community_invitations, community_requests)
        return [await self.community.table(table) for table in tables], await self.community.events()


@pytest.fixture
async def door(community: Any) -> Door:
    door = Door(community, {name: await community.person(name) for name in ("greg", "mia", "zoe")})
    door.ids["ada"] = await community.person("ada", role="ADMIN")
    door.public = await door.by("ada", community_actions.create_community, name="Open", joining="REQUEST")
    door.private = await door.by("ada", community_actions.create_community, name="Closed", visibility="PRIVATE")
    for key in (door.public, door.private):
        given = {"community_id": key, "user_id": door.ids["mia"], "role": "MODERATOR"}
        await door.by("ada", community_actions.set_member, **given)
    return door
