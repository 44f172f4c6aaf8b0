"""Where a target's prices come from, and what is written down of it."""

import datetime as dt
from collections.abc import Iterator
from datetime import UTC
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices import __version__ as ledger_version
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from observatory.core.errors import BadInput
from observatory.core.targets.catalogue import Target
from observatory.economics.cost import request_cost_usd
from observatory.economics.price_details import PriceDetails, PriceTier
from observatory.economics.price_rows import AppliedPrices
from observatory.economics.prices import prices_of as prices_at
from observatory.providers.catalogue import PROVIDERS
from tests.economics.made_ledger import made_ledger

TARGET: TypeAdapter[Any] = TypeAdapter(Target)
NOON = dt.datetime(2026, 11, 1, 12, tzinfo=UTC)
STATED = {
    "input_per_million_usd": 1.0,
    "output_per_million_usd": 4.0,
    "source": "contract of 2026",
}


def prices_of(target: Any, at: dt.datetime | None = None) -> AppliedPrices:
    return prices_at(target, agreed=None, at=at)


def target(**fields: Any) -> Any:
    return TARGET.validate_python({"name": "t"} | fields)


def api(model: str, **fields: Any) -> Any:
    return target(kind="api", provider="acme", model=model, **fields)


@pytest.fixture
def ledger() -> Iterator[None]:
    """A ledger of one provider whose models have every shape of price."""
    with made_ledger():
        yield


def test_a_stated_price_stands_as_it_was_stated() -> None:
    prices = prices_of(
        target(
            kind="api",
            provider="openai",
            model="gpt-4o-mini",
            price=STATED
            | {"cached_input_per_million_usd": 0.25, "cache_write_per_million_usd": 1.25},
        )
    )
    assert prices.basis == "stated"
    assert {row.kind: row.usd for row in prices.rows} == {
        "input": 1.0,
        "output": 4.0,
        "cached_input": 0.25,
        "cache_write": 1.25,
    }
    assert {row.source for row in prices.rows} == {"contract of 2026"}
    assert prices.input_usd_per_token == 1.25e-6  # a token may fill a cache
    assert prices.output_usd_per_token == 4e-6
    assert prices.usd_per_hour is None


def test_what_an_emulated_target_charges_is_marked_emulated_however_it_was_stated() -> None:
    emulated = target(kind="emulated", price=STATED | {"basis": "example"}, name="emulated-a")
    prices = prices_of(emulated)
    assert prices.basis == "emulated"
    assert {row.basis for row in prices.rows} == {"emulated"}
    assert prices.rows[0].details == PriceDetails(basis_as_stated="example")
    assert prices_of(target(kind="emulated", name="emulated-b")) == AppliedPrices()


def test_a_machine_rate_is_one_row_an_hour() -> None:
    rate = {
        "usd_per_hour": 2.5,
        "source": "invoice",
        "owned": True,
        "electricity_usd_per_kwh": 0.2,
    }
    prices = prices_of(target(kind="llamacpp", rate=rate))
    row, tariff = prices.rows
    assert (row.kind, row.usd, row.basis, row.source) == ("machine_hour", 2.5, "stated", "invoice")
    assert row.details == PriceDetails(
        owned=True,
        commitment="owned",
        accelerators=1,
        rate_includes=[],
        electricity_usd_per_kwh=0.2,
    )
    assert (tariff.kind, tariff.usd, tariff.source) == ("electricity_kwh", 0.2, "invoice")
    assert prices.usd_per_hour == 2.5
    assert prices.input_usd_per_token is None
    assert prices_of(target(kind="llamacpp")) == AppliedPrices()


def test_a_bought_server_and_its_people_are_rows_with_their_own_sources() -> None:
    """8 accelerators of (250,000 - 39,760) dollars over 4 years: 6 dollars an hour of them all."""
    rate = {
        "commitment": "owned",
        "source": "books",
        "accelerators": 8,
        "purchase": {"usd": 250_000, "years": 4, "salvage_usd": 39_760, "source": "invoice"},
        "operations": {
            "engineer_share": 0.25,
            "usd_per_engineer_year": 175_200,
            "source": "payroll",
        },
    }
    hour, people = prices_of(target(kind="llamacpp", rate=rate)).rows
    assert (hour.kind, hour.usd, hour.source) == ("machine_hour", pytest.approx(6.0), "invoice")
    assert hour.details.purchase is not None
    assert (hour.details.accelerators, hour.details.purchase.years) == (8, 4.0)
    assert (people.kind, people.usd, people.source) == (
        "operations_hour",
        pytest.approx(5.0),
        "payroll",
    )
    assert people.details == PriceDetails(engineer_share=0.25, usd_per_engineer_year=175_200)


def test_unknown_is_said_or_it_is_an_error() -> None:
    url = {"kind": "url", "url": "http://127.0.0.1:1/v1", "billing": "tokens"}
    assert prices_of(target(**url, price="unknown")) == AppliedPrices()
    with pytest.raises(BadInput, match="price: unknown"):
        prices_of(target(**url))


