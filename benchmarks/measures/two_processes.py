"""Two load processes against one, without server delay.

Where there is a core for each, by requests a second. Else both share the client's core, and what the
second would bring follows from what 1,000 requests cost either way: two cores give twice the
CPU-seconds, so the speed-up is 2 x the cost in one process / the cost in two.
"""

from benchmarks.bench import Bench, loaded
from benchmarks.client import Load
from benchmarks.measures.ceiling import SCHEDULE, STREAMS, TOKENS
from benchmarks.results import Check, Measurement

SPEED_UP = 1.8


def measure(bench: Bench) -> Measurement:
    """One run with each."""
    together = {bench.cores.client, *bench.cores.spare[:1]}
    rows = []
    for processes in (1, 2):
        cores = together if processes == 2 else {bench.cores.client}
        load = Load(
            tokens=TOKENS,
            users=STREAMS,
            steady_s=bench.window_s(12),
            warmup_s=2,
            processes=processes,
        )
        run, log = bench.observe(SCHEDULE, load, client_cores=cores)
        rows.append({"processes": processes, "cores": len(cores), **loaded(run, log)})
    one, two = rows
    measured = len(together) == 2
    speed_up = (
        two["worker_requests_per_s"] / one["worker_requests_per_s"]
        if measured
        else 2 * one["worker_cpu_s_per_1000"] / two["worker_cpu_s_per_1000"]
    )
    return Measurement(
        "processes",
        values={"speed_up": speed_up, "basis": "requests/s" if measured else "CPU-seconds"},
        rows=rows,
        checks=[
            Check(
                "two processes against one",
                speed_up,
                low=SPEED_UP,
                unit="x",
                note="" if measured else "by CPU-seconds: there is no core for the second",
            )
        ],
    )
