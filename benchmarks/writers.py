"""People who write comments, in a process of their own, and keep what they were answered in a file of their own.

Each act has a key, and is sent again under it when its answer does not come: that is how a client writes exactly
once to a server that may die at any moment.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import httpx2
import orjson

from benchmarks.api import ADD_COMMENT, REQUEST_SECONDS, Unexpected, body_of, data_of, headers_for
from benchmarks.checker import Acknowledged
from benchmarks.children import Line
from graph.ids import key_of

MOST_UNEXPECTED = 20  # answers, then writing ends: the run has failed


@dataclass(frozen=True, slots=True)
class Orders:
    """What to write, and where."""

    addresses: Sequence[str]  # each attempt goes to one of them
    tokens: Sequence[str]  # one writer each
    post_id: str
    answers: Path  # the file of what was answered, one JSON object a line
    comments: int | None = None  # in all; None: until told to stop
    pause_seconds: float = 0.0  # of one writer between two comments, on average
    reply_share: float = 0.6
    give_up_share: float = 0.0  # of acts whose answer did not come: never sent again


@dataclass(frozen=True, slots=True)
class Answer:
    """A line of the file.  Nanoseconds are of the machine's monotonic clock."""

    key: str
    comment: str
    first_sent_ns: int
    answered_ns: int
    last_sent_us: int  # since 1970: the attempt that was answered
    broken: int  # attempts before that one of which the writer could not know what they had done

    @property
    def acknowledged(self) -> Acknowledged:
        return Acknowledged(self.key, key_of(self.comment, "Comment"))


@dataclass
class Report:
    """What the file of answers does not say."""

    given_up: list[str] = field(default_factory=list)
    refused: int = 0  # attempts for which nobody was there
    unexpected: list[str] = field(default_factory=list)


def answers_in(path: Path) -> list[Answer]:
    return [Answer(**orjson.loads(line)) for line in path.read_bytes().splitlines()]


async def work(line: Line) -> None:
    """Hear Orders, write; when all is written, or the parent has said something more, say the Report."""
    orders: Orders = await line.hear()
    with orders.answers.open("ab", buffering=0) as answers:
        writing = _Writing(orders, answers)
        team = asyncio.gather(*(writing.write_on(number, token) for number, token in enumerate(orders.tokens)))
        if orders.comments is None:
            await line.hear()
            writing.stopping = True
        await team
    line.say(writing.report)


class _Writing:
    def __init__(self, orders: Orders, answers: IO[bytes]) -> None:
        self._orders = orders
        self._answers = answers
        self._prefix = key_of(orders.post_id, "Post")  # a key means one thing in all discussions
        self._begun = 0
        self._known: list[str] = []  # comments that can be replied to
        self.report = Report()
        self.stopping = False

    async def write_on(self, number: int, token: str) -> None:
        async with httpx2.AsyncClient(headers=headers_for(token), timeout=REQUEST_SECONDS, trust_env=False) as http:
            while self._goes_on():
                self._begun += 1
                await self._write(http, f"{self._prefix}-{number}-{self._begun}")
                await asyncio.sleep(random.uniform(0, 2 * self._orders.pause_seconds))

    def _goes_on(self) -> bool:
        everything = self._orders.comments is not None and self._begun >= self._orders.comments
        return not (everything or self.stopping or len(self.report.unexpected) > MOST_UNEXPECTED)

    async def _write(self, http: httpx2.AsyncClient, key: str) -> None:
        body, first_sent, broken = self._act(key), time.monotonic_ns(), 0
        while len(self.report.unexpected) <= MOST_UNEXPECTED:
            last_sent = time.time_ns() // 1000
            try:
                comment = await self._attempt(http, body)
            except httpx2.ConnectError:
                self.report.refused += 1
            except (httpx2.TransportError, OSError):  # done or not: nobody can know
                broken += 1
                if random.random() < self._orders.give_up_share:
                    self.report.given_up.append(key)
                    return
            except Unexpected as answer:
                self.report.unexpected.append(str(answer))
            else:
                self._keep(Answer(key, comment, first_sent, time.monotonic_ns(), last_sent, broken))
                return
            await asyncio.sleep(random.uniform(0.01, 0.1))

    def _act(self, key: str) -> dict[str, object]:
        replies = self._known and random.random() < self._orders.reply_share
        parent = random.choice(self._known) if replies else None
        return body_of(ADD_COMMENT, post=self._orders.post_id, parent=parent, body=key, key=key)

    async def _attempt(self, http: httpx2.AsyncClient, body: dict[str, object]) -> str:
        response = await http.post(f"http://{random.choice(self._orders.addresses)}/graphql", json=body)
        comment = data_of(response)["addComment"]["comment"]
        if comment is None:
            raise Unexpected(f"neither a comment nor a refusal: {response.text[:500]}")
        written: str = comment["id"]
        return written

    def _keep(self, answer: Answer) -> None:
        self._known.append(answer.comment)
        self._answers.write(orjson.dumps(answer) + b"\n")
