"""The most requests a second that one core can drive: no server delay, 64 connections, whole streams.

The server writes each stream in one piece, so that it is the client that ends first.
"""

import polars as pl

from benchmarks.bench import Bench, loaded
from benchmarks.client import Load
from benchmarks.results import Check, Measurement
from benchmarks.truth_server import Schedule

STREAMS, TOKENS = 64, 128
SCHEDULE = Schedule(ttft_us=0, gap_us=0, tokens=TOKENS, coalesce=True)
CPU_S_PER_1000 = 0.3


def measure(bench: Bench) -> Measurement:
    """Requests a second of the steady window, by the records and by the server's log."""
    load = Load(tokens=TOKENS, users=STREAMS, steady_s=bench.window_s(12), warmup_s=2)
    run, log = bench.observe(SCHEDULE, load)
    start, end = run.window
    ended = run.attempts.filter(
        (pl.col("outcome") == "ok") & pl.col("ended_ns").is_between(start, end, closed="left")
    ).height
    window_s = (end - start) / 1e9
    arrived = log.read_ns - run.anchor_ns
    about = loaded(run, log)
    values = {
        "requests_per_s": ended / window_s,
        "requests_per_s_by_server": float(((arrived >= start) & (arrived < end)).sum()) / window_s,
        "requests": run.requests.height,
        "not_ok": run.requests.filter(pl.col("outcome") != "ok").height,
        "tree_cpu_s": run.tree_cpu_s,
        **about,
    }
    return Measurement(
        "ceiling",
        values=values,
        checks=[
            Check(
                "CPU-seconds of the worker for 1,000 coalesced answers",
                about["worker_cpu_s_per_1000"],
                high=CPU_S_PER_1000,
                unit="s",
            )
        ],
    )
