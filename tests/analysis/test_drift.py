"""Drift: a real change is found at its size, noise of any small sample is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.analysis.statistics.drift import MIN_BLOCKS, relative_drift


def at(n: int) -> np.ndarray:
    return np.arange(n, dtype=np.int64)


def test_a_step_is_found_at_its_size() -> None:
    noise = np.random.default_rng(1).normal(1, 0.05, 200)
    values = noise * np.where(np.arange(200) < 100, 1.0, 1.25)
    assert relative_drift(at(200), values) == pytest.approx(0.25, abs=0.03)


def test_a_slope_is_found_by_its_halves() -> None:
    values = np.linspace(1.0, 2.0, 400)
    assert relative_drift(at(400), values) == pytest.approx(1.75 / 1.25 - 1, abs=0.01)


def test_speeding_up_is_drift_too() -> None:
    assert relative_drift(at(100), np.repeat([2.0, 1.0], 50)) == pytest.approx(-0.5)


def test_nothing_is_said_of_few_requests() -> None:
    few = 3 * MIN_BLOCKS - 1
    assert relative_drift(at(few), np.linspace(1, 10, few)) is None
    assert relative_drift(at(few + 1), np.linspace(1, 10, few + 1)) is not None
    assert relative_drift(at(0), np.zeros(0)) is None


def test_equal_latencies_do_not_drift() -> None:
    assert relative_drift(at(500), np.full(500, 0.1)) is None


@pytest.mark.parametrize("n", [42, 60, 120, 600])
def test_noise_alone_is_called_drift_once_in_a_thousand(n: int) -> None:
    rng = np.random.default_rng(n)
    alarms = sum(relative_drift(at(n), rng.lognormal(0, 0.7, n)) is not None for _ in range(400))
    assert alarms <= 3


def test_correlated_noise_is_called_drift_rarely() -> None:
    """Requests in groups of four that share their batch's speed."""
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(400):
        values = np.repeat(rng.lognormal(0, 0.4, 100), 4) * rng.lognormal(0, 0.1, 400)
        alarms += relative_drift(at(400), values) is not None
    assert alarms <= 3


@settings(deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(42, 200))
def test_the_order_of_rows_does_not_matter(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.lognormal(0, 0.2, n) * np.linspace(1, 2, n)
    order = rng.permutation(n)
    assert relative_drift(at(n)[order], values[order]) == relative_drift(at(n), values)
