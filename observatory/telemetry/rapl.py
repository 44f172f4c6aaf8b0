"""The processors' own energy counters (RAPL), read from the kernel's powercap files: no package needed.

A counter runs from its first reading here and never jumps where the hardware's wraps round; a
machine without counters gives no samples, one that forbids reading them says so once.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from observatory.core.sample import Sample
from observatory.telemetry.sensor import down, up

POWERCAP = Path("/sys/class/powercap")
"""Documentation/power/powercap/powercap.rst of Linux; AMD's counters stand there under Intel's name."""
_J_PER_UJ = 1e-6


@dataclass(slots=True)
class _Zone:
    """One counter. range_uj is where it wraps; total_uj what it counted since it was first read."""

    device: str
    counter: Path
    range_uj: int
    last_uj: int | None = None
    total_uj: int = 0


def advance(last: int, now: int, range_: int) -> int:
    """What a counter of 0 to range_ grew by from last to now, having wrapped round at most once."""
    return now - last if now >= last else now - last + range_ + 1


def zones(folder: Path = POWERCAP) -> Iterator[tuple[str, Path]]:
    """Device and folder of each counter: cpu/package-0 and, where there is one, memory/dram-0.

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


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


class RaplSensor:
    """energy_j of every package and memory controller: joules since this sensor's first reading.

    A counter may have wrapped once between two readings, not twice: 262 kJ, the usual range, last a
    quarter of an hour at 300 W.
    """

    name = "rapl"

    def __init__(self, folder: Path = POWERCAP) -> None:
        self._folder = folder
        self._zones: list[_Zone] | None = None
        self._refused = False

    def read(self, now: int) -> list[Sample]:
        """A sample of each counter; a counter that fails is a null, all of them `up` = 0."""
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
                range_uj = int((folder / "max_energy_range_uj").read_text())
                int(counter.read_text())
            except OSError as error:
                why = f"{device}: {error.strerror}"
            except ValueError:
                why = f"{device}: its counter is no number"
            else:
                opened.append(_Zone(device, counter, range_uj))
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
            if zone.last_uj is not None:
                zone.total_uj += advance(zone.last_uj, reading, zone.range_uj)
            zone.last_uj = reading
            value = zone.total_uj * _J_PER_UJ
        return Sample(now, self.name, "shared_host", zone.device, "energy_j", value, reason)
