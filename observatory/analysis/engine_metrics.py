"""The figures of the target's own engine for a stage: load, KV cache, prefix cache, times, tokens a second.

Its gauges are averaged over the readings in the window, and its counters are differences between the
first and the last of them. Nothing of the client's enters, so that both views can be compared.
"""

from collections.abc import Iterator

import numpy as np
import polars as pl
from numpy.typing import NDArray

from observatory.analysis.energy.energy_metrics import BasedRow, mean_reading, reading_rows
from observatory.analysis.stage_data import StageData
from observatory.analysis.statistics.estimate import Estimate, absent
from observatory.core.sample import RESTARTED

SERVER_TIMES = {
    "server_queue_s": "engine_queue_seconds",
    "server_prefill_s": "engine_prefill_seconds",
    "server_decode_s": "engine_decode_seconds",
    "server_ttft_s": "engine_ttft_seconds",
}
"""Our metric -> the histogram whose sum and count make its mean."""


def engine_metrics(data: StageData) -> Iterator[BasedRow]:
    """Yield `value` of each, and the p95 of the KV cache; null with a reason where the engine has none."""
    missing = _why_missing(data)
    kv_cache = engine_readings(data, "engine_kv_cache_fraction").get_column("value")
    yield from reading_rows("kv_cache_fraction", kv_cache, data.basis, missing)
    for state in ("running", "waiting"):
        readings = engine_readings(data, f"engine_requests_{state}").get_column("value")
        yield f"engine_{state}", "value", mean_reading(readings, missing), data.basis
    hits = _ratio(data, "engine_prefix_cache_hits_total", "engine_prefix_cache_queries_total")
    yield "prefix_cache_hit_fraction", "value", hits, data.basis
    yield "preemptions", "value", _grown(data, "engine_preemptions_total"), data.basis
    for metric, histogram in SERVER_TIMES.items():
        mean = _ratio(data, f"{histogram}_sum", f"{histogram}_count", of_requests=True)
        yield metric, "value", mean, data.basis
    yield "server_output_tps", "value", _rate(data, "engine_output_tokens_total"), data.basis


def sm_activity(data: StageData) -> Iterator[BasedRow]:
    """Yield sm_active_fraction by the DCGM exporter: mean over GPUs (or MIG instances), then over time."""
    inside = data.samples.filter(data.window.holds("at_ns"))
    readings = (
        inside.filter(sensor="dcgm", metric="sm_active_fraction")
        .drop_nulls("value")
        .sort("at_ns", "device", "value")
        .group_by("at_ns", maintain_order=True)  # a mean of floats depends on their order
        .agg(pl.col("value").mean())
        .get_column("value")
        .sort()
    )
    yield from reading_rows("sm_active_fraction", readings, "measured")


def engine_readings(data: StageData, metric: str) -> pl.DataFrame:
    """Return at_ns and value of the target's own engine in the window, in order."""
    return of_engine(data, metric).filter(data.window.holds("at_ns"))


def of_engine(data: StageData, metric: str) -> pl.DataFrame:
    """Return the same, of the whole run."""
    read = data.samples.filter(sensor="engine", subject="target", metric=metric)
    return read.drop_nulls("value").sort("at_ns").select("at_ns", "value")


def restarts_of(data: StageData, metric: str) -> pl.DataFrame:
    """Return at_ns of every restart of a counter of the target's engine, over the whole run."""
    read = data.samples.filter(sensor="engine", subject="target", metric=metric)
    restarted = pl.col("reason").str.starts_with(RESTARTED)
    return read.filter(pl.col("value").is_null(), restarted).select("at_ns")


def _why_missing(data: StageData) -> str:
    readings = data.samples.filter(sensor="engine", subject="target")
    return "engine_does_not_say" if readings.height else "no_engine_page"


def _counter(data: StageData, metric: str) -> NDArray[np.float64] | Estimate:
    """Return its readings in the window, or why they give no figure for it."""
    values = engine_readings(data, metric).get_column("value").to_numpy()
    if not len(values):
        return absent(_why_missing(data))
    if len(values) < 2:
        return absent("too_few_readings")
    inside = restarts_of(data, metric).filter(data.window.holds("at_ns"))
    if (np.diff(values) < 0).any() or inside.height:
        return absent("counter_restarted")
    return values


def _grown(data: StageData, metric: str) -> Estimate:
    values = _counter(data, metric)
    if isinstance(values, Estimate):
        return values
    return Estimate(value=float(values[-1] - values[0]))


def _ratio(data: StageData, over: str, under: str, *, of_requests: bool = False) -> Estimate:
    """Return the growth of one counter over that of another, from readings that have both."""
    above, below = _grown(data, over), _grown(data, under)
    for part in (above, below):
        if part.value is None:
            return part
    assert above.value is not None
    assert below.value is not None
    if below.value == 0:
        return absent("not_observed", 0 if of_requests else None)
    n = round(below.value) if of_requests else None
    return Estimate(value=above.value / below.value, n=n)


def _rate(data: StageData, metric: str) -> Estimate:
    grown = _grown(data, metric)
    if grown.value is None:
        return grown
    instants = engine_readings(data, metric).get_column("at_ns").to_numpy()
    return Estimate(value=grown.value * 1e9 / float(instants[-1] - instants[0]))
