"""Watches realtime against monotonic, so that no latency spans a stepped clock.

Instants are realtime, pacing is monotonic; this knows the offset between the two and when it moved.
"""

import time
from collections.abc import Callable

from observatory.core.clock import STEP_NS, Anchor, read_both


class ClockWatch:
    """The offset between the clocks, its steps, and conversions by it.

    read gives (realtime, monotonic) in nanoseconds with care, quick the same with a chance of being
    preempted in between; both are replaced in tests.
    """

    def __init__(
        self,
        anchor: Anchor,
        read: Callable[[], tuple[int, int]] = read_both,
        quick: Callable[[], tuple[int, int]] = lambda: (time.time_ns(), time.monotonic_ns()),
    ) -> None:
        self._anchor = anchor
        self._read = read
        self._quick = quick
        realtime, monotonic = read()
        self._offset = realtime - monotonic
        self._fine_at = monotonic
        self._steps: list[tuple[int, int]] = []

    def check(self) -> bool:
        """Look for a step since the last look; answers whether there was one."""
        realtime, monotonic = self._quick()
        if abs(realtime - monotonic - self._offset) <= STEP_NS:
            self._fine_at = monotonic
            return False
        realtime, monotonic = self._read()
        offset = realtime - monotonic
        stepped = abs(offset - self._offset) > STEP_NS
        if stepped:
            self._steps.append((self._fine_at, monotonic))
            self._offset = offset
        self._fine_at = monotonic
        return stepped

    def stepped_between(self, start: int, end: int) -> bool:
        """Return whether a step may lie between two monotonic readings."""
        return any(fine_at <= end and start <= seen for fine_at, seen in self._steps)

    @property
    def offset_change_ns(self) -> int:
        """How far realtime has moved against monotonic since the anchor."""
        return self._offset - (self._anchor.realtime_ns - self._anchor.monotonic_ns)

    def instant(self, monotonic: int) -> int:
        """Return the instant of a monotonic reading, by the offset as it is now."""
        return monotonic + self._offset - self._anchor.realtime_ns

    def monotonic(self, instant: int) -> int:
        """Return the monotonic reading at an instant, by the offset as it is now."""
        return instant + self._anchor.realtime_ns - self._offset
