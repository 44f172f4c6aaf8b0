"""Which GPUs are here and who uses them: real pynvml against the driver library built here."""

import os
from collections.abc import Callable
from typing import Any

from observatory.telemetry.machine.gpu_inventory import read_gpus

WithGpus = Callable[..., Any]
READ = """
from dataclasses import asdict
from observatory.telemetry.machine.gpu_inventory import read_gpus
print(json.dumps([asdict(gpu) for gpu in read_gpus()]))
"""


def test_every_gpu_with_its_memory_and_its_users(with_gpus: WithGpus) -> None:
    found = with_gpus(READ, GPUS="2", PROCESSES=f"{os.getpid()}:100")
    assert [(one["name"], one["index"]) for one in found] == [("gpu0", 0), ("gpu1", 1)]
    assert [one["used_bytes"] for one in found] == [600, 601]
    assert {one["total_bytes"] for one in found} == {1000}
    assert found[1]["users"] == []
    # No name: a process without the driver's device open is not the one that the driver means.
    assert found[0]["users"] == [f"process {os.getpid()}"]


def test_mig_devices_follow_their_gpu(with_gpus: WithGpus) -> None:
    found = with_gpus(READ, GPUS="1", MIG="2")
    assert found[0]["name"] == "gpu0"
    assert {one["index"] for one in found} == {0}
    assert len(found) > 1


def test_without_a_driver_there_is_no_list() -> None:
    import pynvml
    import pytest

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        assert read_gpus() is None
    else:
        pytest.skip("there is a driver here")
