"""Real pynvml against a driver library built here: units, sequences, and every error code."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pynvml
import pytest

from observatory.telemetry.sensors.nvml_readings import LINK_READINGS, METRICS

ERROR_CODES = sorted(
    {value for name, value in vars(pynvml).items() if name.startswith("NVML_ERROR_")}
)
ONE_READING = "print(json.dumps(rows(NvmlSensor(lambda: {}).read(5))))"
LINK_METRICS = [metric for reading in LINK_READINGS for metric in reading.metrics]
WithGpus = Callable[..., Any]


def test_one_reading_of_two_gpus_in_base_units(with_gpus: WithGpus) -> None:
    rows = with_gpus(ONE_READING, GPUS="2", POWER_MW="250500", ENERGY_MJ="9000000")
    values = {(device, metric): value for _, device, metric, value, _ in rows}
    first = {
        "up": 1.0,
        "gpu_util_fraction": 0.42,
        "gpu_memory_util_fraction": 0.07,
        "gpu_memory_used_bytes": 600.0,
        "gpu_memory_total_bytes": 1000.0,
        "gpu_power_w": 250.5,
        "gpu_power_limit_w": 700.0,
        "gpu_energy_j": 9000.0,
        "gpu_sm_clock_mhz": 1500.0,
        "gpu_memory_clock_mhz": 2600.0,
        "gpu_temperature_c": 55.0,
        "gpu_throttle_bits": 4.0,
        "gpu_processes": 0.0,
    }
    second = {
        **first,
        "gpu_util_fraction": 0.43,
        "gpu_memory_used_bytes": 601.0,
        "gpu_power_w": 251.5,
        "gpu_energy_j": 9001.0,
        "gpu_sm_clock_mhz": 1501.0,
        "gpu_memory_clock_mhz": 2601.0,
        "gpu_temperature_c": 56.0,
        "gpu_throttle_bits": 0.0,
    }
    assert values == {
        **{("gpu0", metric): value for metric, value in first.items()},
        **{("gpu1", metric): value for metric, value in second.items()},
    }
    assert {(subject, reason) for subject, *_, reason in rows} == {("shared_host", None)}


def test_links_are_read_only_where_asked_for(with_gpus: WithGpus) -> None:
    assert not {row[2] for row in with_gpus(ONE_READING)} & set(LINK_METRICS)
    rows = with_gpus(ONE_READING.replace("{}", "{}, links=True"), GPUS="2", MIG="1")
    links = {(row[1], row[2]): row[3] for row in rows if row[2] in LINK_METRICS}
    assert {device for device, _ in links} == {"gpu0", "gpu1"}
    assert [links["gpu0", metric] for metric in LINK_METRICS] == [
        200_000.0,
        300_000.0,
        5 * 1024.0,
        6 * 1024.0,
    ]


def test_a_link_counter_that_fails_inside_its_answer_is_a_null(with_gpus: WithGpus) -> None:
    rows = with_gpus(
        ONE_READING.replace("{}", "{}, links=True"), FIELD_CODE=str(pynvml.NVML_ERROR_NOT_SUPPORTED)
    )
    assert ["shared_host", "gpu0", LINK_METRICS[2], None, "NVMLError_NotSupported"] in rows


MIG_READING = """
sensor = NvmlSensor(lambda: {})
rows_of = rows(sensor.read(5))
print(json.dumps([rows_of, sorted(sensor.gpus)]))
"""


def test_mig_devices_stand_beside_their_gpu_with_what_they_have(with_gpus: WithGpus) -> None:
    rows, whole = with_gpus(MIG_READING, GPUS="2", MIG="2", POWER_MW="250000")
    assert whole == ["gpu0", "gpu1"]
    assert list(dict.fromkeys(row[1] for row in rows)) == ["gpu0", "gpu0/mig0", "gpu0/mig2", "gpu1"]
    part = {row[2]: (row[3], row[4]) for row in rows if row[1] == "gpu0/mig2"}
    known = {metric for metric, (value, _) in part.items() if value is not None}
    assert known == {"up", "gpu_memory_used_bytes", "gpu_memory_total_bytes", "gpu_processes"}
    assert part["gpu_power_w"] == (None, "NVMLError_NotSupported")
    whole_gpu = {row[2]: row[3] for row in rows if row[1] == "gpu0"}
    assert whole_gpu["gpu_power_w"] == 250.0


def test_a_recording_is_played_over_time(with_gpus: WithGpus, tmp_path: Path) -> None:
    """Values of two GPUs and a MIG device, at the times in the file."""
    recording = tmp_path / "a100.txt"
    recording.write_text(
        "# seconds gpu reading value\n"
        "0 0 power_mw 90000\n0 1 power_mw 60000\n0 0/0 memory_used_bytes 5\n"
        "100 0 power_mw 390000\n100 0 util_percent 100\n100 0 throttle_bits 4\n"
        "1000000000 0 power_mw 1\n"
    )
    code = """
