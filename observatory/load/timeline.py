"""A worker's way through its stage: its start, the end of its window, and the limit of its drain."""

import time
from collections.abc import Callable

from observatory.core.plan import StagePlan
from observatory.core.record import Phase
from observatory.load.clock_watch import ClockWatch
from observatory.load.pacing import AlarmClock


class Timeline:
    """begun: the start is known. window_over: nothing more becomes due (in priming from the start)."""

    def __init__(self, stage: StagePlan, clock: ClockWatch, alarms: AlarmClock) -> None:
        self._stage = stage
        self._clock = clock
        self._alarms = alarms
        self._start_ns = 0
        self.begun = False
        self.window_over = stage.priming

    def begin(self, started: int) -> None:
        """Take the start (nanoseconds from the anchor), which is the same for all workers."""
        self.begun = True
        self._start_ns = self._clock.monotonic(started)

    def arm(
        self,
        start: Callable[[int], None],
        window_ends: Callable[[], None],
        drain_ends: Callable[[], None],
    ) -> None:
        """Have each called at its time; a priming stage ends with its last item."""
        stage, start_ns = self._stage, self._start_ns
        self._alarms.call_at(start_ns, lambda: start(start_ns))
        if not stage.priming:
            end = start_ns + round((stage.warmup_s + stage.steady_s) * 1e9)
            self._alarms.call_at(end, window_ends)
            self._alarms.call_at(end + round(stage.drain_s * 1e9), drain_ends)

    def drain_from_now(self, drain_ends: Callable[[], None]) -> None:
        """Have `drain_ends` called when a drain that begins now is over."""
        limit = time.monotonic_ns() + round(self._stage.drain_s * 1e9)
        self._alarms.call_at(limit, drain_ends)

    def phase(self, due_monotonic: int) -> Phase:
        """Return the phase in which a request is due (monotonic nanoseconds)."""
        stage = self._stage
        if stage.priming:
            return "prime"
        since_s = (due_monotonic - self._start_ns) / 1e9
        if since_s < stage.warmup_s:
            return "warmup"
        return "steady" if since_s < stage.warmup_s + stage.steady_s else "drain"
