"""What can be read of one NVIDIA GPU through its driver's library, in base units.

One row a call of the library, so that a call that fails takes its own readings and no others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pynvml

_ALL_LINKS = 0xFFFFFFFF
"""nvml.h: the scopeId of NVLink throughput fields is the link's number, UINT_MAX all together."""
_BYTES_PER_KIB = 1024
_BYTES_PER_KB = 1000
"""nvml.h states KB/s of PCIe throughput, and KiB of NVLink's."""


def error_name(error: pynvml.NVMLError) -> str:
    """Return the error as its class names it, e.g. NVMLError_NotSupported; unknown codes by number."""
    name = type(error).__name__
    return name if name != "NVMLError" else f"NVMLError {error.value}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One call: the metrics that it gives, and how. It raises NVMLError, never anything else."""

    metrics: tuple[str, ...]
    call: Callable[[Any], tuple[float, ...]]


def processes(gpu: Any) -> list[Any]:
    """Return the compute processes that the driver lists on a GPU or a MIG device (.pid, .usedGpuMemory).

    usedGpuMemory is None where the driver does not report it. In a container they may be the host's ids,
    or none at all.
    """
    try:
        return list(pynvml.nvmlDeviceGetComputeRunningProcesses_v3(gpu))
    except pynvml.NVMLError_FunctionNotFound:  # drivers before 510
        return list(pynvml.nvmlDeviceGetComputeRunningProcesses_v2(gpu))


def _utilisation(gpu: Any) -> tuple[float, ...]:
    rates = pynvml.nvmlDeviceGetUtilizationRates(gpu)
    return rates.gpu / 100, rates.memory / 100


def _memory(gpu: Any) -> tuple[float, ...]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(gpu)
    return float(memory.used), float(memory.total)


def _event_reasons(gpu: Any) -> tuple[float, ...]:
    try:
        return (float(pynvml.nvmlDeviceGetCurrentClocksEventReasons(gpu)),)
    except pynvml.NVMLError_FunctionNotFound:  # drivers before 535 know the old name only
        return (float(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu)),)


def _clock(kind: int) -> Callable[[Any], tuple[float, ...]]:
    return lambda gpu: (float(pynvml.nvmlDeviceGetClockInfo(gpu, kind)),)


def _pcie(counter: int) -> Callable[[Any], tuple[float, ...]]:
    return lambda gpu: (float(pynvml.nvmlDeviceGetPcieThroughput(gpu, counter)) * _BYTES_PER_KB,)


def _nvlink(field: int) -> Callable[[Any], tuple[float, ...]]:
    def read(gpu: Any) -> tuple[float, ...]:
        value = pynvml.nvmlDeviceGetFieldValues(gpu, [(field, _ALL_LINKS)])[0]
        if value.nvmlReturn != pynvml.NVML_SUCCESS:
            raise pynvml.NVMLError(value.nvmlReturn)
        return (float(value.value.ullVal) * _BYTES_PER_KIB,)

    return read


READINGS: tuple[Reading, ...] = (
    Reading(
        ("gpu_energy_j",),
        lambda gpu: (pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3,),
    ),
    Reading(("gpu_power_w",), lambda gpu: (pynvml.nvmlDeviceGetPowerUsage(gpu) / 1e3,)),
    Reading(("gpu_util_fraction", "gpu_memory_util_fraction"), _utilisation),
    Reading(
        ("gpu_power_limit_w",),
        lambda gpu: (pynvml.nvmlDeviceGetEnforcedPowerLimit(gpu) / 1e3,),
    ),
    Reading(("gpu_memory_used_bytes", "gpu_memory_total_bytes"), _memory),
    Reading(("gpu_sm_clock_mhz",), _clock(pynvml.NVML_CLOCK_SM)),
    Reading(("gpu_memory_clock_mhz",), _clock(pynvml.NVML_CLOCK_MEM)),
    Reading(
        ("gpu_temperature_c",),
        lambda gpu: (float(pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU)),),
    ),
    Reading(("gpu_throttle_bits",), _event_reasons),
)
"""gpu_energy_j counts since the driver was loaded. gpu_power_w is an average over a second on Ampere
and later but for GA100, where it is of the moment (nvml.h). gpu_util_fraction is the share of time
with any kernel running, not occupancy; gpu_memory_util_fraction that with device memory being read
or written. gpu_power_limit_w is the limit in force. gpu_throttle_bits is a mask: sensors.throttle."""

LINK_READINGS: tuple[Reading, ...] = (
    Reading(("gpu_pcie_sent_bytes_per_s",), _pcie(pynvml.NVML_PCIE_UTIL_TX_BYTES)),
    Reading(("gpu_pcie_received_bytes_per_s",), _pcie(pynvml.NVML_PCIE_UTIL_RX_BYTES)),
    Reading(
        ("gpu_nvlink_sent_bytes_total",), _nvlink(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_TX)
    ),
    Reading(
        ("gpu_nvlink_received_bytes_total",),
        _nvlink(pynvml.NVML_FI_DEV_NVLINK_THROUGHPUT_DATA_RX),
    ),
)
"""PCIe is measured by the driver over 20 ms, during which the call blocks (nvml.h); sent is from the
GPU. The NVLink counters are of payload, over all links of the GPU."""

METRICS: tuple[str, ...] = tuple(metric for reading in READINGS for metric in reading.metrics)
