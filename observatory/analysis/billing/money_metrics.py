"""What a stage cost and what it was worth: dollars per request, token, character, correct answer.

Billing by tokens adds up requests that ended in the window; billing by hours charges the window
itself (reservation-based), and the time in which it worked (usage-based). A price or a count
that is not known makes a missing figure, never zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
from numpy.typing import NDArray

from observatory.analysis.checks.energy_checks import mean_power_w, withheld
from observatory.analysis.energy.energy_metrics import BASES, BasedRow, chosen_rows
from observatory.analysis.rates import scheduled
from observatory.analysis.stage_data import Basis, StageData
from observatory.analysis.statistics.bootstrap import FIXED, WINDOWS, over_windows, ratio_of_sums
from observatory.analysis.statistics.clusters import mean_share
from observatory.analysis.statistics.estimate import Estimate, absent
from observatory.analysis.statistics.proportions import batch_sums
from observatory.analysis.statistics.series import too_few
from observatory.core.metric import MEAN_FLOOR
from observatory.economics import machine_money

_STATED = pl.col("a_prompt_tokens").is_not_null() & (
    (pl.col("a_output_tokens").is_not_null() & pl.col("a_output_tokens_from").eq_missing("usage"))
    | (
        # Usage states the output, and a total that has more: the statement only splits the text.
        pl.col("a_output_tokens").is_null()
        & pl.col("a_streamed_tokens_from").is_in(["usage", "characters"]).fill_null(value=False)
    )
)
"""Whether usage states the counts of an answer, be they true or not."""


@dataclass(frozen=True, slots=True)
class WindowCost:
    """Dollars of a window; reason is why they are missing or doubtful."""

    usd: float | None
    basis: Basis | None
    reason: str | None = None


def cost_of(data: StageData) -> WindowCost:
    """Return the window's cost by the target's billing; by hours all of its time."""
    if data.prices.basis is None:
        return WindowCost(None, None, "no_price")
    if data.prices.usd_per_hour is not None:
        return _cost_by_hours(data, 1.0)
    ended = data.requests.filter(data.window.holds("a_ended_ns"))
    missing = ended.filter(pl.col("cost_usd").is_null())
    unknown = missing.filter(pl.col("outcome") == "ok")
    if unknown.height:
        stated = unknown.filter(_STATED).height
        return WindowCost(
            None, None, "token_counts_contradict" if stated else "token_counts_missing"
        )
    billed_perhaps = missing.filter(pl.col("a_first_event_ns").is_not_null()).height
    return WindowCost(
        float(ended.get_column("cost_usd").sum()),
        data.prices.basis,
        "failed_requests_without_usage" if billed_perhaps else None,
    )


def usage_cost_of(data: StageData) -> WindowCost:
    """Return the cost of the time in which it worked; by tokens the same as cost_of."""
    if data.prices.usd_per_hour is None:
        return cost_of(data)
    return _cost_by_hours(data, data.busy_fraction)


def _cost_by_hours(data: StageData, busy_fraction: float) -> WindowCost:
    energy, no_energy = energy_in_window(data)
    parts = machine_money.machine_components(
        data.prices, data.window.seconds, energy, no_energy, busy_fraction
    )
    usd, reason = machine_money.total_usd(parts)
    guessed = [part.basis for part in parts if part.basis in BASES]
    basis = max(guessed, key=BASES.index) if guessed else data.prices.basis
    return WindowCost(usd, basis, reason)


def energy_in_window(data: StageData) -> tuple[list[machine_money.Joules], str | None]:
    """Return the target's joules by scope, the data centre's overhead included; or none, and why.

    None of them where the window's energy does not pass its gates, as in the energy figures.
    """
    why = withheld(data)
    if why is not None:
        return [], why
    idle = {row.scope: row for row in chosen_rows(data, "target", stage=None)}
    rows = chosen_rows(data, "target", stage=data.window.stage)
    return [
        machine_money.Joules(
            row.scope,
            row.energy_j,
            row.basis,
            row.method,
            mean_power_w(idle[row.scope]) if row.scope in idle else None,
            row.reason,
        )
        for row in rows
    ], None


def money_metrics(data: StageData) -> Iterator[BasedRow]:
    """Yield cost_usd and what derives from it, usage-based figures too, and the next request's cost."""
    cost, usage = cost_of(data), usage_cost_of(data)
    n = data.ended_ok().height
    yield "cost_usd", "value", Estimate(cost.usd, n=n, reason=cost.reason), cost.basis
    per_thousand = _per_1k(data, cost)
    yield "usd_per_1k_requests", "value", per_thousand, cost.basis
    yield from _of_tokens(data, cost, "")
    busy = Estimate(data.busy_fraction, n=data.offered.height)
    yield "busy_fraction", "value", busy, data.basis
    yield "usage_cost_usd", "value", Estimate(usage.usd, n=n, reason=usage.reason), usage.basis
    yield "usage_usd_per_1k_requests", "value", _per_1k(data, usage), usage.basis
    yield from _of_tokens(data, usage, "usage_")
    yield "marginal_usd_per_1k_requests", "value", *_marginal(data, per_thousand, cost)
    characters = _per(data, cost, "a_answer_characters", 1e3, "no_characters")
    yield "usd_per_1k_characters", "value", characters, cost.basis
    scores = data.ended_ok().get_column("score").drop_nulls()
    if cost.usd is not None and not len(scores):
        correct = absent("no_scores", n)
    else:
        correct = _per(data, cost, "score", 1.0, "none_correct", strict=False)
    yield "usd_per_correct", "value", correct, cost.basis


