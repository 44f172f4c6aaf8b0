"""The difference and the ratio of one figure between two independent runs, with 95 % intervals.

Pure. Both come from the intervals of the two figures, which need not be symmetric: the method of
variance estimates recovery (MOVER). Runs of one plan vary together if they depend on each other at
all, so that the difference varies less than is assumed here.
"""

import math

from observatory.analysis.statistics.estimate import Estimate


def difference(first: Estimate, second: Estimate) -> Estimate:
    """Return second - first in the figure's unit; without ends where one of the two has none.

    Each end adds the squares of the two distances that lead to it (Zou and Donner, Statistics in
    Medicine 27, 2008; for proportions Newcombe, Statistics in Medicine 17, 1998).
    """
    a, b = first.value, second.value
    if a is None or b is None:
        return Estimate()
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return Estimate(value=b - a)
    return Estimate(
        value=b - a,
        low=b - a - math.hypot(b - second.low, first.high - a),
        high=b - a + math.hypot(second.high - b, a - first.low),
    )


def ratio(first: Estimate, second: Estimate) -> Estimate:
    """Return second / first of figures that are never negative; no value where the first is 0.

    Its ends are the ratios r for which the interval of second - r x first ends at 0 (Donner and Zou,
    Statistical Methods in Medical Research 21, 2012; Newcombe's MOVER-R, same journal 25, 2016), so
    that it excludes 1 exactly where the interval of `difference` excludes 0. The upper end is infinite
    where the first figure may be 0.
    """
    a, b = first.value, second.value
    if not a or b is None:
        return Estimate()
    if first.low is None or first.high is None or second.low is None or second.high is None:
        return Estimate(value=b / a)
    inverse = _least_ratio(b, second.high, a, first.low)
    return Estimate(
        value=b / a,
        low=_least_ratio(a, first.high, b, second.low),
        high=1 / inverse if inverse else math.inf,
    )


def _least_ratio(below: float, below_high: float, above: float, above_low: float) -> float:
    """Return the lower end of above / below."""
    if math.isinf(below_high) or above_low <= 0:
        return 0.0
    least = above_low * (2 * above - above_low)
    root = (below * above) ** 2 - below_high * (2 * below - below_high) * least
    return least / (below * above + math.sqrt(max(0.0, root)))
