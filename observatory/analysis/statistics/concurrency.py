"""The number of open requests: its mean, whether it climbed or fell, and how long there was one.

Pure: the requests' spans in, the change out; trend is false where a queue's own wandering explains it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.statistics.distributions import student_tail

BLOCKS = 20
MIN_STARTS = 2 * BLOCKS
"""Fewer requests than two a block show nothing of a trend."""
SIGNIFICANCE = 0.001
"""As in drift: one false alarm in a thousand stages is wanted."""


@dataclass(frozen=True, slots=True)
class Concurrency:
    """mean over the window; change: the second half's mean over the first's, minus 1 (None where
    the first had none open); trend: whether more than a queue's own wandering is behind it."""

    mean: float
    change: float | None
    trend: bool


def concurrency(
    starts_ns: NDArray[np.int64], ends_ns: NDArray[np.int64], start_ns: int, end_ns: int
) -> Concurrency:
    """Return the statistics of requests open over [starts, ends), any order; window [start_ns, end_ns).

    The window is cut into BLOCKS, and the net flow of each (what came less what went) is tested
    against a mean of zero, with the variance from successive differences (von Neumann, Kent,
    Bellinson and Hart, Annals of Mathematical Statistics 12, 1941; about 2(n-1)/3 degrees of
    freedom). The net flow and not the level, because levels of a queue remember their past: near
    saturation a sound one wanders as a random walk does, and every test of levels would call that
    a trend. Flows of a random walk are independent; those of a queue that returns to its mean are
    negatively correlated, which makes the test the more careful.
    """
    edges = np.linspace(start_ns, end_ns, BLOCKS + 1)
    came, gone = np.sort(starts_ns), np.sort(ends_ns)
    open_at = np.searchsorted(came, edges, "right") - np.searchsorted(gone, edges, "right")
    area = _open_time_ns(came, edges) - _open_time_ns(gone, edges)
    half = BLOCKS // 2
    first, second = float(area[:half].sum()), float(area[half:].sum())
    started = np.searchsorted(came, [start_ns, end_ns])
    return Concurrency(
        mean=(first + second) / (end_ns - start_ns),
        change=second / first - 1 if first > 0 else None,
        trend=bool(started[1] - started[0] >= MIN_STARTS) and has_trend(np.diff(open_at)),
    )


def busy_fraction(
    starts_ns: NDArray[np.int64], ends_ns: NDArray[np.int64], start_ns: int, end_ns: int
) -> float:
    """Return the share of the window in which at least one of the requests was open."""
    order = np.argsort(starts_ns, kind="stable")
    starts = np.clip(starts_ns[order], start_ns, end_ns)
    ends = np.clip(ends_ns[order], start_ns, end_ns)
    if not len(starts):
        return 0.0
    reached = np.maximum.accumulate(np.concatenate(([start_ns], ends[:-1])))
    return float(np.maximum(0, ends - np.maximum(starts, reached)).sum()) / (end_ns - start_ns)


def has_trend(flows: NDArray[np.int64]) -> bool:
    """Return whether net flows by block have another mean than zero, at SIGNIFICANCE."""
    n, total = len(flows), float(flows.sum())
    if total == 0:
        return False
    spread = float(np.square(np.diff(flows)).sum()) / (2 * (n - 1))
    if spread == 0:
        return True
    t = abs(total) / np.sqrt(n * spread)
    return bool(2 * student_tail(t, 2 * (n - 1) / 3) < SIGNIFICANCE)


def _open_time_ns(instants: NDArray[np.int64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the integral over each block of a process that is 1 from each (ascending) instant on."""
    sums = np.concatenate(([0.0], np.cumsum(instants, dtype=np.float64)))
    before = np.searchsorted(instants, edges, "right")
    return np.diff(before * edges - sums[before])
