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
from scipy import fft, stats

Series = NDArray[np.float64]

MIN_VALUES = 8
"""Fewer values show no dependence, whatever it is."""
CRITICAL_Z = 2.05
"""One-sided 2 % of each test of independence by autocorrelation."""
CRITICAL_LOAD_Z = 1.8
"""3.6 % on either side for the association with the load: its effect is weak and long."""
CRITICAL_P = 0.02
BATCHES = 20
"""10 to 30 batches are enough and robust (Schmeiser, Operations Research 30, 1982)."""
LONGEST = 32768
"""A longer series is replaced by means of neighbours: what is looked for is longer than they are."""
LEVELS = 512
"""Steps of the ranks of a longer series."""
LEAST_TIME = 1.0
"""Alternating values would make intervals narrower than independent ones; that is not relied on."""


@dataclass(frozen=True, slots=True)
class CorrelationTime:
    """requests: how many make one independent one; lags: up to which autocorrelations were added."""

    requests: float
    lags: int

    def degrees(self, n: int) -> float:
        """Degrees of freedom of a variance that this time scaled (Wolff's error, see below)."""
        return max(2.0, n / (2 * self.lags + 1))


@dataclass(frozen=True)
class Dependence:
    """What a series in the order of time shows of its own dependence.

    load: the open requests at each value's instant, None where they are not known. Values may be
    infinite: only their ranks are used.
    """

    values: Series
    load: Series | None = None

    @cached_property
    def found(self) -> bool:
        """Whether independence is refuted, by any of four tests.

        The first autocorrelation of the ranks (Bartels, JASA 77, 1982); the sum of the first
        2 sqrt(n), for dependence that is weak and long; batch means that differ more than the values
        within them (analysis of variance); and the ranks' correlation with the load.
        """
        n, ranks = len(self.values), self._ranks
        if n < MIN_VALUES or not float(ranks.var()):
            return False
        short, _ = _shortened(ranks)
        correlations = _autocorrelations(short)
        first = float((ranks[1:] * ranks[:-1]).mean() / (ranks**2).mean())
        lags = max(2, min(len(short) // 10, int(2 * math.sqrt(len(short)))))
        long = float(correlations[1 : lags + 1].sum()) * math.sqrt(len(short) / lags)
        return (
            first * math.sqrt(n) > CRITICAL_Z
            or long + math.sqrt(lags / len(short)) > CRITICAL_Z
            or _batches_differ(ranks)
            or self._load_z > CRITICAL_LOAD_Z
        )

    @cached_property
    def persistence(self) -> float:
        """Requests over which ranks, and the load where it matters, stay near what they were.

        (1 + r) / (1 - r) with the first autocorrelation r: the correlation time of a first-order
        autoregression. It is far less noisy than the sum of many autocorrelations, and so a better
        judge of whether a window is long enough.
        """
        times = [_first_order_time(self._ranks)]
        if self.load is not None and self._load_z > CRITICAL_LOAD_Z:
            times.append(_first_order_time(self.load - self.load.mean()))
        return max(1.0, *times)

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
    def _load_z(self) -> float:
        """The correlation of ranks and load in standard errors of independent values."""
        if self.load is None or len(self.values) < MIN_VALUES:
            return 0.0
        load = self.load - self.load.mean()
        spread = float((load**2).mean() * (self._ranks**2).mean())
        if spread <= 0:
            return 0.0
        correlation = float((load * self._ranks).mean()) / math.sqrt(spread)
        return abs(correlation) * math.sqrt(len(load))


def correlation_time(series: Series) -> CorrelationTime:
    """The integrated autocorrelation time of a series, at least LEAST_TIME.

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
    """Means of so many neighbours that LONGEST suffices, and how many."""
    scale = -(-len(centred) // LONGEST)
    if scale == 1:
        return centred, 1
    whole = len(centred) // scale
    means = centred[: whole * scale].reshape(whole, scale).mean(axis=1)
    return means - means.mean(), scale


def _autocorrelations(centred: Series) -> Series:
    """Of every lag, biased as usual (divided by n), by fast Fourier transform."""
    n = len(centred)
    size = fft.next_fast_len(2 * n, real=True)
    spectrum = fft.rfft(centred, size)
    found = fft.irfft(spectrum.real**2 + spectrum.imag**2, size)[:n]
    return np.asarray(found / found[0]) if found[0] > 0 else np.zeros(n)


def _batches_differ(centred: Series) -> bool:
    length = len(centred) // BATCHES
    if length < 2:
        return False
    means = centred[: length * BATCHES].reshape(BATCHES, length).mean(axis=1)
    ratio = length * float(means.var(ddof=1)) / float(centred.var())
    return bool(stats.f.sf(ratio, BATCHES - 1, len(centred) - BATCHES) < CRITICAL_P)


def _first_order_time(centred: Series) -> float:
    variance = float((centred**2).mean()) if len(centred) else 0.0
    if variance <= 0:
        return 1.0
    share = float((np.diff(centred) ** 2).mean()) / 2 / variance
    return (2 - share) / max(share, 1e-9)
