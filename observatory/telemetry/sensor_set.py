"""Sensors that are asked together: each behind its deadline, what they say checked, their cost counted.

It knows neither where the samples go nor when to ask; the sampler and the probe do.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from observatory.core.sample import Sample
from observatory.telemetry.deadline import Deadlined
from observatory.telemetry.plausible import Plausibility
from observatory.telemetry.sensors.sensor import Sensor


class SensorSet:
    """now: nanoseconds from the anchor that the samples' instants count from."""

    def __init__(self, sensors: Iterable[Sensor], now: Callable[[], int]) -> None:
        self._sensors = [Deadlined(sensor) for sensor in sensors]
        self._now = now
        self._plausibility = Plausibility()
        self._cost: tuple[float, float] | None = None

    def read(self, deadline_s: float) -> Iterator[list[Sample]]:
        """Ask every sensor once, at most so long each; last comes what this process has cost."""
        for sensor in self._sensors:
            yield self._plausibility.check(sensor.read(self._now(), deadline_s))
        yield [self._own_share()]

    def read_only(self, name: str, deadline_s: float) -> Iterator[list[Sample]]:
        """Ask the sensors of one name, out of turn."""
        for sensor in self._sensors:
            if sensor.name == name:
                yield self._plausibility.check(sensor.read(self._now(), deadline_s))

    def silent_s(self) -> float:
        """Seconds since the last whole reading; infinite before the first."""
        return float("inf") if self._cost is None else time.monotonic() - self._cost[1]

    def _own_share(self) -> Sample:
        spent, at = time.process_time(), time.monotonic()
        before, self._cost = self._cost, (spent, at)
        value = reason = None
        if before is None or at <= before[1]:
            reason = "first reading: nothing to compare with"
        else:
            value = (spent - before[0]) / (at - before[1])
        return Sample(self._now(), "sampler", "client", "", "cpu_fraction", value, reason)
