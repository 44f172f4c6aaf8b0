"""The interval of a ratio of sums over requests or windows in the order of time, by moving-block bootstrap.

Pure and repeatable. Blocks keep neighbours together, so that their dependence is in the interval.
"""

import math

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.statistics.dependence import CorrelationTime, Dependence, correlation_time
from observatory.analysis.statistics.distributions import normal_quantile, student_quantile
from observatory.analysis.statistics.estimate import CONFIDENCE, Estimate
from observatory.analysis.statistics.proportions import BATCHES, offered_half
from observatory.analysis.statistics.series import CAUTION_OF_MEANS, too_few
from observatory.core.metric import MEAN_FLOOR

DRAWS = 1000
SEED = 17
"""A figure is a function of its data: every run of the analysis draws the same blocks."""
MOST_GROUPS = 4096
"""More requests are first added up in groups of neighbours."""
WINDOWS = 100
"""Parts of a window whose sums are drawn: their intervals hold the truth as often as those of 10 batch
means do (docs/statistics.md), and are 5 to 10 % narrower."""
FIXED = "no_spread"
"""Why an interval is missing: the figure is the same whichever requests, or parts, are drawn."""


def ratio_of_sums(
    above: NDArray[np.float64], below: NDArray[np.float64], unit: float = 1.0
) -> Estimate:
    """Return sum(above) / sum(below) x unit, one entry of each a request in the order of time.

    Null below MEAN_FLOOR requests, or independent ones where they depend on each other. Circular
    moving blocks (Kuensch, Annals of Statistics 17, 1989; Politis and Romano, in Exploring the Limits
    of Bootstrap, 1992) of n^(1/3) requests (Hall, Horowitz and Jing, Biometrika 82, 1995), or twice
    the correlation time if longer; the percentiles' distances are widened by Student's quantile for
    the number of blocks. sum(below) > 0.
    """
    n = len(above)
    if n < MEAN_FLOOR:
        return too_few(n, n, MEAN_FLOOR)
    value = float(above.sum() / below.sum())
    residuals = above - value * below
    scale = float(np.abs(above).max())
    if float(np.abs(residuals).max()) <= 1e-9 * scale:
        return Estimate(value * unit, n=n, needs_n=MEAN_FLOOR, effective_n=n, reason=FIXED)
    dependence = Dependence(residuals)
    time = correlation_time(residuals) if dependence.found else CorrelationTime(1.0, 1)
    if dependence.found:
        cautious = n / dependence.cautious(time, CAUTION_OF_MEANS)
        if cautious < MEAN_FLOOR:
            return too_few(n, cautious, MEAN_FLOOR)
    low, high = _ends(above, below, value, math.ceil(max(n ** (1 / 3), 2 * time.requests)))
    return Estimate(
        value * unit,
        low * unit,
        high * unit,
        n=n,
        needs_n=MEAN_FLOOR,
        effective_n=int(n / time.requests),
    )


def over_windows(
    total: float,
    parts: NDArray[np.float64],
    unit: float = 1.0,
    offered: NDArray[np.float64] | None = None,
) -> tuple[float, float] | None:
    """Return the 95 % interval of total / sum(parts) x unit; None where all parts are equal.

    total is certain (the cost or energy of a whole window, shared out evenly); parts are what was served
    in each of its equal parts, in the order of time. Blocks as in ratio_of_sums. sum(parts) > 0.
    offered: requests scheduled in each part, which may vary more (proportions.rate has the reason).
    """
    above = np.full(len(parts), total / len(parts))
    value = total / float(parts.sum())
    residuals = above - value * parts
    if float(np.abs(residuals).max()) <= 1e-9 * total:
        return None
    time = CorrelationTime(1.0, 1)
    if Dependence(residuals).found:
        time = correlation_time(residuals)
    length = math.ceil(max(len(parts) ** (1 / 3), 2 * time.requests))
    low, high = _ends(above, parts, value, min(length, len(parts)))
    if offered is not None:
        half = offered_half(*(each.reshape(BATCHES, -1).sum(axis=1) for each in (parts, offered)))
        low = min(low, value / (1 + half))
        high = max(high, value / (1 - half)) if half < 1 else math.inf
    return max(0.0, low) * unit, high * unit


def _ends(
    above: NDArray[np.float64], below: NDArray[np.float64], value: float, length: int
) -> tuple[float, float]:
    scale = -(-len(above) // MOST_GROUPS)
    starts = np.arange(0, len(above), scale)
    above, below = np.add.reduceat(above, starts), np.add.reduceat(below, starts)
    n, length = len(above), max(1, length // scale)
    blocks = max(2, round(n / length))
    sums = [_circular_sums(part, length) for part in (above, below)]
    drawn = np.random.default_rng(SEED).integers(0, n, size=(DRAWS, blocks))
    tops, bottoms = (part[drawn].sum(axis=1) for part in sums)
    ratios = tops[bottoms > 0] / bottoms[bottoms > 0]
    tail = (1 + CONFIDENCE) / 2
    wider = student_quantile(tail, blocks - 1) / normal_quantile(tail)
    wider *= math.sqrt(blocks / (blocks - 1))
    low, high = np.quantile(ratios, [1 - tail, tail])
    return value - (value - float(low)) * wider, value + (float(high) - value) * wider


def _circular_sums(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Return the sum of `length` values from each one on, going on at the start behind the end."""
    added = np.concatenate(([0.0], np.cumsum(np.concatenate((values, values[: length - 1])))))
    return np.asarray(added[length:] - added[:-length])
