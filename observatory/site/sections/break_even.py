"""One break-even on a page: the answer in words, its chart, its assumptions, and inputs.

The page's script computes again when a reader changes an input; it gets the measured figures from `data`.
"""

from dataclasses import dataclass
from typing import Any, get_args

from observatory.analysis.billing import serving
from observatory.analysis.billing.serving import BreakEvenReport
from observatory.core.money.demand import DAYS_A_MONTH, Assumption
from observatory.core.stage_words import human_stage
from observatory.core.units import human_number
from observatory.economics.fleet import SECONDS_A_DAY, Replica, fleet_cost
from observatory.presentation import break_even_text
from observatory.presentation.dollars import write_usd
from observatory.presentation.figures import DASH
from observatory.site.charts.break_even import break_even_chart
from observatory.site.charts.drawing import CellTable, Drawing, TableCell
from observatory.site.members import MemberRun
from observatory.store.queries.money import replica_of
from observatory.store.queries.money_rows import MoneyRow

VOLUMES = {
    "requests_a_day": "requests a day",
    "tokens_a_day": "tokens a day",
    "api_bill_usd_a_day": "US dollars a day at the API",
    "api_bill_usd_a_month": "US dollars a month at the API",
}
TEXTS = {
    "settled": break_even_text.SETTLED,
    "before": break_even_text.BEFORE,
    "more": break_even_text.MORE,
    "never": break_even_text.NEVER,
    "never_by_request": break_even_text.NEVER_BY_REQUEST,
    "never_by_step": break_even_text.NEVER_BY_STEP,
    "between": break_even_text.BETWEEN,
    "same": serving.SAME,
    "unvaried": serving.UNVARIED,
    "month": " ({low} to {high}{why})",
    "no_interval": " (no interval: {why})",
    "replicas": "{kept} ({spare} spare)",
    "hours": "{hours} replica-hours a day",
}
"""Sentences that the page's script fills."""
ASSUMPTIONS = {
    "always_on": "always on",
    "active_window": "on in active hours only",
    "scale_to_zero": "scaled to zero between requests",
}


@dataclass(frozen=True, slots=True)
class BreakEvenPlan:
    """A served and a bought target, and the volume at which they cost the same.

    facts: (name, value) of the demand's own volume, dashes where none was stated. inputs are what the
    form begins with, data what the script computes with.
    """

    name: str
    served: MemberRun
    bought: MemberRun
    sentence: str
    interval: str
    volume: float | None
    facts: list[tuple[str, str, str]]
    steps: CellTable
    given: CellTable
    drawing: Drawing
    inputs: dict[str, Any]
    data: dict[str, Any]


def plan_of(name: str, members: tuple[MemberRun, MemberRun], one: BreakEvenReport) -> BreakEvenPlan:
    """Return the plan of an answer that found something (one.found is not None)."""
    served, bought = members
    replica = replica_of(one.self_row)
    if one.found is None or replica is None:
        raise ValueError("a refused answer has no plan")
    price = one.found.at.usd_per_request
    ends = one.self_row.goodput_rps_low, one.self_row.goodput_rps_high
    return BreakEvenPlan(
        name=name,
        served=served,
        bought=bought,
        sentence=break_even_text.sentence(one),
        interval=break_even_text.interval(one),
        volume=one.volume,
        facts=plan_facts(one),
        steps=_steps(one),
        given=_given(one, replica),
        drawing=break_even_chart(
            f"{name}-chart",
            (served.style, bought.style),
            replica,
            one.demand,
            price,
            one.found,
            ends,
            one.volume,
        ),
        inputs=_inputs(one),
        data=_data(one, replica),
    )


