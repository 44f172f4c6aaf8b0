"""The ledger laid out as rows: which price holds when, and that it is the ledger's own arithmetic."""

import datetime as dt
from collections import defaultdict
from datetime import UTC
from typing import Any

from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from observatory.economics.ledger_book import (
    PRICED,
    WORKDAY_PEAKS,
    dates_prices,
    ledger_book,
    newest_date,
)
from observatory.economics.price_book import BookRow, days_of
from observatory.economics.price_details import PriceDetails
from tests.economics.made_ledger import made_ledger

MODELS = [(provider, model) for provider in get_snapshot().providers for model in provider.models]
ROWS: dict[tuple[str, str], list[BookRow]] = defaultdict(list)
for _row in ledger_book().rows:
    ROWS[_row.provider, _row.model].append(_row)
MOMENTS = st.datetimes(dt.datetime(2023, 1, 1), dt.datetime(2028, 1, 1), timezones=st.just(UTC))


def _facts(row: BookRow) -> tuple[Any, ...]:
    return (
        row.service_tier,
        row.kind,
        row.usd_per_million,
        row.effective_from,
        row.effective_until,
    )


def test_tiers_dates_and_sizes_of_prompt_are_rows() -> None:
    with made_ledger():
        rows = ledger_book().rows
    of = {name: [row for row in rows if row.model == name] for name in ("plain", "dated", "tiered")}
    begins = dt.date(2026, 10, 14)
    assert [_facts(row) for row in of["plain"]] == [
        (None, "input", 1.0, None, None),
        (None, "output", 2.0, None, None),
        ("priority", "input", 7.0, None, None),
        ("priority", "output", 2.0, None, None),
        ("batch", "input", 0.5, begins, None),
        ("batch", "output", 1.0, begins, None),
    ]
    assert of["plain"][0].details == PriceDetails(not_counted=["web_searches_kcount"])
    march = dt.date(2026, 3, 1)
    assert [_facts(row) for row in of["dated"] if row.kind == "input"] == [
        (None, "input", 9.0, None, march),
        (None, "input", 3.0, march, None),
    ]
    assert {(row.kind, row.above_prompt_tokens): row.usd_per_million for row in of["tiered"]} == {
        ("input", 0): 2.0,
        ("input", 1000): 6.0,
        ("output", 0): 8.0,
        ("output", 1000): 16.0,
        ("cached_input", 0): 0.5,
    }


def test_hours_of_the_day_are_rows_even_across_midnight() -> None:
    with made_ledger():
        rows = [row for row in ledger_book().rows if (row.model, row.kind) == ("by-hour", "input")]
    assert [(row.utc_from, row.utc_until, row.usd_per_million) for row in rows] == [
        (dt.time(0), dt.time(6), 1.0),
        (dt.time(6), dt.time(22), 4.0),
        (dt.time(22), None, 1.0),
    ]
    at_two = [row for row in rows if row.holds_at(dt.datetime(2026, 11, 1, 2, tzinfo=UTC))]
    assert [row.usd_per_million for row in at_two] == [1.0]


@settings(deadline=None, max_examples=300)
@given(place=st.integers(0, len(MODELS) - 1), at=MOMENTS)
def test_the_row_that_holds_is_the_price_that_the_ledger_gives(place: int, at: dt.datetime) -> None:
    provider, model = MODELS[place]
    mine = {
        (row.kind, row.above_prompt_tokens): row.usd_per_million
        for row in ROWS[provider.id, model.id]
        if row.service_tier is None and row.holds_at(at)
    }
    if dates_prices(provider.id, model.id) and days_of(at.astimezone(UTC).date()) == "sat-sun":
        at = at.astimezone(UTC).replace(hour=12)  # the ledger has no days: an hour off the peak
    theirs: dict[tuple[str, int], float] = {}
    price = model.get_prices(at) if model.prices else None
    for name, kind in PRICED.items():
        value = getattr(price, name, None)
        if value is not None:
            theirs[kind, 0] = float(getattr(value, "base", value))
            theirs |= {(kind, t.start): float(t.price) for t in getattr(value, "tiers", [])}
    assert mine == theirs


def test_no_two_rows_hold_at_once() -> None:
    days = (27, 28)  # a Friday and a Saturday
    moments = [dt.datetime(2026, 11, day, h, 45, tzinfo=UTC) for day in days for h in range(24)]
    for rows in ROWS.values():
        for at in moments:
            held = [
                (row.service_tier, row.kind, row.above_prompt_tokens)
                for row in rows
                if row.holds_at(at)
            ]
            assert len(held) == len(set(held))


def test_the_newest_date_is_not_of_the_future() -> None:
    with made_ledger():
        assert newest_date(dt.date(2026, 11, 1)) == dt.date(2026, 10, 14)
        assert newest_date(dt.date(2026, 10, 13)) == dt.date(2026, 3, 1)
        assert newest_date(dt.date(2020, 1, 1)) is None


def test_the_models_whose_days_are_known_are_in_the_ledger_and_change_by_the_hour() -> None:
    for provider, rule in WORKDAY_PEAKS.items():
        for model in rule.models:
            days = {row.details.days for row in ROWS[provider, model]}
            assert days == {None, "mon-fri", "sat-sun"}, model
