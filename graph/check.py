"""The main job, done once as a client does it: read a discussion, follow it, lose the connection, miss nothing.

Whoever gives it a server and two people who may write learns, step by step, whether that server keeps its promise.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

from graph.client import Client, Stream, Unexpected

READ: Final = """
query Read($post: ID!) {
  post(id: $post) {
    title
    counts { comments }
    thread(first: 200, shape: {maxDepth: 100, repliesPerParent: 100}) {
      liveCursor
      edges { depth parentId node { id bodyText byline { author { displayName } } } }
    }
  }
}
"""
FOLLOW: Final = """
subscription Follow($post: ID!, $after: LiveCursor!) {
  thread(postId: $post, after: $after) {
    __typename
    cursor
    ... on CommentAdded {
      comment { id bodyText byline { author { displayName } } }
      position { ancestorIds depth previousSiblingId }
      post { counts { comments } }
    }
  }
}
"""
ANSWER: Final = """
mutation Answer($post: ID!, $parent: ID!, $body: Markdown!) {
  addComment(input: {postId: $post, parentId: $parent, body: $body}) {
    comment { id }
    errors { message }
  }
}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A row of the discussion as a reader sees it."""

    id: str
    depth: int
    parent_id: str | None
    author: str
    text: str


@dataclass(frozen=True, slots=True)
class Reply:
    """What one wrote, and how it arrived."""

    id: str
    frame: dict[str, Any]
    seconds: float  # from asking for it to be written to seeing it


class StepFailed(Exception):
    def __init__(self, step: str, seen: BaseException) -> None:
        super().__init__(f"{step}: {seen if isinstance(seen, Unexpected) else repr(seen)}")
        self.step = step


@dataclass
class MainJob:
    """The steps share what has been read so far.  `writers` are two people, each with a name."""

    post_id: str
    reader: Client
    writers: tuple[tuple[str, Client], tuple[str, Client]]
    bodies: tuple[str, str] = ("An answer that is followed.", "An answer that nobody was there to see.")
    title: str = ""
    lines: list[Line] = field(default_factory=list)  # as first read
    count: int = 0
    cursor: str = ""  # of what was last seen
    answered: Line | None = None
    replies: list[Reply] = field(default_factory=list)

    async def run(self) -> AsyncIterator[tuple[str, str]]:
        """Each step as it is done: its name, and what was seen.  Raises StepFailed."""
        async with AsyncExitStack() as open_streams:
            self._open = open_streams
            for name, step in self._steps():
                try:
                    seen = await step()
                except Exception as failure:
                    raise StepFailed(name, failure) from failure
                yield name, seen

    def _steps(self) -> list[tuple[str, Callable[[], Awaitable[str]]]]:
        return [
            ("Read the discussion", self.read),
            ("Follow it from there", self.follow),
            ("Answer, and see it arrive", self.answer),
            ("Cut the connection", self.cut),
            ("Answer while nobody listens", self.answer_unheard),
            ("Go on from the last cursor", self.resume),
            ("Read it all again", self.compare),
        ]

    async def read(self) -> str:
        post = await self._fetch()
        self.title, self.count = post["title"], post["counts"]["comments"]
        self.lines, self.cursor = lines_of(post), post["thread"]["liveCursor"]
        due("a discussion with answers to answers", any(line.depth for line in self.lines), len(self.lines))
        # The deepest has the longest way to it; the last of these, so that it has no answer yet.
        self.answered = max(reversed(self.lines), key=lambda line: line.depth)
        return f"{len(self.lines)} rows, {self.count} comments, and the cursor of that moment"

    async def follow(self) -> str:
        self._stream = await self._followed()
        return "the stream stands where the rows were read"

    async def answer(self) -> str:
        assert self.answered is not None
        began = time.monotonic()
        written = await self._write(0, self.answered.id)
        reply = Reply(written, await self._next(), time.monotonic() - began)
        self._arrived(reply, above=[*way_to(self.lines, self.answered), self.answered.id], behind=None)
        return (
            f"{self.writers[0][0]} answers {self.answered.author}: here after {reply.seconds * 1000:.0f} ms, with its "
            f"place {len(reply.frame['position']['ancestorIds'])} levels down, and {self.count} comments"
        )

    async def cut(self) -> str:
        self._stream.cut()
        return "without a word to the server"

    async def answer_unheard(self) -> str:
        assert self.answered is not None
        self._unheard = await self._write(1, self.answered.id)
        return f"{self.writers[1][0]} answers {self.answered.author}"

    async def resume(self) -> str:
        assert self.answered is not None
        began = time.monotonic()
        self._stream = await self._followed()
        reply = Reply(self._unheard, await self._next(), time.monotonic() - began)
        above = [*way_to(self.lines, self.answered), self.answered.id]
        self._arrived(reply, above=above, behind=self.replies[-1].id)
        return f"exactly the missing one, with its place: behind {self.writers[0][0]}'s"

    async def compare(self) -> str:
        post = await self._fetch()
        cursor, rows = post["thread"]["liveCursor"], lines_of(post)
        due("no event after the last frame", cursor == self.cursor, cursor)
        due(f"{self.count} comments", post["counts"]["comments"] == self.count, post["counts"])
        new = [line.id for line in rows if line.id not in {line.id for line in self.lines}]
        due("both answers in the order of the frames", new == [reply.id for reply in self.replies], new)
        return f"{len(rows)} rows, the same as the frames have told; nothing twice, nothing missing"

    async def _fetch(self) -> dict[str, Any]:
        post: dict[str, Any] | None = (await self.reader.ask(READ, post=self.post_id))["post"]
        if post is None:
            raise Unexpected(f"the post {self.post_id}", post)
        return post

    async def _followed(self) -> Stream:
        """A stream that goes on from the cursor; its first frame says so."""
        opening = self.reader.follow(FOLLOW, post=self.post_id, after=self.cursor)
        stream: Stream = await self._open.enter_async_context(opening)
        first = (await stream.next())["thread"]
        due("StreamReady at the cursor given", first == {"__typename": "StreamReady", "cursor": self.cursor}, first)
        return stream

    async def _write(self, writer: int, parent_id: str) -> str:
        _, client = self.writers[writer]
        asked = {"post": self.post_id, "parent": parent_id, "body": self.bodies[writer]}
        payload = (await client.ask(ANSWER, **asked))["addComment"]
        due("a comment and no errors", payload["errors"] == [], payload["errors"])
        comment_id: str = payload["comment"]["id"]
        return comment_id

    async def _next(self) -> dict[str, Any]:
        frame: dict[str, Any] = (await self._stream.next())["thread"]
        due("the event CommentAdded", frame["__typename"] == "CommentAdded", frame)
        return frame

    def _arrived(self, reply: Reply, *, above: list[str], behind: str | None) -> None:
        """What the frame says is what was done."""
        frame, position = reply.frame, reply.frame["position"]
        due(f"the comment {reply.id}", frame["comment"]["id"] == reply.id, frame["comment"])
        body = self.bodies[len(self.replies)]
        due(f"the text {body!r}", frame["comment"]["bodyText"] == body, frame["comment"])
        place = {"ancestorIds": above, "depth": len(above), "previousSiblingId": behind}
        due(f"the place {place}", position == place, position)
        counts = {"comments": self.count + 1}
        due(f"the counts {counts}", frame["post"]["counts"] == counts, frame["post"]["counts"])
        self.count, self.cursor = self.count + 1, frame["cursor"]
        self.replies.append(reply)


def due(what: str, holds: bool, seen: object) -> None:
    if not holds:
        raise Unexpected(what, seen)


def lines_of(post: dict[str, Any]) -> list[Line]:
    return [
        Line(
            edge["node"]["id"],
            edge["depth"],
            edge["parentId"],
            (edge["node"]["byline"]["author"] or {}).get("displayName", "nobody"),
            edge["node"]["bodyText"] or "",
        )
        for edge in post["thread"]["edges"]
    ]


def way_to(lines: list[Line], line: Line) -> list[str]:
    """The ids from the root down to its parent."""
    by_id = {each.id: each for each in lines}
    way: list[str] = []
    while line.parent_id is not None:
        way.append(line.parent_id)
        line = by_id[line.parent_id]
    return way[::-1]
