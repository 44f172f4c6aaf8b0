"""The check of a real GPU, against the tests' driver library: comparisons, refusals, and the recording."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from observatory.core.sample import Sample
from tools.gpu_check import Check, Phase, checks_of, refused

ROOT = Path(__file__).resolve().parents[2]
S = 1_000_000_000


def _samples(power_w: float, counted_w: float, util: float = 0.5) -> list[Sample]:
    return [
        Sample(second * S, "nvml", "shared_host", "gpu0", metric, value)
        for second in range(11)
        for metric, value in (
            ("gpu_power_w", power_w),
            ("gpu_energy_j", counted_w * second),
            ("gpu_util_fraction", util),
            ("gpu_memory_used_bytes", 2.0**30),
            ("gpu_memory_total_bytes", 2.0**36),
        )
    ]


def _found(phase: Phase) -> dict[str, bool | None]:
    return {check.what: check.agrees for check in checks_of(phase, ["gpu0"])}


@pytest.mark.parametrize(
    ("counted_w", "agrees"), [(300, True), (292, True), (280, False), (0, False)]
)
def test_the_counter_is_held_against_the_trapezoid_of_power(counted_w: float, agrees: bool) -> None:
    assert _found(Phase("idle", _samples(300, counted_w)))["energy"] is agrees


@pytest.mark.parametrize(
    ("expected", "wrong"),
    [
        ([55.0, 1024.0, 65536.0, 305.0], set()),
        ([75.0, 1024.0, 65536.0, 305.0], {"utilisation"}),
        ([55.0, 1100.0, 65536.0, 305.0], {"memory"}),
        ([55.0, 1024.0, 32768.0, 305.0], {"memory in all"}),
        ([55.0, 1024.0, 65536.0, 330.0], {"power"}),
    ],
)
def test_each_figure_of_nvidia_smi_is_held_against_ours(
    expected: list[float], wrong: set[str]
) -> None:
    phase = Phase("matmul", _samples(300, 300), smi=[[list(expected)], [list(expected)]])
    assert {what for what, agrees in _found(phase).items() if agrees is False} == wrong


def test_what_was_not_read_is_not_compared_and_says_why() -> None:
    phase = Phase("idle", _samples(300, 300), smi=[[[None, None, None, None]]])
    checks = {check.what: check for check in checks_of(phase, ["gpu0"])}
    assert checks["power"].agrees is None
    assert checks["power"].note == "nvidia-smi gave no reading"
    assert checks["power by the probe"].note == "the probe gave no reading"
    nothing = next(iter(checks_of(Phase("idle"), ["gpu0"])))
    assert (nothing.agrees, nothing.note) == (None, "no counter or no power")


def test_the_probe_is_held_against_the_sensor() -> None:
    probed = [Sample(S, "nvml", "shared_host", "probe:gpu0", "gpu_power_w", 400.0)]
    phase = Phase("idle", _samples(300, 300), probed)
    assert _found(phase)["power by the probe"] is False


def test_a_field_is_refused_where_it_was_never_read() -> None:
    samples = [
        Sample(at, "nvml", "shared_host", device, "gpu_temperature_c", value, reason)
        for at, device, value, reason in (
            (1, "gpu0", None, "NVMLError_Timeout"),
            (2, "gpu0", 50.0, None),
            (1, "gpu1", None, "NVMLError_NotSupported"),
        )
    ]
    assert refused(samples) == {"gpu1 gpu_temperature_c": "NVMLError_NotSupported"}


def test_a_share_of_nothing_is_no_division() -> None:
    assert Check("idle", "gpu0", "power", 0.0, 0.0, 0.03).agrees is True


def test_it_checks_a_driver_and_what_it_recorded_can_be_replayed(
    nvml_folder: Path, with_gpus: Callable[..., object], tmp_path: Path
) -> None:
    """With a driver that refuses temperatures, an nvidia-smi that agrees, and no PyTorch."""
    smi = tmp_path / "bin" / "nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(
        "#!/bin/sh\necho '42, 0.0005722, 0.0009537, 250'\necho '43, [N/A], [N/A], 250'\n"
    )
    smi.chmod(0o755)
    command = ["-m", "tools.gpu_check", "--idle", "1", "--matmul", "0", "--memory", "1"]
    command += ["--interval", "0.05", "--python", "/bin/false", "--out", str(tmp_path / "out")]
    variables = {"GPUS": "2", "POWER_MW": "250000", "FAIL_nvmlDeviceGetTemperature": "3"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={
            **os.environ,
            **variables,
            "LD_LIBRARY_PATH": str(nvml_folder),
            "PATH": f"{smi.parent}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tmp_path / "out" / "report.json").exists(), done.stdout + done.stderr
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["refused"] == {
        f"gpu{index} gpu_temperature_c": "NVMLError_NotSupported" for index in (0, 1)
    }
    assert report["phases"]["matmul"] == "left out"
    assert report["phases"]["memory"] == "its load ended: no word"
    agreed = {
        (c["device"], c["what"]): c["agrees"] for c in report["checks"] if c["phase"] == "idle"
    }
    assert agreed["gpu0", "utilisation"] is True
    assert agreed["gpu0", "memory"] is True
    assert agreed["gpu0", "power"] is True
    assert agreed["gpu1", "memory"] is None
    assert agreed["gpu0", "energy"] is False  # this driver's counter does not advance
    assert done.returncode == 1

    lines = (tmp_path / "out" / "gpu.recording").read_text()
    assert "temperature" not in lines
    assert "uuid" not in lines.lower()
    replay = "print(json.dumps(rows(NvmlSensor(lambda: {}).read(5))))"
    rows = with_gpus(replay, GPUS="2", NVML_RECORDING=str(tmp_path / "out" / "gpu.recording"))
    assert isinstance(rows, list)
    values = {(device, metric): value for _, device, metric, value, _ in rows}
    assert values["gpu1", "gpu_util_fraction"] == 0.43
    assert values["gpu0", "gpu_power_w"] == 250.0


def test_without_a_driver_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.gpu_check", "--out", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "LD_LIBRARY_PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 4:
        pytest.skip("this machine has a GPU")
    assert done.stdout.startswith("no GPU to check: NVMLError")
