"""The cost of the openai package's client compared with our own sockets: the same server, the same load, in turn."""

from dataclasses import replace
from typing import Any

from benchmarks.bench import Bench, loaded
from benchmarks.client import Load
from benchmarks.joining import join
from benchmarks.measures.truth import ANSWER_S, SCHEDULE, TOKENS, errors
from benchmarks.results import Check, Measurement

STREAMS = 32
"""Few enough that the client's core is not full: its cost is seen, not a queue before it."""
REQUESTS_EACH = 10


def measure(bench: Bench) -> Measurement:
    """Ratios of sdk to lean. An sdk request is sent when the method is called, so connecting is in its TTFT."""
    rows = [_one(bench, transport) for transport in ("lean", "sdk")]
    lean, sdk = rows
    values: dict[str, Any] = {
        "streams": STREAMS,
        "cpu_ratio": sdk["worker_cpu_s_per_1000"] / lean["worker_cpu_s_per_1000"],
        "ttft_error_p50_ratio": sdk["ttft"]["p50_ms"] / lean["ttft"]["p50_ms"],
        "ttft_error_p99_ratio": sdk["ttft"]["p99_ms"] / lean["ttft"]["p99_ms"],
        "gap_error_p99_ratio": sdk["gap"]["p99_ms"] / lean["gap"]["p99_ms"],
    }
    checks = [
        Check(f"requests dropped or not whole, {row['transport']}", row["dropped"], high=0)
        for row in rows
    ]
    checks.append(Check("requests of the client that the server saw twice", sdk["again"], high=0))
    return Measurement("sdk", values=values, rows=rows, checks=checks)


def _one(bench: Bench, transport: str) -> dict[str, Any]:
    load = Load(tokens=TOKENS, users=STREAMS, steady_s=bench.window_s(ANSWER_S * REQUESTS_EACH))
    run, log = bench.observe(SCHEDULE, replace(load, transport=transport))
    joined = join(log, run.requests, run.attempts, run.anchor_ns, TOKENS)
    return {
        "transport": transport,
        **errors(joined),
        "again": joined.served - run.attempts.height,
        "reused_connections": int(run.attempts["reused_connection"].sum()),
        **loaded(run, log),
    }
