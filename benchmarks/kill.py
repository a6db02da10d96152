"""The server dies again and again while people write and listen, and nothing that was promised is lost.

    python -m benchmarks.kill [--kills 10] [--writers 16] [--engine sqlite] [--workers 1]

Writers send each act again under its key until it is answered (some give up: then it was done once or not at all).
Subscribers go on from their last cursor; some of them join in the middle, by a query.  The serving process is ended
by SIGKILL amid its work, after a random number of answers, one time in five while it is still starting, and started
again on the same database and port; with two workers they die in turn.  In the end the answers, the frames, the log
and the counters are compared with the rows; any difference is a fault, and the exit code is then 1.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from benchmarks import crowd, ending, writers
from benchmarks.api import Api, Discussion
from benchmarks.checker import Fault, Table, faults_of_counters, faults_of_log, faults_of_writing
from benchmarks.children import Child
from benchmarks.evidence import table_of, written_at
from benchmarks.servers import ENGINES, Server, Site, site

OPENING_SECONDS = 60.0
LAST_ANSWERS_SECONDS = 120.0
DELIVERY_SECONDS = 120.0  # after the last comment was written
STARTING_SHARE = 0.2  # of the kills hit a server that does not answer yet
LIFE_SECONDS = 15.0  # at most, on a machine that is too busy for as much work as a life should have
STARTING_SECONDS = (0.0, 2.0)  # of one that is hit while it starts


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for on the command line."""

    engine: str
    kills: int
    writers: int
    subscribers: int
    workers: int = 1
    pause: float = 0.05
    life: int = 100  # answers at most, half of it on average: a life is measured in work, not in seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--engine", choices=ENGINES, default="sqlite")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--subscribers", type=int, default=8)
    parser.add_argument("--workers", type=int, default=1, help="serving processes on the one database")
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two comments of one writer, about")
    parser.add_argument("--life", type=int, default=100, help="answers between two kills, at most")
    run = Run(**vars(parser.parse_args()))
    ending.clean_up_when_terminated()
    sys.exit(ending.said(survive(run)))


def survive(run: Run) -> list[Fault]:
    """One run; gives what went wrong."""
    print(f"{run.engine}, {run.writers} writers, {run.subscribers} subscribers, {run.workers} serving process(es)")
    with site(run.engine, workers=run.workers) as place:
        with Api(place.addresses[0]) as api:
            tokens = api.people(run.writers)
            discussion = api.discussion(tokens[0], "Does it last?")
        with Child(crowd.work) as listeners, Child(writers.work) as authors:
            answers = place.folder / "answers"
            _begin(run, place, discussion, tokens, answers, listeners, authors)
            _kill_all(run, place.servers, answers)
            authors.say("Enough.")
            report: writers.Report = authors.hear(LAST_ANSWERS_SECONDS)
            table = table_of(place.database, discussion.key)
            listeners.say(crowd.Until(len(table.told), DELIVERY_SECONDS))
            accounts: list[crowd.Account] = listeners.hear(DELIVERY_SECONDS + 30)
        answered = writers.answers_in(answers)
        _tell(place.servers, table, report, answered, accounts, written_at(place.database, discussion.key))
        return [*_faults(table, report, answered, accounts), *ending.logged(place.servers)]


def _begin(
    run: Run,
    place: Site,
    discussion: Discussion,
    tokens: Sequence[str],
    answers: Path,
    listeners: Child,
    authors: Child,
) -> None:
    places = [_place(run, number) for number in range(run.subscribers)]
    listeners.say(crowd.Orders(place.addresses, discussion.id, discussion.cursor, places))
    listeners.hear(OPENING_SECONDS)
    authors.say(
        writers.Orders(place.addresses, tokens, discussion.id, answers, pause_seconds=run.pause, give_up_share=0.1)
    )


def _place(run: Run, number: int) -> crowd.Place:
    """Every fourth joins in the middle."""
    expected = max(2, run.kills * run.life // 2)
    joins_after = random.randrange(1, expected) if number % 4 == 3 else None
    return crowd.Place(f"subscriber {number}", "thread", joins_after=joins_after)


def _kill_all(run: Run, servers: Sequence[Server], answers: Path) -> None:
    for server in islice(cycle(servers), run.kills):
        if random.random() < STARTING_SHARE:
            time.sleep(random.uniform(*STARTING_SECONDS))
        else:
            server.wait()
            _let_live(answers, run.life)
        server.kill()
        server.start()
    for server in servers:
        server.wait()
    _let_live(answers, run.life)


def _let_live(answers: Path, life: int) -> None:
    """Until so many more are answered, and a moment longer: any step of the next ones may be the last."""
    enough = _count(answers) + random.randint(1, life)
    deadline = time.monotonic() + LIFE_SECONDS
    while _count(answers) < enough and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(random.uniform(0, 0.05))


def _count(answers: Path) -> int:
    return answers.read_bytes().count(b"\n") if answers.exists() else 0


def _tell(
    servers: Sequence[Server],
    table: Table,
    report: writers.Report,
    answered: Sequence[writers.Answer],
    accounts: Sequence[crowd.Account],
    written_us: dict[int, int],
) -> None:
    kills = sum(server.starts for server in servers) - len(servers)
    again = [answer for answer in answered if answer.broken]
    late = sum(written_us[answer.acknowledged.comment_id] < answer.last_sent_us for answer in again)
    written = {comment.body for comment in table.comments}
    done = sum(key in written for key in report.given_up)
    print(f"  {kills} kills, {len(table.comments)} comments, {len(answered)} acknowledged")
    print(f"  {len(again)} of those were sent again after a broken request: {late} had been carried out before")
    print(f"  {len(report.given_up)} were given up after a broken request: {done} had been carried out")
    print(
        f"  {sum(len(account.received) for account in accounts)} frames over "
        f"{sum(account.connections for account in accounts)} connections of {len(accounts)} subscribers, "
        f"{sum(account.began_after > 0 for account in accounts)} of whom joined in the middle"
    )


def _faults(
    table: Table,
    report: writers.Report,
    answered: Sequence[writers.Answer],
    accounts: Sequence[crowd.Account],
) -> Iterator[Fault]:
    for complaint in report.unexpected:
        yield Fault("unexpected", "writers", complaint)
    yield from faults_of_writing([answer.acknowledged for answer in answered], report.given_up, table)
    yield from faults_of_log(table)
    yield from faults_of_counters(table)
    for account in accounts:
        yield from ending.faults_of(account, table)


if __name__ == "__main__":
    main()
