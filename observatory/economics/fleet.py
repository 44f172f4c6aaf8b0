"""What it costs to serve a volume on whole replicas sized for the peak hour. Pure arithmetic.

A replica is one measured target; its goodput is what it served within the SLO. Cost is a step
function of the volume, with a slope where more requests take more electricity.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from observatory.core.money.demand import DAYS_A_MONTH, HOURS_A_DAY, Assumption, Demand
from observatory.economics.energy import J_PER_KWH
from observatory.economics.machine_money import ELECTRICITY_UNKNOWN, Component, total_usd

SECONDS_A_DAY = 86_400.0
INTEGER_TOLERANCE = 1e-9
"""A ratio this near above a whole number is that number: binary fractions are not exact."""


@dataclass(frozen=True, slots=True)
class Replica:
    """One target as it was measured at its best stage within the SLO, and what it is paid for.

    usd_per_hour is of the whole target. usd_per_kwh is None where the hour contains the electricity;
    pue is 1 where none is stated; power_w under that stage's load and idle_power_w without requests,
    request_rate what it served at that power. electricity_missing: it is paid apart, and tariff or power
    is not known.
    """

    target: str
    goodput_rps: float
    usd_per_hour: float
    accelerators: int = 1
    commitment: str = "on_demand"
    operations_usd_per_hour: float = 0.0
    usd_per_kwh: float | None = None
    pue: float = 1.0
    power_w: float | None = None
    idle_power_w: float | None = None
    request_rate: float | None = None
    electricity_missing: bool = False
    basis: str = "stated"
    source: str = ""
    tariff_source: str = ""
    operations_source: str = ""

    @property
    def kept_w(self) -> float:
        """What it draws while it is kept: idle, or where that was not measured as under load."""
        return self.idle_power_w if self.idle_power_w is not None else (self.power_w or 0.0)

    @property
    def j_per_request(self) -> float:
        """What a request takes beyond that; 0 where idle or load was not measured."""
        if self.power_w is None or self.idle_power_w is None or not self.request_rate:
            return 0.0
        return max(0.0, self.power_w - self.idle_power_w) / self.request_rate

    def at(self, goodput_rps: float) -> "Replica":
        """Return the same with another goodput."""
        return replace(self, goodput_rps=goodput_rps)


@dataclass(frozen=True, slots=True)
class ComponentLine:
    """One component of what a target costs a day under an assumption, before a demand is applied.

    quantity a day = a_day + steps x (a_step + a_step_hour x active hours) + a_request x requests, in
    `unit`; x usd_per_unit = US dollars. All four are None where the component is paid and not known.
    """

    component: str
    unit: str
    usd_per_unit: float | None
    a_day: float | None = 0.0
    a_step: float | None = 0.0
    a_step_hour: float | None = 0.0
    a_request: float | None = 0.0
    basis: str | None = None
    source: str = ""

    def quantity(self, steps: float, active_hours: float, requests: float) -> float | None:
        """Return a day's quantity; None where it is not known."""
        if self.a_day is None or self.a_step is None:
            return None
        a_step = self.a_step + (self.a_step_hour or 0.0) * active_hours
        return self.a_day + steps * a_step + (self.a_request or 0.0) * requests


@dataclass(frozen=True, slots=True)
class FleetCost:
    """The cost of serving on such replicas, before a demand is applied: one line a component.

    A step is a replica, kept all day or for the active hours, or (by_hour) an hour of one. step_requests
    is what it serves in that time when it is busy throughout.
    """

    lines: tuple[ComponentLine, ...]
    step_requests: float
    by_hour: bool

    @property
    def unit(self) -> str:
        """What a step is."""
        return "replica-hour" if self.by_hour else "replica"

    @property
    def day_usd(self) -> float:
        """Return US dollars a day at any volume; a component that is not known adds nothing."""
        return self._sum(lambda line: line.a_day)

    @property
    def step_usd(self) -> float:
        """Return US dollars a day for each step, without step_hour_usd."""
        return self._sum(lambda line: line.a_step)

    @property
    def step_hour_usd(self) -> float:
        """US dollars for each step and active hour of the day."""
        return self._sum(lambda line: line.a_step_hour)

    @property
    def request_usd(self) -> float:
        """US dollars for each request."""
        return self._sum(lambda line: line.a_request)

    def under(self, demand: Demand) -> "CostLine":
        """Return dollars a day over requests a day."""
        step_usd = self.step_usd + self.step_hour_usd * active_hours(demand)
        spares = 0 if self.by_hour else demand.spare_replicas
        return CostLine(
            self.day_usd + spares * step_usd,
            step_usd,
            self.step_requests / (1.0 if self.by_hour else demand.peak),
            self.request_usd,
            self.unit,
        )

    def _sum(self, term: Callable[[ComponentLine], float | None]) -> float:
        return sum((term(line) or 0.0) * (line.usd_per_unit or 0.0) for line in self.lines)


