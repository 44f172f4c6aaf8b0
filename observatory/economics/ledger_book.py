"""genai-prices' bundled ledger as rows of a book: its conditions on dates and hours laid out as spans.

Nothing is fetched. What the ledger charges for and we do not count is named, never left out silently.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from observatory.core.money.service_tiers import STANDARD_TIERS
from observatory.economics.price_book import DAYS, Book, BookRow
from observatory.economics.price_details import PriceDetails
from observatory.economics.price_rows import PriceKind
from observatory.providers.catalogue import PROVIDERS

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider

LEDGER = "genai-prices"


@dataclass(frozen=True, slots=True)
class WorkdayPeak:
    """A provider's models whose peak prices hold from Monday to Friday; off_peak: an hour without."""

    models: frozenset[str]
    off_peak: time


WORKDAY_PEAKS = {
    "deepseek": WorkdayPeak(
        frozenset({"deepseek-v4-flash", "deepseek-flash", "deepseek-v4-pro"}), time(12)
    )
}
"""What the ledger cannot express: its conditions have hours and no days of the week.

DeepSeek: "Peak hours are 01:00 - 04:00 and 06:00 - 10:00 UTC, Monday through Friday (all other hours are
off-peak)", since 2026-08-23 (api-docs.deepseek.com/quick_start/pricing). The days are Beijing's; in
these hours the date there is that in UTC."""
PRICED: dict[str, PriceKind] = {
    "input_mtok": "input",
    "output_mtok": "output",
    "cache_read_mtok": "cached_input",
    "cache_write_mtok": "cache_write",
}
"""cache_write_mtok is Anthropic's price of the five-minute cache, its default; the hour-long one has a
key of its own (genai-prices' data_units.py) and is not counted."""
_TIER_KEYS = ("service_tier", "processing", "speed")
"""Keys of the ledger's variants that name a tier: processing is batch, speed Anthropic's fast mode."""
_BEGINNING = date(1970, 1, 1)
_Steps = tuple[tuple[int, float], ...]
_Prices = dict[PriceKind, _Steps]
"""A kind's price from each size of prompt on."""
_Spans = list[tuple[date | None, _Prices, tuple[str, ...]]]
"""Prices from a day on, and what else the ledger charges for then."""


@dataclass(frozen=True, slots=True)
class LedgerModel:
    """A model of the ledger; owner is the provider whose list has it, requested the provider that was named."""

    owner: str
    requested: str
    model: "ModelInfo"


def ledger_version() -> str:
    """Return the installed package's version."""
    return version(LEDGER)


def find_listed(provider: str, model: str) -> LedgerModel | None:
    """Return the ledger's entry for a provider's model as requests call it; None where it has none.

    provider: as our catalogue names it, or as the ledger does.
    """
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    known = PROVIDERS.get(provider)
    try:
        found, entry = snapshot.find_provider_model(
            model, None, known.prices_id if known else provider, None
        )
    except LookupError:
        return None
    owners = (found, *snapshot.providers)  # a cloud may sell another provider's model at its price
    owner = next(each for each in owners if any(entry is listed for listed in each.models))
    return LedgerModel(owner.id, found.id, entry)


def ledger_providers() -> list["Provider"]:
    """Return every provider of the ledger with its models."""
    from genai_prices.data_snapshot import get_snapshot

    return get_snapshot().providers


@lru_cache(maxsize=1)
def ledger_book() -> Book:
    """Return the whole ledger as the installed package has it."""
    used = ledger_version()
    rows = [
        row
        for provider in ledger_providers()
        for model in provider.models
        for row in model_rows(provider.id, model, used)
    ]
    return Book(LEDGER, used, tuple(rows))


def model_rows(provider: str, model: "ModelInfo", used: str | None = None) -> list[BookRow]:
    """Return every price of a model by kind, tier, span of dates, span of hours and size of prompt.

    used: the ledger's version, where the caller has looked it up.
    """
    if not model.prices:
        return []
    source = f"{LEDGER} {used or ledger_version()}"
    rows: list[BookRow] = []
    hours = _hours(model)
    for tier, context in _tiers(model).items():
        for begin, end in zip(hours, [*hours[1:], None], strict=True):
            for days, spans in _by_days(provider, model, context, begin):
                ends = [start for start, _, _ in spans[1:]]
                for (start, prices, uncounted), until in zip(spans, [*ends, None], strict=True):
                    like = BookRow(
                        provider, model.id, "input", 0.0, "list_price", source, tier, start, until,
                        None if len(hours) == 1 else begin, end,
                        details=PriceDetails(days=days or None, not_counted=list(uncounted) or None),
                    )  # fmt: skip
                    rows += [
                        replace(like, kind=kind, usd_per_million=usd, above_prompt_tokens=above)
                        for kind, steps in prices.items()
                        for above, usd in steps
                    ]
    return rows


