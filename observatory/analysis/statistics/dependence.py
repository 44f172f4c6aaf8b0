"""How far requests depend on those before them, from their values in the order of time.

Pure. Requests under load share queues and batches, so that n of them carry less evidence than n
independent ones. Three questions are kept apart: is there any dependence (tests, so that independent
values lose nothing), how many requests does one independent one weigh (the correlation time, which
scales the interval), and how long does the load itself stay as it is (the persistence, which decides
whether the window is long enough for the correlation time to be known at all).

The limits below were calibrated by `python -m benchmarks coverage` (docs/statistics.md).
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

Series = NDArray[np.float64]

MIN_VALUES = 8
"""Fewer values show no dependence, however strong it is."""
CRITICAL_Z = 2.33
"""1 % of each test of independence by itself."""
CRITICAL_SUM = 2.2
"""3 to 6 % of all tests together: weak and long dependence moves each of them a little."""
RELEVANT_LOAD_Z = 1.3
"""From here on the load counts for how long the values stay near what they were."""
BATCHES = 20
"""10 to 30 batches are enough and robust (Schmeiser, Operations Research 30, 1982)."""
LONGEST = 32768
"""A longer series is replaced by means of neighbours: what is looked for is longer than they are."""
LEVELS = 512
"""Steps of the ranks of a longer series."""
LEAST_TIME = 1.0
"""Alternating values would make intervals narrower than independent ones; that is not relied on."""


UPPER_Z = 1.0
"""Standard errors by which floors assume a longer correlation than was estimated."""
UNSEEN_Z = 1.0
"""Standard errors of what the tests may have missed where they found nothing."""
MOST_UNSEEN = 1.1
"""Bounds that, with what all tests together found: intervals of independent values must stay nearly as
narrow as they can be."""
TURNOVER = 0.5
"""Part of the open requests that floors count as one where requests depend on each other: which of them
are open at a time wait for each other, however little one resembles the next."""


@dataclass(frozen=True, slots=True)
class CorrelationTime:
    """requests: how many make one independent one; lags: up to which autocorrelations were added."""

    requests: float
    lags: int

    def degrees(self, n: int) -> float:
        """Return the degrees of freedom of a variance that this time scaled (Wolff's error, see below)."""
        return max(2.0, n / (2 * self.lags + 1))

    def upper(self, n: int) -> float:
        """Return the requests, UPPER_Z of Wolff's standard errors longer."""
        return self.requests * (1 + UPPER_Z * 2 * math.sqrt((self.lags + 0.5) / n))


@dataclass(frozen=True)
class Dependence:
    """What a series in the order of time shows of its own dependence.

    load: the open requests at each value's instant, None where they are not known. slow_is_low: whether
    a low value is a slow one. Values may be infinite: only their ranks are used.
    """

    values: Series
    load: Series | None = None
    slow_is_low: bool = False

    @cached_property
    def found(self) -> bool:
        """Whether independence is refuted: by one of four tests, or by all together.

        The first autocorrelation of the ranks (Bartels, JASA 77, 1982); the sum of the first
        2 sqrt(n), for dependence that is weak and long; batch means that differ more than the values
        within them (analysis of variance); and the ranks' correlation with the load.
        """
        if not self._varies:
            return False
        each = max(*self._serial_z, abs(self._load_z))
        return each > CRITICAL_Z or self._evidence > CRITICAL_SUM

    @cached_property
    def persistence(self) -> float:
        """Requests over which ranks, and the load where it matters, may stay near what they were.

        (1 + r) / (1 - r) with the first autocorrelation r: the correlation time of a first-order
        autoregression. It is far less noisy than the sum of many autocorrelations, and so a better
        judge of whether a window is long enough. r is UPPER_Z standard errors (Bartlett's, Journal of
        the Royal Statistical Society Supplement 8, 1946) above its estimate.
        """
        times = [_first_order_time(self._ranks)]
        if self.load is not None and abs(self._load_z) > RELEVANT_LOAD_Z:
            times.append(_first_order_time(self.load - self.load.mean()))
        return max(1.0, *(_upper_time(time, len(self.values)) for time in times))

    def cautious(self, time: CorrelationTime, caution: float) -> float:
        """Return how many requests a sample floor counts as one: the most that any estimate gives.

        time: the figure's own; caution: how many persistence times make one independent request.
        """
        n = len(self.values)
        return max(
            time.upper(n),
            self.of_ranks.upper(n),
            1 + caution * (self.persistence - 1),
            1 + TURNOVER * self.open_requests,
        )

    @cached_property
    def open_requests(self) -> float:
        """The mean load, 0 where it is not known."""
        return float(self.load.mean()) if self.load is not None and len(self.load) else 0.0

    @cached_property
    def unseen(self) -> float:
        """The correlation time that may have been missed where `found` is false.

        A first autocorrelation UNSEEN_Z standard errors above the one found; and a load that explains as
        much of the values as a correlation so large allows for that all tests together suggest.
        """
        if not self._varies:
            return 1.0
        n, evidence = len(self.values), max(0.0, self._evidence)
        first = min(0.9, (max(0.0, self._serial_z[0]) + UNSEEN_Z) / math.sqrt(n))
        times = [(1 + first) / (1 - first)]
        if self.load is not None and float(self.load.var()) > 0:
            explained = (1.5 * evidence + UNSEEN_Z) ** 2 / n
            times.append(1 + explained * (_first_order_time(self.load - self.load.mean()) - 1))
        return min(MOST_UNSEEN + evidence, max(times))

    @property
    def _varies(self) -> bool:
        return len(self.values) >= MIN_VALUES and float(self._ranks.var()) > 0

    @property
    def _evidence(self) -> float:
        """All tests in one number: each also moves a little where the dependence is weak and long."""
        return self._load_z + sum(self._serial_z) / 2

    @cached_property
    def of_ranks(self) -> CorrelationTime:
        """The correlation time of the ranks."""
        return correlation_time(self._ranks)

    @cached_property
    def _ranks(self) -> Series:
        """Ranks less their mean, ties sharing theirs."""
        ordered = np.sort(self.values)
        if len(ordered) > LONGEST:
            ordered = ordered[np.linspace(0, len(ordered) - 1, LEVELS).astype(np.int64)]
        below = np.searchsorted(ordered, self.values, "left")
        ranks = (below + np.searchsorted(ordered, self.values, "right")) / 2
        return ranks - ranks.mean() if len(ranks) else ranks

    @cached_property
    def _serial_z(self) -> tuple[float, float, float]:
        """The tests that do without the load, that of the first autocorrelation first, in standard errors of
        independent values."""
        ranks = self._ranks
        first = float((ranks[1:] * ranks[:-1]).mean() / (ranks**2).mean())
        return first * math.sqrt(len(ranks)), _long_z(ranks), _batches_z(ranks)

    @cached_property
    def _load_z(self) -> float:
        """The correlation of slowness and load in standard errors of independent values."""
        if self.load is None or len(self.values) < MIN_VALUES:
            return 0.0
        load = self.load - self.load.mean()
        spread = float((load**2).mean() * (self._ranks**2).mean())
        if spread <= 0:
            return 0.0
        correlation = float((load * self._ranks).mean()) / math.sqrt(spread)
        return (-correlation if self.slow_is_low else correlation) * math.sqrt(len(load))


def correlation_time(series: Series) -> CorrelationTime:
    """Return the integrated autocorrelation time of a series, at least LEAST_TIME.

    Sums of neighbouring autocorrelations are added while they are positive and never growing
    (the initial monotone sequence of Geyer, Statistical Science 7, 1992), with the correction for
    the subtracted mean of Wolff (Computer Physics Communications 156, 2004), whose relative error
    of the result, 2 sqrt((W + 1/2) / n) with W lags, gives the degrees of freedom.
    """
    n = len(series)
    if n < MIN_VALUES or not float(series.var()):
        return CorrelationTime(1.0, 1)
    short, scale = _shortened(series - series.mean())
    correlations = _autocorrelations(short)
    pairs = len(short) // 2
    sums = np.minimum.accumulate(correlations[0 : 2 * pairs : 2] + correlations[1 : 2 * pairs : 2])
    stop = int(np.argmax(sums <= 0)) if (sums <= 0).any() else pairs
    lags = max(1, 2 * stop - 1)
    time = (2 * float(sums[:stop].sum()) - 1) * (1 + (2 * lags + 1) / len(short))
    if scale > 1:
        time *= scale * float(short.var() / series.var())
        lags *= scale
    return CorrelationTime(max(LEAST_TIME, time), min(lags, n))


def _shortened(centred: Series) -> tuple[Series, int]:
    """Return means of so many neighbours that LONGEST suffices, and how many."""
    scale = -(-len(centred) // LONGEST)
    if scale == 1:
        return centred, 1
    groups = len(centred) // scale
    means = centred[: groups * scale].reshape(groups, scale).mean(axis=1)
    return means - means.mean(), scale


def _autocorrelations(centred: Series) -> Series:
    """Return the autocorrelation of every lag, biased as usual (divided by n), by fast Fourier transform."""
    n = len(centred)
    size = fft.next_fast_len(2 * n, real=True)
    spectrum = fft.rfft(centred, size)
    found = fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:n]
    return np.asarray(found / found[0]) if found[0] > 0 else np.zeros(n)


def _long_z(centred: Series) -> float:
    """Return the sum of the first 2 sqrt(n) autocorrelations in standard errors, the mean's effect taken off."""
    short, _ = _shortened(centred)
    n = len(short)
    lags = max(2, min(n // 10, int(2 * math.sqrt(n))))
    total = float(_autocorrelations(short)[1 : lags + 1].sum())
    return total * math.sqrt(n / lags) + math.sqrt(lags / n)


def _batches_z(centred: Series) -> float:
    """Return by how many standard errors batch means differ more than the values within them suggest."""
    length = len(centred) // BATCHES
    if length < 2:
        return 0.0
    means = centred[: length * BATCHES].reshape(BATCHES, length).mean(axis=1)
    ratio = length * float(means.var(ddof=1)) / float(centred.var())
    p = float(special.fdtrc(BATCHES - 1, len(centred) - BATCHES, ratio))
    return -float(special.ndtri(max(p, 1e-300)))


def _first_order_time(centred: Series) -> float:
    variance = float((centred**2).mean()) if len(centred) else 0.0
    if variance <= 0:
        return 1.0
    share = float((np.diff(centred) ** 2).mean()) / 2 / variance
    return (2 - share) / max(share, 1e-9)


def _upper_time(time: float, n: int) -> float:
    first = (time - 1) / (time + 1)
    first = min(1 - 1e-6, first + UPPER_Z * math.sqrt(max(0.0, 1 - first**2) / n))
    return (1 + first) / (1 - first)
