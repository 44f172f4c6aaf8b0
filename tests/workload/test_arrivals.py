"""Arrivals: names are true (constant is even, Poisson is Poisson), seeds fix every instant."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.core.arrivals.constant import ConstantArrivals
from observatory.core.arrivals.poisson import PoissonArrivals
from observatory.workload.draws import UniformStream

RATES = st.floats(min_value=0.05, max_value=500)
LENGTHS = st.floats(min_value=0.1, max_value=20)


def _poisson(rate: float, length: float, seed: int = 1, stage: int = 0) -> list[int]:
    return PoissonArrivals(kind="poisson").draw(
        UniformStream(seed, "arrivals", stage), rate, length
    )


def _constant(rate: float, length: float) -> list[int]:
    return ConstantArrivals(kind="constant").draw(UniformStream(1, "arrivals"), rate, length)


def test_constant_is_every_tenth_of_a_second() -> None:
    assert _constant(10, 0.5) == [0, 100_000_000, 200_000_000, 300_000_000, 400_000_000]


def test_constant_at_a_rate_whose_gap_is_no_whole_nanosecond() -> None:
    assert _constant(3, 1) == [0, 333_333_333, 666_666_667]


def test_no_request_is_due_at_the_very_end() -> None:
    assert len(_constant(0.1, 30)) == 3
    assert _constant(0.1, 30)[-1] == 20_000_000_000


@given(RATES, LENGTHS)
def test_constant_offsets_are_evenly_spaced_and_as_many_as_the_rate_says(
    rate: float, length: float
) -> None:
    offsets = _constant(rate, length)
    assert offsets[0] == 0
    assert abs(len(offsets) - rate * length) <= 1
    assert all(0 <= at < round(length * 1e9) for at in offsets)
    assert all(abs(gap - 1e9 / rate) <= 1 for gap in np.diff(offsets))


def test_the_same_seed_gives_the_same_instants_for_ever() -> None:
    assert _poisson(2, 3) == [
        179081554,
        362080675,
        611499225,
        754542377,
        863149403,
        1082590755,
        1088631620,
        1909554160,
        1935109345,
        2131639699,
        2401818685,
        2417161697,
    ]


@settings(max_examples=30)
@given(st.integers(min_value=0, max_value=2**70), RATES, LENGTHS)
def test_poisson_is_reproducible_ascending_and_inside_its_stage(
    seed: int, rate: float, length: float
) -> None:
    offsets = _poisson(rate, length, seed)
    assert offsets == _poisson(rate, length, seed)
    assert offsets == sorted(offsets)
    assert all(0 <= at < round(length * 1e9) for at in offsets)


@settings(max_examples=20)
@given(st.integers(0, 10**6), st.floats(1, 300), st.floats(1, 20), st.floats(1, 20))
def test_a_longer_stage_begins_with_the_shorter_one(
    seed: int, rate: float, first: float, second: float
) -> None:
    short, long = sorted((first, second))
    few = _poisson(rate, short, seed)
    assert _poisson(rate, long, seed)[: len(few)] == few


def test_seeds_and_stages_have_their_own_instants() -> None:
    firsts = {tuple(_poisson(5, 4, seed, stage)) for seed in (1, 2, 3) for stage in (0, 1, 2)}
    assert len(firsts) == 9


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_poisson_gaps_are_exponential_and_independent(seed: int) -> None:
    gaps = np.diff(_poisson(100, 400, seed)) / 1e9
    count = len(gaps)
    assert count == pytest.approx(40_000, abs=4 * math.sqrt(40_000))
    assert gaps.mean() == pytest.approx(0.01, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(1, abs=0.03)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / math.sqrt(count)
    assert np.quantile(gaps, 0.5) == pytest.approx(0.01 * math.log(2), rel=0.03)
    assert np.quantile(gaps, 0.99) == pytest.approx(0.01 * math.log(100), rel=0.05)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_poisson_counts_are_as_dispersed_as_their_mean(seed: int) -> None:
    counts = np.bincount(np.array(_poisson(20, 2000, seed)) // 10**9, minlength=2000)
    assert counts.mean() == pytest.approx(20, rel=0.02)
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.13)  # 4 sigma of 2,000 counts
