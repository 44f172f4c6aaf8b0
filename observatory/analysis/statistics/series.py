"""Percentiles, means and shares of requests in the order of time, where they may depend on each other.

Pure. Independent values get the exact intervals of quantiles and proportions. Where dependence is
found, n is replaced by the effective n, the number of independent requests with as much evidence; sample
floors count it, and below them there is no figure.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import special

from observatory.analysis.statistics import quantiles
from observatory.analysis.statistics.dependence import (
    MIN_VALUES,
    CorrelationTime,
    Dependence,
    correlation_time,
)
from observatory.analysis.statistics.estimate import CONFIDENCE, Estimate, absent
from observatory.analysis.statistics.proportions import wilson
from observatory.analysis.statistics.quantiles import Values, rank
from observatory.core.metric import FLOORS, MEAN_FLOOR, QUANTILES

CAUTION = 3.0
"""A window must hold this many times its floor in persistence times: with fewer, the windows without a
queue would look independent, and show figures that are too good."""
CAUTION_OF_MEANS = 4.5
"""Means hang on what is rare and slow more than the quantiles within reach of their floors do."""
TURNOVERS_OF_MEANS = 1.5
"""For the same reason a mean needs so many times its floor x open requests, with or without a test's finding."""
RARE = 30.0
"""The slow end of an interval is widened by 1 + RARE / m where about m times the load came back to
that part of the distribution: what is rare and slow is missing from most short windows."""
RARE_OF_SHARES = 5.0
"""The same for shares, whose interval is Wilson's."""
NEAR = 0.45
"""Near its floor a figure's slow end allows for the correlation time that the floor assumes, which fades
with the power NEAR x floor / count. Of the windows near a floor, those pass it that look better than
the truth."""
NEAR_OF_MEANS = 0.85


@dataclass(frozen=True)
class Ordered:
    """Values in the order of time; load: open requests at each one's instant, where known.

    slow_is_low: whether a low value is a slow one.
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
        return Dependence(self.values, self.load, self.slow_is_low)

    def percentile(self, statistic: str, failure_bound: float | None = None) -> Estimate:
        """Return the percentile as quantiles.percentile does, with floor and interval by the effective n."""
        n, p, floor = len(self.values), QUANTILES[statistic], FLOORS[statistic]
        exact = quantiles.percentile(self.ascending, statistic, failure_bound)
        if not self.dependence.found:
            return replace(self._slow_end_wider(exact, p), effective_n=n)
        value = self.ascending[rank(n, p) - 1]
        time = correlation_time((self.values <= value).astype(np.float64))
        one = self.dependence.cautious(time, CAUTION)
        if exact.reason == "failures":
            return replace(exact, effective_n=int(n / one))
        if n / one < floor:
            return self._below_floor(exact, p, n / one, failure_bound)
        if exact.value is None:
            return replace(exact, effective_n=int(n / time.requests))
        wider = rare(self.dependence, p) * near_floor(n, time, one, floor)
        low, high = self._ends(p, time, wider)
        return replace(exact, low=low, high=high, effective_n=int(n / time.requests))

    def mean(self) -> Estimate:
        """Return the mean; null where dependence leaves fewer than MEAN_FLOOR independent requests."""
        n = len(self.values)
        if n == 0 or not np.isfinite(self.values).all():
            return quantiles.mean(self.values)
        if not self.dependence.found:
            plain = quantiles.mean(self.values)
            if plain.value is None or plain.low is None:
                return replace(plain, effective_n=n)
            varies = n >= MIN_VALUES and float(self.values.max() - self.values.min()) > 0
            if varies and n < MEAN_FLOOR * self._turnover:
                return too_few(n, n / self._turnover, MEAN_FLOOR)
            half, wider = plain.value - plain.low, self.dependence.unseen
            return self._mean_within(plain, half, wider, n)
        time = correlation_time(self.values)
        one = self.dependence.cautious(time, CAUTION_OF_MEANS)
        if n / max(one, self._turnover) < MEAN_FLOOR:
            return too_few(n, n / max(one, self._turnover), MEAN_FLOOR)
        value, error = float(self.values.mean()), float(self.values.std(ddof=1)) / math.sqrt(n)
        quantile = float(special.stdtrit(time.degrees(n), (1 + CONFIDENCE) / 2))
        half = quantile * error * math.sqrt(time.requests)
        wider = rare(self.dependence, 0.5) * near_floor(n, time, one, MEAN_FLOOR, NEAR_OF_MEANS)
        known = Estimate(value=value, n=n, needs_n=MEAN_FLOOR)
        return self._mean_within(known, half, wider, int(n / time.requests))

    @property
    def _turnover(self) -> float:
        """Requests that a mean counts as one because of the others that are open."""
        return TURNOVERS_OF_MEANS * self.dependence.open_requests

    def _mean_within(self, known: Estimate, half: float, wider: float, effective: int) -> Estimate:
        """Return the mean with half an interval on its fast side, whose variance is `wider` times that on the other."""
        assert known.value is not None
        slow = half * math.sqrt(wider)
        low, high = (slow, half) if self.slow_is_low else (half, slow)
        return replace(known, low=known.value - low, high=known.value + high, effective_n=effective)

    def _slow_end_wider(self, exact: Estimate, p: float) -> Estimate:
        """Return the exact interval of independent values, its slow end allowing for what the tests cannot see.

        Less of it the farther p is from a half, where the load explains less of who is below the percentile.
        """
        if exact.value is None or exact.low is None or exact.high is None:
            return exact
        n, low_and_high = len(self.values), quantiles.interval_ranks(len(self.values), p)
        times = 1 + (math.sqrt(self.dependence.unseen) - 1) * 4 * p * (1 - p)
        low, high = (round(n * p + (end - n * p) * times) for end in low_and_high)
        if self.slow_is_low:
            return replace(exact, low=float(self.ascending[max(1, low) - 1]))
        return replace(exact, high=float(self.ascending[min(n, high) - 1]))

    def _below_floor(
        self, exact: Estimate, p: float, effective: float, failure_bound: float | None
    ) -> Estimate:
        """Return no value; the bound is what the effective n supports."""
        n = len(self.values)
        below = quantiles.lower_bound_rank(int(effective), p)
        bound, reason = None, "sample_floor"
        if below:
            bound = float(self.ascending[max(1, math.floor(below / int(effective) * n)) - 1])
        if bound is not None and math.isinf(bound):
            bound, reason = failure_bound, "failures"
        known = Estimate(bound=bound, n=n, needs_n=exact.needs_n, reason=reason)
        return replace(known, effective_n=int(effective))

    def _ends(self, p: float, time: CorrelationTime, wider: float) -> tuple[float, float]:
        """Order statistics at the ends of Jeffreys' interval of the share below the quantile.

        Woodruff's inversion (JASA 47, 1952) with the effective n in the place of n, as Korn and
        Graubard use it for clusters (Survey Methodology 24, 1998), reduced by Student's quantile for
        a variance that was estimated. Jeffreys' interval: Brown, Cai and DasGupta (Statistical
        Science 16, 2001), who recommend it with Wilson's. wider: the variance at the slow end over that
        at the other.
        """
        n, tail = len(self.values), (1 + CONFIDENCE) / 2
        effective = studentised(n, time)
        slow = effective / wider
        below, above = (slow, effective) if self.slow_is_low else (effective, slow)
        low = float(special.betaincinv(p * below + 0.5, (1 - p) * below + 0.5, 1 - tail))
        high = float(special.betaincinv(p * above + 0.5, (1 - p) * above + 0.5, tail))
        return (
            float(self.ascending[max(1, math.floor(low * n)) - 1]),
            float(self.ascending[min(n, math.ceil(high * n)) - 1]),
        )


def rare(dependence: Dependence, p: float, weight: float = RARE) -> float:
    """Return how much more the slow end of an interval varies than the window shows, at a share p of requests."""
    persistence = dependence.persistence
    times = min(p, 1 - p) * len(dependence.values) / persistence
    return 1 + weight * (1 - 1 / persistence) / times


def near_floor(n: int, time: CorrelationTime, one: float, floor: int, power: float = NEAR) -> float:
    """Return how much more it varies because only windows that pass the floor are shown.

    one: requests that the floor counts as one (Dependence.cautious).
    """
    return float(max(1.0, one / time.requests) ** min(1.0, power * floor * one / n))


def studentised(n: int, time: CorrelationTime) -> float:
    """Return the effective n, reduced by Student's quantile because the correlation time is an estimate."""
    tail = (1 + CONFIDENCE) / 2
    narrower = float(special.ndtri(tail)) / float(special.stdtrit(time.degrees(n), tail))
    return n / time.requests * narrower**2


