"""The catalogue of a run's panels over time: which sensors' readings are in which panel.

One entry a quantity, top to bottom as the page shows them; a panel without readings is not drawn.
"""

from dataclasses import dataclass
from typing import Literal

Reading = Literal["as_read", "since_start", "per_second", "share_of"]
"""as_read; or of a counter: what it gained since the first reading, its gain a second, or its gain
as a share of another counter's (Source.of)."""


@dataclass(frozen=True, slots=True)
class Source:
    """One sensor's metric, and words for the key with the device's name."""

    sensor: str
    metric: str
    words: str = ""
    reading: Reading = "as_read"
    of: str | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """One quantity. period is the metric in which a sensor reports its own update period, if it does."""

    name: str
    title: str
    unit: str
    sources: tuple[Source, ...]
    about: str = ""
    period: str | None = None


_FROM_SERVER = "As the engine's own /metrics reports."
_NVML, _DCGM, _ENGINE = "nvml", "dcgm", "engine"

PANELS = (
    Panel(
        "engine-requests",
        "Requests in the engine",
        "requests",
        (
            Source(_ENGINE, "engine_requests_running", "running"),
            Source(_ENGINE, "engine_requests_waiting", "waiting"),
        ),
        _FROM_SERVER,
    ),
    Panel(
        "engine-kv-cache",
        "KV cache in use",
        "1",
        (Source(_ENGINE, "engine_kv_cache_fraction"),),
        _FROM_SERVER,
    ),
    Panel(
        "engine-preemptions",
        "Preemptions since the run began",
        "requests",
        (Source(_ENGINE, "engine_preemptions_total", reading="since_start"),),
        "Running requests that were put back for want of KV cache, as the engine reports.",
    ),
    Panel(
        "engine-prefix-cache",
        "Prompt tokens found in the prefix cache",
        "1",
        (
            Source(
                _ENGINE,
                "engine_prefix_cache_hits_total",
                reading="share_of",
                of="engine_prefix_cache_queries_total",
            ),
        ),
        "Share of the tokens looked up between two readings, as the engine reports.",
    ),
    Panel(
        "engine-tokens",
        "Tokens a second in the engine",
        "1/s",
        (
            Source(_ENGINE, "engine_output_tokens_total", "generated", "per_second"),
            Source(_ENGINE, "engine_prompt_tokens_total", "taken in", "per_second"),
        ),
        _FROM_SERVER,
    ),
    Panel(
        "gpu-util",
        "GPU activity",
        "1",
        (
            Source(_NVML, "gpu_util_fraction", "any kernel running (NVML)"),
            Source(_DCGM, "sm_active_fraction", "SMs active (DCGM)"),
            Source(_DCGM, "gpu_util_fraction", "any kernel running (DCGM)"),
        ),
        "NVML counts the time with any kernel running, however small; only the share of active "
        "multiprocessors shows how much of the GPU worked.",
        "gpu_util_update_period_s",
    ),
    Panel(
        "gpu-memory",
        "GPU memory in use",
        "B",
        (
            Source(_NVML, "gpu_memory_used_bytes"),
            Source(_DCGM, "gpu_memory_used_bytes", "DCGM"),
        ),
    ),
    Panel(
        "gpu-power",
        "GPU power",
        "W",
        (
            Source(_NVML, "gpu_power_w"),
            Source(_NVML, "gpu_power_limit_w", "limit"),
            Source(_DCGM, "gpu_power_w", "DCGM"),
        ),
        period="gpu_power_update_period_s",
    ),
    Panel(
        "gpu-clocks",
        "GPU clocks",
        "MHz",
        (
            Source(_NVML, "gpu_sm_clock_mhz", "SM"),
            Source(_NVML, "gpu_memory_clock_mhz", "memory"),
        ),
    ),
    Panel(
        "gpu-temperature",
        "GPU temperature",
        "°C",
        (Source(_NVML, "gpu_temperature_c"),),
    ),
    Panel(
        "gpu-pcie",
        "GPU traffic over PCIe",
        "B/s",
        (
            Source(_NVML, "gpu_pcie_sent_bytes_per_s", "sent"),
            Source(_NVML, "gpu_pcie_received_bytes_per_s", "received"),
        ),
    ),
    Panel(
        "gpu-nvlink",
        "GPU traffic over NVLink",
        "B/s",
        (
            Source(_NVML, "gpu_nvlink_sent_bytes_total", "sent", "per_second"),
            Source(_NVML, "gpu_nvlink_received_bytes_total", "received", "per_second"),
        ),
    ),
    Panel("process-cpu", "CPU by process", "cores", (Source("process", "cpu_cores"),)),
    Panel("process-memory", "Memory by process", "B", (Source("process", "rss_bytes"),)),
    Panel(
        "host-cpu",
        "CPU of the whole host",
        "1",
        (
            Source("host", "cpu_util_fraction", "all cores"),
            Source("host", "cpu_max_core_fraction", "busiest core"),
        ),
    ),
    Panel(
        "host-memory",
        "Memory of the whole host",
        "B",
        (Source("host", "memory_used_bytes", "in use"),),
    ),
)


def device_words(device: str) -> str:
    """Return a device as keys name it: engine:NAME is "engine NAME", HOST:gpu0 "HOST gpu0"."""
    return device.replace(":", " ").replace("/mig", " MIG ")
