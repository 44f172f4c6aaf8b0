"""What a stage cost and what it was worth: dollars per request, token, character, correct answer.

Billing by tokens adds up requests that ended in the window; billing by hours charges the window
itself (reservation-based), and beside it the time in which it worked (usage-based). A price or a count
that is not known makes a missing figure, never zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from observatory.analysis.clusters import mean_share
from observatory.analysis.energy_checks import mean_power_w, withheld
from observatory.analysis.energy_metrics import BASES, BasedRow, chosen_rows
from observatory.analysis.estimate import Estimate, absent
from observatory.analysis.quantiles import mean
from observatory.analysis.rates import request_rate
from observatory.analysis.stage_data import Basis, StageData
from observatory.economics.machine_money import (
    Joules,
    machine_components,
    marginal_usd,
    total_usd,
)


@dataclass(frozen=True, slots=True)
class Cost:
    """Dollars of a window; reason says why they are missing or doubtful."""

    usd: float | None
    basis: Basis | None
    reason: str | None = None


def cost_of(data: StageData) -> Cost:
    """The window's cost by the target's billing; by hours all of its time."""
    if data.prices.basis is None:
        return Cost(None, None, "no_price")
    if data.prices.usd_per_hour is not None:
        return _cost_by_hours(data, 1.0)
    ended = data.requests.filter(data.window.holds("a_ended_ns"))
    missing = ended.filter(pl.col("cost_usd").is_null())
    unknown = missing.filter(pl.col("outcome") == "ok")
    if unknown.height:
        counted = unknown.select("a_prompt_tokens", "a_output_tokens").drop_nulls().height
        return Cost(None, None, "token_counts_contradict" if counted else "token_counts_missing")
    billed_perhaps = missing.filter(pl.col("a_first_event_ns").is_not_null()).height
    return Cost(
        float(ended.get_column("cost_usd").sum()),
        data.prices.basis,
        "failed_requests_without_usage" if billed_perhaps else None,
    )


def usage_cost_of(data: StageData) -> Cost:
    """The cost of the time in which it worked; by tokens the same as cost_of."""
    if data.prices.usd_per_hour is None:
        return cost_of(data)
    return _cost_by_hours(data, data.busy_fraction)


def _cost_by_hours(data: StageData, busy_fraction: float) -> Cost:
    energy, no_energy = energy_in_window(data)
    parts = machine_components(data.prices, data.window.seconds, energy, no_energy, busy_fraction)
    usd, reason = total_usd(parts)
    guessed = [part.basis for part in parts if part.basis in BASES]
    basis = max(guessed, key=BASES.index) if guessed else data.prices.basis
    return Cost(usd, basis, reason)


def energy_in_window(data: StageData) -> tuple[list[Joules], str | None]:
    """The target's joules by scope, the data centre's overhead included; or none, and why.

    None of them where the window's energy does not pass its gates, as in the energy figures.
    """
    why = withheld(data)
    if why is not None:
        return [], why
    idle = {row.scope: row for row in chosen_rows(data, "target", stage=None)}
    rows = chosen_rows(data, "target", stage=data.window.stage)
    return [
        Joules(
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
    """cost_usd and what derives from it, usage-based figures beside, and the next request's cost."""
    cost, usage, ended = cost_of(data), usage_cost_of(data), data.ended_ok()
    n = ended.height
    yield "cost_usd", "value", Estimate(cost.usd, n=n, reason=cost.reason), cost.basis
    per_thousand = _interval_per_1k(data, cost, _per(cost, n, 1e3, "no_successes", n))
    yield "usd_per_1k_requests", "value", per_thousand, cost.basis
    yield from _of_tokens(data, cost, ended, "")
    busy = Estimate(data.busy_fraction, n=data.offered.height)
    yield "busy_fraction", "value", busy, data.basis
    yield "usage_cost_usd", "value", Estimate(usage.usd, n=n, reason=usage.reason), usage.basis
    used = _interval_per_1k(data, usage, _per(usage, n, 1e3, "no_successes", n))
    yield "usage_usd_per_1k_requests", "value", used, usage.basis
    yield from _of_tokens(data, usage, ended, "usage_")
    yield "marginal_usd_per_1k_requests", "value", *_marginal(data, per_thousand, cost, n)
    characters = float(ended.get_column("a_answer_characters").sum())
    yield (
        "usd_per_1k_characters",
        "value",
        _per(cost, characters, 1e3, "no_characters", n),
        cost.basis,
    )
    scores = ended.get_column("score").drop_nulls()
    worth = float(scores.sum()) if len(scores) else None
    correct = _per(cost, worth, 1.0, "none_correct", n, unknown="no_scores")
    yield "usd_per_correct", "value", correct, cost.basis


def _of_tokens(data: StageData, cost: Cost, ended: pl.DataFrame, prefix: str) -> Iterator[BasedRow]:
    """Per million output tokens, and per million of prompt and output together."""
    output, prompt = ended.get_column("a_output_tokens"), ended.get_column("a_prompt_tokens")
    basis = cost.basis
    if basis and data.tokens_basis("a_output_tokens_from") == "estimated":
        basis = "estimated"
    billed = None if output.null_count() else float(output.sum())
    read = None if prompt.null_count() else float(prompt.sum())
    both = None if billed is None or read is None else billed + read
    amounts = {"output": billed, "tokens": both}
    for name, amount in amounts.items():
        figure = _per(cost, amount, 1e6, "no_tokens", ended.height)
        yield f"{prefix}usd_per_million_{name}", "value", figure, basis


def _marginal(
    data: StageData, per_thousand: Estimate, cost: Cost, n: int
) -> tuple[Estimate, Basis | None]:
    """By tokens the same as on average; by hours the electricity above the idle draw."""
    if data.prices.usd_per_hour is None:
        return per_thousand, cost.basis
    energy, _ = energy_in_window(data)
    usd = marginal_usd(data.prices, data.window.seconds, energy)
    if usd is None:
        return absent("electricity_above_idle_not_known", n), None
    if n == 0:
        return absent("no_successes", n), None
    return Estimate(usd / n * 1e3, n=n), cost.basis


def score_metrics(data: StageData) -> Iterator[BasedRow]:
    """The mean score over the window's requests that had an expected answer; failures score 0.

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
    yield "score", "value", estimate, data.basis


def _per(
    cost: Cost,
    amount: float | None,
    unit: float,
    empty: str,
    n: int,
    unknown: str = "token_counts_missing",
) -> Estimate:
    if cost.usd is None:
        return absent(cost.reason or "no_price", n)
    if amount is None:
        return absent(unknown, n)
    if amount == 0:
        return absent(empty, n)
    return Estimate(cost.usd / amount * unit, n=n, reason=cost.reason)


def _interval_per_1k(data: StageData, cost: Cost, estimate: Estimate) -> Estimate:
    """By hours: from the interval of the request rate, since the window's cost is certain.

    By tokens: Student's interval of the requests' costs, where every ended request has one.
    """
    if estimate.value is None or cost.usd is None or cost.reason is not None:
        return estimate
    if data.prices.usd_per_hour is not None:
        rate = request_rate(data)
        if not rate.low or rate.high is None:
            return estimate
        per_second = cost.usd / data.window.seconds * 1e3
        return replace(estimate, low=per_second / rate.high, high=per_second / rate.low)
    costs = data.ended_ok().get_column("cost_usd").to_numpy()
    each = mean(costs * 1e3)
    if each.value is None or each.low is None or each.high is None:
        return estimate
    if abs(each.value - estimate.value) > 1e-9 * estimate.value:
        return estimate
    return replace(estimate, low=max(0.0, each.low), high=each.high)
