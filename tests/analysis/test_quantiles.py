"""Percentiles: hand-worked ranks, floors, failures, and coverage computed exactly."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from observatory.analysis.statistics.quantiles import (
    interval_ranks,
    lower_bound_rank,
    mean,
    percentile,
    rank,
)
from observatory.core.metric import FLOORS, QUANTILES

latencies = st.lists(st.floats(0, 1e3) | st.just(math.inf), max_size=300)


def ascending(*values: float) -> np.ndarray:
    return np.sort(np.array(values, dtype=np.float64))


def test_the_median_of_eleven_is_the_sixth_with_its_binomial_interval() -> None:
    estimate = percentile(ascending(*range(1, 12)), "p50")
    assert (estimate.value, estimate.low, estimate.high) == (6, 2, 10)
    assert (estimate.n, estimate.needs_n, estimate.reason) == (11, 11, None)


def test_ranks_are_those_of_the_inverse_distribution() -> None:
    assert [rank(100, p) for p in (0.5, 0.9, 0.95, 0.99, 0.999)] == [50, 90, 95, 99, 100]
    assert [rank(11, 0.5), rank(1, 0.999), rank(3, 0.0001)] == [6, 1, 1]


def test_below_its_floor_a_percentile_is_the_bound_that_the_data_support() -> None:
    """Of 104 values, the 101st is the highest that p99 reaches with 95 % confidence."""
    estimate = percentile(ascending(*range(1, 105)), "p99")
    assert estimate.value is None
    assert (estimate.n, estimate.needs_n, estimate.reason) == (104, 662, "sample_floor")
    assert estimate.bound == 101
    assert stats.binom.sf(100, 104, 0.99) >= 0.95 > stats.binom.sf(101, 104, 0.99)


def test_too_few_values_support_no_bound() -> None:
    assert percentile(ascending(1, 2, 3), "p50").bound is None
    assert percentile(ascending(1, 2, 3, 4, 5), "p50").bound == 1
    nothing = percentile(ascending(), "p50")
    assert (nothing.value, nothing.bound, nothing.reason) == (None, None, "no_requests")


def test_a_percentile_that_failures_reach_is_beyond_the_timeout() -> None:
    values = ascending(*[0.1] * 90, *[math.inf] * 10)
    assert percentile(values, "p90", 20).value == 0.1
    reached = percentile(ascending(*[0.1] * 89, *[math.inf] * 11), "p90", 20)
    assert (reached.value, reached.reason, reached.bound) == (None, "failures", 20)
    assert percentile(values, "p90", 20).high == math.inf


def test_a_bound_that_failures_reach_is_beyond_the_timeout_too() -> None:
    estimate = percentile(ascending(0.1, *[math.inf] * 19), "p90", 20)
    assert (estimate.value, estimate.bound, estimate.reason) == (None, 20, "failures")


def test_the_mean_carries_students_interval() -> None:
    estimate = mean(ascending(1, 2, 3, 4))
    half = 3.182446305284263 * math.sqrt(5 / 3) / 2
    assert estimate.value == 2.5
    assert estimate.low == pytest.approx(2.5 - half)
    assert estimate.high == pytest.approx(2.5 + half)
    assert mean(ascending(7)).low is None


def test_a_mean_over_failures_does_not_exist() -> None:
    assert mean(ascending(1, math.inf)).reason == "failures"
    assert mean(ascending()).reason == "no_requests"


@pytest.mark.parametrize("statistic", QUANTILES)
def test_above_every_floor_both_ends_exist_and_cover_with_95_percent(statistic: str) -> None:
    p, floor = QUANTILES[statistic], FLOORS[statistic]
    for n in [*range(floor, floor + 200), floor * 3, floor * 10 + 7]:
        low, high = interval_ranks(n, p)
        assert 1 <= low <= rank(n, p) <= high <= n
        assert stats.binom.cdf(high - 1, n, p) - stats.binom.cdf(low - 1, n, p) >= 0.95


@pytest.mark.parametrize("statistic", QUANTILES)
def test_floors_are_mlperfs_early_stopping_with_one_value_over(statistic: str) -> None:
    """The smallest n at which the second highest value exceeds the percentile at 99 %."""
    p, floor = QUANTILES[statistic], FLOORS[statistic]
    assert stats.binom.cdf(1, floor, 1 - p) <= 0.01 < stats.binom.cdf(1, floor - 1, 1 - p)


@settings(deadline=None)
@given(n=st.integers(1, 7000), statistic=st.sampled_from(list(QUANTILES)))
def test_a_lower_bound_holds_with_95_percent_and_is_the_highest_that_does(
    n: int, statistic: str
) -> None:
    p = QUANTILES[statistic]
    k = lower_bound_rank(n, p)
    assert 0 <= k <= rank(n, p)
    assert k == 0 or stats.binom.sf(k - 1, n, p) >= 0.95 - 1e-12
    assert stats.binom.sf(k, n, p) <= 0.95 + 1e-12


@settings(deadline=None)
@given(values=latencies, statistic=st.sampled_from(list(QUANTILES)), data=st.data())
def test_percentiles_equal_brute_force_whatever_the_order(
    values: list[float], statistic: str, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(values))
    estimate = percentile(ascending(*shuffled), statistic, 30.0)
    n, p = len(values), QUANTILES[statistic]
    if n < FLOORS[statistic]:
        assert estimate.value is None
        return
    at_least = sorted(values)
    expected = next(x for place, x in enumerate(at_least, start=1) if place >= n * p - 1e-9)
    if math.isinf(expected):
        assert (estimate.value, estimate.bound, estimate.reason) == (None, 30.0, "failures")
    else:
        assert estimate.value == expected
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= expected <= estimate.high


@settings(deadline=None)
@given(values=st.lists(st.floats(0, 1e3), min_size=11, max_size=200), extra=st.integers(1, 50))
def test_more_failures_never_make_a_percentile_better(values: list[float], extra: int) -> None:
    before = percentile(ascending(*values), "p50").value
    after = percentile(ascending(*values, *[math.inf] * extra), "p50").value
    assert before is not None
    assert after is None or after >= before
