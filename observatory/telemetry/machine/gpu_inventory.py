"""Which GPUs are here, and who uses them already: read from NVML once, before anything starts."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pynvml

from observatory.telemetry.sensors.nvml import list_devices
from observatory.telemetry.sensors.nvml_readings import processes


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU or a MIG device. index: of the whole GPU. users: "name (process 12)" of each that computes.

    used_bytes, total_bytes: null where the driver does not report them.
    """

    name: str
    index: int
    uuid: str | None
    used_bytes: int | None
    total_bytes: int | None
    users: tuple[str, ...]


def read_gpus() -> list[Gpu] | None:
    """Return every GPU by its index, MIG devices after their own; None where no driver answers."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        return [_read(device.name, device.handle) for device in list_devices()]
    except pynvml.NVMLError:
        return None
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _read(name: str, handle: object) -> Gpu:
    uuid = used = total = None
    users: tuple[str, ...] = ()
    with suppress(pynvml.NVMLError):
        found = pynvml.nvmlDeviceGetUUID(handle)
        uuid = found.decode() if isinstance(found, bytes) else str(found)
    with suppress(pynvml.NVMLError):
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        used, total = int(memory.used), int(memory.total)
    with suppress(pynvml.NVMLError):
        users = tuple(_user(int(process.pid)) for process in processes(handle))
    index = int(name.removeprefix("gpu").partition("/")[0])
    return Gpu(name, index, uuid, used, total, users)


def _user(pid: int) -> str:
    """Return the user with its name where it is sure to be that one: in a container the driver reports the
    host's ids."""
    if _has_gpu_open(pid):
        with suppress(psutil.Error):
            return f"{psutil.Process(pid).name()} (process {pid})"
    return f"process {pid}"


def _has_gpu_open(pid: int) -> bool:
    with suppress(OSError):
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                if str(handle.readlink()).startswith("/dev/nvidia"):
                    return True
    return False