def test_an_undated_list_price_says_that_it_is_todays(ledger: None) -> None:
    prices = prices_of(api("plain"), NOON)
    row = prices.row("input")
    assert row is not None
    assert (prices.basis, row.usd, row.effective_from) == ("list_price", 1.0, None)
    assert row.source == f"genai-prices {ledger_version}"
    assert row.details.dated is False
    assert "any date" in row.details.note
    assert row.details.not_counted == ["web_searches_kcount"]
    assert row.details.version == ledger_version


def test_a_dated_list_price_carries_its_date(ledger: None) -> None:
    after = prices_of(api("dated"), NOON).row("input")
    before = prices_of(api("dated"), dt.datetime(2026, 2, 28, tzinfo=UTC)).row("input")
    assert after is not None
    assert before is not None
    assert (after.usd, after.effective_from) == (3.0, "2026-03-01")
    assert (before.usd, before.effective_from) == (9.0, None)
    assert after.details.note is None


@pytest.mark.parametrize(
    "asks",
    [{"service_tier": "priority"}, {"extra_body": {"service_tier": "priority"}}],
)
def test_the_tier_that_requests_ask_for_is_charged_at_its_price(
    ledger: None, asks: dict[str, Any]
) -> None:
    prices = prices_of(api("plain", **asks), NOON)
    assert {row.kind: row.usd for row in prices.rows} == {"input": 7.0, "output": 2.0}
    assert prices.rows[0].details.service_tier == "priority"


@pytest.mark.parametrize("tier", ["standard", "default", "auto", "on_demand", "standard_only"])
def test_every_name_of_the_standard_tier_is_charged_at_the_standard_price(
    ledger: None, tier: str
) -> None:
    prices = prices_of(api("plain", service_tier=tier), NOON)
    assert {row.kind: row.usd for row in prices.rows} == {"input": 1.0, "output": 2.0}


def test_a_tier_without_a_price_is_an_error_that_names_the_known_ones(ledger: None) -> None:
    with pytest.raises(BadInput, match=r"tier 'flex'.*it knows: standard, batch, priority"):
        prices_of(api("plain", service_tier="flex"), NOON)
    with pytest.raises(BadInput, match=r"it knows: standard, priority\)"):
        prices_of(api("plain", service_tier="batch"), dt.datetime(2026, 10, 13, 23, 59, tzinfo=UTC))


def test_a_body_that_asks_for_another_tier_than_the_target_is_an_error(ledger: None) -> None:
    body = {"service_tier": "priority"}
    for own in ("flex", "standard"):
        with pytest.raises(BadInput, match="different tiers"):
            prices_of(api("plain", service_tier=own, extra_body=body), NOON)


def test_a_cloud_that_sells_anothers_model_is_charged_at_that_ones_price(ledger: None) -> None:
    sold = target(kind="api", provider="cloud", model="plain")
    row = prices_of(sold, NOON).row("input")
    assert row is not None
    assert (row.usd, row.details.provider) == (1.0, "acme")
    assert row.details.provider_note == "cloud sells it: the price is that of acme"


def test_a_tier_applies_to_the_whole_prompt_and_the_worst_tier_to_caps(ledger: None) -> None:
    prices = prices_of(api("tiered"), NOON)
    assert request_cost_usd(prices, 1000, 400, 10) == pytest.approx(
        (600 * 2 + 400 * 0.5 + 10 * 8) / 1e6
    )
    assert request_cost_usd(prices, 1001, 400, 10) == pytest.approx(
        (601 * 6 + 400 * 0.5 + 10 * 16) / 1e6
    )
    assert prices.input_usd_per_token == 6e-6
    assert prices.output_usd_per_token == 16e-6
    row = prices.row("input")
    assert row is not None
    assert row.details.tiers == [PriceTier(1000, 6.0)]


def test_a_price_that_changes_with_the_hour_caps_at_the_dearest(ledger: None) -> None:
    midnight = prices_of(api("by-hour"), dt.datetime(2026, 11, 1, 23, tzinfo=UTC))
    assert [row.usd for row in midnight.rows] == [1.0, 1.0]
    assert midnight.input_usd_per_token == 4e-6
    assert "time of day" in midnight.rows[0].details.note


def test_tokens_that_fill_a_cache_are_charged_and_capped_at_their_price(ledger: None) -> None:
    prices = prices_of(api("cache-writer"), NOON)
    assert request_cost_usd(prices, 100, 20, 0, 30) == pytest.approx((70 * 3 + 30 * 3.75) / 1e6)
    assert prices.input_usd_per_token == 3.75e-6


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("per-request", "requests_kcount"),
        ("embedding", "none for output"),
        ("absent", "no price for"),
    ],
)
def test_a_list_price_that_cannot_be_applied_in_full_is_an_error(
    ledger: None, name: str, why: str
) -> None:
    with pytest.raises(BadInput, match=why) as caught:
        prices_of(api(name), NOON)
    assert "price: unknown" in str(caught.value)
    assert "target t" in str(caught.value)


