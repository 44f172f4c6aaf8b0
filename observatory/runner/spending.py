"""The guard over money: what a run may still spend, and whether it may start at all."""

from observatory.core.errors import BadInput
from observatory.core.record import WorkerEnd
from observatory.core.scenario import Budget
from observatory.core.target import Target
from observatory.economics.prices import AppliedPrices
from observatory.load.handoff import Caps


def check_may_spend(target: Target, budget: Budget, prices: AppliedPrices) -> None:
    """BadInput (exit 2) where a target billed by tokens has no cap, or a cap that cannot be kept.

    An emulated target spends nothing and needs none.
    """
    if target.kind == "emulated" or target.billing != "tokens":
        return
    if budget.usd is None and budget.requests is None:
        raise BadInput(
            f"target {target.name} is billed by tokens and the scenario has no budget",
            fix="set budget.usd or budget.requests in the scenario, or pass --budget-usd / --budget-requests",
        )
    if budget.usd is not None and prices.output_usd_per_token is None:
        raise BadInput(
            f"budget.usd cannot be kept: target {target.name} has no known price",
            fix="state its price, or cap budget.requests instead",
        )


def caps_left(budget: Budget, prices: AppliedPrices, ended: list[WorkerEnd]) -> Caps:
    """What a run's next stage may spend after the workers that have ended; never below zero."""
    requests = sum(end.issued for end in ended)
    tokens = sum(end.spent_output_tokens for end in ended)
    usd = sum(end.spent_usd for end in ended)
    return Caps(
        requests=None if budget.requests is None else max(0, budget.requests - requests),
        output_tokens=None
        if budget.output_tokens is None
        else max(0, budget.output_tokens - tokens),
        usd=None if budget.usd is None else max(0.0, budget.usd - usd),
        input_usd_per_token=prices.input_usd_per_token or 0.0,
        output_usd_per_token=prices.output_usd_per_token or 0.0,
    )
