"""Find both limits of a target: requests a minute, then tokens a minute with what the first search found."""

from dataclasses import dataclass
from typing import Literal

from observatory.core.errors import BadInput
from observatory.core.targets.catalogue import Target
from observatory.core.workspace import Workspace
from observatory.economics.prices import prices_of
from observatory.inputs.price_files import agreed_prices
from observatory.limits import limit_probe
from observatory.limits.limit_steps import Bounds
from observatory.runner.members import unique_name
from observatory.runner.progress import Observer

LABEL_NAME = 30
"""Characters of a target's name in the label that its probes' runs share."""

Only = Literal["rpm", "tpm"]


@dataclass(frozen=True, slots=True)
class SearchBounds:
    """What a search looks for (both limits where `only` is None) and what it may take at most.

    up_to_rpm, up_to_tpm: demand that is never exceeded. requests, minutes: of each probe; requests_stated
    where a person gave them. usd: of the whole search.
    """

    only: Only | None
    up_to_rpm: float
    up_to_tpm: float
    requests: int
    requests_stated: bool
    minutes: float
    usd: float | None

    @property
    def units(self) -> tuple[Literal["requests", "tokens"], ...]:
        """Return the limits to search, in this order: the request limit determines the size of token requests."""
        if self.only is None:
            return ("requests", "tokens")
        return ("requests",) if self.only == "rpm" else ("tokens",)

    def up_to(self, unit: Literal["requests", "tokens"]) -> float:
        """Return the highest demand of a unit, a minute."""
        return self.up_to_rpm if unit == "requests" else self.up_to_tpm


@dataclass(frozen=True, slots=True)
class FoundLimits:
    """An answer for each limit that was looked for, and the label of the runs that they are read from."""

    answers: list[limit_probe.LimitAnswer]
    label: str


def find_limits(
    workspace: Workspace, target: Target, bounds: SearchBounds, observer: Observer
) -> FoundLimits:
    """Probe each limit within its bounds; stop early where a probe is interrupted, fails or is refused."""
    answers: list[limit_probe.LimitAnswer] = []
    usd, label = bounds.usd, unique_name(f"limits-{target.name[:LABEL_NAME]}")
    rate = target.max_rate * 60 if target.max_rate is not None else float("inf")
    for unit in bounds.units:
        each, tokens_limit, up_to = 1.0, None, min(bounds.up_to_rpm, rate)
        if unit == "tokens":
            tokens_limit, known = (
                limit_probe.advertised_tokens(answers),
                limit_probe.requests_known(answers),
            )
            each = limit_probe.token_size(bounds.up_to_tpm, tokens_limit, known)
            up_to = min(bounds.up_to_tpm, rate * each)
        probe_bounds = Bounds(bounds.requests, bounds.minutes, up_to, usd)
        probe = limit_probe.LimitProbe(unit, target, probe_bounds, each, tokens_limit, label)
        answer = limit_probe.find_limit(workspace, probe, observer)
        if answer is None:
            break
        answers.append(answer)
        if usd is not None:
            usd = max(0.0, usd - answer.capped_usd)
        if answer.ended in ("interrupted", "failed", "all_refused"):
            break
    return FoundLimits(answers, label)


def check_money(workspace: Workspace, target: Target, bounds: SearchBounds) -> None:
    """Raise BadInput where a target billed by tokens has no cap in dollars, nor in requests without a price."""
    if target.emulated or target.billing != "tokens" or bounds.usd is not None:
        return
    if prices_of(target, agreed=agreed_prices(workspace)).output_usd_per_token is not None:
        raise BadInput(
            f"target {target.name} is billed by tokens: state what the probe may cost",
            where="--max-usd",
            fix="e.g. --max-usd 2",
        )
    if not bounds.requests_stated:
        raise BadInput(
            f"target {target.name} is billed by tokens and has no known price: dollars cannot be capped",
            where="--max-requests",
            fix="state how many requests a probe may send, e.g. --max-requests 1000",
        )
