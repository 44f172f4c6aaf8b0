"""Which part of a stage is measured, and which of its requests count.

The window is the steady part as the scenario cut it: after its warm-up, before its drain, and no
longer than it really lasted. Whether the window was steady is `judge`'s question.
"""

from dataclasses import dataclass

import polars as pl

from observatory.core.run import Manifest, StageTimes
from observatory.core.scenario import Timing


@dataclass(frozen=True, slots=True)
class Window:
    """[start_ns, end_ns) of a stage, instants from the run's anchor.

    cut: the stage was stopped before its planned end. drain_s: how long its requests were awaited.
    planned_s: how long the scenario wanted it; 0 where that is not known.
    """

    stage: int
    start_ns: int
    end_ns: int
    cut: bool
    drain_s: float
    planned_s: float = 0.0

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.end_ns - self.start_ns) / 1e9

    def holds(self, instant: str) -> pl.Expr:
        """Return whether a column's instant falls in it; false for null."""
        return (
            pl.col(instant).is_between(self.start_ns, self.end_ns, closed="left").fill_null(False)
        )


def loaded_stages(manifest: Manifest) -> list[StageTimes]:
    """Return the stages that put load on the target; priming a cache is not one."""
    return [stage for stage in manifest.stages if not stage.priming]


def window_of(manifest: Manifest, stage: StageTimes) -> Window | None:
    """Return the steady window of a stage; None where it never came to that."""
    start, end = stage.steady_started, stage.steady_ended
    if start is None or end is None or end <= start:
        return None
    scenario = manifest.stored  # priming comes before the scenario's stages
    place = [each.index for each in loaded_stages(manifest)].index(stage.index)
    own = scenario.stages[place].timing if place < len(scenario.stages) else None
    timing = Timing.model_validate(own or scenario.timing or {})
    return Window(
        stage=stage.index,
        start_ns=start,
        end_ns=end,
        cut=end - start < timing.steady * 1e9 * (1 - 1e-6),
        drain_s=timing.drain,
        planned_s=timing.steady,
    )


def counted(requests: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Return the rows of request_frame that the window's distributions are over."""
    return requests.filter("counted", window.holds("scheduled_ns"), stage=window.stage)


def offered(requests: pl.DataFrame, window: Window) -> pl.DataFrame:
    """Return the rows that time from `scheduled` is over: those counted, and those that were held back."""
    measured = pl.col("counted") | pl.col("held_back")
    return requests.filter(measured, window.holds("scheduled_ns"), stage=window.stage)


def left_out(requests: pl.DataFrame, window: Window) -> dict[str, int]:
    """Return how many requests scheduled in the window do not count, by outcome."""
    unmeasured = ~pl.col("counted") & ~pl.col("held_back")
    rows = requests.filter(unmeasured, window.holds("scheduled_ns"), stage=window.stage)
    return dict(rows.group_by("outcome").len().sort("outcome").iter_rows())


def failure_bound_s(requests: pl.DataFrame, window: Window) -> float | None:
    """Return what a failure in the window is known to have exceeded: the timeout.

    The drain limit, or the shortest time after which a request was really given up, if less.
    """
    given_up = counted(requests, window).filter(outcome="timeout")
    waited = given_up.select(((pl.col("a_ended_ns") - pl.col("scheduled_ns")) / 1e9).min()).item()
    limits = [limit for limit in (window.drain_s, waited) if limit]
    return min(limits) if limits else None
