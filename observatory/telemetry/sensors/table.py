"""SENSORS: every sensor, with what the sampler of a run and the probe on another host open of it.

A new sensor is a file of this folder and a line of the table.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from observatory.telemetry.instructions import SamplerConfig
from observatory.telemetry.sensors.carbon import CodecarbonSensor
from observatory.telemetry.sensors.cgroup import CgroupSensor
from observatory.telemetry.sensors.dcgm import DcgmSensor
from observatory.telemetry.sensors.engine import EngineSensor
from observatory.telemetry.sensors.host import HostSensor
from observatory.telemetry.sensors.nvml import NvmlSensor
from observatory.telemetry.sensors.own_cpu import OwnCpuSensor
from observatory.telemetry.sensors.probe import ProbeSensor
from observatory.telemetry.sensors.process import ProcessSensor
from observatory.telemetry.sensors.prometheus import PrometheusSensor
from observatory.telemetry.sensors.rapl import RaplSensor
from observatory.telemetry.sensors.sensor import Sensor

Roles = Callable[[], Mapping[str, int]]
"""Role -> process id, as they are now."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class HostSetup:
    """What a sensor of any host is opened with. roles: the processes to sample; links: GPU links too."""

    roles: Roles
    links: bool


@dataclass(frozen=True, slots=True)
class RunSetup(HostSetup):
    """What a sensor of a run is opened with. all_roles: with those of servers that others started."""

    config: SamplerConfig
    all_roles: Roles

    def setting(self, key: str, kind: type[T]) -> T:
        """Return what the scenario has, or its default, under a key of `telemetry`; durations are texts ("1s")."""
        return msgspec.convert(self.config.settings[key], kind)


@dataclass(frozen=True, slots=True)
class SensorEntry:
    """One sensor. title: what it reads; gives: the figures that lack it, as the end of a sentence.

    on_host opens it in a run and in a probe, in_run in a run alone; a scenario decides how many there
    are. Neither: its samples are made by sensor_set and deadline.
    """

    name: str
    title: str
    gives: str
    on_host: Callable[[HostSetup], Iterable[Sensor]] | None = None
    in_run: Callable[[RunSetup], Iterable[Sensor]] | None = None


SENSORS: tuple[SensorEntry, ...] = (
    SensorEntry(
        "engine",
        "engine's /metrics",
        "the engine's own counts (running requests, KV cache, queue, tokens)",
        in_run=lambda run: [
            EngineSensor(
                role,
                connection,
                run.config.engine_pages.get(role),
                run.config.engine_aliases.get(role),
            )
            for role, connection in run.config.engines.items()
        ],
    ),
    SensorEntry(
        "host",
        "host",
        "this machine's processors, memory and network",
        on_host=lambda _: [HostSensor()],
    ),
    SensorEntry(
        "own",
        "CPU time of the run's own processes",
        "the share of other work on the cores (foreign_cpu)",
        in_run=lambda run: [OwnCpuSensor(run.config.parent, run.all_roles)],
    ),
    SensorEntry(
        "cgroup",
        "CPU quota of the control group",
        "the CPU time that a quota withheld",
        in_run=lambda run: [CgroupSensor(lambda: run.all_roles().values())],
    ),
    SensorEntry(
        "process",
        "process",
        "CPU and memory of the load generator and the engine",
        on_host=lambda host: [ProcessSensor(host.roles)],
    ),
    SensorEntry(
        "nvml",
        "GPU (NVML)",
        "the GPU's power, energy, utilisation and memory",
        on_host=lambda host: [NvmlSensor(host.roles, links=host.links)],
    ),
    SensorEntry(
        "rapl",
        "processor energy (RAPL)",
        "energy of processors and memory",
        on_host=lambda _: [RaplSensor()],
    ),
    SensorEntry(
        "dcgm",
        "GPU (DCGM exporter)",
        "the GPU's utilisation, power and energy by DCGM",
        in_run=lambda run: [DcgmSensor(run.config.dcgm)] if run.config.dcgm is not None else [],
    ),
    SensorEntry(
        "prometheus",
        "Prometheus",
        "the series of that page",
        in_run=lambda run: [PrometheusSensor(page) for page in run.config.prometheus],
    ),
    SensorEntry(
        "probe",
        "probe on another host",
        "all readings of that host",
        in_run=lambda run: [
            ProbeSensor(probe, run.config.anchor, run.config.interval_s)
            for probe in run.config.probes
        ],
    ),
    SensorEntry(
        "codecarbon",
        "energy model (codecarbon)",
        "estimated energy",
        in_run=lambda run: [
            CodecarbonSensor(run.setting("country", str), run.config.anchor, run.config.interval_s)
            for _ in range(run.setting("codecarbon", bool))
        ],
    ),
    SensorEntry("sampler", "the sampler itself", "what sampling costs"),
)
"""In the order in which they are read: engines first, because what they counted before the load must be
read before it begins."""


def sensors_of_run(setup: RunSetup) -> Iterator[Sensor]:
    """Open every sensor that a run has."""
    for entry in SENSORS:
        if entry.on_host is not None:
            yield from entry.on_host(setup)
        if entry.in_run is not None:
            yield from entry.in_run(setup)


def sensors_of_host(setup: HostSetup) -> Iterator[Sensor]:
    """Open every sensor that a probe has."""
    for entry in SENSORS:
        if entry.on_host is not None:
            yield from entry.on_host(setup)


def sensor_words(name: str) -> str:
    """Return what the sensor reads; its name where it has no entry."""
    return next((entry.title for entry in SENSORS if entry.name == name), name)


def missing_words(name: str) -> str:
    """Return what is missing while the sensor gives no reading."""
    found = (entry.gives for entry in SENSORS if entry.name == name)
    return next(found, f"the readings of {name}")
