"""What came of a series of kills: each kill, the counts, and what was wrong."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec


@dataclass(frozen=True)
class Kill:
    """One kill: of what, how long after what, and the instants around it (CLOCK_REALTIME)."""

    victim: str
    at_start: bool
    processes: int
    began_ns: int
    killed_ns: int
    run: str | None
    code: int
    output: str


@dataclass
class Report:
    """What came of a series. spared: runs whose victim had ended before it was to be killed."""

    kills: list[Kill] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    spared: int = 0
    requests: int = 0
    rows: int = 0
    lost: int = 0
    latest_s: float | None = None

    @classmethod
    def read(cls, text: str) -> "Report":
        """Read what `text` wrote; msgspec.DecodeError where it is none."""
        return msgspec.json.decode(text, type=cls)

    def text(self) -> str:
        """The whole report as JSON."""
        return msgspec.json.encode(self).decode()

    def lines(self) -> list[str]:
        """For people."""
        kinds = Counter(kill.victim for kill in self.kills)
        early = sum(kill.at_start for kill in self.kills)
        stated = [
            f"{len(self.kills)} kills ({', '.join(f'{kind} {n}' for kind, n in sorted(kinds.items()))}), "
            f"{early} within 0.5 s of a child's start; {self.spared} more runs ended before their kill",
            f"{self.requests} requests arrived at the service, {self.rows} of them are rows, "
            f"{self.lost} were counted as lost with their load generator",
            f"the last request of a run whose runner was killed arrived {self._latest()}",
            f"{len(self.faults)} faults",
        ]
        return stated + [f"FAULT: {fault}" for fault in self.faults]

    def _latest(self) -> str:
        if self.latest_s is None:
            return "before its runner was killed, or none did"
        when = "after" if self.latest_s > 0 else "before"
        return f"at the latest {abs(self.latest_s):.3f} s {when} the death of its runner"


def together(reports: Sequence[Report]) -> Report:
    """The reports of several series as one."""
    latest = [report.latest_s for report in reports if report.latest_s is not None]
    return Report(
        kills=[kill for report in reports for kill in report.kills],
        faults=[fault for report in reports for fault in report.faults],
        spared=sum(report.spared for report in reports),
        requests=sum(report.requests for report in reports),
        rows=sum(report.rows for report in reports),
        lost=sum(report.lost for report in reports),
        latest_s=max(latest, default=None),
    )
