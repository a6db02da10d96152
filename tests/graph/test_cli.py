"""The command line: what each command prints and leaves behind, and how it says that something is wrong."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from graph.cli import app
from graph.client import Stream, Unexpected
from graph.commands.serving import closing_all, listening
from graph.settings import Settings, option
from tests.graph.processes import ROOT, START_SECONDS, environment, errors_of, free_port, running, told_to_stop

Palabre = Callable[..., Any]


@pytest.fixture
def palabre(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Palabre]:
    """A command in a directory of its own, with nothing in its environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PALABRE_")]:
        monkeypatch.delenv(name)
    yield lambda *arguments, **env: CliRunner().invoke(app, arguments, env=env)
    structlog.reset_defaults()  # they write where the command wrote


def asked(address: str, query: str, token: str | None = None) -> Any:
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(address, json.dumps({"query": query}).encode(), headers)
    with urllib.request.urlopen(request, timeout=START_SECONDS) as response:
        return json.load(response)["data"]


# Settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_every_setting_is_an_option_of_what_serves(palabre: Palabre, command: str) -> None:
    shown = palabre(command, "--help", COLUMNS="300", TERMINAL_WIDTH="300").output
    for field, known in Settings.model_fields.items():
        assert option(field) in shown
        assert known.description
        assert known.description.split(",")[0] in shown


@pytest.mark.parametrize("command", ["serve", "demo", "migrate"])
def test_wrong_settings_are_refused_by_name_before_anything_is_done(
    palabre: Palabre, tmp_path: Path, command: str
) -> None:
    result = palabre(command, "--database-url", "mysql://x", PALABRE_PROT="1", PALABRE_LOG_LEVEL="loud")
    assert result.exit_code == 2
    names = [line.split()[0] for line in result.stderr.splitlines()]
    assert sorted(names) == ["--database-url", "PALABRE_LOG_LEVEL", "PALABRE_PROT"]
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_number_is_refused_in_the_words_of_the_settings(palabre: Palabre) -> None:
    result = palabre("serve", "--port", "eighty")
    assert result.exit_code == 2
    assert result.stderr.startswith("--port ('eighty') should be a valid integer")


# Accounts ---------------------------------------------------------------------------------------------------------


def test_a_token_is_all_that_is_printed(palabre: Palabre) -> None:
    assert palabre("users", "create", "greg", "--admin").exit_code == 0
    result = palabre("users", "token", "greg")
    assert result.exit_code == 0
    assert re.fullmatch(r"pal_t_[\w-]{43}\n", result.stdout)
    assert result.stderr == ""


def test_a_handle_that_is_taken_or_unknown_is_told(palabre: Palabre) -> None:
    palabre("users", "create", "greg")
    again, unknown = palabre("users", "create", "Greg"), palabre("users", "token", "michel")
    assert (again.exit_code, again.stderr) == (1, "Somebody has this handle already.\n")
    assert (unknown.exit_code, unknown.stdout, unknown.stderr) == (1, "", "Nobody has the handle michel.\n")


def test_a_wrong_handle_is_told(palabre: Palabre) -> None:
    result = palabre("users", "create", "a b")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        1,
        "A handle consists of letters, digits, `_`, `-` and `.`.",
    )


# Other commands ---------------------------------------------------------------------------------------------------


def test_migrating_twice_does_it_once(palabre: Palabre) -> None:
    assert palabre("migrate").stdout != "Nothing to do.\n"
    assert palabre("migrate").stdout == "Nothing to do.\n"


def test_a_made_up_discussion_has_as_many_comments_as_were_asked_for(palabre: Palabre) -> None:
    for shape in ("mixed", "wide", "deep"):
        result = palabre("load-sample", "50", "--shape", shape)
        assert result.exit_code == 0
        assert re.fullmatch(r"[\w-]+\n", result.stdout)
    assert palabre("load-sample", "0").exit_code == 2


