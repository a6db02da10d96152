"""Who tries too often to sign in: counted in this process's memory, per account and per address of the client.

Each process counts by itself, and forgets when it ends: several allow several times as much.  That is enough against
guessing, which needs thousands of tries, and costs no write to those who sign in.
"""

import hashlib
import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Final

from graph.phrases import phrase
from graph.refusals import TooOften

SECOND: Final = 1_000_000  # µs
KEYS_LIMIT: Final = 10_000  # remembered of each kind: what was tried longest ago is forgotten first


@dataclass
class Throttle:
    """So many at once, and then one per interval: a leaky bucket, kept as the moment when it will be empty.

    ITU-T I.371, annex A: the generic cell rate algorithm.
    """

    burst: int
    interval: int  # µs
    _empty_at: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def wait(self, key: str, now: int) -> int:
        """How long until there is room for one more, in µs; 0: there is."""
        return max(0, self._empty_at.get(key, now) - now - (self.burst - 1) * self.interval)

    def fill(self, key: str, now: int) -> None:
        self._empty_at[key] = max(self._empty_at.pop(key, now), now) + self.interval
        if len(self._empty_at) > KEYS_LIMIT:
            self._empty_at.popitem(last=False)

    def take_back(self, key: str) -> None:
        if key in self._empty_at:
            self._empty_at[key] -= self.interval


@dataclass
class Attempts:
    """To say a password that is compared with an account's."""

    accounts: Throttle = field(default_factory=lambda: Throttle(burst=10, interval=60 * SECOND))
    # More of them: behind one address there may be a school.
    clients: Throttle = field(default_factory=lambda: Throttle(burst=50, interval=10 * SECOND))

    def begin(self, account: str, client: str | None, now: int) -> "Attempt":
        """Counts as failed until it has succeeded, so that many at once are no way around.

        `account` is what the person calls it, whether there is one or not; `client` None where nobody knows.
        Raises TooOften.
        """
        counted = [(self.accounts, _digest(account))]
        if client is not None:
            counted.append((self.clients, network_of(client)))
        wait = max(throttle.wait(key, now) for throttle, key in counted)
        if wait > 0:
            seconds = -(-wait // SECOND)
            message = phrase("Too many attempts.  Try again in {seconds} seconds.", seconds=seconds)
            raise TooOften(message, ("input",), retry_after_seconds=float(seconds))
        for throttle, key in counted:
            throttle.fill(key, now)
        return Attempt(counted)


@dataclass
class Attempt:
    _counted: list[tuple[Throttle, str]]

    def succeeded(self) -> None:
        """It does not count.  What failed before it still does: one's own account is no way to forget that."""
        for throttle, key in self._counted:
            throttle.take_back(key)


def _digest(account: str) -> str:
    """What people type may be long, and is nobody's business here."""
    return hashlib.sha256(account.encode(errors="surrogatepass")).hexdigest()


def network_of(client: str) -> str:
    """The address, or the network that one subscriber has of the newer kind."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client  # a socket in the file system, or a test
    if address.version == 4:
        return client
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
