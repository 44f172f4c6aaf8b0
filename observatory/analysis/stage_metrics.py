"""Every metric of the metric table for every stage of a run: the rows of table stage_metrics.

A pure function of the manifest and the sealed frames, so that `rebuild` gives the same rows.
"""

from collections.abc import Iterator
from dataclasses import replace

import polars as pl

from observatory.analysis.energy_metrics import (
    BasedRow,
    energy_metrics,
    scopes_of,
    sensor_metrics,
)
from observatory.analysis.engine_metrics import engine_metrics, sm_activity
from observatory.analysis.estimate import Estimate, absent
from observatory.analysis.frames import request_frame
from observatory.analysis.latencies import Row, latency_rows
from observatory.analysis.money_metrics import money_metrics, score_metrics
from observatory.analysis.rates import rate_rows
from observatory.analysis.stage_data import Basis, StageData, gather
from observatory.analysis.windows import Window, loaded_stages, window_of
from observatory.core.metric import FLOORS, METRICS, QUANTILES
from observatory.core.run import Manifest
from observatory.store.frames import RunFrames, polars_schema
from observatory.store.schema import STAGE_METRICS

OF_STREAMED_TOKENS = frozenset({"tpot_s", "output_tps_user", "output_tps"})
"""Metrics that count tokens by their text: no better than what counted them."""
_PLACES = {metric.name: place for place, metric in enumerate(METRICS)}
_STATISTICS = ("value", *QUANTILES, "mean", *(f"{name}_ok" for name in (*QUANTILES, "mean")))


def stage_metrics(manifest: Manifest, frames: RunFrames) -> pl.DataFrame:
    """One row a stage, metric and statistic; columns of STAGE_METRICS without run_id.

    Metrics with quantiles have p50 ... p999 and mean, and the same with _ok; the others `value`.
    A stage without a steady window has them all null with reason `no_window`.
    """
    requests = request_frame(frames)
    rows: list[tuple[object, ...]] = []
    for stage in loaded_stages(manifest):
        window = window_of(manifest, stage)
        scopes: dict[str, str | None] = {}
        if window is None:
            found = _without_window()
        else:
            data = gather(manifest, frames, requests, window)
            found, scopes = _of_stage(data), scopes_of(data)
        ordered = sorted(found, key=lambda row: (_PLACES[row[0]], _STATISTICS.index(row[1])))
        for metric, statistic, estimate, basis in ordered:
            rows.append(
                (
                    stage.index,
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
            )
    schema = polars_schema(STAGE_METRICS)
    names = [name for name in schema if name != "run_id"]
    return pl.DataFrame(rows, schema={name: schema[name] for name in names}, orient="row")


def needs_s(estimate: Estimate, window: Window | None) -> float | None:
    """How long a window would have to be, at this load, for a figure that is below its floor."""
    if window is None or estimate.reason != "sample_floor" or estimate.needs_n is None:
        return None
    has = estimate.n if estimate.effective_n is None else estimate.effective_n
    return window.seconds * estimate.needs_n / has if has else None


def _of_stage(data: StageData) -> Iterator[BasedRow]:
    yield from (_based(data, row) for row in latency_rows(data))
    yield from (_based(data, row) for row in rate_rows(data))
    yield from engine_metrics(data)
    yield from sensor_metrics(data)
    yield from sm_activity(data)
    yield from energy_metrics(data)
    yield from money_metrics(data)
    yield from score_metrics(data)


def _based(data: StageData, row: Row) -> BasedRow:
    metric, statistic, estimate = row
    basis: Basis | None = data.basis
    if metric in OF_STREAMED_TOKENS:
        basis = data.tokens_basis("a_streamed_tokens_from")
    return metric, statistic, estimate, basis


def _without_window() -> Iterator[BasedRow]:
    for metric in METRICS:
        statistics = _STATISTICS[1:] if metric.quantiles else _STATISTICS[:1]
        for statistic in statistics:
            needs = FLOORS.get(statistic.removesuffix("_ok"))
            estimate = absent("no_window", 0 if metric.quantiles else None)
            yield metric.name, statistic, replace(estimate, needs_n=needs), None
