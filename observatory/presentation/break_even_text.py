"""What serving or buying costs, in sentences: a break-even, its interval, what a cache did to a price.

The money page's script fills the same templates when a reader changes an input. A figure of an emulated
target, or of an example price, is marked in every sentence.
"""

from typing import assert_never

from observatory.analysis.billing.serving import SAME, BreakEvenReport, price_fixed
from observatory.core.money.demand import DAYS_A_MONTH
from observatory.economics.break_even import Crossing
from observatory.presentation.dollars import write_unit_price, write_usd
from observatory.store.queries.money_rows import MoneyRow

SETTLED = (
    "From {volume} requests a day on, serving it on {own} costs no more than buying it from {bought}, and it "
    "stays so{mark}. There both cost {day} a day ({month} a month)."
)
BEFORE = (
    " Below that it is cheaper between {start} and {end} requests a day{more}: each further {unit} must fill "
    "first."
)
MORE = " and {count} more"
NEVER = "Serving it on {own} never gets cheaper than buying it from {bought}{mark}: {reason}."
BETWEEN = "{low} to {high} requests a day ({why})"
NEVER_BY_REQUEST = "the electricity of a request alone costs {own}, buying it {buy}"
NEVER_BY_STEP = "a {unit} costs {own} a day, and all that it can serve ({requests} requests a day) costs {buy} to buy"
"""Sentences of a break-even; the money page fills them too when a reader changes an input."""
NOTHING_SERVED = "at this end of the interval nothing is served within the SLO"


def price_interval(row: MoneyRow) -> str:
    """Return the 95 % interval of a bought request's price, or why there is none."""
    low, high = row.usd_per_request_low, row.usd_per_request_high
    if low is None or high is None:
        return price_fixed(row)
    return f"95 % interval {write_unit_price(low)} to {write_unit_price(high)}"


def cache_sentence(row: MoneyRow) -> str | None:
    """Return how cached prompt tokens changed a bought token's price, or a machine's throughput; None: not known."""
    prompt, cached = row.prompt_tokens, row.cached_tokens
    if not prompt or not cached:
        return None
    share = cached / prompt
    if row.billing == "tokens":
        if row.input_usd is None or row.cached_input_usd is None:
            return None
        blended = (1 - share) * row.input_usd + share * row.cached_input_usd
        return (
            f"{share:.1%} of its prompt tokens were read from the provider's cache: a million prompt tokens "
            f"cost {write_unit_price(blended)} instead of {write_unit_price(row.input_usd)}"
        )
    served = "what it serves" if not row.goodput_rps else f"the {row.goodput_rps:.3g} requests/s"
    return (
        f"{share:.1%} of its prompt tokens were read from the engine's cache: its hour costs the same, "
        f"{served} would be fewer without; measure with another workload.cache to see by how much"
    )


def mark(*rows: MoneyRow) -> str:
    """Return the mark of every figure of these rows: " (emulated)", " (example prices)"; or ""."""
    words = []
    if any(row.emulated for row in rows):
        words.append("emulated")
    if any("example" in (row.price_basis, row.cost_basis) for row in rows):
        words.append("example prices")
    return f" ({', '.join(words)})" if words else ""


def sentence(one: BreakEvenReport) -> str:
    """Return the result in words for a reader who decides about money."""
    note = mark(one.self_row, one.api_row)
    if one.found is None:
        return f"No break-even{note}: {one.refused}."
    own, bought = one.self_row.target, one.api_row.target
    at = one.found.at
    if at.requests_a_day is None:
        return NEVER.format(own=own, bought=bought, mark=note, reason=never_text(at))
    line = at.line
    dollars = line.usd(at.requests_a_day)
    text = SETTLED.format(
        volume=f"{at.requests_a_day:,.0f}",
        own=own,
        bought=bought,
        mark=note,
        day=write_usd(dollars),
        month=write_usd(dollars * DAYS_A_MONTH),
    )
    if at.before:
        first, others = at.before[0], len(at.before) - 1 + at.more_ranges
        text += BEFORE.format(
            start=f"{first.start:,.0f}",
            end=f"{first.end:,.0f}",
            more=MORE.format(count=others) if len(at.before) > 1 else "",
            unit=line.unit,
        )
    return text


def never_text(at: Crossing) -> str | None:
    """Return why serving never gets cheaper; None where it does."""
    line = at.line
    match at.never:
        case None:
            return None
        case "request":
            return NEVER_BY_REQUEST.format(
                own=write_usd(line.request_usd), buy=write_usd(at.usd_per_request)
            )
        case "step":
            return NEVER_BY_STEP.format(
                unit=line.unit,
                own=write_usd(line.full_step_usd),
                requests=f"{line.step_requests:,.0f}",
                buy=write_usd(at.usd_per_request * line.step_requests),
            )
        case "nothing_served":
            return NOTHING_SERVED
    assert_never(at.never)


def interval(one: BreakEvenReport) -> str:
    """Return the break-even at the ends of the intervals of goodput and price."""
    if one.found is None:
        return ""
    ends = []
    for crossing in (one.found.low, one.found.high):
        if crossing is None:
            ends.append("not known")
        elif crossing.requests_a_day is None:
            ends.append("never")
        else:
            ends.append(f"{crossing.requests_a_day:,.0f}")
    same = (
        f"; {SAME}" if ends[0] == ends[1] and one.found.low and one.found.low.requests_a_day else ""
    )
    return BETWEEN.format(low=ends[0], high=ends[1], why=varied(one) + same)


def varied(one: BreakEvenReport) -> str:
    """Return which measured figures' intervals a break-even's interval contains."""
    goodput = "the measured goodput"
    if one.self_row.goodput_rps_low is None or one.self_row.goodput_rps_high is None:
        return f"{goodput} has no interval"
    if one.api_row.usd_per_request_low is None:
        return f"95 % interval of {goodput}; {price_fixed(one.api_row)}"
    return f"95 % intervals of {goodput} and of what a request was bought for, both at their ends"
