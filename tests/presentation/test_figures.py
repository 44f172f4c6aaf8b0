"""How figures are written: units, floors, failures, intervals, bases."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.metric import BY_NAME
from observatory.presentation.dollars import write_unit_price, write_usd, write_usd_range
from observatory.presentation.figures import Figure, figure_title, write


@pytest.mark.parametrize(
    ("value", "unit", "metric", "text"),
    [
        (0.12345, "s", "ttft_s", "123 ms"),
        (0.9996, "s", "ttft_s", "1 s"),
        (2.5e-5, "s", "sched_lag_s", "25 µs"),
        (0.0273, "1", "error_rate", "2.73 %"),
        (0.0273, "1", "score", "0.03"),
        (0.5, "1", "gpu_util_fraction", "50 %"),
        (3 * 2**30, "B", "gpu_memory_used_bytes", "3 GiB"),
        (1234.4, "J", "energy_j", "1,234 J"),
        (4.5678, "1/s", "request_rate", "4.57 /s"),
        (1.23456e-5, "J", "j_per_output_token", "0.0000123 J"),
        (0.05471, "USD", "usd_per_1k_requests", "$0.0547"),
        (12.345, "USD", "cost_usd", "$12.35"),
    ],
)
def test_values_are_written_in_the_unit_that_people_read(
    value: float, unit: str, metric: str, text: str
) -> None:
    assert write(value, unit, metric) == text


def test_dollars_never_round_to_nothing() -> None:
    assert write_usd(0.000001234) == "$0.00000123"
    assert write_usd(0.0) == "$0"
    assert write_usd(123456.7) == "$123,457"


def test_the_price_of_a_unit_has_a_digit_more_than_an_amount() -> None:
    assert write_unit_price(2.345) == "$2.345"
    assert write_unit_price(1.2845e-05) == "$0.00001284"
    assert write_usd(2.345) == "$2.35"
    assert (write_usd(0.9996), write_unit_price(0.9996)) == ("$1.00", "$0.9996")
    assert (write_usd(0.09996), write_unit_price(0.09996)) == ("$0.100", "$0.09996")


@given(st.floats(1e-9, 1e9))
def test_dollars_have_no_exponent_and_keep_three_digits(value: float) -> None:
    text = write_usd(value)
    assert "e" not in text
    assert float(text[1:].replace(",", "")) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ((0.012, 0.034, 0.11), "$0.0120 - $0.0340 - $0.110"),
        ((0.0, 0.0, 0.0), "$0"),
        ((0.000023, 0.008, 0.00996), "$0.0000230 - $0.00800 - $0.00996"),
        ((0.00042, 0.5, 1234.5), "$0.000420 - $0.500 - $1,234"),
    ],
)
def test_a_range_of_dollars(ends: tuple[float, ...], text: str) -> None:
    assert write_usd_range(ends) == text


def test_below_the_floor_the_counts_and_the_bound_stand_in_place_of_a_number() -> None:
    figure = Figure("ttft_s", "p99", bound=0.219, n=104, needs_n=662, reason="sample_floor")
    assert figure.text == "needs 662, has 104"
    assert figure.note == "at least 219 ms; too few requests"
    assert figure.interval is None
    assert not figure.drawable


def test_a_percentile_that_failures_reach_is_beyond_the_timeout() -> None:
    figure = Figure("e2e_s", "p90", bound=30.0, n=200, needs_n=64, reason="failures")
    assert figure.text == "> timeout"
    assert figure.note == "more than 30 s; failures reach it"


def test_intervals_say_their_unit_once() -> None:
    assert Figure("ttft_s", "p50", 0.12, 0.11, 0.13).interval == "110–130 ms"
    assert Figure("ttft_s", "p50", 0.9, 0.8, 1.2).interval == "800 ms – 1.2 s"
    assert Figure("score", "value", 0.5, 0.4, 0.6).interval == "0.40–0.60"
    assert Figure("cost_usd", "value", 0.05, 0.04, 0.06).interval == "$0.0400–0.0600"


def test_an_interval_without_an_upper_end_says_so() -> None:
    assert Figure("ttft_s", "p50", 0.12, 0.11, None).interval == "110 ms or more"
    assert Figure("ttft_s", "p50", 0.12, 0.11, math.inf).interval == "110 ms to > timeout"


def test_a_basis_is_named_unless_it_was_measured_or_the_row_says_emulated() -> None:
    assert Figure("j_per_request", "value", 3.0, basis="estimated").modelled == "estimated"
    assert Figure("ttft_s", "p50", 3.0, basis="measured").modelled is None
    assert Figure("ttft_s", "p50", 3.0, basis="emulated").modelled is None
    assert Figure("cost_usd", "value", 3.0, basis="emulated").modelled == "emulated"


def test_a_doubtful_value_keeps_its_reason() -> None:
    figure = Figure("output_tps", "value", 40.0, reason="shared_out_by_characters")
    assert figure.note == "tokens shared out by characters"


def test_successes_only_is_said_in_the_title() -> None:
    assert figure_title("ttft_s", "p50_ok") == "Time to first token, median (successes only)"
    assert figure_title("ttft_s", "p999") == "Time to first token, p99.9"


finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12)


@given(
    metric=st.sampled_from(sorted(BY_NAME)),
    value=finite | st.none() | st.just(math.inf),
    low=finite | st.none(),
    high=finite | st.none() | st.just(math.inf),
    bound=finite | st.none(),
    n=st.integers(0, 10**9) | st.none(),
    needs=st.integers(0, 10**4) | st.none(),
)
def test_no_figure_is_ever_written_as_nan_inf_or_an_exponent(
    metric: str,
    value: float | None,
    low: float | None,
    high: float | None,
    bound: float | None,
    n: int | None,
    needs: int | None,
) -> None:
    figure = Figure(metric, "p50", value, low, high, bound, n, needs, reason="sample_floor")
    for text in (figure.text, figure.interval or "", figure.note or ""):
        assert not any(word in text.lower().split() for word in ("nan", "inf", "none"))
        assert not re.search(r"\de[+-]?\d", text)
    assert figure.text
