"""What a person may want to know while a campaign runs; how it is drawn is the CLI's part."""

from dataclasses import dataclass
from typing import Protocol

from observatory.core.units import human_level
from observatory.runner.stage_execution import StageExecution
from observatory.runner.ticks import Heartbeats


@dataclass(frozen=True, slots=True)
class StageProgress:
    """One moment of one stage on one target. Times in seconds since the stage began.

    place: which cell and block of a matrix it is, in words; empty without one.
    """

    target: str
    emulated: bool
    stage: int
    stages: int
    level: str
    part: str
    elapsed_s: float
    length_s: float
    campaign_left_s: float
    done: int
    in_flight: int
    errors: int
    ttft_s: float | None
    tokens_per_s: float | None
    place: str = ""


class Observer(Protocol):
    """Called at every step; must return quickly, because the runner waits for it."""

    def report(self, text: str) -> None:
        """Print one line about what happens now."""

    def stage_execution(self, progress: StageProgress) -> None:
        """Show the state of the stage that is running, a few times a second."""


def stage_progress(
    stage_execution: StageExecution,
    beats: Heartbeats,
    *,
    now: int,
    emulated: bool,
    stages: int,
    later_s: float,
    place: str = "",
) -> StageProgress:
    """Return the state of a stage execution at the instant `now`.

    later_s: what the campaign's other stage executions will take.
    """
    stage = stage_execution.handoff.stage
    began = beats.began
    since = max(0.0, (now - began) / 1e9) if began is not None else 0.0
    ticks = [state.tick for state in beats.workers.values() if state.tick is not None]
    return StageProgress(
        target=stage_execution.handoff.target,
        emulated=emulated,
        stage=stage.index,
        stages=stages,
        level=human_level(stage.kind, stage.concurrency, stage.rate_per_s),
        part=_part(stage_execution, since) if began is not None else "starting",
        elapsed_s=since,
        length_s=stage_execution.length_s,
        campaign_left_s=max(0.0, stage_execution.length_s - since) + later_s,
        done=beats.count("recorded"),
        in_flight=sum(tick.in_flight for tick in ticks),
        errors=sum(tick.errors for tick in ticks),
        ttft_s=beats.ttft_s() if stage_execution.handoff.stream else None,
        tokens_per_s=beats.tokens_per_s(),
        place=place,
    )


def _part(stage_execution: StageExecution, since_s: float) -> str:
    stage = stage_execution.handoff.stage
    if stage.priming:
        return "priming"
    if since_s < stage.warmup_s:
        return "warm-up"
    return "steady" if since_s < stage_execution.length_s else "drain"
