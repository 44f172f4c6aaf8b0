"""Real pynvml against a driver library built here: units, sequences, and every error code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest

from observatory.telemetry.nvml import READINGS

ERROR_CODES = sorted(
    {value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_")}
)
ONE_READING = "print(json.dumps(rows(NvmlSensor(lambda: {}).read(5))))"
WithGpus = Callable[..., Any]


def test_one_reading_of_two_gpus_in_base_units(with_gpus: WithGpus) -> None:
    rows = with_gpus(ONE_READING, GPUS="2", POWER_MW="250500", ENERGY_MJ="9000000")
    values = {(device, metric): value for _, device, metric, value, _ in rows}
    assert values == {
        ("gpu0", "up"): 1.0,
        ("gpu0", "gpu_util_fraction"): 0.42,
        ("gpu0", "gpu_memory_used_bytes"): 600.0,
        ("gpu0", "gpu_memory_total_bytes"): 1000.0,
        ("gpu0", "gpu_power_w"): 250.5,
        ("gpu0", "gpu_energy_j"): 9000.0,
        ("gpu0", "gpu_sm_clock_mhz"): 1500.0,
        ("gpu0", "gpu_memory_clock_mhz"): 2600.0,
        ("gpu0", "gpu_temperature_c"): 55.0,
        ("gpu0", "gpu_throttle_bits"): 4.0,
        ("gpu1", "up"): 1.0,
        ("gpu1", "gpu_util_fraction"): 0.43,
        ("gpu1", "gpu_memory_used_bytes"): 601.0,
        ("gpu1", "gpu_memory_total_bytes"): 1000.0,
        ("gpu1", "gpu_power_w"): 251.5,
        ("gpu1", "gpu_energy_j"): 9001.0,
        ("gpu1", "gpu_sm_clock_mhz"): 1501.0,
        ("gpu1", "gpu_memory_clock_mhz"): 2601.0,
        ("gpu1", "gpu_temperature_c"): 56.0,
        ("gpu1", "gpu_throttle_bits"): 0.0,
    }
    assert {(subject, reason) for subject, *_, reason in rows} == {("shared_host", None)}


def test_a_sequence_is_read_as_it_comes(with_gpus: WithGpus) -> None:
    code = """
sensor = NvmlSensor(lambda: {})
readings = [dict((m, v) for _, _, m, v, _ in rows(sensor.read(n))) for n in range(4)]
print(json.dumps([[r["gpu_power_w"], r["gpu_energy_j"]] for r in readings]))
"""
    pairs = with_gpus(code, POWER_MW="100000,150000,200000", ENERGY_MJ="1000,101000,251000,451000")
    assert pairs == [[100.0, 1.0], [150.0, 101.0], [200.0, 251.0], [200.0, 451.0]]


def test_every_error_code_is_a_null_with_its_name(with_gpus: WithGpus) -> None:
    """Each code on one call (power); the other readings stay."""
    code = f"""
found = {{}}
for number in {ERROR_CODES}:
    os.environ["FAIL_nvmlDeviceGetPowerUsage"] = str(number)
    found[number] = [r[2:] for r in rows(NvmlSensor(lambda: {{}}).read(1))]
