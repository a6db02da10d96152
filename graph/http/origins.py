"""Whose pages may use this server from a browser: our own, and those of the front ends that the operator names.

A browser adds our cookie to what any page sends us, and tells us by `Origin` and `Sec-Fetch-Site` which page it was.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from graph.phrases import phrase

LOOPBACK_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")  # one machine, whichever of them is typed
PREFLIGHT_SECONDS: Final = 7200  # how long a browser may remember; Chromium's limit
READABLE: Final = "Allow, Retry-After, WWW-Authenticate"  # besides what every page may read of an answer
HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9-]+( *, *[A-Za-z0-9-]+)*")


class Origins:
    def __init__(self, public_url: str, allowed: Sequence[str]) -> None:
        """`allowed` as browsers send them."""
        self.own = frozenset(own_origins(public_url))
        self.allowed = frozenset(allowed)

    @property
    def all(self) -> tuple[str, ...]:
        return (*sorted(self.own), *sorted(self.allowed))

    def objection(self, headers: Mapping[str, str]) -> str | None:
        """Why a cookie may neither come with this request nor go with its answer; None: nothing speaks against it.

        Programs that are no browsers say nothing of where they ask from, and need no protection from pages.
        """
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if origin is not None and origin not in self.own | self.allowed:
            return phrase("Pages of {origin} may not use this site’s cookie.", origin=origin)
        if origin in self.allowed or site in (None, "same-origin", "none"):
            return None
        return "Pages of another site may not use this site’s cookie."

    def shared_with(self, origin: str | None) -> dict[str, str]:
        """The headers by which a browser lets a page of this origin read the answer: none for who is not named."""
        if origin not in self.allowed or origin is None:
            return {}
        return {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Credentials": "true",
            "Access-Control-Expose-Headers": READABLE,
        }

    def preflight(self, headers: Mapping[str, str], methods: str) -> dict[str, str]:
        """What a page of a named front end may send: any header, for no header decides alone."""
        if not self.shared_with(headers.get("origin")):
            return {}
        answered = {"Access-Control-Allow-Methods": methods, "Access-Control-Max-Age": str(PREFLIGHT_SECONDS)}
        asked = headers.get("access-control-request-headers", "").strip()
        return answered | ({"Access-Control-Allow-Headers": asked} if HEADER_NAMES.fullmatch(asked) else {})


def own_origins(public_url: str) -> list[str]:
    """Our origin as browsers send it; on this machine, by each of its names."""
    parts = urlsplit(public_url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    implied = {"https": 443, "http": 80}[parts.scheme]
    port = "" if parts.port in (None, implied) else f":{parts.port}"
    return [f"{parts.scheme}://{name}{port}" for name in (LOOPBACK_NAMES if host in LOOPBACK_NAMES else [host])]
