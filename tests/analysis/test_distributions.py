"""The quantiles by scipy.special are those of scipy.stats, which commands do not import."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from observatory.analysis.statistics import drift
from observatory.analysis.statistics.distributions import (
    beta_quantile,
    binomial_quantile,
    normal_quantile,
    student_quantile,
    student_tail,
)

INSIDE = st.floats(0.001, 0.999)


@given(INSIDE, st.integers(1, 5000), INSIDE)
def test_binomial_quantiles(p: float, n: int, chance: float) -> None:
    k = binomial_quantile(p, n, chance)
    assert stats.binom.cdf(k, n, chance) >= p - 1e-9
    assert k == 0 or stats.binom.cdf(k - 1, n, chance) < p + 1e-9


@given(INSIDE, st.floats(0.5, 5000), st.floats(-6, 6))
def test_student_and_normal(p: float, degrees: float, t: float) -> None:
    assert student_quantile(p, degrees) == pytest.approx(
        stats.t.ppf(p, degrees), rel=1e-7, abs=1e-9
    )
    assert student_tail(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-9)
    assert normal_quantile(p) == pytest.approx(stats.norm.ppf(p), rel=1e-9, abs=1e-12)


@given(INSIDE, st.floats(0.05, 2000), st.floats(0.05, 2000))
def test_beta(p: float, a: float, b: float) -> None:
    assert beta_quantile(p, a, b) == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("half", range(7, 11))
def test_halves_that_overlap_this_much_never_differ_significantly(half: int) -> None:
    """The most extreme order that is passed over without the exact test is not significant by it."""
    out_of_order = int(drift.OVERLAPPING * half * half) + 1
    first = [float(place) for place in range(half)]
    second = [float(half + place) for place in range(half)]
    # Each step of the first half's last value past one of the second half puts one more pair out of order.
    for _ in range(out_of_order):
        movable = max(one for one in first if one + 1 in second)
        second[second.index(movable + 1)] = movable
        first[first.index(movable)] = movable + 1
    test = stats.mannwhitneyu(first, second, method="exact")
    assert test.statistic == out_of_order
    assert test.pvalue > drift.SIGNIFICANCE


def test_judging_a_run_does_not_import_scipy_stats() -> None:
    code = "import observatory.runner.finish, sys; print('scipy.stats' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_nothing_of_scipy_is_imported_before_a_runs_load() -> None:
    """What `observatory run` imports until the load starts: the quote and the campaign; judging comes after."""
    code = (
        "import observatory.cli.measure.quote_view, observatory.runner.campaign, sys\n"
        "print('scipy' in sys.modules, 'observatory.runner.campaign' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
