"""The most requests a second that one core can drive: no server delay, 64 connections, whole streams.

The server writes each stream in one piece, so that it is the client that ends first.
"""

from typing import Any

import polars as pl

from benchmarks.bench import Bench, loaded
from benchmarks.client import Load
from benchmarks.measures.peers_beside import ceilings
from benchmarks.results import Check, Measurement
from benchmarks.truth_server import Schedule

STREAMS, TOKENS = 64, 128
SCHEDULE = Schedule(ttft_us=0, gap_us=0, tokens=TOKENS, coalesce=True)
CPU_S_PER_1000 = 0.3
RATIOS = {"vllm-bench": 4.0, "aiperf": 25.0}


def measure(bench: Bench) -> Measurement:
    """Requests a second of the steady window, by the records and by the server's log; then the peers."""
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
    rows = ceilings(bench, SCHEDULE, STREAMS)
    cost = about["worker_cpu_s_per_1000"]
    what = "CPU-seconds of the worker for 1,000 coalesced answers"
    return Measurement(
        "ceiling",
        values=values,
        rows=rows,
        checks=[
            *(_ratio(values["requests_per_s_by_server"], name, rows) for name in RATIOS),
            Check(what, cost, high=CPU_S_PER_1000, unit="s"),
        ],
    )


def _ratio(ours_per_s: float, peer: str, rows: list[dict[str, Any]]) -> Check:
    """Both by the server's log, of this very run."""
    (row,) = (row for row in rows if row["name"] == peer)
    theirs = row.get("requests_per_s_by_server")
    return Check(
        f"requests a second against {peer}'s",
        ours_per_s / theirs if theirs else None,
        low=RATIOS[peer],
        unit="x",
        note=row["reason"] or "",
    )
