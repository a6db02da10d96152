"""The page in a real browser, at a real server with the sample discussion: what a visitor does there works.

No name can be resolved while it runs, so that whatever the page wanted from elsewhere would show.  Needs Node and
Chromium; `PALABRE_TEST_PICTURE` names a file for a picture of it.
"""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks.servers import Database, Server, free_ports
from graph.app import now
from graph.change import Changes
from graph.client import Client, Unexpected
from graph.commands.databases import opened
from graph.commands.people import new_token
from graph.comments.actions import add_comment
from graph.comments.rules import written
from graph.ids import key_of
from graph.settings import Settings, settings_from
from graph.users.authentication import authenticate
from graph.web import build
from subscriptions.brokers.memory import MemoryBroker

FOLDER = Path(__file__).parent / "browser"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PICTURE = os.environ.get("PALABRE_TEST_PICTURE")

THREAD = "{ posts(first: 1) { nodes { id title thread(first: 100) { edges { depth node { id bodyText } } } } } }"
ANSWER = """
mutation ($post: ID!, $parent: ID!, $body: Markdown!) {
  addComment(input: {postId: $post, parentId: $parent, body: $body}) { comment { id } errors { message } }
}
"""
HEARD = "That is what we do now: the thread shows the answer the moment it is sent."
UNHEARD = "And this one was written while nobody was connected."


def missing() -> str | None:
    """What keeps the browser from being tried here."""
    if build.own_tools() is None:
        return "Node is not installed, or too old"
    if CHROMIUM is None:
        return "Chromium is not installed; on Debian: apt install chromium"
    return None


@pytest.fixture
def driver(built_page: None) -> Path:
    """What drives the browser."""
    if (reason := missing()) is not None:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    if not (FOLDER / "node_modules").exists():
        npm = ["npm", "ci", *build.QUIETLY, "--ignore-scripts", "--fetch-retries=0"]
        subprocess.run(npm, cwd=FOLDER, check=True, capture_output=True)
    return FOLDER / "visit.mjs"


@dataclass
class Demo:
    """`palabre demo` as a process."""

    server: Server
    settings: Settings

    @property
    def address(self) -> str:
        return f"http://{self.server.address}"

    def client(self, handle: str) -> Client:
        return Client(self.address, asyncio.run(new_token(self.settings, handle, "test")))

    def write_while_nobody_serves(self, token: str, post: str, parent: str, body: str) -> None:
        async def write() -> None:
            async with opened(self.settings) as storage:
                viewer = await authenticate(storage, token, now())
                assert viewer
                changes = Changes(storage, MemoryBroker(), now)
                ids = {"post_id": key_of(post, "Post"), "parent_id": key_of(parent, "Comment")}
                await changes.run(
                    lambda change: add_comment(change, **ids, written=written(body)), audience=viewer.audience
                )

        asyncio.run(write())


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    database = Database("sqlite", f"sqlite:///{tmp_path}/demo.db")
    server = Server(database, free_ports(1)[0], tmp_path / "log", command="demo")
    server.start()
    try:
        server.wait()
        yield Demo(server, settings_from({}, {"database_url": database.url}))
    finally:
        server.stop()


