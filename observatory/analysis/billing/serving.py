"""Serving or buying, from two rows of view money_per_run: the assumptions, and the answer in words.

The arithmetic is economics'. A figure of an emulated target, or of an example price, is marked as
one in every sentence.
"""

from dataclasses import dataclass

from observatory.core.floors import needs_text
from observatory.core.metric import MEAN_FLOOR
from observatory.core.money.demand import DAYS_A_MONTH, Demand
from observatory.economics.break_even import BreakEven, break_even, requests_a_day
from observatory.economics.fleet import MonthlyCost, monthly_cost
from observatory.economics.machine_money import Component
from observatory.store.queries.money import replica_of
from observatory.store.queries.money_rows import MoneyRow

STEPS_SHOWN = 6
UNVARIED = "the measured goodput has no interval"
SAME = "whole replicas: the same at both ends"
"""Why an interval of a step function has no width."""
INVALID = "the run is invalid"
"""Why no figure of money is derived from a run."""


@dataclass(frozen=True, slots=True)
class BreakEvenStep:
    """A line of the step table: up to `requests_a_day` on that many steps, and what buying it costs."""

    steps: int
    spare: int
    requests_a_day: float
    self_usd_a_day: float
    api_usd_a_day: float


@dataclass(frozen=True, slots=True)
class BreakEvenReport:
    """A break-even, or the reason why there is none; both with what went into it.

    volume is the demand's own in requests a day, None where none was stated; then there are no months.
    """

    self_row: MoneyRow
    api_row: MoneyRow
    demand: Demand
    refused: str | None = None
    found: BreakEven | None = None
    volume: float | None = None
    self_month: MonthlyCost | None = None
    api_usd_a_month: float | None = None


def is_invalid(row: MoneyRow) -> bool:
    """Return whether the run was judged invalid: no money is derived from it."""
    return bool(row.verdict == "invalid")


def refusal(self_row: MoneyRow, api_row: MoneyRow) -> str | None:
    """Return why the two have no break-even; None where they have one."""
    own, bought = self_row.target, api_row.target
    if self_row.comparison_key != api_row.comparison_key:
        return f"{own} and {bought} did not get the same requests: their comparison keys differ"
    if self_row.usd_per_hour is None:
        return f"{own} has no hourly rate: state `rate` in targets.yaml"
    if api_row.billing != "tokens" or not _priced(api_row):
        return f"{bought} has no known price by tokens"
    for row in (self_row, api_row):
        if is_invalid(row):
            return f"the run of {row.target} is invalid"
    if api_row.usd_per_request is None:
        return f"what a request costs at {bought} is not known: {_unpriced(api_row)}"
    if self_row.attainment is None:
        return "the scenario has no `slo`: what a replica can serve is not defined without one"
    if self_row.served_reason == "sample_floor":
        return f"what {own} serves within the SLO is not known: {_few_independent(self_row)}"
    if not self_row.goodput_rps:
        best = self_row.best_fraction
        return (
            f"{own} does not meet the SLO at any stage (objective: {self_row.attainment:.1%} of requests, "
            f"at best {'not known' if best is None else f'{best:.1%}'}): it has no break-even"
        )
    if self_row.electricity_missing:
        return f"{own} pays its electricity apart, and tariff or energy is not known"
    return None


def answer(self_row: MoneyRow, api_row: MoneyRow, demand: Demand) -> BreakEvenReport:
    """Return the break-even of a self-hosted run's target against a bought one's, under a demand."""
    refused, replica = refusal(self_row, api_row), replica_of(self_row)
    price = api_row.usd_per_request
    if refused is not None or replica is None or price is None:
        return BreakEvenReport(self_row, api_row, demand, refused)
    found = break_even(
        replica,
        demand,
        price,
        self_row.goodput_rps_low,
        self_row.goodput_rps_high,
        api_row.usd_per_request_low,
        api_row.usd_per_request_high,
    )
    volume = volume_of(demand, api_row)
    if volume is None:
        return BreakEvenReport(self_row, api_row, demand, None, found)
    month = monthly_cost(replica, demand, volume)
    bought = price * volume * DAYS_A_MONTH
    return BreakEvenReport(self_row, api_row, demand, None, found, volume, month, bought)


