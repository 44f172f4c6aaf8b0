"""The NVML sensor on a real GPU; skipped, with the reason, where there is none."""

import shutil
import subprocess

import pytest

from observatory.telemetry.nvml import NvmlSensor

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="needs an NVIDIA GPU"),
]


def test_memory_agrees_with_nvidia_smi() -> None:
    told = subprocess.run(
        ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
        check=True,
        capture_output=True,
        text=True,
    )
    expected = [float(line) for line in told.stdout.split()]
    samples = NvmlSensor(dict).read(0)
    total = [s.value for s in samples if s.metric == "gpu_memory_total_bytes"]
    assert [round(value / 2**20) for value in total if value is not None] == expected
    assert all(s.value == 1 for s in samples if s.metric == "up")
    powers = [s.value for s in samples if s.metric == "gpu_power_w"]
    assert len(powers) == len(expected)
    assert all(value is None or 0 < value < 2000 for value in powers)
