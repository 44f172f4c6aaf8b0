"""Public list prices from genai-prices' bundled ledger, with what that ledger does not know.

It must not guess: a model or a tier that it lacks, or one charged by something we do not count, is an
error.
"""

from datetime import UTC, datetime

import msgspec

from observatory.core.errors import BadInput
from observatory.core.targets.listed_model import ListedModel
from observatory.economics.ledger_book import (
    LEDGER,
    LedgerModel,
    changes_by_hour,
    dates_prices,
    find_listed,
    is_dated,
    ledger_version,
    model_rows,
    uncounted_of,
)
from observatory.economics.price_book import DAYS, BookRow, days_of, priced, tier_of
from observatory.economics.price_details import PriceDetails
from observatory.economics.price_rows import AppliedPrices

UNCOUNTED = ("requests_kcount", "output_reasoning_mtok", "output_citation_mtok")
"""Prices that would apply to every request and that a request's record cannot be charged by."""
UNDATED = "the source gives no date: it returns this price for any date"
BY_HOUR = (
    "the price changes with the time of day; this is the one at the hour when it was looked up"
)
BY_HOUR_AT_A_WEEKEND = (
    BY_HOUR
    + "; the source has no days of the week, and at a weekend another hour's price may hold: "
    "may_also_be_usd has it"
)
FIX = (
    "write price: unknown, price: {input_per_million_usd: ..., output_per_million_usd: ..., "
    "source: ...}, or an entry of scenarios/prices.yaml"
)


def list_prices(target: ListedModel, at: datetime) -> AppliedPrices:
    """Return the list prices of a provider's model at a moment (aware datetime), basis `list_price`.

    The tier that the target's requests name chooses its prices. Raises BadInput for a model or tier
    without a price, or with a price that we could not apply in full.
    """
    listed = find_listed(target.provider, target.model)
    if listed is None:
        raise BadInput(
            f"{LEDGER} {ledger_version()} has no price for {target.model!r} of {target.provider!r}",
            where=f"target {target.name}",
            fix=FIX,
        )
    rows = model_rows(listed.owner, listed.model)
    tier = tier_of(target)
    prices = priced(rows, tier, at, _facts(target, listed, at))
    if not prices.rows and tier is not None:
        known = sorted({row.service_tier for row in rows if row.service_tier and row.holds_at(at)})
        raise BadInput(
            f"{LEDGER} {ledger_version()} knows no price of tier {tier!r} for {target.model!r} "
            f"(it knows: {', '.join(['standard', *known])})",
            where=f"target {target.name}",
            fix=FIX,
        )
    check_countable(target, listed, prices, at)
    return _with_doubt(listed, rows, prices, at)


def _with_doubt(
    listed: LedgerModel, rows: list[BookRow], prices: AppliedPrices, at: datetime
) -> AppliedPrices:
    """Return the prices; at a weekend, where the source has hours and no days, each with what else it may be."""
    day = at.astimezone(UTC)
    doubtful = changes_by_hour(listed.model) and not dates_prices(listed.owner, listed.model.id)
    if not doubtful or days_of(day.date()) == DAYS[0]:
        return prices
    doubted = []
    for row in prices.rows:
        tier = row.details.service_tier
        same_day = {
            one.usd_per_million
            for one in rows
            if (one.kind, one.service_tier, one.above_prompt_tokens) == (row.kind, tier, 0)
            and one.holds_on(day.date())
        }
        others = sorted(same_day - {row.usd})
        doubt = PriceDetails(may_also_be_usd=others, note=BY_HOUR_AT_A_WEEKEND)
        details = row.details.joined(doubt) if others else row.details
        doubted.append(msgspec.structs.replace(row, details=details))
    return AppliedPrices(doubted, prices.basis)


def _facts(target: ListedModel, listed: LedgerModel, at: datetime) -> PriceDetails:
    dated, note = is_dated(listed.model), None
    if changes_by_hour(listed.model):
        known = dates_prices(listed.owner, listed.model.id)
        note = BY_HOUR + (" and by its day of the week" if known else "")
    elif not dated:
        note = UNDATED
    resold = f"{listed.requested} sells it: the price is that of {listed.owner}"
    elsewhere = "the provider's list price, applied to another base URL"
    return PriceDetails(
        dated=dated,
        package=LEDGER,
        version=ledger_version(),
        provider=listed.owner,
        model=listed.model.id,
        applied_at=at.isoformat(timespec="seconds"),
        not_counted=uncounted_of(listed.model, at),
        note=note,
        provider_note=resold if listed.owner != listed.requested else None,
        base_url_note=elsewhere if target.base_url is not None else None,
    )


def check_countable(
    target: ListedModel, listed: LedgerModel, prices: AppliedPrices, at: datetime
) -> None:
    """Raise BadInput where a model's list price has no input or output, or charges for more than tokens."""
    missing = [kind for kind in ("input", "output") if all(r.kind != kind for r in prices.rows)]
    uncounted = [name for name in UNCOUNTED if name in uncounted_of(listed.model, at)]
    if not missing and not uncounted:
        return
    why = (
        f"charges by {', '.join(uncounted)}"
        if uncounted
        else f"has none for {' and '.join(missing)}"
    )
    raise BadInput(
        f"the list price of {target.model!r} {why}, which a request's tokens do not give",
        where=f"target {target.name}",
        fix=FIX,
    )
