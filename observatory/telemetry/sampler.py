"""The sampler's own process: every sensor once an interval, into one journal of frames.

It shares nothing with the load but the machine, writes what it costs along with what it reads, and ends
with its parent. Run as `python -m observatory.telemetry.sampler CONFIG.json`.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from observatory.core.journal import encode_entry
from observatory.core.sample import Sample
from observatory.core.system.processes import die_with_parent
from observatory.telemetry.instructions import LOAD_ROLE, READY, SamplerConfig, WatchedRoles
from observatory.telemetry.sample_masking import SampleMasker
from observatory.telemetry.sensor_set import SensorSet
from observatory.telemetry.sensors.table import RunSetup, sensors_of_run

LONGEST_DEADLINE_S = 1.0
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
        setup = RunSetup(roles.sampled, config.links, config, roles.now)
        self._sensors = SensorSet(sensors_of_run(setup), config.anchor.now)
        self._hide = SampleMasker(config)

    def read(self, deadline_s: float | None = None) -> None:
        """Read every sensor once and append the samples; deadline of each: half an interval."""
        if deadline_s is None:
            deadline_s = min(self._config.interval_s / 2, LONGEST_DEADLINE_S)
        for samples in self._sensors.read(deadline_s):
            self._append(samples)

    def before_load(self) -> None:
        """Append what the sensors measure once, such as how often they change; cut where the load begins."""
        self._append(self._sensors.before_load(lambda: LOAD_ROLE in self._roles.now()))

    def finish(self) -> None:
        """Append the last reading of every sensor and flush the journal to the disk.

        Sensors read less than half an interval ago are not read again: rates over such a short
        time are noise. Those whose counters are whole only after the last request are.
        """
        time.sleep(self._sensors.settle_s())
        if self._sensors.silent_s() > self._config.interval_s / 2:
            self.read(LONGEST_DEADLINE_S)
        else:
            for samples in self._sensors.read_after_load(LONGEST_DEADLINE_S):
                self._append(samples)
        self._append(self._sensors.finish())
        os.fsync(self._journal)
        os.close(self._journal)

    def _append(self, samples: list[Sample]) -> None:
        frames = b"".join(encode_entry(self._hide(sample)) for sample in samples)
        while frames:
            frames = frames[os.write(self._journal, frames) :]


def sample_until(stop: threading.Event, read: Callable[[], None], interval_s: float) -> None:
    """Call `read` at start + k x interval; a slot that is already over is left out, not made up for."""
    started = time.monotonic()
    slot = 0
    while not stop.is_set():
        slot = max(slot, int((time.monotonic() - started) / interval_s)) + 1
        if stop.wait(started + slot * interval_s - time.monotonic()):
            return
        read()


def main(config_path: str) -> None:
    """Sample until SIGTERM. SIGINT is left to the parent, which decides when sampling is over."""
    config = msgspec.json.decode(Path(config_path).read_bytes(), type=SamplerConfig)
    die_with_parent(config.parent)
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    sampler = Sampler(config)
    sampler.read(FIRST_DEADLINE_S)
    sampler.before_load()
    os.write(sys.stdout.fileno(), READY)
    sample_until(stop, sampler.read, config.interval_s)
    sampler.finish()


if __name__ == "__main__":
    main(sys.argv[1])
