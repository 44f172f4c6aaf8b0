"""The guard over money: what a run may still spend, and whether it may start at all."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from observatory.core.caps_spent import CapsSpent
from observatory.core.errors import BadInput
from observatory.core.plan import PlanItem
from observatory.core.record import WorkerEnd, WorkerTick
from observatory.core.scenario import Budget
from observatory.core.targets.catalogue import Target
from observatory.core.worst_case import prompt_tokens_at_most
from observatory.economics.price_rows import AppliedPrices
from observatory.load.budget import share
from observatory.load.handoff import Caps
from observatory.presentation.dollars import write_usd


@dataclass(frozen=True, slots=True)
class Spent:
    """What was spent of caps: requests are attempts; assumed_usd is the part of usd that no usage stated;
    overrun is how many times its worst case the dearest answer was billed."""

    requests: int = 0
    output_tokens: int = 0
    usd: float = 0.0
    assumed_usd: float = 0.0
    overrun: float = 1.0

    def plus(self, other: "Spent") -> "Spent":
        """Return both together."""
        return Spent(
            self.requests + other.requests,
            self.output_tokens + other.output_tokens,
            self.usd + other.usd,
            self.assumed_usd + other.assumed_usd,
            max(self.overrun, other.overrun),
        )

    def stored(self) -> CapsSpent:
        """Return it as a manifest has it."""
        return CapsSpent(*astuple(self))


def check_may_spend(
    target: Target, budget: Budget, prices: AppliedPrices, items: Sequence[PlanItem] = ()
) -> None:
    """Raise BadInput (exit 2) where a target billed by tokens has no cap, or a cap that cannot be kept.

    An emulated target spends nothing and needs none; a cap that it has is kept all the same.
    """
    emulated = target.emulated
    if target.billing != "tokens":
        return
    if not emulated and budget.usd is None and budget.requests is None:
        raise BadInput(
            f"target {target.name} is billed by tokens and the scenario has no budget",
            fix="set budget.usd or budget.requests in the scenario, or pass --budget-usd / --budget-requests",
        )
    if budget.usd is not None and prices.output_usd_per_token is None:
        if emulated:
            return
        raise BadInput(
            f"budget.usd cannot be kept: target {target.name} has no known price",
            fix="state its price, or cap budget.requests instead",
        )
    _check_one_fits(target, budget, prices, items)


def _check_one_fits(
    target: Target, budget: Budget, prices: AppliedPrices, items: Sequence[PlanItem]
) -> None:
    """Raise BadInput for a cap that is too small: a cap below what any request may cost would end the run
    before its first one."""
    if not items:
        return
    least_usd = min(usd_at_most(item, prices) for item in items)
    if budget.usd is not None and least_usd > budget.usd:
        raise BadInput(
            f"budget.usd of {write_usd(budget.usd)} is less than one request to {target.name} may cost: "
            f"{write_usd(least_usd)} (a token for each byte of the prompt, and its whole output limit)",
            fix="raise budget.usd, or lower the workload's max_tokens",
        )
    least_tokens = min(item.max_tokens for item in items)
    if budget.output_tokens is not None and least_tokens > budget.output_tokens:
        raise BadInput(
            f"budget.output_tokens of {budget.output_tokens} is less than the output limit of any "
            f"request: {least_tokens}",
            fix="raise budget.output_tokens, or lower the workload's max_tokens",
        )


def usd_at_most(item: PlanItem, prices: AppliedPrices) -> float:
    """Return the most that one request can cost; 0 without a price."""
    return prompt_tokens_at_most(item) * (prices.input_usd_per_token or 0.0) + item.max_tokens * (
        prices.output_usd_per_token or 0.0
    )


def caps_left(budget: Budget, prices: AppliedPrices, spent: Spent) -> Caps:
    """Return what a run's next stage may spend after what was spent; never below zero."""
    return Caps(
        requests=None if budget.requests is None else max(0, budget.requests - spent.requests),
        output_tokens=None
        if budget.output_tokens is None
        else max(0, budget.output_tokens - spent.output_tokens),
        usd=None if budget.usd is None else max(0.0, budget.usd - spent.usd),
        input_usd_per_token=prices.input_usd_per_token or 0.0,
        output_usd_per_token=prices.output_usd_per_token or 0.0,
        prices=prices.to_dict() if prices.output_usd_per_token is not None else None,
        overrun=spent.overrun,
    )


def carriers(caps: Caps, items: Sequence[PlanItem], processes: int) -> int:
    """Return how many processes may share the caps, so that each one's share holds the dearest request.

    What is left of a share when its worker ends is lost to the others: a small budget is therefore
    carried by fewer of them, at least by one.
    """
    most = processes
    if caps.usd is not None:
        prompt = max(map(prompt_tokens_at_most, items))
        output = max(item.max_tokens for item in items)
        dearest = prompt * caps.input_usd_per_token + output * caps.output_usd_per_token
        dearest *= caps.overrun
        if dearest > 0:
            most = min(most, int(caps.usd / dearest))
    if caps.output_tokens is not None:
        most = min(most, caps.output_tokens // max(item.max_tokens for item in items))
    if caps.requests is not None:
        most = min(most, caps.requests)
    return max(1, most)


def spent_by(caps: Caps, last_words: Sequence[WorkerEnd | WorkerTick | None]) -> Spent:
    """Return what the workers of a stage spent, by their last entries in the order of their numbers.

    Of one that died (no WorkerEnd) its whole share is spent: what it sent after its last heartbeat
    is not known, and it cannot have sent more than its share. Without a cap its last tick counts.
    """
    total, workers = Spent(), len(last_words)
    for number, word in enumerate(last_words):
        if isinstance(word, WorkerEnd):
            spent = Spent(
                word.spent_requests,
                word.spent_output_tokens,
                word.spent_usd,
                word.assumed_usd,
                word.overrun,
            )
        else:
            spent = _of_the_dead(caps, number, workers, word)
        total = total.plus(spent)
    return total


def _of_the_dead(caps: Caps, number: int, workers: int, tick: WorkerTick | None) -> Spent:
    requests = share(caps.requests, number, workers)
    tokens = share(caps.output_tokens, number, workers)
    usd = None if caps.usd is None else caps.usd / workers
    known = (tick.issued, tick.spent_output_tokens, tick.spent_usd) if tick else (0, 0, 0.0)
    dollars = known[2] if usd is None else usd
    return Spent(
        known[0] if requests is None else requests,
        known[1] if tokens is None else tokens,
        dollars,
        dollars,
    )
