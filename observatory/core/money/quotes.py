"""A quote: what a run is expected to take and cost, from low to high. economics.quote makes it."""

from typing import Any, Self

import msgspec

from observatory.core.stored_scenario import StoredBudget


class QuoteSpread(msgspec.Struct, frozen=True):
    """A figure as it is at the least, as it is expected and at the most."""

    low: float
    expected: float
    high: float

    def plus(self, other: Self) -> Self:
        """Return both together."""
        return type(self)(
            self.low + other.low, self.expected + other.expected, self.high + other.high
        )

    def times(self, factor: float) -> Self:
        """Return so many of them."""
        return type(self)(self.low * factor, self.expected * factor, self.high * factor)


NOTHING = QuoteSpread(0.0, 0.0, 0.0)


class Assumption(msgspec.Struct, frozen=True):
    """What a figure rests on: `measured` in a run, a `profile` that the target is given, or `assumed`."""

    of: str
    basis: str
    text: str


class StageQuote(msgspec.Struct, frozen=True):
    """One stage; usd is None where no price is known."""

    stage: int
    kind: str
    concurrency: int | None
    rate_per_s: float | None
    requests: QuoteSpread
    prompt_tokens: QuoteSpread
    output_tokens: QuoteSpread
    usd: QuoteSpread | None


class Quote(msgspec.Struct, frozen=True):
    """Of one run. price_basis is `emulated` where nothing is really paid; capped names the caps that
    cut the high figure; open_high is why nothing but a cap bounds it, None where limits do; most_open
    is how many requests the caps let be open at once."""

    target: str
    emulated: bool
    price_basis: str | None
    price_sources: list[str]
    price_dates: list[str]
    stages: list[StageQuote]
    requests: QuoteSpread
    prompt_tokens: QuoteSpread
    output_tokens: QuoteSpread
    usd: QuoteSpread | None
    budget: StoredBudget
    capped: list[str]
    assumptions: list[Assumption]
    open_high: str | None = None
    most_open: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as a manifest keeps them."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain

    @property
    def most_usd(self) -> float | None:
        """The most that the run can cost: high, or the cap where that is lower; None where nothing
        bounds it."""
        cap = self.budget.usd
        high = None if self.usd is None or self.open_high is not None else self.usd.high
        return min((figure for figure in (cap, high) if figure is not None), default=None)
