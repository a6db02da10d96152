"""Whether what people were told is what the tables say: pure, so that it can itself be tested with planted faults.

The runs bring four accounts of one discussion, each from another source: its rows, its events, what writers were
answered, and what subscribers received.  Each is compared with the rows; every difference is a fault.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple


class Comment(NamedTuple):
    """A row.  Its body is the key under which it was written, so that two rows of one act betray themselves."""

    id: int
    parent_id: int | None
    number: int
    body: str
    published: bool
    shown: bool
    reply_count: int
    descendant_count: int
    shown_from: int | None  # the position of its event in the log


class Counts(NamedTuple):
    """What the post's row says of its discussion."""

    comments: int
    roots: int
    last_number: int


class Told(NamedTuple):
    """An event of the post's topic, in which nothing but added comments was told."""

    position: int
    comment_id: int
    key: str | None


class Received(NamedTuple):
    """A frame that a subscriber got."""

    comment_id: int
    body: str
    counted: int  # the post's comments, as the frame shows them
    at: int  # ns of the machine's monotonic clock


class Acknowledged(NamedTuple):
    """What a writer was answered."""

    key: str
    comment_id: int


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind} ({self.where}): {self.what}"


@dataclass(frozen=True, slots=True)
class Table:
    """All that the database says of one discussion."""

    post: Counts
    comments: Sequence[Comment]
    events: Sequence[Told]
    results: Mapping[str, int]  # what was kept under each key: the comment to which it led

    @property
    def told(self) -> list[int]:
        """Ids in the order in which subscribers must hear of them."""
        return [event.comment_id for event in sorted(self.events)]


def faults_of_delivery(who: str, received: Sequence[Received], table: Table, *, began_after: int = 0) -> list[Fault]:
    """What a subscriber has to complain of who had been shown so many comments when it began."""
    told, bodies = table.told, {comment.id: comment.body for comment in table.comments}
    expected = told[began_after:]
    heard = Counter(frame.comment_id for frame in received)
    faults = [Fault("foreign", who, f"comment {key} is not one it waited for") for key in heard.keys() - set(expected)]
    faults += [Fault("dropped", who, f"comment {key} never came") for key in expected if key not in heard]
    faults += [Fault("doubled", who, f"comment {key} came {times} times") for key, times in heard.items() if times > 1]
    faults += [
        Fault("altered", who, f"comment {frame.comment_id} reads {frame.body!r}")
        for frame in received
        if bodies.get(frame.comment_id, frame.body) != frame.body
    ]
    return [*faults, *_disorder(who, received, told), *_staleness(who, received, told)]


def _disorder(who: str, received: Sequence[Received], told: Sequence[int]) -> Iterator[Fault]:
    """Of the first hearings: a repetition is a fault already."""
    order = {key: place for place, key in enumerate(told)}
    heard = [key for key in dict.fromkeys(frame.comment_id for frame in received) if key in order]
    for before, after in pairwise(heard):
        if order[before] > order[after]:
            yield Fault("disordered", who, f"comment {after} came after comment {before}, which is later in the log")


def _staleness(who: str, received: Sequence[Received], told: Sequence[int]) -> Iterator[Fault]:
    """A frame shows rows no older than its event, and no older than what its client was shown before."""
    least = {key: place for place, key in enumerate(told, 1)}
    shown = 0
    for frame in received:
        shown = max(shown, least.get(frame.comment_id, 0))
        if frame.counted < shown:
            yield Fault("stale", who, f"with comment {frame.comment_id} came {frame.counted} of {shown} comments")
        shown = max(shown, frame.counted)


def faults_of_writing(acknowledged: Sequence[Acknowledged], given_up: Sequence[str], table: Table) -> list[Fault]:
    """What the writers have to complain of; the keys given up may have led to one comment or to none."""
    written: dict[str, list[int]] = defaultdict(list)
    for comment in table.comments:
        written[comment.body].append(comment.id)
    faults = [
        Fault("repeated", key, f"one act, and these comments: {found}")
        for key, found in written.items()
        if len(found) > 1
    ]
    for key, comment_id in acknowledged:
        if written.get(key) != [comment_id]:
            found = written.get(key, [])
            faults.append(Fault("acknowledged in vain", key, f"comment {comment_id} was promised, there is {found}"))
        if table.results.get(key) != comment_id:
            faults.append(Fault("forgotten", key, f"the key stands for {table.results.get(key)}, not {comment_id}"))
    answered = {key for key, _ in acknowledged}
    unknown = written.keys() - answered - set(given_up)
    faults += [Fault("unasked", key, f"nobody wrote comments {written[key]}") for key in sorted(unknown)]
    faults += [Fault("answered twice", key, "with different comments") for key in _contradicted(acknowledged)]
    return faults


def _contradicted(acknowledged: Sequence[Acknowledged]) -> list[str]:
    answers: dict[str, set[int]] = defaultdict(set)
    for key, comment_id in acknowledged:
        answers[key].add(comment_id)
    return [key for key, found in answers.items() if len(found) > 1]


def faults_of_log(table: Table) -> list[Fault]:
    """Rows and events came together: one event per comment, dense, with its key, at the place that the row names."""
    faults = []
    positions = sorted(event.position for event in table.events)
    if positions != list(range(1, len(positions) + 1)):
        faults.append(Fault("gap", "log", f"positions are {_abridged(positions)}"))
    told = {event.comment_id: event for event in table.events}
    if Counter(event.comment_id for event in table.events) != Counter(comment.id for comment in table.comments):
        faults.append(Fault("untold", "log", "the comments told are not the comments there are"))
    for comment in table.comments:
        event = told.get(comment.id)
        if event is not None and (event.position, event.key) != (comment.shown_from, comment.body):
            where = f"comment {comment.id}"
            faults.append(Fault("mismatched", where, f"{event} against {comment.shown_from}, {comment.body!r}"))
    return faults


def _abridged(positions: Sequence[int]) -> str:
    missing = sorted(set(range(1, len(positions) + 1)) - set(positions))
    return f"{len(positions)} up to {positions[-1]}, without {missing[:10]}"


def faults_of_counters(table: Table) -> list[Fault]:
    """Every count that is kept equals a recount."""
    shown = [comment for comment in table.comments if comment.shown]
    parents = {comment.id: comment.parent_id for comment in table.comments}
    replies = Counter(comment.parent_id for comment in shown)
    descendants = Counter(above for comment in shown for above in _above(comment.id, parents))
    recount = Counts(
        comments=sum(comment.published for comment in table.comments),
        roots=replies[None],
        last_number=max((comment.number for comment in table.comments), default=0),
    )
    faults = [] if table.post == recount else [Fault("miscounted", "post", f"{table.post}, recounted {recount}")]
    if sorted(comment.number for comment in table.comments) != list(range(1, len(table.comments) + 1)):
        faults.append(Fault("misnumbered", "post", "the numbers of the comments are not 1, 2, 3, …"))
    for comment in shown:
        kept = (comment.reply_count, comment.descendant_count)
        counted = (replies[comment.id], descendants[comment.id])
        if kept != counted:
            faults.append(Fault("miscounted", f"comment {comment.id}", f"{kept}, recounted {counted}"))
    return faults


def _above(key: int, parents: Mapping[int, int | None]) -> Iterator[int]:
    parent = parents[key]
    while parent is not None:
        yield parent
        parent = parents.get(parent)
