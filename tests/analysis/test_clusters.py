"""Clustered observations: pooled percentiles by hand, and intervals that clusters really widen."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.analysis.statistics.clusters import Clustered, mean_share
from observatory.core.metric import FLOORS


def clustered(groups: list[list[float]], infinite: list[int] | None = None) -> Clustered:
    values = np.array([value for group in groups for value in group], dtype=np.float64)
    owners = np.repeat(np.arange(len(groups)), [len(group) for group in groups])
    return Clustered(values, owners, np.array(infinite or [0] * len(groups), dtype=np.int64))


def test_gaps_are_pooled_and_requests_are_counted() -> None:
    """Eleven answers of one gap of i and two of 10: 33 gaps, of which the 17th is 10."""
    pooled = clustered([[float(i), 10.0, 10.0] for i in range(1, 12)])
    estimate = pooled.percentile("p50")
    assert (estimate.value, estimate.n, estimate.needs_n) == (10.0, 11, 11)
    assert pooled.mean().value == pytest.approx((66 + 220) / 33)


def test_one_long_answer_does_not_pass_for_many_requests() -> None:
    pooled = clustered([[0.01] * 10_000, [0.02] * 5])
    estimate = pooled.percentile("p50")
    assert (estimate.value, estimate.reason, estimate.n) == (None, "sample_floor", 2)
    assert estimate.bound is None


def test_an_answer_that_broke_off_adds_one_gap_without_end() -> None:
    groups = [[0.01, 0.01] for _ in range(11)]
    assert clustered(groups, [1] * 11).percentile("p50", 20).value == 0.01
    lost = clustered([[0.01] for _ in range(64)], [1] * 64).percentile("p90", 20)
    assert (lost.value, lost.bound, lost.reason) == (None, 20, "failures")
    assert clustered(groups, [1] + [0] * 10).mean().reason == "failures"


def test_answers_without_gaps_do_not_count() -> None:
    pooled = clustered([[], [0.01], [], [0.03]])
    assert pooled.clusters == 2
    assert pooled.mean().value == pytest.approx(0.02)
    assert clustered([[], []]).percentile("p50").reason == "no_requests"


def test_below_the_floor_stands_a_lower_bound() -> None:
    estimate = clustered([[float(i)] for i in range(1, 11)]).percentile("p50")
    assert (estimate.value, estimate.reason, estimate.needs_n) == (None, "sample_floor", 11)
    assert estimate.bound is not None
    assert 1 <= estimate.bound <= 5


def test_unlike_answers_widen_the_interval_that_their_gaps_would_have() -> None:
    rng = np.random.default_rng(1)
    speeds = rng.lognormal(0, 0.5, 200)
    apart = clustered([[float(speed)] * 50 for speed in speeds]).percentile("p50")
    mixed = rng.permutation(np.repeat(speeds, 50)).reshape(200, 50)
    together = clustered([list(map(float, group)) for group in mixed]).percentile("p50")
    assert apart.high is not None and apart.low is not None
    assert together.high is not None and together.low is not None
    assert apart.high - apart.low > 3 * (together.high - together.low)


@pytest.mark.parametrize(("statistic", "quantile"), [("p50", 0.0), ("p90", 1.2815515655446004)])
def test_intervals_cover_the_true_percentile_of_correlated_gaps(
    statistic: str, quantile: float
) -> None:
    """Log-gaps with variance 1/2 between and 1/2 within answers: the pooled law is standard."""
    rng = np.random.default_rng(11)
    covered, rounds = 0, 300
    for _ in range(rounds):
        m = 150
        between = rng.normal(0, math.sqrt(0.5), m)
        sizes = rng.integers(5, 40, m)
        groups = [
            list(base + rng.normal(0, math.sqrt(0.5), size))
            for base, size in zip(between, sizes, strict=True)
        ]
        estimate = clustered(groups).percentile(statistic)
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= quantile <= estimate.high
    assert covered / rounds >= 0.92


@settings(deadline=None)
@given(
    groups=st.lists(st.lists(st.floats(0.001, 1), max_size=6), min_size=1, max_size=40),
    infinite=st.data(),
)
def test_pooled_percentiles_equal_brute_force(
    groups: list[list[float]], infinite: st.DataObject
) -> None:
    lost = infinite.draw(st.lists(st.integers(0, 1), min_size=len(groups), max_size=len(groups)))
    pooled = clustered(groups, lost)
    everything = sorted([value for group in groups for value in group] + [math.inf] * sum(lost))
    requests = sum(bool(group) or bool(gone) for group, gone in zip(groups, lost, strict=True))
    estimate = pooled.percentile("p50", 9.0)
    assert estimate.n == requests
    if requests < FLOORS["p50"]:
        assert estimate.value is None
        return
    expected = everything[math.ceil(len(everything) / 2) - 1]
    if math.isinf(expected):
        assert (estimate.value, estimate.bound) == (None, 9.0)
    else:
        assert estimate.value == expected
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low <= expected <= estimate.high


def test_scores_of_repeated_prompts_are_as_many_as_their_prompts() -> None:
    """Ten prompts, half right, each sent ten times with the same result: n_eff is ten."""
    owners = np.repeat(np.arange(10), 10)
    repeated = mean_share(np.repeat(np.array([1.0, 0] * 5), 10), owners)
    single = mean_share(np.array([1.0, 0] * 5), np.arange(10))
    assert (repeated.value, repeated.n) == (0.5, 100)
    assert repeated.low == pytest.approx(single.low)
    assert repeated.high == pytest.approx(single.high)


def test_a_faultless_score_still_has_a_lower_end() -> None:
    estimate = mean_share(np.ones(40), np.repeat(np.arange(10), 4))
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(0.7224672, abs=1e-6)
    assert mean_share(np.zeros(0), np.zeros(0, dtype=np.int64)).reason == "no_scores"
