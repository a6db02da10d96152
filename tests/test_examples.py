"""The examples as people run them: real programs on a real server, whose connection is cut while others write.

What each of them shows line by line is compared with what was written, and what it shows in the end with what a fresh
fetch brings.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType

from benchmarks.api import Api
from benchmarks.servers import Server, Site, site
from graph.app import now, trimmed
from graph.schema import schema
from graph.storage.database import Storage

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
INSTALL_SECONDS = 600
CUTS = 3
LINE_SECONDS = 60  # for anything that a program is to say
CLIENTS = {
    "plain-python": [sys.executable, "plain-python/thread.py"],
    "graphql-ws": ["node", "graphql-ws/main.js"],
    "apollo": ["node", "--import", "tsx", "apollo/main.ts"],
    "urql": ["node", "--import", "tsx", "urql/main.ts"],
    "typescript": ["node", "--import", "tsx", "typescript/main.ts"],
    "relay": ["node", "--import", "tsx", "relay/build/Thread.js"],
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


def run(*command: str, folder: Path = EXAMPLES) -> str:
    """What is wrong, as the command says it; empty when all is well."""
    given = {"capture_output": True, "text": True, "timeout": INSTALL_SECONDS, "check": False}
    done: subprocess.CompletedProcess[str] = subprocess.run(command, cwd=folder, **given)  # type: ignore[call-overload]  # mypy cannot look into them
    return "" if done.returncode == 0 else f"{' '.join(command)} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"


@pytest.fixture(scope="session")
def packages(pytestconfig: pytest.Config) -> Path:
    """The folder of the examples, with what they need: installed once for each lock, generated for each schema."""
    if shutil.which("npm") is None:
        missing("npm is not installed")
    cache = pytestconfig.cache
    assert cache is not None
    lock = EXAMPLES / "package-lock.json"
    installed = EXAMPLES / "node_modules" / f".from-{hash_of([lock])}"
    generated = EXAMPLES / "generated" / f".from-{hash_of([lock, ROOT / 'schema.graphql', *sources()])}"
    with alone(cache.mkdir("examples") / "preparing"):
        if not installed.exists():
            if wrong := run("npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"):
                missing(wrong)
            installed.touch()
        if not generated.exists():
            shutil.rmtree(EXAMPLES / "generated", ignore_errors=True)
            assert run("npm", "run", "generate") == ""
            generated.touch()
    return EXAMPLES


MADE = {"node_modules", "generated", "__generated__", "build"}


def sources() -> Iterator[Path]:
    for at, below, names in os.walk(EXAMPLES):
        below[:] = sorted(set(below) - MADE)
        yield from (Path(at) / each for each in sorted(names))


def hash_of(paths: Sequence[Path]) -> str:
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
        self._host, _, self._port = server.partition(":")
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()
        self._silent: set[asyncio.StreamWriter] = set()
        self.refused = asyncio.Event()  # somebody has tried in vain since it was cut

    @asynccontextmanager
    async def up(self) -> AsyncIterator[str]:
        """Gives the address at its near end."""
        async with await asyncio.start_server(self._carry, self._host) as listening:
            yield f"http://{self._host}:{listening.sockets[0].getsockname()[1]}"
            self.cut()

    def cut(self) -> None:
        """Without a word in either direction."""
        self._is_cut = True
        self.refused.clear()
        for end in self._open:
            end.transport.abort()

    def mend(self) -> None:
        self._is_cut = False

    def swallow(self) -> None:
        """What is connected stays so, and hears nothing more: as when a network goes away."""
        self._silent |= self._open

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            self.refused.set()
            return
        there, back = await asyncio.open_connection(self._host, self._port)
        ends = {writer, back}
        self._open |= ends
        ways = self._pump(reader, back), self._pump(there, writer)
        await asyncio.wait([asyncio.create_task(way) for way in ways])
        self._open -= ends

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                if writer not in self._silent:
                    writer.write(data)
                    await writer.drain()
        except ConnectionError:
            writer.transport.abort()
        finally:
            writer.close()


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

    async def tells(self) -> None:
        """Read on until it has told of a comment."""
        while not (await self._line("a comment")).startswith("+"):
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
    wire = Wire(server)
    async with wire.up() as address, running(command, folder, address, discussion.post, discussion.reader) as it:
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
        await wire.refused.wait()
        wire.mend()
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


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> list[str]:
    """How it is started, with what it needs installed."""
    command = CLIENTS[request.param]
    if command[0] == "node":
        request.getfixturevalue("packages")
    return command


async def test_nothing_is_lost_or_doubled_though_the_connection_is_cut(
    client: list[str], discussion: Discussion, server: Site
) -> None:
    it = await follow_through_a_cut(client, EXAMPLES, discussion, server.addresses[0])
    assert it.arrived() == ARRIVED
    assert it.last_shown() == discussion.shown()


async def test_each_comment_arrives_once_and_in_order_however_often_the_connection_is_cut(
    client: list[str], discussion: Discussion, server: Site
) -> None:
    """Frames are on their way whenever it is cut."""
    wire, enough = Wire(server.addresses[0]), threading.Event()

    def write() -> None:
        while not enough.is_set():
            discussion.add("More.")

    async with wire.up() as address, running(client, EXAMPLES, address, discussion.post, discussion.reader) as it:
        await it.says("* live")
        writing = asyncio.create_task(asyncio.to_thread(write))
        try:
            for _ in range(CUTS):
                await it.tells()
                wire.cut()
                await wire.refused.wait()
                wire.mend()
                await it.says("* live")
        finally:
            enough.set()
        await writing
        await it.says(f"+ #{len(discussion.ids)} writer0: More.")
        await it.end()
    assert it.said.count("* live") == CUTS + 1
    assert it.arrived() == [f"+ #{number} writer0: More." for number in range(24, len(discussion.ids) + 1)]


@pytest.mark.parametrize("client", ["plain-python", "apollo"], indirect=True)
async def test_what_is_written_while_the_connection_is_away_is_written_once(
    client: list[str], discussion: Discussion, server: Site
) -> None:
    wire = Wire(server.addresses[0])
    async with wire.up() as address, running(client, EXAMPLES, address, discussion.post, discussion.reader) as it:
        await it.says("* live")
        wire.cut()
        await it.says("* connection lost")
        it.type("Into the void.")
        for _ in range(3):  # the socket comes back with longer and longer waits between: one of these is the comment
            await wire.refused.wait()
            wire.refused.clear()
        wire.mend()
        await it.says("* live", "+ #24 writer1: Into the void.")
        await it.end()
    assert it.arrived() == ["+ #24 writer1: Into the void."]


async def test_without_renewing_the_cursor_comments_come_twice(
    packages: Path, discussion: Discussion, server: Site, tmp_path: Path
) -> None:
    """What the test above is worth: the same run with the first variables each time, as graphql-ws has it."""
    folder = copied(tmp_path)
    (folder / "resume.js").write_text("export const resuming = (client) => client;\n", encoding="utf-8")
    it = await follow_through_a_cut(CLIENTS["graphql-ws"], folder, discussion, server.addresses[0])
    assert it.arrived() == ARRIVED[:2] + ARRIVED


async def test_what_a_branch_leaves_out_is_counted(client: list[str], people: list[str], server: Site) -> None:
    writer, reader = people
    with Api(server.addresses[0]) as api:
        discussion = Discussion(api, writer, reader, api.discussion(writer, "How deep?").id)
        discussion.add("Wide.")
        for number in range(2, 14):  # the window shows 10 of these 12
            discussion.add(f"Answer {number}.", to=1)
        discussion.add("Deep.")
        for number in range(15, 22):  # and 8 levels
            discussion.add(f"Level {number - 14}.", to=number - 1)
        address = f"http://{server.addresses[0]}"
        async with running(client, EXAMPLES, address, discussion.post, reader) as it:
            await it.says("  #1 writer0: Wide. (+2)", "* live")
            discussion.add("Wider.", to=1)
            discussion.add("Deeper.", to=21)
            discussion.add("Deeper still.", to=23)
            await it.says("+ #24 writer0: Deeper still.")
            await it.end()
        assert it.last_shown()[0] == "  #1 writer0: Wide. (+3)"
        assert it.last_shown()[-1] == f"{' ' * 16}#21 writer0: Level 7. (+2)"
        assert it.last_shown() == discussion.shown()


@pytest.mark.parametrize("client", ["graphql-ws", "plain-python"], indirect=True)
async def test_a_network_that_goes_away_without_a_word_is_noticed(
    client: list[str], discussion: Discussion, server: Site, tmp_path: Path
) -> None:
    folder = copied(tmp_path)
    change(folder / "socket.js", {"PING_MILLISECONDS = 10_000": "PING_MILLISECONDS = 200", "= 5_000": "= 1_000"})
    change(
        folder / "plain-python" / "thread.py",
        {"ping_interval=10": "ping_interval=0.2", "pong_timeout=5": "pong_timeout=1"},
    )
    wire = Wire(server.addresses[0])
    async with wire.up() as address, running(client, folder, address, discussion.post, discussion.reader) as it:
        await it.says("* live")
        wire.swallow()
        discussion.add("Who hears me?")
        await it.says("* connection lost", "* live", "+ #24 writer0: Who hears me?")
        await it.end()
    assert it.arrived() == ["+ #24 writer0: Who hears me?"]


def copied(folder: Path) -> Path:
    """The examples beside what is installed for them, to be changed."""
    copy = folder / "examples"
    shutil.copytree(EXAMPLES, copy, ignore=shutil.ignore_patterns(*MADE))
    if (EXAMPLES / "node_modules").exists():
        (copy / "node_modules").symlink_to(EXAMPLES / "node_modules")
    return copy


def change(source: Path, instead: dict[str, str]) -> None:
    text = source.read_text(encoding="utf-8")
    for what, by in instead.items():
        assert what in text
        text = text.replace(what, by)
    source.write_text(text, encoding="utf-8")


async def test_who_was_away_for_too_long_reads_anew(client: list[str], discussion: Discussion, server: Site) -> None:
    wire = Wire(server.addresses[0])
    async with wire.up() as address, running(client, EXAMPLES, address, discussion.post, discussion.reader) as it:
        await it.says("* live")
        wire.cut()
        await it.says("* connection lost")
        discussion.add("Never told of.", to=3)
        discussion.delete(5)
        discussion.add("The last one is kept.", to=1)
        await forget_all_but_the_last(server)
        wire.mend()
        await it.says("* too long away: reading anew", "* 20 rows; an empty line brings more")
        discussion.add("Welcome back.", to=1)
        await it.says("+ #26 writer0: Welcome back.")
        it.type("")
        await it.says("* 25 rows, and that is all")
        await it.end()
    assert it.arrived() == ["+ #26 writer0: Welcome back."]
    assert it.last_shown() == discussion.shown()


async def forget_all_but_the_last(server: Site) -> None:
    async with Storage.at(server.database.url) as storage:
        beyond: int | None = 0
        while beyond is not None:
            beyond = await trimmed(storage, 1, now(), beyond)


@pytest.mark.parametrize(
    ("client", "end"), [("graphql-ws", Server.stop), ("plain-python", Server.kill)], indirect=["client"]
)
async def test_a_server_that_is_started_anew_is_found_again(
    client: list[str], end: Callable[[Server], None], discussion: Discussion, server: Site
) -> None:
    [only] = server.servers
    async with running(client, EXAMPLES, f"http://{only.address}", discussion.post, discussion.reader) as it:
        await it.says("* live")
        end(only)
        await it.says("* connection lost")
        only.start()
        only.wait()
        discussion.add("I am back.")
        await it.says("* live", "+ #24 writer0: I am back.")
        await it.end()
    assert it.arrived() == ["+ #24 writer0: I am back."]


# What the tools of front-end developers make of the schema -----------------------------------------------------------


def test_the_typed_examples_are_right_for_the_strict_compiler(packages: Path) -> None:
    assert run("npm", "run", "check") == ""


def test_the_compiler_tells_a_place_in_a_list_from_one_in_a_stream(packages: Path, tmp_path: Path) -> None:
    mistaken = tmp_path / "mistaken.ts"
    scalars, generated = EXAMPLES / "scalars.js", EXAMPLES / "generated" / "graphql.js"
    mistaken.write_text(
        f"""import type {{ Cursor }} from "{scalars}";
        import type {{ FollowSubscriptionVariables }} from "{generated}";
        declare const after: Cursor;
        export const variables: FollowSubscriptionVariables = {{ postId: "UG9zdDox", after }};
        """,
        encoding="utf-8",
    )
    config = tmp_path / "tsconfig.json"
    config.write_text(json.dumps({"extends": str(EXAMPLES / "tsconfig.json"), "include": [], "files": [str(mistaken)]}))
    complaint = run("npx", "tsc", "--project", str(config), "--types", "")
    assert "Type 'Cursor' is not assignable to type 'LiveCursor'" in complaint


SIDES = {"Forward": ("first", "after"), "Backward": ("last", "before")}


def relay_fragments() -> Iterator[str]:
    """Each list of the schema as Relay pages it, from either end: a connection that can be fetched again."""
    for owner in schema._schema.type_map.values():
        for name, listed in getattr(owner, "fields", {}).items():
            if not str(listed.type).endswith("Connection!") or not isinstance(owner, GraphQLObjectType):
                continue
            for side, (size, place) in SIDES.items():
                label = f"lists_{owner.name}_{name}{side}"
                yield f"""graphql`fragment {label} on {owner.name}
                @refetchable(queryName: "lists{owner.name}{name}{side}Query")
                @argumentDefinitions(size: {{ type: "Int", defaultValue: 10 }}, place: {{ type: "Cursor" }}) {{
                  {name}({size}: $size, {place}: $place) @connection(key: "{label}_{name}") {{
                    edges {{ node {{ id }} }}
                  }}
                }}`;"""


RELAY_DIRECTIVES = """
graphql`mutation listsAddMutation($input: AddCommentInput!, $connections: [ID!]!) {
  addComment(input: $input) { comment @appendNode(connections: $connections, edgeTypeName: "CommentEdge") { id } }
}`;
graphql`mutation listsDeleteMutation($input: DeleteCommentInput!) {
  deleteComment(input: $input) { deletedId @deleteRecord }
}`;
"""


def compiled_by_relay(schema_text: str, folder: Path) -> str:
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "lists.js").write_text("\n".join([RELAY_DIRECTIVES, *relay_fragments()]), encoding="utf-8")
    (folder / "schema.graphql").write_text(schema_text, encoding="utf-8")
    config = {"src": "./src", "schema": "./schema.graphql", "language": "javascript"}
    (folder / "relay.config.json").write_text(json.dumps(config), encoding="utf-8")
    return run(str(EXAMPLES / "node_modules" / ".bin" / "relay-compiler"), folder=folder)


def test_relay_can_page_every_list_from_either_end(packages: Path, tmp_path: Path) -> None:
    assert len(list(relay_fragments())) >= 2 * 10
    text = (ROOT / "schema.graphql").read_text(encoding="utf-8")
    assert compiled_by_relay(text, tmp_path / "ours") == ""
    without = re.sub(r'  """[^"]+"""\n  hasNextPage: Boolean!\n', "", text)
    assert "hasNextPage" in compiled_by_relay(without, tmp_path / "broken")
