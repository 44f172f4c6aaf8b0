"""Another host's samples as samples of this run: whose they are, of which device, at which instant.

Pure: the clock that moves the instants is given, and nothing is fetched here.
"""

import re
from collections.abc import Callable, Iterable
from typing import Literal

import msgspec

from observatory.core.connection import Connection
from observatory.core.sample import Sample, Subject

_ROLE_ROW = re.compile(r"^(gpu\d+)(?:/mig\d+)?_memory_used_bytes$")
_OF_GPUS = frozenset({"nvml", "dcgm"})
ENGINE = "engine:"


class RemoteHost(msgspec.Struct, frozen=True):
    """A host with a probe: its name here, and whose its GPUs are.

    subject: whose the GPUs in `gpus` are (None: those that the watched engine uses, or all of them
    where the probe watches none); all else of the host is shared.
    """

    name: str
    subject: Literal["target", "shared_host"]
    gpus: list[int] | None = None


class ProbeAddress(msgspec.Struct, frozen=True):
    """A probe on another host: whose its GPUs are and how to connect; no secret is in it."""

    host: RemoteHost
    connection: Connection


def used_gpus(samples: Iterable[Sample]) -> set[str]:
    """Return the GPUs that a watched engine has memory of, by the probe's own device names."""
    return {
        match[1]
        for sample in samples
        if sample.sensor == "nvml" and sample.device.startswith(ENGINE)
        if (match := _ROLE_ROW.match(sample.metric))
    }


def device_here(host: str, device: str) -> str:
    """Return the name here: gpu0 of host lab is lab:gpu0; what has no device there is of lab itself."""
    return f"{host}:{device}" if device else host


def subject_here(host: RemoteHost, sample: Sample, used: set[str] | None) -> Subject:
    """Return whose a remote sample is. used: the watched engine's GPUs; None where nothing is watched."""
    if host.subject != "target":
        return "shared_host"
    if sample.device.startswith(ENGINE):
        return "target"
    if sample.sensor not in _OF_GPUS or not sample.device.startswith("gpu"):
        return "shared_host"
    gpu = sample.device.partition("/")[0]
    if host.gpus is not None:
        return "target" if gpu in {f"gpu{index}" for index in host.gpus} else "shared_host"
    return "target" if used is None or gpu in used else "shared_host"


def moved_here(
    host: RemoteHost, samples: list[Sample], used: set[str] | None, instant: Callable[[int], int]
) -> list[Sample]:
    """Return the samples with this run's instants, the host's name before their devices, and whose they are."""
    return [
        msgspec.structs.replace(
            sample,
            at=instant(sample.at),
            subject=subject_here(host, sample, used),
            device=device_here(host.name, sample.device),
        )
        for sample in samples
    ]
