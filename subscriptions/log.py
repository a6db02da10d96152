"""The event log: what followers read, and where they resume.  The log is the truth; brokers only ring.

Per topic a counter row is advanced inside the writer's transaction and stays locked until it commits, so the
order of positions is the order of commits, without gaps.
"""

from collections.abc import Sequence
from typing import Any, Protocol

import sqlalchemy as sa

Row = tuple[Any, ...]


class Rows(Protocol):
    """Whatever runs a statement and gives its rows as plain tuples: a transaction, a read view, a database."""

    @property
    def engine(self) -> str:
        """`sqlite` or `postgresql`."""

    async def rows(self, statement: sa.Executable) -> Sequence[Row]: ...


metadata = sa.MetaData()

Words = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# One row: the name of this history.  A restored or copied database gets a new one, a crash does not.
epochs = sa.Table(
    "epochs",
    metadata,
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),  # always 1
    sa.Column("epoch", Words, nullable=False),
)

topics = sa.Table(
    "topics",
    metadata,
    sa.Column("id", Key, primary_key=True, autoincrement=True),
    sa.Column("name", Words, nullable=False, unique=True),
    sa.Column("head", sa.BigInteger, nullable=False),  # position of the last event
    sa.Column("head_tag", sa.BigInteger, nullable=False),  # the tag stored with it
    sa.Column("floor", sa.BigInteger, nullable=False, server_default="0"),  # the last position no longer kept
    sa.Column("floor_tag", sa.BigInteger, nullable=False, server_default="0"),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("topic_id", sa.BigInteger, nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("tag", sa.BigInteger, nullable=False),  # random: tells two histories apart at one position
    sa.Column("kind", Words, nullable=False),
    sa.Column("data", Words, nullable=False),  # identities as JSON, never text that people wrote
    sa.Column("at", sa.BigInteger, nullable=False),  # microseconds since 1970, UTC
    sa.PrimaryKeyConstraint("topic_id", "position"),
    sqlite_with_rowid=False,
)
