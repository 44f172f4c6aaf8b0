"""Percentiles, means and shares of requests in the order of time, where they may depend on each other.

Pure. Independent values get the exact intervals of quantiles and proportions. Where dependence is
found, n is replaced by the effective n, the number of independent requests that say as much; sample
floors count it, and below them there is no figure.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from observatory.analysis import quantiles
from observatory.analysis.dependence import CorrelationTime, Dependence, correlation_time
from observatory.analysis.estimate import CONFIDENCE, Estimate, absent
from observatory.analysis.proportions import wilson
from observatory.analysis.quantiles import Values, rank
from observatory.core.metric import FLOORS, MEAN_FLOOR, QUANTILES

CAUTION = 4.0
"""A window must hold this many times its floor in persistence times: with fewer, the windows without a
queue would look independent, and show figures that are too good."""
CAUTION_OF_MEANS = 6.0
"""Means hang on what is rare and slow more than the quantiles within reach of their floors do."""
RARE = 30.0
"""The slow end of an interval is widened by 1 + RARE / m where about m times the load came back to
that part of the distribution: what is rare and slow is missing from most short windows."""
SHORT_MEMORY = 3.0
"""Up to this persistence nothing is rare and slow."""


@dataclass(frozen=True)
class Ordered:
    """Values in the order of time; load: open requests at each one's instant, where known.

    slow_is: whether being slow is a high or a low value.
    """

    values: Values
    load: Values | None = None
    slow_is_low: bool = False

    @cached_property
    def ascending(self) -> Values:
        """The values, sorted."""
        return np.sort(self.values)

    @cached_property
    def dependence(self) -> Dependence:
        """What their order shows."""
        return Dependence(self.values, self.load)

    def percentile(self, statistic: str, failure_bound: float | None = None) -> Estimate:
        """As quantiles.percentile gives it, with floor and interval by the effective n."""
        n, p = len(self.values), QUANTILES[statistic]
        exact = quantiles.percentile(self.ascending, statistic, failure_bound)
        if not self.dependence.found:
            return replace(exact, effective_n=n)
        value = self.ascending[rank(n, p) - 1]
        time = correlation_time((self.values <= value).astype(np.float64))
        effective = self._cautious(time)
        if exact.reason == "failures":
            return replace(exact, effective_n=int(effective))
        if effective < FLOORS[statistic]:
            return self._below_floor(exact, p, effective, failure_bound)
        if exact.value is None:
            return replace(exact, effective_n=int(n / time.requests))
        low, high = self._ends(p, time)
        return replace(exact, low=low, high=high, effective_n=int(n / time.requests))

    def mean(self) -> Estimate:
        """The mean; null where dependence leaves fewer than MEAN_FLOOR independent requests."""
        n = len(self.values)
        if n == 0 or not np.isfinite(self.values).all():
            return quantiles.mean(self.values)
        if not self.dependence.found:
            return replace(quantiles.mean(self.values), effective_n=n)
        time = correlation_time(self.values)
        effective = self._cautious(time, CAUTION_OF_MEANS)
        if effective < MEAN_FLOOR:
            return too_few(n, effective, MEAN_FLOOR)
        value, error = float(self.values.mean()), float(self.values.std(ddof=1)) / math.sqrt(n)
        quantile = float(stats.t.ppf((1 + CONFIDENCE) / 2, time.degrees(n)))
        half = quantile * error * math.sqrt(time.requests)
        wider = half * math.sqrt(self._rare(0.5))
        low, high = (wider, half) if self.slow_is_low else (half, wider)
        return Estimate(
            value=value,
            low=value - low,
            high=value + high,
            n=n,
            needs_n=MEAN_FLOOR,
            effective_n=int(n / time.requests),
        )

    def _cautious(self, time: CorrelationTime, caution: float = CAUTION) -> float:
        """The effective n that floors count: the least that any estimate gives."""
        own = self.dependence
        return len(self.values) / max(
            time.requests, own.of_ranks.requests, caution_of(own.persistence, caution)
        )

    def _below_floor(
        self, exact: Estimate, p: float, effective: float, failure_bound: float | None
    ) -> Estimate:
        """No value; the bound is what the effective n supports."""
        n = len(self.values)
        below = quantiles.lower_bound_rank(int(effective), p)
        bound = None
        if below:
            bound = float(self.ascending[max(1, math.floor(below / int(effective) * n)) - 1])
        if bound is not None and math.isinf(bound):
            return Estimate(
                bound=failure_bound,
                n=n,
                needs_n=exact.needs_n,
                reason="failures",
                effective_n=int(effective),
            )
        return Estimate(
            bound=bound,
            n=n,
            needs_n=exact.needs_n,
            reason="sample_floor",
            effective_n=int(effective),
        )

    def _rare(self, p: float) -> float:
        """How much more an interval's slow end varies than the window shows."""
        persistence = self.dependence.persistence
        times = min(p, 1 - p) * len(self.values) / persistence
        return 1 + RARE * max(0.0, 1 - SHORT_MEMORY / persistence) / times

    def _ends(self, p: float, time: CorrelationTime) -> tuple[float, float]:
        """Order statistics at the ends of Jeffreys' interval of the share below the quantile.

        Woodruff's inversion (JASA 47, 1952) with the effective n in the place of n, as Korn and
        Graubard use it for clusters (Survey Methodology 24, 1998), reduced by Student's quantile for
        a variance that was estimated. Jeffreys' interval: Brown, Cai and DasGupta (Statistical
        Science 16, 2001), who recommend it with Wilson's.
        """
        n, tail = len(self.values), (1 + CONFIDENCE) / 2
        narrower = stats.norm.ppf(tail) / stats.t.ppf(tail, time.degrees(n))
        effective = n / time.requests * float(narrower) ** 2
        slow = effective / self._rare(p)
        below, above = (slow, effective) if self.slow_is_low else (effective, slow)
        low = float(stats.beta.ppf(1 - tail, p * below + 0.5, (1 - p) * below + 0.5))
        high = float(stats.beta.ppf(tail, p * above + 0.5, (1 - p) * above + 0.5))
        return (
            float(self.ascending[max(1, math.floor(low * n)) - 1]),
            float(self.ascending[min(n, math.ceil(high * n)) - 1]),
        )