import time
sensor = NvmlSensor(lambda: {})
def values():
    return {f"{r[1]} {r[2]}": r[3] for r in rows(sensor.read(0))}
first = values()
time.sleep(0.3)
print(json.dumps([first, values()]))
"""
    first, later = with_gpus(
        code, NVML_RECORDING=str(recording), NVML_SPEED="500", GPUS="2", MIG="1"
    )
    assert (first["gpu0 gpu_power_w"], later["gpu0 gpu_power_w"]) == (90.0, 390.0)
    assert (first["gpu0 gpu_util_fraction"], later["gpu0 gpu_util_fraction"]) == (0.42, 1.0)
    assert first["gpu1 gpu_power_w"] == later["gpu1 gpu_power_w"] == 60.0
    assert first["gpu0/mig0 gpu_memory_used_bytes"] == 5.0


def test_a_sequence_is_read_as_it_comes(with_gpus: WithGpus) -> None:
    code = """
sensor = NvmlSensor(lambda: {})
readings = [dict((m, v) for _, _, m, v, _ in rows(sensor.read(n))) for n in range(4)]
print(json.dumps([[r["gpu_power_w"], r["gpu_energy_j"]] for r in readings]))
"""
    pairs = with_gpus(code, POWER_MW="100000,150000,200000", ENERGY_MJ="1000,101000,251000,451000")
    assert pairs == [[100.0, 1.0], [150.0, 101.0], [200.0, 251.0], [200.0, 451.0]]


CALLS = {
    "nvmlDeviceGetUtilizationRates": {"gpu_util_fraction", "gpu_memory_util_fraction"},
    "nvmlDeviceGetMemoryInfo": {"gpu_memory_used_bytes", "gpu_memory_total_bytes"},
    "nvmlDeviceGetPowerUsage": {"gpu_power_w"},
    "nvmlDeviceGetEnforcedPowerLimit": {"gpu_power_limit_w"},
    "nvmlDeviceGetTotalEnergyConsumption": {"gpu_energy_j"},
    "nvmlDeviceGetClockInfo": {"gpu_sm_clock_mhz", "gpu_memory_clock_mhz"},
    "nvmlDeviceGetTemperature": {"gpu_temperature_c"},
    "nvmlDeviceGetCurrentClocksEventReasons": {"gpu_throttle_bits"},
    "nvmlDeviceGetComputeRunningProcesses_v3": {"gpu_processes"},
    "nvmlDeviceGetPcieThroughput": set(LINK_METRICS[:2]),
    "nvmlDeviceGetFieldValues": set(LINK_METRICS[2:]),
}
"""Each call of a reading, and what is lost where it fails."""


def test_every_reading_has_its_call_here() -> None:
    assert set.union(*CALLS.values()) == {*METRICS, *LINK_METRICS, "gpu_processes"}


@pytest.mark.parametrize("call", CALLS)
def test_every_error_code_of_every_call_is_a_null_with_its_name(
    with_gpus: WithGpus, call: str
) -> None:
    """Each code of the library's table, on each call by itself; the other readings stay."""
    code = f"""
found = {{}}
for number in {ERROR_CODES}:
    os.environ["FAIL_{call}"] = str(number)
    found[number] = [r[2:] for r in rows(NvmlSensor(lambda: {{}}, links=True).read(1))]
print(json.dumps(found))
"""
    found = with_gpus(code)
    assert len(found) == len(ERROR_CODES) >= 31
    for number, rows in found.items():
        lost = {metric: reason for metric, value, reason in rows if value is None}
        if int(number) == pynvml.NVML_ERROR_INSUFFICIENT_SIZE and "Processes" in call:
            continue  # the call's error for a buffer that is too small is no failure
        expected = type(pynvml.NVMLError(int(number))).__name__
        assert expected != "NVMLError"
        assert lost == dict.fromkeys(CALLS[call], expected), number
        assert ["up", 1.0, None] in rows


