"""What requests cost: hand-worked figures, and null where a count is missing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.economics.cost import request_cost_usd, token_charges
from observatory.economics.price_rows import AppliedPrices, PriceRow

TOKENS = AppliedPrices(
    [
        PriceRow("input", 1.0, "example", "here"),
        PriceRow("output", 4.0, "example", "here"),
        PriceRow("cached_input", 0.5, "example", "here"),
    ],
    "example",
)
HOURS = AppliedPrices(
    [PriceRow("machine_hour", 3.0, "stated", "here")],
    "stated",
)


def test_each_kind_of_token_is_charged_at_its_own_price() -> None:
    assert request_cost_usd(TOKENS, 1000, 400, 50) == pytest.approx(0.001)


def test_cached_tokens_without_a_price_or_unsaid_are_charged_as_prompt() -> None:
    plain = AppliedPrices(TOKENS.rows[:2], "example")
    assert request_cost_usd(plain, 1000, 400, 50) == pytest.approx(0.0012)
    assert request_cost_usd(TOKENS, 1000, None, 50) == pytest.approx(0.0012)


@pytest.mark.parametrize(
    ("prompt", "cached", "output"),
    [(None, 0, 5), (5, 0, None), (None, None, None), (5, 6, 1), (-1, 0, 1), (1, 0, -1)],
)
def test_missing_or_contradicting_counts_have_no_cost(
    prompt: int | None, cached: int | None, output: int | None
) -> None:
    assert request_cost_usd(TOKENS, prompt, cached, output) is None


@pytest.mark.parametrize("kind", ["input", "output"])
def test_one_price_of_two_prices_nothing(kind: str) -> None:
    """The charges of an answer add up to its cost, so that none has a price where there is no cost."""
    half = AppliedPrices([row for row in TOKENS.rows if row.kind == kind], "example")
    assert request_cost_usd(half, 100, 20, 10) is None
    charges = token_charges(half, 100, 20, 10)
    assert sum(charge.tokens for charge in charges) == 110
    assert {charge.usd_per_million for charge in charges} == {None}


def test_no_price_has_no_cost() -> None:
    assert request_cost_usd(AppliedPrices(), 1, 0, 1) is None
    assert request_cost_usd(HOURS, 1, 0, 1) is None


@settings(deadline=None)
@given(prompt=st.integers(0, 10**7), cached=st.integers(0, 10**7), output=st.integers(0, 10**6))
def test_a_cost_never_exceeds_the_cap_prices(prompt: int, cached: int, output: int) -> None:
    cost = request_cost_usd(TOKENS, prompt, min(cached, prompt), output)
    assert cost is not None
    assert 0 <= cost <= (prompt * 1e-6 + output * 4e-6) * (1 + 1e-12)
