"""What the front door needs: one function per subject."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBER = sa.BigInteger()
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BYTES = sa.LargeBinary()


def upgrade() -> None:
    accounts()
    communities()
    mail()


def accounts() -> None:
    for name in ("email_confirmed_at", "deactivated_at", "returns_until", "renamed_at"):
        op.add_column("users", sa.Column(name, NUMBER, nullable=True))
    # Tokens that are there already go on doing what they did.
    everything = "ACCOUNT COMMUNITIES READ WRITE"
    op.add_column("tokens", sa.Column("scopes", WORDS, nullable=False, server_default=everything))
    op.create_table(
        "former_handles",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("handle_key", WORDS, nullable=False),
        sa.Column("left_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="former_handles_pkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="former_handles_user_id_fkey"),
        sa.UniqueConstraint("handle_key", name="former_handles_handle_key_key"),
    )
    op.create_index("former_handles_user_id_index", "former_handles", ["user_id"])


def communities() -> None:
    settle_communities()
    rank_memberships()
    create_community_slugs()
    create_community_invitations()
    create_community_requests()
    create_community_bans()
    op.create_index(
        "posts_community_id_state_last_activity_at_id_index",
        "posts",
        ["community_id", "state", "last_activity_at", "id"],
    )


def settle_communities() -> None:
    for column in (
        sa.Column("joining", WORDS, nullable=False, server_default="OPEN"),
        sa.Column("posting", WORDS, nullable=False, server_default="MEMBERS"),
        sa.Column("revision", NUMBER, nullable=False, server_default=sa.text("1")),
        sa.Column("archived_at", NUMBER, nullable=True),
        sa.Column("member_count", NUMBER, nullable=False, server_default=sa.text("0")),
        sa.Column("post_count", NUMBER, nullable=False, server_default=sa.text("0")),
    ):
        op.add_column("communities", column)
    # Whoever was in a private community had been added to it.
    op.execute("UPDATE communities SET joining = 'INVITATION' WHERE visibility = 'PRIVATE'")
    op.execute(
        "UPDATE communities SET"
        " member_count = (SELECT count(*) FROM memberships WHERE memberships.community_id = communities.id),"
        " post_count = (SELECT count(*) FROM posts"
        " WHERE posts.community_id = communities.id AND posts.state = 'PUBLISHED')"
    )


def rank_memberships() -> None:
    op.add_column("memberships", sa.Column("rank", NUMBER, nullable=False, server_default=sa.text("2")))
    op.execute("UPDATE memberships SET rank = 0 WHERE role = 'ADMIN'")
    op.execute("UPDATE memberships SET rank = 1 WHERE role = 'MODERATOR'")
    for columns in (
        ["community_id", "created_at", "id"],
        ["community_id", "rank", "created_at", "id"],
        ["user_id", "created_at", "id"],
    ):
        op.create_index(f"memberships_{'_'.join(columns)}_index", "memberships", columns)


def create_community_slugs() -> None:
    op.create_table(
        "community_slugs",
        sa.Column("slug", WORDS, nullable=False),
        sa.Column("community_id", KEY, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("slug", name="community_slugs_pkey"),
        sa.ForeignKeyConstraint(["community_id"], ["communities.id"], name="community_slugs_community_id_fkey"),
    )
    op.create_index("community_slugs_community_id_index", "community_slugs", ["community_id"])
    op.execute(
        "INSERT INTO community_slugs (slug, community_id, created_at) SELECT slug, id, created_at FROM communities"
    )


def create_community_invitations() -> None:
    name = "community_invitations"
    op.create_table(
        name,
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("community_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("inviter_id", KEY, nullable=False),
        sa.Column("answer", WORDS, nullable=False, server_default="PENDING"),
        sa.Column("code_hash", BYTES, nullable=True),
        sa.Column("uses", NUMBER, nullable=False, server_default=sa.text("0")),
        sa.Column("uses_limit", NUMBER, nullable=True),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name=f"{name}_pkey"),
        sa.ForeignKeyConstraint(["community_id"], ["communities.id"], name=f"{name}_community_id_fkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"{name}_user_id_fkey"),
        sa.ForeignKeyConstraint(["inviter_id"], ["users.id"], name=f"{name}_inviter_id_fkey"),
        sa.UniqueConstraint("code_hash", name=f"{name}_code_hash_key"),
    )
    unanswered = sa.text("answer = 'PENDING'")
    op.create_index(
        f"{name}_community_id_user_id_pending_index",
        name,
        ["community_id", "user_id"],
        unique=True,
        sqlite_where=unanswered,
        postgresql_where=unanswered,
    )
    op.create_index(f"{name}_community_id_answer_created_at_id_index", name, ["community_id", *LISTED])
    op.create_index(f"{name}_user_id_answer_created_at_id_index", name, ["user_id", *LISTED])


def create_community_requests() -> None:
    name = "community_requests"
    op.create_table(
        name,
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("community_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("message", WORDS, nullable=True),
        sa.Column("answer", WORDS, nullable=False, server_default="PENDING"),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("answered_at", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name=f"{name}_pkey"),
        sa.ForeignKeyConstraint(["community_id"], ["communities.id"], name=f"{name}_community_id_fkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"{name}_user_id_fkey"),
    )
    unanswered = sa.text("answer = 'PENDING'")
    op.create_index(
        f"{name}_community_id_user_id_pending_index",
        name,
        ["community_id", "user_id"],
        unique=True,
        sqlite_where=unanswered,
        postgresql_where=unanswered,
    )
    op.create_index(f"{name}_community_id_answer_created_at_id_index", name, ["community_id", *LISTED])
    op.create_index(f"{name}_user_id_answer_created_at_id_index", name, ["user_id", *LISTED])


def create_community_bans() -> None:
    name = "community_bans"
    op.create_table(
        name,
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("community_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("reason", WORDS, nullable=True),
        sa.Column("banned_by_id", KEY, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"{name}_pkey"),
        sa.ForeignKeyConstraint(["community_id"], ["communities.id"], name=f"{name}_community_id_fkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=f"{name}_user_id_fkey"),
        sa.ForeignKeyConstraint(["banned_by_id"], ["users.id"], name=f"{name}_banned_by_id_fkey"),
        sa.UniqueConstraint("community_id", "user_id", name=f"{name}_community_id_user_id_key"),
    )
    op.create_index(f"{name}_user_id_index", name, ["user_id"])
    op.create_index(f"{name}_community_id_created_at_id_index", name, ["community_id", "created_at", "id"])


LISTED = ["answer", "created_at", "id"]


def mail() -> None:
    op.create_table(
        "mails",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("user_id", KEY, nullable=True),
        sa.Column("address", WORDS, nullable=False),
        sa.Column("address_key", WORDS, nullable=False),
        sa.Column("detail", WORDS, nullable=True),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("due_at", NUMBER, nullable=True),
        sa.Column("tries", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="mails_pkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="mails_user_id_fkey"),
    )
    op.create_index("mails_due_at_index", "mails", ["due_at"])
    op.create_index("mails_address_key_created_at_index", "mails", ["address_key", "created_at"])
    op.create_index("mails_user_id_created_at_index", "mails", ["user_id", "created_at"])
    op.create_table(
        "sign_ups",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("handle", WORDS, nullable=False),
        sa.Column("email", WORDS, nullable=False),
        sa.Column("email_key", WORDS, nullable=False),
        sa.Column("password_hash", WORDS, nullable=False),
        sa.Column("locale", WORDS, nullable=False),
        sa.Column("secret_hash", BYTES, nullable=True),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="sign_ups_pkey"),
        sa.UniqueConstraint("secret_hash", name="sign_ups_secret_hash_key"),
    )
    op.create_index("sign_ups_email_key_index", "sign_ups", ["email_key"])
    op.create_table(
        "codes",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("secret_hash", BYTES, nullable=False),
        sa.Column("address", WORDS, nullable=True),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=False),
        sa.Column("used_at", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name="codes_pkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="codes_user_id_fkey"),
        sa.UniqueConstraint("secret_hash", name="codes_secret_hash_key"),
    )
    op.create_index("codes_user_id_index", "codes", ["user_id"])