def plan_facts(one: BreakEvenReport) -> list[tuple[str, str, str]]:
    """Return (key, name, value): the page's script fills the value by the key."""
    month, bought, volume = one.self_month, one.api_usd_a_month, one.volume
    values: dict[str, str] = {}
    served = month.usd if month is not None else None
    if month is not None and served is not None and bought is not None and volume:
        capacity = TEXTS["hours"].format(hours=human_number(month.replica_hours_a_day))
        if month.replicas is not None:
            capacity = TEXTS["replicas"].format(
                kept=f"{month.replicas:,}", spare=one.demand.spare_replicas
            )
        cheaper = one.self_row if served <= bought else one.api_row
        values = {
            "requests": f"{volume:,.0f}",
            "capacity": capacity,
            "serve": write_usd(served)
            + _between(serving.month_ends(one.self_row, one.demand, volume)),
            "serve_per_1k": write_usd(served / (volume * DAYS_A_MONTH) * 1000),
            "buy": write_usd(bought)
            + _between(serving.month_ends(one.api_row, one.demand, volume)),
            "buy_per_1k": write_usd(bought / (volume * DAYS_A_MONTH) * 1000),
            "cheaper": cheaper.target,
        }
    own, other = one.self_row.target, one.api_row.target
    names = (
        ("requests", "Requests a day"),
        ("capacity", "Replicas kept"),
        ("serve", f"Serving it on {own}, a month"),
        ("buy", f"Buying it from {other}, a month"),
        ("serve_per_1k", "Served, 1,000 requests"),
        ("buy_per_1k", "Bought, 1,000 requests"),
        ("cheaper", "Cheaper at this volume"),
    )
    return [(key, name, values.get(key, DASH)) for key, name in names]


def _between(ends: serving.MonthEnds) -> str:
    """Return a month's interval, as the page's script writes it too."""
    if ends.low_usd is None or ends.high_usd is None:
        return TEXTS["no_interval"].format(why=ends.reason)
    why = f", {ends.reason}" if ends.reason else ""
    return TEXTS["month"].format(
        low=write_usd(ends.low_usd), high=write_usd(ends.high_usd), why=why
    )


def _steps(one: BreakEvenReport) -> CellTable:
    heads = [("Replicas", True), ("Requests a day at most", True)]
    heads += [("Serving them, a day", True), ("Buying them, a day", True)]
    rows = [
        [
            TableCell(
                f"{step.steps:,}" + (f" + {step.spare} spare" if step.spare else ""), number=True
            ),
            TableCell(f"{step.requests_a_day:,.0f}", number=True),
            TableCell(write_usd(step.self_usd_a_day), number=True),
            TableCell(write_usd(step.api_usd_a_day), number=True),
        ]
        for step in serving.steps_of(one)
    ]
    return CellTable(heads, rows)


_Line = tuple[str, str, str | None, str | None, str | None]
"""An assumption: its name, value, note, basis and source."""


def _given(one: BreakEvenReport, replica: Replica) -> CellTable:
    """Return every assumption with its basis and source."""
    heads = [("Assumption", False), ("Value", True), ("Source", False)]
    return CellTable(
        heads,
        [
            [
                TableCell(name),
                TableCell(value, under, number=True, basis=basis),
                TableCell(source or DASH),
            ]
            for name, value, under, basis, source in (
                *_assumptions(one, replica),
                *_running_costs(replica),
            )
        ],
    )


def _assumptions(one: BreakEvenReport, replica: Replica) -> list[_Line]:
    own, other, demand = one.self_row, one.api_row, one.demand
    low, high = own.goodput_rps_low, own.goodput_rps_high
    ends = f"95 % interval {human_number(low)} to {human_number(high)}" if low and high else None
    hour = f"{write_usd(replica.usd_per_hour)} an hour"
    return [
        (
            "A replica's goodput within the SLO",
            f"{human_number(replica.goodput_rps)} requests/s",
            ends,
            "emulated" if own.emulated else "measured",
            f"{human_stage(own.best_stage or 0)} of the run",
        ),
        (
            "A replica's hour",
            hour,
            replica.commitment.replace("_", " "),
            replica.basis,
            replica.source,
        ),
        (
            "A bought request",
            write_usd(other.usd_per_request or 0.0),
            "; ".join(filter(None, (break_even_text.price_interval(other), _tokens(other)))),
            other.cost_basis,
            other.price_source,
        ),
        ("Peak hour over mean hour", human_number(demand.peak, 4), None, None, demand.peak_source),
        (
            "Spare replicas",
            str(demand.spare_replicas),
            None,
            None,
            "default"
            if "spare_replicas" not in demand.model_fields_set
            else demand.source or "stated",
        ),
        ("Capacity is", ASSUMPTIONS[demand.assumption], None, None, demand.source or "default"),
    ]


