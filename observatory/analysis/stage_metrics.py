"""The figures of a sealed run: every metric of every stage, its costs, and the tokens billed.

A pure function of the manifest and the sealed frames, so that `rebuild` gives the same rows.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

import polars as pl

from observatory.analysis.billing.billed_tokens import billed_tokens, stage_costs
from observatory.analysis.billing.money_metrics import money_metrics, score_metrics
from observatory.analysis.energy.energy_metrics import (
    BasedRow,
    energy_metrics,
    scopes_of,
    sensor_metrics,
)
from observatory.analysis.engine_metrics import engine_metrics, sm_activity
from observatory.analysis.frames import request_frame
from observatory.analysis.latencies import Row, latency_rows
from observatory.analysis.rates import aggregate_rows, rate_rows
from observatory.analysis.stage_data import Basis, StageData, gather
from observatory.analysis.statistics.estimate import Estimate, absent
from observatory.analysis.windows import Window, loaded_stages, window_of
from observatory.core.metric import FLOORS, METRICS, QUANTILES, has_trait
from observatory.core.run import Manifest
from observatory.store.frames import RunFigures, RunFrames, frame_of
from observatory.store.schema.tables import STAGE_COSTS, STAGE_METRICS

_PLACES = {metric.name: place for place, metric in enumerate(METRICS)}
_STATISTICS = ("value", *QUANTILES, "mean", *(f"{name}_ok" for name in (*QUANTILES, "mean")))


def run_figures(manifest: Manifest, frames: RunFrames) -> RunFigures:
    """Compute everything that a sealed run's facts give: metrics and costs of each stage, the tokens billed.

    Metrics with quantiles have p50 ... p999 and mean, and the same with _ok; the others `value`.
    A stage without a steady window has them all null with reason `no_window`, and no costs.
    """
    requests = request_frame(frames)
    billed = billed_tokens(manifest, frames)
    metrics: list[tuple[object, ...]] = []
    costs: list[tuple[object, ...]] = []
    for stage in loaded_stages(manifest):
        window = window_of(manifest, stage)
        if window is None:
            metrics += _metric_rows(stage.index, _without_window(), None, {})
            continue
        data = gather(manifest, frames, requests, window)
        metrics += _metric_rows(stage.index, _of_stage(data), window, scopes_of(data))
        costs += stage_costs(data, billed)
    return RunFigures(frame_of(STAGE_METRICS, metrics), billed, frame_of(STAGE_COSTS, costs))


def stage_metrics(manifest: Manifest, frames: RunFrames) -> pl.DataFrame:
    """Return one row a stage, metric and statistic: the part of run_figures that is in no bill."""
    return run_figures(manifest, frames).stage_metrics


def _metric_rows(
    stage: int, found: Iterable[BasedRow], window: Window | None, scopes: Mapping[str, str | None]
) -> Iterator[tuple[object, ...]]:
    """Yield rows of STAGE_METRICS without run_id, in the order of the metric table."""
    ordered = sorted(found, key=lambda row: (_PLACES[row[0]], _STATISTICS.index(row[1])))
    for metric, statistic, estimate, basis in ordered:
        yield (
            stage,
            metric,
            statistic,
            estimate.value,
            estimate.low,
            estimate.high,
            estimate.bound,
            estimate.n,
            estimate.needs_n,
            basis if estimate.value is not None else None,
            estimate.reason,
            scopes.get(metric) if estimate.value is not None else None,
            estimate.effective_n,
            needs_s(estimate, window),
        )


def needs_s(estimate: Estimate, window: Window | None) -> float | None:
    """Return how long a window would have to be, at this load, for a figure that is below its floor."""
    if window is None or estimate.reason != "sample_floor" or estimate.needs_n is None:
        return None
    has = estimate.n if estimate.effective_n is None else estimate.effective_n
    return window.seconds * estimate.needs_n / has if has else None


def _of_stage(data: StageData) -> Iterator[BasedRow]:
    yield from (_based(data, row) for row in latency_rows(data))
    yield from (_based(data, row) for row in rate_rows(data))
    yield from (_based(data, row) for row in aggregate_rows(data))
    yield from engine_metrics(data)
    yield from sensor_metrics(data)
    yield from sm_activity(data)
    yield from energy_metrics(data)
    yield from money_metrics(data)
    yield from score_metrics(data)


def _based(data: StageData, row: Row) -> BasedRow:
    metric, statistic, estimate = row
    basis: Basis | None = data.basis
    if has_trait(metric, "of_streamed_tokens"):
        basis = data.tokens_basis("a_streamed_tokens_from")
    return metric, statistic, estimate, basis


def _without_window() -> Iterator[BasedRow]:
    for metric in METRICS:
        statistics = _STATISTICS[1:] if metric.quantiles else _STATISTICS[:1]
        for statistic in statistics:
            needs = FLOORS.get(statistic.removesuffix("_ok"))
            estimate = absent("no_window", 0 if metric.quantiles else None)
            yield metric.name, statistic, replace(estimate, needs_n=needs), None
