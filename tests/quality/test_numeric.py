"""The number scorer: which number of a text is the answer, and when two numbers are equal."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.quality.numeric import final_number, number, parse_number


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("42", "42"),
        ("The total is $1,250.50.", "1250.50"),
        ("€ 3.20 each", "3.20"),
        ("-$5", "-5"),
        ("$-5.25", "-5.25"),
        ("\u22127 degrees", "-7"),
        ("It is -5", "-5"),
        ("- 5 apples", "5"),
        ("10-5", "5"),
        ("COVID-19", "19"),
        ("18%", "18"),
        ("5 m²", "5"),
        (".5", "0.5"),
        ("1.", "1"),
        ("1e3", "1000"),
        ("3/4", "0.75"),
        ("1⁄2", "0.5"),
        ("12, 13 and 14", "14"),
        ("1,2,3", "3"),
        ("70\u202f000 km", "70000"),
        ("1'234'567", "1234567"),
        ("1,00,000 rupees", "100000"),
        ("version 1.2.3", "3"),
    ],
)
def test_the_last_number_of_a_text_without_a_mark(answer: str, value: str) -> None:
    assert final_number(answer) == Decimal(value)


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ("5 + 5 = 10\n#### 10\n(checked twice, 2 ways)", "10"),
        ("**Answer:** 42 apples\nbecause 7 x 6", "42"),
        ("Answer: 40 + 2 = 42", "42"),
        ("Answer: 42 (40 + 2 = 42, done in 2 steps)", "42"),
        ("The answer is $18.", "18"),
        ("The answer is:\n\n**18** dollars, 3 times 6", "18"),
        ("so \\boxed{1,024} in 3 steps", "1024"),
        ("Answer: 7. I hope that this answer is helpful", "7"),
        ("answer: 3\nNo wait.\nAnswer: 4\nin 2 lines", "4"),
        ("He will answer 5 questions in 10 minutes", "10"),
    ],
)
def test_a_mark_decides_where_there_is_one(answer: str, value: str) -> None:
    assert final_number(answer) == Decimal(value)


@pytest.mark.parametrize("answer", ["", "five", "...", "-", "$", "9" * 200])
def test_no_number(answer: str) -> None:
    assert final_number(answer) is None
    assert number(5, answer) == (0.0, "no_number")


def test_equality_is_by_value_within_a_millionth() -> None:
    assert number(12, "12.0") == (1.0, None)
    assert number(1.78, "Answer: 1.78") == (1.0, None)
    assert number(0.1 + 0.2, "0.3") == (1.0, None)
    assert number(10_000, "10000.02") == (0.0, "other_number")
    assert number(5, "-5") == (0.0, "other_number")
    assert number("70,000", "#### 70000") == (1.0, None)


@pytest.mark.parametrize("value", ["", "abc", "3 apples", "1,2", "1 2", None, True, [1], "nan"])
def test_what_is_no_reference(value: object) -> None:
    assert parse_number(value) is None


@given(st.integers(-(10**15), 10**15))
def test_any_whole_number_is_read_back_in_every_dress(value: int) -> None:
    for dress in (
        f"{value}",
        f"{value:,}",
        f"Answer: {value:,}.",
        f"so it is {value} km in 1 line\n#### {value}",
    ):
        assert number(value, dress) == (1.0, None)


@given(st.decimals(-(10**9), 10**9, places=2))
def test_any_amount_of_money_is_read_back(value: Decimal) -> None:
    sign = "-" if value < 0 else ""
    assert number(float(value), f"He pays {sign}${abs(value):,} in all.") == (1.0, None)


@pytest.mark.parametrize(
    ("answer", "value"),
    [("0,E0", "0"), ("12,e3", "12"), ("1'E+2", "1"), ("7,.5", "0.5"), ("3,e", "3")],
)
def test_an_exponent_after_a_separator_belongs_to_no_number(answer: str, value: str) -> None:
    assert final_number(answer) == Decimal(value)
