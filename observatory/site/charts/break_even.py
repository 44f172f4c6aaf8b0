"""What a month costs over its volume, served and bought: where the two lines cross.

Serving is drawn at the measured goodput, with a band for its interval. The rows have the names that
the page's script fills again when a reader changes what was assumed.
"""

import altair as alt

from observatory.core.money.demand import DAYS_A_MONTH, Demand
from observatory.economics.break_even import BreakEven
from observatory.economics.fleet import SECONDS_A_DAY, CostLine, Replica, cost_line
from observatory.site.charts.drawing import (
    PLAIN,
    TOP,
    Drawing,
    KeyEntry,
    Record,
    Spec,
    layered,
)
from observatory.site.target_styles import TargetStyle

POINTS = 240
"""Of each line; steps between two of them are narrower than a line is thick."""
AROUND = 20
"""The axis goes from a twentieth of the smallest volume of interest to twenty times the largest."""
COSTS, MARKS = "costs", "marks"
"""Names of the chart's rows."""


def volumes(replica: Replica, found: float | None, own_volume: float | None) -> list[float]:
    """Return the volumes that are drawn, requests a day, evenly spaced on a log axis."""
    middles = [
        one
        for one in (found, own_volume, replica.goodput_rps * SECONDS_A_DAY)
        if one is not None and one > 0
    ]
    low, high = max(1.0, min(middles) / AROUND), max(middles) * AROUND
    return [low * (high / low) ** (at / (POINTS - 1)) for at in range(POINTS)]


def cost_rows(
    replica: Replica,
    demand: Demand,
    usd_per_request: float,
    drawn: list[float],
    goodput_low: float | None,
    goodput_high: float | None,
) -> list[Record]:
    """Return a row a volume: US dollars a month to serve (with both ends) and to buy it."""

    def line(goodput: float | None) -> CostLine:
        return cost_line(replica.at(goodput or replica.goodput_rps), demand)

    middle, low, high = line(None), line(goodput_high), line(goodput_low)
    return [
        {
            "requests": requests,
            "serve": middle.usd(requests) * DAYS_A_MONTH,
            "low": low.usd(requests) * DAYS_A_MONTH,
            "high": high.usd(requests) * DAYS_A_MONTH,
            "buy": usd_per_request * requests * DAYS_A_MONTH,
        }
        for requests in drawn
    ]


def break_even_chart(
    name: str,
    styles: tuple[TargetStyle, TargetStyle],
    replica: Replica,
    demand: Demand,
    usd_per_request: float,
    result: BreakEven,
    goodput: tuple[float | None, float | None],
    own_volume: float | None,
) -> Drawing:
    """Return the drawing; styles are of the served target and of the bought one, goodput the interval's ends."""
    serve, buy = styles
    found = result.at.requests_a_day
    rows = cost_rows(
        replica, demand, usd_per_request, volumes(replica, found, own_volume), *goodput
    )
    marks = [
        {"at": at, "what": what}
        for at, what in ((found, "break-even"), (own_volume, "your volume"))
        if at is not None and at > 0
    ]
    key = [
        KeyEntry(f"serve it: {serve.label}", serve.colour, "line", serve.emulated),
        KeyEntry(f"buy it: {buy.label}", buy.colour, "line", buy.emulated),
    ]
    if goodput != (None, None):
        key.insert(1, KeyEntry("interval of the measured goodput", serve.colour, "band"))
    return Drawing(
        name,
        "A month's bill over its volume",
        "Serving goes up in whole replicas, sized for the peak hour; buying goes up with every request.",
        _spec(serve, buy, rows, marks),
        key,
        ["Both axes are logarithmic."],
    )


def _spec(serve: TargetStyle, buy: TargetStyle, rows: list[Record], marks: list[Record]) -> Spec:
    costs = alt.NamedData(COSTS)
    # Stated, because there may be no mark, and nothing has no extent; the page's script states it again.
    span = alt.Scale(type="log", nice=False, domain=[rows[0]["requests"], rows[-1]["requests"]])

    def along(field: str) -> alt.X:
        return alt.X(
            f"{field}:Q",
            title="Requests a day (log scale)",
            scale=span,
            axis=alt.Axis(format=PLAIN, tickCount=6),
        )

    x = along("requests")

    def y(field: str) -> alt.Y:
        return alt.Y(
            f"{field}:Q",
            title="US dollars a month (log scale)",
            scale=alt.Scale(type="log", nice=False),
            axis=alt.Axis(format=PLAIN, tickCount=6, grid=False),
        )

    band = (
        alt.Chart(costs)
        .mark_area(color=serve.colour, opacity=0.16, interpolate="step-after", line=False)
        .encode(x=x, y=y("low"), y2=alt.Y2("high"))
    )
    served = (
        alt.Chart(costs)
        .mark_line(
            color=serve.colour, strokeDash=serve.dash, strokeWidth=2, interpolate="step-after"
        )
        .encode(x=x, y=y("serve"))
    )
    bought = (
        alt.Chart(costs)
        .mark_line(color=buy.colour, strokeDash=buy.dash, strokeWidth=2)
        .encode(x=x, y=y("buy"))
    )
    at = along("at")
    rule = (
        alt.Chart(alt.NamedData(MARKS))
        .mark_rule(color="var(--ink-soft)", strokeDash=[2, 3])
        .encode(x=at)
    )
    words = (
        alt.Chart(alt.NamedData(MARKS))
        .mark_text(align="left", dx=4, dy=8, baseline="top", fontSize=11)
        .encode(x=at, y=TOP, text=alt.Text("what:N"))
    )
    alt_text = f"Dollars a month against requests a day: {serve.label} served, {buy.label} bought."
    spec = layered([band, served, bought, rule, words], alt_text, height=280)
    return {**spec, "datasets": {COSTS: rows, MARKS: marks}}
