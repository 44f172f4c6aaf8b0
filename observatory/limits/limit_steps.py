"""Choose a probe's next step by the results of its runs so far. Pure.

It plans demands and lengths within the bounds; limit_probe runs them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from observatory.analysis.rate_limits import limit_reading

OVER = 1.75
"""Demand over the assumed limit: enough to empty a bucket of a minute in 80 s, and to use up
a minute's window in 34 s, without many more refused requests than needed."""
WINDOW_S = 135.0
"""A minute's window is then seen whole, wherever in it the stage begins: 60 s + 2 x 60 s / OVER is
129 s at the most."""
SHORTEST_S = 15.0
SOUNDING_A_MINUTE, SOUNDING_S = 60.0, 6.0
"""Six requests that only look at the headers."""
GROWTH, RUNG_S = 4.0, 8.0
"""The ladder where nothing is advertised: each demand four times the last, each for eight seconds."""
NARROW = 0.05
"""Half the interval over the figure: the ceiling is known well enough."""
BELOW = 0.9
"""An effective limit under this share of the advertised one wants a reason."""
LESS, LESS_S, LEAST_LESS_S = 0.95, 40.0, 30.0
"""This share of the advertised limit is then the demand: if refused requests count, all of it is
accepted."""
REST, REST_S = 0.1, 45.0
"""Before that the demand is almost zero, so that no refusal of the last minute counts any more; the pauses
between runs and stages are the rest of the minute."""
BEYOND_BURST = 1.1
"""A result must exceed what the measured burst and rate explain by this factor to be distinguished from them."""
MOST_RUNS = 6
OVERHEAD_S = 8.0
"""A run's duration in addition to its load: the sensors' and the load generator's start, the sealing."""

Ended = Literal[
    "found",
    "up_to",
    "max_requests",
    "max_usd",
    "max_minutes",
    "capacity",
    "all_refused",
    "counts_refused",
    "failed",
    "interrupted",
    "undecided",
]
"""What ended a probe; capacity: the service itself was full before anything was refused; counts_refused:
nothing is accepted while the demand is above the limit, and all of it at a little less than the limit."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a probe may take. up_to: the highest demand a minute, in the limit's unit."""

    requests: int
    minutes: float
    up_to: float
    usd: float | None = None


@dataclass(frozen=True, slots=True)
class LimitStep:
    """The stages of one run: demand a minute in the limit's unit, and seconds."""

    stages: tuple[tuple[float, float], ...]
    why: str


@dataclass(frozen=True, slots=True)
class History:
    """A probe so far. known_limit: the advertised limit, of another probe where none of these has one.

    each: what a request takes of the limit, as planned until a response states it.
    """

    seen: Sequence[limit_reading.LimitsSeen]
    each: float
    elapsed_s: float = 0.0
    known_limit: float | None = None

    @property
    def advertised(self) -> float | None:
        """Return the limit by the headers."""
        advertised = [seen.advertised_a_minute for seen in self.seen if seen.advertised_a_minute]
        return advertised[-1] if advertised else self.known_limit

    @property
    def stages(self) -> list[limit_reading.StageSeen]:
        """Return all stages of all runs, in their order."""
        return [stage for seen in self.seen for stage in seen.stages]

    @property
    def requests(self) -> int:
        """Attempts sent."""
        return sum(seen.sent for seen in self.seen)

    @property
    def usd(self) -> float:
        """Return the dollars counted against the bound; unstated costs at their worst case, as within a run."""
        return sum(seen.capped_usd for seen in self.seen)


def next_step(history: History, bounds: Bounds) -> LimitStep | Ended:
    """Return the next run, or what ended the probe."""
    best = limit_reading.best_of(history.seen)
    if _wants_a_reason(history, best):
        step = _lower_demand(history, bounds)
        if isinstance(step, LimitStep):
            return step
    if best is not None and limit_reading.relative_width(best.ceiling) <= NARROW:
        return "found"
    if counts_refused(history.stages, history.advertised):
        return "counts_refused"
    if len(history.seen) >= MOST_RUNS:
        return "undecided"
    if best is None and history.known_limit is None:
        return _fitted(
            history, bounds, ((SOUNDING_A_MINUTE * history.each, SOUNDING_S),), "sounding"
        )
    if best is not None and not any(stage.let_in for stage in history.stages):
        return "all_refused" if best.refused else "failed"
    demand = _demand(history, bounds)
    if demand is None:
        return _ladder(history, bounds)
    return demand if isinstance(demand, str) else _saturated(history, bounds, demand)


def counts_refused(stages: Sequence[limit_reading.StageSeen], advertised: float | None) -> bool:
    """Return whether a demand a little below the limit was accepted whole, and of one above it much less.

    What a burst and the rate that was found there would also have accepted proves nothing.
    """
    if advertised is None:
        return False
    less = [stage for stage in stages if _is_less(stage, advertised) and not stage.refused]
    low = [stage for stage in stages if _too_low(stage, advertised)]
    return any(
        _requested(one) > BEYOND_BURST * max(_explained(stage, one.seconds) for stage in low)
        for one in less
        if low
    )


