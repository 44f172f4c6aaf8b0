"""Resident memory of a load worker over 100,000 requests of 128 events, and whether it grows."""

import threading
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.client import Load
from benchmarks.measures.ceiling import SCHEDULE, STREAMS, TOKENS
from benchmarks.processes import load_processes
from benchmarks.results import Check, Measurement
from benchmarks.worker import memory_at

REQUESTS = 100_000
SHARES = (0.1, 0.5, 1.0)
GROWTH_MB = 30.0
"""A tenth of the 300 MB allowed, between 10 % and the end of the run."""


def measure(bench: Bench) -> Measurement:
    """The run ends by its request budget; the window is longer than it can take."""
    requests = REQUESTS // 10 if bench.quick else REQUESTS
    load = Load(
        tokens=TOKENS, users=STREAMS, steady_s=400, warmup_s=1, requests=requests, drain_s=5
    )
    peaks: dict[int, float] = {}

    def watch(command: int, over: threading.Event) -> None:
        while not over.wait(0.5):
            for process in load_processes(command):
                peaks[process.pid] = _peak_mb(process.pid) or peaks.get(process.pid, 0.0)

    run, log = bench.observe(SCHEDULE, load, beside=watch)
    at = memory_at(run.ticks, SHARES)
    peak = max(peaks.values())
    return Measurement(
        "memory",
        values={
            "requests": run.requests.height,
            "events_each": TOKENS,
            **{f"rss_at_{share:.0%}_mb": value for share, value in zip(SHARES, at, strict=True)},
            "rss_peak_mb": peak,
            "growth_mb": at[-1] - at[0],
            "status": run.manifest["status"],
            "served": int(log.requests.size),
            "others_cpu_s": run.others_cpu_s,
            "wall_s": run.wall_s,
        },
        checks=[
            Check("peak resident memory of a worker (VmHWM)", peak, high=300, unit="MB"),
            Check(
                "growth between 10 % and the end of the run",
                at[-1] - at[0],
                high=GROWTH_MB,
                unit="MB",
            ),
        ],
    )


def _peak_mb(pid: int) -> float | None:
    """VmHWM in 10^6 bytes; None once the process is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(found[0][1]) * 1024 / 1e6 if found else None
