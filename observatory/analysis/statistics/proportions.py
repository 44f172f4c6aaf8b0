"""Intervals of shares and of rates over a window. Pure; each cites where its method comes from."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special

from observatory.analysis.statistics.dependence import Dependence, correlation_time
from observatory.analysis.statistics.estimate import CONFIDENCE, Estimate, absent

BATCHES = 10
"""Parts of a window for batch means: 10 to 30 is enough and robust (Schmeiser, Operations Research
30, 1982)."""
BY_CHANCE = 0.1
"""How often equal variances may look unequal."""
SHORTEST = 1.25
MIN_EVENTS = 30
"""Fewer arrivals than three a batch show nothing of how batches differ: no interval."""


def wilson(hits: float, n: float) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson, JASA 22, 1927), n > 0; of effective numbers too.

    Recommended for any n by Brown, Cai and DasGupta, Statistical Science 16, 2001.
    """
    z = float(special.ndtri((1 + CONFIDENCE) / 2))
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def share(hits: int, n: int) -> Estimate:
    """Return a share of n requests with its Wilson interval."""
    if n == 0:
        return absent("no_requests", 0)
    low, high = wilson(hits, n)
    return Estimate(value=hits / n, low=low, high=high, n=n)


def batch_sums(
    instants_ns: NDArray[np.int64],
    weights: NDArray[np.floating] | None,
    start_ns: int,
    end_ns: int,
    parts: int = BATCHES,
) -> NDArray[np.float64]:
    """Return the sums of weights (None: counts) by equal parts of [start_ns, end_ns); shape (parts,)."""
    inside = (instants_ns >= start_ns) & (instants_ns < end_ns)
    part = instants_ns[inside]
    part -= start_ns
    part *= parts
    part //= end_ns - start_ns
    return np.bincount(part, None if weights is None else weights[inside], minlength=parts).astype(
        np.float64
    )


def rate(
    batches: NDArray[np.float64],
    seconds: float,
    n: int,
    events: int,
    offered: NDArray[np.float64] | None = None,
) -> Estimate:
    """Return the rate of what batch_sums summed over a window, per second, with a batch-means interval.

    Counts within a closed loop are not independent, so neither Poisson's nor the binomial interval
    holds; batch means does without (Law, Simulation Modeling and Analysis, 9.5.3). events is how
    many arrivals there were, n the requests behind them. offered: requests scheduled in the same
    batches. A server that is busy all the time evens out what it is sent, but over a long time what
    ends varies as what comes: where offered varies so much more that chance explains it once in ten
    times, its relative variance is taken.
    """
    value = float(batches.sum()) / seconds
    if events < MIN_EVENTS:
        return Estimate(value=value, n=n)
    half = relative_half(batches)
    if offered is not None:
        half = max(half, offered_half(batches, offered))
    return Estimate(value=value, low=max(0.0, value * (1 - half)), high=value * (1 + half), n=n)


def relative_half(batches: NDArray[np.float64]) -> float:
    """Return half the batch-means interval of a sum over its value."""
    mean, degrees = float(batches.mean()), len(batches) - 1
    quantile = float(special.stdtrit(degrees, (1 + CONFIDENCE) / 2))
    return quantile * float(batches.std(ddof=1)) / mean / math.sqrt(len(batches)) if mean else 0.0


def offered_half(batches: NDArray[np.float64], offered: NDArray[np.float64]) -> float:
    """Return the same of what was offered, where its variance is larger than chance explains, else 0."""
    degrees, half = len(batches) - 1, relative_half(offered)
    least = float(special.fdtri(degrees, degrees, 1 - BY_CHANCE)) * relative_half(batches) ** 2
    return half if half**2 > least else 0.0


def batches_too_short(instants_ns: NDArray[np.int64]) -> bool:
    """Return whether a batch is shorter than SHORTEST correlation times of the gaps between these instants: how
    batches differ then shows too little of how windows do."""
    gaps = np.diff(np.sort(instants_ns)).astype(np.float64)
    if not Dependence(gaps).found:
        return False
    return len(gaps) < BATCHES * SHORTEST * correlation_time(gaps).upper(len(gaps))
