"""Counters and rates over a window: answers by hand, then what must hold for any readings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.economics.window import WindowAmount, counted, integrated

S = 1_000_000_000


def _each_second(*values: float) -> list[tuple[int, float]]:
    return [(second * S, value) for second, value in enumerate(values)]


def test_a_counter_is_linear_between_its_readings() -> None:
    readings = _each_second(0, 10, 30, 30, 100)
    assert counted(readings, 0, 4 * S) == WindowAmount(100.0)
    assert counted(readings, S // 2, 3 * S + S // 2) == WindowAmount(5.0 + 20.0 + 0.0 + 35.0)
    assert counted(readings, 2 * S, 3 * S) == WindowAmount(0.0), "no use is a zero, and a known one"


def test_a_rate_is_integrated_by_trapezoids() -> None:
    readings = _each_second(100, 200, 200)
    assert integrated(readings, 0, 2 * S) == WindowAmount(150.0 + 200.0)
    assert integrated(readings, S // 2, S + S // 2) == WindowAmount(87.5 + 100.0)


def test_readings_outside_the_window_change_nothing() -> None:
    readings = [(-50 * S, -9e9), *_each_second(0, 10, 30), (40 * S, 9e9)]
    assert counted(readings, 0, 2 * S) == WindowAmount(30.0)


def test_no_readings_is_null_and_not_zero() -> None:
    for readings in ([], _each_second(5.0), [(90 * S, 1.0), (91 * S, 2.0)]):
        assert counted(readings, 0, 4 * S) == WindowAmount(None, "no readings in the window")


def test_a_gap_of_more_than_three_seconds_is_null() -> None:
    readings = [(0, 0.0), (S, 10.0), (2 * S, 20.0), (5 * S + 1, 50.0), (30 * S, 300.0)]
    readings += [(n * S, n * 10.0) for n in range(31, 61)]
    amount = counted(readings, 0, 60 * S)
    assert amount == WindowAmount(None, "28.0 s of the window without a reading")
    three = [(n * 3 * S, n * 30.0) for n in range(11)]
    assert counted(three, 0, 30 * S) == WindowAmount(300.0), "three seconds are still covered"


def test_a_window_that_begins_before_its_first_reading() -> None:
    readings = [(n * S, n * 10.0) for n in range(2, 41)]
    amount = counted(readings, 0, 40 * S)
    assert amount.value == pytest.approx(400.0)
    assert amount.reason == "readings cover 95.0% of the window; the rest at their mean"


def test_less_than_nine_tenths_covered_is_null() -> None:
    readings = [(n * S, n * 10.0) for n in range(3, 11)]
    assert counted(readings, 0, 10 * S) == WindowAmount(
        None, "readings cover only 70% of the window"
    )
    readings = [(n * S, n * 10.0) for n in range(4, 21)]
    assert counted(readings, 0, 20 * S).value is None, "80 %, but its first 4 s have no reading"


def test_a_counter_that_went_back_is_null() -> None:
    amount = counted(_each_second(100, 110, 3, 13), 0, 3 * S)
    assert amount == WindowAmount(None, "the counter went back from 110 to 3")
    after = counted(_each_second(100, 110, 3, 13), 2 * S + 1, 3 * S)
    assert after.value is not None


@pytest.mark.parametrize(
    ("at", "window", "reason"),
    [
        (1.5, (0, 3), "why"),
        (1.0, (0, 3), "why"),
        (1.5, (1.6, 1.9), "why"),  # between two readings of which the window holds none
        (0.0, (0, 3), None),  # the first reading goes on from nothing
        (2.5, (0, 2), None),
    ],
)
def test_a_counter_that_did_not_go_on_is_null(
    at: float, window: tuple[float, float], reason: str | None
) -> None:
    start, end = (round(instant * S) for instant in window)
    amount = counted(_each_second(0, 10, 20, 30), start, end, [(round(at * S), "why")])
    assert (amount.value is None, amount.reason) == (reason is not None, reason)


def test_an_empty_window_is_null() -> None:
    assert counted(_each_second(0, 1, 2), S, S).value is None


steps = st.lists(st.tuples(st.integers(1, 3 * S), st.floats(0, 1e6)), min_size=2, max_size=30)


@given(steps=steps, cuts=st.lists(st.floats(0, 1), min_size=3, max_size=3, unique=True))
def test_two_parts_add_up_to_the_whole(steps: list[tuple[int, float]], cuts: list[float]) -> None:
    at, total = 0, 0.0
    counter, rate = [(0, 0.0)], [(0, steps[0][1])]
    for passed, amount in steps:
        at += passed
        total += amount
        counter.append((at, total))
        rate.append((at, amount))
    start, middle, end = sorted(int(cut * at) for cut in cuts)
    if not start < middle < end:
        return
    for readings, measure in ((counter, counted), (rate, integrated)):
        whole, first, second = (
            measure(readings, *window) for window in ((start, end), (start, middle), (middle, end))
        )
        assert whole.value is not None and first.value is not None and second.value is not None
        assert whole.value == pytest.approx(first.value + second.value, rel=1e-6, abs=1e-3)
        assert whole.reason is None


@given(
    times=st.lists(st.integers(0, 60 * S), unique=True, max_size=40),
    low=st.integers(0, 60 * S),
    high=st.integers(0, 60 * S),
)
def test_a_constant_rate_gives_rate_times_time_or_null(
    times: list[int], low: int, high: int
) -> None:
    """With any reading missing: a value that is given is right, because the rest is taken at the mean."""
    readings = [(at, 7.0) for at in sorted(times)]
    amount = integrated(readings, low, high)
    if amount.value is None:
        assert amount.reason
    else:
        assert amount.value == pytest.approx(7.0 * (high - low) / 1e9, rel=1e-9)
