"""NVIDIA GPUs through the driver's own library (pynvml): every GPU, and every MIG device on it.

Every error of the driver becomes a null with the error's name; a machine without the driver
has one `up` = 0 and is not read again.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pynvml

from observatory.core.sample import Sample
from observatory.telemetry.sensors import nvml_readings
from observatory.telemetry.sensors.process import subject_of, tree
from observatory.telemetry.sensors.sensor import down, up
from observatory.telemetry.sensors.update_periods import measure_update_periods

_NO_MEMORY = "the driver lists the process without its memory"


@dataclass(frozen=True, slots=True)
class Device:
    """A GPU (gpu0) or a MIG device on one (gpu0/mig1; parent gpu0). sliced: it has MIG devices."""

    name: str
    handle: Any
    parent: str | None = None
    sliced: bool = False


def list_devices() -> list[Device]:
    """Return every GPU in the driver's order (by PCI address, not CUDA's), each before its MIG devices."""
    devices = []
    for index in range(pynvml.nvmlDeviceGetCount()):
        handle = pynvml.nvmlDeviceGetHandleByIndex(index)
        parts = _mig_devices(f"gpu{index}", handle)
        devices += [Device(f"gpu{index}", handle, sliced=bool(parts)), *parts]
    return devices


def _mig_devices(gpu: str, handle: Any) -> list[Device]:
    try:
        current, _pending = pynvml.nvmlDeviceGetMigMode(handle)
        if current != pynvml.NVML_DEVICE_MIG_ENABLE:
            return []
        count = pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)
    except pynvml.NVMLError:  # a model, or a driver, that knows no MIG
        return []
    found = []
    for index in range(count):
        with suppress(pynvml.NVMLError):  # NotFound: this place is free
            part = pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index)
            found.append(Device(f"{gpu}/mig{index}", part, parent=gpu))
    return found


class NvmlSensor:
    """Every GPU as device gpu0, gpu1 ... (MIG: gpu0/mig0 ...); and, by role, our own processes' memory.

    The latter are samples whose device is the role and whose metric is gpu0_memory_used_bytes and
    so on: they show which GPU an engine uses, as far as the driver shows processes. Of a MIG device
    there are two, of itself (gpu0/mig1_memory_used_bytes) and of the GPU that it is a part of.
    """

    name = "nvml"

    def __init__(self, roles: Callable[[], Mapping[str, int]], *, links: bool = False) -> None:
        self._roles = roles
        self._readings = nvml_readings.READINGS
        self._link_readings = nvml_readings.LINK_READINGS if links else ()
        self._devices: list[Device] | None = None
        self._absent = False
        self._worked = False

    @property
    def gpus(self) -> dict[str, Any]:
        """Whole GPUs by name, as the last reading found them: what has a power sensor of its own."""
        return {d.name: d.handle for d in self._devices or [] if d.parent is None}

    def before_load(self, now: Callable[[], int], stop: Callable[[], bool]) -> list[Sample]:
        """Return how often each GPU's sensors change, from a burst of readings."""
        return measure_update_periods(self.gpus, now, stop)

    def read(self, now: int) -> list[Sample]:
        """Return the samples of all GPUs, all at one instant, so that they can be added up.

        After a failed start one `up` = 0, and nothing from then on. A driver that worked and then
        fails on everything is opened again at the next reading.
        """
        if self._absent:
            return []
        if self._devices is None:
            try:
                pynvml.nvmlInit()
                self._devices = list_devices()
            except pynvml.NVMLError as error:
                self._absent = not self._worked
                return [down(self.name, now, nvml_readings.error_name(error))]
        if not self._devices:
            self._absent = True
            return [down(self.name, now, "the driver lists no GPU")]
        samples: list[Sample] = []
        used: dict[str, list[Any]] = {}
        for device in self._devices:
            samples += self._read_device(now, device, used)
        samples += self._read_roles(now, self._devices, used)
        for device in self._devices if self._link_readings else ():
            if device.parent is None:  # a link is the whole GPU's
                samples += _read_each(now, device, self._link_readings)
        if any(sample.value for sample in samples if sample.metric == "up"):
            self._worked = True
        elif self._worked:
            self._devices = None
            with suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()
        return samples

    def _read_device(self, now: int, device: Device, used: dict[str, list[Any]]) -> list[Sample]:
        samples = _read_each(now, device, self._readings)
        samples.append(_count_processes(now, device, used))
        if all(sample.value is None for sample in samples):
            reasons = {sample.reason for sample in samples if sample.reason}
            return [down(self.name, now, ", ".join(sorted(reasons)), device=device.name), *samples]
        return [up(self.name, now, device=device.name), *samples]

    def _read_roles(
        self, now: int, devices: list[Device], listed: dict[str, list[Any]]
    ) -> list[Sample]:
        used: dict[int, dict[str, float | None]] = {}
        for device in devices:
            if device.sliced:  # its MIG devices list the same processes, and show where they are
                continue
            for process in listed.get(device.name, []):
                amount = process.usedGpuMemory
                used.setdefault(process.pid, {})[device.name] = amount
        if not used:
            return []
        parents = {device.name: device.parent for device in devices}
        samples = []
        for role, pid in sorted(self._roles().items()):
            amounts: dict[str, list[float | None]] = {}
            for member in tree(pid):
                for name, amount in used.get(member, {}).items():
                    amounts.setdefault(name, []).append(amount)
                    if (parent := parents[name]) is not None:
                        amounts.setdefault(parent, []).append(amount)
            samples += [
                _role_memory(now, role, name, parts) for name, parts in sorted(amounts.items())
            ]
        return samples


def _read_each(
    now: int, device: Device, readings: tuple[nvml_readings.Reading, ...]
) -> list[Sample]:
    samples = []
    for reading in readings:
        values: tuple[float | None, ...]
        reason = None
        try:
            values = reading.call(device.handle)
        except pynvml.NVMLError as error:
            values, reason = (None,) * len(reading.metrics), nvml_readings.error_name(error)
        samples += [
            Sample(now, "nvml", "shared_host", device.name, metric, value, reason)
            for metric, value in zip(reading.metrics, values, strict=True)
        ]
    return samples


def _count_processes(now: int, device: Device, used: dict[str, list[Any]]) -> Sample:
    value = reason = None
    try:
        used[device.name] = nvml_readings.processes(device.handle)
        value = float(len(used[device.name]))
    except pynvml.NVMLError as error:
        reason = nvml_readings.error_name(error)
    return Sample(now, "nvml", "shared_host", device.name, "gpu_processes", value, reason)


def _role_memory(now: int, role: str, device: str, parts: list[float | None]) -> Sample:
    known = [float(part) for part in parts if part is not None]
    value, reason = (sum(known), None) if len(known) == len(parts) else (None, _NO_MEMORY)
    metric = f"{device}_memory_used_bytes"
    return Sample(now, "nvml", subject_of(role), role, metric, value, reason)
