"""The runner's handle on the sampler: start it before the load, name processes, stop it after.

A sampler that dies costs the run its telemetry and nothing else: `alive` reports it, nothing raises.
"""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from observatory.core.clock import Anchor
from observatory.core.connection import Connection, resolve
from observatory.core.sensor_config import Telemetry
from observatory.core.system.priority import set_niceness
from observatory.telemetry.instructions import READY, SamplerConfig, ScrapedPage, write_watch
from observatory.telemetry.remote.probe_addresses import probe_addresses

JOURNAL_FILE = "samples.journal"
WATCH_FILE = "watch.json"
NVIDIA_DRIVER = Path("/dev/nvidiactl")
"""There where the driver is loaded; its GPUs' sensors are then timed before the load."""
READY_WITHIN_S = 20.0
"""The first reading follows the imports by milliseconds; a cold disk takes seconds."""
STOP_WITHIN_S = 10.0
NICER = 10
"""Where sampler and load generator meet on a core, the load goes first: a tenth of its weight is
plenty for readings that take some milliseconds a second."""


class SamplerHandle:
    """A sampler in its own process. Its journal lies in the campaign's folder."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.journal = folder / JOURNAL_FILE
        self._log = folder / "sampler.log"
        self._watch = folder / WATCH_FILE
        self._roles: dict[str, int] = {}
        self._process = process
        self._stopped = False
        self._trouble: str | None = None

    @property
    def process_id(self) -> int:
        """Return its process."""
        return self._process.pid

    def watch(self, role: str, pid: int) -> None:
        """Sample this process and all below it as `role`, from the next reading on."""
        self._roles[role] = pid
        self._write_watch()

    def unwatch(self, role: str) -> None:
        """Sample that role no more."""
        self._roles.pop(role, None)
        self._write_watch()

    def alive(self) -> str | None:
        """Return None while it samples as configured (or was stopped by us), else what is wrong."""
        code = self._process.poll()
        if code is None or self._stopped:
            return self._trouble
        cause = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"the sampler ended with {cause}" + (f": {lines[-1]}" if lines else "")

    def stop(self) -> None:
        """Take the last reading and end it; killed where it does not end. Harmless when repeated."""
        if self._process.poll() is None:
            self._stopped = True
            self._process.terminate()
            try:
                self._process.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _write_watch(self) -> None:
        try:
            write_watch(self._watch, self._roles)
            self._trouble = None
        except OSError as error:
            self._trouble = f"{self._watch} could not be written: {error.strerror}"

    def wait_until_ready(self, seconds: float) -> None:
        """Return when the first reading is in the journal, the sampler died, or time is up."""
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        until = time.monotonic() + seconds
        received = b""
        while READY not in received and (left := until - time.monotonic()) > 0:
            if not select.select([output], [], [], left)[0]:
                return
            if not (part := os.read(output, 64)):
                return
            received += part


def start_sampler(
    folder: Path,
    anchor: Anchor,
    telemetry: Telemetry,
    engines: Mapping[str, Connection] | None = None,
    *,
    engine_pages: Mapping[str, str] | None = None,
    engine_aliases: Mapping[str, Mapping[str, str]] | None = None,
    wait: bool = True,
) -> SamplerHandle:
    """Start it and, unless `wait` is False, wait for its first reading.

    Load that starts meanwhile begins with seconds of warm-up, and the sampler is nicer than it.
    On a host with an NVIDIA driver it is waited for in any case: the burst of readings that times
    the GPUs' sensors must not fall into the load.

    engines: by role, the targets whose own metrics are read. engine_pages: where
    such a page is not next to the target's API, its URL. engine_aliases: series of that page -> the
    name of engine_names that each is read as, for an engine that the table does not have.

    Call from the main thread: the kernel ends the sampler with the thread that started it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    write_watch(folder / WATCH_FILE, {})
    config = msgspec.structs.replace(
        _config(folder, anchor, telemetry),
        engines=dict(engines or {}),
        engine_pages=dict(engine_pages or {}),
        engine_aliases={role: dict(to) for role, to in (engine_aliases or {}).items() if to},
    )
    path = folder / "sampler.json"
    path.write_bytes(msgspec.json.encode(config))
    with (folder / "sampler.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "observatory.telemetry.sampler", str(path)],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    set_niceness(process.pid, NICER)
    handle = SamplerHandle(folder, process)
    if wait or NVIDIA_DRIVER.exists():
        handle.wait_until_ready(READY_WITHIN_S)
    return handle


def _config(folder: Path, anchor: Anchor, telemetry: Telemetry) -> SamplerConfig:
    """Return the sampler's configuration without its engines; secrets by reference."""
    return SamplerConfig(
        journal=str(folder / JOURNAL_FILE),
        watch=str(folder / WATCH_FILE),
        anchor=anchor,
        interval_s=telemetry.interval,
        parent=os.getpid(),
        settings=telemetry.model_dump(mode="json"),
        links=telemetry.links,
        dcgm=telemetry.dcgm,
        prometheus=[
            ScrapedPage(
                name=page.name,
                url=page.url,
                series=page.series,
                every_s=max(page.every or 0.0, telemetry.interval),
                headers=page.headers,
            )
            for page in telemetry.prometheus
        ],
        probes=probe_addresses(telemetry),
    )


def check_pages(telemetry: Telemetry) -> None:
    """Raise BadInput where a header of a page wants a variable that is not set: known before anything starts."""
    for page in telemetry.prometheus:
        for name, value in page.headers.items():
            resolve(value, f"telemetry.prometheus {page.name}: header {name}")
