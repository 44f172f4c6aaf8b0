"""A person's own prices, in a file with the shape of the ledger: negotiated ones, discounts, tiers.

An entry either states prices or takes a share off the public list's; it is looked up by provider,
model, tier and date before the public ledger is.
"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from observatory.core.money.service_tiers import STANDARD_TIERS
from observatory.core.strict import Strict

PRICES_FILE = "prices.yaml"
Usd = Annotated[float | None, Field(ge=0)]
TokenKind = Literal["input", "output", "cached_input", "cache_write"]
PRICE_FIELDS: dict[TokenKind, str] = {
    "input": "input_per_million_usd",
    "output": "output_per_million_usd",
    "cached_input": "cached_input_per_million_usd",
    "cache_write": "cache_write_per_million_usd",
}
"""The field of an entry that has the price of a kind of token."""


class LongPromptPrices(Strict):
    """What a request costs whose prompt is longer than a bound: all its tokens, not only those beyond."""

    above_prompt_tokens: int = Field(gt=0, description="prompts longer than this, cached included")
    input_per_million_usd: Usd = None
    output_per_million_usd: Usd = None
    cached_input_per_million_usd: Usd = None
    cache_write_per_million_usd: Usd = None


class PriceEntry(Strict):
    """Prices of one or more models of a provider, at one tier, over one span of dates."""

    provider: str = Field(description="as targets name it, e.g. openai")
    model: str | list[str] = Field(description="exactly as targets name it, one or more")
    service_tier: str | None = Field(
        default=None, description="batch, flex, priority ...; default: the standard tier"
    )
    input_per_million_usd: Usd = None
    output_per_million_usd: Usd = None
    cached_input_per_million_usd: Usd = Field(default=None, description="default: as any input")
    cache_write_per_million_usd: Usd = Field(default=None, description="default: as any input")
    long_prompts: list[LongPromptPrices] = Field(
        default=[], description="higher prices of longer prompts"
    )
    discount: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="instead of prices: share off the public list price, e.g. 0.5 for half",
    )
    discount_off: str = Field(
        default="standard", description="tier whose list price the discount is taken off"
    )
    discount_on: list[TokenKind] = Field(
        default=["input", "output", "cached_input", "cache_write"],
        description="kinds that it is taken off; the others are charged at the list price",
    )
    effective_from: date | None = Field(default=None, description="first day; default: always")
    effective_until: date | None = Field(
        default=None, description="day from which it no longer holds; default: open"
    )
    source: str = Field(min_length=1, description="contract, invoice or page with the price")
    basis: Literal["stated", "example"] = Field(
        default="stated", description="stated: you vouch for it; example: round stand-in"
    )

    @field_validator("service_tier")
    @classmethod
    def _no_name_of_the_standard(cls, tier: str | None) -> str | None:
        return None if tier in STANDARD_TIERS else tier

    @property
    def models(self) -> list[str]:
        """Return the models by name."""
        return [self.model] if isinstance(self.model, str) else self.model

    def holds_on(self, day: date) -> bool:
        """Return whether the entry holds on a day (UTC)."""
        begun = self.effective_from is None or self.effective_from <= day
        return begun and (self.effective_until is None or day < self.effective_until)

    @model_validator(mode="after")
    def _price_or_discount(self) -> Self:
        stated = [name for name in PRICE_FIELDS.values() if getattr(self, name) is not None]
        if self.discount is not None and (stated or self.long_prompts):
            raise ValueError("an entry has prices or a discount off the list price, not both")
        both = ("input_per_million_usd", "output_per_million_usd")
        if self.discount is None and not all(name in stated for name in both):
            raise ValueError(f"an entry without discount needs {' and '.join(both)}")
        if self.discount is None and {"discount_off", "discount_on"} & self.model_fields_set:
            raise ValueError("discount_off and discount_on belong to a discount: there is none")
        if not self.models:
            raise ValueError("model: name one at least")
        begin, end = self.effective_from, self.effective_until
        if begin is not None and end is not None and end <= begin:
            raise ValueError("effective_until must come after effective_from")
        return self


class PriceFile(Strict):
    """Prices that hold before the public ledger's."""

    prices: list[PriceEntry] = Field(description="each for a provider's model, tier and dates")


@dataclass(frozen=True, slots=True)
class AgreedPrices:
    """A price file as read: its path for people, its bytes' SHA-256, each entry with its line."""

    path: str
    sha256: str
    entries: tuple[tuple[int, PriceEntry], ...]
