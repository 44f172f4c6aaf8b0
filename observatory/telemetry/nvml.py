"""NVIDIA GPUs through the driver's own library (pynvml): one reading of every GPU.

Every error of the driver becomes a null with the error's name; a machine without the driver says
so once and is not asked again.
"""

from collections.abc import Callable, Mapping
from typing import Any

import pynvml

from observatory.core.sample import Sample
from observatory.telemetry.process import subject_of, tree
from observatory.telemetry.sensor import down, up


def error_name(error: pynvml.NVMLError) -> str:
    """The error as its class names it, e.g. NVMLError_NotSupported; unknown codes by number."""
    name = type(error).__name__
    return name if name != "NVMLError" else f"NVMLError {error.value}"


def _event_reasons(handle: Any) -> float:
    try:
        return float(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except pynvml.NVMLError_FunctionNotFound:  # drivers before 535 know the old name only
        return float(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


READINGS: dict[str, Callable[[Any], float]] = {
    "gpu_util_fraction": lambda gpu: pynvml.nvmlDeviceGetUtilizationRates(gpu).gpu / 100,
    "gpu_memory_used_bytes": lambda gpu: float(pynvml.nvmlDeviceGetMemoryInfo(gpu).used),
    "gpu_memory_total_bytes": lambda gpu: float(pynvml.nvmlDeviceGetMemoryInfo(gpu).total),
    "gpu_power_w": lambda gpu: pynvml.nvmlDeviceGetPowerUsage(gpu) / 1e3,
    "gpu_energy_j": lambda gpu: pynvml.nvmlDeviceGetTotalEnergyConsumption(gpu) / 1e3,
    "gpu_sm_clock_mhz": lambda gpu: float(pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_SM)),
    "gpu_memory_clock_mhz": lambda gpu: float(
        pynvml.nvmlDeviceGetClockInfo(gpu, pynvml.NVML_CLOCK_MEM)
    ),
    "gpu_temperature_c": lambda gpu: float(
        pynvml.nvmlDeviceGetTemperature(gpu, pynvml.NVML_TEMPERATURE_GPU)
    ),
    "gpu_throttle_bits": _event_reasons,
}
"""Metric -> how it is read. gpu_util_fraction is the share of time with any kernel running, not
occupancy; gpu_energy_j counts since the driver was loaded; gpu_throttle_bits is NVML's
nvmlClocksEventReasons mask (0: full clocks)."""


class NvmlSensor:
    """Every GPU as device gpu0, gpu1 ...; and, by role, the GPU memory of our own processes.

    The latter are samples whose device is the role and whose metric is gpu0_memory_used_bytes and
    so on: they say which GPU an engine uses, as far as the driver shows processes (inside a
    container it shows other process ids, and then none is found).
    """

    name = "nvml"

    def __init__(self, roles: Callable[[], Mapping[str, int]]) -> None:
        self._roles = roles
        self._gpus: list[Any] | None = None
        self._absent = False

    def read(self, now: int) -> list[Sample]:
        """The samples of all GPUs; after a failed start one `up` = 0, and nothing from then on."""
        if self._absent:
            return []
        if self._gpus is None:
            try:
                pynvml.nvmlInit()
                count = pynvml.nvmlDeviceGetCount()
                self._gpus = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
            except pynvml.NVMLError as error:
                self._absent = True
                return [down(self.name, now, error_name(error))]
        if not self._gpus:
            self._absent = True
            return [down(self.name, now, "the driver lists no GPU")]
        samples: list[Sample] = []
        for index, gpu in enumerate(self._gpus):
            samples += self._read_gpu(now, f"gpu{index}", gpu)
        return samples + self._read_roles(now, self._gpus)

    def _read_gpu(self, now: int, device: str, gpu: Any) -> list[Sample]:
        samples = []
        for metric, reading in READINGS.items():
            value, reason = None, None
            try:
                value = reading(gpu)
            except pynvml.NVMLError as error:
                reason = error_name(error)
            samples.append(Sample(now, self.name, "shared_host", device, metric, value, reason))
        reasons = {sample.reason for sample in samples}
        if all(sample.value is None for sample in samples):
            reason = ", ".join(sorted(text for text in reasons if text))
            return [down(self.name, now, reason, device=device), *samples]
        return [up(self.name, now, device=device), *samples]

    def _read_roles(self, now: int, gpus: list[Any]) -> list[Sample]:
        used: dict[int, dict[int, float | None]] = {}
        for index, gpu in enumerate(gpus):
            try:
                processes = pynvml.nvmlDeviceGetComputeRunningProcesses_v3(gpu)
            except pynvml.NVMLError:
                continue
            for process in processes:
                used.setdefault(process.pid, {})[index] = process.usedGpuMemory
        if not used:
            return []
        samples = []
        for role, pid in sorted(self._roles().items()):
            amounts: dict[int, list[float | None]] = {}
            for member in tree(pid):
                for index, amount in used.get(member, {}).items():
                    amounts.setdefault(index, []).append(amount)
            samples += [
                _role_memory(now, role, index, parts) for index, parts in sorted(amounts.items())
            ]
        return samples


def _role_memory(now: int, role: str, index: int, parts: list[float | None]) -> Sample:
    known = [float(part) for part in parts if part is not None]
    whole = len(known) == len(parts)
    return Sample(
        at=now,
        sensor="nvml",
        subject=subject_of(role),
        device=role,
        metric=f"gpu{index}_memory_used_bytes",
        value=sum(known) if whole else None,
        reason=None if whole else "the driver lists the process without its memory",
    )
