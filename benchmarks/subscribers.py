"""A thousand subscribers of one post, each of whom must get every comment, once and in order.

    python -m benchmarks.subscribers [--subscribers 1000] [--comments 50] [--engine sqlite] [--workers 1]

Three rounds: comments as fast as they are accepted; comments at a walking pace, for the time one comment takes; and
as fast as they are accepted again, while every subscriber's connection is cut once.  Half of the subscribers ask for
`thread`, half for `commentAdded`.  What each received is compared with the tables; any difference is a fault, and
the exit code is then 1.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import quantiles

import uvloop

from benchmarks import crowd, ending, writers
from benchmarks.api import Api, Discussion
from benchmarks.checker import Fault, Table, faults_of_counters, faults_of_log, faults_of_writing
from benchmarks.children import Child
from benchmarks.evidence import table_of
from benchmarks.servers import ENGINES, Server, Site, site

PEOPLE = 5  # who write
OPENING_SECONDS = 120.0
WRITING_SECONDS = 120.0
DELIVERY_SECONDS = 120.0  # after the last comment was written
PACE_SECONDS = 1.0  # of one writer between two comments, in the round at a walking pace


@dataclass(frozen=True, slots=True)
class Round:
    name: str
    pause_seconds: float = 0.0
    cut: bool = False


ROUNDS = (
    Round("as fast as accepted"),
    Round("at a walking pace", pause_seconds=PACE_SECONDS),
    Round("each connection cut once", cut=True),
)


@dataclass(frozen=True, slots=True)
class Run:
    """What was asked for on the command line."""

    engine: str
    subscribers: int
    comments: int
    workers: int = 1
    processes: int = 2  # of subscribers
    deflate: bool = False


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--engine", choices=ENGINES, default="sqlite")
    parser.add_argument("--subscribers", type=int, default=1_000)
    parser.add_argument("--comments", type=int, default=50)
    parser.add_argument("--workers", type=int, default=1, help="serving processes on the one database")
    parser.add_argument("--deflate", action="store_true", help="offer permessage-deflate, as browsers do")
    run = Run(**vars(parser.parse_args()))
    ending.clean_up_when_terminated()
    sys.exit(ending.said(meet(run)))


def meet(run: Run, rounds: Sequence[Round] = ROUNDS) -> list[Fault]:
    """All the rounds on one site; gives what went wrong."""
    print(f"{run.engine}, {run.subscribers} subscribers, {run.comments} comments, {run.workers} serving process(es)")
    with site(run.engine, workers=run.workers) as place, Api(place.addresses[0]) as api:
        tokens = api.people(PEOPLE)
        faults = []
        for each in rounds:
            discussion = api.discussion(tokens[0], each.name)
            faults += _Meeting(run, each, place, tokens, discussion).held()
        return [*faults, *ending.logged(place.servers)]


@dataclass
class _Meeting:
    """One round."""

    run: Run
    round: Round
    site: Site
    tokens: Sequence[str]
    discussion: Discussion

    def held(self) -> list[Fault]:
        with ExitStack() as stack:
            crowds = [stack.enter_context(Child(crowd.work, uvloop.new_event_loop)) for _ in range(self.run.processes)]
            author = stack.enter_context(Child(writers.work))
            resident = sum(server.resident_kib() for server in self.site.servers)
            began = time.monotonic()
            self._gather(crowds)
            gathered = time.monotonic() - began
            resident = sum(settled_kib(server) for server in self.site.servers) - resident
            cpu = self._cpu_seconds()
            report = self._write(author)
            table = table_of(self.site.database, self.discussion.key)
            accounts = self._end(crowds, table)
            cpu = self._cpu_seconds() - cpu
        answers = writers.answers_in(self._answers)
        self._tell(gathered, resident, cpu, answers, accounts)
        return [*self._faults(report, answers, accounts, table)]

    @property
    def _answers(self) -> Path:
        return self.site.folder / f"answers-{self.discussion.key}"

    def _cpu_seconds(self) -> float:
        return sum(server.cpu_seconds() for server in self.site.servers)

    def _gather(self, crowds: Sequence[Child]) -> None:
        places = [self._place(number) for number in range(self.run.subscribers)]
        for start, child in enumerate(crowds):
            child.say(
                crowd.Orders(
                    addresses=self.site.addresses,
                    post_id=self.discussion.id,
                    cursor=self.discussion.cursor,
                    places=places[start :: len(crowds)],
                    deflate=self.run.deflate,
                )
            )
        for child in crowds:
            child.hear(OPENING_SECONDS)

    def _place(self, number: int) -> crowd.Place:
        field = ("thread", "commentAdded")[number // self.run.processes % 2]
        cut_at = random.randrange(self.run.comments) if self.round.cut else None
        return crowd.Place(f"{field} {number}", field, cut_at)

    def _write(self, author: Child) -> writers.Report:
        author.say(
            writers.Orders(
                addresses=self.site.addresses,
                tokens=self.tokens,
                post_id=self.discussion.id,
                answers=self._answers,
                comments=self.run.comments,
                pause_seconds=self.round.pause_seconds,
            )
        )
        report: writers.Report = author.hear(WRITING_SECONDS)
        return report

    def _end(self, crowds: Sequence[Child], table: Table) -> list[crowd.Account]:
        for child in crowds:
            child.say(crowd.Until(len(table.told), DELIVERY_SECONDS))
        return [account for child in crowds for account in child.hear(DELIVERY_SECONDS + 30)]

    def _faults(
        self,
        report: writers.Report,
        answers: Sequence[writers.Answer],
        accounts: Sequence[crowd.Account],
        table: Table,
    ) -> Iterator[Fault]:
        if len(table.comments) != self.run.comments:
            yield Fault("miscounted", "run", f"{len(table.comments)} comments were written")
        for complaint in report.unexpected:
            yield Fault("unexpected", "writers", complaint)
        yield from faults_of_writing([answer.acknowledged for answer in answers], report.given_up, table)
        yield from faults_of_log(table)
        yield from faults_of_counters(table)
        for account in accounts:
            yield from ending.faults_of(account, table)
            if account.connections != 1 + self.round.cut:
                yield Fault("unexpected", account.name, f"{account.connections} connections")

    def _tell(
        self,
        gathered: float,
        resident: int,
        cpu: float,
        answers: Sequence[writers.Answer],
        accounts: Sequence[crowd.Account],
    ) -> None:
        sent = {answer.acknowledged.comment_id: answer for answer in answers}
        frames = [frame for account in accounts for frame in account.received if frame.comment_id in sent]
        wall = (max(frame.at for frame in frames) - min(answer.first_sent_ns for answer in answers)) / 1e9
        counts = sorted({len(account.received) for account in accounts})
        print(f"{self.round.name}:")
        print(f"  connected in {gathered:.1f} s, {resident / self.run.subscribers:.1f} KiB more of memory each")
        print(f"  {len(frames)} deliveries in {wall:.2f} s, {len(frames) / wall:,.0f}/s; each subscriber got {counts}")
        print(f"  CPU of the server {cpu:.2f} s, {cpu / len(frames) * 1e6:.0f} µs a delivery")
        print(f"  sent to answered:  {spread([answer.answered_ns - answer.first_sent_ns for answer in answers])}")
        print(f"  sent to received:  {spread([frame.at - sent[frame.comment_id].first_sent_ns for frame in frames])}")
        if self.round.cut:
            back = sum(account.connections == 2 for account in accounts)
            amid = sum(account.cut_after not in (None, 0, self.run.comments) for account in accounts)
            print(f"  {back} came back, {amid} of them cut amid the comments")


def spread(nanoseconds: Sequence[int]) -> str:
    cuts = quantiles(nanoseconds, n=100)
    return f"p50 {cuts[49] / 1e6:.0f} ms, p99 {cuts[98] / 1e6:.0f} ms, most {max(nanoseconds) / 1e6:.0f} ms"


def settled_kib(server: Server) -> int:
    """Memory once it has stopped growing: the last subscriptions are still being set up."""
    before, now = 0, server.resident_kib()
    while now != before:
        time.sleep(0.5)
        before, now = now, server.resident_kib()
    return now


if __name__ == "__main__":
    main()
