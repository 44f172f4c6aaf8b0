"""Shares and rates: intervals against figures from elsewhere, and their coverage by simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.analysis.statistics.proportions import (
    BATCHES,
    batch_sums,
    batches_too_short,
    rate,
    share,
    wilson,
)

S = 1_000_000_000


def test_wilsons_interval_of_eight_in_ten() -> None:
    """The worked example of Wikipedia's and R's prop.test(8, 10, correct = FALSE)."""
    low, high = wilson(8, 10)
    assert low == pytest.approx(0.4901625, abs=1e-6)
    assert high == pytest.approx(0.9433178, abs=1e-6)


def test_a_share_without_a_hit_still_has_an_upper_end() -> None:
    estimate = share(0, 10)
    assert (estimate.value, estimate.low) == (0.0, 0.0)
    assert estimate.high == pytest.approx(0.2775328, abs=1e-6)
    assert share(0, 0).reason == "no_requests"


@settings(deadline=None)
@given(n=st.integers(1, 10_000), data=st.data())
def test_a_share_lies_in_its_interval_and_its_complement_mirrors_it(
    n: int, data: st.DataObject
) -> None:
    hits = data.draw(st.integers(0, n))
    low, high = wilson(hits, n)
    assert 0 <= low <= hits / n <= high <= 1
    mirrored = wilson(n - hits, n)
    assert (1 - high, 1 - low) == pytest.approx(mirrored, abs=1e-12)


def test_batches_hold_what_falls_in_the_window_and_nothing_else() -> None:
    instants = np.array([0, 10, 19, 20, 109, 110, -5], dtype=np.int64)
    sums = batch_sums(instants, np.array([1.0, 2, 4, 8, 16, 32, 64]), 10, 110)
    assert sums.tolist() == [6, 8, 0, 0, 0, 0, 0, 0, 0, 16]
    assert batch_sums(instants, None, 10, 110).sum() == 4


def test_a_rate_has_the_interval_of_its_batches() -> None:
    batches = np.array([9.0, 11, 10, 10, 10, 10, 10, 10, 10, 10])
    estimate = rate(batches, 20.0, 7, 100)
    half = 2.2621571628540993 * np.std(batches / 2, ddof=1) / np.sqrt(10)
    assert estimate.value == 5.0
    assert estimate.low == pytest.approx(5 - half)
    assert estimate.high == pytest.approx(5 + half)
    assert estimate.n == 7


def test_a_rate_varies_at_least_as_what_was_offered() -> None:
    """A server that was busy all the time evens out its arrivals; equal variances change nothing."""
    even, uneven = np.full(10, 10.0), np.array([4.0, 16] * 5)
    alone = rate(even, 20.0, 100, 100)
    assert (alone.low, alone.high) == (5.0, 5.0)
    found = rate(even, 20.0, 100, 100, uneven)
    half = 2.2621571628540993 * np.std(uneven / 2, ddof=1) / np.sqrt(10)
    assert (found.low, found.high) == pytest.approx((5 - half, 5 + half))
    assert rate(uneven, 20.0, 100, 100, uneven) == rate(uneven, 20.0, 100, 100)
    assert rate(even, 20.0, 100, 100, np.zeros(10)) == alone


def test_batches_shorter_than_the_memory_of_the_gaps_are_known() -> None:
    """Service times that drift (autoregression, 0.95: one independent of 39) need 390 gaps and more."""
    rng = np.random.default_rng(6)
    drift = np.empty(5000)
    drift[0] = rng.normal()
    for place in range(1, 5000):
        drift[place] = 0.95 * drift[place - 1] + np.sqrt(1 - 0.95**2) * rng.normal()
    ends = (np.cumsum(np.exp(0.3 * drift)) * S).astype(np.int64)
    assert batches_too_short(ends[:200])
    assert not batches_too_short(ends)
    assert not batches_too_short((np.cumsum(rng.exponential(size=200)) * S).astype(np.int64))
    assert not batches_too_short(ends[:1])


def test_few_arrivals_have_a_rate_and_no_interval() -> None:
    estimate = rate(np.full(BATCHES, 2.0), 10.0, 20, 20)
    assert (estimate.value, estimate.low, estimate.high) == (2.0, None, None)


def test_batch_means_cover_the_true_rate() -> None:
    """400 windows of a closed loop's correlated completions, true rate known, at 95 %."""
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(400):
        service = rng.gamma(4, 0.05, size=(4, 400))
        ends = np.cumsum(service, axis=1).ravel()
        instants = (ends * S).astype(np.int64)
        estimate = rate(batch_sums(instants, None, 10 * S, 40 * S), 30.0, 1, 600)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 20 <= estimate.high
    assert covered / 400 >= 0.93