@pytest.mark.parametrize("call", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2"])
def test_every_error_code_of_the_start_is_said_once_with_its_name(
    with_gpus: WithGpus, call: str
) -> None:
    code = f"""
found = {{}}
for number in {ERROR_CODES}:
    os.environ["FAIL_{call}"] = str(number)
    sensor = NvmlSensor(lambda: {{}})
    found[number] = [rows(sensor.read(1)), rows(sensor.read(2))]
print(json.dumps(found))
"""
    for number, (first, second) in with_gpus(code).items():
        expected = type(pynvml.NVMLError(int(number))).__name__
        assert first == [["shared_host", "", "up", 0.0, expected]]
        assert second == []


@pytest.mark.parametrize(
    "call",
    [
        "nvmlDeviceGetMigMode",
        "nvmlDeviceGetMaxMigDeviceCount",
        "nvmlDeviceGetMigDeviceHandleByIndex",
    ],
)
def test_a_driver_that_cannot_tell_of_mig_has_whole_gpus(with_gpus: WithGpus, call: str) -> None:
    rows = with_gpus(ONE_READING, MIG="2", **{f"FAIL_{call}": "13"})
    assert {row[1] for row in rows} == {"gpu0"}


def test_a_driver_that_fails_after_it_worked_is_opened_anew(with_gpus: WithGpus) -> None:
    """Every call fails from the third reading on; when they work again, so does the sensor."""
    code = f"""
sensor = NvmlSensor(lambda: {{}})
def states():
    return [r[3:] for r in rows(sensor.read(1)) if r[2] == "up"]
said = [states()]
for call in {list(CALLS)} + ["nvmlInitWithFlags"]:
    os.environ["FAIL_" + call] = "{pynvml.NVML_ERROR_DRIVER_NOT_LOADED}"
said += [states(), states(), states()]
for call in {list(CALLS)} + ["nvmlInitWithFlags"]:
    del os.environ["FAIL_" + call]
said.append(states())
print(json.dumps(said))
"""
    off = [[0.0, "NVMLError_DriverNotLoaded"]]
    assert with_gpus(code) == [[[1.0, None]], off, off, off, [[1.0, None]]]


def test_a_code_that_pynvml_does_not_know_is_named_by_number(with_gpus: WithGpus) -> None:
    rows = with_gpus(ONE_READING, FAIL_nvmlDeviceGetPowerUsage="777")
    assert ["shared_host", "gpu0", "gpu_power_w", None, "NVMLError 777"] in rows


def test_a_lost_gpu_is_down(with_gpus: WithGpus) -> None:
    failing = {f"FAIL_{call}": str(pynvml.NVML_ERROR_GPU_IS_LOST) for call in CALLS}
    rows = with_gpus(ONE_READING, **failing)
    assert rows[0] == ["shared_host", "gpu0", "up", 0.0, "NVMLError_GpuIsLost"]
    assert len(rows) == 1 + len(METRICS) + 1
    assert all(value is None for *_, value, _ in rows[1:])


def test_no_library_is_said_once_and_not_looked_for_again(tmp_path: Path) -> None:
    import json
    import subprocess
    import sys

    code = """
import json, ctypes, pynvml
looked = []
def cdll(name, *rest): looked.append(name); raise OSError(name)
pynvml.CDLL = cdll
from observatory.telemetry.sensors.nvml import NvmlSensor
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


def test_an_old_driver_knows_reasons_and_processes_by_their_old_names(
    with_gpus: WithGpus, build_nvml: Callable[..., Path]
) -> None:
    rows = with_gpus(ONE_READING, library=build_nvml("-DOLD_DRIVER"))
    assert ["shared_host", "gpu0", "gpu_throttle_bits", 4.0, None] in rows
    assert ["shared_host", "gpu0", "gpu_processes", 0.0, None] in rows


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


def test_the_memory_of_a_mig_device_is_its_gpus_too(with_gpus: WithGpus) -> None:
    rows = with_gpus('PROCESSES = "{own}:100"\n' + ROLES, GPUS="2", MIG="1")
    assert rows == [
        ["target", "engine:here", "gpu0_memory_used_bytes", 100.0, None],
        ["target", "engine:here", "gpu0/mig0_memory_used_bytes", 100.0, None],
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
from observatory.telemetry.machine.environment import gpu_inventory
print(json.dumps(gpu_inventory()))
"""
    assert with_gpus(code, GPUS="2") == [["Fake GPU 0", "Fake GPU 1"], "999.1", None]
    failed = with_gpus(code, FAIL_nvmlDeviceGetName="3")
    assert failed == [[], None, "NVMLError_NotSupported"]
