"""The burst against a driver that plays recordings: periods found, cost recorded, ended by the load."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from observatory.telemetry.sensors.update_periods import MEASURED, period_samples

WithGpus = Callable[..., Any]
MS = 1_000_000

BURST = """
from observatory.telemetry.sensors.update_periods import measure_update_periods
sensor = NvmlSensor(lambda: {})
sensor.read(1)
samples = measure_update_periods(sensor.gpus, lambda: 9, lambda: STOP)
print(json.dumps([[s.sensor, s.device, s.metric, s.value, s.reason] for s in samples]))
"""


def recording(path: Path, period_ms: int) -> Path:
    """A power sensor that changes every so often and an energy counter twice as fast; 4 s."""
    lines = []
    for number in range(4000 // period_ms):
        at = number * period_ms / 1000
        lines.append(f"{at} 0 power_mw {90_000 + number}")
        lines.append(f"{at} 0 energy_mj {number * 7 * 2}")
        lines.append(f"{at + period_ms / 2000} 0 energy_mj {number * 7 * 2 + 7}")
    path.write_text("\n".join(lines))
    return path


@pytest.mark.live
def test_the_periods_of_a_played_gpu(with_gpus: WithGpus, tmp_path: Path) -> None:
    path = recording(tmp_path / "gpu.txt", 100)
    rows = with_gpus("STOP = False" + BURST, NVML_RECORDING=str(path))
    found = {
        metric: (value, reason) for _, device, metric, value, reason in rows if device == "gpu0"
    }
    power, reason = found["gpu_power_update_period_s"]
    assert power == pytest.approx(0.1, abs=0.02)
    assert reason is None
    assert found["gpu_energy_update_period_s"][0] == pytest.approx(0.05, abs=0.02)
    still, why = found["gpu_util_update_period_s"]
    assert still is None
    assert why.startswith("the value changed 0 times in")
    [[sensor, device, metric, cost, _]] = [row for row in rows if row[0] == "sampler"]
    assert (sensor, device, metric) == ("sampler", "nvml", "burst_cpu_s")
    assert cost > 0


def test_a_load_that_began_ends_it_at_once(with_gpus: WithGpus) -> None:
    rows = with_gpus("STOP = True" + BURST)
    assert [row[3:] for row in rows[:-1]] == [[None, "the load began before it was measured"]] * 3


def test_a_reading_that_is_not_supported_keeps_its_error(with_gpus: WithGpus) -> None:
    rows = with_gpus(
        "import observatory.telemetry.sensors.update_periods as u; u.BURST_S = 0.05; STOP = False"
        + BURST,
        FAIL_nvmlDeviceGetTotalEnergyConsumption="3",
    )
    assert ["nvml", "gpu0", "gpu_energy_update_period_s", None, "NVMLError_NotSupported"] in rows


def test_a_driver_that_hangs_holds_nobody_up(with_gpus: WithGpus) -> None:
    code = "import observatory.telemetry.sensors.update_periods as u; u.PATIENCE_S = -1.9; STOP = False"
    hanging = {"HANG_nvmlDeviceGetPowerUsage": "1", "AFTER_nvmlDeviceGetPowerUsage": "1"}
    assert with_gpus(code + BURST, **hanging) == []


def test_no_gpu_costs_nothing(with_gpus: WithGpus) -> None:
    assert with_gpus("STOP = False" + BURST, GPUS="0") == []


def test_what_was_read_becomes_a_sample_each() -> None:
    sequence = [(n * 5 * MS, float(n // 4)) for n in range(100)]
    samples = period_samples(
        3, {"gpu0": None}, {("gpu0", "gpu_power_w"): sequence}, {("gpu0", "gpu_energy_j"): "Error"}
    )
    assert [(s.metric, s.value, s.reason) for s in samples] == [
        ("gpu_power_update_period_s", pytest.approx(0.02), None),
        ("gpu_energy_update_period_s", None, "Error"),
        ("gpu_util_update_period_s", None, "the load began before it was measured"),
    ]
    assert {s.metric for s in samples} == set(MEASURED.values())
