"""A sensor's readings, and the energy derived from them: plain rows, units in names."""

from typing import Literal

import msgspec

Subject = Literal["target", "client", "shared_host"]
Scope = Literal["gpu", "cpu", "memory", "host", "datacentre_overhead"]
EnergyBasis = Literal["measured", "estimated", "modelled"]


RESTARTED = "restarted: "
"""Prefix of the reason of a null where a counter restarted: a difference across that instant has no meaning."""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """One reading. at is nanoseconds from the campaign's anchor.

    sensor: a name of telemetry.sensors.table, e.g. host, nvml or engine. device: "" where there is only
    one, else e.g. "gpu0" or a process's role (engine, client). metric ends in its unit or is `up` (1 works,
    0 does not). value is None where the sensor has none; then reason is set.
    """

    at: int
    sensor: str
    subject: Subject
    device: str
    metric: str
    value: float | None
    reason: str | None = None


class EnergyRow(msgspec.Struct, frozen=True):
    """Energy of one subject and scope over one window (instants from the run's anchor).

    stage is None for the idle baseline: engines loaded, no requests. low_j and high_j are the ends
    of a modelled range. pue is what a datacentre_overhead row was made with. counts is False for a
    second method over the same joules, kept to check the first: it enters no sum.
    coverage_fraction and longest_gap_s describe how the readings lie in the window, limit_w is what the
    devices may draw on average, disagreement_fraction the largest difference of two methods on one device.
    """

    stage: int | None
    subject: Subject
    scope: Scope
    basis: EnergyBasis
    method: str
    window_start: int
    window_end: int
    energy_j: float | None
    grid_zone: str | None = None
    grid_kgco2e_per_kwh: float | None = None
    kgco2e: float | None = None
    source: str | None = None
    reason: str | None = None
    low_j: float | None = None
    high_j: float | None = None
    pue: float | None = None
    counts: bool = True
    coverage_fraction: float | None = None
    longest_gap_s: float | None = None
    limit_w: float | None = None
    disagreement_fraction: float | None = None
