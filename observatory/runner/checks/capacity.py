"""Estimates what a plan requires of the load generator, before it runs. Pure.

A closed loop sends as fast as its target answers, so a pace is assumed and reported; the result
is an estimate and is kept with the run for a reader to compare.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.plan import Plan, StagePlan
from observatory.core.scenario import Slo
from observatory.core.units import human_level, human_number, human_seconds
from observatory.runner.checks.stored_calibration import Calibration, Costs, LoadCeiling

BUSY_AT_MOST = THRESHOLDS["client_cpu"].degraded or 0.8
"""Share of a core above which the verdict degrades a run: capacity is estimated up to it."""
FIRST_S, GAP_S = 0.1, 0.01
"""The pace assumed of a target of which nothing is known: that of the calibration."""
SHIPPED = Costs(request_cpu_s=0.0002, event_cpu_s=0.0000115)
"""Fitted to what `make bench` found on a two-core x86 virtual machine (CPython 3.11, November 2026):
1.67 CPU-seconds for 1,000 answers of 128 events that came alone, 0.30 where they came at once."""
SHIPPED_SOURCE = (
    "a default, fitted to another machine's benchmark; observatory calibrate measures this one"
)


@dataclass(frozen=True, slots=True)
class AnswerPace:
    """How fast the target is assumed to answer, and the source of that assumption."""

    first_s: float = FIRST_S
    gap_s: float = GAP_S
    source: str = "a target is assumed to answer after 100 ms, then every 10 ms"


class Basis(msgspec.Struct, frozen=True):
    """The inputs of the estimate. here: measured on this machine. streams_events_per_s and
    rate_per_s: what one process was seen to hold, where that is known exactly."""

    costs: Costs
    source: str
    here: bool
    events_per_s: float | None = None
    rate_per_s: float | None = None


class StageDemand(msgspec.Struct, frozen=True):
    """One stage, at the assumed pace and with every answer at its output limit.

    connections: open at once, at the most. cores: load-generating processes needed so that none is
    busier than the verdict allows. least_cores: what sending alone takes, for any target.
    """

    stage: int
    level: str
    connections: int
    requests_per_s: float
    events_per_s: float
    cores: float
    least_cores: float


class CapacityEstimate(msgspec.Struct, frozen=True):
    """All loaded stages; cores and least_cores are of the most demanding one."""

    processes: int
    cores: int
    least_cores: float
    pace: str
    basis: str
    measured_here: bool
    stages: list[StageDemand]

    def to_dict(self) -> dict[str, Any]:
        """Return it as the manifest keeps it."""
        facts: dict[str, Any] = msgspec.to_builtins(self)
        return facts


def basis_of(calibration: Calibration | None, *, is_ours: bool) -> Basis:
    """Return the stored calibration where it is of this machine and knows costs, else the shipped default."""
    if calibration is None or calibration.costs is None or not is_ours:
        return Basis(SHIPPED, SHIPPED_SOURCE, False)
    return Basis(
        calibration.costs,
        f"observatory calibrate, {calibration.made_utc}",
        True,
        _per_process(calibration.streams, calibration, "events"),
        _per_process(calibration.rate, calibration, "level"),
    )


def _per_process(
    ceiling: LoadCeiling, calibration: Calibration, what: Literal["events", "level"]
) -> float | None:
    """Return what one process held, where the client was what ended the search."""
    if ceiling.bound != "exact" or ceiling.figures is None or ceiling.level is None:
        return None
    value = ceiling.figures.events_per_s if what == "events" else ceiling.level
    return value / calibration.processes if value else None


def pace_of(slo: Slo | None) -> AnswerPace:
    """Return the objective's pace where it has one: a target that is slower needs less of the client."""
    if slo is None or (slo.per_request.ttft is None and slo.per_request.tpot is None):
        return AnswerPace()
    first = slo.per_request.ttft or FIRST_S
    gap = slo.per_request.tpot or GAP_S
    source = (
        f"at the objective's pace: an answer after {human_seconds(first)}, "
        f"then every {human_seconds(gap)}"
    )
    return AnswerPace(first, gap, source)


def estimate(plan: Plan, processes: int, pace: AnswerPace, basis: Basis) -> CapacityEstimate:
    """Return the demand of every loaded stage of a plan (priming sends one request at a time: none)."""
    stages = [_demand(stage, plan, pace, basis) for stage in plan.stages if not stage.priming]
    return CapacityEstimate(
        processes=processes,
        cores=max((math.ceil(stage.cores - 1e-9) for stage in stages), default=0),
        least_cores=max((stage.least_cores for stage in stages), default=0.0),
        pace=pace.source,
        basis=basis.source,
        measured_here=basis.here,
        stages=stages,
    )


def _demand(stage: StagePlan, plan: Plan, pace: AnswerPace, basis: Basis) -> StageDemand:
    tokens = sum(item.max_tokens for item in plan.items) / len(plan.items)
    length_s = pace.first_s + (tokens - 1) * pace.gap_s
    if stage.rate_per_s is not None:
        requests = stage.rate_per_s
        connections = most_connections(stage)
    else:
        connections = stage.concurrency or 1
        requests = connections / (length_s + stage.think_time_s)
    events = requests * (tokens if plan.stream else 1)
    busy = requests * basis.costs.request_cpu_s + events * basis.costs.event_cpu_s
    needs = [busy / BUSY_AT_MOST]
    if basis.events_per_s is not None:
        needs.append(events / basis.events_per_s)
    if basis.rate_per_s is not None and stage.rate_per_s is not None:
        needs.append(stage.rate_per_s / basis.rate_per_s)
    sure = requests if stage.rate_per_s is not None else 0.0
    return StageDemand(
        stage=stage.index,
        level=human_level(stage.kind, stage.concurrency, stage.rate_per_s),
        connections=connections,
        requests_per_s=requests,
        events_per_s=events,
        cores=max(needs),
        least_cores=sure * basis.costs.request_cpu_s,
    )


def most_connections(stage: StagePlan) -> int:
    """Return the connections that a stage can have open at once: one a user, or its in-flight limit."""
    if stage.offsets_ns is None:
        return stage.concurrency or 1
    return min(stage.max_in_flight, max(1, len(stage.offsets_ns)))


def demand_line(guess: CapacityEstimate) -> str:
    """Return the estimate in a line, for people."""
    if not guess.stages:
        return "nothing but priming"
    worst = max(guess.stages, key=lambda stage: stage.cores)
    return (
        f"up to {human_number(worst.requests_per_s)} requests/s and "
        f"{human_number(worst.events_per_s)} events/s, {worst.cores:.2g} cores of "
        f"{guess.processes} ({guess.pace}; costs: {guess.basis})"
    )
