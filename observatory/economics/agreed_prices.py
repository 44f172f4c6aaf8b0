"""What a person's price file charges a target: stated prices, or a share off the ledger's list price."""

from dataclasses import replace
from datetime import UTC, datetime

from observatory.core.errors import BadInput
from observatory.core.money.agreed_prices import (
    PRICE_FIELDS,
    PRICES_FILE,
    AgreedPrices,
    LongPromptPrices,
    PriceEntry,
)
from observatory.core.money.service_tiers import STANDARD_TIERS
from observatory.core.targets.listed_model import ListedModel
from observatory.economics.ledger_book import LEDGER, find_listed, ledger_version, model_rows
from observatory.economics.list_prices import check_countable
from observatory.economics.price_book import Book, BookRow, priced, tier_of
from observatory.economics.price_details import PriceDetails
from observatory.economics.price_rows import AppliedPrices


def version_of(agreed: AgreedPrices) -> str:
    """Return what a file's prices depend on: its bytes, and the ledger's version where it has a discount."""
    if all(entry.discount is None for _, entry in agreed.entries):
        return agreed.sha256
    return f"{agreed.sha256} on {LEDGER} {ledger_version()}"


def agreed_for(agreed: AgreedPrices, target: ListedModel, at: datetime) -> AppliedPrices | None:
    """Return the file's prices of a target at a moment; None where it has none.

    Raises BadInput where a discount is taken off a list price that is not there, or that a request's
    tokens do not give in full.
    """
    tier = tier_of(target)
    for line, entry in agreed.entries:
        if (
            entry.provider == target.provider
            and target.model in entry.models
            and entry.service_tier == tier
            and entry.holds_on(at.astimezone(UTC).date())
        ):
            listed = find_listed(target.provider, target.model)
            facts = PriceDetails(
                book=PRICES_FILE,
                version=version_of(agreed),
                file=agreed.path,
                line=line,
                provider=target.provider,
                model=target.model,
                applied_at=at.isoformat(timespec="seconds"),
                ledger_provider=listed.owner if listed else None,
                ledger_model=listed.model.id if listed else None,
            )
            rows = _rows(entry, target.model, f"{agreed.path}:{line}")
            prices = priced(rows, tier, at, facts)
            if entry.discount is not None and listed is not None:
                check_countable(target, listed, prices, at)
            if any(row.kind == "input" for row in prices.rows):
                return prices
    return None


def book_of(agreed: AgreedPrices) -> Book:
    """Return the whole file as rows of a book."""
    rows = [
        row
        for line, entry in agreed.entries
        for model in entry.models
        for row in _rows(entry, model, f"{agreed.path}:{line}")
    ]
    return Book(PRICES_FILE, version_of(agreed), tuple(rows))


def _rows(entry: PriceEntry, model: str, where: str) -> list[BookRow]:
    return (
        _stated_rows(entry, model)
        if entry.discount is None
        else _discounted_rows(entry, model, entry.discount, where)
    )


def _stated_rows(entry: PriceEntry, model: str) -> list[BookRow]:
    steps: list[tuple[int, PriceEntry | LongPromptPrices]] = [(0, entry)]
    steps += [(step.above_prompt_tokens, step) for step in entry.long_prompts]
    return [
        BookRow(
            entry.provider, model, kind, usd, entry.basis, entry.source, entry.service_tier,
            entry.effective_from, entry.effective_until, above_prompt_tokens=above,
        )
        for above, step in steps
        for kind, name in PRICE_FIELDS.items()
        if (usd := getattr(step, name)) is not None
    ]  # fmt: skip


def _discounted_rows(entry: PriceEntry, model: str, share: float, where: str) -> list[BookRow]:
    listed = find_listed(entry.provider, model)
    tier = None if entry.discount_off in STANDARD_TIERS else entry.discount_off
    rows = model_rows(listed.owner, listed.model) if listed else []
    of_tier = [row for row in rows if row.service_tier == tier]
    if not of_tier:
        raise BadInput(
            f"{LEDGER} {ledger_version()} has no {entry.discount_off} list price of {model!r} of "
            f"{entry.provider!r} to take a discount off",
            where=where,
            fix="state the prices themselves, or another discount_off",
        )
    made = []
    for row in of_tier:
        begin = max(filter(None, (row.effective_from, entry.effective_from)), default=None)
        end = min(filter(None, (row.effective_until, entry.effective_until)), default=None)
        if begin is not None and end is not None and end <= begin:
            continue
        off = share if row.kind in entry.discount_on else 0.0
        discounted = PriceDetails(
            list_usd=row.usd_per_million,
            list_source=row.source,
            list_tier=entry.discount_off,
            discount=off,
        )
        made.append(
            replace(
                row,
                provider=entry.provider,
                model=model,
                # Twelve digits: 2 * (1 - 0.88) is 0.24, not 0.2400000000000000x.
                usd_per_million=float(f"{row.usd_per_million * (1 - off):.12g}"),
                basis=entry.basis,
                source=entry.source,
                service_tier=entry.service_tier,
                effective_from=begin,
                effective_until=end,
                details=row.details.joined(discounted),
            )
        )
    return made
