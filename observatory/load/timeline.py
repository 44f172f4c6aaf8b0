"""A worker's way through its stage: its start, the end of its window, and the limit of its drain."""

import time
from collections.abc import Callable

from observatory.core.clock import Anchor
from observatory.core.plan import StagePlan
from observatory.core.record import Phase
from observatory.load.clock_watch import ClockWatch
from observatory.load.pacing import AlarmClock


class Timeline:
    """Owns the stage's clock and alarms; failed is called with an error that an alarm raises.

    begun: the start is known. window_over: nothing more becomes due (in priming from the start).
    """

    def __init__(
        self, stage: StagePlan, anchor: Anchor, failed: Callable[[Exception], None]
    ) -> None:
        self.clock = ClockWatch(anchor)
        self.alarms = AlarmClock(failed)
        self._stage = stage
        self._priming = stage.priming
        self._warmup_ns = round(stage.warmup_s * 1e9)
        self._window_ns = round((stage.warmup_s + stage.steady_s) * 1e9)
        self._start_ns = 0
        self.begun = False
        self.window_over = self._priming

    def begin(self, started: int) -> None:
        """Take the start (nanoseconds from the anchor), which is the same for all workers."""
        self.begun = True
        self._start_ns = self.clock.monotonic(started)

    def arm(
        self,
        start: Callable[[int], None],
        window_ends: Callable[[], None],
        drain_ends: Callable[[], None],
    ) -> None:
        """Have each called at its time; a priming stage ends with its last item."""
        stage, start_ns = self._stage, self._start_ns
        self.alarms.call_at(start_ns, lambda: start(start_ns))
        if not self._priming:
            end = start_ns + self._window_ns
            self.alarms.call_at(end, window_ends)
            self.alarms.call_at(end + round(stage.drain_s * 1e9), drain_ends)

    def drain_from_now(self, drain_ends: Callable[[], None]) -> None:
        """Have `drain_ends` called when a drain that begins now is over."""
        limit = time.monotonic_ns() + round(self._stage.drain_s * 1e9)
        self.alarms.call_at(limit, drain_ends)

    def phase(self, due_monotonic: int) -> Phase:
        """Return the phase in which a request is due (monotonic nanoseconds)."""
        if self._priming:
            return "prime"
        since_ns = due_monotonic - self._start_ns
        if since_ns < self._warmup_ns:
            return "warmup"
        return "steady" if since_ns < self._window_ns else "drain"

    def close(self) -> None:
        """Stop the alarms."""
        self.alarms.close()
