"""What the load workers cost in CPU and memory, out of a run's ticks (its own heartbeat, once a second).

Pure.
"""

import math
from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True, slots=True)
class WorkerCost:
    """Over the ticks within a window. cpu_share: CPU-seconds a second, of the busiest worker."""

    cpu_s_per_1000: float
    cpu_share: float
    requests_per_s: float
    loop_lag_max_ms: float
    rss_max_mb: float


def worker_cost(ticks: pl.DataFrame, window: tuple[int, int]) -> WorkerCost:
    """Differences between each worker's first and last tick in the window, summed over workers."""
    kept = ticks.filter(
        (pl.col("kind") == "tick") & pl.col("at_ns").is_between(*window, closed="both")
    )
    workers = kept.group_by("worker").agg(
        (pl.col(name).max() - pl.col(name).min()).alias(name)
        for name in ("cpu_ns", "recorded", "at_ns")
    )
    spans = workers.filter(pl.col("at_ns") > 0)
    if not spans.height:
        return WorkerCost(math.nan, math.nan, math.nan, math.nan, math.nan)
    recorded = int(spans["recorded"].sum())
    return WorkerCost(
        cpu_s_per_1000=float(spans["cpu_ns"].sum()) / 1e6 / recorded if recorded else math.nan,
        cpu_share=float((spans["cpu_ns"] / spans["at_ns"]).max()),  # type: ignore[arg-type]
        requests_per_s=float((spans["recorded"] / spans["at_ns"]).sum()) * 1e9,
        loop_lag_max_ms=float(kept["loop_lag_ns"].max()) / 1e6,  # type: ignore[arg-type]
        rss_max_mb=float(kept["rss_bytes"].max()) / 1e6,  # type: ignore[arg-type]
    )


def memory_at(ticks: pl.DataFrame, shares: tuple[float, ...]) -> list[float]:
    """Megabytes (10^6 bytes) of the largest worker when that share of its requests was recorded."""
    kept = ticks.filter(pl.col("kind") == "tick").sort("at_ns")
    largest = kept.filter(pl.col("rss_bytes") == pl.col("rss_bytes").max())["worker"][0]
    one = kept.filter(pl.col("worker") == largest)
    total = int(one["recorded"][-1])
    return [
        float(one.filter(pl.col("recorded") >= share * total)["rss_bytes"][0]) / 1e6
        for share in shares
    ]
