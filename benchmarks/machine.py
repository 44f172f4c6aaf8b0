"""Which machine the figures are of, which cores the two sides get, and whether it was quiet."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

from observatory.core.errors import EnvironmentFailed

QUIET_BUSY = 0.05
"""Share of all cores that may be busy before a measurement starts. A tenth of one core of two."""
_PACKAGES = (
    "inference-observatory",
    "locust",
    "gevent",
    "httptools",
    "msgspec",
    "polars",
    "duckdb",
)


@dataclass(frozen=True, slots=True)
class Cores:
    """Core numbers: the client's whole process tree gets `client`, the server `server`."""

    client: int
    server: int
    spare: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Seconds of all cores together, since boot."""

    busy_s: float
    stolen_s: float


def choose_cores() -> Cores:
    """First and last core that this process may use. EnvironmentFailed under two."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise EnvironmentFailed(
            "one core is not enough: client and server need one each",
            fix="run on a machine with two cores or more",
        )
    return Cores(usable[0], usable[-1], tuple(usable[1:-1]))


@contextmanager
def started_on(cores: set[int]) -> Iterator[None]:
    """What is started in this block, and all that it starts, stays on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_times() -> CpuTimes:
    """Busy and stolen time so far; the difference of two readings is of the time between."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0.0)
    stolen = float(getattr(times, "steal", 0.0))
    return CpuTimes(sum(times[:8]) - idle - stolen, stolen)


def busy_share() -> float:
    """Share of all cores that was busy over the last second, of which this process used none."""
    return psutil.cpu_percent(interval=1.0) / 100


def facts() -> dict[str, Any]:
    """What a reader must know of the machine to judge a figure."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": platform.release(),
        "virtual": "hypervisor" in _read("/proc/cpuinfo"),
        "governor": _read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").strip() or None,
        "clock_source": _read(
            "/sys/devices/system/clocksource/clocksource0/current_clocksource"
        ).strip()
        or None,
        "python": sys.version.split()[0],
        "packages": {name: version(name) for name in _PACKAGES},
        "commit": _commit(),
    }


def _cpu_model() -> str:
    for line in _read("/proc/cpuinfo").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _commit() -> str | None:
    """The commit measured; "+changes" where the client's code differs from it."""
    root = Path(__file__).resolve().parent.parent
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        changed = _git(root, "status", "--porcelain", "--", "observatory", "loadtests")
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+changes" if changed else "")


def _git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()
