"""What a broker is: a doorbell that says which topics may have news.  It carries no data, so it can lose none.

A ring that is lost delays: whoever listens also looks at the log from time to time.
"""

from collections.abc import Callable, Collection
from typing import Protocol

Heard = Callable[[Collection[str] | None], None]
"""Called on every ring with the topics that may have news; None: any may.  It must return at once."""


class Broker(Protocol):
    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    def ring(self, topics: Collection[str]) -> None:
        """After COMMIT: these topics have news.  Returns at once, whatever the state of what is behind it."""

    def listen(self, heard: Heard) -> Callable[[], None]:
        """Call `heard` on every ring from now on, in this event loop; gives what ends it."""
