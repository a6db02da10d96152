"""Who may see and do what: one table of rules, each of which is a Python predicate and a SQL condition.

`holds` decides over the facts of one row, `where` lets the database decide over many; a test compares the two on
random rows.  Lists and counts filter in SQL, never after LIMIT.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa

from graph.audience import SCOPES, Audience
from graph.phrases import phrase
from graph.refusals import NotPermitted
from graph.storage.tables import (
    comments,
    communities,
    community_bans,
    community_invitations,
    community_requests,
    memberships,
    posts,
    revisions,
    tokens,
    users,
)

Facts = Mapping[sa.Column[Any], Any]
Those = Literal["member_of", "moderates", "invited_to", "banned_from"]  # communities of an audience


class Rule(ABC):
    @abstractmethod
    def holds(self, audience: Audience, facts: Facts) -> bool:
        """Over the columns of one row, and of the rows it belongs to."""

    @abstractmethod
    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        """The same as a condition of a statement that selects from the row's table."""


@dataclass(frozen=True)
class Is(Rule):
    """The column has one of these values."""

    column: sa.Column[Any]
    values: tuple[Any, ...]

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return bool(facts[self.column] in self.values)

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        if len(self.values) == 1:
            (value,) = self.values
            return sa.and_(self.column == value)
        return sa.or_(*(self.column == value for value in self.values))


@dataclass(frozen=True)
class Missing(Rule):
    """The column is null."""

    column: sa.Column[Any]

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return facts[self.column] is None

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        return self.column.is_(None)


@dataclass(frozen=True)
class Own(Rule):
    """The column names the viewer.  Never true without a viewer."""

    column: sa.Column[Any]

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return audience.viewer_id is not None and facts[self.column] == audience.viewer_id

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        return sa.false() if audience.viewer_id is None else self.column == audience.viewer_id


@dataclass(frozen=True)
class Among(Rule):
    """The column names one of the audience's communities."""

    column: sa.Column[Any]
    those: Those

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return facts[self.column] in _ids(audience, self.those)

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        ids = sorted(_ids(audience, self.those))
        return self.column.in_(ids) & self.column.is_not(None) if ids else sa.false()


@dataclass(frozen=True)
class Outside(Rule):
    """The column names none of the audience's communities of this kind; true of null."""

    column: sa.Column[Any]
    those: Those

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return facts[self.column] not in _ids(audience, self.those)

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        ids = sorted(_ids(audience, self.those))
        return sa.or_(self.column.not_in(ids), self.column.is_(None)) if ids else sa.true()


def _ids(audience: Audience, those: Those) -> frozenset[int]:
    ids: frozenset[int] = getattr(audience, those)
    return ids


@dataclass(frozen=True)
class Role(Rule):
    """The audience has one of these roles on the whole site."""

    roles: tuple[str, ...]

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return audience.role in self.roles

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        return sa.true() if audience.role in self.roles else sa.false()


@dataclass(frozen=True)
class Scoped(Rule):
    """The credential in use may be used for this."""

    scope: str

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return self.scope in audience.scopes

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        return sa.true() if self.scope in audience.scopes else sa.false()


@dataclass(frozen=True)
class Of(Rule):
    """The row belongs to a row of another table for which a rule holds."""

    reference: sa.Column[Any]
    table: sa.Table
    rule: Rule

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return facts[self.reference] is not None and self.rule.holds(audience, facts)

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        owner = sa.select(sa.literal(1)).where(self.table.c.id == self.reference, self.rule.where(audience))
        return owner.correlate(self.reference.table).exists()


@dataclass(frozen=True)
class All(Rule):
    rules: tuple[Rule, ...]

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return all(rule.holds(audience, facts) for rule in self.rules)

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        return sa.and_(sa.true(), *(rule.where(audience) for rule in self.rules))


@dataclass(frozen=True)
class Some(Rule):
    rules: tuple[Rule, ...]

    def holds(self, audience: Audience, facts: Facts) -> bool:
        return any(rule.holds(audience, facts) for rule in self.rules)

    def where(self, audience: Audience) -> sa.ColumnElement[bool]:
        return sa.or_(sa.false(), *(rule.where(audience) for rule in self.rules))


def every(*rules: Rule) -> Rule:
    return All(rules)


