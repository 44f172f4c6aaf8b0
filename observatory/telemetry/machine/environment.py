"""What a run was made on and with: the machine, its processors, GPUs, the code's state, packages.

Every field that cannot be had is null. `host` is the machine's name: runs are private, and pages
that are published must leave it out unless a person requests it.
"""

import os
import platform
import socket
import subprocess
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import pynvml

from observatory.telemetry.sensors.nvml_readings import error_name

_ITS_OWN_NAME = (
    "locust", "gevent", "duckdb", "polars", "altair", "openai", "codecarbon", "nvidia-ml-py",
    "genai-prices", "ecologits", "xllamacpp",
)  # fmt: skip
PACKAGES = {"observatory": "inference-observatory", **{name: name for name in _ITS_OWN_NAME}}
"""Name in a manifest -> name of the distribution."""


def software_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a run depends on; a missing one is left out."""
    versions = {"python": platform.python_version()}
    for name, distribution in PACKAGES.items():
        try:
            versions[name] = metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return versions


def describe_environment(folder: Path) -> dict[str, Any]:
    """Return the machine as JSON-ready values; `folder` is where git's state is read.

    Keys: host, os, kernel, architecture, cpu_model, cpu_governor, cores_physical, cores_logical,
    cores_usable, memory_bytes, gpus, gpu_driver, gpu_reason, container, hypervisor,
    git_commit, git_dirty.
    """
    gpus, driver, reason = gpu_inventory()
    commit, dirty = git_state(folder)
    return {
        "host": socket.gethostname(),
        "os": _os_name(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpu_model": cpu_model(),
        "cpu_governor": cpu_governor(),
        "cores_physical": psutil.cpu_count(logical=False),
        "cores_logical": psutil.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)) if sys.platform == "linux" else None,
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpus,
        "gpu_driver": driver,
        "gpu_reason": reason,
        "container": _container(),
        "hypervisor": _hypervisor(),
        "git_commit": commit,
        "git_dirty": dirty,
    }


def gpu_inventory() -> tuple[list[str], str | None, str | None]:
    """Return (names of the NVIDIA GPUs in NVML's order, driver version, why there are none)."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return [], None, error_name(error)
    try:
        names = [
            str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(index)))
            for index in range(pynvml.nvmlDeviceGetCount())
        ]
        return names, str(pynvml.nvmlSystemGetDriverVersion()), None
    except pynvml.NVMLError as error:
        return [], None, error_name(error)
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def cpu_model() -> str | None:
    """Return the processor's name as the kernel gives it (x86: model name; ARM boards: Model)."""
    for line in (_text(Path("/proc/cpuinfo")) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model", "cpu model") and value.strip():
            return value.strip()
    return platform.processor() or None


def cpu_governor() -> str | None:
    """Return the frequency governors in use, e.g. "performance"; null where the kernel shows none."""
    files = Path("/sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor")
    found = {text.strip() for file in files if (text := _text(file))}
    return ", ".join(sorted(found)) or None


def git_state(folder: Path) -> tuple[str | None, bool | None]:
    """Return (commit, whether tracked files differ from it); (None, None) outside a repository."""
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None, None
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return commit, None if changes is None else changes != ""


def _git(folder: Path, *arguments: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
            env=environment,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _container() -> str | None:
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    return None


def _hypervisor() -> str | None:
    for line in (_text(Path("/proc/cpuinfo")) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "flags":
            if "hypervisor" not in value.split():
                return None
            vendor = _text(Path("/sys/class/dmi/id/sys_vendor"))
            return vendor.strip() if vendor and vendor.strip() else "unnamed"
    return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