def dates_prices(provider: str, model: str) -> bool:
    """Return whether it is known on which days of the week a model's prices by the hour hold."""
    rule = WORKDAY_PEAKS.get(provider)
    return rule is not None and model in rule.models


def _by_days(
    provider: str, model: "ModelInfo", context: dict[str, str], hour: time
) -> list[tuple[str | None, _Spans]]:
    """Return the prices at an hour by the days of the week; None: they hold on every day."""
    spans = _spans(model, context, hour)
    rule = WORKDAY_PEAKS.get(provider)
    if rule is None or model.id not in rule.models:
        return [(None, spans)]
    weekend = _spans(model, context, rule.off_peak)
    return [(None, spans)] if spans == weekend else [(DAYS[0], spans), (DAYS[1], weekend)]


def uncounted_of(model: "ModelInfo", at: datetime) -> list[str]:
    """Return the ledger's names of what the standard price at a moment charges for outside our kinds."""
    return sorted(name for name in _priced(model.get_prices(at)) if name not in PRICED)


def newest_date(today: date) -> date | None:
    """Return the newest date of a price in the ledger, not after today: how old its data are at the least."""
    dates = [row.effective_from for row in ledger_book().rows if row.effective_from is not None]
    return max((day for day in dates if day <= today), default=None)


def is_dated(model: "ModelInfo") -> bool:
    """Return whether the ledger has the date from which a price of the model holds."""
    from genai_prices.types import StartDateConstraint

    return any(isinstance(each, StartDateConstraint) for each in _constraints(model))


def changes_by_hour(model: "ModelInfo") -> bool:
    """Return whether the price depends on the time of day."""
    return len(_hours(model)) > 1


def _spans(model: "ModelInfo", context: dict[str, str], hour: time) -> _Spans:
    """Return the prices at an hour of the day, each with the day it begins on; equal neighbours are one."""
    spans: _Spans = []
    for day in (None, *_days(model)):
        moment = datetime.combine(day or _BEGINNING, hour, UTC)
        prices: _Prices = {}
        uncounted: tuple[str, ...] = ()
        if not context or _known(model, context, moment):
            price = model.get_prices(moment, context)
            prices = {
                kind: _steps(value)
                for name, kind in PRICED.items()
                if (value := getattr(price, name)) is not None
            }
            uncounted = tuple(sorted(name for name in _priced(price) if name not in PRICED))
        if not spans or (prices, uncounted) != spans[-1][1:]:
            spans.append((day, prices, uncounted))
    return spans


def _steps(value: Any) -> _Steps:
    tiers = [(tier.start, float(tier.price)) for tier in getattr(value, "tiers", [])]
    return ((0, float(getattr(value, "base", value))), *tiers)


def _tiers(model: "ModelInfo") -> dict[str | None, dict[str, str]]:
    """Return the tiers by our name, each with what the ledger selects it by."""
    tiers: dict[str | None, dict[str, str]] = {None: {}}
    for variant in model.price_variants or ():
        [key, *others] = variant.when
        name = variant.when[key]
        if key in _TIER_KEYS and not others and name not in STANDARD_TIERS:
            tiers.setdefault(name, dict(variant.when))
    return tiers


def _known(model: "ModelInfo", context: dict[str, str], at: datetime) -> bool:
    return any(
        variant.when == context and (variant.constraint is None or variant.constraint.active(at))
        for variant in model.price_variants or ()
    )


def _constraints(model: "ModelInfo") -> Iterator[Any]:
    if isinstance(model.prices, list):
        yield from (each.constraint for each in model.prices if each.constraint is not None)


def _days(model: "ModelInfo") -> list[date]:
    from genai_prices.types import StartDateConstraint

    variants = [variant.constraint for variant in model.price_variants or ()]
    return sorted(
        {
            each.start_date
            for each in (*_constraints(model), *variants)
            if isinstance(each, StartDateConstraint)
        }
    )


def _hours(model: "ModelInfo") -> list[time]:
    """Return the hours (UTC) at which the price may change, from midnight on."""
    from genai_prices.types import TimeOfDateConstraint

    hours = {time(0)}
    for each in _constraints(model):
        if isinstance(each, TimeOfDateConstraint):
            hours |= {_in_utc(each.start_time), _in_utc(each.end_time)}
    return sorted(hours)


def _in_utc(value: time) -> time:
    """Return the hour in UTC; one without a zone is UTC, as the ledger has it."""
    if value.tzinfo is None:
        return value
    return datetime.combine(_BEGINNING, value).astimezone(UTC).time()


def _priced(price: "ModelPrice") -> Iterator[str]:
    return (name for name, value in vars(price).items() if value is not None and name[0] != "_")
