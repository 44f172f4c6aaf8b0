"""codecarbon's energy counters over time, from its offline tracker: no connection is made.

Its own scheduler measures at the run's period and hands every reading to us as an output; which
of them were measured and which estimated is in the device, e.g. cpu/intel_rapl or cpu/cpu_load.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from observatory.core.clock import Anchor
from observatory.core.errors import ObservatoryError
from observatory.core.sample import Sample
from observatory.telemetry.sensors.grid import grid_intensity
from observatory.telemetry.sensors.sensor import down, up

LEAST_PERIOD_S = 1.0
"""Its CPU model reads /proc/stat, whose ticks are 10 ms: shorter periods only add noise."""
STALE_PERIODS = 3
_J_PER_KWH = 3.6e6
_NO_CONNECTION: dict[str, Any] = {
    "output_methods": [],
    "emissions_endpoint": None,
    "electricitymaps_api_token": None,
    "force_carbon_intensity_g_co2e_kwh": 0.0,
    "cloud_provider": None,
    "cloud_region": None,
    "region": None,
}
"""Given explicitly, because codecarbon would else take them from the user's configuration file.

With an intensity given it queries no service for one; its own emissions are not used, because kg CO2e
are computed from the joules and the grid's intensity (economics.energy).
"""
_AS_SHIPPED: dict[str, Any] = {
    "force_cpu_power": None,
    "force_ram_power": None,
    "force_mode_cpu_load": False,
    "gpu_ids": None,
    "rapl_include_dram": False,
    "rapl_prefer_psys": False,
    "wue": 0.0,
}
"""What is measured and how, given explicitly for the same reason: no figure depends on who runs it."""


class _Reasons(logging.Filter):
    """Keeps the last exception that codecarbon swallowed and lets nothing through."""

    last: str | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        """Return False always."""
        if record.exc_info and record.exc_info[1] is not None:
            self.last = repr(record.exc_info[1])
        return False


class _Output:
    """An output of codecarbon's: live_out after every measurement, out after the last."""

    def __init__(self, take: Callable[[Any], None]) -> None:
        self._take = take

    def live_out(self, total: Any, _delta: Any) -> None:
        self._take(total)

    def out(self, total: Any, _delta: Any) -> None:
        self._take(total)

    def exit(self) -> None:
        """Do nothing: nothing is open."""


class CodecarbonSensor:
    """energy_j (cumulative since its start) of cpu/MODE, memory/MODE and gpu/MODE.

    It starts in a thread of its own, which takes 1.6 s or more; until then `up` is 0 with the
    reason "starting". PUE is 1: overheads are no part of these figures.
    """

    name = "codecarbon"

    def __init__(self, country: str, anchor: Anchor, interval_s: float) -> None:
        self._country = country
        self._anchor = anchor
        self._period_s = max(interval_s, LEAST_PERIOD_S)
        self._readings: deque[tuple[int, Any]] = deque()
        self._last_at: int | None = None
        self._reasons = _Reasons()
        self._failure: str | None = None
        self._tracker: Any = None
        self._grid_recorded = False
        self._modes: dict[str, tuple[str, float | None]] | None = None
        self._thread = threading.Thread(target=self._start, name="codecarbon", daemon=True)
        self._thread.start()

    def read(self, now: int) -> list[Sample]:
        """Return every reading since the last call, each at its own instant, and whether it still reads."""
        samples = self._grid(now) + self._drain()
        if self._failure is not None:
            return [*samples, down(self.name, now, self._failure)]
        if self._last_at is None:
            reason = "starting" if self._thread.is_alive() else self._reasons.last or "no reading"
            return [*samples, down(self.name, now, reason)]
        silent_s = (now - self._last_at) / 1e9
        if silent_s > STALE_PERIODS * self._period_s:
            reason = self._reasons.last or f"no reading for {silent_s:.1f} s"
            return [*samples, down(self.name, now, reason)]
        return [*samples, up(self.name, now)]

    def finish(self, now: int) -> list[Sample]:
        """Stop the tracker; its last reading, up to this moment."""
        if self._tracker is not None and not self._thread.is_alive():
            self._tracker.stop()
        return self._grid(now) + self._drain()

    def _start(self) -> None:
        try:
            logging.getLogger("codecarbon").addFilter(self._reasons)
            from codecarbon import OfflineEmissionsTracker

            options: dict[str, Any] = {
                "country_iso_code": self._country,
                "measure_power_secs": self._period_s,
                "api_call_interval": 1,
                "output_handlers": [_Output(self._take)],
                "output_dir": ".",
                "allow_multiple_runs": True,
                "tracking_mode": "machine",
                "pue": 1.0,
                "log_level": "warning",
            }
            tracker = OfflineEmissionsTracker(**options, **_AS_SHIPPED, **_NO_CONNECTION)
            self._tracker = tracker
            tracker.start()
        except Exception as error:  # a foreign library in its own thread: its failure is data
            self._failure = repr(error)

    def _take(self, total: Any) -> None:
        self._readings.append((self._anchor.now(), total))

    def _drain(self) -> list[Sample]:
        samples: list[Sample] = []
        while self._readings:
            at, total = self._readings.popleft()
            if self._modes is None:  # known by now: nothing is read before they are
                self._modes = _modes(self._tracker)
                samples += [
                    self._sample(at, f"{scope}/{mode}", "full_load_power_w", power)
                    for scope, (mode, power) in self._modes.items()
                    if power is not None
                ]
            self._last_at = at
            energies = {
                "cpu": total.cpu_energy,
                "memory": total.ram_energy,
                "gpu": total.gpu_energy,
            }
            samples += [
                self._sample(at, f"{scope}/{mode}", "energy_j", energies[scope] * _J_PER_KWH)
                for scope, (mode, _) in self._modes.items()
            ]
        return samples

    def _grid(self, now: int) -> list[Sample]:
        if self._grid_recorded:
            return []
        self._grid_recorded = True
        try:
            grid = grid_intensity(self._country)
        except ObservatoryError as error:
            return [self._sample(now, "grid/unknown", "kgco2e_per_kwh", None, str(error))]
        device = f"grid/{grid.zone}/{grid.year}"
        return [self._sample(now, device, "kgco2e_per_kwh", grid.kgco2e_per_kwh)]

    def _sample(
        self, at: int, device: str, metric: str, value: float | None, reason: str | None = None
    ) -> Sample:
        return Sample(at, self.name, "shared_host", device, metric, value, reason)


def _modes(tracker: Any) -> dict[str, tuple[str, float | None]]:
    """Return scope -> (mode, modelled watts at full load) of what a started tracker reads.

    No public field states this (codecarbon 3.3: `_hardware`, and `_mode` and `_tdp` of its CPU).
    intel_rapl is a counter; cpu_load and constant are models of a nominal power.
    """
    modes: dict[str, tuple[str, float | None]] = {}
    for item in getattr(tracker, "_hardware", []):
        kind = type(item).__name__
        if kind == "CPU":
            mode = getattr(item, "_mode", "unknown")
            modelled = mode in ("cpu_load", "constant")
            modes["cpu"] = (mode, float(item._tdp) if modelled and item._tdp else None)
        elif kind == "RAM":
            modes["memory"] = ("constant", float(item.total_power().W))
        elif kind == "GPU":
            modes["gpu"] = ("driver", None)
        else:  # Raspberry, AppleSiliconChip: counters of the board
            part = {"CPU": "cpu", "RAM": "memory", "GPU": "gpu"}.get(getattr(item, "chip_part", ""))
            if part is not None:
                modes[part] = (kind.lower(), None)
    return modes
