"""For whom something is read or done: the groups a person belongs to, and, where that matters, the person."""

from dataclasses import dataclass, replace


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
    locale: str = "en"

    @property
    def moderates_everything(self) -> bool:
        return self.role in ("MODERATOR", "ADMIN")

    def shared_within(self, community_id: int | None) -> "Audience":
        """The largest group that sees the same of this community, without the person."""
        here = frozenset(() if community_id is None else (community_id,))
        role = self.role if self.moderates_everything else "VISITOR"
        return replace(
            self, viewer_id=None, role=role, member_of=self.member_of & here, moderates=self.moderates & here
        )


VISITOR = Audience()
