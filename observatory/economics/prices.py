"""Which prices a target is charged at: as stated, as agreed in a price file, from the public ledger, or none.

Pure but for reading genai-prices' bundled data: nothing is fetched. Token prices are US dollars per
million tokens of a kind, machine rates US dollars an hour.
"""

from datetime import UTC, datetime

from observatory.core.errors import BadInput
from observatory.core.money.agreed_prices import AgreedPrices
from observatory.core.money.machine_money import MachineRate
from observatory.core.money.token_prices import TokenPrices
from observatory.core.targets.catalogue import Target
from observatory.core.targets.listed_model import ListedModel
from observatory.economics.agreed_prices import agreed_for
from observatory.economics.list_prices import list_prices
from observatory.economics.price_details import PriceDetails, PurchaseTerms
from observatory.economics.price_rows import AppliedPrices, PriceBasis, PriceKind, PriceRow


def prices_of(
    target: Target, *, agreed: AgreedPrices | None, at: datetime | None = None
) -> AppliedPrices:
    """Return the prices of a target at a moment (default: now), for all of a run.

    Order: what the target states; for an `api` target what `agreed` (the workspace's price file,
    inputs.price_files.agreed_prices) has for it, then the public list price of genai-prices; none.
    Raises BadInput where a target billed by tokens has no price and does not set `price: unknown`.
    """
    if target.billing == "hours":
        rate = target.stated_rate
        return AppliedPrices() if rate is None else _of_rate(rate)
    price = target.stated_price
    if isinstance(price, TokenPrices):
        return _of_statement(price, "emulated" if target.emulated else price.basis)
    if price == "unknown" or target.emulated:
        return AppliedPrices()
    if target.listed_model is not None:
        return _of_books(target.listed_model, agreed, at or datetime.now(UTC))
    raise BadInput(
        "a target billed by tokens needs a price",
        where=f"target {target.name}",
        fix="write price: unknown, or price: {input_per_million_usd: ..., "
        "output_per_million_usd: ..., source: ...}",
    )


def _of_books(target: ListedModel, agreed: AgreedPrices | None, at: datetime) -> AppliedPrices:
    found = agreed_for(agreed, target, at) if agreed is not None else None
    return list_prices(target, at) if found is None else found


def _of_rate(rate: MachineRate) -> AppliedPrices:
    """Return the machine's hour, and where they are stated its electricity and its people.

    details of machine_hour hold what the hour is made of: accelerators, commitment, rate_includes,
    purchase.
    """
    purchase = rate.purchase
    details = PriceDetails(
        owned=rate.is_owned,
        commitment=rate.paid_as,
        accelerators=rate.accelerators,
        rate_includes=rate.includes,
        electricity_usd_per_kwh=rate.electricity_usd_per_kwh,
        purchase=None
        if purchase is None
        else PurchaseTerms(purchase.usd, purchase.years, purchase.salvage_usd, purchase.source),
    )
    rows = []
    if rate.electricity_usd_per_kwh is not None:
        rows.append(
            PriceRow("electricity_kwh", rate.electricity_usd_per_kwh, rate.basis, rate.source)
        )
    if rate.operations is not None:
        people = rate.operations
        rows.append(
            PriceRow(
                "operations_hour",
                people.usd_per_hour,
                rate.basis,
                people.source,
                details=PriceDetails(
                    engineer_share=people.engineer_share,
                    usd_per_engineer_year=people.usd_per_engineer_year,
                ),
            )
        )
    hour = PriceRow(
        "machine_hour", rate.target_usd_per_hour, rate.basis, rate.hour_source, details=details
    )
    return AppliedPrices([hour, *rows], rate.basis)


def _of_statement(price: TokenPrices, basis: PriceBasis) -> AppliedPrices:
    details = PriceDetails(basis_as_stated=price.basis if basis != price.basis else None)
    kinds: list[tuple[PriceKind, float | None]] = [
        ("input", price.input_per_million_usd),
        ("output", price.output_per_million_usd),
        ("cached_input", price.cached_input_per_million_usd),
        ("cache_write", price.cache_write_per_million_usd),
    ]
    rows = [
        PriceRow(kind, usd, basis, price.source, details=details)
        for kind, usd in kinds
        if usd is not None
    ]
    return AppliedPrices(rows, basis)
