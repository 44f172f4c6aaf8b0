"""The search for the highest level that holds: doubling, then bisecting. Pure but for `measure`.

It knows nothing of what a level is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from observatory.runner.checks.stored_calibration import Bound, LevelFigures, LoadCeiling

Fault = Literal["client", "server", "others"]
CLOSE_ENOUGH = 1.1
"""Trials of a few seconds cannot distinguish levels this near to each other."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One level tried; where it was not held, why, and whose fault that was.

    others: programs that have nothing to do with the measurement.
    """

    level: int
    held: bool
    reason: str = ""
    fault: Fault = "client"
    figures: LevelFigures | None = None

    @property
    def worth_repeating(self) -> bool:
        """Return whether a repetition may help: a busy client is busy again, but late events may have been a disturbance."""
        return not self.held and not self.reason.startswith("client_cpu")

    @property
    def why(self) -> str:
        """Return the reason with its culprit, where that is not the client."""
        culprits = {
            "client": "",
            "server": "server-bound: ",
            "others": "the machine was not free: ",
        }
        return culprits[self.fault] + self.reason


def find_ceiling(
    measure: Callable[[int], Trial], *, start: int, most: int, trials: int, retry: bool = False
) -> LoadCeiling:
    """Try at most so many levels between 1 and `most`; retry allows one of them to be tried twice.

    The answer is exact where the lowest level that failed did so for the client's sake, "at least"
    where it was another's fault or where the search ended before any failed.
    """
    best: Trial | None = None
    worst: Trial | None = None
    level, left = max(1, min(start, most)), trials
    while left > 0:
        left -= 1
        trial = measure(level)
        if trial.worth_repeating and retry and left > 0:
            left, retry = left - 1, False
            trial = measure(level)
        if trial.held:
            best = trial
        else:
            worst = trial
        following = _next_level(best, worst, most)
        if following is None:
            break
        level = following
    return _ceiling(best, worst, most)


def _next_level(best: Trial | None, worst: Trial | None, most: int) -> int | None:
    if best is None:
        assert worst is not None
        return worst.level // 2 or None
    if worst is None:
        return min(best.level * 2, most) if best.level < most else None
    if worst.level <= best.level * CLOSE_ENOUGH or worst.level - best.level < 2:
        return None
    return (best.level + worst.level) // 2


def _ceiling(best: Trial | None, worst: Trial | None, most: int) -> LoadCeiling:
    if best is None:
        assert worst is not None
        return LoadCeiling(None, "none", worst.why, worst.level, worst.figures)
    if worst is not None:
        bound: Bound = "exact" if worst.fault == "client" else "at_least"
        return LoadCeiling(best.level, bound, worst.why, worst.level, best.figures)
    why = "the search ended before anything failed"
    if best.level >= most:
        why = f"{most:,} is all that was to be tried: ports and descriptors end there"
    return LoadCeiling(best.level, "at_least", why, None, best.figures)
