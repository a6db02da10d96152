"""For whom something is read or done: the groups a person belongs to, and, where that matters, the person."""

from dataclasses import dataclass, replace
from typing import Final

# What a credential may be used for.  Sessions have all of them, an API token those that it was made with.
SCOPES: Final = frozenset({"READ", "WRITE", "COMMUNITIES", "ACCOUNT"})


@dataclass(frozen=True, slots=True)
class Audience:
    """Two people with equal audiences see the same, so what is sent to both is made once.

    `viewer_id` is None for visitors and for streams that many share; what depends on the very person then fails
    closed.
    """

    viewer_id: int | None = None
    role: str = "VISITOR"  # of the whole site: VISITOR, MEMBER, MODERATOR, ADMIN
    member_of: frozenset[int] = frozenset()  # communities
    moderates: frozenset[int] = frozenset()  # communities, by a role in them
    invited_to: frozenset[int] = frozenset()  # communities, by an invitation that waits for an answer
    banned_from: frozenset[int] = frozenset()  # communities
    locale: str = "en"
    scopes: frozenset[str] = SCOPES  # what the credential in use allows of what the person may
    token_id: int | None = None  # the session or API token in use

    @property
    def moderates_everything(self) -> bool:
        return self.role in ("MODERATOR", "ADMIN")

    def shared_within(self, community_id: int | None) -> "Audience":
        """The largest group that reads the same in this community, without the person."""
        here = frozenset(() if community_id is None else (community_id,))
        role = self.role if self.moderates_everything else "VISITOR"
        return replace(
            self,
            viewer_id=None,
            role=role,
            member_of=self.member_of & here,
            moderates=self.moderates & here,
            invited_to=frozenset(),
            banned_from=frozenset(),
            scopes=SCOPES,  # all of them read; what else they decide on is the person's own
            token_id=None,
        )


VISITOR = Audience()
