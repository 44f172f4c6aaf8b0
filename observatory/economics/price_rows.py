"""Prices as they are applied to a run: rows of a kind each, and the most that a token can cost.

Light, because load workers charge answers by it: nothing heavier than msgspec is imported here.
"""

from typing import Any, Literal, Self

import msgspec

from observatory.economics.price_details import PriceDetails

PriceKind = Literal[
    "input",
    "output",
    "cached_input",
    "cache_write",
    "machine_hour",
    "electricity_kwh",
    "operations_hour",
]
PriceBasis = Literal["list_price", "stated", "example", "emulated"]
MILLION = 1_000_000


class PriceRow(msgspec.Struct, frozen=True):
    """One price as applied: usd per million tokens, an hour of the whole target (machine_hour,
    operations_hour), or a kilowatt-hour (electricity_kwh).

    usd is the base price; details.tiers has the higher prices of long prompts.
    """

    kind: PriceKind
    usd: float
    basis: PriceBasis
    source: str
    effective_from: str | None = None
    details: PriceDetails = PriceDetails()

    def usd_at(self, prompt_tokens: int) -> float:
        """Return the price that a request with a prompt of this many tokens pays for this kind."""
        price = self.usd
        for tier in self.details.tiers or ():
            if prompt_tokens > tier.above_prompt_tokens:
                price = tier.usd
        return price

    @property
    def worst_usd(self) -> float:
        """The highest price of this kind that could apply."""
        worst = self.details.worst_usd
        return self.usd if worst is None else worst


class AppliedPrices(msgspec.Struct, frozen=True):
    """The prices of one run; no rows and basis None where no price is known.

    The *_per_token figures are worst cases (the most expensive tier, and for input the most expensive of fresh,
    cached and cache-writing tokens): they are for caps. `cost.request_cost_usd` applies the rows.
    """

    rows: list[PriceRow] = []
    basis: PriceBasis | None = None

    def row(self, kind: PriceKind) -> PriceRow | None:
        """Return the row of a kind, None where there is none."""
        return next((row for row in self.rows if row.kind == kind), None)

    @property
    def input_usd_per_token(self) -> float | None:
        """The most that one prompt token can cost."""
        if self.row("input") is None:
            return None
        kinds = ("input", "cached_input", "cache_write")
        return max(row.worst_usd for row in self.rows if row.kind in kinds) / MILLION

    @property
    def output_usd_per_token(self) -> float | None:
        """The most that one output token can cost."""
        row = self.row("output")
        return None if row is None else row.worst_usd / MILLION

    @property
    def usd_per_hour(self) -> float | None:
        """The machine's rate."""
        row = self.row("machine_hour")
        return None if row is None else row.usd

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a manifest keeps them in TargetFacts.price."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @classmethod
    def from_dict(cls, plain: dict[str, Any] | None) -> Self:
        """Return what to_dict gave; no prices for None."""
        return msgspec.convert(plain or {}, cls)
