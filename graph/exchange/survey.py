"""What must be known of a whole export before its first post is brought in.  Reads the file, no database."""

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from graph.exchange import rules, wordpress
from graph.exchange.wordpress import Author, Item, Site
from graph.posts.rules import LANGUAGE_LIMIT

SITE = re.compile(r"https?://[^/?#\s]+")


@dataclass(slots=True)
class Contents:
    """What must be known of the whole file before its first post is brought in."""

    source: str
    site: Site = field(default_factory=lambda: Site("", "", "", 1))
    authors: list[Author] = field(default_factory=list)
    creators: dict[str, "Creator"] = field(default_factory=dict)  # by login
    totals: Counter[str] = field(default_factory=Counter)

    @property
    def size(self) -> int:
        """Items and comments."""
        return self.totals.total() - self.totals["author"]

    @property
    def language(self) -> str | None:
        written = self.site.language
        return written if written.replace("-", "").isalpha() and len(written) <= LANGUAGE_LIMIT else None


@dataclass(slots=True)
class Creator:
    """Somebody who wrote what comes in, told by its items: cut-down exports list no authors."""

    line: int  # where first
    since: int | None  # µs; None where no date tells


def survey(path: Path) -> Contents:
    """Read the whole file.  Raises UnreadableExport."""
    contents = Contents(path.name)
    address = ""
    for record in wordpress.records(path):
        if isinstance(record, Author):
            contents.authors.append(record)
        elif isinstance(record, Item):
            address = address or _site_of(record.address)
            _survey_item(contents, record)
        else:
            contents.site = record
    contents.source = contents.site.address or address or contents.source
    listed = {author.login for author in contents.authors}
    contents.totals["author"] = len(contents.authors) + len(contents.creators.keys() - listed)
    return contents


def _survey_item(contents: Contents, item: Item) -> None:
    contents.totals[rules.kind_of_item(item)] += 1
    contents.totals.update(rules.kind_of_comment(comment) for comment in item.comments)
    if rules.why_item_stays_out(item) is None:
        creator = contents.creators.setdefault(item.creator, Creator(item.line, item.written_at))
        moments = [moment for moment in (creator.since, item.written_at) if moment is not None]
        creator.since = min(moments, default=None)


def _site_of(address: str) -> str:
    found = SITE.match(address)
    return found[0] if found else ""
