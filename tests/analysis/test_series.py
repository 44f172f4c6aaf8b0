"""Percentiles, means and shares of dependent requests, held against queues whose truth is known."""

import math

import numpy as np
import pytest

from observatory.analysis.statistics.bootstrap import WINDOWS, over_windows, ratio_of_sums
from observatory.analysis.statistics.clusters import Clustered
from observatory.analysis.statistics.dependence import Dependence, correlation_time
from observatory.analysis.statistics.quantiles import percentile
from observatory.analysis.statistics.series import Ordered, share


def autoregression(n: int, r: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=n)
    values = np.empty(n)
    values[0] = noise[0]
    for place in range(1, n):
        values[place] = r * values[place - 1] + math.sqrt(1 - r * r) * noise[place]
    return values


@pytest.mark.parametrize("r", [0.0, 0.5, 0.9])
def test_the_correlation_time_of_an_autoregression_is_known(r: float) -> None:
    """(1 + r) / (1 - r); longer than 32,768 values too, where means of neighbours replace them."""
    expected = (1 + r) / (1 - r)
    for n in (20_000, 200_000):
        assert correlation_time(autoregression(n, r)).requests == pytest.approx(expected, rel=0.25)
    assert Dependence(autoregression(20_000, 0.9)).persistence == pytest.approx(19, rel=0.2)


def test_independent_values_keep_their_exact_interval_but_for_what_may_be_unseen() -> None:
    """The fast end is exact; the slow one is at most sqrt(1.5) times as far in ranks."""
    values = np.random.default_rng(3).lognormal(size=500)
    for slow_is_low in (False, True):
        found = Ordered(values, slow_is_low=slow_is_low).percentile("p50")
        exact = percentile(np.sort(values), "p50")
        fast, slow = ("high", "low") if slow_is_low else ("low", "high")
        assert not Dependence(values).found
        assert found.value == exact.value
        assert getattr(found, fast) == getattr(exact, fast)
        at, of_exact = (
            int(np.searchsorted(np.sort(values), getattr(each, slow))) for each in (found, exact)
        )
        assert abs(of_exact - 250) < abs(at - 250) < 1.25 * abs(of_exact - 250)
        assert (found.n, found.effective_n) == (500, 500)
    mean = Ordered(values).mean()
    assert mean.low is not None and mean.high is not None and mean.value is not None
    assert 1 < (mean.high - mean.value) / (mean.value - mean.low) < 1.23


def test_what_the_tests_cannot_see_narrows_with_the_window() -> None:
    rng = np.random.default_rng(8)
    unseen = [Dependence(rng.lognormal(size=n)).unseen for n in (64, 1000, 30_000)]
    assert unseen[0] > unseen[1] > unseen[2]
    assert unseen[2] < 1.05


def test_a_floor_counts_turnovers_of_the_open_requests() -> None:
    """Weak dependence between neighbours, 200 requests open: no p50 of 1,000, as of five turnovers."""
    values = autoregression(1000, 0.3)
    alone = Ordered(values).percentile("p50")
    crowded = Ordered(values, np.full(1000, 200.0)).percentile("p50")
    assert alone.value is not None
    assert (crowded.value, crowded.reason) == (None, "sample_floor")


def test_a_mean_needs_45_turnovers_whatever_the_tests_find() -> None:
    """Independent values with 64 requests open: 2,880 are needed; without a load the mean has no floor."""
    rng = np.random.default_rng(9)
    values, load = rng.lognormal(size=3000), rng.poisson(64, 3000).astype(np.float64)
    assert not Dependence(values, load).found
    few = Ordered(values[:1000], load[:1000]).mean()
    assert (few.value, few.reason, few.needs_n) == (None, "sample_floor", 30)
    assert few.effective_n in (10, 11)
    assert Ordered(values, load).mean().value == pytest.approx(values.mean())
    assert Ordered(values[:20]).mean().value == pytest.approx(values[:20].mean())
    assert Ordered(np.ones(100), load[:100]).mean().value == 1


def test_a_figure_just_above_its_floor_has_a_wide_slow_end() -> None:
    """The same values, cut so that the cautious count is near the floor or far above it."""
    times = []
    for n in (2000, 40_000):
        found = Ordered(autoregression(n, 0.8, 4)).percentile("p90")
        assert found.low is not None and found.high is not None and found.value is not None
        times.append((found.high - found.value) / (found.value - found.low))
    assert times[0] > 1.3 * times[1]


