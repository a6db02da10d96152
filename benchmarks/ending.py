"""How a run ends: what everybody has to complain of, said, and an exit code."""

import signal
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from types import FrameType

from benchmarks.checker import Fault, Table, faults_of_delivery
from benchmarks.crowd import Account
from benchmarks.servers import Server

FAULTS_SAID = 20


def faults_of(account: Account, table: Table) -> Iterator[Fault]:
    """What a subscriber got wrong or was told wrong."""
    yield from faults_of_delivery(account.name, account.received, table, began_after=account.began_after)
    for complaint in account.complaints:
        yield Fault("unexpected", account.name, complaint)


def logged(servers: Sequence[Server]) -> list[Fault]:
    """A server that has something to warn of, in a run on a healthy machine, has a defect."""
    return [Fault("logged", server.address, line) for server in servers for line in server.said()]


def said(faults: Sequence[Fault]) -> int:
    """The exit code, and for people the reasons."""
    for fault in faults[:FAULTS_SAID]:
        print("FAULT", fault)
    kinds = ", ".join(f"{count} {kind}" for kind, count in Counter(fault.kind for fault in faults).items())
    print(f"FAILED: {kinds}" if faults else "No fault.")
    return 1 if faults else 0


def clean_up_when_terminated() -> None:
    """SIGTERM ends this process like an error does: what was started is stopped."""

    def leave(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
