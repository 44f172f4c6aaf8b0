"""The most requests a second that one core can drive: no server delay, 64 connections, whole streams.

The server writes each stream in one piece, so that it is the client that ends first.
"""

from statistics import median
from typing import Any

import polars as pl

from benchmarks.bench import Bench, loaded
from benchmarks.client import Load
from benchmarks.measures.peers_beside import ceilings
from benchmarks.peers.run_peer import PEERS
from benchmarks.results import Check, Measurement
from benchmarks.truth_server import Schedule

STREAMS, TOKENS = 64, 128
SCHEDULE = Schedule(ttft_us=0, gap_us=0, tokens=TOKENS, coalesce=True)
CPU_S_PER_1000 = 0.26
ROUNDS = 3
RATIOS = {"vllm-bench": 4.5, "aiperf": 25.0}


def measure(bench: Bench) -> Measurement:
    """The median of some rounds, for a virtual machine's speed changes within minutes: each is we and
    then the tools that we are held against. The others have one round."""
    rounds: list[dict[str, Any]] = []
    attempts: dict[str, list[dict[str, Any]]] = {}
    for number in range(1 if bench.quick else ROUNDS):
        rounds.append(_ours(bench))
        for row in ceilings(bench, SCHEDULE, STREAMS, RATIOS if number else PEERS):
            attempts.setdefault(row["name"], []).append(row)
    rates = [one["requests_per_s_by_server"] for one in rounds]
    costs = [one["worker_cpu_s_per_1000"] for one in rounds]
    what = "CPU-seconds of the worker for 1,000 coalesced answers"
    return Measurement(
        "ceiling",
        values={**_middle(rounds), "rounds": rounds},
        rows=[_middle(of_one) for of_one in attempts.values()],
        checks=[
            *(_ratio(rates, name, attempts[name]) for name in RATIOS),
            Check(what, median(costs), high=CPU_S_PER_1000, unit="s", note=_span(costs)),
        ],
    )


def _ours(bench: Bench) -> dict[str, Any]:
    """Requests a second of the steady window, by the records and by the server's log."""
    load = Load(tokens=TOKENS, users=STREAMS, steady_s=bench.window_s(12), warmup_s=2)
    run, log = bench.observe(SCHEDULE, load)
    start, end = run.window
    ended = run.attempts.filter(
        (pl.col("outcome") == "ok") & pl.col("ended_ns").is_between(start, end, closed="left")
    ).height
    window_s = (end - start) / 1e9
    arrived = log.read_ns - run.anchor_ns
    return {
        "requests_per_s": ended / window_s,
        "requests_per_s_by_server": float(((arrived >= start) & (arrived < end)).sum()) / window_s,
        "requests": run.requests.height,
        "not_ok": run.requests.filter(pl.col("outcome") != "ok").height,
        "tree_cpu_s": run.tree_cpu_s,
        **loaded(run, log),
    }


def _middle(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The round with the median rate; of two the slower."""
    in_order = sorted(rounds, key=lambda one: one.get("requests_per_s_by_server") or 0.0)
    return in_order[(len(in_order) - 1) // 2]


def _ratio(ours: list[float], peer: str, theirs: list[dict[str, Any]]) -> Check:
    """Both by the server's log; the median of the rounds' own ratios."""
    ratios = [
        mine / row["requests_per_s_by_server"]
        for mine, row in zip(ours, theirs, strict=True)
        if row.get("requests_per_s_by_server")
    ]
    return Check(
        f"requests a second against {peer}'s",
        median(ratios) if ratios else None,
        low=RATIOS[peer],
        unit="x",
        note=_span(ratios) if ratios else theirs[0]["reason"] or "",
    )


def _span(rounds: list[float]) -> str:
    if len(rounds) < 2:
        return ""
    return f"median of {len(rounds)} rounds, {min(rounds):.3g} to {max(rounds):.3g}"
