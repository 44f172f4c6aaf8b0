"""Open loops: do requests leave when they should, as the server saw it? 8 tokens, 5 ms apart.

Of few gaps even a perfect Poisson process has a CV far from 1, so below ENOUGH_GAPS the figure is held
against the plan's own gaps, which the records carry as `scheduled`.
"""

import math
from typing import Any

import numpy as np
import polars as pl

from benchmarks.bench import Bench, loaded
from benchmarks.client import ClientRun, Load
from benchmarks.figures import dispersion, lag_one_correlation, percentile, variation
from benchmarks.joining import join
from benchmarks.results import Check, Measurement
from benchmarks.truth_log import TruthLog
from benchmarks.truth_server import Schedule

TOKENS = 8
SCHEDULE = Schedule(ttft_us=5_000, gap_us=5_000, tokens=TOKENS)
RATES = (20, 100, 300, 1000)
ENOUGH_GAPS = 4000
"""The standard error of the CV of n exponential gaps is about 1 / sqrt(n): 0.016 here, half of 0.03."""
COUNTS_A_BIN = 10


def measure(bench: Bench, arrivals: str, processes: int = 1) -> Measurement:
    """One run a rate."""
    name = f"open-{arrivals}" + ("-two-processes" if processes > 1 else "")
    found = Measurement(name)
    for rate in RATES if processes == 1 else RATES[2:]:
        load = Load(
            tokens=TOKENS,
            rate_per_s=rate,
            arrivals=arrivals,
            steady_s=bench.window_s(20),
            processes=processes,
        )
        run, log = bench.observe(SCHEDULE, load)
        row = {"rate_per_s": rate, "processes": processes, **arrivals_of(run, log, rate)}
        found.rows.append({**row, **loaded(run, log)})
        found.checks += _rate_checks(row, arrivals)
        found.checks += _poisson_checks(row) if arrivals == "poisson" else [_even_check(row)]
    return found


def arrivals_of(run: ClientRun, log: TruthLog, rate: float) -> dict[str, Any]:
    """Of the requests that were due in the steady window; lateness in milliseconds."""
    start, end = (instant + run.anchor_ns for instant in run.window)
    joined = join(log, run.requests, run.attempts, run.anchor_ns, TOKENS)
    steady = joined.only(joined.steady)
    due = run.requests.filter(pl.col("phase") == "steady")
    planned = np.sort(due["scheduled_ns"].to_numpy())
    seen = np.sort(steady.read_ns)
    gaps, planned_gaps = np.diff(seen), np.diff(planned)
    bin_ns = round(COUNTS_A_BIN / rate * 1e9)
    in_window = int(np.count_nonzero((seen >= start) & (seen < end)))
    lag = _lag_ns(run)
    return {
        "planned": int(planned.size),
        "arrived": in_window,
        "rate_off_percent": abs(in_window / planned.size - 1) * 100 if planned.size else None,
        "asked_off_percent": abs(in_window / (rate * (end - start) / 1e9) - 1) * 100,
        "sched_lag_p50_ms": percentile(lag, 0.5) / 1e6,
        "sched_lag_p99_ms": percentile(lag, 0.99) / 1e6,
        "arrival_late_p99_ms": percentile(steady.read_ns - steady.scheduled_ns, 0.99) / 1e6,
        "gaps": int(gaps.size),
        "gap_cv": variation(gaps),
        "planned_gap_cv": variation(planned_gaps),
        "lag_one": lag_one_correlation(gaps),
        "planned_lag_one": lag_one_correlation(planned_gaps),
        "dispersion": dispersion(seen, start, end, bin_ns),
        "planned_dispersion": dispersion(planned + run.anchor_ns, start, end, bin_ns),
        "unmatched": joined.unmatched,
    }


def _lag_ns(run: ClientRun) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The product's own sched_lag: first try's sent - scheduled - pace_wait, due in the window."""
    first = run.attempts.filter(pl.col("first_sent")).select("stage", "request", "sent_ns")
    due = run.requests.filter(pl.col("phase") == "steady")
    lag = due.join(first, on=["stage", "request"]).select(
        pl.col("sent_ns") - pl.col("scheduled_ns") - pl.col("pace_wait_ns").fill_null(0)
    )
    return lag.to_series().to_numpy().astype(np.int64)


def _rate_checks(row: dict[str, Any], arrivals: str) -> list[Check]:
    at = f"{arrivals} {row['rate_per_s']}/s"
    if row["processes"] > 1:
        at += f", {row['processes']} processes"
    # On one core two processes compete; their lag is judged where they have a core each.
    lag = [] if row["processes"] > 1 else [_lag_check(row, at)]
    return [Check(f"{at}: rate off by", row["rate_off_percent"], high=0.5, unit="%"), *lag]


def _lag_check(row: dict[str, Any], at: str) -> Check:
    bound = 0.3 if row["rate_per_s"] <= 300 else 0.6
    return Check(f"{at}: schedule lag p99", row["sched_lag_p99_ms"], high=bound, unit="ms")


def _even_check(row: dict[str, Any]) -> Check:
    bound = 0.1 if row["rate_per_s"] <= 300 else 0.25
    return Check(f"constant {row['rate_per_s']}/s: gap CV", row["gap_cv"], high=bound)


def _poisson_checks(row: dict[str, Any]) -> list[Check]:
    at = f"poisson {row['rate_per_s']}/s"
    if row["processes"] > 1:
        at += f", {row['processes']} processes"
    variation_seen, correlation, note = row["gap_cv"], row["lag_one"], ""
    if row["gaps"] < ENOUGH_GAPS:
        variation_seen = 1 + row["gap_cv"] - row["planned_gap_cv"]
        correlation = row["lag_one"] - row["planned_lag_one"]
        note = f"{row['gaps']} gaps are too few: difference from the plan's own"
    return [
        Check(f"{at}: gap CV", variation_seen, low=0.97, high=1.03, note=note),
        Check(
            f"{at}: lag-1 correlation of gaps, size",
            math.nan if math.isnan(correlation) else abs(correlation),
            high=0.05,
            note=note,
        ),
    ]
