"""What a quote is made from: what earlier runs measured, the assumed speed, what holds the load back.

They hold data and know no plan; quote.py does the arithmetic.
"""

import msgspec

from observatory.core.money.quotes import QuoteSpread
from observatory.core.plan import StagePlan


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
