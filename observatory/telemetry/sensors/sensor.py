"""What a sensor is: one method that says what it reads now.

A sensor that cannot say answers `up` = 0 with a reason; one reading of many that fails is a null
with a reason. Neither raises, and neither becomes a zero.
"""

from typing import Protocol

from observatory.core.sample import Sample, Subject


class Sensor(Protocol):
    """name is the sensor of its samples."""

    @property
    def name(self) -> str:
        """The `sensor` field of every sample it gives."""

    def read(self, now: int) -> list[Sample]:
        """What it says now; `now` is nanoseconds from the campaign's anchor."""


def up(sensor: str, now: int, *, subject: Subject = "shared_host", device: str = "") -> Sample:
    """`up` = 1."""
    return Sample(now, sensor, subject, device, "up", 1.0)


def down(
    sensor: str, now: int, reason: str, *, subject: Subject = "shared_host", device: str = ""
) -> Sample:
    """`up` = 0 and why."""
    return Sample(now, sensor, subject, device, "up", 0.0, reason)
