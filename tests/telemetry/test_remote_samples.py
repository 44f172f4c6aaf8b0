"""Whose a remote host's samples are, under which name, and when."""

import pytest

from observatory.core.sample import Sample
from observatory.telemetry.remote.remote_samples import (
    RemoteHost,
    moved_here,
    subject_here,
    used_gpus,
)


def sample(sensor: str, device: str, metric: str = "gpu_power_w") -> Sample:
    return Sample(100, sensor, "shared_host", device, metric, 1.0)


ROLE = Sample(1, "nvml", "target", "engine:watched", "gpu1_memory_used_bytes", 5.0)
SLICE = Sample(1, "nvml", "target", "engine:watched", "gpu2/mig3_memory_used_bytes", 5.0)


def test_the_gpus_of_the_watched_engine() -> None:
    other = Sample(1, "nvml", "client", "client", "gpu0_memory_used_bytes", 5.0)
    assert used_gpus([ROLE, SLICE, other, sample("nvml", "gpu0")]) == {"gpu1", "gpu2"}


@pytest.mark.parametrize(
    ("host", "used", "target"),
    [
        (RemoteHost("lab", "shared_host"), {"gpu1"}, set()),
        (RemoteHost("lab", "target"), None, {"gpu0", "gpu1", "gpu1/mig0", "engine:watched"}),
        (RemoteHost("lab", "target"), {"gpu1"}, {"gpu1", "gpu1/mig0", "engine:watched"}),
        (RemoteHost("lab", "target"), set(), {"engine:watched"}),
        (RemoteHost("lab", "target", [0]), {"gpu1"}, {"gpu0", "engine:watched"}),
        (RemoteHost("lab", "target", []), None, {"engine:watched"}),
    ],
)
def test_whose_a_device_is(host: RemoteHost, used: set[str] | None, target: set[str]) -> None:
    found = {
        device
        for sensor, device in [
            ("nvml", "gpu0"),
            ("nvml", "gpu1"),
            ("nvml", "gpu1/mig0"),
            ("nvml", "engine:watched"),
            ("nvml", ""),
            ("rapl", "cpu/package-0"),
            ("host", ""),
        ]
        if subject_here(host, sample(sensor, device), used) == "target"
    }
    assert found == target


def test_samples_get_this_runs_instants_and_the_hosts_name() -> None:
    host = RemoteHost("lab", "target")
    power, load = moved_here(
        host, [sample("nvml", "gpu0"), sample("host", "", "load_1min")], None, lambda at: at - 40
    )
    assert power == Sample(60, "nvml", "target", "lab:gpu0", "gpu_power_w", 1.0)
    assert load == Sample(60, "host", "shared_host", "lab", "load_1min", 1.0)
