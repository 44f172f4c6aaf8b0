"""What a stretch of a self-hosted target's time cost, component by component. Pure arithmetic.

Two figures come out of it and are never mixed: reservation (the whole time that the machine was kept)
and usage (the time in which it worked); a component that is not known is null with a reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from observatory.economics.energy import J_PER_KWH
from observatory.economics.price_rows import AppliedPrices, PriceRow

SECONDS_AN_HOUR = 3600.0
ELECTRICITY_UNKNOWN = "electricity_not_known"
"""The reason of a sum that lacks its electricity."""


@dataclass(frozen=True, slots=True)
class Joules:
    """Energy of one scope in a window. idle_w: what the scope draws without requests."""

    scope: str
    energy_j: float | None
    basis: str
    source: str
    idle_w: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Component:
    """quantity x usd_per_unit = usd; basis: how sure it is, source: where the price is from."""

    name: str
    quantity: float | None
    unit: str
    usd_per_unit: float | None
    basis: str | None
    source: str
    reason: str | None = None

    @property
    def usd(self) -> float | None:
        """US dollars, None where quantity or price is missing."""
        if self.quantity is None or self.usd_per_unit is None:
            return None
        return self.quantity * self.usd_per_unit


def machine_components(
    prices: AppliedPrices,
    seconds: float,
    energy: Sequence[Joules] = (),
    no_energy: str | None = None,
    busy_fraction: float = 1.0,
) -> list[Component]:
    """Return accelerators, electricity by scope (with the data centre's overhead as a scope), operations.

    busy_fraction 1 is the reservation: all of the time. Below 1 it is the usage: that share of the
    hours, and of each scope's energy what is left without the idle draw of the other share (all of it
    where the idle draw was not measured). Energy is priced where the hardware is owned; a rented hour
    contains it. no_energy is the reason why there are no joules.
    """
    hour = prices.row("machine_hour")
    if hour is None:
        return []
    accelerators = hour.details.accelerators or 1
    hours = seconds / SECONDS_AN_HOUR * busy_fraction
    parts = [
        Component(
            "accelerators",
            accelerators * hours,
            "accelerator-hour",
            hour.usd / accelerators,
            hour.basis,
            hour.source,
        ),
        *_electricity(prices, hour, seconds * (1 - busy_fraction), energy, no_energy),
    ]
    people = prices.row("operations_hour")
    if people is not None:
        parts.append(
            Component("operations", hours, "hour", people.usd, people.basis, people.source)
        )
    return parts


def pays_electricity(hour: PriceRow) -> bool:
    """Return whether its electricity is paid in addition to the hour."""
    if hour.details.electricity_usd_per_kwh is not None:
        return True
    included = hour.details.rate_includes
    if included is None:  # a run of before rate_includes was stored
        return bool(hour.details.owned)
    return "electricity" not in included


def tariff_of(prices: AppliedPrices) -> float | None:
    """Return US dollars per kWh; None where none is stated."""
    row, hour = prices.row("electricity_kwh"), prices.row("machine_hour")
    if row is not None:
        return row.usd
    return None if hour is None else hour.details.electricity_usd_per_kwh


def _electricity(
    prices: AppliedPrices,
    hour: PriceRow,
    idle_seconds: float,
    energy: Sequence[Joules],
    no_energy: str | None,
) -> list[Component]:
    if not pays_electricity(hour):
        return []
    tariff = tariff_of(prices)
    row = prices.row("electricity_kwh")
    source = hour.source if row is None else row.source
    if tariff is None:
        return [Component("electricity", None, "kWh", None, None, source, "no_tariff")]
    if not energy:
        reason = no_energy or "no_energy_sensor"
        return [Component("electricity", None, "kWh", tariff, None, source, reason)]
    return [
        Component(
            f"electricity_{one.scope}",
            _kwh(one, idle_seconds),
            "kWh",
            tariff,
            hour.basis if one.basis == "measured" else one.basis,
            f"{source}; energy: {one.source}",
            one.reason,
        )
        for one in energy
    ]


def _kwh(one: Joules, idle_seconds: float) -> float | None:
    if one.energy_j is None:
        return None
    return max(0.0, one.energy_j - (one.idle_w or 0.0) * idle_seconds) / J_PER_KWH


def total_usd(components: Sequence[Component]) -> tuple[float | None, str | None]:
    """Return the sum of what is known, and why it is not whole; None where nothing is known."""
    known = [one.usd for one in components if one.usd is not None]
    complete = len(known) == len(components)
    return (sum(known) if known else None), (None if complete else ELECTRICITY_UNKNOWN)


def marginal_usd(prices: AppliedPrices, seconds: float, energy: Sequence[Joules]) -> float | None:
    """Return what the window's requests cost beyond keeping the machine: electricity above its idle draw.

    0 where the hour contains the electricity. None where it is paid and tariff, energy or the idle
    draw is not known.
    """
    hour = prices.row("machine_hour")
    if hour is None:
        return None
    if not pays_electricity(hour):
        return 0.0
    tariff = tariff_of(prices)
    if tariff is None or not energy:
        return None
    if any(one.energy_j is None or one.idle_w is None for one in energy):
        return None
    return tariff * sum(_kwh(one, seconds) or 0.0 for one in energy)
