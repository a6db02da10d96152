"""Processes of ours beside the servers: what a client costs is then not counted as the server's."""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Callable, Coroutine
from multiprocessing.connection import Connection
from typing import Any

STOP_SECONDS = 10.0


class ChildFailed(Exception):
    """It ended without an answer (and has said why on standard error), or gave none in time."""


class Line:
    """The child's end of the line."""

    def __init__(self, pipe: "Connection[Any, Any]") -> None:
        self._pipe = pipe

    async def hear(self) -> Any:
        """What the parent says next.  Raises EOFError when it has gone."""
        heard = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._pipe.fileno(), heard.set)
        try:
            await heard.wait()
        finally:
            loop.remove_reader(self._pipe.fileno())
            os.set_blocking(self._pipe.fileno(), True)  # loops make it the other thing; a pipe cannot be used so
        return self._pipe.recv()

    def say(self, what: object) -> None:
        self._pipe.send(what)


Work = Callable[[Line], Coroutine[Any, Any, None]]
Loop = Callable[[], asyncio.AbstractEventLoop]


class Child:
    """A process that does `work`, a function of a module: `with Child(work) as child`."""

    def __init__(self, work: Work, loop: Loop = asyncio.new_event_loop) -> None:
        # Spawned and not forked: a fork would inherit the parent's connections.
        spawning = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        self._process = spawning.Process(target=_run, args=(work, loop, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(STOP_SECONDS)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
        self._process.close()

    def say(self, what: object) -> None:
        self._pipe.send(what)

    def hear(self, seconds: float) -> Any:
        """Raises ChildFailed when nothing is said for so long."""
        if not self._pipe.poll(seconds):
            raise ChildFailed(f"nothing was said for {seconds:.0f} s")
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionError):
            raise ChildFailed("it has ended") from None


def _run(work: Work, loop: Loop, pipe: "Connection[Any, Any]") -> None:
    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            runner.run(work(Line(pipe)))
    except* (EOFError, KeyboardInterrupt):
        sys.exit(1)  # the parent has gone, and has said why
