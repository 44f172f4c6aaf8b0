"""Seconds from starting the command to the first request that the server read: 1,000 prompts, a URL."""

import statistics

from benchmarks.bench import Bench
from benchmarks.client import Load
from benchmarks.results import Check, Measurement
from benchmarks.truth_server import Schedule

REPEATS = 5
SCHEDULE = Schedule(ttft_us=1_000, gap_us=1_000, tokens=8)
LOAD = Load(
    tokens=8,
    users=1,
    prompts=1000,
    warmup_s=0,
    steady_s=1,
    drain_s=1,
    telemetry={"idle": "0s"},
)
"""Without the ten seconds in which a run on this machine reads its idle power first."""


def measure(bench: Bench) -> Measurement:
    """The median decides; the first repeat may still read files from disk."""
    rows = []
    for repeat in range(2 if bench.quick else REPEATS):
        run, log = bench.observe(SCHEDULE, LOAD)
        rows.append(
            {
                "repeat": repeat,
                "start_s": (int(log.read_ns.min()) - run.began_unix_ns) / 1e9,
                "others_cpu_s": run.others_cpu_s,
                "wall_s": run.wall_s,
            }
        )
    took = [row["start_s"] for row in rows]
    median = statistics.median(took)
    return Measurement(
        "start",
        values={"start_median_s": median, "start_max_s": max(took), "start_first_s": took[0]},
        rows=rows,
        checks=[Check("from command to first request, median", median, high=1.5, unit="s")],
    )
