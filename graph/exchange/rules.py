"""What an import keeps of a foreign discussion, and how its comments find their places.  Values in, a decision out."""

import hashlib
import heapq
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Final

from graph.comments.paths import SEGMENT_CHARACTERS, depth_of, path_below, rpath_below
from graph.comments.rules import DEPTH_LIMIT
from graph.exchange.wordpress import Author, Comment, Item
from graph.text import clean, excerpt, fold
from graph.users.rules import DISPLAY_NAME_LIMIT, EMAIL, RESERVED_HANDLES, TURNING, email_key

# -- What comes in ------------------------------------------------------------------------------------------------

STATES: Final = {"publish": "PUBLISHED", "draft": "DRAFT", "pending": "DRAFT", "future": "DRAFT"}
STATUSES: Final = {"1": "PUBLISHED", "approve": "PUBLISHED", "0": "PENDING", "hold": "PENDING"}
WASTE: Final = {"spam": "spam", "trash": "in the trash", "post-trashed": "in the trash"}
POST_GONE: Final = "its post is not brought in"
REPEATED: Final = "stands in the file before"
NAME_LENGTH: Final = 200  # characters of a name in the source: an index takes no more than some thousand bytes


def kind_of_item(item: Item) -> str:
    return item.type if item.type in ("post", "page") else "other"


def why_item_stays_out(item: Item) -> str | None:
    """None: it comes in."""
    if item.type not in ("post", "page"):
        return f"of type {quoted(item.type)}"
    if item.status == "trash":
        return "in the trash"
    if item.password:
        return "protected by a password"
    if item.status not in STATES:
        return f"in state {quoted(item.status)}"
    return None


def kind_of_comment(comment: Comment) -> str:
    return comment.type if comment.type in ("pingback", "trackback") else "comment"


def why_comment_stays_out(comment: Comment) -> str | None:
    """None: it comes in."""
    if comment.type not in ("comment", "pingback", "trackback"):
        return f"of type {quoted(comment.type)}"
    if comment.approved in STATUSES:
        if kind_of_comment(comment) == "comment" or comment.address.startswith(("http://", "https://")):
            return None
        return "without an address of the web"
    return WASTE.get(comment.approved) or f"in state {quoted(comment.approved)}"


def quoted(word: str) -> str:
    return f"“{excerpt(clean(word), 30)}”"


# -- Names by which things are recognised when they come again -----------------------------------------------------


def digest(*parts: object) -> str:
    return hashlib.sha256("\x00".join(map(str, parts)).encode(errors="replace")).hexdigest()[:32]


def key_of_item(item: Item) -> str:
    return _bounded(item.id) or f"~{digest(item.title, item.written_at, item.content)}"


def key_of_comment(post: str, number: str) -> str:
    """Numbers are taken for those of their post, as files put together from several sites have each twice."""
    return f"{post}/{_bounded(number)}"


def key_of_author(login: str) -> str:
    return f"login:{_bounded(login)}"