def some(*rules: Rule) -> Rule:
    return Some(rules)


def is_(column: sa.Column[Any], *values: Any) -> Rule:
    return Is(column, values)


_signed_in = Role(("MEMBER", "MODERATOR", "ADMIN"))
_moderates_everything = Role(("MODERATOR", "ADMIN"))
_administers = Role(("ADMIN",))
_not_archived = Missing(communities.c.archived_at)
_post_published = is_(posts.c.state, "PUBLISHED")
_moderates_post = some(_moderates_everything, Among(posts.c.community_id, "moderates"))
_moderates_comment = some(_moderates_everything, Among(comments.c.community_id, "moderates"))

# --- the table ------------------------------------------------------------------------------------------------

SEE_USER: Final = every()
# An account, and the secrets that open it, are shown to nobody else.
SEE_VIEWER: Final = Own(users.c.id)
_own_token = every(Scoped("ACCOUNT"), Own(tokens.c.user_id), Missing(tokens.c.revoked_at))
SEE_SESSION: Final = every(_own_token, is_(tokens.c.kind, "SESSION"))
SEE_API_TOKEN: Final = every(_own_token, is_(tokens.c.kind, "API"))

READ_COMMUNITY: Final = some(
    is_(communities.c.visibility, "PUBLIC"),
    Among(communities.c.id, "member_of"),
    _moderates_everything,
)
# An invitation shows what one is invited to, and nothing that is said in it.
SEE_COMMUNITY: Final = some(READ_COMMUNITY, Among(communities.c.id, "invited_to"))
SEE_MEMBERSHIP: Final = some(Own(memberships.c.user_id), Of(memberships.c.community_id, communities, READ_COMMUNITY))
MANAGE_COMMUNITY: Final = some(_administers, Among(communities.c.id, "moderates"))
_joinable = every(
    _signed_in,
    _not_archived,
    Outside(communities.c.id, "member_of"),
    Outside(communities.c.id, "banned_from"),
)
JOIN_COMMUNITY: Final = every(
    _joinable,
    some(
        Among(communities.c.id, "invited_to"),
        every(is_(communities.c.visibility, "PUBLIC"), is_(communities.c.joining, "OPEN")),
    ),
)
REQUEST_TO_JOIN: Final = every(
    _joinable, is_(communities.c.visibility, "PUBLIC"), is_(communities.c.joining, "REQUEST")
)
FOUND_COMMUNITY: Final = _administers
SEE_INVITATION: Final = some(
    Own(community_invitations.c.user_id), _administers, Among(community_invitations.c.community_id, "moderates")
)
SEE_JOIN_REQUEST: Final = some(
    Own(community_requests.c.user_id), _administers, Among(community_requests.c.community_id, "moderates")
)
SEE_BAN: Final = some(Own(community_bans.c.user_id), _administers, Among(community_bans.c.community_id, "moderates"))

# A draft is its author's alone; what was removed is nobody's.
SEE_POST: Final = some(
    every(_post_published, some(Missing(posts.c.community_id), Of(posts.c.community_id, communities, READ_COMMUNITY))),
    every(is_(posts.c.state, "DRAFT"), Own(posts.c.author_id)),
)
WRITE_POST_IN_COMMUNITY: Final = every(
    _signed_in,
    _not_archived,
    some(
        _moderates_everything,
        Among(communities.c.id, "moderates"),
        every(Among(communities.c.id, "member_of"), is_(communities.c.posting, "MEMBERS")),
    ),
)
# Nobody writes in a community that is archived, nor who is banned from it; what one wrote one may take away.
_post_in_use = every(
    some(Missing(posts.c.community_id), Of(posts.c.community_id, communities, _not_archived)),
    Outside(posts.c.community_id, "banned_from"),
)
_comment_in_use = every(
    some(Missing(comments.c.community_id), Of(comments.c.community_id, communities, _not_archived)),
    Outside(comments.c.community_id, "banned_from"),
)
EDIT_POST: Final = every(SEE_POST, Own(posts.c.author_id), _post_in_use)
DELETE_POST: Final = every(SEE_POST, some(Own(posts.c.author_id), _moderates_post))
COMMENT_ON_POST: Final = every(SEE_POST, _signed_in, _post_published, _post_in_use)

