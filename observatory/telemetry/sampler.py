"""The sampler's own process: every sensor once an interval, into one journal of frames.

It shares nothing with the load but the machine, writes what it costs beside what it reads, and ends
with its parent. Run as `python -m observatory.telemetry.sampler CONFIG.json`.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from observatory.core.journal import encode_entry
from observatory.core.processes import die_with_parent
from observatory.core.sample import Sample
from observatory.telemetry.instructions import LOAD_ROLE, READY, SamplerConfig, WatchedRoles
from observatory.telemetry.sample_masking import SampleMasker
from observatory.telemetry.sensor_set import SensorSet
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
from observatory.telemetry.sensors.update_periods import measure_update_periods

LONGEST_DEADLINE_S = 1.0
ENGINE_SETTLES_S = 0.1
"""An engine may count a request some milliseconds after it has sent its last token."""
FIRST_DEADLINE_S = 5.0
"""nvmlInit takes seconds where the driver's persistence mode is off."""


class Sampler:
    """All sensors of one configuration and the open journal."""

    def __init__(self, config: SamplerConfig) -> None:
        self._config = config
        self._journal = os.open(
            config.journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
        )
        roles = WatchedRoles(Path(config.watch), {"sampler": os.getpid()})
        self._roles = roles
        self._nvml = NvmlSensor(roles.sampled, links=config.links)
        self._carbon: CodecarbonSensor | None = None
        if config.codecarbon:
            self._carbon = CodecarbonSensor(config.country, config.anchor, config.interval_s)
        self._sensors = SensorSet(self._all(), config.anchor.now)
        self._hide = SampleMasker(config)

    def _all(self) -> Iterator[Sensor]:
        """The engines first: what they counted before the load must be read before it begins."""
        for role, at in self._config.engines.items():
            yield EngineSensor(role, at, self._config.engine_pages.get(role))
        yield HostSensor()
        yield OwnCpuSensor(self._config.parent, self._roles.now)
        yield CgroupSensor(lambda: self._roles.now().values())
        yield ProcessSensor(self._roles.sampled)
        yield self._nvml
        yield RaplSensor()
        if self._config.dcgm is not None:
            yield DcgmSensor(self._config.dcgm)
        yield from (PrometheusSensor(page) for page in self._config.prometheus)
        for probe in self._config.probes:
            yield ProbeSensor(probe, self._config.anchor, self._config.interval_s)
        if self._carbon is not None:
            yield self._carbon

    def read(self, deadline_s: float | None = None) -> None:
        """Ask every sensor once and append what they say; deadline of each: half an interval."""
        if deadline_s is None:
            deadline_s = min(self._config.interval_s / 2, LONGEST_DEADLINE_S)
        for samples in self._sensors.read(deadline_s):
            self._append(samples)

    def time_sensors(self) -> None:
        """Find out how often the GPUs' sensors change; given up where the load begins."""
        self._append(
            measure_update_periods(
                self._nvml.gpus, self._config.anchor.now, lambda: LOAD_ROLE in self._roles.now()
            )
        )

    def finish(self) -> None:
        """The last reading of every sensor, codecarbon's total included, safe on the disk.

        Sensors read less than half an interval ago are not read again: rates over such a short
        time are noise. Engines are: their counters are whole only after the last request.
        """
        if self._config.engines:
            time.sleep(ENGINE_SETTLES_S)
        if self._sensors.silent_s() > self._config.interval_s / 2:
            self.read(LONGEST_DEADLINE_S)
        else:
            for samples in self._sensors.read_only(EngineSensor.name, LONGEST_DEADLINE_S):
                self._append(samples)
        if self._carbon is not None:
            self._append(self._carbon.finish(self._config.anchor.now()))
        os.fsync(self._journal)
        os.close(self._journal)

    def _append(self, samples: list[Sample]) -> None:
        frames = b"".join(encode_entry(self._hide(sample)) for sample in samples)
        while frames:
            frames = frames[os.write(self._journal, frames) :]


class Reads(Protocol):
    """What is read again and again."""

    def read(self) -> None:
        """Once."""


def sample_until(stop: threading.Event, sampler: Reads, interval_s: float) -> None:
    """Read at start + k x interval; a slot that is already over is left out, not made up for."""
    started = time.monotonic()
    slot = 0
    while not stop.is_set():
        slot = max(slot, int((time.monotonic() - started) / interval_s)) + 1
        if stop.wait(started + slot * interval_s - time.monotonic()):
            return
        sampler.read()


def main(config_path: str) -> None:
    """Sample until SIGTERM. SIGINT is left to the parent, which decides when sampling is over."""
    config = msgspec.json.decode(Path(config_path).read_bytes(), type=SamplerConfig)
    die_with_parent(config.parent)
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    sampler = Sampler(config)
    sampler.read(FIRST_DEADLINE_S)
    sampler.time_sensors()
    os.write(sys.stdout.fileno(), READY)
    sample_until(stop, sampler, config.interval_s)
    sampler.finish()


if __name__ == "__main__":
    main(sys.argv[1])
