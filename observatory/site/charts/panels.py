"""The catalogue of a run's panels over time: which sensors' readings are in which panel.

One entry a quantity, top to bottom as the page shows them; a panel without readings is not drawn.
"""

from dataclasses import dataclass
from typing import Literal

Reading = Literal["as_read", "since_start", "per_second", "share_of"]
"""as_read; or of a counter: what it gained since the first reading, its gain a second, or its gain
as a share of another counter's (Source.of)."""


@dataclass(frozen=True, slots=True)
class PanelSource:
    """One sensor's metric, and words for the key with the device's name."""

    sensor: str
    metric: str
    words: str = ""
    reading: Reading = "as_read"
    of: str | None = None


@dataclass(frozen=True, slots=True)
class ChartPanel:
    """One quantity. period is the metric in which a sensor reports its own update period, if it does."""

    name: str
    title: str
    unit: str
    sources: tuple[PanelSource, ...]
    about: str = ""
    period: str | None = None


_FROM_SERVER = "As the engine's own /metrics reports."
_NVML, _DCGM, _ENGINE = "nvml", "dcgm", "engine"

PANELS = (
    ChartPanel(
        "engine-requests",
        "Requests in the engine",
        "requests",
        (
            PanelSource(_ENGINE, "engine_requests_running", "running"),
            PanelSource(_ENGINE, "engine_requests_waiting", "waiting"),
        ),
        _FROM_SERVER,
    ),
    ChartPanel(
        "engine-kv-cache",
        "KV cache in use",
        "1",
        (PanelSource(_ENGINE, "engine_kv_cache_fraction"),),
        _FROM_SERVER,
    ),
    ChartPanel(
        "engine-preemptions",
        "Preemptions since the run began",
        "requests",
        (PanelSource(_ENGINE, "engine_preemptions_total", reading="since_start"),),
        "Running requests that were put back for want of KV cache, as the engine reports.",
    ),
    ChartPanel(
        "engine-prefix-cache",
        "Prompt tokens found in the prefix cache",
        "1",
        (
            PanelSource(
                _ENGINE,
                "engine_prefix_cache_hits_total",
                reading="share_of",
                of="engine_prefix_cache_queries_total",
            ),
        ),
        "Share of the tokens looked up between two readings, as the engine reports.",
    ),
    ChartPanel(
        "engine-tokens",
        "Tokens a second in the engine",
        "1/s",
        (
            PanelSource(_ENGINE, "engine_output_tokens_total", "generated", "per_second"),
            PanelSource(_ENGINE, "engine_prompt_tokens_total", "taken in", "per_second"),
        ),
        _FROM_SERVER,
    ),
    ChartPanel(
        "gpu-util",
        "GPU activity",
        "1",
        (
            PanelSource(_NVML, "gpu_util_fraction", "any kernel running (NVML)"),
            PanelSource(_DCGM, "sm_active_fraction", "SMs active (DCGM)"),
            PanelSource(_DCGM, "gpu_util_fraction", "any kernel running (DCGM)"),
        ),
        "NVML counts the time with any kernel running, however small; only the share of active "
        "multiprocessors shows how much of the GPU worked.",
        "gpu_util_update_period_s",
    ),
    ChartPanel(
        "gpu-memory",
        "GPU memory in use",
        "B",
        (
            PanelSource(_NVML, "gpu_memory_used_bytes"),
            PanelSource(_DCGM, "gpu_memory_used_bytes", "DCGM"),
        ),
    ),
    ChartPanel(
        "gpu-power",
        "GPU power",
        "W",
        (
            PanelSource(_NVML, "gpu_power_w"),
            PanelSource(_NVML, "gpu_power_limit_w", "limit"),
            PanelSource(_DCGM, "gpu_power_w", "DCGM"),
        ),
        period="gpu_power_update_period_s",
    ),
    ChartPanel(
        "gpu-clocks",
        "GPU clocks",
        "MHz",
        (
            PanelSource(_NVML, "gpu_sm_clock_mhz", "SM"),
            PanelSource(_NVML, "gpu_memory_clock_mhz", "memory"),
        ),
    ),
    ChartPanel(
        "gpu-temperature",
        "GPU temperature",
        "°C",
        (PanelSource(_NVML, "gpu_temperature_c"),),
    ),
    ChartPanel(
        "gpu-pcie",
        "GPU traffic over PCIe",
        "B/s",
        (
            PanelSource(_NVML, "gpu_pcie_sent_bytes_per_s", "sent"),
            PanelSource(_NVML, "gpu_pcie_received_bytes_per_s", "received"),
        ),
    ),
    ChartPanel(
        "gpu-nvlink",
        "GPU traffic over NVLink",
        "B/s",
        (
            PanelSource(_NVML, "gpu_nvlink_sent_bytes_total", "sent", "per_second"),
            PanelSource(_NVML, "gpu_nvlink_received_bytes_total", "received", "per_second"),
        ),
    ),
    ChartPanel("process-cpu", "CPU by process", "cores", (PanelSource("process", "cpu_cores"),)),
    ChartPanel("process-memory", "Memory by process", "B", (PanelSource("process", "rss_bytes"),)),
    ChartPanel(
        "host-cpu",
        "CPU of the whole host",
        "1",
        (
            PanelSource("host", "cpu_util_fraction", "all cores"),
            PanelSource("host", "cpu_max_core_fraction", "busiest core"),
        ),
    ),
    ChartPanel(
        "host-memory",
        "Memory of the whole host",
        "B",
        (PanelSource("host", "memory_used_bytes", "in use"),),
    ),
)


def device_words(device: str) -> str:
    """Return a device as keys name it: engine:NAME is "engine NAME", HOST:gpu0 "HOST gpu0"."""
    return device.replace(":", " ").replace("/mig", " MIG ")