print(json.dumps(found))
"""
    found = with_gpus(code)
    assert len(found) == len(ERROR_CODES) >= 31
    for number, rows in found.items():
        by_metric = {metric: (value, reason) for metric, value, reason in rows}
        value, reason = by_metric.pop("gpu_power_w")
        expected = type(pynvml.NVMLError(int(number))).__name__
        assert value is None
        assert reason == expected != "NVMLError"
        assert by_metric["up"] == (1.0, None)
        assert all(value is not None for value, _ in by_metric.values())


def test_a_code_that_pynvml_does_not_know_is_named_by_number(with_gpus: WithGpus) -> None:
    rows = with_gpus(ONE_READING, FAIL_nvmlDeviceGetPowerUsage="777")
    assert ["shared_host", "gpu0", "gpu_power_w", None, "NVMLError 777"] in rows


@pytest.mark.parametrize(
    ("call", "lost"),
    [
        ("nvmlDeviceGetUtilizationRates", {"gpu_util_fraction"}),
        ("nvmlDeviceGetMemoryInfo", {"gpu_memory_used_bytes", "gpu_memory_total_bytes"}),
        ("nvmlDeviceGetTotalEnergyConsumption", {"gpu_energy_j"}),
        ("nvmlDeviceGetClockInfo", {"gpu_sm_clock_mhz", "gpu_memory_clock_mhz"}),
        ("nvmlDeviceGetTemperature", {"gpu_temperature_c"}),
        ("nvmlDeviceGetCurrentClocksEventReasons", {"gpu_throttle_bits"}),
        ("nvmlDeviceGetComputeRunningProcesses_v3", set()),
    ],
)
def test_a_call_that_is_not_supported_takes_only_its_own_reading(
    with_gpus: WithGpus, call: str, lost: set[str]
) -> None:
    rows = with_gpus(ONE_READING, **{f"FAIL_{call}": str(pynvml.NVML_ERROR_NOT_SUPPORTED)})
    nulls = {metric: reason for _, _, metric, value, reason in rows if value is None}
    assert nulls == dict.fromkeys(lost, "NVMLError_NotSupported")


def test_a_lost_gpu_is_down_and_its_neighbour_is_not(with_gpus: WithGpus) -> None:
    failing = {
        f"FAIL_{call}": str(pynvml.NVML_ERROR_GPU_IS_LOST)
        for call in (
            "nvmlDeviceGetUtilizationRates",
            "nvmlDeviceGetMemoryInfo",
            "nvmlDeviceGetPowerUsage",
            "nvmlDeviceGetTotalEnergyConsumption",
            "nvmlDeviceGetClockInfo",
            "nvmlDeviceGetTemperature",
            "nvmlDeviceGetCurrentClocksEventReasons",
        )
    }
    rows = with_gpus(ONE_READING, **failing)
    assert rows[0] == ["shared_host", "gpu0", "up", 0.0, "NVMLError_GpuIsLost"]
    assert len(rows) == 1 + len(READINGS)
    assert all(value is None for *_, value, _ in rows[1:])


@pytest.mark.parametrize("call", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2"])
def test_a_driver_that_does_not_start_is_said_once(with_gpus: WithGpus, call: str) -> None:
    code = "s = NvmlSensor(lambda: {}); print(json.dumps([rows(s.read(1)), rows(s.read(2))]))"
    answer = with_gpus(code, **{f"FAIL_{call}": str(pynvml.NVML_ERROR_DRIVER_NOT_LOADED)})
    assert answer == [[["shared_host", "", "up", 0.0, "NVMLError_DriverNotLoaded"]], []]


def test_no_library_is_said_once_and_not_looked_for_again(tmp_path: Path) -> None:
    import json
    import subprocess
    import sys

    code = """
import json, ctypes, pynvml
looked = []
def cdll(name, *rest): looked.append(name); raise OSError(name)
pynvml.CDLL = cdll
from observatory.telemetry.nvml import NvmlSensor
sensor = NvmlSensor(lambda: {})
answers = [[[s.device, s.metric, s.value, s.reason] for s in sensor.read(n)] for n in range(3)]
print(json.dumps([answers, looked]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    answers, looked = json.loads(done.stdout)
    assert answers == [[["", "up", 0.0, "NVMLError_LibraryNotFound"]], [], []]
    assert looked == ["libnvidia-ml.so.1"]


def test_a_driver_without_gpus_is_down(with_gpus: WithGpus) -> None:
    assert with_gpus(ONE_READING, GPUS="0") == [
        ["shared_host", "", "up", 0.0, "the driver lists no GPU"]
    ]


def test_an_old_driver_knows_throttle_reasons_by_their_old_name(
    with_gpus: WithGpus, build_nvml: Callable[..., Path]
) -> None:
    rows = with_gpus(ONE_READING, library=build_nvml("-DOLD_DRIVER"))
    assert ["shared_host", "gpu0", "gpu_throttle_bits", 4.0, None] in rows


ROLES = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
os.environ["PROCESSES"] = PROCESSES.format(own=os.getpid(), child=child.pid)
samples = rows(NvmlSensor(lambda: {"engine:here": os.getpid(), "client": child.pid}).read(1))
print(json.dumps([row for row in samples if not row[1].startswith("gpu")]))
child.kill(); child.wait()
"""


def test_gpu_memory_by_role_sums_a_whole_tree(with_gpus: WithGpus) -> None:
    rows = with_gpus('PROCESSES = "{own}:100,{child}:23,4294967:9"\n' + ROLES, GPUS="2")
    assert rows == [
        ["client", "client", "gpu0_memory_used_bytes", 23.0, None],
        ["target", "engine:here", "gpu0_memory_used_bytes", 123.0, None],
    ]


def test_a_process_without_a_figure_is_null_and_not_zero(with_gpus: WithGpus) -> None:
    rows = with_gpus('PROCESSES = "{own}:100,{child}:none"\n' + ROLES)
    reason = "the driver lists the process without its memory"
    assert [(row[1], row[3], row[4]) for row in rows] == [
        ("client", None, reason),
        ("engine:here", None, reason),
    ]


def test_processes_that_are_not_ours_leave_no_row(with_gpus: WithGpus) -> None:
    assert with_gpus('PROCESSES = "4294967:100"\n' + ROLES) == []


def test_the_inventory_names_gpus_and_driver(with_gpus: WithGpus) -> None:
    code = """
from observatory.telemetry.environment import gpu_inventory
print(json.dumps(gpu_inventory()))
"""
    assert with_gpus(code, GPUS="2") == [["Fake GPU 0", "Fake GPU 1"], "999.1", None]
    failed = with_gpus(code, FAIL_nvmlDeviceGetName="3")
    assert failed == [[], None, "NVMLError_NotSupported"]