def share(
    hits: NDArray[np.bool_],
    of_latencies: Dependence | None = None,
    *,
    floor: int | None = None,
    wanted: bool = False,
) -> Estimate:
    """Return the share of hits among requests in the order of time, with Wilson's interval.

    of_latencies: the dependence of the same requests' latencies, which counts where the hits' own shows too
    little (few or no hits, or nothing else). floor: with fewer independent requests there is no figure,
    where dependence is found; without a floor there is the share, with the interval that they support.
    wanted: whether a hit is a good thing; the interval's bad end is the wider one.
    """
    n, found = len(hits), int(np.count_nonzero(hits))
    if n == 0:
        return absent("no_requests", 0)
    load = of_latencies.load if of_latencies and of_latencies.load is not None else None
    known = load if load is not None and len(load) == n else None
    own = Dependence(hits.astype(np.float64), known, slow_is_low=wanted)
    both = [each for each in (own, of_latencies) if each is not None and each.found]
    if not both:
        low, high = wilson(found, n)
        return Estimate(value=found / n, low=low, high=high, n=n, effective_n=n)
    time = correlation_time(hits.astype(np.float64))
    if min(found, n - found) < RARE:
        time = max(time, *(each.of_ranks for each in both), key=lambda each: each.requests)
    one = max(each.cautious(time, CAUTION) for each in both)
    if n / one < MEAN_FLOOR:
        if floor is not None:
            return too_few(n, n / one, floor)
        effective = min(float(n), max(1.0, n / one))
        low, high = wilson(found / n * effective, effective)
        return Estimate(value=found / n, low=low, high=high, n=n, effective_n=int(effective))
    tail = max(1.0, min(found, n - found)) / n
    wider = max(rare(each, tail, RARE_OF_SHARES) for each in both) * near_floor(
        n, time, one, MEAN_FLOOR
    )
    effective = studentised(n, time)
    low, high = wilson(found / n * effective, effective)
    bad_low, bad_high = wilson(found / n * effective / wider, effective / wider)
    return Estimate(
        value=found / n,
        low=bad_low if wanted else low,
        high=high if wanted else bad_high,
        n=n,
        effective_n=int(n / time.requests),
    )


def too_few(n: int, effective: float, needs: int) -> Estimate:
    """Return no figure: it has fewer independent requests than it needs."""
    return replace(absent("sample_floor", n), needs_n=needs, effective_n=int(effective))
