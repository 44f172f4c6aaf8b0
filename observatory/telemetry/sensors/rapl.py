"""The processors' own energy counters (RAPL), read from the kernel's powercap files: no package needed.

A counter runs from its first reading here and never jumps where the hardware's wraps round; a
machine without counters gives no samples, one that forbids reading them has one `up` = 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from observatory.core.sample import Sample
from observatory.telemetry.plausible import IMPLAUSIBLE
from observatory.telemetry.sensors.sensor import down, up

POWERCAP = Path("/sys/class/powercap")
"""Documentation/power/powercap/powercap.rst of Linux; AMD's counters are there under Intel's name."""
_J_PER_UJ = 1e-6
MOST_POWER_W = 1500.0
"""Of a package or a memory controller whose limits the kernel does not name: no processor on the market
has half of it."""
OVER_LIMIT = 3.0
"""Times the highest power limit in force: firmware holds it on average, peaks last milliseconds."""
SLACK_S = 1.0
"""Added to the time between two readings: a reading may be late by its deadline."""


@dataclass(slots=True)
class _Zone:
    """One counter. range_uj: the value at which it wraps, None where the kernel does not give it. total_uj: the
    energy counted since the first reading. most_w: a power that it cannot have had."""

    device: str
    counter: Path
    range_uj: int | None
    most_w: float = MOST_POWER_W
    last_uj: int | None = None
    last_at: int = 0
    total_uj: int = 0


def advance(last: int, now: int, range_: int) -> int:
    """Return what a counter of 0 to range_ grew by from last to now, having wrapped round at most once."""
    return now - last if now >= last else now - last + range_ + 1


def beyond_physics(grown_uj: int, seconds: float, most_w: float) -> str | None:
    """Return what is wrong with a growth in so many seconds: a counter that was reset looks as if it had wrapped."""
    power_w = grown_uj * _J_PER_UJ / (seconds + SLACK_S)
    if power_w <= most_w:
        return None
    return (
        f"the counter was reset or jumped: {grown_uj * _J_PER_UJ:.6g} J in {seconds:.3g} s is more than "
        f"{most_w:g} W"
    )


def zones(folder: Path = POWERCAP) -> Iterator[tuple[str, Path]]:
    """Yield device and folder of each counter: cpu/package-0 and, where there is one, memory/dram-0.

    core and uncore are parts of a package, psys is everything with the package in it, and
    intel-rapl-mmio is the same package by another way: none of them is counted a second time.
    """
    for package in sorted(folder.glob("intel-rapl:*")):
        if package.name.count(":") != 1:
            continue
        name = _name(package)
        if not name.startswith("package-"):
            continue
        yield f"cpu/{name}", package
        for part in sorted((folder / package.name).glob(f"{package.name}:*")):
            if _name(part) == "dram":
                yield f"memory/dram-{name.removeprefix('package-')}", part


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _most_w(zone: Path) -> float:
    """Return the power that a zone cannot have, by the limits in force (constraint_*_power_limit_uw, powercap.rst)."""
    limits = map(_number, zone.glob("constraint_*_power_limit_uw"))
    highest = max((limit / 1e6 for limit in limits if limit is not None), default=0.0)
    return min(MOST_POWER_W, OVER_LIMIT * highest) if highest > 0 else MOST_POWER_W


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class RaplSensor:
    """energy_j of every package and memory controller: joules since this sensor's first reading.

    A counter may have wrapped once between two readings, not twice: 262 kJ, the usual range, last a
    quarter of an hour at 300 W. A reading whose growth no processor can have had is a null; the
    next one goes on from there, and the total is without that interval.
    """

    name = "rapl"

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._folder = folder
        self._zones: list[_Zone] | None = None
        self._refused = False

    def read(self, now: int) -> list[Sample]:
        """Return a sample of each counter; a counter that fails is a null, all of them `up` = 0."""
        if self._refused:
            return []
        if self._zones is None:
            self._zones, why = self._open()
            if not self._zones and why is not None:
                self._refused = True
                return [down(self.name, now, why)]
        if not self._zones:
            return []
        samples = [self._read_zone(now, zone) for zone in self._zones]
        reasons = sorted({sample.reason for sample in samples if sample.reason})
        if all(sample.value is None for sample in samples):
            return [down(self.name, now, "; ".join(reasons)), *samples]
        return [up(self.name, now), *samples]

    def _open(self) -> tuple[list[_Zone], str | None]:
        opened: list[_Zone] = []
        why = None
        for device, folder in zones(self._folder):
            counter = folder / "energy_uj"
            try:
                int(counter.read_text())
            except OSError as error:
                why = f"{device}: {error.strerror}"
            except ValueError:
                why = f"{device}: its counter is no number"
            else:
                range_uj = _number(folder / "max_energy_range_uj")
                opened.append(_Zone(device, counter, range_uj, _most_w(folder)))
        return opened, why

    def _read_zone(self, now: int, zone: _Zone) -> Sample:
        value = reason = None
        try:
            reading = int(zone.counter.read_text())
        except OSError as error:
            reason = error.strerror or repr(error)
        except ValueError:
            reason = "its counter is no number"
        else:
            before = reading if zone.last_uj is None else zone.last_uj
            if reading < before and zone.range_uj is None:
                grown = 0
                lie: str | None = "the counter went back, and where it wraps is not known"
            else:
                grown = advance(before, reading, zone.range_uj or 0)
                lie = beyond_physics(grown, (now - zone.last_at) / 1e9, zone.most_w)
            zone.last_uj, zone.last_at = reading, now
            if lie is not None:
                reason = IMPLAUSIBLE + lie
            else:
                zone.total_uj += grown
                value = zone.total_uj * _J_PER_UJ
        return Sample(now, self.name, "shared_host", zone.device, "energy_j", value, reason)
