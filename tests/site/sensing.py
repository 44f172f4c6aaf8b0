"""The readings of sensors during invented runs, and their energy: known values at known instants."""

import random
from typing import TYPE_CHECKING, Any

from observatory.core.run import StageTimes
from observatory.core.sample import EnergyRow, Sample

if TYPE_CHECKING:
    from tests.site.planting import Planted

S = 1_000_000_000
STAGE_S = 110
"""Seconds from one planted stage to the next."""
POWER_CAP, IDLE_BIT = 0x4, 0x1
Sampled = tuple[Sample, int | None]


def samples_of(planted: "Planted", draw: random.Random) -> list[Sampled]:
    """A reading of everything a second; busy in the stages, with counters that only grow."""
    found: list[Sampled] = []
    totals = {"tokens": 0.0, "looked_up": 0.0}
    for second in range(STAGE_S * len(planted.levels)):
        busy = 0.15 + 0.7 * (second % STAGE_S in range(5, 40)) * draw.uniform(0.9, 1.0)
        readings = _host(planted, busy, second)
        if planted.gpu:
            readings += _gpu(planted, busy, second)
        if planted.scraped:
            readings += _engine(planted, busy, totals)
        for sensor, subject, device, metric, value in readings:
            reason = "asked and not answered" if metric == "up" and value == 0 else None
            sample = Sample(second * S, sensor, subject, device, metric, value, reason)
            found.append((sample, None))
    return found


def _host(planted: "Planted", busy: float, second: int) -> list[Any]:
    engine = f"engine:{planted.name}"
    return [
        ("host", "shared_host", "", "cpu_util_fraction", busy),
        ("host", "shared_host", "", "cpu_max_core_fraction", min(1.0, busy * 1.15)),
        ("process", "client", "client", "cpu_cores", busy * 0.2),
        ("process", "target", engine, "cpu_cores", busy * 1.6),
        ("process", "client", "client", "rss_bytes", 9.1e7),
        ("process", "target", engine, "rss_bytes", 3.2e8 + 1e5 * second),
    ]


def _gpu(planted: "Planted", busy: float, second: int) -> list[Any]:
    """gpu0; down in planted.silent, its clocks held by the power cap while it is busy."""
    if planted.silent and planted.silent[0] <= second < planted.silent[1]:
        return [("nvml", "shared_host", "gpu0", "up", 0.0)]
    working = busy > 0.5
    readings = {
        "up": 1.0,
        "gpu_util_fraction": busy,
        "gpu_power_w": 90 + 300 * busy,
        "gpu_power_limit_w": 400.0,
        "gpu_memory_used_bytes": 6.1e10,
        "gpu_sm_clock_mhz": 1500.0 if working else 1980.0,
        "gpu_memory_clock_mhz": 2619.0,
        "gpu_temperature_c": 41 + 20 * busy,
        "gpu_throttle_bits": float(POWER_CAP if working else IDLE_BIT),
        "gpu_pcie_sent_bytes_per_s": 2.0e6 * busy,
        "gpu_pcie_received_bytes_per_s": 9.0e6 * busy,
    }
    if second == 0:
        readings["gpu_power_update_period_s"] = 0.1
    found = [("nvml", "shared_host", "gpu0", name, value) for name, value in readings.items()]
    return [*found, ("dcgm", "shared_host", "gpu0", "sm_active_fraction", busy * 0.6)]


def _engine(planted: "Planted", busy: float, totals: dict[str, float]) -> list[Any]:
    working = busy > 0.5
    totals["tokens"] += 240.0 if working else 0.0
    totals["looked_up"] += 1000.0 if working else 0.0
    readings = {
        "engine_requests_running": 4.0 if working else 0.0,
        "engine_requests_waiting": 2.0 if working else 0.0,
        "engine_kv_cache_fraction": 0.625 if working else 0.0,
        "engine_preemptions_total": 7.0 + totals["tokens"] // 4800,
        "engine_output_tokens_total": totals["tokens"],
        "engine_prompt_tokens_total": 3 * totals["tokens"],
        "engine_prefix_cache_queries_total": totals["looked_up"],
        "engine_prefix_cache_hits_total": 0.25 * totals["looked_up"],
    }
    device = f"engine:{planted.name}"
    return [("engine", "target", device, name, value) for name, value in readings.items()]


IDLE_W, OVERHEAD_PUE = 95.0, 1.2
GRID: dict[str, Any] = {
    "grid_zone": "DEU",
    "grid_kgco2e_per_kwh": 0.36,
    "source": "NVML total energy consumption; grid: codecarbon global_energy_mix.json (2023)",
}


def energy_of(planted: "Planted", stages: list[StageTimes]) -> list[EnergyRow]:
    """A GPU's counter with idle baseline, overhead and the counter's check; a shared host; nothing."""
    windows = [
        (stage.index, stage.steady_started, stage.steady_ended)
        for stage in stages
        if stage.steady_started is not None and stage.steady_ended is not None
    ]
    if planted.energy == "measured":
        idle = EnergyRow(
            None, "target", "gpu", "measured", "nvml_counter", 0, 4 * S, IDLE_W * 4, **GRID
        )
        return [idle, *(row for window in windows for row in _measured(*window))]
    if planted.energy == "modelled":
        return [
            EnergyRow(
                index, "target", "host", "modelled", "ecologits", start, end, 1000.0 * (index + 1),
                reason=None, low_j=400.0 * (index + 1), high_j=1600.0 * (index + 1),
                source="EcoLogits 0.9, ranges over its assumptions",
            )
            for index, start, end in windows
        ]  # fmt: skip
    if planted.kind == "emulated":
        return [
            EnergyRow(i, "target", "host", "modelled", "none", start, end, None, reason="emulated")
            for i, start, end in windows
        ]
    if planted.hosting == "self":
        reason = "engine and client share the host: not told apart"
        return [
            EnergyRow(
                i, "shared_host", "cpu", "estimated", "codecarbon cpu_load", start, end, 620.0,
                reason=reason,
            )
            for i, start, end in windows
        ]  # fmt: skip
    return []


def _measured(index: int, start: int, end: int) -> list[EnergyRow]:
    joules = 9000.0 + 900 * index
    kgco2e = joules / 3.6e6 * GRID["grid_kgco2e_per_kwh"]
    own = EnergyRow(
        index, "target", "gpu", "measured", "nvml_counter", start, end, joules,
        kgco2e=kgco2e, coverage_fraction=0.98, longest_gap_s=1.0, limit_w=400.0, **GRID,
    )  # fmt: skip
    check = EnergyRow(
        index, "target", "gpu", "measured", "nvml_power_trapezoid", start, end, joules * 1.01,
        counts=False, **GRID,
    )  # fmt: skip
    overhead = EnergyRow(
        index, "target", "datacentre_overhead", "modelled", "pue", start, end,
        joules * (OVERHEAD_PUE - 1), kgco2e=kgco2e * (OVERHEAD_PUE - 1), pue=OVERHEAD_PUE, **GRID,
    )  # fmt: skip
    return [own, check, overhead]
