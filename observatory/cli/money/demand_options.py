"""The options that give a volume and its capacity, alike in `cost` and `breakeven`."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from observatory.core.errors import BadInput

if TYPE_CHECKING:
    from observatory.core.money.demand import Demand


class Capacity(StrEnum):
    """core.money.demand.Assumption, where --help needs it without its library."""

    always_on = "always_on"
    active_window = "active_window"
    scale_to_zero = "scale_to_zero"


RequestsOption = Annotated[float | None, typer.Option(help="Volume of a mean day.")]
TokensOption = Annotated[
    float | None,
    typer.Option(help="Or in tokens, prompt and output."),
]
BillOption = Annotated[
    float | None,
    typer.Option("--api-bill-a-month", help="Or as an API's bill, US dollars a month."),
]
DailyBillOption = Annotated[
    float | None,
    typer.Option("--api-bill-a-day", help="The same, a day."),
]
PeakOption = Annotated[
    float | None,
    typer.Option(help="Peak hour over the day's mean hour, 1 or more."),
]
SharesOption = Annotated[
    str | None,
    typer.Option(
        help="Or the day's shape: 24 counts or shares of requests from midnight on, with commas between.",
    ),
]
SpareOption = Annotated[
    int | None,
    typer.Option(help="Kept beyond what the peak needs (default: 1)."),
]
AssumptionOption = Annotated[
    Capacity | None,
    typer.Option(
        help="What capacity is kept (default: always_on).",
    ),
]
HoursOption = Annotated[
    float | None,
    typer.Option(help="active_window: hours a day."),
]
VOLUMES = ("requests_a_day", "tokens_a_day", "api_bill_usd_a_day", "api_bill_usd_a_month")
TYPED = (
    *VOLUMES, "peak_to_mean", "hourly_shares", "spare_replicas", "assumption", "active_hours",
)  # fmt: skip
"""The parameters of a command that are fields of Demand."""


def typed_demand(command: typer.Context) -> dict[str, Any]:
    """Return what was typed of the demand, by the fields of Demand; None for what was not."""
    return {name: command.params[name] for name in TYPED}


def demand_of(scenario_json: str | None, typed: Mapping[str, Any]) -> "Demand":
    """Return the demand of the run's scenario with the typed options in its place; BadInput names what is wrong.

    scenario_json is the run's scenario. A typed volume replaces the scenario's in any unit, a typed peak its
    hourly shares and they its peak, a typed assumption its window.
    """
    from pydantic import ValidationError

    from observatory.core.money.demand import Demand

    stated = (json.loads(scenario_json or "{}").get("demand")) or {}
    given = {
        name: value.value if isinstance(value, Capacity) else value
        for name, value in typed.items()
        if value is not None
    }
    if any(name in given for name in VOLUMES):
        stated = {name: value for name, value in stated.items() if name not in VOLUMES}
    if "hourly_shares" in given:
        given["hourly_shares"] = shares_in(str(given["hourly_shares"]))
        stated = {k: v for k, v in stated.items() if k not in ("peak_to_mean", "source")}
    if "peak_to_mean" in given:
        stated = {k: v for k, v in stated.items() if k not in ("hourly_shares", "source")}
    if "assumption" in given:
        stated = {k: v for k, v in stated.items() if k not in ("active_hours", "cold_start")}
    merged = {key: value for key, value in {**stated, **given}.items() if value is not None}
    try:
        return Demand(**merged)
    except ValidationError as error:
        first = error.errors()[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        place = ".".join(str(part) for part in first["loc"])
        raise BadInput(message, where=f"demand{f'.{place}' if place else ''}") from error


def shares_in(text: str) -> list[float]:
    """Return shares of a day's hours, whose sum is 1, from counts or shares as they were typed."""
    try:
        counts = [float(part) for part in text.replace(",", " ").split()]
    except ValueError as error:
        raise BadInput(
            "these are not numbers with commas between", where="--hourly-shares"
        ) from error
    total = sum(counts)
    if total <= 0:
        raise BadInput("these add up to nothing", where="--hourly-shares")
    return [count / total for count in counts]
