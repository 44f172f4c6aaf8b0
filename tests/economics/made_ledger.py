"""A public ledger made by hand: one provider whose models have every shape of price."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from genai_prices.data_snapshot import DataSnapshot, set_custom_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from observatory.economics.ledger_book import ledger_book


def model(name: str, prices: Any, variants: list[PriceVariant] | None = None) -> ModelInfo:
    return ModelInfo(
        id=name, match=ClauseEquals(equals=name), prices=prices, price_variants=variants
    )


def flat(input_usd: str, output_usd: str, **more: Any) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(input_usd), output_mtok=Decimal(output_usd), **more)


def _models() -> list[ModelInfo]:
    tiered = ModelPrice(
        input_mtok=TieredPrices(base=Decimal(2), tiers=[Tier(start=1000, price=Decimal(6))]),
        output_mtok=TieredPrices(base=Decimal(8), tiers=[Tier(start=1000, price=Decimal(16))]),
        cache_read_mtok=Decimal("0.5"),
    )
    dated = [
        ConditionalPrice(prices=flat("9", "9")),
        ConditionalPrice(StartDateConstraint(dt.date(2026, 3, 1)), prices=flat("3", "5")),
    ]
    night = TimeOfDateConstraint(dt.time(22), dt.time(6))
    by_hour = [
        ConditionalPrice(prices=flat("4", "4")),
        ConditionalPrice(night, prices=flat("1", "1")),
    ]
    return [
        model(
            "plain",
            flat("1", "2", web_searches_kcount=Decimal(10)),
            [
                PriceVariant({"service_tier": "default"}, ModelPrice()),
                PriceVariant({"service_tier": "priority"}, ModelPrice(input_mtok=Decimal(7))),
                PriceVariant(
                    {"processing": "batch"},
                    flat("0.5", "1"),
                    StartDateConstraint(dt.date(2026, 10, 14)),
                ),
            ],
        ),
        model("tiered", tiered),
        model("dated", dated),
        model("by-hour", by_hour),
        model("per-request", flat("1", "1", requests_kcount=Decimal(5))),
        model("embedding", ModelPrice(input_mtok=Decimal(1))),
        model("cache-writer", flat("3", "15", cache_write_mtok=Decimal("3.75"))),
        model("unpriced", []),
    ]


@contextmanager
def made_ledger() -> Iterator[None]:
    """The ledger in place of the installed one; cloud sells acme's models at acme's prices."""
    acme = Provider(id="acme", name="Acme", api_pattern="https://acme", models=_models())
    cloud = Provider(
        id="cloud", name="Cloud", api_pattern="https://cloud", fallback_model_providers=["acme"]
    )
    set_custom_snapshot(DataSnapshot(providers=[acme, cloud], from_auto_update=False))
    ledger_book.cache_clear()
    try:
        yield
    finally:
        set_custom_snapshot(None)
        ledger_book.cache_clear()