def _requested(stage: limit_reading.StageSeen) -> float:
    return stage.demand_a_minute * stage.seconds / 60


def _explained(stage: limit_reading.StageSeen, seconds: float) -> float:
    """Return the amount that the limit of a saturated stage would accept within so many seconds."""
    found = stage.ceiling
    if found.a_minute is not None:
        return (found.burst or 0.0) + found.a_minute * seconds / 60
    return _requested(stage) * stage.let_in / max(stage.sent, 1)


def _is_less(stage: limit_reading.StageSeen, advertised: float) -> bool:
    share = stage.demand_a_minute / advertised
    return BELOW <= share < 1 and stage.seconds >= LEAST_LESS_S


def _too_low(stage: limit_reading.StageSeen, advertised: float) -> bool:
    found = stage.ceiling.a_minute
    if found is not None:
        return found < BELOW * advertised
    return stage.ceiling.reason == "nothing_let_in" and stage.let_in > 0


def _wants_a_reason(history: History, best: limit_reading.LimitsSeen | None) -> bool:
    """Return whether much less than the advertised limit was accepted, and a lower demand was not tried yet."""
    limit = history.advertised
    if best is None or limit is None or any(_is_less(stage, limit) for stage in history.stages):
        return False
    if best.ceiling.a_minute is None:
        return any(_too_low(stage, limit) for stage in best.stages)
    return (
        limit_reading.relative_width(best.ceiling) <= NARROW
        and best.ceiling.a_minute < BELOW * limit
    )


def _lower_demand(history: History, bounds: Bounds) -> LimitStep | Ended:
    limit = history.advertised or 0.0
    stages = ((REST * limit, REST_S), (LESS * limit, LESS_S))
    step = _fitted(history, bounds, stages, "requesting less than is advertised")
    if isinstance(step, LimitStep) and len(step.stages) == 2 and step.stages[-1][1] >= LEAST_LESS_S:
        return step
    return "max_minutes"


def _demand(history: History, bounds: Bounds) -> float | Ended | None:
    """Return the demand that saturates, why there is none, or None where it is unknown."""
    demanded = max((stage.demand_a_minute for stage in history.stages), default=0.0)
    refused = [stage for stage in history.stages if stage.refused]
    if refused:
        wanted = OVER * max(_supposed(stage) for stage in refused)
        last = refused[-1].ceiling
        # Found, but not precisely enough, or with hardly a refusal: raise the rate.
        if last.a_minute is not None or last.reason == "hardly_refused":
            wanted = max(wanted, OVER * demanded)
        return min(wanted, bounds.up_to)
    if any(stage.reached for stage in history.stages):
        return "capacity"
    long = [stage.demand_a_minute for stage in history.stages if stage.seconds >= WINDOW_S / 2]
    if demanded >= bounds.up_to * 0.99 and long:
        return "up_to"
    advertised = history.advertised
    if advertised is None:
        return None
    if max(long, default=0.0) >= OVER * advertised * 0.99:
        return bounds.up_to
    return min(OVER * advertised, bounds.up_to)


def _supposed(stage: limit_reading.StageSeen) -> float:
    """Return the limit that a stage with refusals makes likely."""
    if stage.ceiling.a_minute is not None:
        return stage.ceiling.a_minute
    passed = stage.let_in / max(stage.sent, 1) * stage.demand_a_minute * stage.seconds / 60
    return max(stage.ceiling.excluded_below, min(passed, stage.demand_a_minute))


def _saturated(history: History, bounds: Bounds, demand: float) -> LimitStep | Ended:
    """Return a stage long enough to contain a whole window, or as long as the bounds allow."""
    return _fitted(history, bounds, ((demand, WINDOW_S),), "saturating")


def _ladder(history: History, bounds: Bounds) -> LimitStep | Ended:
    """Return the next of growing demands up to the highest; once they have been tried, the highest for long."""
    demanded = max(stage.demand_a_minute for stage in history.stages)
    rungs: list[tuple[float, float]] = []
    while demanded * GROWTH < bounds.up_to:
        demanded *= GROWTH
        rungs.append((demanded, RUNG_S))
    if rungs and len(history.seen) == 1:
        return _fitted(history, bounds, tuple(rungs), "a ladder")
    return _saturated(history, bounds, bounds.up_to)


def _fitted(
    history: History, bounds: Bounds, stages: tuple[tuple[float, float], ...], why: str
) -> LimitStep | Ended:
    """Return the stages within what is left; the bound that leaves too little for any."""
    requests = bounds.requests - history.requests
    seconds = bounds.minutes * 60 - history.elapsed_s - OVERHEAD_S
    if bounds.usd is not None and history.usd >= bounds.usd:
        return "max_usd"
    kept: list[tuple[float, float]] = []
    for demand, wanted in stages:
        capped = min(demand, bounds.up_to)
        a_second = capped / history.each / 60
        length = min(wanted, seconds, requests / a_second)
        if length < min(wanted, SHORTEST_S):
            break
        kept.append((capped, length))
        seconds -= length
        requests -= round(length * a_second)
    if kept:
        return LimitStep(tuple(kept), why)
    return "max_minutes" if seconds < min(stages[0][1], SHORTEST_S) else "max_requests"
