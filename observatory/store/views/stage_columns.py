"""Stage metrics side by side: how a row of stage_metrics is called as a column of stage_summary.

A quantile is put between stem and unit (ttft_p50_s, ttft_p50_low_s); a metric with one value a
stage keeps its own name (goodput_rps, goodput_rps_low).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from observatory.core.metric import FLOORS, METRICS, QUANTILES, Metric

End = Literal["low", "high"]
_UNIT_ENDINGS = ("_s", "_w", "_j", "_bytes", "_fraction", "_usd")
INTERVAL_ENDING = "end of the 95 % interval"
"""Ends the comment of every column that is an interval's end."""


@dataclass(frozen=True, slots=True)
class StageColumn:
    """One wide column: which rows of stage_metrics it is made of, and which of their fields."""

    name: str
    metric: Metric
    statistic: str
    field: Literal["value", "low", "high"]
    comment: str


def column_name(
    metric: Metric, statistic: str, end: End | Literal["least", "most"] | None = None
) -> str:
    """Return the wide column of a metric's statistic, of an end of its interval, or of its range over runs."""
    suffix = f"_{end}" if end else ""
    if statistic == "value":
        return f"{metric.name}{suffix}"
    unit = next((ending for ending in _UNIT_ENDINGS if metric.name.endswith(ending)), "")
    return f"{metric.name.removesuffix(unit)}_{statistic}{suffix}{unit}"


def stage_columns() -> tuple[StageColumn, ...]:
    """Return every wide column, in the order of the metric table."""
    return tuple(column for metric in METRICS for column in _columns_of(metric))


def _columns_of(metric: Metric) -> Iterator[StageColumn]:
    if not metric.quantiles:
        unit = _unit(metric)
        what = f"{metric.title}{unit}: {metric.definition}"
        yield StageColumn(column_name(metric, "value"), metric, "value", "value", what)
        yield from _interval(metric, "value", metric.title + unit)
        if "with_p95" in metric.traits:
            what = f"{metric.title}{unit}: 95th percentile of the readings in the window"
            yield StageColumn(column_name(metric, "p95"), metric, "p95", "value", what)
        return
    yield StageColumn(
        column_name(metric, "mean"),
        metric,
        "mean",
        "value",
        f"{metric.title}, mean{_unit(metric)}",
    )
    for statistic in QUANTILES:
        title = f"{metric.title}, {statistic}{_unit(metric)}"
        comment = f"{title}: null below {FLOORS[statistic]} requests; failures count as infinite"
        yield StageColumn(column_name(metric, statistic), metric, statistic, "value", comment)
        yield from _interval(metric, statistic, title)


def _interval(metric: Metric, statistic: str, title: str) -> Iterator[StageColumn]:
    ends: tuple[End, End] = ("low", "high")
    for end in ends:
        word = "lower" if end == "low" else "upper"
        yield StageColumn(
            column_name(metric, statistic, end),
            metric,
            statistic,
            end,
            f"{title}: {word} {INTERVAL_ENDING}",
        )


def _unit(metric: Metric) -> str:
    return "" if metric.unit == "1" else f", {metric.unit}"
