"""Reads WordPress exports (WXR) of any version into records.  Knows the format, no database.

The file comes from outside and may be large: it is read as a stream, entities are not expanded, and no more than one
item with its comments is held at a time.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

from lxml import etree

from graph.text import Rendered, from_html


@dataclass(eq=False)
class UnreadableExport(Exception):
    """The file is not an export, or not a whole one.  Nothing was changed."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Site:
    """Where the export comes from.  Told last, as what describes it may stand anywhere."""

    title: str
    address: str  # empty where the export does not tell
    language: str
    line: int


@dataclass(frozen=True, slots=True)
class Author:
    id: str  # of the user in the source; empty before version 1.1
    login: str
    email: str
    name: str
    line: int


@dataclass(frozen=True, slots=True)
class Comment:
    id: str
    parent_id: str  # empty: none
    author: str  # may hold entities, as it was escaped for a page
    email: str
    address: str
    user_id: str  # empty: was not signed in
    type: str  # comment, pingback, trackback, or what a plugin made
    approved: str  # 1, 0, spam, trash, post-trashed
    written_at: int | None  # µs since 1970, UTC
    content: str  # HTML
    line: int


@dataclass(frozen=True, slots=True)
class Item:
    id: str  # the number in the source, or else its address
    type: str  # post, page, attachment, nav_menu_item, revision, or what a plugin made
    status: str  # publish, draft, pending, future, private, trash, inherit, auto-draft
    title: str  # may hold entities and markup
    slug: str
    address: str
    creator: str  # a login
    content: str  # HTML with shortcodes
    excerpt: str
    password: str
    is_open: bool  # to comments
    written_at: int | None  # µs since 1970, UTC
    comments: tuple[Comment, ...]  # in the order of the file
    line: int


Record = Site | Author | Item


def records(path: Path) -> Iterator[Record]:
    """Authors and items in the order of the file, then the site.

    Raises UnreadableExport as soon as the file shows that it is no whole export; what came before is then worth
    nothing.  Memory holds one item with its comments.
    """
    with path.open("rb") as file:
        # Bounds of libxml2 stay on (huge_tree): 256 levels, 10 MB for one text.
        events = etree.iterparse(
            file,
            events=("start", "end"),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        yield from _checked(events)


def _checked(events: Any) -> Iterator[Record]:
    reader = _Reader()
    try:
        for event, element in events:
            if event == "start":
                reader.start(element)
            elif (record := reader.end(element)) is not None:
                yield record
    except etree.XMLSyntaxError as error:
        # The stream's own log knows the first thing that was wrong; the exception may only know the last.
        wrong = [(entry.line, entry.message) for entry in events.error_log if entry.level_name == "FATAL"]
        line, reason = wrong[0] if wrong else (reader.line, error.msg or "not XML")
        raise UnreadableExport(max(line, 1), reason.strip()) from None
    if not reader.is_export:
        raise UnreadableExport(1, "no WordPress export: nothing in it is of WordPress's namespace")


# -- Names --------------------------------------------------------------------------------------------------------

WORDPRESS = re.compile(r"https?://(?:www\.)?wordpress\.org/export/[^/]+/(excerpt/)?")
NAMESPACES = {
    "": "",
    "http://purl.org/rss/1.0/modules/content/": "content:",
    "http://purl.org/dc/elements/1.1/": "dc:",
}


@lru_cache(maxsize=1000)
def _name(tag: str) -> str:
    """As WordPress writes it, with the usual prefix.  Empty for names of others: `atom:link` is not our `link`."""
    namespace, _, local = tag.rpartition("}")
    namespace = namespace.removeprefix("{")
    if found := WORDPRESS.fullmatch(namespace):
        return f"{'excerpt' if found[1] else 'wp'}:{local}"
    prefix = NAMESPACES.get(namespace)
    return "" if prefix is None else prefix + local


# -- From elements to records -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Open:
    """A record whose end has not come yet."""

    name: str
    level: int
    line: int
    fields: dict[str, str] = field(default_factory=dict)
    comments: list[Comment] = field(default_factory=list)


RECORDS = frozenset({"channel", "item", "wp:author", "wp:comment"})


class _Reader:
    """Follows the elements of the stream, and frees each as soon as it has been read."""

    def __init__(self) -> None:
        self.level = 0
        self.line = 0
        self.is_export = False
        self.open: list[_Open] = []

    def start(self, element: etree._Element) -> None:
        name = _name(str(element.tag))
        self.line = cast("int | None", element.sourceline) or self.line
        self.level += 1
        if self.level == 1:
            self._check_root(element, name)
        self.is_export = self.is_export or name.startswith("wp:")
        if name in RECORDS:
            self.open.append(_Open(name, self.level, self.line))

    def _check_root(self, root: etree._Element, name: str) -> None:
        declared: Any = root.getroottree().docinfo.internalDTD
        if declared is not None and declared.entities():
            raise UnreadableExport(1, "it declares entities, which no WordPress export does")
        if name != "rss":
            raise UnreadableExport(self.line, f"no WordPress export: it begins with <{root.tag!s}>")
        self.is_export = any(WORDPRESS.fullmatch(namespace) for namespace in root.nsmap.values())

    def end(self, element: etree._Element) -> Record | None:
        record: Record | None = None
        level, self.level = self.level, self.level - 1
        if not self.open:
            return None
        here = self.open[-1]
        if level == here.level:
            self.open.pop()
            record = self._closed(here)
        elif level == here.level + 1:
            here.fields.setdefault(_name(str(element.tag)), _words(element))
        if level <= here.level + 1:
            _free(element)
        return record

    def _closed(self, record: _Open) -> Record | None:
        if record.name == "channel":
            return _site(record)
        if record.name == "wp:author":
            return _author(record)
        if record.name == "item":
            return _item(record)
        if self.open:
            self.open[-1].comments.append(_comment(record))
        return None


def _words(element: etree._Element) -> str:
    """All text inside, trimmed of the file's own layout.  A non-breaking space is text."""
    text = element.text if len(element) == 0 else "".join(str(text) for text in element.itertext())
    return (text or "").strip(" \t\r\n")


def _free(element: etree._Element) -> None:
    element.clear()
    parent = element.getparent()
    while parent is not None and (before := element.getprevious()) is not None:
        parent.remove(before)


def _site(record: _Open) -> Site:
    told = record.fields
    address = told.get("link") or told.get("wp:base_blog_url") or told.get("wp:base_site_url") or ""
    return Site(told.get("title", ""), address.rstrip("/"), told.get("language", ""), record.line)


def _author(record: _Open) -> Author:
    told = record.fields
    login = told.get("wp:author_login", "")
    return Author(
        id=_number(told.get("wp:author_id", "")),
        login=login,
        email=told.get("wp:author_email", ""),
        name=told.get("wp:author_display_name") or login,
        line=record.line,
    )


def _item(record: _Open) -> Item:
    told = record.fields
    return Item(
        id=_number(told.get("wp:post_id", "")) or told.get("guid") or told.get("link") or "",
        # An export cut down to what an import needs has neither: then it holds what was published.
        type=told.get("wp:post_type") or "post",
        status=told.get("wp:status") or "publish",
        title=told.get("title", ""),
        slug=unquote(told.get("wp:post_name", "")),
        address=told.get("link", ""),
        creator=told.get("dc:creator", ""),
        content=told.get("content:encoded", ""),
        excerpt=told.get("excerpt:encoded", ""),
        password=told.get("wp:post_password", ""),
        is_open=told.get("wp:comment_status", "open") != "closed",
        written_at=_moment(told, "wp:post_date_gmt", "wp:post_date", "pubDate"),
        comments=tuple(record.comments),
        line=record.line,
    )


def _comment(record: _Open) -> Comment:
    told = record.fields
    return Comment(
        id=_number(told.get("wp:comment_id", "")),
        parent_id=_number(told.get("wp:comment_parent", "")),
        author=told.get("wp:comment_author", ""),
        email=told.get("wp:comment_author_email", ""),
        address=told.get("wp:comment_author_url", ""),
        user_id=_number(told.get("wp:comment_user_id", "")),
        type=told.get("wp:comment_type") or "comment",
        approved=told.get("wp:comment_approved", "1"),
        written_at=_moment(told, "wp:comment_date_gmt", "wp:comment_date"),
        content=told.get("wp:comment_content", ""),
        line=record.line,
    )


def _number(written: str) -> str:
    """WordPress writes 0 where there is none."""
    return "" if written == "0" else written


# -- Dates --------------------------------------------------------------------------------------------------------

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _moment(told: Mapping[str, str], *names: str) -> int | None:
    """The first of these that is a date.  Drafts have 0000-00-00 in UTC, and a local date, taken for UTC."""
    for name in names:
        moment = _parsed(told.get(name, ""))
        if moment is not None:
            return (moment - EPOCH) // timedelta(microseconds=1)
    return None


def _parsed(written: str) -> datetime | None:
    if not written or written.startswith("0000") or "-0001" in written:  # its ways of writing that there is none
        return None
    try:
        moment = datetime.fromisoformat(written) if written[:4].isdecimal() else parsedate_to_datetime(written)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC)


