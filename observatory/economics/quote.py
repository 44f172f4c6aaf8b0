"""What a plan is expected to take and cost before it runs: requests, tokens and dollars, low to high.

Pure arithmetic over the plan, the prices, the caps, and what earlier runs measured where there are
any; where there is no measurement there is an assumption with a name. docs/spending.md explains it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from observatory.core.counted_nouns import count_of
from observatory.core.money.quotes import NOTHING, Assumption, Quote, QuoteSpread, StageQuote
from observatory.core.plan import Plan, PlanItem, StagePlan
from observatory.core.scenario import Budget
from observatory.core.stored_scenario import StoredBudget
from observatory.core.worst_case import prompt_tokens_at_most
from observatory.economics.cost import request_cost_usd
from observatory.economics.price_rows import AppliedPrices
from observatory.economics.quote_figures import (
    ASSUMED_SPEED,
    EarlierFigures,
    ObservedFigures,
    QuoteLimits,
    Speed,
)

LOW_SHARE, EXPECTED_SHARE = 0.1, 0.5
"""Assumed lengths of answers, as shares of the output limit; high is the limit itself."""
LOW_PROMPT_SHARE = 0.5
"""Of the plan's estimate (3 bytes a token): six bytes a token, long words in a large vocabulary."""


class RequestQuote(msgspec.Struct, frozen=True):
    """One request of a stage, on average over its items."""

    prompt: QuoteSpread
    output: QuoteSpread
    usd: QuoteSpread


def quote(
    target: str,
    plan: Plan,
    prices: AppliedPrices,
    budget: Budget,
    *,
    emulated: bool = False,
    limits: QuoteLimits = QuoteLimits(),
    earlier: EarlierFigures | None = None,
    speed: Speed = ASSUMED_SPEED,
    open_high: str | None = None,
) -> Quote:
    """Return the quote of one run of the plan.

    Stages are walked in their order, so that a cap that is used up leaves nothing to the later ones;
    a quote's high is never above a cap. open_high: why the output limits do not bound the output.
    """
    purse = _Purse(budget)
    cases = [_cases(stage, plan, prices, limits, earlier, speed, purse) for stage in plan.stages]
    known = prices.output_usd_per_token is not None
    totals = [_Case(*map(sum, zip(*each, strict=True))) for each in zip(*cases, strict=True)]
    priced = [row for row in prices.rows if row.kind in _TOKEN_KINDS]
    most_open = _most_open(plan, prices, budget)
    return Quote(
        target=target,
        emulated=emulated,
        price_basis="emulated" if emulated and known else prices.basis,
        price_sources=sorted({row.source for row in priced}),
        price_dates=sorted({row.effective_from for row in priced if row.effective_from}),
        stages=[
            StageQuote(
                stage=stage.index,
                kind=stage.kind,
                concurrency=stage.concurrency,
                rate_per_s=stage.rate_per_s,
                requests=_ordered([case.requests for case in each]),
                prompt_tokens=_ordered([case.prompt for case in each]),
                output_tokens=_ordered([case.output for case in each]),
                usd=_ordered([case.usd for case in each]) if known else None,
            )
            for stage, each in zip(plan.stages, cases, strict=True)
        ],
        requests=_ordered([case.requests for case in totals]),
        prompt_tokens=_ordered([case.prompt for case in totals]),
        output_tokens=_ordered([case.output for case in totals]),
        usd=_ordered([case.usd for case in totals]) if known else None,
        budget=StoredBudget(**budget.model_dump()),
        capped=sorted(purse.used_up),
        assumptions=_assumptions(plan, prices, earlier, speed),
        open_high=open_high,
        most_open=most_open,
    )


_TOKEN_KINDS = ("input", "output", "cached_input", "cache_write")


class _Case(NamedTuple):
    """A stage, or all of them, in one of the three cases."""

    requests: float
    prompt: float
    output: float
    usd: float


