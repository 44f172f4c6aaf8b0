"""Exact percentiles of requests, failures among them as infinities, with honest intervals.

Pure: sorted values in, estimates out. No bucket, no sketch, no interpolation between a number and
a failure.
"""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from observatory.analysis.statistics.distributions import binomial_quantile
from observatory.analysis.statistics.estimate import CONFIDENCE, Estimate, absent
from observatory.core.metric import FLOORS, QUANTILES

Values = NDArray[np.float64]


def rank(n: int, p: float) -> int:
    """Return the place, from 1, of the p-quantile among n ordered values: the smallest k with k/n >= p.

    This is the inverse of the empirical distribution (type 1 of Hyndman and Fan, The American
    Statistician 50, 1996), DuckDB's quantile_disc.
    """
    return max(1, min(n, math.ceil(n * p - 1e-9)))


@lru_cache(maxsize=4096)
def interval_ranks(n: int, p: float) -> tuple[int, int]:
    """Return ranks l, u (from 1) so that [x_l, x_u] covers the p-quantile with 95 % or more.

    Distribution-free: the number of values at most the quantile is binomial (Conover, Practical
    Nonparametric Statistics, 3.2; Hahn and Meeker, Statistical Intervals, 5.2). l = 0 or u = n + 1
    where n values have no such end.
    """
    tail = (1 - CONFIDENCE) / 2
    low = binomial_quantile(tail, n, p)
    high = binomial_quantile(1 - tail, n, p) + 1
    return low, high


@lru_cache(maxsize=4096)
def lower_bound_rank(n: int, p: float) -> int:
    """Return the highest rank (from 1) that the p-quantile is at least, with 95 % confidence; 0: none."""
    return binomial_quantile(1 - CONFIDENCE, n, p) if n else 0


def percentile(ordered: Values, statistic: str, failure_bound: float | None = None) -> Estimate:
    """Return one percentile ("p50" ... "p999") of ascending values, failures at -inf or +inf.

    Below its floor (core.metric.FLOORS) it has no value but the lower bound that the data support.
    Where a failure is at its rank it has none either: reason `failures`, bound = failure_bound
    (what a failure is known to have exceeded, such as the timeout).
    """
    n, p, needs = len(ordered), QUANTILES[statistic], FLOORS[statistic]
    if n == 0:
        return Estimate(n=0, needs_n=needs, reason="no_requests")
    if n < needs:
        bound_rank = lower_bound_rank(n, p)
        bound = float(ordered[bound_rank - 1]) if bound_rank else None
        if bound is not None and math.isinf(bound):
            return Estimate(bound=failure_bound, n=n, needs_n=needs, reason="failures")
        return Estimate(bound=bound, n=n, needs_n=needs, reason="sample_floor")
    value = float(ordered[rank(n, p) - 1])
    if math.isinf(value):
        return Estimate(bound=failure_bound, n=n, needs_n=needs, reason="failures")
    low, high = interval_ranks(n, p)
    return Estimate(
        value=value,
        low=float(ordered[low - 1]) if low else None,
        high=float(ordered[high - 1]) if high <= n else None,
        n=n,
        needs_n=needs,
    )


def mean(values: Values) -> Estimate:
    """Return the mean with Student's interval; none where a failure is among the values."""
    n = len(values)
    if n == 0:
        return absent("no_requests", 0)
    if not np.isfinite(values).all():
        return absent("failures", n)
    value = float(values.mean())
    if n < 2:
        return Estimate(value=value, n=n)
    half = float(special.stdtrit(n - 1, (1 + CONFIDENCE) / 2) * values.std(ddof=1) / math.sqrt(n))
    return Estimate(value=value, low=value - half, high=value + half, n=n)
