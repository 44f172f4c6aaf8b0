"""Stage-grain rates and shares: tokens, requests and attempts a second, goodput, errors.

What arrived or ended in the window counts for throughput, whenever its request began; shares are
over the requests that the window's distributions are over.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from observatory.analysis.frames import STAGE_EXPRESSIONS
from observatory.analysis.latencies import Row
from observatory.analysis.stage_data import StageData
from observatory.analysis.statistics.estimate import Estimate, absent
from observatory.analysis.statistics.proportions import BATCHES, batch_sums, batches_too_short, rate
from observatory.analysis.statistics.series import share
from observatory.analysis.windows import Window
from observatory.core.metric import MEAN_FLOOR


def rate_rows(data: StageData) -> Iterator[Row]:
    """Yield the `value` of each rate and share."""
    yield "output_tps", "value", _arrival_rate(data, data.events.tokens)
    yield "chars_per_s", "value", _arrival_rate(data, data.events.characters)
    yield "request_rate", "value", _instants_rate(data, data.ended_ok(), "a_ended_ns")
    yield "attempt_rate", "value", _instants_rate(data, data.attempts, "sent_ns")
    fraction = goodput_fraction(data)
    yield "goodput_fraction", "value", fraction
    yield "goodput_rps", "value", _goodput_rps(data, fraction)
    failed = (data.in_time(data.offered)[0].get_column("outcome") != "ok").to_numpy()
    yield "error_rate", "value", share(failed, data.latency_dependence)
    yield "throttle_rate", "value", _throttle_rate(data)
    level, n = data.open_requests, data.offered.height
    yield "open_requests", "value", Estimate(level.mean, n=n)
    noise = None if level.trend else "within_noise"
    yield "open_requests_change", "value", Estimate(level.change, n=n, reason=noise)


def aggregate_rows(data: StageData) -> Iterator[Row]:
    """Yield the `value` of each metric whose entry has an aggregate of its own (Metric.stage_sql)."""
    requests = data.counted.lazy().with_columns(window_s=pl.lit(data.window.seconds))
    found = requests.select(
        pl.struct(value=value.cast(pl.Float64), n=n.cast(pl.Int64)).alias(name)
        for name, (value, n) in STAGE_EXPRESSIONS.items()
    ).collect()
    for name in STAGE_EXPRESSIONS:
        one = found.item(0, name)
        known = one["value"] is not None
        reason = None if known else "not_observed" if one["n"] else "no_requests"
        yield name, "value", Estimate(one["value"], n=one["n"], reason=reason)


def arrived(data: StageData, weights: NDArray[np.float32], window: Window) -> float | None:
    """Return the sum of an event weight (tokens, characters) over arrivals in a window; None: unknown."""
    total = float(weights[data.events.inside(window)].sum(dtype=np.float64))
    return None if np.isnan(total) else total


def _arrival_rate(data: StageData, weights: NDArray[np.float32]) -> Estimate:
    events, window = data.events, data.window
    inside = events.inside(window)
    n = int(np.count_nonzero(np.bincount(events.owner[inside], minlength=events.attempts)))
    if np.isnan(weights[inside]).any():
        return absent("tokens_unknown", n)
    batches = batch_sums(events.arrival_ns, weights, window.start_ns, window.end_ns)
    estimate = rate(batches, window.seconds, n, int(inside.sum()), scheduled(data, data.window))
    if weights is events.tokens and events.apportioned:
        return replace(estimate, reason="shared_out_by_characters")
    return estimate


def _instants_rate(data: StageData, frame: pl.DataFrame, instant: str) -> Estimate:
    window, at = data.window, frame.get_column(instant).drop_nulls().to_numpy().astype(np.int64)
    inside = at[(at >= window.start_ns) & (at < window.end_ns)]
    batches = batch_sums(inside, None, window.start_ns, window.end_ns)
    estimate = rate(batches, window.seconds, len(inside), len(inside), scheduled(data, data.window))
    if batches_too_short(inside):
        return replace(estimate, low=None, high=None)
    return estimate


def scheduled(data: StageData, window: Window, parts: int = BATCHES) -> NDArray[np.float64]:
    """Return requests of the stage that were scheduled in each equal part of a window."""
    at = data.requests.get_column("scheduled_ns").drop_nulls().to_numpy().astype(np.int64)
    return batch_sums(at, None, window.start_ns, window.end_ns, parts)


def goodput_fraction(data: StageData) -> Estimate:
    """Return the share of offered requests that succeeded within every bound.

    ttft and e2e are held as a user waits, from `scheduled`. A success whose bound cannot be decided
    (a stepped clock, an unknown token split, an answer that did not come as a stream) is left out and the reason is given.
    """
    if data.slo is None:
        return absent("no_slo")
    if not data.streamed and (data.slo.ttft is not None or data.slo.tpot is not None):
        return absent("not_streamed", data.offered.height)
    good = (
        data.in_time(data.offered)[0]
        .select(
            pl.when(pl.col("outcome") != "ok").then(False).otherwise(_meets(data)).alias("good")
        )
        .get_column("good")
    )
    decided = good.drop_nulls()
    estimate = share(decided.to_numpy(), data.latency_dependence, floor=MEAN_FLOOR, wanted=True)
    if len(decided) < len(good):
        return replace(estimate, reason="undecided_left_out")
    return estimate


def _meets(data: StageData) -> pl.Expr:
    """Return whether a success meets the SLO; null where it cannot be decided."""
    assert data.slo is not None
    no_pace = (
        (pl.col("a_streamed_tokens") <= 1)
        | (pl.col("a_events") <= 1)
        | (pl.col("a_streamed_tokens") <= pl.col("a_first_event_tokens"))
    ).fill_null(False) & pl.col("a_streamed").fill_null(True)
    bounds = pl.lit(True)
    if data.slo.ttft is not None:
        bounds &= pl.col("ttft_scheduled_s") <= data.slo.ttft
    if data.slo.e2e is not None:
        bounds &= pl.col("e2e_scheduled_s") <= data.slo.e2e
    if data.slo.tpot is not None:
        bounds &= (pl.col("tpot_s") <= data.slo.tpot) | no_pace
    return pl.when(~pl.col("clock_step")).then(bounds)


def _goodput_rps(data: StageData, fraction: Estimate) -> Estimate:
    """Return the fraction's requests over the window; its interval takes their number as given."""
    if fraction.value is None or not fraction.n:
        return replace(fraction, reason=fraction.reason or "no_requests")
    scale = fraction.n / data.window.seconds
    return replace(
        fraction,
        value=fraction.value * scale,
        low=None if fraction.low is None else fraction.low * scale,
        high=None if fraction.high is None else fraction.high * scale,
    )


def _throttle_rate(data: StageData) -> Estimate:
    counted = data.in_time(data.counted)[0]
    throttled, attempts = (
        counted.get_column(name).to_numpy() for name in ("attempts_throttled", "attempts_recorded")
    )
    each = np.arange(int(attempts.sum())) - np.repeat(np.cumsum(attempts) - attempts, attempts)
    return share(each < np.repeat(throttled, attempts), data.latency_dependence)
