"""Sensors that are read together: each behind its deadline, samples checked for plausibility, cost counted.

Where the samples go and when to read is decided by the sampler and by the probe.
"""

import time
from collections.abc import Callable, Iterable, Iterator

from observatory.core.sample import Sample
from observatory.telemetry.deadline import Deadlined
from observatory.telemetry.plausible import Plausibility
from observatory.telemetry.sensors.sensor import Finishes, MeasuresBeforeLoad, ReadAfterLoad, Sensor


class SensorSet:
    """now: nanoseconds from the anchor that the samples' instants count from."""

    def __init__(self, sensors: Iterable[Sensor], now: Callable[[], int]) -> None:
        self._opened = list(sensors)
        self._sensors = [Deadlined(sensor) for sensor in self._opened]
        self._now = now
        self._plausibility = Plausibility()
        self._cost: tuple[float, float] | None = None

    def read(self, deadline_s: float) -> Iterator[list[Sample]]:
        """Read every sensor once, within the deadline each; the last samples are this process's cost."""
        for sensor in self._sensors:
            yield self._plausibility.check(sensor.read(self._now(), deadline_s))
        yield [self._own_share()]

    def before_load(self, stop: Callable[[], bool]) -> list[Sample]:
        """Return what sensors measure once before the load; each ends early where `stop` returns True."""
        return [
            sample
            for sensor in self._opened
            if isinstance(sensor, MeasuresBeforeLoad)
            for sample in sensor.before_load(self._now, stop)
        ]

    def settle_s(self) -> float:
        """Return the seconds to wait after the load until every counter is whole."""
        late = (one.settles_s for one in self._opened if isinstance(one, ReadAfterLoad))
        return max(late, default=0.0)

    def read_after_load(self, deadline_s: float) -> Iterator[list[Sample]]:
        """Read those sensors once more whose counters are whole only after the load."""
        for opened, sensor in zip(self._opened, self._sensors, strict=True):
            if isinstance(opened, ReadAfterLoad):
                yield self._plausibility.check(sensor.read(self._now(), deadline_s))

    def finish(self) -> list[Sample]:
        """Stop the sensors that have to be stopped; return their last readings."""
        return [
            sample
            for sensor in self._opened
            if isinstance(sensor, Finishes)
            for sample in sensor.finish(self._now())
        ]

    def silent_s(self) -> float:
        """Return seconds since the last whole reading; infinite before the first."""
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
