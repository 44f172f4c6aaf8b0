"""A run's costs and a break-even as JSON for scripts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from observatory.analysis.billing import serving
from observatory.cli.money.money_views import Changes, input_lines
from observatory.core.money.demand import Demand
from observatory.economics.fleet import MonthlyCost
from observatory.presentation.break_even_text import cache_sentence, interval, never_text, sentence
from observatory.store.queries.money_rows import ComponentRow, MoneyFigureRow, MoneyRow


def answer_json(one: serving.BreakEvenReport, changed: Changes) -> dict[str, Any]:
    """Return the whole answer for scripts."""
    found = one.found
    at = found.at if found else None
    low, high = (found.low, found.high) if found else (None, None)
    return {
        "self_target": one.self_row.target,
        "api_target": one.api_row.target,
        "emulated": one.self_row.emulated or one.api_row.emulated,
        "price_bases": sorted(
            {basis for row in (one.self_row, one.api_row) if (basis := row.price_basis)}
        ),
        "sentence": sentence(one),
        "requests_a_day": at.requests_a_day if at else None,
        "low": low.requests_a_day if low else None,
        "high": high.requests_a_day if high else None,
        "reason": one.refused or (never_text(at) if at else None),
        "cheaper_before": [asdict(each) for each in at.before] if at else [],
        "inputs": input_lines(one, changed),
        "changed_since_sealed": dict(changed),
        "demand": one.demand.model_dump(mode="json"),
        "peak_source": one.demand.peak_source,
        "steps": [asdict(step) for step in serving.steps_of(one)],
        "volume_requests_a_day": one.volume,
        "self_usd_a_month": one.self_month.usd if one.self_month else None,
        "self_usd_a_month_ends": _ends_json(one.self_row, one),
        "api_usd_a_month": one.api_usd_a_month,
        "api_usd_a_month_ends": _ends_json(one.api_row, one),
        "interval": interval(one),
    }


def _ends_json(row: MoneyRow, one: serving.BreakEvenReport) -> dict[str, Any] | None:
    return None if one.volume is None else asdict(serving.month_ends(row, one.demand, one.volume))


_OF_RUN = ("run_id", "target", "emulated", "billing", "price_basis")
_OF_REQUEST = ("usd_per_request", *(f"usd_per_request_{of}" for of in ("low", "high", "reason")))
_OF_COMPONENT = (
    "stage", "accounting", "component", "quantity", "unit", "usd_per_unit", "usd", "basis", "source",
    "reason",
)  # fmt: skip
_OF_FIGURE = ("stage", "metric", "value", "low", "high", "n", "needs_n", "basis", "reason")


def _picked(row: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def cost_json(
    row: MoneyRow,
    components: Sequence[ComponentRow],
    figures: Sequence[MoneyFigureRow],
    demand: Demand,
    volume: float | None,
    changed: Changes,
) -> dict[str, Any]:
    """Return one run for scripts."""
    month = None if volume is None else serving.month_of(row, demand, volume)
    left_out = serving.is_invalid(row)
    if left_out:
        components = figures = ()
    return {
        **_picked(row, _OF_RUN),
        **(dict.fromkeys(_OF_REQUEST) if left_out else _picked(row, _OF_REQUEST)),
        "verdict": row.verdict,
        "left_out": serving.INVALID if left_out else None,
        "changed_since_sealed": changed.get(row.run_id),
        "components": [_picked(one, _OF_COMPONENT) for one in components],
        "figures": [_picked(one, _OF_FIGURE) for one in figures],
        "cache": None if left_out else cache_sentence(row),
        "demand": demand.model_dump(mode="json"),
        "no_month": serving.no_month(row) if month is None and volume is not None else None,
        "month": None if month is None else _month_json(row, demand, month),
    }


def _month_json(row: MoneyRow, demand: Demand, month: MonthlyCost) -> dict[str, Any]:
    return {
        "requests_a_day": month.requests_a_day,
        "usd": month.usd,
        **asdict(serving.month_ends(row, demand, month.requests_a_day)),
        "usd_per_request": month.usd_per_request,
        "replicas": month.replicas,
        "utilisation": month.utilisation,
        "components": [{**asdict(part), "usd": part.usd} for part in month.components],
    }
