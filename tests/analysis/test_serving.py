"""Serving or buying in words: the sentence, its refusals, what is marked, and what a cache did."""

from dataclasses import replace
from typing import Any

import pytest

from observatory.analysis.billing.serving import (
    answer,
    month_of,
    no_month,
    steps_of,
    volume_of,
)
from observatory.core.money.demand import DAYS_A_MONTH, Demand
from observatory.presentation.break_even_text import cache_sentence, interval, mark, sentence
from observatory.store.queries.money_rows import MoneyRow

TWICE = Demand(peak_to_mean=2.0)
OWN = MoneyRow(
    run_id="own",
    scenario="chat",
    best_stage=0,
    surely=True,
    requests=1_000,
    target="own",
    comparison_key="k",
    billing="hours",
    emulated=False,
    verdict="valid",
    attainment=0.9,
    best_fraction=1.0,
    goodput_rps=1.0,
    goodput_rps_low=0.8,
    goodput_rps_high=1.0,
    goodput_n=1_000,
    served_reason=None,
    request_rate=1.0,
    power_w=None,
    idle_power_w=None,
    usd_per_hour=2.0,
    accelerators=1,
    commitment="on_demand",
    usd_per_kwh=None,
    electricity_missing=False,
    pue=1.0,
    operations_usd_per_hour=None,
    price_basis="stated",
    cost_basis="stated",
    price_source="contract",
    tariff_source=None,
    operations_source=None,
    usd_per_request=0.01,
    usd_per_request_low=None,
    usd_per_request_high=None,
    usd_per_request_reason=None,
    priced_n=1_000,
    prompt_tokens=400.0,
    cached_tokens=100.0,
    output_tokens=100.0,
    input_usd=None,
    cached_input_usd=None,
)
BOUGHT = replace(
    OWN,
    target="bought",
    billing="tokens",
    usd_per_hour=None,
    goodput_rps=None,
    usd_per_request=0.002,
    price_basis="list_price",
    cost_basis="list_price",
    price_source="genai-prices",
    input_usd=0.4,
    cached_input_usd=0.1,
)
NO_PRICE = {"usd_per_request": None, "price_basis": None, "cost_basis": None}


def test_the_worked_example_is_a_sentence() -> None:
    """As docs/money.md works it."""
    found = answer(OWN, BOUGHT, TWICE)
    assert sentence(found) == (
        "From 96,000 requests a day on, serving it on own costs no more than buying it from bought, and "
        "it stays so. There both cost $192.00 a day ($5,840 a month). Below that it is cheaper between "
        "72,000 and 86,400 requests a day: each further replica must fill first."
    )
    assert interval(found) == (
        "96,000 to 144,000 requests a day (95 % interval of the measured goodput; the price's interval is "
        "not known)"
    )
    same = answer(OWN, replace(BOUGHT, usd_per_request_reason="no_spread"), TWICE)
    assert interval(same) is not None
    assert "each request cost the same" in str(interval(same))
    assert [(step.steps, step.self_usd_a_day, step.api_usd_a_day) for step in steps_of(found)][
        :2
    ] == [
        (1, pytest.approx(96.0), pytest.approx(86.4)),
        (2, pytest.approx(144.0), pytest.approx(172.8)),
    ]
    assert (found.volume, found.self_month) == (None, None)


def test_never_says_why() -> None:
    stated = sentence(answer(OWN, replace(BOUGHT, usd_per_request=0.001), TWICE))
    assert stated.startswith(
        "Serving it on own never gets cheaper than buying it from bought: a replica"
    )
    assert stated.endswith("costs $43.20 to buy.")


@pytest.mark.parametrize(
    ("own", "bought", "why"),
    [
        ({"comparison_key": "other"}, {}, "did not get the same requests"),
        ({"usd_per_hour": None}, {}, "has no hourly rate"),
        ({}, {"billing": "hours"}, "has no known price by tokens"),
        ({}, NO_PRICE, "has no known price by tokens"),
        ({}, {"usd_per_request": None}, "what a request costs at bought is not known"),
        ({"verdict": "invalid"}, {}, "the run of own is invalid"),
        ({"attainment": None}, {}, "no `slo`"),
        ({"goodput_rps": None, "best_fraction": 0.5}, {}, "at best 50.0%): it has no break-even"),
        ({"electricity_missing": True}, {}, "tariff or energy is not known"),
    ],
)
def test_what_cannot_be_reckoned_is_refused(
    own: dict[str, Any], bought: dict[str, Any], why: str
) -> None:
    found = answer(replace(OWN, **own), replace(BOUGHT, **bought), Demand(requests_a_day=1000))
    assert found.found is None
    assert steps_of(found) == []
    assert why in sentence(found)


def test_made_up_figures_are_marked() -> None:
    assert mark(OWN, BOUGHT) == ""
    assert mark(replace(OWN, emulated=True)) == " (emulated)"
    assert mark(replace(OWN, price_basis="example"), replace(BOUGHT, emulated=True)) == (
        " (emulated, example prices)"
    )
    marked = answer(replace(OWN, price_basis="example"), BOUGHT, TWICE)
    assert "and it stays so (example prices)." in sentence(marked)


def test_a_cache_makes_a_bought_prompt_cheaper_and_an_engine_faster() -> None:
    """A quarter at 0.1 and the rest at 0.4 dollars a million: 0.325."""
    assert cache_sentence(BOUGHT) == (
        "25.0% of its prompt tokens were read from the provider's cache: a million prompt tokens cost "
        "$0.3250 instead of $0.4000"
    )
    own = cache_sentence(OWN)
    assert own is not None
    assert "its hour costs the same, the 1 requests/s would be fewer without" in own
    assert cache_sentence(replace(BOUGHT, cached_tokens=0.0)) is None
    assert cache_sentence(replace(BOUGHT, cached_tokens=None)) is None


def test_volumes_and_months() -> None:
    assert volume_of(Demand(tokens_a_day=1e6), BOUGHT) == pytest.approx(2000)
    assert volume_of(Demand(api_bill_usd_a_day=10), BOUGHT) == pytest.approx(5000)
    bought = month_of(BOUGHT, TWICE, 5000)
    assert bought is not None and bought.usd == pytest.approx(10 * DAYS_A_MONTH)
    own = month_of(OWN, TWICE, 5000)
    assert own is not None and (own.replicas, own.usd) == (2, pytest.approx(96 * DAYS_A_MONTH))
    assert month_of(replace(OWN, goodput_rps=None), TWICE, 5000) is None
    found = answer(OWN, BOUGHT, Demand(api_bill_usd_a_day=10, peak_to_mean=2.0))
    assert found.volume == pytest.approx(5000)
    assert found.api_usd_a_month == pytest.approx(10 * DAYS_A_MONTH)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (replace(BOUGHT, **NO_PRICE), "no price is known"),
        (replace(BOUGHT, usd_per_request=None), "some of its answers do not say how many tokens"),
        (replace(OWN, usd_per_hour=None), "no hourly rate is stated"),
        (replace(OWN, goodput_rps=None, attainment=None), "the scenario has no SLO"),
        (replace(OWN, goodput_rps=None), "no stage met the SLO"),
    ],
)
def test_a_month_that_is_not_known_says_why(row: dict[str, Any], why: str) -> None:
    """A bought target has no SLO to meet for its price: what is missing there is a count."""
    assert no_month(row).startswith(why)
