"""GraphQL over HTTP through a server and a network: what only shows where bytes travel."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from graph.commands.serving import closing_all, listening, served
from graph.settings import settings_from

SOON = 10  # seconds: long before that, or the test fails
BODY = b'{"query": "{ viewer { id } }"}'


@pytest.fixture
async def port(sqlite_url: str) -> AsyncIterator[int]:
    with closing_all(listening("127.0.0.1", 0)) as sockets:
        port: int = sockets[0].getsockname()[1]
        given = {"database_url": sqlite_url, "port": port, "body_bytes_limit": 2_000, "body_seconds": 0.1}
        async with served(settings_from({}, given), sockets):
            yield port


async def said(port: int, *lines: str, body: bytes = b"") -> tuple[str, list[str], bytes]:
    """Status, headers and body of the answer, until the server closes the connection."""
    async with asyncio.timeout(SOON):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write("\r\n".join([*lines, "Host: localhost", "", ""]).encode() + body)
            await writer.drain()
            head, _, content = (await reader.read()).partition(b"\r\n\r\n")
        finally:
            writer.close()
    status, *headers = head.decode().splitlines()
    return status.split(" ", 1)[1], [header.lower() for header in headers], content


POST = ("POST /graphql HTTP/1.1", "Content-Type: application/json")


async def test_a_body_that_does_not_come_ends_the_connection(port: int) -> None:
    status, headers, content = await said(port, *POST, "Content-Length: 100", body=BODY)
    assert status == "408 Request Timeout"
    assert "connection: close" in headers
    assert b"The body did not come within 0.1 seconds." in content


async def test_a_body_that_is_announced_too_large_is_refused_before_it_comes(port: int) -> None:
    status, headers, content = await said(port, *POST, "Content-Length: 2001")
    assert status.startswith("413 ")
    assert "connection: close" in headers
    assert b"The body has more than 2000 bytes." in content


async def test_a_body_that_grows_too_large_is_cut_off(port: int) -> None:
    chunk = b"400\r\n" + b"x" * 1024 + b"\r\n"
    status, _, _ = await said(port, *POST, "Transfer-Encoding: chunked", body=chunk * 4)
    assert status.startswith("413 ")


async def test_a_head_is_answered_without_a_body(port: int) -> None:
    address = "/graphql?query=%7Bviewer%7Bid%7D%7D"
    by_get = await said(port, f"GET {address} HTTP/1.1", "Connection: close")
    by_head = await said(port, f"HEAD {address} HTTP/1.1", "Connection: close")
    assert (by_get[0], by_get[2]) == ("200 OK", b'{"data":{"viewer":null}}')
    assert (by_head[0], by_head[2]) == ("200 OK", b"")
    assert "content-length: 24" in by_head[1]


async def test_what_is_no_http_is_refused(port: int) -> None:
    for line in ("\x00\x01\x02", "GET", "POST /graphql HTTP/9.9", "GET /graphql\x80 HTTP/1.1"):
        status, _, _ = await said(port, line)
        assert status.startswith("400 "), line