def caution_of(persistence: float, caution: float = CAUTION) -> float:
    """How many requests a floor counts as one: 1 where none resembles the one before it."""
    return 1 + caution * (persistence - 1)


def share(
    hits: NDArray[np.bool_], beside: Dependence | None = None, *, floor: int | None = None
) -> Estimate:
    """The share of hits among requests in the order of time, with Wilson's interval.

    beside: the dependence of the same requests' latencies, which counts where the hits' own shows too
    little (few or no hits, or nothing else). floor: with fewer independent requests there is no figure,
    where dependence is found; without a floor the share stands, with the interval that they support.
    """
    n, found = len(hits), int(np.count_nonzero(hits))
    if n == 0:
        return absent("no_requests", 0)
    load = beside.load if beside and beside.load is not None else None
    own = Dependence(hits.astype(np.float64), load if load is not None and len(load) == n else None)
    both = [each for each in (own, beside) if each is not None and each.found]
    if not both:
        low, high = wilson(found, n)
        return Estimate(value=found / n, low=low, high=high, n=n, effective_n=n)
    time = correlation_time(hits.astype(np.float64)).requests
    if min(found, n - found) < RARE:
        time = max(time, *(each.of_ranks.requests for each in both))
    cautious = n / max(time, caution_of(max(each.persistence for each in both)))
    if cautious < MEAN_FLOOR:
        if floor is not None:
            return too_few(n, cautious, floor)
        time = n / max(1.0, cautious)
    low, high = wilson(found / time, n / time)
    return Estimate(value=found / n, low=low, high=high, n=n, effective_n=int(n / time))


def too_few(n: int, effective: float, needs: int) -> Estimate:
    """No figure: fewer independent requests stand behind it than it needs."""
    return replace(absent("sample_floor", n), needs_n=needs, effective_n=int(effective))
