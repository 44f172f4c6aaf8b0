"""Rows that `observatory prices` shows, a field a column; US dollars per million tokens.

Columns that are named by words of Python are the fields from_ and in_.
"""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class ListedProvider:
    """A provider of the ledger. with_a_date: how many of its models have a dated price."""

    provider: str
    targets_name_it: str | None
    models: int
    with_a_date: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPrices:
    """The standard prices of a model. dearer_above: tokens of prompt above which a higher price holds."""

    model: str
    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    blended: float | None
    dearer_above: int | None
    tiers: str | None
    holds_from: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceOfKind:
    """A price of one kind of token, as a book has it."""

    book: str
    provider: str
    model: str
    tier: str
    kind: str
    usd_per_million: float
    prompts_above: int | None
    from_: date | None
    until: date | None
    hours: str | None
    basis: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PricesOfSpan:
    """The prices of every kind for one tier, span of time and size of prompt."""

    book: str
    tier: str
    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    prompts_above: int | None
    from_: date | None
    until: date | None
    hours: str | None
    basis: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedTarget:
    """A target billed by tokens and the price that it would get now; in_: where it is defined."""

    target: str
    in_: str
    provider: str | None
    model: str | None
    tier: str | None
    input: float | None = None
    output: float | None = None
    cached_input: float | None = None
    cache_write: float | None = None
    blended: float | None
    basis: str | None
    source: str | None
    holds_from: str | None
    days_old: int | None
    note: str | None
    problem: str | None
