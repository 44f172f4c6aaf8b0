"""A sensor behind a deadline: one that hangs or raises becomes `up` = 0 and holds up nobody.

The sensor runs in a thread of its own, because a hanging driver call cannot be interrupted; while
it hangs it is not asked again.
"""

import queue
import threading
import time
from dataclasses import dataclass

from observatory.core.sample import Sample
from observatory.telemetry.sensor import Sensor, down


@dataclass(frozen=True, slots=True)
class _Answer:
    samples: list[Sample]
    read_s: float


class Deadlined:
    """Asks a sensor and waits at most a given time for its answer."""

    def __init__(self, sensor: Sensor) -> None:
        self._sensor = sensor
        self._questions: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[_Answer] = queue.SimpleQueue()
        self._asked: float | None = None
        threading.Thread(target=self._work, name=f"sensor-{self.name}", daemon=True).start()

    @property
    def name(self) -> str:
        """The sensor's name."""
        return self._sensor.name

    def read(self, now: int, deadline_s: float) -> list[Sample]:
        """The sensor's samples and, where there are any, their cost (sensor `sampler`, read_s).

        An answer that comes after its deadline is dropped: it is of no known instant.
        """
        if self._asked is not None:
            try:
                self._answers.get_nowait()
            except queue.Empty:
                silent_s = time.monotonic() - self._asked
                return [down(self.name, now, f"hangs since {silent_s:.1f} s")]
        self._asked = time.monotonic()
        self._questions.put(now)
        try:
            answer = self._answers.get(timeout=deadline_s)
        except queue.Empty:
            return [down(self.name, now, f"no answer within {deadline_s:.3g} s")]
        self._asked = None
        if not answer.samples:
            return []
        cost = Sample(now, "sampler", "client", self.name, "read_s", answer.read_s)
        return [*answer.samples, cost]

    def _work(self) -> None:
        while True:
            now = self._questions.get()
            begun = time.perf_counter()
            try:
                samples = self._sensor.read(now)
            except Exception as error:  # whatever a sensor does wrong is data, never a crash
                samples = [down(self.name, now, repr(error))]
            self._answers.put(_Answer(samples, time.perf_counter() - begun))
