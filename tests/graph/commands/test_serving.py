"""Serving: a port is ours or its taking is told; whoever is told to stop stops well."""

import asyncio
import json
import re
import signal
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from starlette.applications import Starlette
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from graph.commands.failures import Failure
from graph.commands.serving import closing_all, config_for, listening, listening_all, serve
from graph.settings import settings_from
from tests.graph.processes import START_SECONDS, STOP_SECONDS, free_port, running, told_to_stop


def test_a_port_that_is_listened_on_is_taken_at_once() -> None:
    with closing_all(listening("127.0.0.1", 0)) as sockets:
        port = sockets[0].getsockname()[1]
        with pytest.raises(Failure) as refused:
            listening("127.0.0.1", port)
        assert str(refused.value) == (
            f"Port {port} of 127.0.0.1 is taken by another program.  "
            f"Stop that one, or choose another port, like --port {port + 1}."
        )


def test_a_port_that_one_of_a_hosts_addresses_has_lost_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """`localhost` has two addresses: a browser would find the other program at one of them."""
    with closing_all(listening("127.0.0.1", 0)) as sockets:
        port = sockets[0].getsockname()[1]
        known = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port)) for host in ("127.0.0.2", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: known)
        with pytest.raises(Failure, match="is taken"):
            listening("localhost", port)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: known[:1])
        with closing_all(listening("localhost", port)):
            pass  # what was taken before the refusal was given back


def test_a_host_that_this_machine_does_not_know_is_told() -> None:
    with pytest.raises(Failure, match=r"knows no address nowhere\.invalid\.  Name another one with --host\."):
        listening("nowhere.invalid", 8000)


