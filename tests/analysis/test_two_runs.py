"""Differences and ratios of two runs, against worked examples and the condition that defines them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from observatory.analysis.comparison.two_runs import difference, ratio
from observatory.analysis.statistics.estimate import Estimate
from observatory.analysis.statistics.proportions import wilson


def test_the_difference_of_two_proportions_is_newcombes() -> None:
    """56 of 70 against 48 of 80: 0.0524 to 0.3339 (Newcombe 1998, table II, method 10, example a)."""
    first = Estimate(48 / 80, *wilson(48, 80))
    second = Estimate(56 / 70, *wilson(56, 70))
    found = difference(first, second)
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=5e-5)
    assert found.high == pytest.approx(0.3339, abs=5e-5)


def test_the_ratio_of_two_normal_means_is_fiellers() -> None:
    """With symmetric intervals MOVER-R is Fieller's theorem (Biometrika 41, 1954)."""
    first, second = Estimate(10.0, 9.0, 11.0), Estimate(25.0, 23.0, 27.0)
    a, b, va, vb = 10.0, 25.0, 1.0, 4.0
    g = va / a**2
    half = math.sqrt(vb + (b / a) ** 2 * va - g * vb) / a
    found = ratio(first, second)
    assert found.value == 2.5
    assert found.low == pytest.approx((b / a - half) / (1 - g))
    assert found.high == pytest.approx((b / a + half) / (1 - g))


def test_what_is_not_known_has_no_interval() -> None:
    whole, bare = Estimate(2.0, 1.0, 3.0), Estimate(4.0)
    assert difference(whole, bare) == Estimate(value=2.0)
    assert ratio(whole, bare) == Estimate(value=2.0)
    assert difference(whole, Estimate(reason="sample_floor")) == Estimate()
    assert ratio(Estimate(0.0, 0.0, 0.1), whole) == Estimate()
    assert ratio(whole, Estimate(reason="failures")) == Estimate()


def test_an_end_that_failures_reach_bounds_nothing() -> None:
    endless, slow = Estimate(0.1, 0.09, math.inf), Estimate(0.2, 0.18, 0.22)
    assert difference(endless, slow).low == -math.inf
    assert difference(slow, endless).high == math.inf
    assert ratio(endless, slow).low == 0
    assert ratio(slow, endless).high == math.inf
    assert ratio(Estimate(1.0, -0.5, 2.0), slow).high == math.inf, "the first may be 0"


positive = st.floats(0.001, 100)


@settings(deadline=None)
@given(a=st.tuples(positive, positive, positive), b=st.tuples(positive, positive, positive))
def test_the_ratio_excludes_1_where_the_difference_excludes_0(
    a: tuple[float, float, float], b: tuple[float, float, float]
) -> None:
    low_a, value_a, high_a = sorted(a)
    low_b, value_b, high_b = sorted(b)
    first, second = Estimate(value_a, low_a, high_a), Estimate(value_b, low_b, high_b)
    change, times = difference(first, second), ratio(first, second)
    assert change.low is not None and change.high is not None
    assert times.low is not None and times.high is not None
    assert times.low <= times.value * (1 + 1e-9) <= times.high * (1 + 1e-8)  # type: ignore[operator]
    for of_difference, of_ratio in ((change.low, times.low - 1), (change.high, times.high - 1)):
        if abs(of_difference) > 1e-9:
            assert (of_difference > 0) == (of_ratio > 0)


def test_differences_of_skewed_means_cover() -> None:
    """2,000 pairs of exponential samples of 20 with unequal means, exact intervals by chi-squared."""
    rng, held_difference, held_ratio = np.random.default_rng(4), 0, 0
    tails = stats.chi2.ppf([0.975, 0.025], 40)
    for _ in range(2000):
        pair = []
        for mean in (1.0, 3.0):
            total = float(rng.gamma(20, mean))
            pair.append(Estimate(total / 20, *(2 * total / tails)))
        change, times = difference(*pair), ratio(*pair)
        assert change.low is not None and change.high is not None
        assert times.low is not None and times.high is not None
        held_difference += change.low <= 2 <= change.high
        held_ratio += times.low <= 3 <= times.high
    assert 0.93 <= held_difference / 2000 <= 0.97
    assert 0.93 <= held_ratio / 2000 <= 0.97
