"""Brings the discussions of a WordPress site into the community: once, however often it is run.

The whole file is read first: one that is broken or cut short changes nothing.  Then each post is planned from what is
here already, and written in parts of bounded size, every part one transaction together with the names by which its
rows will be known again.  So a second run finds everything, and a run that was cut goes on where it was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from graph.exchange import parts, rules, store, wordpress
from graph.exchange.parts import UNFINISHED, Incoming, Notice, Part
from graph.exchange.report import Report
from graph.exchange.rules import Arrival, Arrivals, Here, Keyed, Person
from graph.exchange.survey import Contents, survey
from graph.exchange.wordpress import Author, Comment, Item
from graph.posts.rules import SUMMARY_LIMIT
from graph.storage.database import Storage
from graph.storage.rows import Failed, Rows, Work
from graph.text import clean, excerpt, from_html, slug

PART_COMMENTS: Final = 500  # written by one statement, in one transaction: some tens of milliseconds on SQLite
BATCH_PARTS: Final = 50  # in one transaction when posts are small
UNTITLED_LENGTH: Final = 80  # characters of the text that stand for a title

Progress = Callable[[int, int], None]  # so many things of so many are done


async def import_wordpress(
    storage: Storage, path: Path, *, source: str | None, dry_run: bool, progress: Progress | None, now: int
) -> Report:
    """Bring in what the export holds and is not here yet; gives an account of every thing in it.

    `source` names the site in what is remembered; None takes its address from the export.  `dry_run` writes nothing
    and gives the same report.  `now` is in µs.  Raises wordpress.UnreadableExport before anything is changed.
    """
    contents = survey(path)
    run = _Import(storage, contents, Report(source or contents.source, dry_run), progress, now)
    await run.authors()
    for record in wordpress.records(path):
        if isinstance(record, Item):
            await run.item(record)
    await run.flush()
    run.report.check(contents.totals)
    return run.report


@dataclass(frozen=True, slots=True)
class Standing:
    """What is here already of one item."""

    post: bool
    unfinished: bool  # the run that began it was cut
    comments: dict[str, Here]
    notices: dict[str, int]
    people: dict[str, int]


class _Import:
    def __init__(
        self, storage: Storage, contents: Contents, report: Report, progress: Progress | None, now: int
    ) -> None:
        self.report = report
        self._storage = storage
        self._contents = contents
        self._progress = progress
        self._now = now
        self._seen: set[str] = set()  # keys of items of this file
        self._people: set[str] = set()  # keys of commenters that the report tells of
        self._logins: dict[str, str] = {}  # by the number of a user in the source, and by address of e-mail
        self._works: list[Work[Any]] = []
        self._waiting = 0  # comments in these works
        self._done = 0

    # Authors

    async def authors(self) -> None:
        """Everybody who is listed, and everybody who wrote an item that comes in."""
        tally = self.report.of("author")
        people: dict[str, Person] = {}
        for author in self._contents.authors:
            person = self._author(author.login, author)
            if person.key in people:
                tally.skip(rules.REPEATED, author.line)
                continue
            people[person.key] = person
            self._logins |= {f"#{author.id}": author.login} if author.id else {}
            self._logins |= {f"@{author.email.casefold()}": author.login} if author.email else {}
        for login in self._contents.creators:
            person = self._author(login, None)
            people.setdefault(person.key, person)
        await self._bring_authors(list(people.values()))

    def _author(self, login: str, told: Author | None) -> Person:
        creator = self._contents.creators.get(login)
        since = self._now if creator is None or creator.since is None else creator.since
        return rules.author(login, told, self._contents.site.language, since)

    async def _bring_authors(self, people: Sequence[Person]) -> None:
        source, keys = self.report.source, [person.key for person in people]
        here = await self._storage.read(lambda rows: store.origins_of(rows, source, "user", keys))
        tally = self.report.of("author")
        tally.already_here += len(here)
        tally.imported += len(people) - len(here)
        new = [] if self.report.dry_run else [person for person in people if person.key not in here]
        for start in range(0, len(new), PART_COMMENTS):
            self._works.append(_people_work(source, new[start : start + PART_COMMENTS], self._now))
        await self.flush()

    # Items

    async def item(self, item: Item) -> None:
        key = rules.key_of_item(item)
        reason = rules.why_item_stays_out(item) or (rules.REPEATED if key in self._seen else None)
        self._seen.add(key)
        if reason is None:
            await self._bring(key, item)
        else:
            self._leave_out(item, reason)
        self._done += 1 + len(item.comments)

    def _leave_out(self, item: Item, reason: str) -> None:
        self.report.of(rules.kind_of_item(item)).skip(reason, item.line)
        for comment in item.comments:
            self.report.of(rules.kind_of_comment(comment)).skip(rules.POST_GONE, comment.line)

    async def _bring(self, key: str, item: Item) -> None:
        staying, out = self._sorted(item)
        standing = await self._standing(key, staying, out)
        undated = self._now if item.written_at is None else item.written_at
        self._count(item, staying, standing)
        discussion = [each for each in staying if rules.kind_of_comment(each.comment) == "comment"]
        arrivals = Arrivals(key, discussion, out, standing.comments, undated=undated)
        coming = list(arrivals.in_order())
        for note, comment in arrivals.notes:
            self.report.note(note, comment.line)
        self._count_people(coming, standing)
        notices = [each for each in staying if _is_new_notice(each, standing)]
        is_all_here = standing.post and not standing.unfinished and not coming and not notices
        if not self.report.dry_run and not is_all_here:
            await self._write(key, item, standing, coming, notices)

    def _sorted(self, item: Item) -> tuple[list[Keyed], list[Comment]]:
        """Those that are kept, and those left out, which are reported."""
        staying: list[Keyed] = []
        out: list[Comment] = []
        each_once, repeated = rules.keyed(item)
        for each in each_once:
            reason = rules.why_comment_stays_out(each.comment)
            if reason is None:
                staying.append(each)
            else:
                out.append(each.comment)
                self.report.of(rules.kind_of_comment(each.comment)).skip(reason, each.comment.line)
        for comment in repeated:
            self.report.of(rules.kind_of_comment(comment)).skip(rules.REPEATED, comment.line)
        notices = [each.comment for each in staying if rules.kind_of_comment(each.comment) != "comment"]
        return staying, [*out, *notices]

    async def _standing(self, key: str, staying: Sequence[Keyed], out: Sequence[Comment]) -> Standing:
        source = self.report.source
        parents = {each.parent_id for each in [*out, *(each.comment for each in staying)]}
        known = sorted({each.key for each in staying} | {rules.key_of_comment(key, parent) for parent in parents})
        people = sorted({self._person(each.comment, 0).key for each in staying})

        async def read(rows: Rows) -> Standing:
            names = {"post": [key], UNFINISHED: [key], "comment": known, "pingback": known, "user": people}
            here = await store.known(rows, source, names)
            return Standing(
                post=key in here["post"],
                unfinished=key in here[UNFINISHED],
                comments=await store.places_of(rows, here["comment"]),
                notices=here["pingback"],
                people=here["user"],
            )

        return await self._storage.read(read)

    def _count(self, item: Item, staying: Sequence[Keyed], standing: Standing) -> None:
        tally = self.report.of(rules.kind_of_item(item))
        tally.already_here += standing.post
        tally.imported += not standing.post
        for each in staying:
            tally = self.report.of(rules.kind_of_comment(each.comment))
            is_here = each.key in standing.comments or each.key in standing.notices
            tally.already_here += is_here
            tally.imported += not is_here

    def _count_people(self, coming: Sequence[Arrival], standing: Standing) -> None:
        tally = self.report.of("commenter")
        for arrival in coming:
            key = self._person(arrival.comment, 0).key
            if key.startswith("commenter:") and key not in self._people:
                self._people.add(key)
                tally.already_here += key in standing.people
                tally.imported += key not in standing.people

    def _person(self, comment: Comment, since: int) -> Person:
        """The author for whom the source vouches, or somebody who only gave a name.

        An address of e-mail alone proves nothing: whoever is not signed in can give any.
        """
        login = None
        if comment.user_id:
            login = self._logins.get(f"#{comment.user_id}") or self._logins.get(f"@{comment.email.casefold()}")
        if login is not None:
            return self._author(login, None)
        return rules.commenter(comment, self._contents.site.language, since)

    # Parts

    async def _write(
        self, key: str, item: Item, standing: Standing, coming: Sequence[Arrival], notices: Sequence[Keyed]
    ) -> None:
        values = _post_values(item, self._contents.language, self._now)
        chunks = [coming[start : start + PART_COMMENTS] for start in range(0, len(coming), PART_COMMENTS)] or [[]]
        for place, chunk in enumerate(chunks):
            part = Part(
                source=self.report.source,
                key=key,
                author=rules.key_of_author(item.creator),
                values=values,
                begins=place == 0 and not standing.post,
                ends=place == len(chunks) - 1,
                tells=standing.post and not standing.unfinished,
                people=self._people_of(item, chunk),
                comments=[self._incoming(arrival, values) for arrival in chunk],
                notices=[_notice(each, values) for each in notices] if place == 0 else [],
                now=self._now,
            )
            self._works.append(partial(parts.bring, part=part))
            self._waiting += len(chunk)
            if len(self._works) >= BATCH_PARTS or self._waiting >= PART_COMMENTS:
                await self.flush()

    def _people_of(self, item: Item, chunk: Sequence[Arrival]) -> list[Person]:
        """Each once, since the first of what is brought in here."""
        people = {rules.key_of_author(item.creator): self._author(item.creator, None)}
        for arrival in chunk:
            moment = arrival.comment.written_at
            person = self._person(arrival.comment, self._now if moment is None else moment)
            people.setdefault(person.key, person)
        return list(people.values())

    def _incoming(self, arrival: Arrival, post: Mapping[str, Any]) -> Incoming:
        author = self._person(arrival.comment, 0).key
        return Incoming(arrival.key, arrival.parent, author, _comment_values(arrival.comment, post["created_at"]))

    async def flush(self) -> None:
        """Write what waits.  A part that fails ends the import: what was written before stays, and is found again."""
        works, self._works, self._waiting = self._works, [], 0
        while works:
            outcomes = await self._storage.write(works)
            for outcome in outcomes:
                if isinstance(outcome, Failed):
                    raise outcome.error
                self.report.told |= outcome.value
            works = works[len(outcomes) :]
        if self._progress is not None:
            self._progress(self._done, self._contents.size)


def _people_work(source: str, people: Sequence[Person], now: int) -> Work[set[str]]:
    async def work(rows: Rows) -> set[str]:
        await parts.bring_people(rows, source, people, now)
        return set()

    return work


# -- Rows ---------------------------------------------------------------------------------------------------------


def _is_new_notice(each: Keyed, standing: Standing) -> bool:
    return rules.kind_of_comment(each.comment) != "comment" and each.key not in standing.notices


def _post_values(item: Item, language: str | None, now: int) -> dict[str, Any]:
    body = wordpress.rendered(item.content)
    moment = now if item.written_at is None else item.written_at
    title = _line(item.title) or excerpt(body.text, UNTITLED_LENGTH) or "Untitled"
    state = rules.STATES[item.status]
    return {
        "slug": slug(clean(item.slug) or title),
        "title": title,
        "summary": excerpt(_line(item.excerpt), SUMMARY_LIMIT) or None,
        "body": "",
        "body_html": body.html,
        "body_text": body.text,
        "language": language,
        "state": state,
        "discussion": "OPEN" if item.is_open else "LOCKED",
        "created_at": moment,
        "published_at": moment if state == "PUBLISHED" else None,
        "last_activity_at": moment,
    }


def _comment_values(comment: Comment, undated: int) -> dict[str, Any]:
    body = from_html(comment.content)
    return {
        "status": rules.STATUSES[comment.approved],
        "body": "",
        "body_html": body.html,
        "body_text": body.text,
        "created_at": undated if comment.written_at is None else comment.written_at,
    }


def _notice(each: Keyed, post: Mapping[str, Any]) -> Notice:
    comment = each.comment
    values = {
        "kind": comment.type.upper(),
        "url": clean(comment.address),
        "title": _line(comment.author),
        "excerpt": from_html(comment.content).text,
        "status": rules.STATUSES[comment.approved],
        "created_at": post["created_at"] if comment.written_at is None else comment.written_at,
    }
    return Notice(each.key, values)


def _line(html: str) -> str:
    """The words of a title, on one line."""
    text = from_html(html, breaks=False).text
    return excerpt(text, len(text))