@dataclass(frozen=True, slots=True)
class CostLine:
    """Dollars a day over requests a day: fixed + step for every begun `requests` + slope x volume.

    unit is that of a step: a replica, or a replica-hour a day.
    """

    fixed_usd: float
    step_usd: float
    step_requests: float
    request_usd: float
    unit: str = "replica"

    def steps(self, requests_a_day: float) -> int:
        """Return how many steps a volume takes."""
        return math.ceil(requests_a_day / self.step_requests - INTEGER_TOLERANCE)

    @property
    def full_step_usd(self) -> float:
        """Dollars a day of a step that serves all that it can, fixed ones apart."""
        return self.step_usd + self.request_usd * self.step_requests

    def usd(self, requests_a_day: float) -> float:
        """Return dollars a day."""
        begun = self.fixed_usd + self.step_usd * self.steps(requests_a_day)
        return begun + self.request_usd * requests_a_day


def active_hours(demand: Demand) -> float:
    """Return the hours a day that capacity is kept."""
    return float(HOURS_A_DAY) if demand.active_hours is None else demand.active_hours


def fleet_cost(replica: Replica, assumption: Assumption) -> FleetCost:
    """Return the cost of serving on such replicas under an assumption about the hours that they are kept.

    Operations are paid once, every hour, for any number of replicas. Reserved or owned hardware is
    paid for all 24 hours. Scaled to zero, hardware by the hour is paid for begun hours of work, without
    spares; other hardware saves its idle electricity only.
    """
    by_hour = assumption == "scale_to_zero" and replica.commitment == "on_demand"
    hour = ComponentLine(
        "accelerators",
        "accelerator-hour",
        replica.usd_per_hour / replica.accelerators,
        basis=replica.basis,
        source=replica.source,
    )
    count = float(replica.accelerators)
    if by_hour:
        lines = [replace(hour, a_step=count)]
    elif replica.commitment == "on_demand":
        lines = [replace(hour, a_step_hour=count)]
    else:
        lines = [replace(hour, a_step=count * HOURS_A_DAY)]
    if replica.electricity_missing or replica.usd_per_kwh is not None:
        lines.append(_electricity(replica, assumption, by_hour=by_hour))
    if replica.operations_usd_per_hour:
        people = replica.operations_usd_per_hour
        lines.append(
            ComponentLine(
                "operations",
                "hour",
                people,
                a_day=float(HOURS_A_DAY),
                basis=replica.basis,
                source=replica.operations_source,
            )
        )
    seconds = 3600.0 if by_hour else SECONDS_A_DAY
    return FleetCost(tuple(lines), replica.goodput_rps * seconds, by_hour)


def _electricity(replica: Replica, assumption: Assumption, *, by_hour: bool) -> ComponentLine:
    """Return the line of kWh with the data centre's overhead: the kept draw by time, a request's own beyond it."""
    line = ComponentLine("electricity", "kWh", replica.usd_per_kwh, source=replica.tariff_source)
    if replica.electricity_missing:
        return replace(line, a_day=None, a_step=None, a_step_hour=None, a_request=None)
    kept_kwh = replica.kept_w * replica.pue / 1000
    a_request = replica.j_per_request * replica.pue / J_PER_KWH
    line = replace(line, a_request=a_request, basis="modelled")
    if by_hour:
        return replace(line, a_step=kept_kwh)
    if assumption == "scale_to_zero":
        return replace(line, a_request=a_request + kept_kwh / (replica.goodput_rps * 3600))
    return replace(line, a_step_hour=kept_kwh)


def cost_line(replica: Replica, demand: Demand) -> CostLine:
    """Return the cost of serving on such replicas under a demand."""
    return fleet_cost(replica, demand.assumption).under(demand)


@dataclass(frozen=True, slots=True)
class MonthlyCost:
    """A mean month at a volume. replicas is with spares (None where replica-hours or tokens are paid)."""

    requests_a_day: float
    replicas: int | None
    replica_hours_a_day: float
    utilisation: float | None
    components: list[Component]

    @property
    def usd(self) -> float | None:
        """All of it; None where a component is not known."""
        usd, missing = total_usd(self.components)
        return None if missing else usd

    @property
    def usd_per_request(self) -> float | None:
        """Over the month's requests."""
        return None if self.usd is None else self.usd / (self.requests_a_day * DAYS_A_MONTH)


def monthly_cost(replica: Replica, demand: Demand, requests_a_day: float) -> MonthlyCost:
    """Return the components of a month at a volume; their sum is the cost line's days.

    utilisation is the share of the paid replica-hours that the volume would keep busy at the
    measured goodput.
    """
    fleet = fleet_cost(replica, demand.assumption)
    hours = active_hours(demand)
    steps = fleet.under(demand).steps(requests_a_day)
    kept = steps if fleet.by_hour else steps + demand.spare_replicas
    parts = []
    for line in fleet.lines:
        a_day = line.quantity(kept, hours, requests_a_day)
        parts.append(
            Component(
                line.component,
                None if a_day is None else a_day * DAYS_A_MONTH,
                line.unit,
                line.usd_per_unit,
                line.basis,
                line.source,
                ELECTRICITY_UNKNOWN if a_day is None else None,
            )
        )
    paid = fleet.lines[0].quantity(kept, hours, requests_a_day) or 0.0
    replica_hours = paid / replica.accelerators
    busy = requests_a_day / (replica.goodput_rps * 3600) / replica_hours
    replicas = None if fleet.by_hour else kept
    return MonthlyCost(requests_a_day, replicas, replica_hours, busy, parts)
