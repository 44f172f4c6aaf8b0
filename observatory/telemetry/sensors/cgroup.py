"""CPU time that a control group's quota withheld (cpu.max, cpu.cfs_quota_us), by the kernel's count.

Version 2 (cpu.stat: nr_throttled, throttled_usec) and version 1 (nr_throttled, throttled_time in ns);
docs: kernel.org, admin-guide/cgroup-v2 and scheduler/sched-bwc.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from observatory.core.sample import Sample
from observatory.telemetry.sensors.sensor import down, up

NO_QUOTA = "no control group of the run's processes has a CPU quota that the kernel counts"


@dataclass(frozen=True, slots=True)
class CpuThrottling:
    """periods: enforcement periods in which the quota ran out; seconds: core-seconds withheld."""

    periods: float
    seconds: float


def parse_cpu_stat(text: str) -> CpuThrottling | None:
    """Return the counts of a cpu.stat file of either version; None where it has none (the root group's)."""
    pairs = (line.strip().partition(" ")[::2] for line in text.splitlines())
    fields = {name: float(value) for name, value in pairs if value.strip().isdecimal()}
    for withheld, a_second in (("throttled_usec", 1e6), ("throttled_time", 1e9)):
        if "nr_throttled" in fields and withheld in fields:
            return CpuThrottling(fields["nr_throttled"], fields[withheld] / a_second)
    return None


def stat_files(pid: int, proc: Path, mounts: Path) -> list[Path]:
    """Return every cpu.stat that limits a process: of its groups and of those above them.

    In a container the group's path may be the host's while only the container's part is mounted; then
    the file at the mount's root is used.
    """
    try:
        lines = (proc / str(pid) / "cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return []
    found: list[Path] = []
    for line in lines:
        number, _, rest = line.partition(":")
        controllers, colon, path = rest.partition(":")
        if not colon:
            continue
        if number == "0":
            tops = [mounts, mounts / "unified"]
        elif "cpu" in controllers.split(","):
            tops = [mounts / controllers, mounts / "cpu", mounts / "cpu,cpuacct"]
        else:
            continue
        for top in tops:
            files = [top / part / "cpu.stat" for part in _upwards(path)]
            there = [file for file in files if file.is_file()]
            if there:
                found += there
                break
    return found


def _upwards(path: str) -> list[str]:
    """Return a/b, a and the mount itself for /a/b."""
    parts = [part for part in path.split("/") if part and part != ".."]
    return ["/".join(parts[:end]) for end in range(len(parts), -1, -1)]


class CgroupSensor:
    """cpu_throttled_s and cpu_throttled_periods, added up over the groups of `processes`.

    Counters since the sensor's start. A group that disappears or restarts its counter keeps the amount counted before.
    """

    name = "cgroup"

    def __init__(
        self,
        processes: Callable[[], Iterable[int]],
        proc: Path = Path("/proc"),
        mounts: Path = Path("/sys/fs/cgroup"),
    ) -> None:
        self._processes = processes
        self._proc = proc
        self._mounts = mounts
        self._last: dict[Path, CpuThrottling] = {}
        self._periods = self._seconds = 0.0

    def read(self, now: int) -> list[Sample]:
        """Return both counters, or why there are none."""
        files = {
            file for pid in self._processes() for file in stat_files(pid, self._proc, self._mounts)
        }
        for file in sorted(files):
            try:
                read = parse_cpu_stat(file.read_text(encoding="ascii", errors="replace"))
            except OSError:
                continue
            if read is None:
                continue
            before = self._last.get(file, read)
            self._periods += max(0.0, read.periods - before.periods)
            self._seconds += max(0.0, read.seconds - before.seconds)
            self._last[file] = read
        if not self._last:
            return [down(self.name, now, NO_QUOTA)]
        return [
            up(self.name, now),
            Sample(now, self.name, "shared_host", "", "cpu_throttled_s", self._seconds),
            Sample(now, self.name, "shared_host", "", "cpu_throttled_periods", self._periods),
        ]
