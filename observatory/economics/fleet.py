"""What it costs to serve a volume on whole replicas sized for the peak hour. Pure arithmetic.

A replica is one measured target; its goodput is what it served within the SLO. Cost is a step
function of the volume, with a slope where more requests take more electricity.
"""

import math
from dataclasses import dataclass, replace

from observatory.core.demand import DAYS_A_MONTH, HOURS_A_DAY, Demand
from observatory.economics.machine_money import ELECTRICITY_UNKNOWN, Component, total_usd

SECONDS_A_DAY = 86_400.0
WHOLE = 1e-9
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

    @property
    def usd_per_j(self) -> float:
        """A joule with the data centre's overhead; 0 where the hour contains it."""
        return (self.usd_per_kwh or 0.0) * self.pue / 3.6e6

    def at(self, goodput_rps: float) -> "Replica":
        """The same with another goodput."""
        return replace(self, goodput_rps=goodput_rps)


@dataclass(frozen=True, slots=True)
class CostLine:
    """Dollars a day over requests a day: fixed + step for every begun `requests` + slope x volume.

    unit says what a step is: a replica, or a replica-hour a day.
    """

    fixed_usd: float
    step_usd: float
    step_requests: float
    request_usd: float
    unit: str = "replica"

    def steps(self, requests_a_day: float) -> int:
        """How many steps a volume takes."""
        return math.ceil(requests_a_day / self.step_requests - WHOLE)

    def usd(self, requests_a_day: float) -> float:
        """Dollars a day."""
        begun = self.fixed_usd + self.step_usd * self.steps(requests_a_day)
        return begun + self.request_usd * requests_a_day


def paid_hours(replica: Replica, demand: Demand) -> float:
    """Hours a day that a replica is paid for: all of them where it is reserved or owned."""
    if demand.active_hours is None or replica.commitment != "on_demand":
        return float(HOURS_A_DAY)
    return demand.active_hours


def scales_by_the_hour(replica: Replica, demand: Demand) -> bool:
    """Whether replica-hours, not replicas, are what is paid for."""
    return demand.assumption == "scale_to_zero" and replica.commitment == "on_demand"


def cost_line(replica: Replica, demand: Demand) -> CostLine:
    """The cost of serving on such replicas under the demand's shape, spares and assumption.

    Operations are paid once, every hour, whatever the number of replicas. Scaled to zero, hardware
    that is reserved or owned is paid all the same and saves its idle electricity; spares cost
    nothing where replica-hours are paid.
    """
    people = replica.operations_usd_per_hour * HOURS_A_DAY
    request_usd = replica.j_per_request * replica.usd_per_j
    if scales_by_the_hour(replica, demand):
        hour = replica.usd_per_hour + replica.kept_w * 3600 * replica.usd_per_j
        return CostLine(people, hour, replica.goodput_rps * 3600, request_usd, "replica-hour")
    on_hours = demand.active_hours or float(HOURS_A_DAY)
    kept_usd = replica.kept_w * 3600 * replica.usd_per_j
    if demand.assumption == "scale_to_zero":
        on_hours = 0.0
        request_usd += kept_usd * busy_hours(replica, 1.0)
    step_usd = replica.usd_per_hour * paid_hours(replica, demand) + kept_usd * on_hours
    return CostLine(
        people + demand.spare_replicas * step_usd,
        step_usd,
        replica.goodput_rps * SECONDS_A_DAY / demand.peak,
        request_usd,
    )


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
    """The components of a month at a volume; their sum is the cost line's days.

    utilisation is the share of the paid replica-hours that the volume would keep busy at the
    measured goodput.
    """
    line = cost_line(replica, demand)
    steps = line.steps(requests_a_day)
    by_hour = scales_by_the_hour(replica, demand)
    replicas = None if by_hour else steps + demand.spare_replicas
    hours = float(steps) if replicas is None else replicas * paid_hours(replica, demand)
    month = DAYS_A_MONTH
    parts = [
        Component(
            "accelerators",
            hours * replica.accelerators * month,
            "accelerator-hour",
            replica.usd_per_hour / replica.accelerators,
            replica.basis,
            replica.source,
        )
    ]
    if replica.electricity_missing:
        parts.append(
            Component(
                "electricity",
                None,
                "kWh",
                replica.usd_per_kwh,
                None,
                replica.tariff_source,
                ELECTRICITY_UNKNOWN,
            )
        )
    elif replica.usd_per_kwh is not None:
        kwh = month * _daily_kwh(replica, demand, requests_a_day, hours)
        parts.append(
            Component(
                "electricity", kwh, "kWh", replica.usd_per_kwh, "modelled", replica.tariff_source
            )
        )
    if replica.operations_usd_per_hour:
        parts.append(
            Component(
                "operations",
                HOURS_A_DAY * month,
                "hour",
                replica.operations_usd_per_hour,
                replica.basis,
                replica.operations_source,
            )
        )
    busy = busy_hours(replica, requests_a_day) / hours
    return MonthlyCost(requests_a_day, replicas, hours, busy, parts)


def busy_hours(replica: Replica, requests_a_day: float) -> float:
    """Replica-hours a day in which the volume would keep replicas busy at the measured goodput."""
    return requests_a_day / (replica.goodput_rps * 3600)


def _daily_kwh(
    replica: Replica, demand: Demand, requests_a_day: float, replica_hours: float
) -> float:
    """What the replicas draw in a day, the data centre's overhead included."""
    on_hours = replica_hours
    if demand.assumption == "scale_to_zero" and not scales_by_the_hour(replica, demand):
        on_hours = busy_hours(replica, requests_a_day)
    elif demand.active_hours is not None:
        on_hours = replica_hours / paid_hours(replica, demand) * demand.active_hours
    watt_hours = replica.kept_w * on_hours + replica.j_per_request * requests_a_day / 3600
    return watt_hours * replica.pue / 1000