def month_of(row: MoneyRow, demand: Demand, requests: float) -> MonthlyCost | None:
    """Return a run's target at a volume: on replicas by hours, by what a request cost by tokens.

    None where the run is invalid, by hours where no stage met the SLO, and where there is no price.
    """
    if is_invalid(row):
        return None
    replica = replica_of(row)
    if replica is not None:
        return monthly_cost(replica, demand, requests)
    if row.billing != "tokens" or row.usd_per_request is None:
        return None
    bought = Component(
        "tokens",
        requests * DAYS_A_MONTH,
        "request",
        row.usd_per_request,
        row.cost_basis,
        row.price_source or "",
    )
    return MonthlyCost(requests, None, 0.0, None, [bought])


@dataclass(frozen=True, slots=True)
class MonthEnds:
    """The ends of a month's 95 % interval in US dollars; reason: why there is none, or no width."""

    low_usd: float | None = None
    high_usd: float | None = None
    reason: str | None = None


def month_ends(row: MoneyRow, demand: Demand, requests: float) -> MonthEnds:
    """Return the interval of month_of's sum: at the ends of the goodput's, or of the price's."""
    if is_invalid(row):
        return MonthEnds(reason=INVALID)
    replica = replica_of(row)
    if replica is None:
        low, high = row.usd_per_request_low, row.usd_per_request_high
        if row.billing != "tokens" or low is None or high is None:
            return MonthEnds(reason=price_fixed(row))
        month = requests * DAYS_A_MONTH
        return MonthEnds(low * month, high * month)
    few, many = row.goodput_rps_low, row.goodput_rps_high
    if not few or not many:
        return MonthEnds(reason=UNVARIED)
    low, high = (monthly_cost(replica.at(rps), demand, requests).usd for rps in (many, few))
    if low is None or high is None:
        return MonthEnds(reason="a component is not known")
    return MonthEnds(low, high, SAME if low == high else None)


def price_fixed(row: MoneyRow) -> str:
    """Return why a bought request's price has no interval."""
    if row.usd_per_request_reason == "no_spread":
        return "each request cost the same"
    return "the price's interval is not known"


def _priced(row: MoneyRow) -> bool:
    return row.price_basis is not None or row.cost_basis is not None


def no_month(row: MoneyRow) -> str:
    """Return why month_of has none."""
    if is_invalid(row):
        return INVALID
    if row.billing == "tokens":
        return _unpriced(row) if _priced(row) else "no price is known"
    if row.usd_per_hour is None:
        return "no hourly rate is stated"
    if row.served_reason == "sample_floor":
        return f"what it serves within the SLO {_few_independent(row)}"
    return "the scenario has no SLO" if row.attainment is None else "no stage met the SLO"


def _unpriced(row: MoneyRow) -> str:
    """Return why what a request costs is not known."""
    if row.usd_per_request_reason == "sample_floor":
        return f"{needs_text(MEAN_FLOOR, row.priced_n or 0)} in a steady window"
    return "some of its answers do not say how many tokens they took, or there are none"


def _few_independent(row: MoneyRow) -> str:
    """Return the words for goodput_n, which counts requests that depend on each other as fewer."""
    found = row.goodput_n or 0
    return (
        f"needs {MEAN_FLOOR} independent requests in a steady window, has about {found:,}: "
        "run longer at that load"
    )


def volume_of(demand: Demand, row: MoneyRow) -> float | None:
    """Return the demand in requests a day, by what a request costs and takes at this row's target."""
    tokens = None
    if row.prompt_tokens is not None and row.output_tokens is not None:
        tokens = row.prompt_tokens + row.output_tokens
    price = row.usd_per_request if row.billing == "tokens" else None
    return requests_a_day(demand, price, tokens)


def steps_of(one: BreakEvenReport) -> list[BreakEvenStep]:
    """Return the step table: the first steps, and those around the break-even."""
    if one.found is None:
        return []
    line, price = one.found.at.line, one.found.at.usd_per_request
    settled = one.found.at.requests_a_day
    places = set(range(1, STEPS_SHOWN + 1))
    if settled is not None:
        around = max(1, line.steps(settled))
        places |= {place for place in range(around - 1, around + 3) if place > 0}
    spare = 0 if line.unit == "replica-hour" else one.demand.spare_replicas
    return [
        BreakEvenStep(
            place,
            spare,
            place * line.step_requests,
            line.usd(place * line.step_requests),
            price * place * line.step_requests,
        )
        for place in sorted(places)
    ]