# Readers see a comment's row when it is shown (also as a tombstone); one that waits for approval is seen by its
# author and by moderators, outside the tree.
SEE_COMMENT: Final = every(
    Of(comments.c.post_id, posts, SEE_POST),
    some(
        is_(comments.c.shown, 1),
        every(is_(comments.c.status, "PENDING"), some(Own(comments.c.author_id), _moderates_comment)),
    ),
)
READ_COMMENT: Final = some(
    is_(comments.c.status, "PUBLISHED"),
    every(is_(comments.c.status, "PENDING"), some(Own(comments.c.author_id), _moderates_comment)),
)
SEE_REVISION: Final = some(
    Of(revisions.c.post_id, posts, SEE_POST),
    Of(revisions.c.comment_id, comments, every(SEE_COMMENT, READ_COMMENT)),
)
EDIT_COMMENT: Final = every(
    SEE_COMMENT, Own(comments.c.author_id), is_(comments.c.status, "PUBLISHED", "PENDING"), _comment_in_use
)
DELETE_COMMENT: Final = every(
    SEE_COMMENT,
    is_(comments.c.status, "PUBLISHED", "PENDING"),
    some(Own(comments.c.author_id), _moderates_comment),
)
LIST_PENDING: Final = _moderates_comment

EDIT_USER: Final = some(Own(users.c.id), _administers)

RULES: Final[Mapping[str, Rule]] = {name: rule for name, rule in globals().items() if isinstance(rule, Rule)}

# --- what a credential must allow ------------------------------------------------------------------------------

# The scope of each act, by its name in the API.  None: it is done with a password or a code, by whoever has that.
SCOPE_OF: Final[Mapping[str, str | None]] = {
    "signUp": None,
    "signIn": None,
    "requestPasswordReset": None,
    "resetPassword": None,
    "verifyEmail": None,
    "requestEmailConfirmation": "ACCOUNT",
    "requestEmailChange": "ACCOUNT",
    "signOut": "ACCOUNT",
    "signOutEverywhere": "ACCOUNT",
    "revokeSession": "ACCOUNT",
    "createApiToken": "ACCOUNT",
    "revokeApiToken": "ACCOUNT",
    "changePassword": "ACCOUNT",
    "editProfile": "ACCOUNT",
    "changeHandle": "ACCOUNT",
    "deactivateAccount": "ACCOUNT",
    "createCommunity": "COMMUNITIES",
    "editCommunity": "COMMUNITIES",
    "archiveCommunity": "COMMUNITIES",
    "unarchiveCommunity": "COMMUNITIES",
    "joinCommunity": "COMMUNITIES",
    "leaveCommunity": "COMMUNITIES",
    "setCommunityMember": "COMMUNITIES",
    "removeCommunityMember": "COMMUNITIES",
    "banFromCommunity": "COMMUNITIES",
    "unbanFromCommunity": "COMMUNITIES",
    "inviteToCommunity": "COMMUNITIES",
    "createInvitationLink": "COMMUNITIES",
    "acceptInvitation": "COMMUNITIES",
    "declineInvitation": "COMMUNITIES",
    "withdrawInvitation": "COMMUNITIES",
    "requestToJoinCommunity": "COMMUNITIES",
    "acceptJoinRequest": "COMMUNITIES",
    "declineJoinRequest": "COMMUNITIES",
    "withdrawJoinRequest": "COMMUNITIES",
    "createPost": "WRITE",
    "editPost": "WRITE",
    "publishPost": "WRITE",
    "unpublishPost": "WRITE",
    "deletePost": "WRITE",
    "addComment": "WRITE",
    "editComment": "WRITE",
    "deleteComment": "WRITE",
}


def check_scope(act: str, audience: Audience) -> None:
    """Before anything else is looked at.  Raises NotPermitted for a token that is not made for this."""
    scope = SCOPE_OF[act]
    if scope is not None:
        _check_scopes({scope}, audience)


def check_all_scopes(audience: Audience) -> None:
    """For what opens the whole account.  Raises NotPermitted for a token that may not do everything."""
    _check_scopes(SCOPES, audience)


def _check_scopes(needed: Collection[str], audience: Audience) -> None:
    missing = sorted(set(needed) - audience.scopes)
    if missing:
        raise NotPermitted(phrase("This token lacks the scope {scope}.", scope=missing[0]), requires=missing[0])