EXPORT = """<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:content="http://purl.org/rss/1.0/modules/content/"
  xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:wp="http://wordpress.org/export/1.2/">
<channel>
  <title>Carnet</title><link>https://carnet.example.org</link><language>fr-FR</language>
  <wp:wxr_version>1.2</wp:wxr_version><wp:base_site_url>https://carnet.example.org</wp:base_site_url>
  <item>
    <title>Bonjour</title><dc:creator>solene</dc:creator><content:encoded>Un texte.</content:encoded>
    <wp:post_id>1</wp:post_id><wp:post_date_gmt>2024-05-01 10:00:00</wp:post_date_gmt>
    <wp:post_name>bonjour</wp:post_name><wp:status>publish</wp:status><wp:post_type>post</wp:post_type>
    <wp:comment>
      <wp:comment_id>1</wp:comment_id><wp:comment_author>Greg</wp:comment_author>
      <wp:comment_date_gmt>2024-05-01 11:00:00</wp:comment_date_gmt><wp:comment_content>+1</wp:comment_content>
      <wp:comment_approved>1</wp:comment_approved><wp:comment_type></wp:comment_type>
      <wp:comment_parent>0</wp:comment_parent><wp:comment_user_id>0</wp:comment_user_id>
    </wp:comment>
  </item>
</channel></rss>
"""


def row_of(kind: str, result: Any) -> list[str]:
    lines: list[list[str]] = [line.split() for line in result.stdout.splitlines()]
    [counts] = [line[1:] for line in lines if line[:1] == [kind]]
    return counts


def test_an_import_is_rehearsed_without_a_trace_then_done_then_found_done(palabre: Palabre, tmp_path: Path) -> None:
    (tmp_path / "site.xml").write_text(EXPORT, encoding="utf-8")
    rehearsed = palabre("import", "wordpress", "site.xml", "--dry-run")
    assert rehearsed.stdout.startswith("From https://carnet.example.org: a rehearsal, nothing was written\n")
    assert [path.name for path in tmp_path.iterdir()] == ["site.xml"]
    done, again = palabre("import", "wordpress", "site.xml"), palabre("import", "wordpress", "site.xml")
    for kind in ("post", "comment", "commenter"):
        assert row_of(kind, rehearsed) == row_of(kind, done) == ["1", "0", "0"]
    assert row_of("comment", again) == ["0", "1", "0"]


def test_a_broken_export_is_told_and_nothing_is_imported(palabre: Palabre, tmp_path: Path) -> None:
    (tmp_path / "site.xml").write_text(EXPORT[:-30], encoding="utf-8")
    broken, missing = palabre("import", "wordpress", "site.xml"), palabre("import", "wordpress", "other.xml")
    assert broken.exit_code == missing.exit_code == 1
    assert "site.xml is no whole WordPress export: line " in broken.stderr
    assert missing.stderr == "There is no file other.xml.\n"


def test_the_schema_in_the_repository_is_that_of_the_code(palabre: Palabre) -> None:
    """When it is not: palabre schema > schema.graphql"""
    assert palabre("schema").stdout == (ROOT / "schema.graphql").read_text(encoding="utf-8")


# Serving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_taken_port_is_told_before_anything_is_done(palabre: Palabre, tmp_path: Path, command: str) -> None:
    with closing_all(listening("127.0.0.1", 0)) as sockets:
        port = sockets[0].getsockname()[1]
        result = palabre(command, "--port", str(port))
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Port {port} of 127.0.0.1 is taken by another program.  Stop that one, or ")
    assert list(tmp_path.iterdir()) == []


def test_of_the_port_for_prometheus_its_own_option_is_told(palabre: Palabre, tmp_path: Path) -> None:
    with closing_all(listening("127.0.0.1", 0)) as sockets:
        port = sockets[0].getsockname()[1]
        result = palabre("serve", "--port", free_port(), "--metrics-port", str(port))
    assert result.exit_code == 1
    assert "or choose another port, like --metrics-port " in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_demo_leaves_another_database_as_it_is(palabre: Palabre, tmp_path: Path) -> None:
    palabre("users", "create", "eve")
    before = (tmp_path / "palabre.db").read_bytes()
    result = palabre("demo", "--port", free_port())
    assert result.exit_code == 1
    assert "has people or posts of its own; it is left as it is." in result.stderr
    assert (tmp_path / "palabre.db").read_bytes() == before


def test_a_server_answers_where_it_says_and_ctrl_c_ends_it_well(tmp_path: Path) -> None:
    with running(tmp_path, "serve", "--port", free_port(), "--log-level", "warning") as (process, said):
        address = re.search(r"^GraphQL  (\S+)$", said, re.MULTILINE)
        assert address
        assert asked(address[1], "{ posts { nodes { id } } }") == {"posts": {"nodes": []}}
        assert told_to_stop(process, signal.SIGINT) == 0
        assert errors_of(tmp_path) == "Made palabre.db.\n"


