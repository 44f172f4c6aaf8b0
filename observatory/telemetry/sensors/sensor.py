"""The interface of a sensor: one method that returns what it reads now; two more where they apply.

A sensor that cannot read returns `up` = 0 with a reason; one reading of many that fails is a null
with a reason. Neither raises, and neither becomes a zero.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from observatory.core.sample import Sample, Subject


class Sensor(Protocol):
    """name is the sensor of its samples."""

    @property
    def name(self) -> str:
        """Return the `sensor` field of every sample that it returns."""

    def read(self, now: int) -> list[Sample]:
        """Return its readings; `now` is nanoseconds from the campaign's anchor."""


@runtime_checkable
class MeasuresBeforeLoad(Protocol):
    """A sensor with facts that are measured once, after the first reading and before the load."""

    def before_load(self, now: Callable[[], int], stop: Callable[[], bool]) -> list[Sample]:
        """Return those facts; what is not measured when `stop` returns True is a null with a reason."""


@runtime_checkable
class Finishes(Protocol):
    """A sensor that has to be stopped."""

    def finish(self, now: int) -> list[Sample]:
        """Stop it and return its last readings."""


@runtime_checkable
class ReadAfterLoad(Protocol):
    """A sensor whose counters are whole only some time after the last request."""

    settles_s: float
    """Seconds after the load at which it is read once more."""


def up(sensor: str, now: int, *, subject: Subject = "shared_host", device: str = "") -> Sample:
    """Return `up` = 1."""
    return Sample(now, sensor, subject, device, "up", 1.0)


def down(
    sensor: str, now: int, reason: str, *, subject: Subject = "shared_host", device: str = ""
) -> Sample:
    """Return `up` = 0 with its reason."""
    return Sample(now, sensor, subject, device, "up", 0.0, reason)
