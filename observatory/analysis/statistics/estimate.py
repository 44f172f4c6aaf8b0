"""An estimate: a figure with what it rests on, or the reason why there is none.

Every statistic of `analysis` answers with one; nothing here knows which metric it is of.
"""

from dataclasses import dataclass

CONFIDENCE = 0.95
"""Two-sided level of every interval, one-sided level of every bound."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """value with its 95 % interval, all in the metric's unit, computed from n requests.

    Where value is None, reason is why and bound is what the data still support: with 95 %
    confidence the figure is at least that. high is infinite where failures reach it. effective_n is
    the number of independent requests with as much evidence as the n; floors (needs_n) count it.
    """

    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    n: int | None = None
    needs_n: int | None = None
    reason: str | None = None
    effective_n: int | None = None


def absent(reason: str, n: int | None = None) -> Estimate:
    """Return no figure, and why."""
    return Estimate(n=n, reason=reason)
