"""What a run spent of its caps, as its manifest has it."""

from typing import Self

import msgspec


class CapsSpent(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was counted against the caps; None: not counted.

    requests are attempts. assumed_usd is the part of usd that no usage stated, at its worst case. overrun
    is how many times its worst case the most expensive answer was billed, at least 1.
    """

    requests: int | None = None
    output_tokens: int | None = None
    usd: float | None = None
    assumed_usd: float | None = None
    overrun: float | None = None

    def plus(self, more: Self) -> Self:
        """Return both together, with the own overrun; what neither counted stays None."""

        def total(first: float | None, second: float | None) -> float | None:
            return first if second is None else (first or 0) + second

        return msgspec.structs.replace(
            self,
            requests=total(self.requests, more.requests),
            output_tokens=total(self.output_tokens, more.output_tokens),
            usd=total(self.usd, more.usd),
            assumed_usd=total(self.assumed_usd, more.assumed_usd),
        )


NOTHING_SPENT = CapsSpent(overrun=1.0)
"""Of a run whose stages before counted nothing."""
