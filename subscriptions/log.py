"""The event log: what followers read, and where they resume.  The log is the truth; brokers only ring.

Per topic a counter row is advanced inside the writer's transaction and stays locked until it commits, so the
order of positions is the order of commits, without gaps.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, Union

import orjson
import sqlalchemy as sa

from subscriptions.cursor import BEGINNING, Expired, Lost, Place, Vector

Row = tuple[Any, ...]
JSON: TypeAlias = Union[bool, int, float, str, Sequence["JSON"], Mapping[str, "JSON"], None]  # noqa: UP007  names itself


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


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as it stands in the log."""

    topic: str
    position: int
    tag: int
    kind: str
    data: dict[str, Any]
    at: int  # microseconds since 1970, UTC

    @property
    def place(self) -> Place:
        return Place(self.position, self.tag)


@dataclass(frozen=True, slots=True)
class Page:
    """What comes next in a topic, in order and without gaps, as of one moment."""

    entries: Sequence[Entry]
    reached: Place  # of the last entry; where there is none, the place asked about
    head: Place  # of the topic at that moment
    floor: int  # the last position no longer kept

    @property
    def complete(self) -> bool:
        return self.reached.position == self.head.position


@dataclass(frozen=True, slots=True)
class Pages:
    """One moment of several topics.  A topic in which nothing has happened since the place asked about is absent."""

    epoch: str
    pages: Mapping[str, Page | Lost]


def _sql(text: str, *, words: str = "", numbers: str = "") -> sa.TextClause:
    """A statement whose arguments have declared types: PostgreSQL would take a tag for a 32-bit number."""
    arguments = [sa.bindparam(name, type_=sa.Text()) for name in words.split()]
    return sa.text(text).bindparams(
        *arguments, *(sa.bindparam(name, type_=sa.BigInteger()) for name in numbers.split())
    )


# An upsert and not an update: the first event makes the topic.  The text serves both engines.
_ADVANCE = """
    INSERT INTO topics (name, head, head_tag) VALUES (:topic, 1, :tag)
    ON CONFLICT (name) DO UPDATE SET head = topics.head + 1, head_tag = excluded.head_tag
    RETURNING id, head
"""
_ADVANCING = _sql(_ADVANCE, words="topic", numbers="tag")
_TELLING = _sql(
    """
    INSERT INTO events (topic_id, position, tag, kind, data, at)
    VALUES (:topic_id, :position, :tag, :kind, :data, :at)
    """,
    words="kind data",
    numbers="topic_id position tag at",
)
# PostgreSQL does both at once: the topic is locked for one round trip less.
_ADVANCING_AND_TELLING = _sql(
    f"""
    WITH advanced AS ({_ADVANCE})
    INSERT INTO events (topic_id, position, tag, kind, data, at)
    SELECT id, head, :tag, :kind, :data, :at FROM advanced RETURNING position
    """,
    words="topic kind data",
    numbers="tag at",
)


async def append(rows: Rows, topic: str, kind: str, data: Mapping[str, JSON], *, at: int) -> int:
    """Tell that something happened, inside the transaction in which it happens; gives the event's position.

    The topic stays locked until that transaction ends.  `at` is in microseconds since 1970, UTC.
    """
    tag = 1 + secrets.randbelow(2**48 - 1)  # 0 is the tag of the beginning
    event = {"tag": tag, "kind": kind, "data": orjson.dumps(data).decode(), "at": at}
    if rows.engine == "postgresql":
        [(position,)] = await rows.rows(_ADVANCING_AND_TELLING.bindparams(topic=topic, **event))
    else:
        [(topic_id, position)] = await rows.rows(_ADVANCING.bindparams(topic=topic, tag=tag))
        await rows.rows(_TELLING.bindparams(topic_id=topic_id, position=position, **event))
    return int(position)


async def standing(rows: Rows, names: Sequence[str]) -> Vector:
    """Where the topics stand, in one statement: what a client has seen who reads the rows in the same snapshot."""
    heads = (
        sa.select(epochs.c.epoch, topics.c.name, topics.c.head, topics.c.head_tag)
        .select_from(epochs.outerjoin(topics, topics.c.name.in_(names)))
        .where(epochs.c.id == 1)
    )
    found = await rows.rows(heads)
    known = {name: Place(head, tag) for _, name, head, tag in found}
    return Vector(found[0][0], {name: known.get(name, BEGINNING) for name in names})


