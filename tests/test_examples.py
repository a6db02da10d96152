"""The examples as people run them: real programs on a real server, whose connection is cut while others write.

What each of them shows line by line is compared with what was written, and what it shows in the end with what a fresh
fetch brings.
"""

import asyncio
import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from benchmarks.api import Api
from benchmarks.servers import Site, site

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
INSTALL_SECONDS = 300
LINE_SECONDS = 20  # for anything that a program is to say
CLIENTS = {
    "graphql-ws": ["node", "graphql-ws/main.js"],
}
ROWS = """
query Rows($post: ID!) {
  post(id: $post) {
    thread(first: 200) { edges { depth node { number bodyText byline { author { displayName } } } more { count } } }
  }
}
"""
ADD = """
mutation Add($post: ID!, $parent: ID, $body: Markdown!) {
  addComment(input: {postId: $post, parentId: $parent, body: $body}) { comment { id number } errors { message } }
}
"""
EDIT = "mutation Edit($id: ID!, $body: Markdown!) { editComment(input: {id: $id, body: $body}) { errors { message } } }"
DELETE = "mutation Delete($id: ID!) { deleteComment(input: {id: $id}) { errors { message } } }"


def missing(reason: str) -> None:
    """Continuous integration has everything; elsewhere one may do without."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """One process at a time: others may be running tests of this checkout as well."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_npm(*arguments: str) -> None:
    done = subprocess.run(
        ["npm", *arguments], cwd=EXAMPLES, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False
    )
    if done.returncode != 0:
        missing(f"npm {' '.join(arguments)} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


@pytest.fixture(scope="session")
def packages(pytestconfig: pytest.Config) -> Path:
    """The folder of the examples, with what they need installed: once for each lock file."""
    if shutil.which("npm") is None:
        missing("npm is not installed")
    cache = pytestconfig.cache
    assert cache is not None
    stamp = EXAMPLES / "node_modules" / f".from-{hash_of(EXAMPLES / 'package-lock.json')}"
    with alone(cache.mkdir("examples") / "installing"):
        if not stamp.exists():
            run_npm("ci", "--no-audit", "--no-fund", "--prefer-offline")
            stamp.touch()
    return EXAMPLES


def hash_of(*paths: Path) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()[:16]


# A discussion, and somebody in it ------------------------------------------------------------------------------------


@dataclass
class Discussion:
    """A post of its own on the server, and what others do there."""

    api: Api
    writer: str
    reader: str
    post: str
    ids: list[str] = field(default_factory=list)  # of comments, by number from 1 on

    def add(self, body: str, *, to: int | None = None) -> None:
        parent = None if to is None else self.ids[to - 1]
        added = self.api.ask(ADD, self.writer, post=self.post, parent=parent, body=body)["addComment"]["comment"]
        self.is_next(added["number"], added["id"])

    def is_next(self, number: int, comment_id: str) -> None:
        assert number == len(self.ids) + 1
        self.ids.append(comment_id)

    def edit(self, number: int, body: str) -> None:
        self.api.ask(EDIT, self.writer, id=self.ids[number - 1], body=body)

    def delete(self, number: int) -> None:
        self.api.ask(DELETE, self.writer, id=self.ids[number - 1])

    def shown(self) -> list[str]:
        """The lines of the whole discussion as it is."""
        edges: list[dict[str, Any]] = self.api.ask(ROWS, post=self.post)["post"]["thread"]["edges"]
        return [line_of(edge) for edge in edges]


def line_of(edge: dict[str, Any]) -> str:
    node, more = edge["node"], edge["more"]
    author = node["byline"]["author"]["displayName"]
    gap = f" (+{more['count']})" if more else ""
    return f"{'  ' * (edge['depth'] + 1)}#{node['number']} {author}: {node['bodyText'] or '(deleted)'}{gap}"


@pytest.fixture(scope="module")
def server() -> Iterator[Site]:
    with site("sqlite") as place:
        yield place


@pytest.fixture(scope="module")
def people(server: Site) -> list[str]:
    with Api(server.addresses[0]) as api:
        return api.people(2)


@pytest.fixture
def discussion(server: Site, people: list[str]) -> Iterator[Discussion]:
    """More than the page of 20 that the examples ask for, with answers to answers at its beginning."""
    with Api(server.addresses[0]) as api:
        writer, reader = people
        made = Discussion(api, writer, reader, api.discussion(writer, "Where shall we meet?").id)
        made.add("Under the tree.")
        made.add("Which tree?", to=1)
        made.add("The baobab.", to=2)
        for number in range(4, 24):
            made.add(f"Answer {number}.")
        yield made


# The line between, and the program at its end ------------------------------------------------------------------------


class Wire:
    """The network between a program and the server: what goes through it is not looked at, and it can be cut."""

    def __init__(self, server: str) -> None:
        self._host, _, port = server.partition(":")
        self._server_port = int(port)
        self._port = 0
        self._listening: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def address(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def mend(self) -> None:
        self._listening = await asyncio.start_server(self._carry, self._host, self._port)
        self._port = self._listening.sockets[0].getsockname()[1]

    def cut(self) -> None:
        """Without a word in either direction; whoever tries again is refused."""
        assert self._listening is not None
        self._listening.close()
        for end in self._open:
            end.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._server_port)
        ends = {writer, back}
        self._open |= ends
        await asyncio.wait([asyncio.create_task(pump(reader, back)), asyncio.create_task(pump(there, writer))])
        self._open -= ends


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        writer.transport.abort()
    finally:
        writer.close()


@asynccontextmanager
async def wire_to(server: str) -> AsyncIterator[Wire]:
    wire = Wire(server)
    await wire.mend()
    try:
        yield wire
    finally:
        wire.cut()


class Program:
    """An example that runs: what it says, and what one types."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.said: list[str] = []

    async def says(self, *due: str) -> None:
        """Read on until it has said these lines, in this order and with others between them."""
        for line in due:
            while await self._line(line) != line:
                pass

    async def _line(self, due: str) -> str:
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(LINE_SECONDS):
                line = (await self._process.stdout.readline()).decode()
        except TimeoutError:
            raise AssertionError(f"{due!r} was due; said: {self.said}") from None
        if not line:
            raise AssertionError(f"{due!r} was due, and it has ended; said: {self.said}\n{await self._complaints()}")
        self.said.append(line.rstrip("\n"))
        return self.said[-1]

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    async def end(self) -> None:
        """End its input, as Ctrl-D does, and read to the end."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        async with asyncio.timeout(LINE_SECONDS):
            self.said += (await self._process.stdout.read()).decode().splitlines()
            complaints = await self._complaints()
            assert (await self._process.wait(), complaints) == (0, "")

    async def _complaints(self) -> str:
        assert self._process.stderr is not None
        return (await self._process.stderr.read()).decode()

    def arrived(self) -> list[str]:
        """What was told of comments as it happened."""
        return [line for line in self.said if line[0] in "+~-"]

    def last_shown(self) -> list[str]:
        """The rows that it showed last."""
        place = len(self.said) - 1 - next(i for i, line in enumerate(reversed(self.said)) if line.startswith("  "))
        rows: list[str] = []
        while self.said[place].startswith("  "):
            rows.insert(0, self.said[place])
            place -= 1
        return rows


@asynccontextmanager
async def running(command: list[str], folder: Path, *arguments: str) -> AsyncIterator[Program]:
    process = await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        cwd=folder,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Program(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def follow_through_a_cut(command: list[str], folder: Path, discussion: Discussion, server: str) -> Program:
    """Read, follow, answer, be cut while others write, and come back; then read the rest."""
    async with (
        wire_to(server) as wire,
        running(command, folder, wire.address, discussion.post, discussion.reader) as it,
    ):
        await it.says("* 20 rows; an empty line brings more", "* live")
        discussion.add("This one.", to=2)
        await it.says("+ #24 writer0: This one.")
        it.type("#1 I like it.")
        await it.says("+ #25 writer1: I like it.")
        discussion.ids.append("")  # that one: nobody answers it here
        wire.cut()
        await it.says("* connection lost")
        discussion.add("So do I.", to=24)
        discussion.edit(4, "Answer four.")
        discussion.delete(5)
        discussion.add("At noon?")
        discussion.add("It has shade.", to=3)
        await wire.mend()
        await it.says("* live", "+ #28 writer0: It has shade.")
        discussion.add("And a well.", to=3)
        await it.says("+ #29 writer0: And a well.")
        it.type("")
        await it.says("* 28 rows, and that is all")
        await it.end()
        return it


ARRIVED = [
    "+ #24 writer0: This one.",
    "+ #25 writer1: I like it.",
    "+ #26 writer0: So do I.",
    "~ #4 writer0: Answer four.",
    "- #5",
    "+ #27 writer0: At noon?",
    "+ #28 writer0: It has shade.",
    "+ #29 writer0: And a well.",
]


@pytest.mark.parametrize("client", CLIENTS)
async def test_nothing_is_lost_or_doubled_though_the_connection_is_cut(
    client: str, packages: Path, discussion: Discussion, server: Site
) -> None:
    it = await follow_through_a_cut(CLIENTS[client], packages, discussion, server.addresses[0])
    assert it.arrived() == ARRIVED
    assert it.last_shown() == discussion.shown()


async def test_without_renewing_the_cursor_comments_come_twice(
    packages: Path, discussion: Discussion, server: Site, tmp_path: Path
) -> None:
    """What the test above is worth: the same run with the first variables each time, as graphql-ws has it."""
    folder = tmp_path / "examples"
    shutil.copytree(packages, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(packages / "node_modules")
    (folder / "resume.js").write_text("export const resuming = (client) => client;\n", encoding="utf-8")
    it = await follow_through_a_cut(CLIENTS["graphql-ws"], folder, discussion, server.addresses[0])
    assert it.arrived() == ARRIVED[:2] + ARRIVED
