"""The statistics of the benchmarks: errors by percentile, and what makes arrivals what they claim to be.

Pure. Percentiles are of the nearest rank (no interpolation), so a reported value was really seen.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class Spread:
    """Of absolute values, in milliseconds; n of them. NaN where there are none."""

    n: int
    p50_ms: float
    p99_ms: float
    max_ms: float


def percentile(values: ArrayLike, share: float) -> float:
    """The smallest value that at least `share` (0 to 1) of all do not exceed; NaN of none."""
    ordered = np.sort(np.asarray(values, dtype=np.float64).ravel())
    if not ordered.size:
        return math.nan
    return float(ordered[max(0, math.ceil(share * ordered.size) - 1)])


def spread(errors_ns: NDArray[np.int64]) -> Spread:
    """Return how large errors are, without their sign."""
    ordered = np.sort(np.abs(errors_ns).ravel())
    if not ordered.size:
        return Spread(0, math.nan, math.nan, math.nan)
    return Spread(
        n=int(ordered.size),
        p50_ms=percentile(ordered, 0.5) / 1e6,
        p99_ms=percentile(ordered, 0.99) / 1e6,
        max_ms=float(ordered[-1]) / 1e6,
    )


def variation(gaps: ArrayLike) -> float:
    """The coefficient of variation, standard deviation / mean: 0 of even gaps, 1 of a Poisson process."""
    values = np.asarray(gaps, dtype=np.float64)
    return float(np.std(values, ddof=1) / np.mean(values)) if values.size > 1 else math.nan


def lag_one_correlation(gaps: ArrayLike) -> float:
    """Pearson correlation of each gap with the next: 0 of independent ones. NaN of constant gaps."""
    values = np.asarray(gaps, dtype=np.float64)
    if values.size < 3:
        return math.nan
    first, second = values[:-1] - values[:-1].mean(), values[1:] - values[1:].mean()
    scale = math.sqrt(float(np.sum(first**2)) * float(np.sum(second**2)))
    return float(np.sum(first * second)) / scale if scale else math.nan


def dispersion(instants_ns: ArrayLike, start_ns: int, end_ns: int, bin_ns: int) -> float:
    """The index of dispersion of counts, variance / mean over whole bins: 0 even, 1 Poisson.

    NaN under two bins or without arrivals.
    """
    bins = (end_ns - start_ns) // bin_ns
    if bins < 2:
        return math.nan
    edges = start_ns + np.arange(bins + 1, dtype=np.int64) * bin_ns
    counts, _ = np.histogram(np.asarray(instants_ns, dtype=np.int64), bins=edges)
    mean = float(np.mean(counts))
    return float(np.var(counts, ddof=1)) / mean if mean else math.nan


def middle_rate(instants_ns: ArrayLike) -> float:
    """Events a second between the 10th and the 90th percentile: start and end are left out.

    NaN under 20 events.
    """
    ordered = np.sort(np.asarray(instants_ns, dtype=np.int64))
    if ordered.size < 20:
        return math.nan
    first, last = ordered.size // 10, ordered.size - 1 - ordered.size // 10
    return float((last - first) / (ordered[last] - ordered[first]) * 1e9)
