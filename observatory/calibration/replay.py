"""The servers that a calibration loads: started on cores of their own, watched, judged.

A server that was busy or late is a reason not to believe a ceiling.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import psutil

from observatory.emulator.replay_server import ReplayConfig, ReplaySecond, read_seconds
from observatory.processes.server_child import ServerChild

START_TIMEOUT_S = 30.0
BUSY_LIMIT = 0.90
"""Share of a core above which one thread cannot be trusted to write on time: its queue grows as
1/(1 - busy), tenfold at 90 %."""
LATE_NS = 1_000_000
LATE_LIMIT = 0.01
"""More than this share of events written more than LATE_NS late: its p99 lateness is that much."""


@dataclass(frozen=True, slots=True)
class ReplayShape:
    """What every answer is: its events, when the first comes and how far apart they are (0: at once)."""

    tokens: int
    first_s: float
    gap_s: float


@dataclass(frozen=True, slots=True)
class ServerWindow:
    """The busiest server's share of a core (None: they did not report), and the share of late events."""

    busy: float | None
    late: float

    @property
    def saturated(self) -> str | None:
        """Return why the servers were no judge of the client; None where they kept up."""
        if self.busy is None:
            return "its server did not report in time"
        if self.busy > BUSY_LIMIT:
            return f"its server was busy {self.busy:.0%} of the time"
        if self.late > LATE_LIMIT:
            return f"its server wrote {self.late:.1%} of events more than {LATE_NS / 1e6:g} ms late"
        return None


@dataclass(frozen=True, slots=True)
class Servers:
    """Some servers behind one port of loopback."""

    port: int
    children: list[ServerChild]
    reports: list[Path]

    def alive(self) -> str | None:
        """Return None while all run, else how one ended."""
        return next((end for child in self.children if (end := child.alive())), None)

    def cpu_s(self) -> float:
        """Return the CPU seconds of all of them since they began."""
        total = 0.0
        for child in self.children:
            with suppress(psutil.Error):
                times = psutil.Process(child.process_id).cpu_times()
                total += times.user + times.system
        return total

    def window(self, from_unix_ns: int, to_unix_ns: int) -> ServerWindow:
        """Return the servers' figures between two instants; a server records its state once a second."""
        return server_window(
            [read_seconds(path) for path in self.reports], from_unix_ns, to_unix_ns
        )


def server_window(
    reports: list[list[ReplaySecond]], from_unix_ns: int, to_unix_ns: int
) -> ServerWindow:
    """Return the window of reports that were read. The seconds at its two ends count whole."""
    busy: float | None = None
    late = events = 0
    for seconds in reports:
        before = [second for second in seconds if second.unix_ns <= from_unix_ns]
        after = [second for second in seconds if second.unix_ns >= to_unix_ns]
        first = before[-1] if before else seconds[0]
        last = after[0] if after else seconds[-1]
        passed = last.monotonic_ns - first.monotonic_ns
        if passed > 0:
            busy = max(busy or 0.0, (last.cpu_ns - first.cpu_ns) / passed)
        late += last.late - first.late
        events += last.events - first.events
    return ServerWindow(busy, late / events if events else 0.0)


@contextmanager
def open_servers(
    folder: Path, shape: ReplayShape, cores: list[int], count: int
) -> Iterator[Servers]:
    """Start so many, each on one of `cores` (none: anywhere), and end them with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        children: list[ServerChild] = []
        reports: list[Path] = []
        port = 0
        for number in range(count):
            report = folder / f"server-{number}.jsonl"
            config = ReplayConfig(
                tokens=shape.tokens,
                first_ns=round(shape.first_s * 1e9),
                gap_ns=round(shape.gap_s * 1e9),
                late_ns=LATE_NS,
                report=str(report),
                parent=os.getpid(),
                cores=[cores[number % len(cores)]] if cores else [],
                port=port,
                shared=count > 1,
            )
            path = folder / f"server-{number}.json"
            path.write_bytes(msgspec.json.encode(config))
            child = ServerChild(
                [sys.executable, "-m", "observatory.emulator.replay_server", str(path)],
                folder / f"server-{number}.log",
                "the replay server",
            )
            stack.callback(child.close)
            port = int(child.wait_ready(time.monotonic() + START_TIMEOUT_S)["port"])
            children.append(child)
            reports.append(report)
        yield Servers(port, children, reports)
