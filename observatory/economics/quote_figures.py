"""The nouns of a quote: figures from low to high, what earlier runs saw, what holds the load back.

They hold data and know no plan; quote.py does the arithmetic.
"""

from typing import Any, Self

import msgspec

from observatory.core.plan import StagePlan


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


class ObservedFigures(msgspec.Struct, frozen=True):
    """What an earlier run measured of one request (p5, mean, p95), at one level or over all of them."""

    run_id: str
    n: int
    duration_s: QuoteSpread
    prompt_tokens: QuoteSpread | None = None
    output_tokens: QuoteSpread | None = None


class EarlierFigures(msgspec.Struct, frozen=True):
    """The latest run of the same target and workload: over all levels, and by (kind, users, rate)."""

    overall: ObservedFigures
    levels: dict[tuple[str, int | None, float | None], ObservedFigures] = {}

    def at(self, stage: StagePlan) -> ObservedFigures:
        """Return the figures at that stage's level, else over all."""
        return self.levels.get((stage.kind, stage.concurrency, stage.rate_per_s), self.overall)


class Speed(msgspec.Struct, frozen=True):
    """How long a request takes where no run has measured it: to its first token, then each token, in seconds.

    low is the quickest. basis and text name the source.
    """

    first_token_s: QuoteSpread
    token_s: QuoteSpread
    basis: str
    text: str

    def duration_s(self, output: QuoteSpread) -> QuoteSpread:
        """Return the seconds of a request with that many tokens of output."""
        return QuoteSpread(
            self.first_token_s.low + output.low * self.token_s.low,
            self.first_token_s.expected + output.expected * self.token_s.expected,
            self.first_token_s.high + output.high * self.token_s.high,
        )


ASSUMED_SPEED = Speed(
    QuoteSpread(0.2, 0.5, 2.0),
    QuoteSpread(0.0, 1 / 50, 1 / 10),
    "assumed",
    "a request takes 0.2 s, as a quick service with short answers (high), 0.5 s and 50 tokens a second "
    "(expected), 2 s and 10 tokens a second (low)",
)


class QuoteLimits(msgspec.Struct, frozen=True):
    """What limits the load in addition to the budget; None: nothing does."""

    rate_per_s: float | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


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
    budget: dict[str, Any]
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
        cap = self.budget.get("usd")
        high = None if self.usd is None or self.open_high is not None else self.usd.high
        return min((figure for figure in (cap, high) if figure is not None), default=None)
