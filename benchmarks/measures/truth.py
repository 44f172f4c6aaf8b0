"""How far the client's figures are from what the server did: TTFT 100 ms, 128 tokens 10 ms apart."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import polars as pl

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


def measure(bench: Bench, streams: int, bare: bool = False) -> Measurement:
    """About ten requests a stream. bare: the server does not make the kernel stamp packets."""
    window = ANSWER_S * REQUESTS_EACH
    load = Load(tokens=TOKENS, users=streams, steady_s=bench.window_s(window), warmup_s=1)
    run, log = bench.observe(replace(SCHEDULE, stamp_arrivals=not bare), load)
    joined = join(log, run.requests, run.attempts, run.anchor_ns, TOKENS)
    values = {
        "streams": streams,
        **errors(joined),
        "steady": errors(joined.only(joined.steady)),
        "without_kernel_stamp": run.attempts.filter(pl.col("stamp_source") != "kernel").height,
        "not_ok": run.requests.filter(pl.col("outcome") != "ok").height,
        **loaded(run, log),
    }
    name = f"truth-{streams}" + ("-bare" if bare else "")
    return Measurement(name, values=values, checks=_checks(streams, values))


def errors(joined: Joined) -> dict[str, Any]:
    """Client against server over these requests.

    dropped: requests that one side knows and the other does not, or not whole. shared_last_tokens: the
    server's end of a stream follows its last token within microseconds, in a write of its own.
    """
    return {
        "requests": int(joined.read_ns.size),
        "ttft": asdict(spread(joined.ttft_error_ns())),
        "ttft_from_arrival": asdict(spread(joined.ttft_error_from_arrival_ns())),
        "gap": asdict(spread(joined.gap_error_ns())),
        "instant": asdict(spread(joined.instant_error_ns())),
        "before_written": int(np.count_nonzero(joined.instant_error_ns() < 0)),
        "shared_fraction": float(np.mean(joined.shared)) if joined.shared.size else None,
        "shared_last_tokens": int(np.count_nonzero(joined.shared[:, -1])),
        "shared_other_tokens": int(np.count_nonzero(joined.shared[:, :-1])),
        "dropped": joined.unmatched + joined.served - joined.recorded,
    }


def _checks(streams: int, values: dict[str, Any]) -> list[Check]:
    shared = None if values["shared_fraction"] is None else values["shared_fraction"] * 100
    dropped = Check("requests dropped or not whole", values["dropped"], high=0)
    early = Check("events seen before they were written", values["before_written"], high=0)
    ttft, gap = values["ttft"], values["gap"]
    if streams >= 1000:
        stamps = Check("events with a shared stamp", shared, high=2, unit="%")
        late = Check("TTFT error p99", ttft["p99_ms"], high=1, unit="ms")
        return [late, stamps, dropped, early]
    checks = [
        Check("TTFT error p99", ttft["p99_ms"], high=0.3, unit="ms"),
        Check("gap error p99", gap["p99_ms"], high=0.3, unit="ms"),
        dropped,
        early,
    ]
    if streams > 1:
        checks = [
            Check("TTFT error p50", ttft["p50_ms"], high=0.1, unit="ms"),
            Check("gap error p50", gap["p50_ms"], high=0.1, unit="ms"),
            *checks,
            Check("events with a shared stamp", shared, high=0, unit="%"),
        ]
    if streams == 512:
        cost = values["worker_cpu_s_per_1000"]
        what = "CPU-seconds of the worker for 1,000 answers, each event alone"
        checks.append(Check(what, cost, high=CPU_S_PER_1000, unit="s"))
    return checks
