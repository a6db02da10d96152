"""Serving: a port is ours or its taking is told; whoever is told to stop stops well."""

import socket

import pytest

from graph.commands.failures import Failure
from graph.commands.serving import closing_all, listening


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


def test_an_address_of_another_machine_is_told() -> None:
    with pytest.raises(
        Failure, match=r"^192\.0\.2\.1 port 8000 cannot be used: .+\.  Name another address with --host"
    ):
        listening("192.0.2.1", 8000)
