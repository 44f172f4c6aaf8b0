"""A sensor behind a deadline: one that hangs or raises becomes `up` = 0 and delays no other.

Each sensor has a thread, because a hanging driver call cannot be interrupted; while it hangs it is not
read again.
"""

import queue
import threading
import time
from dataclasses import dataclass

import msgspec

from observatory.core.sample import Sample
from observatory.telemetry.sensors.sensor import Sensor, down


@dataclass(frozen=True, slots=True)
class _Answer:
    """lag_s: from the question to the start of the reading; read_s: the reading."""

    samples: list[Sample]
    lag_s: float
    read_s: float
    deadline_s: float


class Deadlined:
    """Reads a sensor and waits at most a given time for its samples."""

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._questions: queue.SimpleQueue[tuple[int, float, float]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._pending_since: float | None = None
        threading.Thread(target=self._work, name=f"sensor-{self.name}", daemon=True).start()

    @property
    def name(self) -> str:
        """Return the sensor's name."""
        return self._sensor.name

    def read(self, now: int, deadline_s: float) -> list[Sample]:
        """Return the sensor's samples and, where there are any, their cost (sensor `sampler`, read_s).

        Samples that come after the deadline are returned by the next call with their own instant, where
        only the start of the reading was late (a busy machine). After a slow reading they are dropped:
        their instant is not known.
        """
        late: list[Sample] = []
        if self._pending_since is not None:
            try:
                late = _with_own_instant(self._answers.get_nowait())
            except queue.Empty:
                silent_s = time.monotonic() - self._pending_since
                return [down(self.name, now, f"hangs since {silent_s:.1f} s")]
        self._pending_since = time.monotonic()
        self._questions.put((now, self._pending_since, deadline_s))
        try:
            answer = self._answers.get(timeout=deadline_s)
        except queue.Empty:
            return [*late, down(self.name, now, f"no answer within {deadline_s:.3g} s")]
        self._pending_since = None
        if not answer.samples:
            return late
        cost = Sample(now, "sampler", "client", self.name, "read_s", answer.read_s)
        return [*late, *answer.samples, cost]

    def _work(self) -> None:
        while True:
            now, requested_s, deadline_s = self._questions.get()
            begun = time.monotonic()
            try:
                samples = self._sensor.read(now)
            except Exception as error:  # any fault of a sensor is data, never a crash
                samples = [down(self.name, now, repr(error))]
            ended = time.monotonic()
            self._answers.put(_Answer(samples, begun - requested_s, ended - begun, deadline_s))


def _with_own_instant(answer: _Answer) -> list[Sample]:
    """Return late samples at the instant at which their reading began; none where the reading was slow."""
    if answer.read_s > answer.deadline_s:
        return []
    lag_ns = round(answer.lag_s * 1e9)
    return [msgspec.structs.replace(sample, at=sample.at + lag_ns) for sample in answer.samples]