def test_the_demo_is_made_once_and_what_people_did_to_it_stays(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "demo", "--port", port, "--stop-seconds", "1", "--log-level", "warning") as (process, said):
        assert said.startswith("Serving sqlite:///palabre.db with a new sample discussion.\n")
        token, post_id = found(r"^Token    (\S+)", said), found(r"^Post     (\S+)", said)
        answer = f'mutation {{ addComment(input: {{postId: "{post_id}", body: "Here I am"}}) {{ comment {{ id }} }} }}'
        answered = asked(f"http://127.0.0.1:{port}/graphql", answer, token)["addComment"]["comment"]["id"]
        with unfinished_request(port):  # for which it does not wait longer than it was told
            assert told_to_stop(process, signal.SIGTERM) == 0
        assert errors_of(tmp_path) == "Made palabre.db.\n"
    with running(tmp_path, "demo", "--port", port) as (process, said):
        assert said.startswith("Serving sqlite:///palabre.db with the sample discussion that was there, as it is.\n")
        query = f'{{ comment(id: "{answered}") {{ bodyText byline {{ author {{ handle }} }} }} }}'
        assert asked(f"http://127.0.0.1:{port}/graphql", query)["comment"] == {
            "bodyText": "Here I am",
            "byline": {"author": {"handle": "you"}},
        }
        assert (
            subprocess.run(found(r"^(curl .*)$", said), shell=True, capture_output=True, check=True).stdout[:9]
            == b'{"data":{'
        )


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    assert match, text
    return match[1]


@contextmanager
def unfinished_request(port: str) -> Iterator[None]:
    """A client that is in no hurry."""
    with socket.create_connection(("127.0.0.1", int(port)), timeout=START_SECONDS) as connection:
        connection.sendall(b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        yield


def test_a_demo_that_is_killed_while_it_is_made_is_made_by_the_next(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, "demo", "--port", free_port()]
    killed = subprocess.run(command, cwd=tmp_path, env=environment(), check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "palabre.db").exists()
    with running(tmp_path, "demo", "--port", free_port()) as (_, said):
        assert "with a new sample discussion" in said


KILLED = """
import os, signal
from graph.exchange import replay
async def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
replay.delete_comment = die
from graph.cli import main
main()
"""


def test_a_server_is_asked_how_it_is(palabre: Palabre, tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "serve", "--port", port, "--stop-delay-seconds", "300") as (process, _):
        alive, ready = (
            palabre("health", "--port", port, "--host", "0.0.0.0"),
            palabre("health", "--ready", "--port", port),
        )
        assert (alive.exit_code, alive.stdout, ready.exit_code, ready.stdout) == (0, "alive\n", 0, "ready\n")
        process.send_signal(signal.SIGTERM)
        while (stopping := palabre("health", "--ready", "--port", port)).exit_code == 0:
            pass  # the signal is on its way
        assert (stopping.exit_code, stopping.stderr) == (1, "/readyz says 503: stopping.\n")
        assert palabre("health", "--port", port).exit_code == 0
    nobody = palabre("health", "--port", port)
    assert nobody.exit_code == 1
    assert nobody.stderr.startswith(f"Nothing answers at 127.0.0.1 port {port}: ")


# The check --------------------------------------------------------------------------------------------------------


def test_the_check_says_each_step_and_leaves_nothing(palabre: Palabre, tmp_path: Path) -> None:
    result = palabre("demo", "--check")
    assert result.exit_code == 0, result.output
    steps = re.findall(r"^ ✓ (.+?): ", result.stdout, re.MULTILINE)
    assert steps == [
        "Read the discussion",
        "Follow it from there",
        "Answer, and see it arrive",
        "Cut the connection",
        "Answer while nobody listens",
        "Go on from the last cursor",
        "Read it all again",
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_check_that_fails_says_which_step_and_what_was_seen(
    palabre: Palabre, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_: Stream) -> Any:
        raise Unexpected("a frame", "[nothing]")

    monkeypatch.setattr(Stream, "next", silent)
    result = palabre("demo", "--check")
    assert result.exit_code == 1
    assert " ✓ Read the discussion: " in result.stdout
    assert result.stdout.splitlines()[-1] == " ✗ Follow it from there"
    assert result.stderr == "The check failed.  Follow it from there: a frame was due; seen: [nothing]\n"


def test_the_check_needs_no_driver_of_postgresql(tmp_path: Path) -> None:
    program = "import sys; sys.modules['asyncpg'] = sys.modules['greenlet'] = None; from graph.cli import main; main()"
    command = [sys.executable, "-c", program, "demo", "--check"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, cwd=tmp_path, env=env, check=False, capture_output=True).returncode == 0
