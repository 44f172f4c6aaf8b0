"""Where a run's instants come from: one anchor, two clocks, never mixed.

An instant is an integer count of nanoseconds since the anchor's CLOCK_REALTIME reading, which is
the clock of the kernel's receive stamps; the monotonic reading taken with it exposes a stepped clock.
"""

import time

import msgspec

STEP_NS = 100_000
"""A change of the realtime-monotonic offset above this marks requests across it (METRICS.md)."""


class Anchor(msgspec.Struct, frozen=True):
    """The zero of a run's instants: both clocks read together, in nanoseconds."""

    realtime_ns: int
    monotonic_ns: int

    def at(self, realtime_ns: int) -> int:
        """Return the instant of a CLOCK_REALTIME reading."""
        return realtime_ns - self.realtime_ns

    def now(self) -> int:
        """Return the instant now, by CLOCK_REALTIME."""
        return time.time_ns() - self.realtime_ns

    def offset_change_ns(self, realtime_ns: int, monotonic_ns: int) -> int:
        """Return how far realtime has moved against monotonic since the anchor, in nanoseconds."""
        return (realtime_ns - self.realtime_ns) - (monotonic_ns - self.monotonic_ns)


def read_both() -> tuple[int, int]:
    """Return both clocks in nanoseconds, realtime centred between two monotonic readings.

    The reading with the smallest bracket of five is taken, so that a preemption between the calls
    does not look like a step.
    """
    best = None
    for _ in range(5):
        before = time.monotonic_ns()
        realtime = time.time_ns()
        after = time.monotonic_ns()
        if best is None or after - before < best[0]:
            best = (after - before, realtime, (before + after) // 2)
    assert best is not None
    return best[1], best[2]


def new_anchor() -> Anchor:
    """Return an anchor at this moment."""
    realtime, monotonic = read_both()
    return Anchor(realtime_ns=realtime, monotonic_ns=monotonic)
