"""Find a target's limit a minute with a few real runs, each planned by the results of the earlier ones.

Every run goes through the campaign machinery, so that its attempts, refusals and headers are rows
like any others; the result is read from the sealed folders and nowhere else.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from observatory.analysis.rate_limits import limit_reading
from observatory.core.errors import ExitCode, ObservatoryError
from observatory.core.scenario import Scenario
from observatory.core.targets.catalogue import Target
from observatory.core.targets.throttling import Throttling
from observatory.core.units import format_duration
from observatory.core.workspace import Workspace
from observatory.endpoints.catalogue import planned_connection
from observatory.limits.limit_steps import Bounds, Ended, History, LimitStep, next_step
from observatory.runner.campaign import run_campaign
from observatory.runner.campaign_execution import RunRequest
from observatory.runner.progress import Observer
from observatory.store.folder.manifest import read_manifest
from observatory.store.frames import read_frames
from observatory.wires.wires import WIRES

TINY_PROMPT = 16
"""Tokens, of the request probe's prompts: they must not come near a token limit."""
MOST_IN_FLIGHT = 512
DRAIN = "15s"
TOKEN_REQUESTS_A_MINUTE = 120.0
"""A token limit is met in about so many requests a minute: enough for 1 % of resolution in two minutes."""
SHARE_OF_REQUESTS = 0.4
"""Of the request limit, the most that the token probe's allowed requests may come to: tokens bind first."""
LEAST_TOKENS, MOST_TOKENS = 32, 8_000
"""Of one request: below, requests would bind first; above, small models' contexts end."""


class LimitAnswer(msgspec.Struct, frozen=True):
    """The result of a probe, or of sealed runs, for one limit: the best run's reading, and all readings.

    cost_usd: of their rows; capped_usd: what they counted against a bound in dollars."""

    unit: limit_reading.Unit
    best: limit_reading.LimitsSeen
    runs: list[str]
    stages: list[limit_reading.StageSeen]
    requests: int
    advertised_a_minute: float | None
    highest_demand_a_minute: float
    cost_usd: float | None
    ended: Ended | None = None
    reason: str | None = None
    capped_usd: float = 0.0

    @property
    def ratio(self) -> float | None:
        """Effective over advertised."""
        found, stated = self.best.ceiling.a_minute, self.advertised_a_minute
        return found / stated if found is not None and stated else None


@dataclass(frozen=True, slots=True)
class LimitProbe:
    """What is looked for, on what, within which bounds. each: tokens of a request, or 1. label: of its runs."""

    unit: limit_reading.Unit
    target: Target
    bounds: Bounds
    each: float = 1.0
    advertised_a_minute: float | None = None
    label: str | None = None


def find_limit(workspace: Workspace, probe: LimitProbe, observer: Observer) -> LimitAnswer | None:
    """Run the probe to its end; None where not even one run was sealed.

    Stopped by the person, by a bound or by a failure, it answers with what is known by then. Raises
    BadInput before anything is sent where the target cannot be run.
    """
    began = time.monotonic()
    seen: list[limit_reading.LimitsSeen] = []
    target = probe.target.model_copy(update={"throttling": Throttling()})
    ended: Ended = "undecided"
    reason = None
    while True:
        each = seen[-1].each if seen and seen[-1].each else probe.each
        history = History(seen, each, time.monotonic() - began, probe.advertised_a_minute)
        step = next_step(history, probe.bounds)
        if not isinstance(step, LimitStep):
            ended = step
            break
        observer.report(_what(probe, step, each))
        try:
            scenario = Scenario.model_validate(requested(probe, step, history))
            request = RunRequest(scenario, Path.cwd(), [target], label=probe.label)
            result = run_campaign(workspace, request, observer)
        except ObservatoryError as error:
            if not seen:
                raise
            ended, reason = "failed", str(error)
            break
        seen += [_read(run.folder, probe.unit) for run in result.runs]
        if result.exit_code == ExitCode.INTERRUPTED:
            ended = "interrupted"
            break
        if result.error is not None:
            ended, reason = "failed", str(result.error)
            break
    return answer_of(seen, ended, reason)


def _read(folder: Path, unit: limit_reading.Unit | None) -> limit_reading.LimitsSeen:
    return limit_reading.read_limits(read_manifest(folder), read_frames(folder), unit)