class Visit:
    """The browser: says what it sees, and goes on when it is told to."""

    def __init__(self, driver: Path, address: str) -> None:
        given = {"address": address, "browser": CHROMIUM, "picture": PICTURE and str(Path(PICTURE).resolve())}
        self._process = subprocess.Popen(
            ["node", str(driver), json.dumps(given)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def at(self, place: str) -> Any:
        """What it sees there, which is where it is now."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, f"the browser never came to {place!r}"
        seen = json.loads(line)
        assert seen["at"] == place
        return seen

    def go_on(self, shown: str = "") -> None:
        """`shown`: what it shall wait to see."""
        assert self._process.stdin
        self._process.stdin.write(f"{shown}\n")
        self._process.stdin.flush()

    def end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()  # it closes its browser
        self._process.communicate(timeout=20)


@pytest.fixture
def visit(driver: Path, demo: Demo) -> Iterator[Visit]:
    visit = Visit(driver, f"{demo.address}/graphql")
    yield visit
    visit.end()


def test_a_visitor_reads_signs_in_replies_and_watches_a_thread_grow(demo: Demo, visit: Visit) -> None:
    yasmine, greg = demo.client("yasmine"), demo.client("greg")
    [post] = asyncio.run(yasmine.ask(THREAD))["posts"]["nodes"]
    rows = [(edge["depth"], edge["node"]["id"]) for edge in post["thread"]["edges"]]
    depth, deepest = max(rows)
    place = rows.index((depth, deepest)) + 1

    assert visit.at("opened")["tabs"] == ["ReadThread", "PageThread", "SignIn", "Reply", "WatchThread"]
    visit.go_on()
    read = visit.at("read")["answer"]["data"]["post"]
    assert (read["title"], read["counts"]["comments"]) == (post["title"], len(rows))
    assert read["comments"]["nodes"][0]["replies"]["nodes"][0]["id"] == rows[1][1]
    visit.go_on()
    paged = visit.at("paged")["answer"]["data"]["post"]["thread"]["edges"]
    assert [edge["node"]["id"] for edge in paged] == [row[1] for row in rows[5:10]]
    visit.go_on()
    signed_in = visit.at("signed in")
    assert signed_in["account"] == "@you"
    you = Client(demo.address, signed_in["token"])
    assert asyncio.run(you.ask("{ viewer { user { handle } } }"))["viewer"]["user"] == {"handle": "you"}

    visit.go_on()
    replied = visit.at("replied")["answer"]["data"]["addComment"]
    assert (replied["errors"], replied["position"]["depth"]) == ([], depth + 1)
    rows.insert(place, (depth + 1, replied["comment"]["id"]))
    depth, deepest, place = depth + 1, replied["comment"]["id"], place + 1

    visit.go_on()
    watching = visit.at("watching")
    assert json.loads(watching["headers"]) == {"Authorization": f"Bearer {you.token}"}
    assert watching["state"].split() == ["live", "1", "event"]
    assert [line[0] for line in watching["lines"]] == [row[0] for row in rows]
    answered = asyncio.run(yasmine.ask(ANSWER, post=post["id"], parent=deepest, body=HEARD))["addComment"]
    assert answered["errors"] == []
    visit.go_on(HEARD)
    told = visit.at("told")
    line = [depth + 1, f"Yasmine Oulhadj {HEARD}", "new newest"]
    assert told["lines"] == [*watching["lines"][:place], line, *watching["lines"][place:]]
    assert told["wrong"] == {"foreign": [], "failed": [], "console": [], "violations": []}

    demo.server.kill()
    assert greg.token
    demo.write_while_nobody_serves(greg.token, post["id"], answered["comment"]["id"], UNHEARD)
    demo.server.start()
    visit.go_on(UNHEARD)
    told = visit.at("told again")
    assert told["state"].split() == ["live", "3", "events"]
    assert [text for _, text, _ in told["lines"][place : place + 2]] == [
        f"Yasmine Oulhadj {HEARD}",
        f"Grégory Lafont {UNHEARD}",
    ]
    assert len(told["lines"]) == len(rows) + 2

    visit.go_on()
    signed_out = visit.at("signed out")
    assert signed_out["headers"] == ""
    assert str(you.token) not in signed_out["kept"]
    with pytest.raises(Unexpected, match="401"):
        asyncio.run(you.ask("{ viewer { id } }"))


def test_a_thread_grows_by_the_events_of_its_stream() -> None:
    if build.own_tools() is None:
        pytest.skip("Node is not installed, or too old")
    done = subprocess.run(
        ["node", "--test", "thread.test.mjs"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "# pass 7" in done.stdout
