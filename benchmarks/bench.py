"""What every measure is given: cores, a scratch folder, whether to be quick; and one observed run."""

import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.client import ClientRun, Load, run_observatory
from benchmarks.figures import percentile
from benchmarks.machine import Cores
from benchmarks.truth_log import TruthLog
from benchmarks.truth_server import Schedule, serving
from benchmarks.worker import worker_cost


@dataclass(slots=True)
class Bench:
    """Shared by the measures of one invocation."""

    cores: Cores
    scratch: Path
    quick: bool
    _runs: int = field(default=0)

    def window_s(self, seconds: float) -> float:
        """A window's length, a quarter of it (at least 3 s) where it is to be quick."""
        return max(3.0, seconds / 4) if self.quick else seconds

    def folder(self) -> Path:
        """A new empty folder."""
        self._runs += 1
        folder = self.scratch / f"{self._runs:03}"
        folder.mkdir()
        return folder

    def observe(
        self,
        schedule: Schedule,
        load: Load,
        *,
        client_cores: set[int] | None = None,
        beside: Callable[[int, threading.Event], None] | None = None,
    ) -> tuple[ClientRun, TruthLog]:
        """One run of the real command line against a truth server on its own core."""
        folder = self.folder()
        with serving(schedule, folder / "truth.log", self.cores.server) as server:
            run = run_observatory(
                load,
                server.url,
                folder / "workspace",
                client_cores or {self.cores.client},
                server.cpu_now_s,
                beside,
            )
        return run, server.log


def loaded(run: ClientRun, log: TruthLog) -> dict[str, Any]:
    """Return how loaded and how disturbed both sides were, for the figures of every run."""
    cost = worker_cost(run.ticks, run.window)
    return {
        **{f"worker_{name}": value for name, value in asdict(cost).items()},
        "server_cpu_s": run.server_cpu_s,
        "server_late_p99_ms": percentile(log.lateness_ns(), 0.99) / 1e6,
        "server_read_late_p99_ms": percentile(log.reading_lateness_ns(), 0.99) / 1e6,
        "others_cpu_s": run.others_cpu_s,
        "stolen_s": run.stolen_s,
        "wall_s": run.wall_s,
        "verdict": run.verdict,
    }