def test_a_manifest_keeps_prices_whole() -> None:
    prices = prices_of(target(kind="api", provider="openai", model="gpt-4o-mini"), NOON)
    assert AppliedPrices.from_dict(prices.to_dict()) == prices
    assert AppliedPrices.from_dict(None) == AppliedPrices()
    assert AppliedPrices().to_dict() == {"rows": [], "basis": None}


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai", "gpt-4o-mini"),
        ("openai", "gpt-5.2"),
        ("google", "gemini-2.5-pro"),
        ("anthropic", "claude-sonnet-4-5"),
        ("deepseek", "deepseek-chat"),
    ],
)
@settings(deadline=None)
@given(
    prompt=st.integers(0, 400_000),
    cached_share=st.floats(0, 1),
    output=st.integers(0, 30_000),
)
def test_costs_equal_the_ledgers_own_arithmetic(
    provider: str, name: str, prompt: int, cached_share: float, output: int
) -> None:
    cached = int(prompt * cached_share)
    theirs = calc_price(
        Usage(input_tokens=prompt, output_tokens=output, cache_read_tokens=cached),
        name,
        provider_id=provider,
        genai_request_timestamp=NOON,
    )
    prices = prices_of(target(kind="api", provider=provider, model=name), NOON)
    assert request_cost_usd(prices, prompt, cached, output) == pytest.approx(
        float(theirs.total_price), rel=1e-12, abs=1e-15
    )
    worst_input, worst_output = prices.input_usd_per_token, prices.output_usd_per_token
    assert worst_input is not None
    assert worst_output is not None
    worst = prompt * worst_input + output * worst_output
    assert float(theirs.total_price) <= worst * (1 + 1e-12)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_of_the_catalogue_is_found_in_the_installed_ledger(provider: str) -> None:
    known = PROVIDERS[provider]
    prices = prices_of(target(kind="api", provider=provider, model=known.example_model), NOON)
    row = prices.row("output")
    assert row is not None
    assert row.usd > 0
    sold_by_another = provider == "azure"  # at the price of the company that made the model
    assert row.details.provider == ("openai" if sold_by_another else known.prices_id)


DEEPSEEK = {"kind": "api", "provider": "deepseek", "model": "deepseek-v4-flash"}


@pytest.mark.parametrize(
    ("moment", "peak"),
    [
        ("2026-11-27T02:00:00+00:00", True),  # a Friday
        ("2026-11-27T09:59:59+00:00", True),
        ("2026-11-27T10:00:00+00:00", False),
        ("2026-11-27T04:30:00+00:00", False),
        ("2026-11-28T02:00:00+00:00", False),  # a Saturday
        ("2026-11-28T07:00:00+00:00", False),
        ("2026-11-29T02:00:00+00:00", False),
        ("2026-11-30T01:00:00+00:00", True),  # a Monday
        ("2026-11-27T21:00:00-05:00", False),  # a Friday there, Saturday 02:00 in UTC
        ("2026-11-29T21:00:00-05:00", True),
    ],
)
@pytest.mark.parametrize("model", ["deepseek-v4-flash", "deepseek-v4-pro"])
def test_deepseeks_peak_prices_hold_from_monday_to_friday(
    model: str, moment: str, peak: bool
) -> None:
    requested = target(**{**DEEPSEEK, "model": model})
    at = dt.datetime.fromisoformat(moment)
    prices = prices_of(requested, at=at)
    price = calc_price(
        Usage(input_tokens=1_000_000),
        model,
        provider_id="deepseek",
        genai_request_timestamp=dt.datetime(2026, 11, 27, 2 if peak else 12, tzinfo=UTC),
    )
    row = prices.row("input")
    assert row is not None
    assert row.usd == pytest.approx(float(price.input_price))
    assert row.worst_usd >= row.usd
    assert "day of the week" in row.details.note
    assert row.details.may_also_be_usd is None


@pytest.mark.usefixtures("ledger")
def test_hours_without_days_are_doubted_at_a_weekend() -> None:
    for day, doubted in ((27, False), (28, True), (29, True), (30, False)):
        prices = prices_of(api("by-hour"), at=dt.datetime(2026, 11, day, 12, tzinfo=UTC))
        row = prices.row("input")
        assert row is not None
        assert row.usd == 4.0
        assert row.details.may_also_be_usd == ([1.0] if doubted else None)
        assert ("weekend" in row.details.note) is doubted
    plain = prices_of(api("plain"), at=dt.datetime(2026, 11, 28, 12, tzinfo=UTC)).row("input")
    assert plain is not None
    assert plain.details.may_also_be_usd is None
