"""Known answers of the benchmarks' statistics, then what holds for any arrivals."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import (
    dispersion,
    lag_one_correlation,
    middle_rate,
    percentile,
    spread,
    variation,
)


def test_percentiles_are_values_that_were_seen() -> None:
    values = list(range(1, 101))
    assert percentile(values, 0.5) == 50
    assert percentile(values, 0.99) == 99
    assert percentile(values, 1.0) == 100
    assert percentile([7], 0.01) == 7
    assert math.isnan(percentile([], 0.5))


def test_spread_is_of_sizes_whatever_the_sign() -> None:
    found = spread(np.array([-3_000_000, 1_000_000, 2_000_000]))
    assert (found.n, found.p50_ms, found.p99_ms, found.max_ms) == (3, 2.0, 3.0, 3.0)
    assert math.isnan(spread(np.array([], dtype=np.int64)).p99_ms)


def test_variation_of_known_gaps() -> None:
    assert variation([5, 5, 5, 5]) == 0
    # Mean 2, squared deviations 1 + 1, over n - 1 = 1: sqrt(2) / 2.
    assert variation([1, 3]) == pytest.approx(math.sqrt(2) / 2)
    assert math.isnan(variation([1]))


def test_lag_one_correlation_of_known_gaps() -> None:
    assert lag_one_correlation([1, 2, 1, 2, 1, 2]) == pytest.approx(-1)
    assert lag_one_correlation([1, 2, 3, 4, 5]) == pytest.approx(1)
    assert math.isnan(lag_one_correlation([4, 4, 4, 4]))


def test_dispersion_of_known_counts() -> None:
    # Counts 0, 2 and 4 in three bins of 10: mean 2, variance 4.
    instants = [10, 19, 20, 21, 25, 29]
    assert dispersion(instants, 0, 30, 10) == pytest.approx(2)
    assert dispersion([5, 15, 25], 0, 30, 10) == 0
    assert math.isnan(dispersion([5], 0, 10, 10))
    assert math.isnan(dispersion([], 0, 30, 10))


def test_a_poisson_process_is_known_as_one_and_one_seed_in_ten_workers_is_not() -> None:
    draw = np.random.default_rng(5)
    instants = np.cumsum(draw.exponential(1e6, 40_000)).astype(np.int64)
    end = int(instants[-1])
    assert variation(np.diff(instants)) == pytest.approx(1, abs=0.03)
    assert abs(lag_one_correlation(np.diff(instants))) < 0.03
    assert dispersion(instants, 0, end, 10_000_000) == pytest.approx(1, abs=0.1)
    # The fault that was found in the field: ten workers with equal seeds.
    worker = np.cumsum(draw.exponential(1e7, 4_000)).astype(np.int64)
    together = np.sort(np.concatenate([worker + shift for shift in range(10)]))
    assert dispersion(together, 0, end, 10_000_000) == pytest.approx(10, rel=0.2)


def test_the_middle_rate_leaves_a_slow_start_and_end_out() -> None:
    even = [10**9 + i * 10**6 for i in range(80)]
    slow = [i * 10**8 for i in range(10)]
    after = [even[-1] + (i + 1) * 10**8 for i in range(10)]
    assert middle_rate([*slow, *even, *after]) == pytest.approx(1000)
    assert math.isnan(middle_rate(range(19)))


@given(
    st.lists(st.integers(min_value=1, max_value=10**9), min_size=3, max_size=50),
    st.integers(min_value=2, max_value=1000),
)
def test_figures_of_gaps_do_not_depend_on_their_unit(gaps: list[int], factor: int) -> None:
    scaled = [gap * factor for gap in gaps]
    assert variation(scaled) == pytest.approx(variation(gaps))
    if len(set(gaps)) > 2:
        assert lag_one_correlation(scaled) == pytest.approx(lag_one_correlation(gaps), nan_ok=True)
