"""A found limit in words: how it is kept, whether stated waits were true, why it was not found.

For every place that shows it; knows nothing of tables, terminals and pages.
"""

from observatory.analysis.rate_limits.limit_finding import FoundLimit
from observatory.analysis.rate_limits.limit_reading import LimitsSeen
from observatory.core.units import human_seconds

MISSING = "–"
UNFOUND = {
    "hardly_refused": "not found: hardly anything was refused",
    "too_short": "not found: refused, but too briefly seen",
    "nothing_let_in": "not found: nothing was let in again",
}
"""Why there is no figure though something was refused."""


def kind(ceiling: FoundLimit) -> str:
    """Return how the limit is kept."""
    if ceiling.mechanism == "refill":
        return "bucket that refills all the time"
    if ceiling.mechanism == "window" and ceiling.window_s is not None:
        sure = {"measured": "", "told": ", by its Retry-After", "assumed": ", assumed"}
        return f"window of {ceiling.window_s:.3g} s{sure[ceiling.window_from or 'measured']}"
    return MISSING


def waits(seen: LimitsSeen) -> str:
    """Return in words whether the stated waits were true."""
    advice = seen.retry_advice
    if advice.enough is None or advice.stated_s is None:
        return "not stated" if seen.refused else MISSING
    real = f", let in after {human_seconds(advice.real_s)}" if advice.real_s is not None else ""
    return (
        f"stated {human_seconds(advice.stated_s)}{real} (medians); "
        f"enough in {100 * advice.enough:.0f} % of {advice.refusals:,}"
    )
