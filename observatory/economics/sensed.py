"""The samples of a run by what they are of: which readings a joule of energy can come from.

Pure look-up: what the readings add up to over a window is `window`'s, whose they are `energy`'s.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from observatory.core.sample import Sample, Scope
from observatory.economics.window import Readings
from observatory.telemetry.freshness import fresh
from observatory.telemetry.plausible import COUNTER_BROKE, IMPLAUSIBLE

GPU_SENSORS = ("nvml", "dcgm")
"""What reads a GPU's energy, the driver's own library first: DCGM reads it from there."""
GPU_OF_ROLE = "_memory_used_bytes"
"""nvml samples whose device is a role: gpu0_memory_used_bytes and so on."""
UPDATE_PERIOD = {
    "gpu_power_w": "gpu_power_update_period_s",
    "gpu_energy_j": "gpu_energy_update_period_s",
}
"""Metric -> the metric that has how often its sensor changes, where that was measured."""

COUNTERS = frozenset({"energy_j", "gpu_energy_j"})
"""Metrics of which a difference is taken."""

Key = tuple[str, str, str]
"""(sensor, device, metric)."""


@dataclass(frozen=True, slots=True)
class Grid:
    """What a kWh emits in a zone."""

    zone: str
    kgco2e_per_kwh: float
    source: str


@dataclass(slots=True)
class SensedGpu:
    """A GPU whose power some sensor reads, or tried to. claimed: the scenario claims it for the target.

    why: the sensor's reason where its last power reading was null.
    """

    device: str
    sensor: Literal["nvml", "dcgm"]
    claimed: bool = False
    why: str | None = None

    @property
    def local(self) -> bool:
        """Whether it is one of this host's."""
        return not host_of(self.device)


def host_of(device: str) -> str:
    """Return the probe's name before a distant host's devices; "" for this host's own."""
    name, colon, _ = device.partition(":")
    return name if colon and name != "engine" else ""


@dataclass
class Sensed:
    """Readings by sensor, device and metric, each in the order of its instants."""

    readings: dict[Key, list[tuple[int, float]]] = field(default_factory=dict)
    breaks: dict[Key, list[tuple[int, str]]] = field(default_factory=dict)
    """Where a counter did not go on from its last reading, and why."""
    claimed: set[tuple[str, str]] = field(default_factory=set)
    client_roles: set[str] = field(default_factory=set)
    why_down: dict[str, str] = field(default_factory=dict)
    gpus: dict[str, SensedGpu] = field(default_factory=dict)
    _users: list[tuple[int, str, str]] = field(default_factory=list)
    _slices: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def of(self, sensor: str, device: str, metric: str) -> Readings:
        """Return the readings of one metric; none where it was never read."""
        return self.readings.get((sensor, device, metric), [])

    def breaks_of(self, sensor: str, device: str, metric: str) -> list[tuple[int, str]]:
        """Return the restarts of a counter, each with its instant and reason."""
        return self.breaks.get((sensor, device, metric), [])

    def fresh(self, sensor: str, device: str, metric: str) -> Readings:
        """Return those that are new data: a sensor read faster than it changes repeats itself."""
        periods = self.of(sensor, device, UPDATE_PERIOD[metric])
        return fresh(self.of(sensor, device, metric), periods[-1][1] if periods else None)

    def codecarbon(self, scope: Scope) -> str | None:
        """Return the codecarbon device of a scope, e.g. cpu/cpu_load."""
        devices = [
            device
            for sensor, device, metric in self.readings
            if sensor == "codecarbon" and device.startswith(f"{scope}/") and metric == "energy_j"
        ]
        return min(devices, default=None)

    def rapl(self, scope: Scope, host: str = "") -> list[str]:
        """Return RAPL's counters of a scope on a host.

        Packages contain their cores, and a host's sum (psys) is not among them: nothing twice.
        """
        kind = {"cpu": "cpu/package-", "memory": "memory/dram-"}[scope]
        start = f"{host}:{kind}" if host else kind
        return sorted(
            device
            for sensor, device, metric in self.readings
            if sensor == "rapl" and metric == "energy_j" and device.startswith(start)
        )

    def claimed_processes(self) -> dict[str, set[str]]:
        """Return distant host -> the processes there that are claimed as the target's."""
        found: dict[str, set[str]] = {}
        for sensor, device in self.claimed:
            if sensor == "process" and host_of(device):
                found.setdefault(host_of(device), set()).add(device)
        return found

    def users(self, gpu: str, start: int, end: int) -> set[str]:
        """Return the roles that the driver listed on a GPU, or on a slice of it, within the window."""
        return {
            role
            for at, on, role in self._users
            if on.partition("/")[0] == gpu and start <= at <= end
        }

    def is_divided(self, gpu: str) -> bool:
        """Return whether several MIG devices share the GPU, and with it the only meter that there is."""
        return any(on == gpu and len(found) > 1 for (_, on), found in self._slices.items())

    def grid(self) -> Grid | None:
        """Return the grid's intensity, where its country is known."""
        for (sensor, device, _), readings in self.readings.items():
            if sensor == "codecarbon" and device.startswith("grid/"):
                _, zone, year = device.split("/")
                source = f"codecarbon global_energy_mix.json ({year})"
                return Grid(zone, readings[-1][1], source)
        return None

    def add(self, sample: Sample) -> None:
        """Take in a sample that is no earlier than the ones before it."""
        if sample.value is not None:
            key = (sample.sensor, sample.device, sample.metric)
            self.readings.setdefault(key, []).append((sample.at, sample.value))
        elif sample.metric in COUNTERS and (sample.reason or "").startswith(COUNTER_BROKE):
            key = (sample.sensor, sample.device, sample.metric)
            why = (sample.reason or "").removeprefix(IMPLAUSIBLE)
            self.breaks.setdefault(key, []).append((sample.at, why))
        if sample.subject == "target":
            self.claimed.add((sample.sensor, sample.device))
        if sample.sensor == "process" and sample.subject == "client":
            self.client_roles.add(sample.device)
        if sample.metric == "up" and not sample.value and not sample.device and sample.reason:
            self.why_down[sample.sensor] = sample.reason
        if sample.sensor in GPU_SENSORS:
            self._add_gpu(sample)

    def _add_gpu(self, sample: Sample) -> None:
        if ":engine:" in sample.device:  # a probe's: claimed where the scenario names it
            return
        undivided, slash, _ = sample.device.partition("/")
        if slash:
            self._slices.setdefault((sample.sensor, undivided), set()).add(sample.device)
        if sample.metric.endswith(GPU_OF_ROLE) and sample.metric != f"gpu{GPU_OF_ROLE}":
            gpu, host = sample.metric.removesuffix(GPU_OF_ROLE), host_of(sample.device)
            on = f"{host}:{gpu}" if host else gpu
            self._users.append((sample.at, on, sample.device))
        elif sample.metric in UPDATE_PERIOD and "/" not in sample.device:  # slices have no meter
            known = self.gpus.setdefault(sample.device, SensedGpu(sample.device, "dcgm"))
            if sample.sensor == "nvml":
                known.sensor = "nvml"
            known.claimed |= sample.subject == "target"
            if sample.metric == "gpu_power_w" and sample.sensor == known.sensor:
                known.why = sample.reason


def sensed(samples: Sequence[Sample]) -> Sensed:
    """Return the samples in the order of their instants, by what they are of."""
    found = Sensed()
    for sample in sorted(samples, key=lambda sample: sample.at):
        found.add(sample)
    return found
