"""What a campaign is expected to cost, run by run and in all, and whether a person must agree first.

The arithmetic is economics.quote's; this gathers what it needs: prices, limits, earlier runs.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from observatory.core.errors import BadInput
from observatory.core.money.quotes import Quote, QuoteSpread
from observatory.core.plan import Plan
from observatory.core.scenario import Scenario
from observatory.core.targets.catalogue import Target
from observatory.core.workspace import Workspace
from observatory.economics.prices import prices_of
from observatory.economics.quote import quote
from observatory.economics.quote_figures import (
    ASSUMED_SPEED,
    QuoteLimits,
    Speed,
)
from observatory.endpoints.catalogue import unbounded_output
from observatory.inputs.price_files import agreed_prices
from observatory.inputs.profile_files import load_profile
from observatory.presentation.dollars import write_usd
from observatory.runner.campaign_execution import RunRequest
from observatory.store.folder.campaigns import missing
from observatory.store.queries.earlier_runs import earlier_run


@dataclass(frozen=True, slots=True)
class CampaignQuote:
    """The quotes by the place of their cell, of targets billed by tokens; runs: how many runs each is of."""

    quotes: dict[int, Quote]
    runs: dict[int, int]

    @property
    def usd(self) -> QuoteSpread | None:
        """All that is really paid, over all runs; None where nothing is, or no price is known."""
        paid = [
            one.usd.times(self.runs[place])
            for place, one in self.quotes.items()
            if one.usd is not None and not one.emulated
        ]
        total = None
        for one in paid:
            total = one if total is None else total.plus(one)
        return total

    def must_agree(self, ask_above_usd: float) -> str | None:
        """Return why a person must agree before this starts; None where it may.

        Emulated targets cost nothing. A target without a known price is held by budget.requests,
        which it cannot run without; what it costs is its owner's knowledge.
        """
        most = 0.0
        for place, one in self.quotes.items():
            if one.emulated or one.usd is None:
                continue
            bound = one.most_usd
            if bound is None:
                return (
                    f"nothing bounds what {one.target} may cost: {one.open_high}, "
                    "and budget.usd is not set"
                )
            most += bound * self.runs[place]
        if most > ask_above_usd:
            return f"this may cost up to {write_usd(most)}, more than {write_usd(ask_above_usd)}"
        return None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for scripts."""
        return {
            "usd": None if (usd := self.usd) is None else msgspec.structs.asdict(usd),
            "runs": [
                {"runs": self.runs[place], **one.to_dict()} for place, one in self.quotes.items()
            ],
        }


def quote_request(workspace: Workspace, request: RunRequest, plan: Plan) -> CampaignQuote:
    """Return the quotes of every target billed by tokens; an emulated one's is marked so, and nothing is paid."""
    agreed = agreed_prices(workspace)
    quotes, runs = {}, {}
    for cell in request.cells:
        target = cell.target
        if target.billing != "tokens":
            continue
        earlier = earlier_run(
            workspace,
            target.name,
            target.kind,
            getattr(target, "model", None),
            request.scenario.comparison_fields()["workload"],
            plan.items_sha256,
        )
        quotes[cell.place] = quote(
            target.name,
            plan,
            prices_of(target, agreed=agreed),
            request.scenario.budget,
            emulated=target.emulated,
            limits=limits_of(target, request.scenario),
            earlier=earlier,
            speed=speed_of(target, workspace),
            open_high=unbounded_output(target),
        )
        runs[cell.place] = request.design.repeats if request.design is not None else 1
        if request.resume is not None:  # how often it is still to be run
            left = (cells.count(cell.place) for _, cells in missing(request.resume))
            runs[cell.place] = sum(left)
    return CampaignQuote(quotes, runs)


def limits_of(target: Target, scenario: Scenario) -> QuoteLimits:
    """Return what holds the load on a target back: its own rate, and pacing where that is the policy."""
    throttling = target.throttling or scenario.throttling
    paced = throttling.policy == "pace"
    return QuoteLimits(
        rate_per_s=target.max_rate,
        requests_per_minute=throttling.requests_per_minute if paced else None,
        tokens_per_minute=throttling.tokens_per_minute if paced else None,
    )


def speed_of(target: Target, workspace: Workspace) -> Speed:
    """Return how fast a target is assumed to be without an earlier run: an emulated one as in its profile."""
    profile = target.latency_profile
    if profile is None:
        return ASSUMED_SPEED
    if isinstance(profile, str):
        profile = load_profile(profile, workspace.scenarios)
    return Speed(
        _lognormal(profile.ttft_median, profile.ttft_p95),
        _lognormal(profile.inter_token_median, profile.inter_token_p95),
        "profile",
        "p5 - median - p95 of the delays in its profile, each of a request alone",
    )


def _lognormal(median: float, p95: float) -> QuoteSpread:
    """Return p5, median and p95 of a log-normal, which is symmetric in its logarithm."""
    return QuoteSpread(median * median / p95 if p95 else 0.0, median, p95)


def check_agreed(quotes: CampaignQuote, ask_above_usd: float) -> None:
    """Raise BadInput where a person must agree and there is no terminal to confirm on."""
    why = quotes.must_agree(ask_above_usd)
    if why is not None:
        raise BadInput(
            f"{why}; nothing was sent",
            fix="add --yes, or raise --ask-above, or lower the budget",
        )
