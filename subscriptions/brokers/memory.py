"""The broker of one process; the others ring within their process through it."""

from collections.abc import Callable, Collection

from subscriptions.broker import Heard


class MemoryBroker:
    def __init__(self) -> None:
        self._listeners: dict[object, Heard] = {}

    @property
    def deserted(self) -> bool:
        """Nobody listens."""
        return not self._listeners

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def ring(self, topics: Collection[str] | None) -> None:
        """None: any topic may have news."""
        for heard in tuple(self._listeners.values()):
            heard(topics)

    def listen(self, heard: Heard) -> Callable[[], None]:
        listener = object()
        self._listeners[listener] = heard

        def leave() -> None:
            self._listeners.pop(listener, None)

        return leave
