"""What stands between people and this server: proxies that speak for them, and the path under which they reach us.

Anybody can write `X-Forwarded-…`; it counts only from a peer that the operator names.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Receive, Scope, Send

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

HOST: Final = re.compile(r"[A-Za-z0-9.:_\[\]-]{1,255}")
WITH_PORT: Final = re.compile(r"\[(?P<v6>[^]]*)\](:\d+)?|(?P<v4>[^:]*):\d+")


class Forwarded:
    """ASGI: the client's address and scheme, and the host it asked for, as trusted proxies tell them."""

    def __init__(self, app: ASGIApp, *, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and self._trusts(address_in((scope.get("client") or ("",))[0])):
            scope = self._as_told(scope)
        await self._app(scope, receive, send)

    def _trusts(self, address: Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def _as_told(self, scope: Scope) -> Scope:
        headers = Headers(scope=scope)
        told = dict(scope, client=(self._client(headers, scope["client"][0]), 0))
        scheme, host = _last(headers, "x-forwarded-proto").lower(), _last(headers, "x-forwarded-host")
        if scheme in ("http", "https"):
            told["scheme"] = scheme.replace("http", "ws") if scope["type"] == "websocket" else scheme
        if HOST.fullmatch(host):
            told["headers"] = list(scope["headers"])
            MutableHeaders(scope=told)["host"] = host
        return told

    def _client(self, headers: Headers, peer: str) -> str:
        """The nearest address that is none of our proxies'.  Each adds whom it heard; beyond that anybody wrote it."""
        told = [part.strip() for line in headers.getlist("x-forwarded-for") for part in line.split(",")]
        for each in reversed(told):
            address = address_in(each)
            if address is None:
                break
            peer = str(address)
            if not self._trusts(address):
                break
        return peer


def address_in(text: str) -> Address | None:
    """The IP address in a text, with or without a port; None where there is none."""
    found = WITH_PORT.fullmatch(text)
    try:
        address = ipaddress.ip_address((found["v6"] or found["v4"]) if found else text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _last(headers: Headers, name: str) -> str:
    """What the nearest proxy says, where several do."""
    return (headers.getlist(name) or [""])[-1].split(",")[-1].strip()


@dataclass(frozen=True, slots=True)
class UnderPath:
    """ASGI: the application under the path of its public address, be it that a proxy takes it off or leaves it on.

    A request that does not begin with it has been through a proxy that did.
    """

    app: ASGIApp
    path: str  # such as /talk, without a slash at its end; empty: nothing to do

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.path and scope["type"] in ("http", "websocket"):
            scope = dict(scope, root_path=self.path, path=self._whole(scope["path"]))
        await self.app(scope, receive, send)

    def _whole(self, path: str) -> str:
        if path == self.path:
            return f"{path}/"
        return path if path.startswith(f"{self.path}/") else f"{self.path}{path}"


def path_of(public_url: str) -> str:
    """As requests have it: without escapes."""
    return unquote(urlsplit(public_url).path).rstrip("/")