def _most_open(plan: Plan, prices: AppliedPrices, budget: Budget) -> int | None:
    """Return how many of the dearest requests the caps let be open at once; None where they bind none."""
    dearest = max(
        prompt_tokens_at_most(item) * (prices.input_usd_per_token or 0.0)
        + item.max_tokens * (prices.output_usd_per_token or 0.0)
        for item in plan.items
    )
    bounds = []
    if budget.usd is not None and dearest > 0:
        bounds.append(int(budget.usd / dearest))
    if budget.output_tokens is not None:
        bounds.append(budget.output_tokens // max(item.max_tokens for item in plan.items))
    return min(bounds, default=None)


class _Purse:
    """What the caps still leave in each of the three cases; used_up: those that cut the high one."""

    def __init__(self, budget: Budget) -> None:
        self._left = [
            {"requests": budget.requests, "output_tokens": budget.output_tokens, "usd": budget.usd}
            for _ in range(3)
        ]
        self.used_up: set[str] = set()

    def take(self, case: int, wanted: float, output: float, usd: float) -> float:
        """Return how many of the wanted requests the caps allow."""
        left, each = self._left[case], {"requests": 1.0, "output_tokens": output, "usd": usd}
        allowed = wanted
        for name, cap in left.items():
            if cap is not None and each[name] * allowed > cap:
                allowed = cap / each[name]
                if case == 2:
                    self.used_up.add(name)
        for name, cap in left.items():
            if cap is not None:
                left[name] = max(0.0, cap - allowed * each[name])
        return allowed


def _cases(
    stage: StagePlan,
    plan: Plan,
    prices: AppliedPrices,
    limits: QuoteLimits,
    earlier: EarlierFigures | None,
    speed: Speed,
    purse: _Purse,
) -> list[_Case]:
    """Return a stage at the least, as expected and at the most, each with what the caps still allow it."""
    seen = earlier.at(stage) if earlier is not None else None
    each = each_request(plan, prices, seen, prime=stage.priming)
    took = seen.duration_s if seen is not None else speed.duration_s(each.output)
    wanted = requests_of(stage, len(plan.items), each, took, limits)
    found = []
    for place, name in enumerate(("low", "expected", "high")):
        prompt, output, usd = (getattr(part, name) for part in (each.prompt, each.output, each.usd))
        n = purse.take(place, getattr(wanted, name), output, usd)
        found.append(_Case(n, n * prompt, n * output, n * usd))
    return found


def _ordered(cases: list[float]) -> QuoteSpread:
    """Return the three cases with the least and the most as ends: expensive requests are fewer under a cap."""
    return QuoteSpread(min(cases), cases[1], max(cases))


def requests_of(
    stage: StagePlan, items: int, each: RequestQuote, took: QuoteSpread, limits: QuoteLimits
) -> QuoteSpread:
    """Return how many requests a stage sends, before any cap; took: seconds of one request.

    Open loop: as many as the plan has instants; priming: one an item; closed loop: every user begins
    again when its answer has arrived and its thinking time is over, until the window ends.
    """
    window_s = stage.warmup_s + stage.steady_s
    if stage.priming:
        return QuoteSpread(items, items, items)
    if stage.offsets_ns is not None:
        planned = float(len(stage.offsets_ns))
        most = _most(limits, window_s + stage.drain_s, each)
        return QuoteSpread(min(planned, most), min(planned, most), min(planned, most))
    users, think = stage.concurrency or 1, stage.think_time_s
    most = _most(limits, window_s, each)

    def turns(duration_s: float) -> float:
        return window_s / max(duration_s + think, 1e-3)

    return QuoteSpread(
        min(most, users * max(1, math.floor(turns(max(took.high, took.expected))))),
        min(most, users * max(1.0, turns(took.expected))),
        min(most, users * math.ceil(turns(min(took.low, took.expected)))),
    )


def _most(limits: QuoteLimits, seconds: float, each: RequestQuote) -> float:
    """Return what the target's own rate or pacing lets through; a minute's allowance may go at once."""
    bounds: list[float] = []
    if limits.rate_per_s is not None:
        bounds.append(limits.rate_per_s * seconds + 1)
    minutes = seconds / 60 + 1
    if limits.requests_per_minute is not None:
        bounds.append(limits.requests_per_minute * minutes)
    if limits.tokens_per_minute is not None:
        counted = max(1.0, each.prompt.low + each.output.high)
        bounds.append(max(1.0, limits.tokens_per_minute * minutes / counted))
    return float(math.floor(min(bounds))) if bounds else math.inf


def each_request(
    plan: Plan, prices: AppliedPrices, seen: ObservedFigures | None, *, prime: bool = False
) -> RequestQuote:
    """Return one request on average: as measured where it was, else the mean over the plan's items.

    Priming requests one token of each. High pays the highest price that the source has for every
    token; low pays cached prices where the cache was warmed.
    """
    warm = plan.cache == "warm" and not prime
    cases = [_tokens(item, seen, prime=prime) for item in _sample(plan.items, seen)]
    usd = [_usd(prompt, output, prices, warm=warm) for prompt, output in cases]
    return RequestQuote(
        _mean([prompt for prompt, _ in cases]), _mean([output for _, output in cases]), _mean(usd)
    )


def _sample(items: Sequence[PlanItem], seen: ObservedFigures | None) -> Sequence[PlanItem]:
    """Return all items; one where each is what was measured on average."""
    counted = seen is not None and seen.prompt_tokens is not None and seen.output_tokens is not None
    return items[:1] if counted else items


def _tokens(
    item: PlanItem, seen: ObservedFigures | None, *, prime: bool
) -> tuple[QuoteSpread, QuoteSpread]:
    """Return the prompt and output tokens of one request."""
    if seen is not None and seen.prompt_tokens is not None:
        prompt = seen.prompt_tokens
    else:
        estimate = float(item.prompt_tokens_estimate)
        most = max(estimate, float(prompt_tokens_at_most(item)))
        prompt = QuoteSpread(estimate * LOW_PROMPT_SHARE, estimate, most)
    limit = float(item.max_tokens)
    if prime:
        return prompt, QuoteSpread(1.0, 1.0, 1.0)
    if seen is not None and seen.output_tokens is not None:
        return prompt, seen.output_tokens
    if item.body.get("ignore_eos"):
        return prompt, QuoteSpread(limit, limit, limit)
    return prompt, QuoteSpread(max(1.0, limit * LOW_SHARE), max(1.0, limit * EXPECTED_SHARE), limit)


def _usd(
    prompt: QuoteSpread, output: QuoteSpread, prices: AppliedPrices, *, warm: bool
) -> QuoteSpread:
    dearest_input, dearest_output = prices.input_usd_per_token, prices.output_usd_per_token
    if dearest_input is None or dearest_output is None:
        return NOTHING
    cached = math.floor(prompt.low) if warm and prices.row("cached_input") is not None else 0
    low = request_cost_usd(prices, math.floor(prompt.low), cached, math.floor(output.low))
    expected = request_cost_usd(prices, round(prompt.expected), 0, round(output.expected))
    high = prompt.high * dearest_input + output.high * dearest_output
    return QuoteSpread(min(low or 0.0, high), min(expected or 0.0, high), high)


def _mean(spreads: Sequence[QuoteSpread]) -> QuoteSpread:
    total = NOTHING
    for one in spreads:
        total = total.plus(one)
    n = len(spreads)
    return QuoteSpread(total.low / n, total.expected / n, total.high / n)


def _assumptions(
    plan: Plan, prices: AppliedPrices, earlier: EarlierFigures | None, speed: Speed
) -> list[Assumption]:
    """Return what the figures rest on, in words."""
    seen = earlier.overall if earlier is not None else None
    measured = (
        f"p5 - mean - p95 of {count_of(seen.n, 'request')} of run {seen.run_id}" if seen else ""
    )
    found = []
    if any(not (stage.open_loop or stage.priming) for stage in plan.stages):
        found.append(
            Assumption("requests", "measured", f"durations are {measured}")
            if seen
            else Assumption("requests", speed.basis, speed.text)
        )
    if seen and seen.prompt_tokens is not None:
        found.append(Assumption("prompt tokens", "measured", measured))
    else:
        text = (
            "a token is 6 bytes of the prompt (low), 3 (expected), 1 and the service's own (high)"
        )
        found.append(Assumption("prompt tokens", "assumed", text))
    if seen and seen.output_tokens is not None:
        found.append(Assumption("output tokens", "measured", measured))
    elif not all(item.body.get("ignore_eos") for item in plan.items):
        text = f"answers are {LOW_SHARE:.0%} (low), {EXPECTED_SHARE:.0%} (expected), all (high) of their limit"
        found.append(Assumption("output tokens", "assumed", text))
    if prices.output_usd_per_token is not None:
        text = "no prompt token is cached (expected); every token at its dearest price (high)"
        found.append(Assumption("dollars", "assumed", text))
    return found