async def page_after(rows: Rows, topic: str, place: Place, limit: int, *, epoch: str | None = None) -> Page:
    """At most `limit` entries after a place.  Raises Expired when they are not what comes next there.

    `epoch` is that of the cursor; None, like a place without a tag, leaves it to the caller to know its history.
    """
    pages = await pages_after(rows, {topic: place}, limit, always=topic)
    if epoch not in (None, pages.epoch):
        raise Expired(Lost.EPOCH)
    page = pages.pages[topic]
    if isinstance(page, Lost):
        raise Expired(page, topic)
    return page


async def pages_after(rows: Rows, places: Mapping[str, Place], limit: int, *, always: str) -> Pages:
    """What comes after each place, at most `limit` entries of each topic, all as of one moment: one statement.

    The topic `always` is in the answer even when nothing has happened there.
    """
    marks = orjson.dumps([[topic, *place] for topic, place in places.items()]).decode()
    statement = _AFTER_SQLITE if rows.engine == "sqlite" else _AFTER_POSTGRESQL
    found = await rows.rows(statement.bindparams(marks=marks, most=limit, always=always))
    by_topic: dict[str, list[Row]] = {}
    for _, topic, *columns in found:
        by_topic.setdefault(topic, []).append(tuple(columns))
    return Pages(found[0][0], {topic: _page(topic, places[topic], limit, page) for topic, page in by_topic.items()})


# The event at the place itself is read with those after it: its tag tells whether this is still the same history.
# Positions are dense, so that a range of positions needs no LIMIT.  It is by the primary key.
_AFTER_SQLITE = _sql(
    """
    SELECT epochs.epoch, marks.value ->> 0, topics.head, topics.head_tag, topics.floor, topics.floor_tag,
           events.position, events.tag, events.kind, events.data, events.at
    FROM epochs
    JOIN json_each(:marks) AS marks
    LEFT JOIN topics ON topics.name = marks.value ->> 0
    LEFT JOIN events ON events.topic_id = topics.id
        AND events.position BETWEEN marks.value ->> 1 AND (marks.value ->> 1) + :most
    WHERE epochs.id = 1
        AND (coalesce(topics.head, 0) <> marks.value ->> 1 OR coalesce(topics.head_tag, 0) <> marks.value ->> 2
            OR marks.value ->> 0 = :always)
    ORDER BY marks.key, events.position
    """,
    words="marks always",
    numbers="most",
)

# LATERAL with LIMIT makes it one seek per topic and one per page.  Left to itself the planner, which cannot know how
# few marks are given, reads all topics to join them by hash.
_AFTER_POSTGRESQL = _sql(
    """
    SELECT epochs.epoch, marks.name, topic.head, topic.head_tag, topic.floor, topic.floor_tag,
           page.position, page.tag, page.kind, page.data, page.at
    FROM epochs
    CROSS JOIN (
        SELECT ordinal, mark ->> 0 AS name, CAST(mark ->> 1 AS bigint) AS position, CAST(mark ->> 2 AS bigint) AS tag
        FROM jsonb_array_elements(CAST(:marks AS jsonb)) WITH ORDINALITY AS given (mark, ordinal)
    ) AS marks
    LEFT JOIN LATERAL (SELECT * FROM topics WHERE topics.name = marks.name LIMIT 1) AS topic ON true
    LEFT JOIN LATERAL (
        SELECT position, tag, kind, data, at FROM events
        WHERE events.topic_id = topic.id
            AND events.position BETWEEN marks.position AND marks.position + CAST(:most AS bigint)
        ORDER BY position
        LIMIT CAST(:most AS bigint) + 1
    ) AS page ON true
    WHERE epochs.id = 1
        AND (coalesce(topic.head, 0) <> marks.position OR coalesce(topic.head_tag, 0) <> marks.tag
            OR marks.name = :always)
    ORDER BY marks.ordinal, page.position
    """,
    words="marks always",
    numbers="most",
)