def test_the_server_itself_believes_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Uvicorn would believe every program on this machine, and the variable that names more."""
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    config = config_for(Starlette(), settings_from({}))
    config.load()
    assert not config.proxy_headers
    assert type(config.loaded_app).__name__ != "ProxyHeadersMiddleware"


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(
        Failure, match=r"^192\.0\.2\.1 port 8000 cannot be used: .+\.  Name another address with --host"
    ):
        listening("192.0.2.1", 8000)


# Stopping -----------------------------------------------------------------------------------------------------------

SUBSCRIBERS = 200
FOLLOW = "subscription ($post: ID!) { thread(postId: $post) { __typename } }"


def status_of(port: str, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=START_SECONDS) as response:
            return int(response.status)
    except urllib.error.HTTPError as refused:
        return refused.code


def said_of_post(said: str) -> str:
    match = re.search(r"^Post +(\S+)", said, re.MULTILINE)
    assert match
    return match[1]


async def subscribed(port: str, post: str) -> ClientConnection:
    socket = await connect(f"ws://127.0.0.1:{port}/graphql", subprotocols=[Subprotocol("graphql-transport-ws")])
    await socket.send('{"type": "connection_init"}')
    assert json.loads(await socket.recv()) == {"type": "connection_ack"}
    payload = {"query": FOLLOW, "variables": {"post": post}}
    await socket.send(json.dumps({"type": "subscribe", "id": "1", "payload": payload}))
    assert json.loads(await socket.recv())["payload"] == {"data": {"thread": {"__typename": "StreamReady"}}}
    return socket


async def closed(socket: ClientConnection) -> int | None:
    """The code with which the server took its leave."""
    await socket.wait_closed()
    return socket.close_code


async def test_who_is_told_to_stop_takes_leave_of_hundreds_of_subscribers_and_ends_well(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "demo", "--port", port) as (process, said):
        post = said_of_post(said)
        sockets = [await subscribed(port, post) for _ in range(SUBSCRIBERS)]
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            assert {await closed(socket) for socket in sockets} == {1012}
        assert await asyncio.to_thread(process.wait, STOP_SECONDS) == 0


def test_readiness_goes_first_and_all_is_served_for_the_delay(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "serve", "--port", port, "--stop-delay-seconds", "300") as (process, _):
        assert status_of(port, "/readyz") == 200
        process.send_signal(signal.SIGTERM)
        while status_of(port, "/readyz") == 200:
            pass  # the signal is on its way
        assert status_of(port, "/readyz") == 503
        assert status_of(port, "/healthz") == 200
        assert status_of(port, "/graphql?query=%7B__typename%7D") == 200
        assert told_to_stop(process) == 0  # told again: 300 seconds are not waited for


def test_a_request_under_way_is_answered(tmp_path: Path) -> None:
    port = free_port()
    body = b'{"query": "{ __typename }"}'
    head = f"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with (
        running(tmp_path, "serve", "--port", port, "--stop-seconds", "60") as (process, _),
        socket.create_connection(("127.0.0.1", int(port)), timeout=START_SECONDS) as begun,
    ):
        begun.sendall(head.encode() + body[:5])
        assert status_of(port, "/healthz") == 200  # so the head has been read by now
        process.send_signal(signal.SIGTERM)
        while is_listening(port):
            pass
        begun.sendall(body[5:])
        assert begun.recv(65_536).startswith(b"HTTP/1.1 200 OK\r\n")
        assert process.wait(STOP_SECONDS) == 0


def is_listening(port: str) -> bool:
    try:
        return status_of(port, "/healthz") == 200
    except OSError:
        return False


def test_told_twice_it_waits_for_nobody(tmp_path: Path) -> None:
    port = free_port()
    with (
        running(tmp_path, "serve", "--port", port, "--stop-seconds", "300") as (process, _),
        socket.create_connection(("127.0.0.1", int(port)), timeout=START_SECONDS) as begun,
    ):
        begun.sendall(b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")
        assert status_of(port, "/healthz") == 200
        process.send_signal(signal.SIGTERM)
        while is_listening(port):
            pass
        assert told_to_stop(process, signal.SIGTERM) == 0


# Numbers ------------------------------------------------------------------------------------------------------------


def test_numbers_are_at_their_own_port_and_nothing_else_is(tmp_path: Path) -> None:
    port, metrics = free_port(), free_port()
    with running(tmp_path, "serve", "--port", port, "--metrics-port", metrics) as (process, _):
        assert status_of(metrics, "/metrics") == 200
        assert status_of(metrics, "/graphql?query=%7B__typename%7D") == 404
        assert status_of(port, "/metrics") == 404
        assert told_to_stop(process) == 0


def test_without_a_port_of_their_own_there_are_no_numbers(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, "serve", "--port", port) as (_, __):
        assert status_of(port, "/metrics") == 404


def test_people_and_prometheus_do_not_share_a_port() -> None:
    with pytest.raises(
        Failure, match=r"^Port 8000 is for people\.  Give Prometheus another one with --metrics-port\.$"
    ):
        listening_all(settings_from({}, {"metrics_port": 8000}))


def test_a_port_for_prometheus_that_is_taken_gives_the_other_one_back() -> None:
    port = free_port()
    with closing_all(listening("127.0.0.1", 0)) as taken:
        settings = settings_from({}, {"port": port, "metrics_port": taken[0].getsockname()[1]})
        with pytest.raises(Failure, match="is taken by another program"):
            listening_all(settings)
    with closing_all(listening("127.0.0.1", int(port))):
        pass


def test_mail_that_cannot_be_sent_is_told_before_anything_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("graph.commands.serving.find_spec", lambda name: None)
    mail = {"mail_url": "smtp://mail.example.org", "mail_from": "noreply@example.org"}
    settings = settings_from({}, {"database_url": f"sqlite:///{tmp_path}/palabre.db", **mail})
    with pytest.raises(Failure, match=r"aiosmtplib is not installed\.  For example: pip install 'palabre\[mail\]'"):
        serve(settings, [], lambda: None)
    assert list(tmp_path.iterdir()) == []