def _of_tokens(data: StageData, cost: WindowCost, prefix: str) -> Iterator[BasedRow]:
    """Yield the cost per million output tokens, and per million of prompt and output together."""
    basis = cost.basis
    if basis and data.tokens_basis("a_output_tokens_from") == "estimated":
        basis = "estimated"
    both = pl.col("a_output_tokens") + pl.col("a_prompt_tokens")
    amounts = {"output": pl.col("a_output_tokens"), "tokens": both}
    for name, amount in amounts.items():
        figure = _per(data, cost, amount, 1e6, "no_tokens")
        yield f"{prefix}usd_per_million_{name}", "value", figure, basis


def _marginal(
    data: StageData, per_thousand: Estimate, cost: WindowCost
) -> tuple[Estimate, Basis | None]:
    """Return the next request's cost: by tokens the same as on average; by hours the electricity above the
    idle draw."""
    if data.prices.usd_per_hour is None:
        return per_thousand, cost.basis
    energy, _ = energy_in_window(data)
    usd = machine_money.marginal_usd(data.prices, data.window.seconds, energy)
    n = data.ended_ok().height
    if usd is None:
        return absent("electricity_above_idle_not_known", n), None
    figure = _per_1k(data, WindowCost(usd, cost.basis))
    if figure.value == 0:
        figure = replace(figure, low=None, high=None, reason="paid_by_the_hour")
    return figure, cost.basis if figure.value is not None else None


def score_metrics(data: StageData) -> Iterator[BasedRow]:
    """Yield the mean score over the window's requests that had an expected answer; failures score 0.

    A failed request had one where its item names a scorer, unless that very prompt was answered
    elsewhere in the run and could not be scored.
    """
    scored = pl.col("score").is_not_null()
    succeeded = pl.col("outcome") == "ok"
    never_scored = (
        data.run_requests.filter(succeeded)
        .group_by("prompt_id")
        .agg(scored.any().alias("scored"))
        .filter(~pl.col("scored"))
        .get_column("prompt_id")
    )
    lost = (
        ~succeeded
        & pl.col("scorer").is_not_null()
        & (pl.col("scorer") != "none")
        & ~pl.col("prompt_id").is_in(never_scored.implode())
    )
    expected = data.counted.filter((succeeded & scored) | lost).select(
        "prompt_id", pl.when(succeeded).then("score").otherwise(0.0).alias("score")
    )
    owners = expected.get_column("prompt_id").rank("dense").to_numpy().astype(np.int64) - 1
    estimate = mean_share(expected.get_column("score").to_numpy().astype(np.float64), owners)
    if estimate.n is not None and 0 < estimate.n < MEAN_FLOOR:
        estimate = too_few(estimate.n, estimate.n, MEAN_FLOOR)
    yield "score", "value", estimate, data.basis


def _per_1k(data: StageData, cost: WindowCost) -> Estimate:
    return _per(data, cost, pl.lit(1.0), 1e3, "no_successes")


def _per(
    data: StageData,
    cost: WindowCost,
    amount: pl.Expr | str,
    unit: float,
    empty: str,
    *,
    strict: bool = True,
) -> Estimate:
    """Return the cost over an amount of the window's successes, times unit; null below MEAN_FLOOR requests.

    strict: a success without the amount leaves the figure unknown. The interval is one over requests
    in the order of their ends, where each has its cost; by hours it is one over parts of the window, whose
    cost is certain and whose amounts vary.
    """
    column = pl.col(amount) if isinstance(amount, str) else amount
    ended = data.requests.filter(data.window.holds("a_ended_ns")).sort("a_ended_ns", "request")
    succeeded = pl.col("outcome") == "ok"
    n = int(ended.select(succeeded.sum()).item())
    if cost.usd is None:
        return absent(cost.reason or "no_price", n)
    each = ended.select(
        pl.col("a_ended_ns").alias("at"),
        pl.col("cost_usd").alias("usd"),
        pl.when(succeeded).then(column).otherwise(0.0).cast(pl.Float64).alias("amount"),
    )
    if strict and each.get_column("amount").null_count():
        return absent("token_counts_missing", n)
    each = each.with_columns(pl.col("amount").fill_null(0.0))
    total = float(each.get_column("amount").sum())
    if total == 0:
        return absent(empty, n)
    if each.height < MEAN_FLOOR:
        return too_few(each.height, each.height, MEAN_FLOOR)
    amounts = each.get_column("amount").to_numpy()
    if data.prices.usd_per_hour is not None:
        return _by_hours(
            data, cost, each.get_column("at").to_numpy().astype(np.int64), amounts, unit
        )
    usd = each.get_column("usd")
    if usd.null_count():  # their cost is not known: no interval, and the reason is with the cost
        value = cost.usd / total * unit
        return Estimate(value, n=n, needs_n=MEAN_FLOOR, reason=cost.reason)
    figure = ratio_of_sums(usd.to_numpy().astype(np.float64), amounts, unit)
    return replace(figure, n=n, reason=cost.reason or figure.reason)


def _by_hours(
    data: StageData,
    cost: WindowCost,
    at_ns: NDArray[np.int64],
    amounts: NDArray[np.float64],
    unit: float,
) -> Estimate:
    """Return the estimate, bootstrapped over parts of the window: its cost is certain, what it served varies."""
    assert cost.usd is not None
    window = data.window
    parts = batch_sums(at_ns, amounts, window.start_ns, window.end_ns, WINDOWS)
    n = data.ended_ok().height
    value = cost.usd / float(parts.sum()) * unit
    figure = Estimate(value, n=n, needs_n=MEAN_FLOOR, reason=cost.reason)
    if cost.usd <= 0:
        return figure
    ends = over_windows(cost.usd, parts, unit, scheduled(data, window, WINDOWS))
    if ends is None:
        return replace(figure, reason=cost.reason or FIXED)
    return replace(figure, low=ends[0], high=ends[1])
