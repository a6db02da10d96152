"""Requests of GraphQL over HTTP: what was sent becomes an operation to execute, or the reason why it cannot."""

import asyncio
import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest

from graph.execution.answers import Request
from graph.http.negotiation import JSON
from graph.phrases import phrase

PARAMETERS: Final = ("query", "variables", "operationName", "extensions")
NEVER_READ: Final = 18  # digits of a length that is beyond any limit
CLOSING: Final = {"Connection": "close"}  # what is left of the body is no request


class Unacceptable(Exception):
    """This is no request that could be executed: status, and why."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class BodyLimits:
    bytes: int
    seconds: float  # from the first wait to the last byte


def from_address(http: HttpRequest) -> Request:
    """What the address of a GET asks.  An empty parameter is one that was not given."""
    given: dict[str, Any] = {}
    for name, value in http.query_params.multi_items():
        if name not in PARAMETERS:
            continue
        if name in given:
            raise Unacceptable(400, phrase("`{name}` is given more than once.", name=name))
        given[name] = value
    for name in ("variables", "extensions"):
        given[name] = _parsed(given[name], name) if given.get(name) else None
    return _request(given)


async def from_body(http: HttpRequest, limits: BodyLimits) -> Request:
    """What a POST asks, in JSON and nothing else: no page of another site can send that without asking first."""
    _check_headers(http.headers)
    return from_json(await _body(http, limits))


def from_json(body: bytes) -> Request:
    if body.startswith(codecs.BOM_UTF8):
        raise Unacceptable(400, "The body begins with a byte order mark; leave it out.")
    try:
        given = orjson.loads(body)
    except ValueError as wrong:
        raise Unacceptable(400, phrase("The body is no JSON: {reason}.", reason=str(wrong))) from wrong
    if isinstance(given, list):
        raise Unacceptable(400, "The body is a batch; send one operation per request.")
    if not isinstance(given, dict):
        raise Unacceptable(400, "The body is an object with a `query`.")
    return _request(given)


def _check_headers(headers: Mapping[str, str]) -> None:
    given, *parameters = (part.strip() for part in headers.get("content-type", "").lower().split(";"))
    if not given:
        raise Unacceptable(415, phrase("The body is of no told type; send {json}.", json=JSON))
    if given != JSON:
        raise Unacceptable(415, phrase("The body is {given}; send {json}.", given=given, json=JSON))
    charset = dict(part.split("=", 1) for part in parameters if "=" in part).get("charset", "utf-8").strip('"')
    if charset not in ("utf-8", "utf8"):
        raise Unacceptable(415, phrase("The body is in {charset}; send UTF-8.", charset=charset))
    coding = headers.get("content-encoding", "identity").strip().lower()
    if coding not in ("", "identity"):
        raise Unacceptable(
            415,
            phrase("The body is packed by {coding}; send it as it is.", coding=coding),
            {"Accept-Encoding": "identity"},
        )


async def _body(http: HttpRequest, limits: BodyLimits) -> bytes:
    """Reads no more, and waits no longer, than is allowed."""
    too_large = Unacceptable(413, phrase("The body has more than {limit} bytes.", limit=limits.bytes), CLOSING)
    announced = http.headers.get("content-length", "")
    if announced.isdecimal() and (len(announced) > NEVER_READ or int(announced) > limits.bytes):
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in http.stream():
                body += chunk
                if len(body) > limits.bytes:
                    raise too_large
    except TimeoutError as late:
        message = phrase("The body did not come within {seconds} seconds.", seconds=f"{limits.seconds:g}")
        raise Unacceptable(408, message, CLOSING) from late
    except ClientDisconnect as cut:  # nobody is there to read the answer
        raise Unacceptable(400, "The body was cut short.") from cut
    return bytes(body)


def _parsed(text: str, name: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError as wrong:
        message = phrase("`{name}` is no JSON: {reason}.", name=name, reason=str(wrong))
        raise Unacceptable(400, message) from wrong


def _request(given: Mapping[str, Any]) -> Request:
    """Null is as good as not given; what the specification does not know is let be."""
    query, name = given.get("query"), given.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise Unacceptable(400, "`query` is the text of a document.")
    if not isinstance(name, str | None):
        raise Unacceptable(400, "`operationName` is a text.")
    for each in ("variables", "extensions"):
        if not isinstance(given.get(each), dict | None):
            raise Unacceptable(400, phrase("`{name}` is an object.", name=each))
    return Request(query, given.get("variables") or {}, name or None)
