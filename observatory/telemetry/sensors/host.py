"""The machine as a whole: processors, memory, network, load, read through psutil.

Everything here is of the shared host: it cannot separate the target's work from the client's.
"""

import time
from pathlib import Path
from typing import Any

import psutil

from observatory.core.sample import Sample
from observatory.telemetry.sensors.sensor import up

_FIRST = "first reading: nothing to compare with"
PRESSURE = Path("/proc/pressure/cpu")
"""The kernel's pressure stall information (PSI, Linux 4.20), where it is switched on."""
_NO_PRESSURE = "the kernel keeps no pressure stall information (PSI)"
_STILL = "no time has passed in the kernel's counters"


def busy_seconds(times: Any) -> float:
    """Return the core-seconds of work in a psutil cpu_times reading.

    Idle, waiting for a disk and stolen by the hypervisor are not work; guest time is already in
    user and nice (proc(5)), so it is not added again.
    """
    fields = ("user", "nice", "system", "irq", "softirq")
    return float(sum(getattr(times, field, 0.0) for field in fields))


def total_seconds(times: Any) -> float:
    """Return the core-seconds of all states, stolen time included."""
    rest = ("idle", "iowait", "steal")
    return busy_seconds(times) + float(sum(getattr(times, field, 0.0) for field in rest))


def pressure_s(path: Path) -> float | None:
    """Return seconds in which at least one task waited for a core: `total` of the line `some`, in us."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for line in lines:
        name, *fields = line.split()
        total = dict(field.partition("=")[::2] for field in fields).get("total", "")
        if name == "some" and total.isdecimal():
            return int(total) / 1e6
    return None


class HostSensor:
    """Rates and shares are over the time since its last reading, null on the first.

    Samples: cpu_util_fraction (all cores), cpu_max_core_fraction, cpu_steal_fraction, cpu_busy_s and
    cpu_steal_s (core-seconds since boot), cpu_pressure_s (seconds since boot in which a task waited for
    a core), memory_used_bytes, memory_available_bytes, load_1min, and bytes a second of the network,
    with the loopback interface apart.
    """

    name = "host"

    def __init__(self, pressure: Path = PRESSURE) -> None:
        self._pressure = pressure
        self._cores: list[Any] | None = None
        self._network: tuple[float, dict[str, Any]] | None = None

    def read(self, now: int) -> list[Sample]:
        """Return one sample of each."""
        memory, waited = psutil.virtual_memory(), pressure_s(self._pressure)
        return [
            up(self.name, now),
            *self._processors(now),
            self._sample(now, "cpu_pressure_s", waited, _NO_PRESSURE if waited is None else None),
            self._sample(now, "memory_used_bytes", float(memory.total - memory.available)),
            self._sample(now, "memory_available_bytes", float(memory.available)),
            self._sample(now, "load_1min", psutil.getloadavg()[0]),
            *self._traffic(now),
        ]

    def _sample(
        self, now: int, metric: str, value: float | None, reason: str | None = None
    ) -> Sample:
        return Sample(now, self.name, "shared_host", "", metric, value, reason)

    def _processors(self, now: int) -> list[Sample]:
        cores = psutil.cpu_times(percpu=True)
        before, self._cores = self._cores, cores
        counters = [
            self._sample(now, "cpu_busy_s", sum(busy_seconds(core) for core in cores)),
            self._sample(
                now, "cpu_steal_s", float(sum(getattr(core, "steal", 0.0) for core in cores))
            ),
        ]
        names = ("cpu_util_fraction", "cpu_max_core_fraction", "cpu_steal_fraction")
        if before is None or len(before) != len(cores):
            return [*counters, *(self._sample(now, name, None, _FIRST) for name in names)]
        pairs = list(zip(before, cores, strict=True))
        totals = [total_seconds(new) - total_seconds(old) for old, new in pairs]
        if sum(totals) <= 0:
            return [*counters, *(self._sample(now, name, None, _STILL) for name in names)]
        works = [busy_seconds(new) - busy_seconds(old) for old, new in pairs]
        stolen = sum(getattr(new, "steal", 0.0) - getattr(old, "steal", 0.0) for old, new in pairs)
        shares = [work / total for work, total in zip(works, totals, strict=True) if total > 0]
        values = (sum(works) / sum(totals), max(shares), stolen / sum(totals))
        return [
            *counters,
            *(
                self._sample(now, name, min(max(value, 0.0), 1.0))
                for name, value in zip(names, values, strict=True)
            ),
        ]

    def _traffic(self, now: int) -> list[Sample]:
        counters = psutil.net_io_counters(pernic=True)
        at = time.monotonic()
        before, self._network = self._network, (at, counters)
        names = (
            "network_received_bytes_per_s",
            "network_sent_bytes_per_s",
            "loopback_bytes_per_s",
        )
        if before is None or at <= before[0]:
            return [self._sample(now, name, None, _FIRST) for name in names]
        received = sent = loopback = 0
        for interface, counter in counters.items():
            old = before[1].get(interface)
            if old is None:
                continue
            if interface == "lo":
                loopback += counter.bytes_recv - old.bytes_recv
            else:
                received += counter.bytes_recv - old.bytes_recv
                sent += counter.bytes_sent - old.bytes_sent
        passed = at - before[0]
        return [
            self._sample(now, name, amount / passed)
            for name, amount in zip(names, (received, sent, loopback), strict=True)
        ]
