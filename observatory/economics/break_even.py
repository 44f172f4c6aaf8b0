"""From which volume on serving it oneself costs no more than buying it. Pure arithmetic.

Serving is a step function of the volume and buying a line, so that they may cross several times: the
answer is the volume from which serving stays the cheaper one, the ranges below it where it is cheaper
already, or never and why.
"""

import math
from dataclasses import dataclass
from typing import Literal

from observatory.core.money.demand import DAYS_A_MONTH, Demand
from observatory.economics.fleet import INTEGER_TOLERANCE, CostLine, Replica, cost_line

Never = Literal["request", "step", "nothing_served"]
"""Why serving never gets cheaper: a request's electricity costs more than buying it; a full step costs more
than buying all that it serves; nothing is served within the SLO."""
LISTED_RANGES = 12
"""More ranges are counted, not listed."""


@dataclass(frozen=True, slots=True)
class Range:
    """Volumes in requests a day between which serving is cheaper; the end is the last that is."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where serving on `line` meets buying at usd_per_request.

    requests_a_day is the volume from which serving costs no more ever after (None: never, and `never`
    is the cause). before are ranges below it where it is cheaper too; more_ranges how many are not listed.
    """

    line: CostLine
    usd_per_request: float
    requests_a_day: float | None
    before: list[Range]
    more_ranges: int = 0
    never: Never | None = None


def crossing(line: CostLine, usd_per_request: float) -> Crossing:
    """Return where the two meet.

    On step k (k - 1 full ones before it) serving costs fixed + k x step + slope x volume, and so
    meets the price's line at x = (fixed + k x step) / (price - slope). The step is cheaper from x
    on, in part where x lies inside it and whole where x lies at or below its start. Both grow
    likelier with k as long as a full step costs less than buying what it serves; where it does not,
    no number of steps helps.
    """
    saved = usd_per_request - line.request_usd
    full = saved * line.step_requests
    gain = full - line.step_usd
    if gain <= 0:
        never: Never = "request" if line.request_usd >= usd_per_request else "step"
        return Crossing(line, usd_per_request, None, [], never=never)
    last = max(0, math.ceil((line.fixed_usd + full) / gain - INTEGER_TOLERANCE) - 1)
    first = max(1, math.floor(line.fixed_usd / gain + INTEGER_TOLERANCE) + 1)
    settled = _start(line, saved, last) if last else 0.0
    ranges = [
        Range(_start(line, saved, step), step * line.step_requests)
        for step in range(first, min(last, first + LISTED_RANGES))
    ]
    return Crossing(line, usd_per_request, settled, ranges, max(0, last - first - LISTED_RANGES))


def _start(line: CostLine, saved: float, step: int) -> float:
    """Return where serving begins to cost no more on a step; its end where it never does on it."""
    meets = (line.fixed_usd + step * line.step_usd) / saved
    return min(meets, step * line.step_requests)


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The crossing at the measured goodput and price, and at both ends of their intervals.

    low is at the upper ends and high at the lower ones: a replica that serves more, or whose requests
    cost more to buy, breaks even sooner. An end that was not measured is None; one at which it never
    does has no volume.
    """

    at: Crossing
    low: Crossing | None
    high: Crossing | None


def break_even(
    replica: Replica,
    demand: Demand,
    usd_per_request: float,
    goodput_low: float | None = None,
    goodput_high: float | None = None,
    usd_low: float | None = None,
    usd_high: float | None = None,
) -> BreakEven:
    """Return where replicas under this demand meet a price per request.

    usd_low and usd_high are the ends of the price's interval; None: it does not vary. Both intervals'
    ends are taken at once, so that the result holds the truth at least as often as each of them.
    """

    def at(goodput_rps: float | None, usd: float | None) -> Crossing | None:
        if goodput_rps is None:
            return None
        price = usd_per_request if usd is None else usd
        if goodput_rps <= 0:
            return Crossing(cost_line(replica, demand), price, None, [], never="nothing_served")
        return crossing(cost_line(replica.at(goodput_rps), demand), price)

    found = crossing(cost_line(replica, demand), usd_per_request)
    return BreakEven(found, at(goodput_high, usd_high), at(goodput_low, usd_low))


def requests_a_day(
    demand: Demand, usd_per_request: float | None, tokens_per_request: float | None
) -> float | None:
    """Return the demand's volume in requests of the measured workload; None where none is stated.

    A bill is divided by what a request of the workload costs at the API, tokens by what one takes
    there. ValueError where that was not measured.
    """
    if demand.requests_a_day is not None:
        return demand.requests_a_day
    bill = demand.api_bill_usd_a_day
    if demand.api_bill_usd_a_month is not None:
        bill = demand.api_bill_usd_a_month / DAYS_A_MONTH
    if bill is not None:
        if not usd_per_request:
            raise ValueError("what a request costs at the API is not known: no volume from a bill")
        return bill / usd_per_request
    if demand.tokens_a_day is not None:
        if not tokens_per_request:
            raise ValueError("how many tokens a request takes is not known: no volume from tokens")
        return demand.tokens_a_day / tokens_per_request
    return None
