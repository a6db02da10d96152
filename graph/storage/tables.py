"""Every table of Palabre, on one page.

Columns hold whole numbers, text and bytes only: both engines then give the same values, and a row needs no
processing on its way to an answer.  Times are microseconds since 1970 in UTC.  Flags are 0 or 1.  Text sorts by
code point on both engines.  Enumerations are stored by the name they have in the API.
"""

import sqlalchemy as sa

from subscriptions import log

metadata = sa.MetaData(
    naming_convention={
        "ix": "%(table_name)s_%(column_0_N_name)s_index",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "pk": "%(table_name)s_pkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)

# An integer primary key is SQLite's own row number only when its type is spelled INTEGER.
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Number = sa.BigInteger()
Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Bytes = sa.LargeBinary()


def key() -> sa.Column[int]:
    return sa.Column("id", Key, primary_key=True, autoincrement=True)


def reference(name: str, target: str, *, nullable: bool = False, index: bool = False) -> sa.Column[int]:
    return sa.Column(name, Key, sa.ForeignKey(f"{target}.id"), nullable=nullable, index=index)


def number(name: str, *, default: int | None = None, nullable: bool = False) -> sa.Column[int]:
    given = None if default is None else sa.text(str(default))
    return sa.Column(name, Number, nullable=nullable, server_default=given)


def words(name: str, *, default: str | None = None, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, Words, nullable=nullable, server_default=default)


users = sa.Table(
    "users",
    metadata,
    key(),
    words("handle"),  # as the person writes it
    words("handle_key"),  # folded: what must be unique
    words("display_name"),
    words("bio", nullable=True),
    words("avatar_url", nullable=True),
    words("role", default="MEMBER"),  # of the whole site: MEMBER, MODERATOR, ADMIN
    words("locale", default="en"),
    words("email", nullable=True),
    words("email_key", nullable=True),  # folded: what must be unique
    words("password_hash", nullable=True),  # Argon2id; null: cannot sign in with a password
    number("created_at"),
    number("email_confirmed_at", nullable=True),  # null: nobody has shown that mail to it arrives
    number("deactivated_at", nullable=True),  # null: the account is in use
    number("returns_until", nullable=True),  # of one that its owner has deactivated: signing in takes it up again
    number("renamed_at", nullable=True),  # when the person last took another handle
    sa.UniqueConstraint("handle_key"),
    sa.UniqueConstraint("email_key"),
)

# Secrets that open the door: sessions of browsers and apps, API tokens of programs.  Only their hash is kept.
tokens = sa.Table(
    "tokens",
    metadata,
    key(),
    reference("user_id", "users", index=True),
    words("kind"),  # SESSION, API
    sa.Column("secret_hash", Bytes, nullable=False),  # SHA-256 of the secret
    words("name", nullable=True),  # the device, or what the program is for
    number("created_at"),
    number("last_used_at"),
    number("expires_at", nullable=True),  # null: never
    number("revoked_at", nullable=True),
    words("scopes", default="ACCOUNT COMMUNITIES READ WRITE"),  # of API tokens; sessions may do everything
    sa.UniqueConstraint("secret_hash"),
)

# Handles that people had before: they lead to the person for good, and nobody else gets them.
former_handles = sa.Table(
    "former_handles",
    metadata,
    key(),
    reference("user_id", "users", index=True),
    words("handle_key"),
    number("left_at"),
    sa.UniqueConstraint("handle_key"),
)

communities = sa.Table(
    "communities",
    metadata,
    key(),
    words("slug"),
    words("name"),
    words("description", nullable=True),
    words("visibility", default="PUBLIC"),  # PUBLIC, PRIVATE
    number("created_at"),
    words("joining", default="OPEN"),  # OPEN, REQUEST, INVITATION
    words("posting", default="MEMBERS"),  # MEMBERS, MODERATORS
    number("revision", default=1),  # of the settings
    number("archived_at", nullable=True),  # null: people write in it
    # Counted in SQL, in the transaction that changes what is counted, this row locked first.
    number("member_count", default=0),
    number("post_count", default=0),  # published ones
    sa.UniqueConstraint("slug"),
)

# Every slug that a community has or had: it leads there, and is nobody else's.
community_slugs = sa.Table(
    "community_slugs",
    metadata,
    sa.Column("slug", Words, primary_key=True),
    reference("community_id", "communities", index=True),
    number("created_at"),
)

memberships = sa.Table(
    "memberships",
    metadata,
    key(),
    reference("community_id", "communities"),
    reference("user_id", "users", index=True),
    words("role", default="MEMBER"),  # in this community: MEMBER, MODERATOR, ADMIN
    number("created_at"),
    number("rank", default=2),  # of the role: admins 0, moderators 1, members 2
    sa.UniqueConstraint("community_id", "user_id"),
    sa.Index("memberships_community_id_created_at_id_index", "community_id", "created_at", "id"),
    sa.Index("memberships_community_id_rank_created_at_id_index", "community_id", "rank", "created_at", "id"),
    sa.Index("memberships_user_id_created_at_id_index", "user_id", "created_at", "id"),
)

# To one person, or a link for whoever has its code.
unanswered = sa.text("answer = 'PENDING'")
community_invitations = sa.Table(
    "community_invitations",
    metadata,
    key(),
    reference("community_id", "communities"),
    reference("user_id", "users", nullable=True),  # null: a link
    reference("inviter_id", "users"),
    words("answer", default="PENDING"),  # PENDING, ACCEPTED, DECLINED, WITHDRAWN
    sa.Column("code_hash", Bytes, nullable=True),  # SHA-256 of a link's code
    number("uses", default=0),  # of a link
    number("uses_limit", nullable=True),  # null: any number
    number("created_at"),
    number("expires_at", nullable=True),  # null: never
    sa.UniqueConstraint("code_hash"),
    sa.Index(
        "community_invitations_community_id_user_id_pending_index",
        "community_id",
        "user_id",
        unique=True,
        sqlite_where=unanswered,
        postgresql_where=unanswered,
    ),
    sa.Index(
        "community_invitations_community_id_answer_created_at_id_index", "community_id", "answer", "created_at", "id"
    ),
    sa.Index("community_invitations_user_id_answer_created_at_id_index", "user_id", "answer", "created_at", "id"),
)

# To be let in.
community_requests = sa.Table(
    "community_requests",
    metadata,
    key(),
    reference("community_id", "communities"),
    reference("user_id", "users"),
    words("message", nullable=True),
    words("answer", default="PENDING"),  # PENDING, ACCEPTED, DECLINED, WITHDRAWN
    number("created_at"),
    number("answered_at", nullable=True),
    sa.Index(
        "community_requests_community_id_user_id_pending_index",
        "community_id",
        "user_id",
        unique=True,
        sqlite_where=unanswered,
        postgresql_where=unanswered,
    ),
    sa.Index(
        "community_requests_community_id_answer_created_at_id_index", "community_id", "answer", "created_at", "id"
    ),
    sa.Index("community_requests_user_id_answer_created_at_id_index", "user_id", "answer", "created_at", "id"),
)

community_bans = sa.Table(
    "community_bans",
    metadata,
    key(),
    reference("community_id", "communities"),
    reference("user_id", "users", index=True),
    words("reason", nullable=True),
    reference("banned_by_id", "users"),
    number("created_at"),
    sa.UniqueConstraint("community_id", "user_id"),
    sa.Index("community_bans_community_id_created_at_id_index", "community_id", "created_at", "id"),
)

posts = sa.Table(
    "posts",
    metadata,
    key(),
    reference("community_id", "communities", nullable=True),
    reference("author_id", "users"),
    words("kind", default="ARTICLE"),
    words("slug"),
    words("title"),
    words("summary", nullable=True),
    words("body"),  # Markdown as written; empty for imported HTML
    words("body_html"),  # safe
    words("body_text"),
    words("language", nullable=True),
    words("state"),  # DRAFT, PUBLISHED, REMOVED
    words("discussion", default="OPEN"),  # OPEN, LOCKED
    number("revision", default=1),
    number("created_at"),
    number("published_at", nullable=True),
    number("edited_at", nullable=True),
    number("last_activity_at"),
    # Counted in SQL, in the transaction that changes what is counted, this row locked first.
    number("last_number", default=0),  # of the comments, dense and never used twice
    number("comment_count", default=0),  # published ones
    number("root_count", default=0),  # rows shown directly below the post
    sa.UniqueConstraint("slug"),
    sa.Index("posts_state_published_at_id_index", "state", "published_at", "id"),
    sa.Index("posts_community_id_state_published_at_id_index", "community_id", "state", "published_at", "id"),
    sa.Index("posts_state_last_activity_at_id_index", "state", "last_activity_at", "id"),
    sa.Index("posts_community_id_state_last_activity_at_id_index", "community_id", "state", "last_activity_at", "id"),
    sa.Index("posts_author_id_state_published_at_id_index", "author_id", "state", "published_at", "id"),
)

# `shown`: the row has a place in the tree that readers see, because it is published or because something
# shown hangs below it (then it stands as a tombstone).  Kept true by the actions that change either.
shown = sa.text("shown = 1")
comments = sa.Table(
    "comments",
    metadata,
    key(),
    reference("post_id", "posts"),
    reference("community_id", "communities", nullable=True),  # the post's: who may see a row is told by the row
    reference("parent_id", "comments", nullable=True),
    reference("author_id", "users"),
    number("number"),  # in its post, dense, in order of arrival
    number("depth"),  # roots are 0
    words("path"),  # 5 base32hex characters per level, of the numbers from the root down: sorts OLDEST
    words("rpath"),  # the same of the numbers mirrored: sorts NEWEST
    words("status"),  # PUBLISHED, PENDING, REJECTED, DELETED
    number("shown"),
    words("body"),  # Markdown as written; empty for imported HTML and for tombstones
    words("body_html"),
    words("body_text"),
    number("revision", default=1),
    number("created_at"),
    number("edited_at", nullable=True),
    number("reply_count", default=0),  # direct replies that are shown
    number("descendant_count", default=0),  # all replies below that are shown
    # Positions of the post's topic in the log between which the row was shown: where a reply stood among its
    # siblings at any position can then be told.  Null: since before the log, and still.
    number("shown_from", nullable=True),
    number("shown_until", nullable=True),
    sa.UniqueConstraint("post_id", "number"),
    sa.UniqueConstraint("post_id", "path"),
    sa.Index("comments_post_id_path_shown_index", "post_id", "path", sqlite_where=shown, postgresql_where=shown),
    sa.Index("comments_post_id_rpath_shown_index", "post_id", "rpath", sqlite_where=shown, postgresql_where=shown),
    sa.Index("comments_parent_id_number_index", "parent_id", "number"),
    # A flood of replies that wait for approval must not slow down those that are shown.
    sa.Index(
        "comments_parent_id_number_shown_index", "parent_id", "number", sqlite_where=shown, postgresql_where=shown
    ),
    sa.Index("comments_post_id_parent_id_number_index", "post_id", "parent_id", "number"),
    sa.Index("comments_author_id_created_at_id_index", "author_id", "created_at", "id"),
)

# Former texts.  Number 1 is the first text; the present one is in the post or comment itself.
revisions = sa.Table(
    "revisions",
    metadata,
    key(),
    reference("post_id", "posts", nullable=True),
    reference("comment_id", "comments", nullable=True),
    number("number"),
    words("title", nullable=True),  # of posts
    words("body"),
    words("body_html"),
    reference("editor_id", "users"),
    words("reason", nullable=True),  # why it was then changed
    number("written_at"),
    sa.UniqueConstraint("post_id", "number"),
    sa.UniqueConstraint("comment_id", "number"),
)

# Notices that another site has linked here: kept apart from what people answer.
pingbacks = sa.Table(
    "pingbacks",
    metadata,
    key(),
    reference("post_id", "posts", index=True),
    words("kind"),  # PINGBACK, TRACKBACK
    words("url"),
    words("title"),
    words("excerpt"),
    words("status"),  # PUBLISHED, PENDING
    number("created_at"),
)

# Where imported rows came from: what makes an import repeatable.
origins = sa.Table(
    "origins",
    metadata,
    words("source"),
    words("kind"),  # user, post, comment, pingback
    words("external_id"),
    number("local_id"),
    sa.PrimaryKeyConstraint("source", "kind", "external_id"),
)

# What an act led to, so that the same act sent twice is done once.
idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    number("viewer_id"),  # 0 where nobody is signed in
    words("mutation"),
    words("key"),
    sa.Column("input_hash", Bytes, nullable=False),
    words("result"),  # identities, as JSON
    number("created_at"),
    sa.PrimaryKeyConstraint("viewer_id", "mutation", "key"),
    sa.Index("idempotency_keys_created_at_index", "created_at"),
)

# Letters to be sent, written with the act that causes them; `graph.mail` sends them.  No secret stands here.
mails = sa.Table(
    "mails",
    metadata,
    key(),
    words("kind"),  # as graph.mail.rules has them
    reference("user_id", "users", nullable=True),  # null: whose address it is when it is sent
    words("address"),
    words("address_key"),  # folded, as users.email_key
    words("detail", nullable=True),  # what the letter tells besides
    words("state"),  # QUEUED, SENT, DROPPED (there was nobody to write to), GIVEN_UP
    number("created_at"),
    number("due_at", nullable=True),  # when it is tried next, or its lease ends; null: done with
    number("tries"),
    sa.Index("mails_due_at_index", "due_at"),
    sa.Index("mails_address_key_created_at_index", "address_key", "created_at"),
    sa.Index("mails_user_id_created_at_index", "user_id", "created_at"),
)

# Accounts that somebody asked for, until the code that was mailed makes them.  Where no mail is sent, there are none.
sign_ups = sa.Table(
    "sign_ups",
    metadata,
    key(),
    words("handle"),
    words("email"),
    words("email_key"),  # folded; several may want one, and one gets it
    words("password_hash"),
    words("locale"),
    sa.Column("secret_hash", Bytes, nullable=True),  # SHA-256 of the code in the latest letter; null: none was written
    number("created_at"),
    number("expires_at"),
    sa.UniqueConstraint("secret_hash"),
    sa.Index("sign_ups_email_key_index", "email_key"),
)

# One-time codes that a letter or the operator gave out.  Only their hash is kept.
codes = sa.Table(
    "codes",
    metadata,
    key(),
    reference("user_id", "users", index=True),
    words("kind"),  # RESET, CONFIRM, CHANGE
    sa.Column("secret_hash", Bytes, nullable=False),  # SHA-256 of the code
    words("address", nullable=True),  # where it was sent, and what it proves; null: the operator handed it over
    number("created_at"),
    number("expires_at"),
    number("used_at", nullable=True),
    sa.UniqueConstraint("secret_hash"),
)

# The log's own tables.
epochs = log.epochs.to_metadata(metadata)
topics = log.topics.to_metadata(metadata)
events = log.events.to_metadata(metadata)
