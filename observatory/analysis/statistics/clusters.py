"""Statistics of observations that come in clusters: gaps of one answer, scores of one prompt.

Pure. Observations of a cluster resemble each other, so the clusters, not the observations, carry
the evidence: intervals and sample floors count clusters.
"""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from observatory.analysis.statistics import series
from observatory.analysis.statistics.dependence import CorrelationTime, Dependence, correlation_time
from observatory.analysis.statistics.distributions import beta_quantile, student_quantile
from observatory.analysis.statistics.estimate import CONFIDENCE, Estimate, absent
from observatory.analysis.statistics.proportions import wilson
from observatory.analysis.statistics.quantiles import lower_bound_rank
from observatory.core.metric import FLOORS, MEAN_FLOOR, QUANTILES


class Clustered:
    """Finite observations with their clusters, and how many infinite ones each cluster adds.

    values and owners have one entry an observation, infinite one a cluster; owners count from 0.
    Clusters without any observation do not count. started: the instant of each cluster, where
    clusters that follow each other may depend on each other; None where they do not.
    """

    def __init__(
        self,
        values: NDArray[np.float64],
        owners: NDArray[np.integer],
        infinite: NDArray[np.int64],
        started: NDArray[np.int64] | None = None,
    ) -> None:
        sizes = np.bincount(owners, minlength=len(infinite)) + infinite
        self._values = values
        self._owners = owners
        self._ordered = np.sort(values)
        self._sizes = sizes
        self._infinite = int(infinite.sum())
        self.clusters = int((sizes > 0).sum())
        self.observations = int(sizes.sum())
        self._order = (
            None if started is None else np.flatnonzero(sizes)[np.argsort(started[sizes > 0])]
        )
        self._dependence = self._of_clusters()

    def at(self, p: float) -> float:
        """Return the p-quantile of the pooled observations, as quantiles.rank defines it."""
        place = max(1, math.ceil(self.observations * p - 1e-9))
        return float(self._ordered[place - 1]) if place <= len(self._ordered) else math.inf

    def percentile(self, statistic: str, failure_bound: float | None = None) -> Estimate:
        """Return a percentile as quantiles.percentile gives it, n and floor in clusters."""
        p, needs, n = QUANTILES[statistic], FLOORS[statistic], self.clusters
        if n == 0:
            return Estimate(n=0, needs_n=needs, reason="no_requests")
        value = self.at(p)
        time = self._time(self._below(value) - p * self._sizes)
        cautious = self._cautious(time)
        found = Estimate(n=n, needs_n=needs, effective_n=int(cautious))
        if cautious < needs:
            if not lower_bound_rank(int(cautious), p):
                return replace(found, reason="sample_floor")
            low = self.at(self._share_interval(p, value, 2 * CONFIDENCE - 1, time)[0])
            if math.isinf(low):
                return replace(found, bound=failure_bound, reason="failures")
            return replace(found, bound=low, reason="sample_floor")
        found = replace(found, effective_n=int(n / time.requests))
        if math.isinf(value):
            return replace(found, bound=failure_bound, reason="failures")
        below, _ = self._share_interval(p, value, CONFIDENCE, time)
        _, above = self._share_interval(
            p, value, CONFIDENCE, self._slow(time, p, n / cautious, needs)
        )
        return replace(found, value=value, low=self.at(below), high=self.at(above))

    def mean(self) -> Estimate:
        """Return the mean of all observations as a ratio of cluster sums, with its linearised interval."""
        if self.clusters == 0:
            return absent("no_requests", 0)
        if self._infinite:
            return absent("failures", self.clusters)
        sums = np.bincount(self._owners, self._values, minlength=len(self._sizes)).astype(
            np.float64
        )
        value = float(sums.sum() / self.observations)
        time = self._time(sums - value * self._sizes)
        cautious = self._cautious(time, series.CAUTION_OF_MEANS)
        if time.requests > 1 and cautious < MEAN_FLOOR:
            return series.too_few(self.clusters, cautious, MEAN_FLOOR)
        error = self._ratio_error(sums, value)
        if error is None:
            return Estimate(value=value, n=self.clusters)
        degrees = self.clusters - 1.0 if time.requests == 1 else time.degrees(self.clusters)
        half = student_quantile((1 + CONFIDENCE) / 2, degrees) * error * math.sqrt(time.requests)
        effective = int(self.clusters / time.requests)
        slow = self._slow(time, 0.5, self.clusters / cautious, MEAN_FLOOR)
        return Estimate(
            value=value,
            low=value - half,
            high=value + half * math.sqrt(slow.requests / time.requests),
            n=self.clusters,
            needs_n=None if self._order is None else MEAN_FLOOR,
            effective_n=effective,
        )

    def _of_clusters(self) -> Dependence | None:
        """Return the dependence of the clusters' means, in the order of time."""
        if self._order is None:
            return None
        sums = np.bincount(self._owners, self._values, minlength=len(self._sizes))
        finite = np.maximum(np.bincount(self._owners, minlength=len(self._sizes)), 1)
        return Dependence((sums / finite)[self._order])

    def _time(self, residuals: NDArray[np.float64]) -> CorrelationTime:
        """Return the correlation time of a residual of each cluster; 1 where none depends on another."""
        if self._dependence is None or self._order is None or not self._dependence.found:
            return CorrelationTime(1.0, 1)
        return correlation_time(residuals[self._order])

    def _cautious(self, time: CorrelationTime, caution: float = series.CAUTION) -> float:
        """Return the effective number of clusters that floors count."""
        own = self._dependence
        if own is None or not own.found:
            return float(self.clusters)
        return self.clusters / own.cautious(time, caution)

    def _slow(self, time: CorrelationTime, p: float, one: float, floor: int) -> CorrelationTime:
        """Return the correlation time for the slow end of an interval; one: clusters that the floor counts as one."""
        own = self._dependence
        if own is None or not own.found:
            return time
        wider = series.rare(own, p) * series.near_floor(self.clusters, time, one, floor)
        return CorrelationTime(time.requests * wider, time.lags)

    def _below(self, value: float) -> NDArray[np.float64]:
        """Return how many observations of each cluster are at most this value."""
        counts = np.bincount(self._owners[self._values <= value], minlength=len(self._sizes))
        return counts.astype(np.float64)

    def _ratio_error(self, sums: NDArray[np.float64], ratio: float) -> float | None:
        """Return the standard error of sums / sizes between clusters (Cochran, Sampling Techniques, 6.3)."""
        m = self.clusters
        if m < 2:
            return None
        residuals = (sums - ratio * self._sizes)[self._sizes > 0]
        return math.sqrt(m / (m - 1) * float((residuals**2).sum())) / self.observations

    def _share_interval(
        self, p: float, value: float, level: float, time: CorrelationTime
    ) -> tuple[float, float]:
        """Return the shares between which the one at or below the true p-quantile lies.

        Woodruff's inversion (JASA 47, 1952) with the interval of Korn and Graubard (Survey
        Methodology 24, 1998): Clopper-Pearson at the sample size that independent observations of
        the same variance would have. R's survey::svyquantile calls it interval.type = "beta".
        """
        n = self.clusters / time.requests
        if math.isfinite(value):
            below = self._below(value)
            share = float(below.sum()) / self.observations
            error = self._ratio_error(below, share)
            if error and 0 < share < 1:
                tail, most = (1 + level) / 2, max(self.observations - 1, 1)
                narrowing = student_quantile(tail, most) / student_quantile(tail, self.clusters - 1)
                n = min(share * (1 - share) / error**2, self.observations) * narrowing**2
                n /= time.requests
        hits = p * n
        tail = (1 - level) / 2
        low = beta_quantile(tail, hits, n - hits + 1)
        high = beta_quantile(1 - tail, hits + 1, n - hits)
        return low, high


def mean_share(values: NDArray[np.float64], owners: NDArray[np.int64]) -> Estimate:
    """Return the mean of values between 0 and 1 (scores) that come in clusters (repeated prompts).

    Clustered standard errors as Miller, "Adding error bars to evals" (arXiv 2411.00640), advises;
    where all values are equal, and none has any spread, Wilson's interval over the clusters.
    n counts values.
    """
    if len(values) == 0:
        return absent("no_scores", 0)
    grouped = Clustered(values, owners, np.zeros(int(owners.max()) + 1, dtype=np.int64))
    estimate = grouped.mean()
    value = estimate.value
    assert value is not None
    if float(values.min()) == float(values.max()) and value in (0.0, 1.0):
        low, high = wilson(round(value * grouped.clusters), grouped.clusters)
        return Estimate(value=value, low=low, high=high, n=len(values))
    if estimate.low is None or estimate.high is None:
        return Estimate(value=value, n=len(values))
    return Estimate(
        value=value, low=max(0.0, estimate.low), high=min(1.0, estimate.high), n=len(values)
    )
