"""The book of prices: rows of what a kind of token costs, where, from when and at which tier.

Pure: where rows come from is their makers' part (ledger_book.py, agreed_prices.py); here is which of them
hold at a moment, and what a run writes down of them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import msgspec

from observatory.core.errors import BadInput
from observatory.core.money.service_tiers import STANDARD_TIERS
from observatory.core.targets.listed_model import ListedModel
from observatory.economics.price_details import NO_DETAILS, PriceDetails, PriceTier
from observatory.economics.price_rows import AppliedPrices, PriceBasis, PriceKind, PriceRow

KINDS: tuple[PriceKind, ...] = ("input", "output", "cached_input", "cache_write")
DAYS = ("mon-fri", "sat-sun")
"""The days of the week that a price may be bound to."""


def days_of(day: date) -> str:
    """Return which of DAYS a date is of."""
    return DAYS[day.weekday() >= 5]


@dataclass(frozen=True, slots=True)
class BookRow:
    """One price: US dollars per million tokens of a kind.

    service_tier None is the standard one. Holds from effective_from until the day before
    effective_until (None: open), between utc_from and utc_until of every day (None: from or to
    midnight UTC), for prompts longer than above_prompt_tokens (and then for the whole request).
    details.days: it holds on some days of the week alone (DAYS, by the date in UTC).
    """

    provider: str
    model: str
    kind: PriceKind
    usd_per_million: float
    basis: PriceBasis
    source: str
    service_tier: str | None = None
    effective_from: date | None = None
    effective_until: date | None = None
    utc_from: time | None = None
    utc_until: time | None = None
    above_prompt_tokens: int = 0
    details: PriceDetails = NO_DETAILS

    def holds_on(self, day: date) -> bool:
        """Return whether the price holds at some hour of a day (UTC)."""
        begun = self.effective_from is None or self.effective_from <= day
        return begun and (self.effective_until is None or day < self.effective_until)

    def holds_at(self, at: datetime) -> bool:
        """Return whether the price holds at a moment (aware)."""
        moment = at.astimezone(UTC)
        hour = moment.time()
        begun = self.utc_from is None or self.utc_from <= hour
        return (
            self.holds_on(moment.date())
            and self.details.days in (None, days_of(moment.date()))
            and begun
            and (self.utc_until is None or hour < self.utc_until)
        )


@dataclass(frozen=True, slots=True)
class Book:
    """A book as one version of it had it."""

    name: str
    version: str
    rows: tuple[BookRow, ...]


def tier_of(target: ListedModel) -> str | None:
    """Return the tier that a target's requests name, None for the standard one.

    Of service_tier, or of service_tier or speed in extra_body; BadInput where they disagree.
    """
    requested = [
        target.service_tier,
        target.extra_body.get("service_tier"),
        target.extra_body.get("speed"),
    ]
    named = {tier for tier in requested if isinstance(tier, str) and tier not in STANDARD_TIERS}
    if len(named) > 1 or (named and target.service_tier in STANDARD_TIERS):
        raise BadInput(
            "service_tier and extra_body name different tiers: which price holds is not known",
            where=f"target {target.name}",
            fix="keep service_tier, and take service_tier and speed out of extra_body",
        )
    return named.pop() if named else None


def priced(
    rows: Iterable[BookRow], tier: str | None, at: datetime, facts: PriceDetails
) -> AppliedPrices:
    """Return the prices that hold at a moment and tier, as a run writes them down; empty where none do.

    facts goes into the details of each.
    """
    day = at.astimezone(UTC).date()
    of_tier = [row for row in rows if row.service_tier == tier and row.holds_on(day)]
    now = [row for row in of_tier if row.holds_at(at)]
    applied = []
    for kind in KINDS:
        steps = sorted(
            (row for row in now if row.kind == kind), key=lambda row: row.above_prompt_tokens
        )
        if not steps:
            continue
        worst = max(row.usd_per_million for row in of_tier if row.kind == kind)
        applied.append(_applied(steps, msgspec.structs.replace(facts, worst_usd=worst)))
    return AppliedPrices(applied, applied[0].basis if applied else None)


def _applied(steps: Sequence[BookRow], facts: PriceDetails) -> PriceRow:
    base, *higher = steps
    until = base.effective_until
    details = base.details.joined(facts).joined(
        PriceDetails(
            service_tier=base.service_tier,
            effective_until=until.isoformat() if until is not None else None,
            tiers=[PriceTier(row.above_prompt_tokens, row.usd_per_million) for row in higher]
            or None,
        )
    )
    start = base.effective_from.isoformat() if base.effective_from else None
    return PriceRow(base.kind, base.usd_per_million, base.basis, base.source, start, details)
