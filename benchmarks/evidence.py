"""What the database says of one discussion, in the checker's words."""

import orjson

from benchmarks.checker import Comment, Counts, Table, Told
from benchmarks.servers import Database

ADDED = "comment_added"


def table_of(database: Database, post_key: int) -> Table:
    """All of it; nobody may be writing."""
    [post] = database.rows(f"SELECT comment_count, root_count, last_number FROM posts WHERE id = {post_key}")
    return Table(Counts(*post), comments_of(database, post_key), events_of(database, post_key), results(database))


def comments_of(database: Database, post_key: int) -> list[Comment]:
    found = database.rows(
        "SELECT id, parent_id, number, body, status, shown, reply_count, descendant_count, shown_from "
        f"FROM comments WHERE post_id = {post_key} ORDER BY number"
    )
    return [
        Comment(key, parent, number, body, status == "PUBLISHED", shown == 1, replies, below, shown_from)
        for key, parent, number, body, status, shown, replies, below, shown_from in found
    ]


def events_of(database: Database, post_key: int) -> list[Told]:
    found = database.rows(
        "SELECT position, kind, data FROM events JOIN topics ON topics.id = events.topic_id "
        f"WHERE topics.name = 'post:{post_key}' ORDER BY position"
    )
    told = [(position, kind, orjson.loads(data)) for position, kind, data in found]
    return [Told(position, data["comment_id"], data["mutation_id"]) for position, kind, data in told if kind == ADDED]


def results(database: Database) -> dict[str, int]:
    """By key, which no two writers share: the comment to which it led."""
    found = database.rows("SELECT key, result FROM idempotency_keys WHERE mutation = 'addComment'")
    return {key: orjson.loads(result)[0] for key, result in found}


def written_at(database: Database, post_key: int) -> dict[int, int]:
    """When each comment was written, in µs since 1970."""
    return dict(database.rows(f"SELECT id, created_at FROM comments WHERE post_id = {post_key}"))