def reread_limits(workspace: Workspace, run_ids: list[str]) -> list[LimitAnswer]:
    """Return the results of runs that are sealed already, one for each limit that they searched."""
    seen = []
    for run_id in run_ids:
        folder = workspace.runs / run_id
        try:
            seen.append(_read(folder, None))
        except ObservatoryError:
            if len(run_ids) == 1:
                raise
    units: tuple[limit_reading.Unit, ...] = ("requests", "tokens")
    answers = [answer_of([one for one in seen if one.unit == unit]) for unit in units]
    return [answer for answer in answers if answer is not None]


def answer_of(
    seen: list[limit_reading.LimitsSeen], ended: Ended | None = None, reason: str | None = None
) -> LimitAnswer | None:
    """Combine all runs of a probe into one result."""
    best = limit_reading.best_of(seen)
    if best is None:
        return None
    costs = [one.cost_usd for one in seen if one.cost_usd is not None]
    return LimitAnswer(
        unit=best.unit,
        best=best,
        runs=[one.run_id for one in seen],
        stages=[stage for one in seen for stage in one.stages],
        requests=sum(one.sent for one in seen),
        advertised_a_minute=History(seen, best.each).advertised,
        highest_demand_a_minute=max(
            (stage.demand_a_minute for one in seen for stage in one.stages), default=0.0
        ),
        cost_usd=sum(costs) if costs else None,
        ended=ended,
        reason=reason,
        capped_usd=sum(one.capped_usd for one in seen),
    )


def token_size(
    up_to: float, tokens_a_minute: float | None, requests_a_minute: float | None
) -> float:
    """Return tokens of a request with which the token limit, not the request limit, is met."""
    likely = tokens_a_minute or up_to / 4
    size = likely / TOKEN_REQUESTS_A_MINUTE
    if requests_a_minute is not None:
        size = max(size, likely / (SHARE_OF_REQUESTS * requests_a_minute))
    return float(round(min(MOST_TOKENS, max(LEAST_TOKENS, size))))


def advertised_tokens(answers: list[LimitAnswer]) -> float | None:
    """Return the token limit in the headers of an earlier probe."""
    advertised = [answer.best.advertised for answer in answers]
    limits = [
        limits_of_one.tokens_per_minute or limits_of_one.input_tokens_per_minute
        for limits_of_one in advertised
    ]
    return next((limit for limit in limits if limit is not None), None)


def requests_known(answers: list[LimitAnswer]) -> float | None:
    """Return the request limit that an earlier probe found, else the one in its headers."""
    for answer in answers:
        if answer.unit == "requests":
            return answer.best.ceiling.a_minute or answer.advertised_a_minute
    return None


def _what(probe: LimitProbe, step: LimitStep, each: float) -> str:
    unit = "RPM" if probe.unit == "requests" else "TPM"
    demands = ", ".join(f"{demand:,.0f}" for demand, _ in step.stages)
    size = f" in requests of {each:,.0f} tokens" if probe.unit == "tokens" else ""
    seconds = sum(length for _, length in step.stages)
    return f"{step.why}: {demands} {unit}{size}, {seconds:.0f} s"


def requested(probe: LimitProbe, step: LimitStep, history: History) -> dict[str, Any]:
    """Return the run as a scenario, as it could be written into a file."""
    bounds = probe.bounds
    # Of every answer as few tokens as the target's wire takes a limit of.
    output = WIRES[planned_connection(probe.target).wire].least_output
    prompt = TINY_PROMPT if probe.unit == "requests" else round(probe.each) - output
    return {
        "name": limit_reading.SCENARIO_NAMES[probe.unit],
        "description": f"{step.why}, to find the {probe.unit} a minute that are let in",
        "workload": {
            "kind": "synthetic",
            "prompt_tokens": {"distribution": "fixed", "tokens": prompt},
            "output_tokens": {"distribution": "fixed", "tokens": output},
            "items": 64,
        },
        "arrivals": {"kind": "constant", "max_in_flight": MOST_IN_FLIGHT},
        "stages": [
            {
                "rate": f"{demand / history.each:.6f}/min",
                "timing": {
                    "warmup": "0s",
                    "steady": format_duration(round(length, 1)),
                    "drain": DRAIN,
                },
            }
            for demand, length in step.stages
        ],
        "throttling": {"policy": "record"},
        "stop_on_refusals": False,
        "budget": {
            "requests": max(1, bounds.requests - history.requests),
            "usd": None if bounds.usd is None else max(1e-9, bounds.usd - history.usd),
        },
        "telemetry": {"codecarbon": False, "idle": "0s"},
    }