def _page(topic: str, place: Place, limit: int, found: Sequence[Row]) -> Page | Lost:
    """The page of one topic, from rows of its head, its floor and an event (all null without one)."""
    head, head_tag, floor, floor_tag = (number or 0 for number in found[0][:4])
    entries = [
        Entry(topic, row[4], row[5], row[6], orjson.loads(row[7]), row[8]) for row in found if row[4] is not None
    ]
    tags = {0: 0, floor: floor_tag}
    if entries and entries[0].position == place.position:
        tags[place.position] = entries.pop(0).tag
    if place.position > head:
        return Lost.EPOCH
    if place.position < floor:
        return Lost.RETENTION
    if place.tag is not None and place.tag != tags.get(place.position):
        return Lost.EPOCH
    if not _dense(entries, place.position, min(limit, head - place.position)):
        return Lost.RETENTION
    return Page(entries, entries[-1].place if entries else place, Place(head, head_tag), floor)


def _dense(entries: Sequence[Entry], position: int, count: int) -> bool:
    """Whether these are exactly the `count` entries that follow the position."""
    return [entry.position for entry in entries] == list(range(position + 1, position + 1 + count))


# Retention.  A topic is visited by the primary key of topics, and its oldest events by that of events.
TRIMMED_TOPICS = 500  # looked at in one transaction
TRIMMED_EVENTS = 10_000  # removed in one transaction: writers wait for it

_OLDEST = _sql(
    """
    SELECT id, head, floor,
           (SELECT position FROM events WHERE topic_id = topics.id AND position > topics.floor AND at >= :keep_after
            ORDER BY position LIMIT 1)
    FROM topics WHERE id > :beyond ORDER BY id LIMIT :most
    """,
    numbers="keep_after beyond most",
)
_RAISING_FLOOR = _sql(
    """
    UPDATE topics
    SET floor = :floor, floor_tag = (SELECT tag FROM events WHERE topic_id = :id AND position = :floor)
    WHERE id = :id AND floor < :floor
    """,
    numbers="id floor",
)
_TAKING_FREE = _sql(
    """
    SELECT id FROM topics
    WHERE id IN (SELECT CAST(id AS bigint) FROM jsonb_array_elements_text(CAST(:ids AS jsonb)) AS wanted (id))
    FOR UPDATE OF topics SKIP LOCKED
    """,
    words="ids",
)
_FORGETTING = _sql("DELETE FROM events WHERE topic_id = :id AND position <= :floor", numbers="id floor")


async def trim(rows: Rows, *, keep_events: int, keep_after: int, beyond: int = 0) -> int | None:
    """Forget events older than `keep_after` (microseconds) and all but the last `keep_events` of each topic.

    The last event of a topic is always kept: its tag is needed to know the topic's history.  One call does a
    bounded part of the work, in a transaction of its own, from the topic `beyond` on; it gives where the next
    call goes on, None at the end.
    """
    visited = await rows.rows(_OLDEST.bindparams(keep_after=keep_after, beyond=beyond, most=TRIMMED_TOPICS))
    floors = {}
    for topic_id, head, floor, oldest_fresh in visited:
        wanted = min(head - 1, max(head - keep_events, (oldest_fresh or head) - 1))
        if wanted > floor:
            floors[topic_id] = (floor, wanted)
    left = TRIMMED_EVENTS
    for topic_id in await _at_rest(rows, floors):
        floor, wanted = floors[topic_id]
        reached = min(wanted, floor + left)
        await rows.rows(_RAISING_FLOOR.bindparams(id=topic_id, floor=reached))
        await rows.rows(_FORGETTING.bindparams(id=topic_id, floor=reached))
        left -= reached - floor
        if left == 0:
            return int(topic_id) - 1
    return int(visited[-1][0]) if len(visited) == TRIMMED_TOPICS else None


async def _at_rest(rows: Rows, ids: Iterable[int]) -> list[int]:
    """Those that no writer holds, locked, in order: who never waits for a topic is in no deadlock over topics."""
    if rows.engine == "sqlite":
        return sorted(ids)
    free = _TAKING_FREE.bindparams(ids=orjson.dumps(list(ids)).decode())
    return sorted(topic_id for (topic_id,) in await rows.rows(free))


_NAMING = _sql(
    "INSERT INTO epochs (id, epoch) VALUES (1, :epoch) ON CONFLICT (id) DO UPDATE SET epoch = excluded.epoch",
    words="epoch",
)


async def new_epoch(rows: Rows) -> str:
    """Begin another history, on a new or a restored database: cursors given before are refused from now on."""
    epoch = secrets.token_hex(8)
    await rows.rows(_NAMING.bindparams(epoch=epoch))
    return epoch
