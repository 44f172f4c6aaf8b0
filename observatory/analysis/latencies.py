"""Distributions of the request-grain and event-grain metrics over a stage's window.

A request that failed before the measured instant counts as infinitely slow, and where time counts
from `scheduled` so does one that was held back until the drain limit; statistics that end in _ok are
over successes only and always come second.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from observatory.analysis.events import pooled_gaps_s
from observatory.analysis.stage_data import StageData
from observatory.analysis.statistics.estimate import Estimate, absent
from observatory.analysis.statistics.series import Ordered
from observatory.analysis.windows import failure_bound_s
from observatory.core.metric import FLOORS, METRICS, QUANTILES, Metric

InTime = tuple[pl.DataFrame, NDArray[np.float64]]
"""Requests in the order of time, and the open requests at each one's instant."""
Row = tuple[str, str, Estimate]
"""Metric, statistic, estimate."""


def latency_rows(data: StageData) -> Iterator[Row]:
    """Yield p50 ... p999, mean and their _ok variants of every metric with quantiles."""
    bound_s = failure_bound_s(data.requests, data.window)
    sound = ~pl.col("clock_step")
    usable = data.in_time(data.counted.filter(sound))
    as_users_wait = data.in_time(data.offered.filter(sound))
    for metric in METRICS:
        if "of_stream" in metric.traits and not data.streamed:
            yield from _not_streamed(metric)
        elif metric.name == "itl_s":
            yield from _gap_rows(data, bound_s)
        elif metric.quantiles:
            waited = "from_scheduled" in metric.traits
            yield from _request_rows(as_users_wait if waited else usable, metric, bound_s)


def _not_streamed(metric: Metric) -> Iterator[Row]:
    """Yield no value, and why: the stage's answers did not come as streams."""
    for suffix in ("", "_ok"):
        for statistic in QUANTILES:
            estimate = replace(absent("not_streamed", 0), needs_n=FLOORS[statistic])
            yield metric.name, statistic + suffix, estimate
        yield metric.name, "mean" + suffix, absent("not_streamed", 0)


def population(usable: InTime, metric: Metric) -> tuple[Ordered, Ordered]:
    """Return a metric's values in time over all requests (failures infinite) and over successes only."""
    rows, load = usable
    succeeded = (rows.get_column("outcome") == "ok").to_numpy()
    values = rows.get_column(metric.name).to_numpy().astype(np.float64)
    known = ~np.isnan(values)
    of_ok = succeeded & known
    everything = of_ok | (~succeeded & known)
    slow_is_low = metric.better == "higher"
    if "of_client" not in metric.traits:
        values = np.where(~succeeded & ~known, -np.inf if slow_is_low else np.inf, values)
        everything |= ~succeeded
    return (
        Ordered(values[everything], load[everything], slow_is_low),
        Ordered(values[of_ok], load[of_ok], slow_is_low),
    )


def _request_rows(usable: InTime, metric: Metric, bound_s: float | None) -> Iterator[Row]:
    rows, _ = usable
    everything, of_ok = population(usable, metric)
    if rows.height and not len(of_ok.values) and (rows.get_column("outcome") == "ok").any():
        everything = of_ok  # no success shows this metric: failures show nothing of it
    if len(everything.values) == len(of_ok.values):
        everything = of_ok  # the same values: computed once
    for suffix, series in (("", everything), ("_ok", of_ok)):
        unobserved = not len(series.values) and rows.height > 0
        for statistic in QUANTILES:
            bound = bound_s if metric.better != "higher" else 0.0
            estimate = series.percentile(statistic, bound)
            if unobserved:
                estimate = replace(estimate, reason="not_observed")
            if metric.better == "higher" and estimate.low is not None:
                estimate = replace(estimate, low=max(0.0, estimate.low))
            yield metric.name, statistic + suffix, estimate
        average = absent("not_observed", 0) if unobserved else series.mean()
        yield metric.name, "mean" + suffix, average


def _gap_rows(data: StageData, bound_s: float | None) -> Iterator[Row]:
    counts, failed = _roles(data)
    gaps = _gap_statistics(data, counts, failed, bound_s)
    gaps_ok = gaps
    if (counts & failed).any():
        gaps_ok = _gap_statistics(data, counts & ~failed, failed, bound_s)
    yield from (("itl_s", statistic, estimate) for statistic, estimate in gaps.items())
    yield from (("itl_s", f"{statistic}_ok", estimate) for statistic, estimate in gaps_ok.items())


def _gap_statistics(
    data: StageData, counts: NDArray[np.bool_], failed: NDArray[np.bool_], bound_s: float | None
) -> dict[str, Estimate]:
    gaps = pooled_gaps_s(data.events, data.window, counts, failed)
    found = {statistic: gaps.percentile(statistic, bound_s) for statistic in QUANTILES}
    return found | {"mean": gaps.mean()}


def _roles(data: StageData) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return, by attempt: is it the final one of a counted request with a sound clock; did that fail."""
    marks = data.counted.filter(~pl.col("clock_step")).select(
        "request", (pl.col("outcome") != "ok").alias("failed")
    )
    joined = data.attempts.select("request", "final").join(
        marks, on="request", how="left", maintain_order="left"
    )
    failed = joined.get_column("failed")
    counts = joined.get_column("final") & failed.is_not_null()
    return counts.to_numpy(), failed.fill_null(False).to_numpy()
