"""A discussion in a terminal, in Python: `gql` asks over HTTP, follows over a socket, and loses nothing when it is cut.

    python plain-python/thread.py http://127.0.0.1:8000 UG9zdDox TOKEN

It needs `pip install 'gql[aiohttp,websockets]'`.
"""

import asyncio
import logging
import random
import re
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from gql import Client, GraphQLRequest, gql
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportClosed, TransportConnectionFailed, TransportServerError
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed

Json = dict[str, Any]

LEVELS = 8  # of the shape that is asked for
ATTEMPTS = 6  # to ask, within about five seconds
LONGEST_WAIT_SECONDS = 30.0
CUT = (TransportClosed, TransportConnectionFailed, TransportServerError, TimeoutError)  # the third: no pong came
FORBIDDEN = 4403  # the code with which the server closes where a token is no good

ROW = "fragment Row on Comment { id number bodyText byline { author { displayName } } }"
READ = gql(
    """
    query Read($postId: ID!, $after: Cursor) {
      post(id: $postId) {
        title
        thread(first: 20, after: $after) {
          liveCursor
          edges { depth node { ...Row } more { count } }
          pageInfo { hasNextPage endCursor }
        }
      }
    }
    """
    + ROW
)
ANSWER = gql(
    """
    mutation Answer($input: AddCommentInput!) {
      addComment(input: $input) { comment { id } errors { __typename message path code } }
    }
    """
)
FOLLOW = gql(
    """
    subscription Follow($postId: ID!, $after: LiveCursor) {
      thread(postId: $postId, after: $after) {
        __typename
        cursor
        ... on CommentAdded { comment { ...Row } position { depth ancestorIds previousSiblingId } }
        ... on CommentChanged { comment { ...Row } }
        ... on CommentRemoved { removedId }
      }
    }
    """
    + ROW
)


class Discussion:
    """What is on screen of a post, kept up to date."""

    def __init__(self, session: AsyncClientSession, socket: Callable[[], WebsocketsTransport], post_id: str) -> None:
        self._session = session
        self._socket = socket
        self._post_id = post_id
        self._edges: list[Json] = []
        self._page: Json = {}
        self._cursor = ""  # of what was last seen: from here one goes on

    async def read(self) -> None:
        post = await self._read(None)
        self._edges, self._page = post["thread"]["edges"], post["thread"]["pageInfo"]
        self._cursor = post["thread"]["liveCursor"]
        say(f"* {post['title']}")
        self.show()

    async def read_more(self) -> None:
        thread = (await self._read(self._page["endCursor"]))["thread"]
        known = {edge["node"]["id"] for edge in self._edges}
        # What came live may come once more with its page.
        self._edges += [edge for edge in thread["edges"] if edge["node"]["id"] not in known]
        self._page = thread["pageInfo"]
        self.show()

    async def _read(self, after: str | None) -> Json:
        post: Json | None = (await self._ask(READ, postId=self._post_id, after=after))["post"]
        if post is None:
            raise SystemExit("There is no such post, or it is not for you.")
        return post

    async def _ask(self, operation: GraphQLRequest, **variables: object) -> Json:
        request = GraphQLRequest(operation, variable_values=variables)
        for attempt in range(ATTEMPTS - 1):
            try:
                return await self._session.execute(request)
            except CUT:  # was it done?  A mutation has its `clientMutationId`: sent twice, it is done once
                await asyncio.sleep(wait_seconds(attempt))
        return await self._session.execute(request)

    async def answer(self, body: str, number: int | None) -> None:
        parents = [edge["node"]["id"] for edge in self._edges if edge["node"]["number"] == number]
        if number is not None and not parents:
            say(f"* #{number} is not loaded")
            return
        given = {"postId": self._post_id, "parentId": next(iter(parents), None), "body": body}
        payload = (await self._ask(ANSWER, input=given | {"clientMutationId": str(uuid.uuid4())}))["addComment"]
        for error in payload["errors"]:
            say(f"* refused: {error['message']}")

    async def follow(self) -> None:
        """Until the post is gone: whenever the connection is cut, go on from the last cursor."""
        attempts = 0
        while True:
            try:
                async for event in self._events():
                    attempts = 0
                    await self._take(event)
                    self._cursor = event["cursor"]
                say("* the stream has ended")
                return
            except CUT as cut:
                if is_forbidden(cut):
                    raise
                if not attempts:
                    say("* connection lost")
            await asyncio.sleep(wait_seconds(attempts))
            attempts += 1

    async def _events(self) -> AsyncIterator[Json]:
        given = {"postId": self._post_id, "after": self._cursor}
        # A new one each time: the one before may still be waiting for a goodbye.
        async with Client(transport=self._socket()) as session:
            async for data in session.subscribe(GraphQLRequest(FOLLOW, variable_values=given)):
                yield data["thread"]

    async def _take(self, event: Json) -> None:
        match event["__typename"]:
            case "StreamReady":
                say("* live")
            case "StreamReset":
                say("* too long away: reading anew")
                await self.read()  # what comes meanwhile waits for that
            case "CommentAdded":
                say(f"+ {words(event['comment'])}")
                self._add(event["comment"], event["position"])
            case "CommentChanged":
                say(f"~ {words(event['comment'])}")
                self._change(event["comment"])
            case "CommentRemoved":
                self._remove(event["removedId"])
            # Nothing else is shown here, and a newer server may tell of more: that is no reason to stop.

    def _add(self, comment: Json | None, position: Json | None) -> None:
        if comment is None or position is None or self._index(comment["id"]) is not None:
            return  # gone by now: the event that says so is on its way; or here already, with its page
        match self._place(position):
            case "insert", index:
                self._edges.insert(index, {"depth": position["depth"], "node": comment, "more": None})
            case "more", index:
                edge = self._edges[index]
                edge["more"] = {"count": (edge["more"] or {"count": 0})["count"] + 1}

    def _place(self, position: Json) -> tuple[str, int] | None:
        """The rule that the schema tells at ThreadPosition.  None: what is loaded later brings it."""
        ancestors = position["ancestorIds"]
        if position["depth"] < LEVELS:
            if position["previousSiblingId"] is None:
                parent = self._index(ancestors[-1]) if ancestors else -1
                if parent is not None:
                    return "insert", parent + 1
            elif (beside := self._index(position["previousSiblingId"])) is not None:
                end = self._end_of_branch(beside)
                return None if end == len(self._edges) and self._page["hasNextPage"] else ("insert", end)
        nearest = next((at for at in map(self._index, reversed(ancestors)) if at is not None), None)
        return None if nearest is None else ("more", nearest)

    def _index(self, comment_id: str) -> int | None:
        return next((index for index, edge in enumerate(self._edges) if edge["node"]["id"] == comment_id), None)

    def _end_of_branch(self, start: int) -> int:
        end = start + 1
        while end < len(self._edges) and self._edges[end]["depth"] > self._edges[start]["depth"]:
            end += 1
        return end

    def _change(self, comment: Json | None) -> None:
        for edge in self._edges:
            if comment is not None and edge["node"]["id"] == comment["id"]:
                edge["node"] = comment

    def _remove(self, comment_id: str) -> None:
        index = self._index(comment_id)
        if index is not None:
            say(f"- #{self._edges[index]['node']['number']}")
            del self._edges[index : self._end_of_branch(index)]

    def show(self) -> None:
        for edge in self._edges:
            more = f" (+{edge['more']['count']})" if edge["more"] else ""
            say(f"{'  ' * (edge['depth'] + 1)}{words(edge['node'])}{more}")
        rest = "; an empty line brings more" if self._page["hasNextPage"] else ", and that is all"
        say(f"* {len(self._edges)} rows{rest}")


