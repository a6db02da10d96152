"""What an import did with each thing in the file: brought in, already here, or left out and why.

The sums are checked against what the file holds: a thing that is nowhere in the report is a defect of ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

LINES_KEPT = 5  # places in the file by which a reason can be looked up


class Unaccounted(Exception):
    """The report does not account for everything in the file: a defect."""


@dataclass(slots=True)
class Places:
    """How often something was met, and on which lines first."""

    count: int = 0
    lines: list[int] = field(default_factory=list)

    def met(self, line: int) -> None:
        self.count += 1
        if len(self.lines) < LINES_KEPT:
            self.lines.append(line)


@dataclass(slots=True)
class Tally:
    """What became of the things of one kind."""

    imported: int = 0
    already_here: int = 0
    skipped: dict[str, Places] = field(default_factory=dict)  # by reason

    def skip(self, reason: str, line: int) -> None:
        self.skipped.setdefault(reason, Places()).met(line)

    @property
    def total(self) -> int:
        return self.imported + self.already_here + sum(places.count for places in self.skipped.values())


@dataclass(slots=True)
class Report:
    """Of one import.  A rehearsal (`dry_run`) gives the same report as the import itself would."""

    source: str
    dry_run: bool
    kinds: dict[str, Tally] = field(default_factory=dict)  # author, commenter, post, page, other, comment, …
    notes: dict[str, Places] = field(default_factory=dict)  # what was brought in otherwise than it stood in the file
    told: set[str] = field(default_factory=set, compare=False)  # topics of the log with something new to read

    def of(self, kind: str) -> Tally:
        return self.kinds.setdefault(kind, Tally())

    def note(self, what: str, line: int) -> None:
        self.notes.setdefault(what, Places()).met(line)

    def check(self, totals: Mapping[str, int]) -> None:
        """Raises Unaccounted unless each kind in the file is accounted for to the last one."""
        for kind, total in totals.items():
            if self.of(kind).total != total:
                raise Unaccounted(f"{total} of kind {kind} in the file, {self.of(kind).total} in the report")
