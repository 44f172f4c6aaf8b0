"""How far the client's figures are from what the server did: TTFT 100 ms, 128 tokens 10 ms apart."""

from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.bench import Bench, loaded
from benchmarks.client import Load
from benchmarks.figures import spread
from benchmarks.joining import Joined, join
from benchmarks.results import Check, Measurement
from benchmarks.truth_server import Schedule

TOKENS = 128
SCHEDULE = Schedule(ttft_us=100_000, gap_us=10_000, tokens=TOKENS)
ANSWER_S = 0.1 + (TOKENS - 1) * 0.01
REQUESTS_EACH = 10
CPU_S_PER_1000 = 1.6


def measure(bench: Bench, streams: int) -> Measurement:
    """About ten requests a stream."""
    window = ANSWER_S * REQUESTS_EACH
    load = Load(tokens=TOKENS, users=streams, steady_s=bench.window_s(window), warmup_s=1)
    run, log = bench.observe(SCHEDULE, load)
    joined = join(log, run.requests, run.attempts, run.anchor_ns, TOKENS)
    values = {
        "streams": streams,
        **errors(joined),
        "steady": errors(joined.only(joined.steady)),
        "not_ok": run.requests.filter(run.requests["outcome"] != "ok").height,
        **loaded(run, log),
    }
    return Measurement(f"truth-{streams}", values=values, checks=_checks(streams, values))


def errors(joined: Joined) -> dict[str, Any]:
    """Client against server over these requests; dropped: recorded answers that could not be matched."""
    return {
        "requests": int(joined.read_ns.size),
        "ttft": asdict(spread(joined.ttft_error_ns())),
        "ttft_from_arrival": asdict(spread(joined.ttft_error_from_arrival_ns())),
        "gap": asdict(spread(joined.gap_error_ns())),
        "instant": asdict(spread(joined.instant_error_ns())),
        "before_written": int(np.count_nonzero(joined.instant_error_ns() < 0)),
        "shared_fraction": float(np.mean(joined.shared)) if joined.shared.size else None,
        "dropped": joined.unmatched + joined.served - joined.recorded,
    }


def _checks(streams: int, values: dict[str, Any]) -> list[Check]:
    shared = None if values["shared_fraction"] is None else values["shared_fraction"] * 100
    dropped = Check("requests dropped or not whole", values["dropped"], "at_most", 0)
    if streams == 1:
        return [
            Check("TTFT error p99", values["ttft"]["p99_ms"], "at_most", 0.3, "ms"),
            Check("gap error p99", values["gap"]["p99_ms"], "at_most", 0.3, "ms"),
            dropped,
        ]
    if streams >= 1000:
        return [
            Check("TTFT error p99", values["ttft"]["p99_ms"], "at_most", 1.0, "ms"),
            Check("events with a shared stamp", shared, "at_most", 2.0, "%"),
            dropped,
        ]
    return [
        Check("TTFT error p50", values["ttft"]["p50_ms"], "at_most", 0.1, "ms"),
        Check("TTFT error p99", values["ttft"]["p99_ms"], "at_most", 0.3, "ms"),
        Check("gap error p50", values["gap"]["p50_ms"], "at_most", 0.1, "ms"),
        Check("gap error p99", values["gap"]["p99_ms"], "at_most", 0.3, "ms"),
        Check("events with a shared stamp", shared, "at_most", 0.0, "%"),
        dropped,
        Check(
            "CPU-seconds of the worker for 1,000 answers, each event alone",
            values["worker_cpu_s_per_1000"],
            "at_most",
            CPU_S_PER_1000,
            "s",
        ),
    ]
