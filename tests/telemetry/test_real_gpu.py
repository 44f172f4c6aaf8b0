"""The NVML sensor on a real GPU against nvidia-smi, and its counter against the integral of its power.

Skipped, with the reason, where there is none. The comparison of the two energies is at rest: under load
it is the gate energy_disagrees that holds them together.
"""

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from observatory.core.clock import new_anchor
from observatory.core.journal import decode_samples
from observatory.core.sample import Sample
from observatory.core.sensor_config import Telemetry
from observatory.economics.window import counted, integrated
from observatory.telemetry.sampler_process import start_sampler
from observatory.telemetry.sensors.nvml import NvmlSensor
from observatory.telemetry.sensors.throttle import throttle_reasons

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="needs an NVIDIA GPU"),
]
WINDOW_S = 20.0
"""Two hundred updates of the slowest power sensor known."""
POWER_TOLERANCE = 0.05
"""NVIDIA's tolerance of power.draw; also, the two readings are moments apart."""


def smi(*fields: str) -> list[list[str]]:
    """Return nvidia-smi's current values, a row per GPU."""
    done = subprocess.run(
        ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"],
        check=True,
        capture_output=True,
        text=True,
    )
    return [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines()]


def by_gpu(samples: list[Sample], metric: str) -> list[float | None]:
    """The values of whole GPUs, in the driver's order."""
    return [s.value for s in samples if s.metric == metric and "/" not in s.device]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """What the sampler's own process read of this machine, ten times a second."""
    folder = tmp_path_factory.mktemp("gpu")
    handle = start_sampler(folder, new_anchor(), Telemetry(interval="100ms", codecarbon=False))
    time.sleep(WINDOW_S)
    handle.stop()
    samples = list(decode_samples(Path(handle.journal).read_bytes()))
    if keep := os.environ.get("KEEP_GPU_RECORDING"):
        shutil.copy(handle.journal, keep)
    return samples


def test_what_stands_still_agrees_with_nvidia_smi() -> None:
    reported = smi("memory.total", "enforced.power.limit")
    samples = NvmlSensor(dict).read(0)
    total = by_gpu(samples, "gpu_memory_total_bytes")
    assert [round(value / 2**20) for value in total if value is not None] == [
        float(row[0]) for row in reported
    ]
    for limit, row in zip(by_gpu(samples, "gpu_power_limit_w"), reported, strict=True):
        if limit is not None:
            assert limit == pytest.approx(float(row[1]), abs=0.01)
    assert all(s.value == 1 for s in samples if s.metric == "up")


def test_the_samplers_readings_agree_with_nvidia_smi(sampled: list[Sample]) -> None:
    """Power and temperature of an undisturbed GPU, read by both within seconds."""
    for index, (power, temperature) in enumerate(smi("power.draw", "temperature.gpu")):
        own = [s for s in sampled if s.device == f"gpu{index}" and s.value is not None]
        powers = [s.value for s in own if s.metric == "gpu_power_w" and s.value is not None]
        heats = [s.value for s in own if s.metric == "gpu_temperature_c" and s.value is not None]
        if powers and power.replace(".", "").isdigit():
            slack = POWER_TOLERANCE * float(power)
            assert min(powers) - slack <= float(power) <= max(powers) + slack
        if heats:
            assert min(heats) - 3 <= float(temperature) <= max(heats) + 3


def test_the_counter_agrees_with_the_integral(sampled: list[Sample]) -> None:
    gpus = {s.device for s in sampled if s.metric == "gpu_energy_j" and s.value is not None}
    if not gpus:
        pytest.skip("no GPU here has an energy counter")
    for gpu in sorted(gpus):
        series = {
            metric: [
                (s.at, s.value)
                for s in sampled
                if s.device == gpu and s.metric == metric and s.value is not None
            ]
            for metric in ("gpu_energy_j", "gpu_power_w")
        }
        start, end = series["gpu_energy_j"][5][0], series["gpu_energy_j"][-5][0]
        counter = counted(series["gpu_energy_j"], start, end).value
        integral = integrated(series["gpu_power_w"], start, end).value
        assert counter is not None and integral is not None
        assert integral == pytest.approx(counter, rel=0.1)


def test_what_a_real_sensor_says_is_believed_and_its_period_is_said(sampled: list[Sample]) -> None:
    assert not [s for s in sampled if s.reason and s.reason.startswith("implausible")]
    masks = {int(s.value) for s in sampled if s.metric == "gpu_throttle_bits" and s.value}
    assert not [name for mask in masks for name in throttle_reasons(mask) if name.startswith("bit")]
    periods = [s for s in sampled if s.metric == "gpu_power_update_period_s"]
    assert periods
    for period in periods:
        assert period.reason or (period.value is not None and 0.001 < period.value < 2)
