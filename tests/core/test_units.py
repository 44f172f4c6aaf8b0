"""Units as people write them: known readings, errors that name what is allowed, round trips."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from observatory.core.units import (
    PositiveDuration,
    Rate,
    format_duration,
    format_rate,
    human_level,
    human_number,
    human_seconds,
    parse_duration,
    parse_rate,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("500ms", 0.5),
        ("30s", 30.0),
        ("1.5s", 1.5),
        ("5min", 300.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("2d", 172800.0),
        ("250us", 0.00025),
        (" 10 s ", 10.0),
        ("0s", 0.0),
    ],
)
def test_durations_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds, rel=1e-12)


@pytest.mark.parametrize(
    ("text", "per_second"),
    [("2/s", 2.0), ("90/min", 1.5), ("0.25 / s", 0.25), ("3600/h", 1.0)],
)
def test_rates_read_as_events_a_second(text: str, per_second: float) -> None:
    assert parse_rate(text) == pytest.approx(per_second, rel=1e-12)


@pytest.mark.parametrize(
    "text", ["30", "30 seconds", "-1s", "1e3s", "ms", "", 30, None, True, "2/s"]
)
def test_a_misspelt_duration_is_told_its_units(text: object) -> None:
    with pytest.raises(ValueError, match="one of us, ms, s, min, m, h, d"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["2", "2/sec", "2/ms", "/s", 2, None, "30s"])
def test_a_misspelt_rate_is_told_its_units(text: object) -> None:
    with pytest.raises(ValueError, match="one of s, min, m, h"):
        parse_rate(text)


def test_nothing_is_no_positive_duration_and_no_rate() -> None:
    with pytest.raises(ValidationError, match="longer than nothing"):
        TypeAdapter(PositiveDuration).validate_python("0s")
    with pytest.raises(ValidationError):
        TypeAdapter(Rate).validate_python("0/s")


@given(st.integers(min_value=0, max_value=10**12))
def test_whole_microseconds_survive_the_round_trip(microseconds: int) -> None:
    seconds = microseconds / 1e6
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_any_duration_survives_the_round_trip(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_any_rate_survives_the_round_trip(per_second: float) -> None:
    assert parse_rate(format_rate(per_second)) == per_second


@pytest.mark.parametrize("text", ["2/s", "0.25/s", "1/min", "100/h", "7.5/s", "1000/s"])
def test_rates_are_written_as_people_write_them(text: str) -> None:
    assert format_rate(parse_rate(text)) == text


def test_durations_are_written_short() -> None:
    assert [format_duration(s) for s in (7200.0, 90.0, 30.0, 0.5, 0.00025, 1.5)] == [
        "2h",
        "90s",
        "30s",
        "500ms",
        "250us",
        "1500ms",
    ]


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.0, 3, "0"),
        (1.23456e-5, 4, "0.00001235"),
        (-2e-5, 3, "-0.00002"),
        (1e-15, 3, "0"),
        (150.0, 2, "150"),
        (999.6, 4, "1,000"),
        (1234567.0, 3, "1,234,567"),
    ],
)
def test_numbers_have_no_exponent(value: float, digits: int, text: str) -> None:
    assert human_number(value, digits) == text


def test_missing_figures_are_a_dash() -> None:
    assert human_seconds(None) == human_number(None) == "–"


@pytest.mark.parametrize(
    ("kind", "concurrency", "rate_per_s", "words"),
    [
        ("closed", 1, None, "1 user"),
        ("closed", 4, None, "4 users"),
        ("poisson", None, 2.0, "2 requests/s, poisson"),
        ("constant", None, 0.25, "0.25 requests/s, constant"),
        ("prime", 1, None, "priming"),
        ("unknown", None, None, "unknown"),
    ],
)
def test_a_load_level_in_words(
    kind: str, concurrency: int | None, rate_per_s: float | None, words: str
) -> None:
    assert human_level(kind, concurrency, rate_per_s) == words


def test_two_close_rates_read_apart() -> None:
    assert human_level("constant", None, 100.2) == "100.2 requests/s, constant"
    assert human_level("constant", None, 100.4) == "100.4 requests/s, constant"
