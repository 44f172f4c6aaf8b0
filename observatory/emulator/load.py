"""What an emulated server's load does to an answer: slots, speed that falls with the running batch,
drift. It handles no bytes, and reads only the clock that it is given.
"""

from collections import deque
from collections.abc import Callable

from observatory.core.emulation.profile import Drift, Slowdown


class Slots:
    """First come, first served: at most `limit` at once (None: no limit), the others wait.

    generated_tokens counts what left them, ended the requests that had one and are over.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.running = 0
        self.generated_tokens = 0
        self.ended = 0
        self._waiting: deque[Callable[[], None]] = deque()

    @property
    def waiting(self) -> int:
        """Requests that wait for a slot."""
        return len(self._waiting)

    def take(self, start: Callable[[], None]) -> None:
        """Call start() now or when a slot falls free; each start is answered by one give_back."""
        if self._limit is not None and self.running >= self._limit:
            self._waiting.append(start)
            return
        self.running += 1
        start()

    def give_back(self) -> None:
        """Called when a started request is over."""
        self.ended += 1
        if self._waiting:
            self._waiting.popleft()()
        else:
            self.running -= 1

    def forget(self, start: Callable[[], None]) -> bool:
        """Take back a start that still waits; False where it does not wait."""
        try:
            self._waiting.remove(start)
        except ValueError:
            return False
        return True


class DelayFactor:
    """How many times longer a delay is at this moment than it was drawn.

    even: neither load nor time changes anything, so that a caller may leave out the question.
    """

    def __init__(
        self, slowdown: Slowdown, drift: Drift, slots: Slots, clock: Callable[[], float]
    ) -> None:
        self._slowdown = slowdown
        self._drift = drift
        self._slots = slots
        self._clock = clock
        self._first_s: float | None = None
        self.even = slowdown.per_request == 0 and drift.per_minute == 0

    def by_time(self) -> float:
        """Return the drift's factor, for first tokens; the first question starts its clock."""
        now = self._clock()
        if self._first_s is None:
            self._first_s = now
        minutes = (now - self._first_s) / 60
        return min(self._drift.most, 1.0 + self._drift.per_minute * minutes)

    def by_load(self) -> float:
        """Return the drift's factor times the running batch's, for gaps between tokens."""
        return self.by_time() * load_factor(self._slowdown, self._slots.running)


def load_factor(slowdown: Slowdown, running: int) -> float:
    """Return how many times longer a gap is with `running` requests in the batch."""
    return 1.0 + slowdown.per_request * max(0, running - slowdown.free)
