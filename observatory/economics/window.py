"""How much of something fell into a window, from readings of a counter or of a rate.

Pure arithmetic over (instant in nanoseconds, value) pairs; where the readings do not bear the
figure it is null with a reason, and where they only just bear it there is a reason, too.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

LEAST_COVERAGE = 0.9
"""Share of the window that readings must cover: stricter than the 0.75 of ML.ENERGY's benchmark
(scripts/validate_results.py: check_prometheus_collection), as the rest is taken at their mean."""
LONGEST_GAP_S = 3.0
"""Two readings further apart than this do not cover the time between them (InferenceX,
utils/aggregate_power.py: _DEFAULT_MAX_SAMPLE_GAP_S)."""
LONGEST_GAP_NS = round(LONGEST_GAP_S * 1e9)

Readings = Sequence[tuple[int, float]]
"""In the order of their instants."""


@dataclass(frozen=True, slots=True)
class WindowAmount:
    """A value, or null; reason is why it is missing or, with a value, doubtful.

    The next fields describe how the readings lay in the window, null where there was nothing to read.
    """

    value: float | None
    reason: str | None = None
    coverage_fraction: float | None = field(default=None, compare=False)
    longest_gap_s: float | None = field(default=None, compare=False)


def counted(
    readings: Readings, start: int, end: int, breaks: Sequence[tuple[int, str]] = ()
) -> WindowAmount:
    """Return what a cumulative counter grew by from start to end, linear between its readings.

    A counter that went back (a driver that was reloaded), or that did not go on from its last reading at
    one of `breaks` (instant and reason, in order) gives null.
    """
    near = _near(readings, start, end)
    for (before, _), (after, _) in pairwise(near):
        place = bisect_right(breaks, before, key=lambda found: found[0])
        inside = max(before, start) < min(after, end)
        if inside and place < len(breaks) and breaks[place][0] <= after:
            return WindowAmount(None, breaks[place][1])
    for (_, old), (_, new) in pairwise(near):
        if new < old:
            return WindowAmount(None, f"the counter went back from {old:.6g} to {new:.6g}")

    def piece(first: tuple[int, float], second: tuple[int, float], low: int, high: int) -> float:
        return (second[1] - first[1]) * (high - low) / (second[0] - first[0])

    return _add_up(near, start, end, piece)


def integrated(readings: Readings, start: int, end: int) -> WindowAmount:
    """Return the integral over seconds of a rate from start to end, by trapezoids."""

    def piece(first: tuple[int, float], second: tuple[int, float], low: int, high: int) -> float:
        slope = (second[1] - first[1]) / (second[0] - first[0])
        middle = first[1] + slope * ((low + high) / 2 - first[0])
        return middle * (high - low) / 1e9

    return _add_up(_near(readings, start, end), start, end, piece)


def _near(readings: Readings, start: int, end: int) -> Readings:
    """Return the readings in the window and the ones next to it."""
    first = bisect_left(readings, start, key=lambda reading: reading[0])
    last = bisect_right(readings, end, key=lambda reading: reading[0])
    return readings[max(first - 1, 0) : last + 1]


Piece = Callable[[tuple[int, float], tuple[int, float], int, int], float]


def _add_up(readings: Readings, start: int, end: int, piece: Piece) -> WindowAmount:
    total = 0.0
    covered = longest_gap = 0
    reached = start
    for first, second in pairwise(readings):
        low, high = max(first[0], start), min(second[0], end)
        if high <= low or second[0] - first[0] > LONGEST_GAP_NS:
            continue
        longest_gap = max(longest_gap, low - reached, high - low)
        total += piece(first, second, low, high)
        covered += high - low
        reached = high
    longest_gap = max(longest_gap, end - reached)
    if end <= start or not readings:
        return WindowAmount(None, "no readings in the window")
    coverage = covered / (end - start)
    value, reason = _verdict(total, coverage, longest_gap)
    return WindowAmount(value, reason, coverage, longest_gap / 1e9)


def _verdict(total: float, coverage: float, longest_gap: int) -> tuple[float | None, str | None]:
    """Return the total made whole, or null, and why it is missing or doubtful."""
    if coverage == 0:
        return None, "no readings in the window"
    if longest_gap > LONGEST_GAP_NS:
        return None, f"{longest_gap / 1e9:.1f} s of the window without a reading"
    if coverage < LEAST_COVERAGE:
        return None, f"readings cover only {coverage:.0%} of the window"
    if coverage < 1:
        return (
            total / coverage,
            f"readings cover {coverage:.1%} of the window; the rest at their mean",
        )
    return total, None