def _bounded(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"~{digest(name)}"


def _fingerprint(comment: Comment) -> str:
    return digest(comment.author, comment.email, comment.written_at, comment.content)


@dataclass(frozen=True, slots=True)
class Keyed:
    """A comment under the name by which it will be known."""

    key: str
    comment: Comment


def keyed(item: Item) -> tuple[list[Keyed], list[Comment]]:
    """The comments of an item under their keys, and those that only repeat another.

    Two different comments under one number, as in files put together by hand, are told apart by what they say.
    Replies to that number belong to the first.
    """
    post = key_of_item(item)
    seen: dict[str, str] = {}
    result: list[Keyed] = []
    repeated: list[Comment] = []
    for comment in item.comments:
        fingerprint = _fingerprint(comment)
        key = key_of_comment(post, comment.id or f"~{fingerprint}")
        if key in seen and seen[key] != fingerprint:
            key = f"{key}/{fingerprint}"
        if key in seen:
            repeated.append(comment)
        else:
            seen[key] = fingerprint
            result.append(Keyed(key, comment))
    return result, repeated


# -- People -------------------------------------------------------------------------------------------------------

HANDLE_LENGTH: Final = 24  # characters, before what makes it unique
NAMELESS: Final = {"fr": "Anonyme"}


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who wrote in the source.  Nobody signs in as them: they have no password."""

    key: str
    name: str
    handle: str  # wanted; somebody may have it
    email: str | None
    since: int  # µs since 1970, UTC


def author(login: str, told: Author | None, language: str, since: int) -> Person:
    name = name_from(told.name if told else login) or name_from(login) or nameless(language)
    email = told.email if told else ""
    return Person(
        key_of_author(login), name, handle_from(login or name), email if EMAIL.fullmatch(email) else None, since
    )


def commenter(comment: Comment, language: str, since: int) -> Person:
    """One for each name and address of e-mail.  The address is not kept: it only tells people apart."""
    key, name, handle = _identity(comment.author, comment.email, language)
    return Person(key, name, handle, None, since)


@lru_cache(maxsize=10_000)  # who comments comments again
def _identity(author: str, email: str, language: str) -> tuple[str, str, str]:
    name = name_from(author) or nameless(language)
    return f"commenter:{digest(name, email_key(email))}", name, handle_from(name)


def nameless(language: str) -> str:
    return NAMELESS.get(language[:2].lower(), "Anonymous")


def name_from(written: str) -> str:
    """As it was shown: names are stored escaped for a page."""
    name = excerpt(TURNING.sub("", clean(unescape(written))), DISPLAY_NAME_LIMIT)
    return name if any(character.isprintable() and not character.isspace() for character in name) else ""


def handle_from(name: str) -> str:
    """Small letters, digits and single underscores: within what a handle may be, with room for a number."""
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in fold(name)).split()
    handle = "_".join(words)[:HANDLE_LENGTH].strip("_")
    return handle if len(handle) > 1 else f"reader_{handle}".rstrip("_")


def handles_for(person: Person) -> list[str]:
    """In the order of preference.  The longest numbers are nobody else's."""
    numbered = [f"{person.handle}_{number}" for number in range(2, 10)]
    own = digest(person.key)
    wanted = [] if person.handle.replace("_", "") in RESERVED_HANDLES else [person.handle]
    return [*wanted, *numbered, *(f"{person.handle[:12]}_{own[:length]}" for length in (4, 8, 16))]


def free_handles(people: Sequence[Person], taken: Collection[str]) -> dict[str, str]:
    """A handle for each, by the person's key."""
    chosen: dict[str, str] = {}
    used = set(taken)
    for person in people:
        handle = next(each for each in handles_for(person) if each not in used)
        used.add(handle)
        chosen[person.key] = handle
    return chosen


def free_emails(people: Sequence[Person], taken: Collection[str]) -> dict[str, str]:
    """The address of each who has one that is nobody else's, by the person's key."""
    used = set(taken)
    free: dict[str, str] = {}
    for person in people:
        if person.email and email_key(person.email) not in used:
            used.add(email_key(person.email))
            free[person.key] = person.email
    return free


# -- Places in the tree -------------------------------------------------------------------------------------------

PARENT_MISSING: Final = "answers a comment that is not in the file: attached to the post"
PARENT_OUT: Final = "answers a comment that is not brought in: attached to what that one answered"
CIRCLE: Final = "answers its own answer: attached to the post"
TOO_DEEP: Final = f"is deeper than {DEPTH_LIMIT} levels: attached further up"


@dataclass(frozen=True, slots=True)
class Here:
    """A comment that is in the community already."""

    id: int
    depth: int
    parent_id: int | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """A comment that comes in, below a comment that comes before it (its key), one that is here (its id), or none."""

    key: str
    comment: Comment
    parent: str | int | None


class Arrivals:
    """The new comments of a post in the order in which they arrived, each with its place.

    A reply never arrives before what it answers, whatever the dates say.  `notes` tells for each key why its place is
    another than in the file.
    """

    def __init__(
        self, post: str, comments: Sequence[Keyed], out: Iterable[Comment], here: Mapping[str, Here], *, undated: int
    ) -> None:
        """`comments` are here or come in, `out` stay out; `here` tells those of them and of their parents.

        `undated` is the moment of those that have none, in µs.
        """
        self.notes: list[tuple[str, Comment]] = []
        self._here = here
        self._depths_here = {each.id: each.depth for each in here.values()}
        self._parents_here = {each.id: each.parent_id for each in here.values()}
        self._depths_here |= {each.parent_id: each.depth - 1 for each in here.values() if each.parent_id is not None}
        self._undated = undated
        self._new = {each.key: each.comment for each in comments if each.key not in here}
        self._out = {key_of_comment(post, comment.id): comment for comment in out if comment.id}
        self._post = post
        self._parents = {key: self._parent(comment) for key, comment in self._new.items()}
        self._break_circles()
        self._depths: dict[str, int] = {}

    def in_order(self) -> Iterator[Arrival]:
        waiting: dict[str, list[str]] = {}
        ready: list[tuple[tuple[int, int, str], str]] = []
        for key, parent in self._parents.items():
            if isinstance(parent, str):
                waiting.setdefault(parent, []).append(key)
            else:
                ready.append((self._moment(key), key))
        heapq.heapify(ready)
        while ready:
            _, key = heapq.heappop(ready)
            yield Arrival(key, self._new[key], self._place(key))
            for reply in waiting.pop(key, ()):
                heapq.heappush(ready, (self._moment(reply), reply))

    def _parent(self, comment: Comment) -> str | int | None:
        """The nearest comment above that comes in or is here."""
        passed: set[str] = set()
        above = comment
        while above.parent_id:
            key = key_of_comment(self._post, above.parent_id)
            if key in self._here or key in self._new:
                if passed:
                    self.notes.append((PARENT_OUT, comment))
                return self._here[key].id if key in self._here else key
            if key not in self._out or key in passed:
                self.notes.append((PARENT_MISSING, comment))
                return None
            passed.add(key)
            above = self._out[key]
        if passed:
            self.notes.append((PARENT_OUT, comment))
        return None

    def _break_circles(self) -> None:
        """The earliest of those that answer each other in a circle answers the post."""
        known: set[str] = set()
        for start in self._parents:
            way: dict[str, None] = {}  # in order
            key: str | int | None = start
            while isinstance(key, str) and key not in known and key not in way:
                way[key] = None
                key = self._parents[key]
            if isinstance(key, str) and key in way:
                circle = list(way)[list(way).index(key) :]
                first = min(circle, key=self._moment)
                self._parents[first] = None
                self.notes.append((CIRCLE, self._new[first]))
            known.update(way)

    def _moment(self, key: str) -> tuple[int, int, str]:
        comment = self._new[key]
        number = int(comment.id) if comment.id.isascii() and comment.id.isdecimal() and len(comment.id) < 19 else 0
        return (self._undated if comment.written_at is None else comment.written_at, number, key)

    def _place(self, key: str) -> str | int | None:
        """The parent, or the deepest above it that may be answered.  Depths above are known: they came before."""
        parent = self._parents[key]
        if self._depth_of(parent) == DEPTH_LIMIT - 1:
            self.notes.append((TOO_DEEP, self._new[key]))
            parent = self._parents[key] = self._above(parent)
        self._depths[key] = self._depth_of(parent) + 1
        return parent

    def _above(self, place: str | int | None) -> str | int | None:
        return self._parents[place] if isinstance(place, str) else self._parents_here.get(place or 0)

    def _depth_of(self, place: str | int | None) -> int:
        """Of the post itself: -1."""
        if place is None:
            return -1
        return self._depths[place] if isinstance(place, str) else self._depths_here[place]


# -- Growth of the tree -------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Node:
    """A row of the tree while something is added below it."""

    number: int
    parent: "Node | None"
    path: str
    rpath: str
    shown: bool
    id: int | None  # None: it comes in now
    appears: bool = False  # it gets a place in the tree that readers see
    replies: int = 0  # shown ones that are added directly below
    descendants: int = 0  # shown ones that are added anywhere below

    @property
    def depth(self) -> int:
        return depth_of(self.path)

    @classmethod
    def below(cls, parent: "Node | None", number: int) -> "Node":
        path = path_below(parent.path if parent else None, number)
        return cls(number, parent, path, rpath_below(parent.rpath if parent else None, number), False, None)


def show(node: Node) -> None:
    """Give it a place that readers see, and one to each above it that has none: those stand as placeholders."""
    here: Node | None = node
    while here is not None and not here.shown:
        here.shown = here.appears = True
        if here.parent is not None:
            here.parent.replies += 1
        for above in _above(here):
            above.descendants += 1
        here = here.parent


def _above(node: Node) -> Iterator[Node]:
    while node.parent is not None:
        node = node.parent
        yield node


def path_above(path: str) -> str:
    """Of the parent; empty for a root."""
    return path[:-SEGMENT_CHARACTERS]