def test_dependent_values_count_for_fewer_and_say_so() -> None:
    few = Ordered(autoregression(1000, 0.95)).percentile("p90")
    assert (few.value, few.reason, few.n, few.needs_n) == (None, "sample_floor", 1000, 64)
    assert few.effective_n is not None
    assert few.effective_n < 64
    many = Ordered(autoregression(20_000, 0.95))
    enough, exact = many.percentile("p90"), percentile(many.ascending, "p90")
    assert enough.value == exact.value
    assert enough.effective_n is not None
    assert enough.effective_n < 1500
    assert enough.low is not None
    assert enough.high is not None
    assert exact.low is not None
    assert exact.high is not None
    assert enough.high - enough.low > 2 * (exact.high - exact.low)


def test_alternating_values_gain_nothing() -> None:
    """A closed loop's negative correlation: no interval narrower than that of independent values."""
    values = autoregression(2000, -0.6)
    assert correlation_time(values).requests == 1
    assert Ordered(values).percentile("p50").effective_n == 2000


def test_failures_are_seen_whatever_depends_on_them() -> None:
    values = np.concatenate([np.full(300, 0.1), np.full(700, np.inf)])
    found = Ordered(values).percentile("p90", 20.0)
    assert (found.value, found.reason, found.bound) == (None, "failures", 20.0)


def test_a_share_of_dependent_requests_is_counted_or_withheld() -> None:
    hits = np.repeat([True, False], 500)
    failed = share(hits)
    assert failed.value == 0.5
    assert failed.low is not None
    assert failed.low < 0.1
    withheld = share(hits, floor=30)
    assert (withheld.value, withheld.reason, withheld.needs_n) == (None, "sample_floor", 30)
    clean = share(np.zeros(1000, dtype=bool), Dependence(autoregression(1000, 0.9)))
    assert clean.high is not None
    assert clean.high > 0.03, "no failure among requests that depend on each other proves little"


def test_gaps_of_dependent_requests_count_effective_requests() -> None:
    of_request = np.exp(autoregression(400, 0.97))
    gaps = np.repeat(of_request, 5) * np.random.default_rng(2).lognormal(0, 0.01, 2000)
    owners, order = np.repeat(np.arange(400), 5), np.arange(400)
    none = np.zeros(400, dtype=np.int64)
    alone = Clustered(gaps, owners, none).percentile("p90")
    in_time = Clustered(gaps, owners, none, order).percentile("p90")
    assert alone.value is not None
    assert (in_time.value, in_time.reason) == (None, "sample_floor")
    assert in_time.effective_n is not None
    assert in_time.effective_n < 64


def test_a_ratio_of_sums_has_its_block_bootstrap() -> None:
    """Against the delta method's interval for independent pairs, and three times as wide in clumps."""
    rng = np.random.default_rng(5)
    below = rng.uniform(1, 3, 600)
    above = below * rng.normal(10, 1, 600)
    found = ratio_of_sums(above, below)
    ratio = above.sum() / below.sum()
    half = 1.96 * (above - ratio * below).std() / math.sqrt(600) / below.mean()
    assert found.value == pytest.approx(ratio)
    assert found.low == pytest.approx(ratio - half, abs=half / 3)
    assert found.high == pytest.approx(ratio + half, abs=half / 3)
    assert ratio_of_sums(above, below) == found, "the same data give the same interval"
    few = ratio_of_sums(above[:29], below[:29])
    assert (few.value, few.n, few.needs_n, few.reason) == (None, 29, 30, "sample_floor")
    same = ratio_of_sums(below * 2, below)
    assert (same.value, same.low, same.reason) == (2, None, "no_spread")


def test_a_machines_cost_is_bootstrapped_over_parts_of_its_window() -> None:
    """A certain total over counts that vary: 95 of 100 intervals of seeded Poisson windows hold the truth."""
    rng = np.random.default_rng(3)
    assert over_windows(10.0, np.full(WINDOWS, 4.0)) is None
    held = 0
    for _ in range(200):
        parts = rng.poisson(4.0, WINDOWS).astype(np.float64)
        ends = over_windows(400.0, parts, 1000.0)
        assert ends is not None
        assert 0 < ends[0] < 400.0 / parts.sum() * 1000 < ends[1]
        held += ends[0] <= 1000.0 <= ends[1]
    assert 184 <= held <= 196
    once = over_windows(400.0, np.arange(WINDOWS, dtype=np.float64))
    assert once == over_windows(400.0, np.arange(WINDOWS, dtype=np.float64))


def test_what_was_offered_widens_the_cost_of_a_machine_that_evens_it_out() -> None:
    """Nearly even parts; requests that came in bursts: the relative variance of those is taken."""
    parts = np.tile([3.0, 4, 5, 4], WINDOWS // 4)
    bursts = np.repeat([1.0, 7], WINDOWS // 20).repeat(10)[:WINDOWS]
    narrow, wide = over_windows(400.0, parts), over_windows(400.0, parts, 1.0, bursts)
    assert narrow is not None and wide is not None
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert over_windows(400.0, parts, 1.0, np.full(WINDOWS, 4.0)) == narrow
