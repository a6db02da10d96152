"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NUMBER = sa.BigInteger()
WORDS = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
BYTES = sa.LargeBinary()


def upgrade() -> None:
    create_communities()
    create_epochs()
    create_events()
    create_idempotency_keys()
    create_origins()
    create_topics()
    create_users()
    create_memberships()
    create_posts()
    create_tokens()
    create_comments()
    create_pingbacks()
    create_revisions()


def create_communities() -> None:
    op.create_table(
        "communities",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("slug", WORDS, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("description", WORDS, nullable=True),
        sa.Column("visibility", WORDS, nullable=False, server_default="PUBLIC"),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="communities_pkey"),
        sa.UniqueConstraint("slug", name="communities_slug_key"),
    )


def create_epochs() -> None:
    op.create_table(
        "epochs",
        sa.Column("id", NUMBER, autoincrement=False, nullable=False),
        sa.Column("epoch", WORDS, nullable=False),
        sa.PrimaryKeyConstraint("id", name="epochs_pkey"),
    )


def create_events() -> None:
    op.create_table(
        "events",
        sa.Column("topic_id", NUMBER, nullable=False),
        sa.Column("position", NUMBER, nullable=False),
        sa.Column("tag", NUMBER, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("data", WORDS, nullable=False),
        sa.Column("at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("topic_id", "position", name="events_pkey"),
        sqlite_with_rowid=False,
    )


def create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("viewer_id", NUMBER, nullable=False),
        sa.Column("mutation", WORDS, nullable=False),
        sa.Column("key", WORDS, nullable=False),
        sa.Column("input_hash", BYTES, nullable=False),
        sa.Column("result", WORDS, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("viewer_id", "mutation", "key", name="idempotency_keys_pkey"),
    )
    op.create_index("idempotency_keys_created_at_index", "idempotency_keys", ["created_at"])


def create_origins() -> None:
    op.create_table(
        "origins",
        sa.Column("source", WORDS, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("external_id", WORDS, nullable=False),
        sa.Column("local_id", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("source", "kind", "external_id", name="origins_pkey"),
    )


def create_topics() -> None:
    op.create_table(
        "topics",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("name", WORDS, nullable=False),
        sa.Column("head", NUMBER, nullable=False),
        sa.Column("head_tag", NUMBER, nullable=False),
        sa.Column("floor", NUMBER, nullable=False, server_default="0"),
        sa.Column("floor_tag", NUMBER, nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="topics_pkey"),
        sa.UniqueConstraint("name", name="topics_name_key"),
    )


def create_users() -> None:
    op.create_table(
        "users",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("handle", WORDS, nullable=False),
        sa.Column("handle_key", WORDS, nullable=False),
        sa.Column("display_name", WORDS, nullable=False),
        sa.Column("bio", WORDS, nullable=True),
        sa.Column("avatar_url", WORDS, nullable=True),
        sa.Column("role", WORDS, nullable=False, server_default="MEMBER"),
        sa.Column("locale", WORDS, nullable=False, server_default="en"),
        sa.Column("email", WORDS, nullable=True),
        sa.Column("email_key", WORDS, nullable=True),
        sa.Column("password_hash", WORDS, nullable=True),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="users_pkey"),
        sa.UniqueConstraint("email_key", name="users_email_key_key"),
        sa.UniqueConstraint("handle_key", name="users_handle_key_key"),
    )


def create_memberships() -> None:
    op.create_table(
        "memberships",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("community_id", KEY, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("role", WORDS, nullable=False, server_default="MEMBER"),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="memberships_pkey"),
        sa.ForeignKeyConstraint(["community_id"], ["communities.id"], name="memberships_community_id_fkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="memberships_user_id_fkey"),
        sa.UniqueConstraint("community_id", "user_id", name="memberships_community_id_user_id_key"),
    )
    op.create_index("memberships_user_id_index", "memberships", ["user_id"])


def create_posts() -> None:
    op.create_table(
        "posts",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("community_id", KEY, nullable=True),
        sa.Column("author_id", KEY, nullable=False),
        sa.Column("kind", WORDS, nullable=False, server_default="ARTICLE"),
        sa.Column("slug", WORDS, nullable=False),
        sa.Column("title", WORDS, nullable=False),
        sa.Column("summary", WORDS, nullable=True),
        sa.Column("body", WORDS, nullable=False),
        sa.Column("body_html", WORDS, nullable=False),
        sa.Column("body_text", WORDS, nullable=False),
        sa.Column("language", WORDS, nullable=True),
        sa.Column("state", WORDS, nullable=False),
        sa.Column("discussion", WORDS, nullable=False, server_default="OPEN"),
        sa.Column("revision", NUMBER, nullable=False, server_default=sa.text("1")),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("published_at", NUMBER, nullable=True),
        sa.Column("edited_at", NUMBER, nullable=True),
        sa.Column("last_activity_at", NUMBER, nullable=False),
        sa.Column("last_number", NUMBER, nullable=False, server_default=sa.text("0")),
        sa.Column("comment_count", NUMBER, nullable=False, server_default=sa.text("0")),
        sa.Column("root_count", NUMBER, nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id", name="posts_pkey"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="posts_author_id_fkey"),
        sa.ForeignKeyConstraint(["community_id"], ["communities.id"], name="posts_community_id_fkey"),
        sa.UniqueConstraint("slug", name="posts_slug_key"),
    )
    op.create_index(
        "posts_author_id_state_published_at_id_index", "posts", ["author_id", "state", "published_at", "id"]
    )
    op.create_index(
        "posts_community_id_state_published_at_id_index", "posts", ["community_id", "state", "published_at", "id"]
    )
    op.create_index("posts_state_last_activity_at_id_index", "posts", ["state", "last_activity_at", "id"])
    op.create_index("posts_state_published_at_id_index", "posts", ["state", "published_at", "id"])


def create_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("user_id", KEY, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("secret_hash", BYTES, nullable=False),
        sa.Column("name", WORDS, nullable=True),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("last_used_at", NUMBER, nullable=False),
        sa.Column("expires_at", NUMBER, nullable=True),
        sa.Column("revoked_at", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name="tokens_pkey"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="tokens_user_id_fkey"),
        sa.UniqueConstraint("secret_hash", name="tokens_secret_hash_key"),
    )
    op.create_index("tokens_user_id_index", "tokens", ["user_id"])


def create_comments() -> None:
    op.create_table(
        "comments",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("post_id", KEY, nullable=False),
        sa.Column("community_id", KEY, nullable=True),
        sa.Column("parent_id", KEY, nullable=True),
        sa.Column("author_id", KEY, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("depth", NUMBER, nullable=False),
        sa.Column("path", WORDS, nullable=False),
        sa.Column("rpath", WORDS, nullable=False),
        sa.Column("status", WORDS, nullable=False),
        sa.Column("shown", NUMBER, nullable=False),
        sa.Column("body", WORDS, nullable=False),
        sa.Column("body_html", WORDS, nullable=False),
        sa.Column("body_text", WORDS, nullable=False),
        sa.Column("revision", NUMBER, nullable=False, server_default=sa.text("1")),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.Column("edited_at", NUMBER, nullable=True),
        sa.Column("reply_count", NUMBER, nullable=False, server_default=sa.text("0")),
        sa.Column("descendant_count", NUMBER, nullable=False, server_default=sa.text("0")),
        sa.Column("shown_from", NUMBER, nullable=True),
        sa.Column("shown_until", NUMBER, nullable=True),
        sa.PrimaryKeyConstraint("id", name="comments_pkey"),
        sa.ForeignKeyConstraint(["author_id"], ["users.id"], name="comments_author_id_fkey"),
        sa.ForeignKeyConstraint(["community_id"], ["communities.id"], name="comments_community_id_fkey"),
        sa.ForeignKeyConstraint(["parent_id"], ["comments.id"], name="comments_parent_id_fkey"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="comments_post_id_fkey"),
        sa.UniqueConstraint("post_id", "number", name="comments_post_id_number_key"),
        sa.UniqueConstraint("post_id", "path", name="comments_post_id_path_key"),
    )
    op.create_index("comments_author_id_created_at_id_index", "comments", ["author_id", "created_at", "id"])
    op.create_index("comments_parent_id_number_index", "comments", ["parent_id", "number"])
    op.create_index(
        "comments_parent_id_number_shown_index",
        "comments",
        ["parent_id", "number"],
        sqlite_where=sa.text("shown = 1"),
        postgresql_where=sa.text("shown = 1"),
    )
    op.create_index("comments_post_id_parent_id_number_index", "comments", ["post_id", "parent_id", "number"])
    op.create_index(
        "comments_post_id_path_shown_index",
        "comments",
        ["post_id", "path"],
        sqlite_where=sa.text("shown = 1"),
        postgresql_where=sa.text("shown = 1"),
    )
    op.create_index(
        "comments_post_id_rpath_shown_index",
        "comments",
        ["post_id", "rpath"],
        sqlite_where=sa.text("shown = 1"),
        postgresql_where=sa.text("shown = 1"),
    )


def create_pingbacks() -> None:
    op.create_table(
        "pingbacks",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("post_id", KEY, nullable=False),
        sa.Column("kind", WORDS, nullable=False),
        sa.Column("url", WORDS, nullable=False),
        sa.Column("title", WORDS, nullable=False),
        sa.Column("excerpt", WORDS, nullable=False),
        sa.Column("status", WORDS, nullable=False),
        sa.Column("created_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pingbacks_pkey"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="pingbacks_post_id_fkey"),
    )
    op.create_index("pingbacks_post_id_index", "pingbacks", ["post_id"])


def create_revisions() -> None:
    op.create_table(
        "revisions",
        sa.Column("id", KEY, autoincrement=True, nullable=False),
        sa.Column("post_id", KEY, nullable=True),
        sa.Column("comment_id", KEY, nullable=True),
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("title", WORDS, nullable=True),
        sa.Column("body", WORDS, nullable=False),
        sa.Column("body_html", WORDS, nullable=False),
        sa.Column("editor_id", KEY, nullable=False),
        sa.Column("reason", WORDS, nullable=True),
        sa.Column("written_at", NUMBER, nullable=False),
        sa.PrimaryKeyConstraint("id", name="revisions_pkey"),
        sa.ForeignKeyConstraint(["comment_id"], ["comments.id"], name="revisions_comment_id_fkey"),
        sa.ForeignKeyConstraint(["editor_id"], ["users.id"], name="revisions_editor_id_fkey"),
        sa.ForeignKeyConstraint(["post_id"], ["posts.id"], name="revisions_post_id_fkey"),
        sa.UniqueConstraint("comment_id", "number", name="revisions_comment_id_number_key"),
        sa.UniqueConstraint("post_id", "number", name="revisions_post_id_number_key"),
    )
