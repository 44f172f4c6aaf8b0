"""The last samples of a probe, numbered: bounded, so that a reader that stays away fills no memory."""

import threading
from collections import deque
from itertools import islice

from observatory.core.sample import Sample
from observatory.telemetry.remote.wire import MOST_SAMPLES

MOST_KEPT = 100_000
"""Some 20 MB: half an hour of eight GPUs at a reading a second."""


class SampleBuffer:
    """One writer, many readers."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._kept: deque[Sample] = deque(maxlen=most)
        self._next = 0
        self._lock = threading.Lock()

    @property
    def next(self) -> int:
        """Return the number of the sample that comes next."""
        return self._next

    def add(self, samples: list[Sample]) -> None:
        """Append; the oldest go where there are too many."""
        with self._lock:
            self._kept.extend(samples)
            self._next += len(samples)

    def since(self, number: int, most: int = MOST_SAMPLES) -> tuple[int, int, list[Sample]]:
        """Return (first, next, samples): those numbered first up to before next.

        first is `number`, or later where older ones are gone; at most `most` of them.
        """
        with self._lock:
            oldest = self._next - len(self._kept)
            first = min(max(number, oldest), self._next)
            if self._next - first <= most:  # a reader that keeps up: from the near end
                found = list(islice(reversed(self._kept), self._next - first))[::-1]
            else:
                found = list(islice(self._kept, first - oldest, first - oldest + most))
        return first, first + len(found), found
