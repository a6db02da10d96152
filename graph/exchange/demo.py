"""The sample discussion that a first visitor finds: people, posts and comments, read from the package's own files.

Nothing is written here.  Times count from the beginning of the discussion: whoever writes it places it in the past.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from importlib.resources import files
from typing import Any

POSTS = ("publier-pour-etre-reconnu", "did-the-answer-help")

NO_BREAK = "\N{NO-BREAK SPACE}"
NARROW_NO_BREAK = "\N{NARROW NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class Person:
    handle: str
    name: str
    locale: str
    bio: str
    organization: str | None  # whom this person writes for


@dataclass(frozen=True, slots=True)
class Edit:
    at: timedelta
    body: str  # all of it, as it reads from then on


@dataclass(frozen=True, slots=True)
class Comment:
    key: str  # names it within its post
    parent: str | None  # the key of the comment it answers; None answers the post
    author: str  # handle
    at: timedelta
    body: str  # as first written
    edit: Edit | None
    deleted_at: timedelta | None


@dataclass(frozen=True, slots=True)
class Post:
    slug: str
    author: str  # handle
    language: str
    at: timedelta
    title: str
    summary: str
    body: str
    comments: tuple[Comment, ...]  # as they arrived: a comment comes before its answers


@dataclass(frozen=True, slots=True)
class Discussion:
    people: tuple[Person, ...]
    posts: tuple[Post, ...]  # as they were published

    @property
    def length(self) -> timedelta:
        """From the beginning to the last thing that anyone does: `now - length` is when to let it begin."""
        return max(moment for post in self.posts for moment in _moments(post))

    def began_at(self, now: datetime) -> datetime:
        """When it began, if it ended just `now`."""
        return now - self.length


def demo_discussion() -> Discussion:
    """The discussion, with the typography of its languages.  Reads the files anew each time."""
    people = tuple(_person(data) for data in _content("people")["person"])
    posts = (_post(_content(name)) for name in POSTS)
    return Discussion(people, tuple(sorted(posts, key=lambda post: post.at)))


def typeset(text: str, language: str) -> str:
    """`text` as a printer would set it: curved apostrophes, and in French the spaces that must not break."""
    text = re.sub(r"(?<=\w)'(?=\w)", "’", text)
    if language != "fr":
        return text
    text = re.sub(r" (?=[!?;])", NARROW_NO_BREAK, text)
    text = re.sub(r"(?<=\d) (?=\d{3}\b)", NARROW_NO_BREAK, text)
    return re.sub(r"(?<=«) | (?=[»:])|(?<=\d) (?=%|h\b)", NO_BREAK, text)


def _content(name: str) -> dict[str, Any]:
    file = files("graph.exchange") / "demo_content" / f"{name}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8"))


def _person(data: dict[str, Any]) -> Person:
    return Person(
        handle=data["handle"],
        name=typeset(data["name"], data["locale"]),
        locale=data["locale"],
        bio=typeset(data["bio"], data["locale"]),
        organization=data.get("organization"),
    )


def _post(data: dict[str, Any]) -> Post:
    language: str = data["language"]
    comments = (_comment(each, language) for each in data["comment"])
    return Post(
        slug=data["slug"],
        author=data["author"],
        language=language,
        at=_at(data),
        title=typeset(data["title"], language),
        summary=typeset(data["summary"], language),
        body=_body(data, language),
        comments=tuple(sorted(comments, key=lambda comment: comment.at)),
    )


def _comment(data: dict[str, Any], language: str) -> Comment:
    edit, deleted = data.get("edit"), data.get("deleted")
    return Comment(
        key=data["key"],
        parent=data.get("answers"),
        author=data["author"],
        at=_at(data),
        body=_body(data, language),
        edit=Edit(_at(edit), _body(edit, language)) if edit else None,
        deleted_at=_at(deleted) if deleted else None,
    )


def _body(data: dict[str, Any], language: str) -> str:
    return typeset(data["body"].strip(), language)


def _at(data: dict[str, Any]) -> timedelta:
    clock: time = data["time"]
    return timedelta(days=data["day"], hours=clock.hour, minutes=clock.minute, seconds=clock.second)


def _moments(post: Post) -> Iterator[timedelta]:
    yield post.at
    for comment in post.comments:
        yield comment.at
        if comment.edit:
            yield comment.edit.at
        if comment.deleted_at:
            yield comment.deleted_at