# -- Content ------------------------------------------------------------------------------------------------------

SHORTCODE = re.compile(r"(?<!\[)\[(/?)(caption|wp_caption|gallery|playlist|embed|audio|video)((?:\s[^\[\]]*)?)\](?!\])")
ATTRIBUTE = re.compile(r"""([\w-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"']+))""")
PICTURE = re.compile(r"\s*(?:<a\b[^>]*>\s*)?<img\b[^>]*>(?:\s*</a>)?", re.IGNORECASE)
MEDIA = ("src", "mp3", "m4a", "ogg", "wav", "mp4", "m4v", "webm", "ogv", "flv", "wmv")


def rendered(content: str) -> Rendered:
    """What a post's content showed: shortcodes as their captions and links, paragraphs where its author saw them."""
    # The block editor marks its paragraphs, and WordPress then leaves line ends alone.
    return from_html(_without_shortcodes(content), breaks="<!-- wp:" not in content)


def _without_shortcodes(content: str) -> str:
    result: list[str] = []
    place = 0
    caption: str | None = None  # of the open one, where it is an attribute
    for found in SHORTCODE.finditer(content):
        between, place = content[place : found.start()], found.end()
        ends, name, attributes = found[1] == "/", found[2], _attributes(found[3])
        if name in ("caption", "wp_caption"):
            result.append(_figure(between, caption) if ends and caption is not None else between)
            caption = None if ends else attributes.get("caption", "")
        elif name == "embed" and ends:
            result.append(_link(between.strip()))
        else:
            result += [between, _link(next((attributes[key] for key in MEDIA if key in attributes), ""))]
    return "".join([*result, content[place:]])


def _attributes(written: str) -> dict[str, str]:
    return {found[1].lower(): found[2] or found[3] or found[4] or "" for found in ATTRIBUTE.finditer(written)}


def _figure(inside: str, caption: str) -> str:
    picture = PICTURE.match(inside)
    shown, below = (picture[0], inside[picture.end() :]) if picture else ("", inside)
    return f"<figure>{shown.strip()}<figcaption>{caption}{below.strip()}</figcaption></figure>"


def _link(address: str) -> str:
    if not re.match(r"https?://[^\s\"<>]+$", address):
        return address
    return f'<a href="{address}">{address}</a>'