def is_forbidden(cut: BaseException | None) -> bool:
    """Whether the credentials are no good: they will not get better by waiting."""
    while cut is not None and not isinstance(cut, ConnectionClosed):
        cut = cut.__cause__
    return cut is not None and cut.rcvd is not None and cut.rcvd.code == FORBIDDEN


def wait_seconds(attempts: int) -> float:
    """Soon at first, rarely later, and never everybody at once: after a restart all clients come back."""
    return min(0.1 * 2.0**attempts, LONGEST_WAIT_SECONDS) * random.uniform(0.5, 1.5)


def words(comment: Json | None) -> str:
    if comment is None:
        return "(gone by now)"
    author = comment["byline"]["author"]
    text = " ".join((comment["bodyText"] or "(deleted)").split())
    return f"#{comment['number']} {author['displayName'] if author else 'nobody'}: {text}"


def say(line: str) -> None:
    print(line, flush=True)


async def typed() -> AsyncIterator[tuple[str, int | None]]:
    """What is typed until the input ends: an empty line, a comment, or `#12 a reply to number 12`."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode():
        numbered = re.match(r"#(\d+) (.*)", line)
        yield (numbered[2], int(numbered[1])) if numbered else (line.rstrip("\n"), None)


async def main(address: str, post_id: str, token: str | None = None) -> None:
    authorization = {"authorization": f"Bearer {token}"} if token else {}
    socket = partial(
        WebsocketsTransport,
        address.replace("http", "ws", 1) + "/graphql",
        subprotocols=["graphql-transport-ws"],
        init_payload=authorization,
        # A network that goes away says nothing: only a ping without a pong tells.
        ping_interval=10,
        pong_timeout=5,
        close_timeout=1,  # where nobody answers, nobody says goodbye either
    )
    async with Client(transport=AIOHTTPTransport(f"{address}/graphql", headers=authorization)) as session:
        discussion = Discussion(session, socket, post_id)
        await discussion.read()
        async with asyncio.TaskGroup() as group:
            following = group.create_task(discussion.follow())
            async for body, number in typed():
                await (discussion.answer(body, number) if body else discussion.read_more())
            following.cancel()
        discussion.show()


if __name__ == "__main__":
    if not 3 <= len(sys.argv) <= 4:
        sys.exit("Tell the server, the post and a token to write with: http://127.0.0.1:8000 UG9zdDox TOKEN")
    logging.getLogger("gql").setLevel(logging.ERROR)  # what it warns of, connections that go away, is told here
    asyncio.run(main(*sys.argv[1:]))
