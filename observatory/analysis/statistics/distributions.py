"""Quantiles of a few distributions by scipy.special: scipy.stats takes a second to import, in every command.

Tests compare each with scipy.stats.
"""

import math

from scipy import special


def student_quantile(p: float, degrees: float) -> float:
    """Return the p-quantile of Student's t."""
    return float(special.stdtrit(degrees, p))


def student_tail(t: float, degrees: float) -> float:
    """Return the probability of more than t under Student's t."""
    return float(special.stdtr(degrees, -t))


def normal_quantile(p: float) -> float:
    """Return the p-quantile of the standard normal distribution."""
    return float(special.ndtri(p))


def beta_quantile(p: float, a: float, b: float) -> float:
    """Return the p-quantile of the beta distribution."""
    return float(special.betaincinv(a, b, p))


def binomial_quantile(p: float, n: int, chance: float) -> int:
    """Return the least k that at most k successes of n have probability p or more; 0 < p < 1, 0 < chance < 1."""
    k = math.ceil(float(special.bdtrik(p, n, chance)))
    before = max(k - 1, 0)
    return before if special.bdtr(before, n, chance) >= p else k