def _running_costs(replica: Replica) -> list[_Line]:
    """Return operations and electricity, where they are paid apart."""
    lines: list[_Line] = []
    if replica.operations_usd_per_hour:
        people = f"{write_usd(replica.operations_usd_per_hour)} an hour"
        lines.append(("Operations", people, None, replica.basis, replica.operations_source))
    if replica.usd_per_kwh is not None:
        tariff = f"{write_usd(replica.usd_per_kwh)} per kWh"
        drawn = (
            f"{human_number(replica.power_w)} W under load, {human_number(replica.kept_w)} W kept"
        )
        lines.append(
            (
                "Electricity",
                tariff,
                f"{drawn}, PUE {replica.pue:g}",
                replica.basis,
                replica.tariff_source,
            )
        )
    return lines


def _tokens(row: MoneyRow) -> str | None:
    if row.prompt_tokens is None or row.output_tokens is None:
        return None
    return f"{row.prompt_tokens:,.0f} prompt and {row.output_tokens:,.1f} output tokens"


def _inputs(one: BreakEvenReport) -> dict[str, Any]:
    demand = one.demand
    stated = next((name for name in VOLUMES if getattr(demand, name) is not None), None)
    return {
        "kind": stated or "requests_a_day",
        "amount": getattr(demand, stated) if stated else "",
        "peak_to_mean": round(demand.peak, 4),
        "hourly_shares": ", ".join(f"{share:.4g}" for share in demand.hourly_shares or []),
        "spare_replicas": demand.spare_replicas,
        "assumption": demand.assumption,
        "active_hours": demand.active_hours or "",
        "kinds": VOLUMES,
        "assumptions": ASSUMPTIONS,
    }


def _data(one: BreakEvenReport, replica: Replica) -> dict[str, Any]:
    own, other = one.self_row, one.api_row
    tokens = None
    if other.prompt_tokens is not None and other.output_tokens is not None:
        tokens = other.prompt_tokens + other.output_tokens
    return {
        "lines": {
            "at": _lines(replica, replica.goodput_rps),
            "low": _lines(replica, own.goodput_rps_high),
            "high": _lines(replica, own.goodput_rps_low),
        },
        "full_day_requests": replica.goodput_rps * SECONDS_A_DAY,
        "bought": {
            "usd_per_request": other.usd_per_request,
            "usd_low": other.usd_per_request_low,
            "usd_high": other.usd_per_request_high,
            "no_interval": serving.month_ends(other, one.demand, 1.0).reason,
            "tokens_per_request": tokens,
        },
        "varied": break_even_text.varied(one),
        "texts": TEXTS,
        "names": {
            "own": own.target,
            "bought": other.target,
            "mark": break_even_text.mark(own, other),
        },
    }


def _lines(replica: Replica, goodput_rps: float | None) -> dict[str, dict[str, Any]] | bool | None:
    """Return the cost lines at a goodput, by capacity; None where it is not known, False where nothing is served."""
    if goodput_rps is None:
        return None
    if goodput_rps <= 0:
        return False
    lines = {}
    for capacity in get_args(Assumption):
        fleet = fleet_cost(replica.at(goodput_rps), capacity)
        lines[capacity] = {
            "day_usd": fleet.day_usd,
            "step_usd": fleet.step_usd,
            "step_hour_usd": fleet.step_hour_usd,
            "request_usd": fleet.request_usd,
            "step_requests": fleet.step_requests,
            "by_hour": fleet.by_hour,
            "unit": fleet.unit,
        }
    return lines
