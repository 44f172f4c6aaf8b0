"""The update period from made sequences, and which readings repeat: known answers, then properties."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.telemetry.freshness import fresh, repeats, update_period

MS = 1_000_000


def polled(period_ms: float, every_ms: float, length_ms: float) -> list[tuple[int, float]]:
    """Return readings of a sensor that counts its own updates, read every `every_ms`."""
    times = [n * every_ms for n in range(int(length_ms / every_ms))]
    return [(int(at * MS), float(int(at / period_ms))) for at in times]


@pytest.mark.parametrize("period_ms", [20.0, 25.0, 50.0, 100.0, 400.0])
def test_the_period_is_found_within_one_question(period_ms: float) -> None:
    found = update_period(polled(period_ms, 5, 3000))
    assert found.period_s is not None
    assert abs(found.period_s * 1e3 - period_ms) <= 5
    assert found.reason is None


def test_a_sensor_that_changes_at_every_question_is_only_bounded() -> None:
    found = update_period(polled(1, 5, 1000))
    assert found.period_s == pytest.approx(0.005)
    assert found.reason == "at most: it was read every 5 ms"


def test_too_few_changes_give_no_period() -> None:
    found = update_period([(n * 5 * MS, 30.0 if n < 100 else 31.0) for n in range(400)])
    assert (found.period_s, found.changes) == (None, 1)
    assert found.reason == "the value changed 1 times in 2 s"
    assert update_period([]).period_s is None


def test_one_long_stall_of_the_asker_does_not_move_the_median() -> None:
    readings = [r for r in polled(50, 5, 2000) if not 400 * MS < r[0] < 900 * MS]
    found = update_period(readings)
    assert found.period_s == pytest.approx(0.05)


def test_repeats_are_marked() -> None:
    readings = [(0, 1.0), (40 * MS, 1.0), (80 * MS, 2.0), (120 * MS, 2.0), (190 * MS, 2.0)]
    assert repeats(readings, 0.1) == [False, True, False, True, False]
    assert fresh(readings, 0.1) == [(0, 1.0), (80 * MS, 2.0), (190 * MS, 2.0)]
    assert fresh(readings, None) == readings


def test_polling_ten_times_as_fast_gives_no_more_data() -> None:
    assert len(fresh(polled(100, 10, 5000), 0.1)) == len(fresh(polled(100, 100, 5000), 0.1)) == 50


def test_a_steady_value_is_new_once_a_period() -> None:
    steady = [(n * 10 * MS, 7.0) for n in range(101)]
    assert len(fresh(steady, 0.1)) == 11


@given(
    gaps=st.lists(st.integers(1, 300 * MS), min_size=1, max_size=60),
    values=st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=60, max_size=60),
    period_s=st.floats(0.001, 0.5),
)
def test_what_is_new_has_every_value_and_no_close_equal_neighbours(
    gaps: list[int], values: list[float], period_s: float
) -> None:
    readings, at = [], 0
    for gap, value in zip(gaps, values, strict=False):
        at += gap
        readings.append((at, value))
    kept = fresh(readings, period_s)
    assert kept[0] == readings[0]
    assert {value for _, value in kept} == {value for _, value in readings}
    for (early, old), (late, new) in pairwise(kept):
        assert new != old or late - early >= period_s * 1e9
