"""How often a sensor really changes, and which of its readings are new data: pure functions.

A sensor that is read faster than it changes repeats itself, and repeats show nothing about the time
between them. NVIDIA's power sensor changes every 15 to 100 ms by model, and on some it looks only at
a quarter of that time (Yang, Adamek, Armour: "Accurate and Convenient Energy Measurements for GPUs",
SC24, arXiv 2312.02741): what a period does not show, no number of readings in it shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

Readings = Sequence[tuple[int, float]]
"""(instant in nanoseconds, value), in the order of their instants."""

LEAST_CHANGES = 4
"""Fewer give fewer than three spacings, whose median one late reading could make."""
READ_TOO_SLOWLY = 2.0
"""A sensor that seems to change within this many readings may change faster than it was read."""


@dataclass(frozen=True, slots=True)
class UpdatePeriod:
    """period_s is the median time between changes of value; None with a reason where too few came.

    With a value, reason is given where it is only a bound. changes: how many there were.
    """

    period_s: float | None
    changes: int
    reason: str | None = None


def update_period(readings: Readings) -> UpdatePeriod:
    """Return the update period of a sensor from readings that were taken faster than it changes.

    A change lies somewhere between two readings and counts at the second, so that a spacing is off
    by at most one question either way; two updates to an equal value in a row count as one.
    """
    changed = [new[0] for old, new in pairwise(readings) if new[1] != old[1]]
    if len(changed) < LEAST_CHANGES:
        span_s = (readings[-1][0] - readings[0][0]) / 1e9 if readings else 0.0
        few = f"the value changed {len(changed)} times in {span_s:.2g} s"
        return UpdatePeriod(None, len(changed), few)
    period_s = median(new - old for old, new in pairwise(changed)) / 1e9
    read_s = median(new[0] - old[0] for old, new in pairwise(readings)) / 1e9
    reason = None
    if period_s < READ_TOO_SLOWLY * read_s:
        reason = f"at most: it was read every {read_s * 1e3:.3g} ms"
    return UpdatePeriod(period_s, len(changed), reason)


def repeats(readings: Readings, period_s: float | None) -> list[bool]:
    """Return for each reading whether it only repeats the one before.

    A repeat has the value of the last new reading and was taken less than a period after it. A
    reading that differs is new however soon it came, and an equal one is new when a period has
    passed, because the sensor looked again. Without a known period nothing is a repeat.
    """
    marks: list[bool] = []
    last: tuple[int, float] | None = None
    for reading in readings:
        repeat = (
            last is not None
            and period_s is not None
            and reading[1] == last[1]
            and reading[0] - last[0] < period_s * 1e9
        )
        marks.append(repeat)
        if not repeat:
            last = reading
    return marks


def fresh(readings: Readings, period_s: float | None) -> list[tuple[int, float]]:
    """Return the readings that are new data: what coverage and sample counts are to be counted from."""
    marks = repeats(readings, period_s)
    return [reading for reading, repeat in zip(readings, marks, strict=True) if not repeat]
