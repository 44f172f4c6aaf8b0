"""Sensors that go silent, lie, or cost too much: found where they did, and nowhere else."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from observatory.analysis.checks.judge import judge_run
from observatory.core.run import Finding
from observatory.telemetry import sensors
from observatory.telemetry.sensors.table import SENSORS

N = 300


@pytest.fixture
def whole(made: Any) -> Any:
    """A clean run with a GPU that was read every second; the window is [5 s, 35 s)."""
    made.healthy_side()
    for place in range(N):
        made.add(5 + place / 10, ttft_s=0.1, gaps_s=[0.01] * 9)
    return made


def gpu(run: Any, alive: Callable[[int], bool] = lambda second: True, **fields: Any) -> None:
    """up and power of a GPU each second, null where it is not alive."""
    given = {"sensor": "nvml", "device": "gpu0", **fields}
    for second in range(60):
        if alive(second):
            run.sample(second, 1.0, "up", **given)
            run.sample(second, 100.0, "gpu_power_w", **given)


def down(run: Any, seconds: range, reason: str = "hangs", **fields: Any) -> None:
    for second in seconds:
        run.sample(
            second, 0.0, "up", **{"sensor": "nvml", "device": "", **fields, "reason": reason}
        )


def findings(run: Any) -> list[Finding]:
    return judge_run(run.manifest, run.frames)[0]


def only(run: Any) -> Finding:
    [finding] = findings(run)
    return finding


def test_sensors_that_work_are_no_finding(whole: Any) -> None:
    gpu(whole)
    assert findings(whole) == []


def test_a_driver_that_hangs_in_the_window(whole: Any) -> None:
    gpu(whole, lambda second: not 10 <= second < 18)
    down(whole, range(10, 18), "hangs since 8.0 s")
    finding = only(whole)
    assert (finding.code, finding.severity, finding.stage) == ("sensor_down", "degraded", 0)
    assert (finding.value, finding.threshold) == (8.0, 3.0)
    assert finding.message == (
        "sensor nvml of gpu0 (GPU (NVML)) gave no reading from 5.0 to 13.0 s of the window's 30.0 s: "
        "hangs since 8.0 s; missing there: the GPU's power, energy, utilisation and memory"
    )


def test_one_of_two_gpus_that_is_lost(whole: Any) -> None:
    gpu(whole, device="gpu1")
    gpu(whole, lambda second: second < 20)
    down(whole, range(20, 60), "NVMLError_GpuIsLost", device="gpu0")
    finding = only(whole)
    assert (finding.code, finding.value) == ("sensor_down", 15.0)
    assert "from 15.0 to 30.0 s of the window's 30.0 s: NVMLError_GpuIsLost;" in finding.message


def test_a_reading_that_was_missed_is_none(whole: Any) -> None:
    gpu(whole, lambda second: not 10 <= second < 12)
    down(whole, range(10, 12))
    assert findings(whole) == []


def test_silence_outside_the_window_is_none(whole: Any) -> None:
    gpu(whole, lambda second: 4 <= second < 36)
    down(whole, range(36, 60))
    assert findings(whole) == []


def test_a_sensor_that_never_was_there_is_none(whole: Any) -> None:
    down(whole, range(1), "NVMLError_LibraryNotFound")
    down(whole, range(60), "starting", sensor="codecarbon")
    assert findings(whole) == []


@pytest.mark.parametrize("sensor", ["probe", "prometheus", "dcgm"])
def test_a_sensor_that_was_asked_for_is_missed_though_it_never_was_there(
    whole: Any, sensor: str
) -> None:
    down(whole, range(60), "Connection refused", sensor=sensor, device="lab")
    finding = only(whole)
    assert (finding.code, finding.value) == ("sensor_down", 30.0)
    assert finding.message.startswith(f"sensor {sensor} of lab (")
    assert "from 0.0 to 30.0 s of the window's 30.0 s: Connection refused;" in finding.message


def test_a_process_that_ended_is_no_sensor(whole: Any) -> None:
    for second in range(60):
        alive = second < 20
        whole.sample(second, float(alive), "up", sensor="process", device="client")
    assert findings(whole) == []


def test_another_targets_engine_is_not_this_runs_doubt(whole: Any) -> None:
    for second in range(60):
        whole.sample(second, float(second < 20), "up", sensor="engine", device="engine:another")
    assert findings(whole) == []


def test_a_probe_that_died_explains_the_gap_of_its_sensors(whole: Any) -> None:
    probe = {"sensor": "probe", "device": "lab"}
    for second in range(60):
        whole.sample(second, float(second < 20), "up", **probe)
    gpu(whole, lambda second: second < 20, device="lab:gpu0")
    finding = only(whole)
    assert (finding.code, finding.value) == ("sensor_down", 15.0)


def test_a_gap_that_nobody_explains_is_the_samplers(whole: Any) -> None:
    gpu(whole, lambda second: not 10 <= second < 18)
    assert only(whole).code == "telemetry_gap"


def test_a_slow_interval_explains_more(whole: Any) -> None:
    whole.scenario = {"telemetry": {"interval": "5s"}}
    gpu(whole, lambda second: not 10 <= second < 20)
    down(whole, range(10, 20))
    assert findings(whole) == []


def test_a_value_that_cannot_be(whole: Any) -> None:
    gpu(whole)
    lie = "implausible: 95000 W is above 1.5 x the limit of 700 W"
    for second in range(60):
        given = {"sensor": "nvml", "device": "gpu1"}
        whole.sample(second, 0.0, "up", **given, reason=f"{lie} (gpu_power_w)")
        whole.sample(second, None, "gpu_power_w", **given, reason=lie)
        whole.sample(second, 0.5, "gpu_util_fraction", **given)
    finding = only(whole)
    assert (finding.code, finding.severity, finding.value) == ("sensor_lies", "degraded", 30)
    assert finding.message == (
        "nvml gpu1 gpu_power_w: 95000 W is above 1.5 x the limit of 700 W, in 30 readings"
    )


def test_a_lie_outside_the_window_is_none(whole: Any) -> None:
    whole.sample(2, None, "gpu_power_w", sensor="nvml", device="gpu1", reason="implausible: x")
    assert findings(whole) == []


@pytest.mark.parametrize(("share", "severity"), [(0.04, None), (0.06, "note"), (0.9, "note")])
def test_what_sampling_takes(whole: Any, share: float, severity: str | None) -> None:
    for second in range(60):
        whole.sample(second, share, "cpu_fraction", sensor="sampler", subject="client")
        whole.sample(second, 0.9, "cpu_fraction", sensor="sampler", device="lab")
    found = findings(whole)
    if severity is None:
        assert found == []
    else:
        [finding] = found
        assert (finding.code, finding.severity) == ("sampler_cpu", severity)
        assert finding.value == pytest.approx(share)
        assert finding.threshold == 0.05


def test_a_probes_host_is_not_this_one(whole: Any) -> None:
    """Cores of another machine that are busy are not shared with the load generator."""
    whole.target = {"on_this_host": True, "emulated": False, "kind": "llamacpp"}
    for second in range(60):
        whole.sample(second, 1.0, device="lab")
    [finding] = [found for found in findings(whole) if found.code == "shared_cores"]
    assert finding.severity == "note"


def test_the_sensor_of_our_own_processes_names_what_is_missing(whole: Any) -> None:
    for second in range(60):
        whole.sample(second, float(second < 20), "up", sensor="own", device="", reason="no /proc")
    assert only(whole).message == (
        "sensor own (CPU time of the run's own processes) gave no reading from 15.0 to 30.0 s of the "
        "window's 30.0 s: no /proc; missing there: the share of other work on the cores (foreign_cpu)"
    )


def test_every_sensor_has_words() -> None:
    named = {
        found
        for path in Path(sensors.__file__).parent.glob("*.py")
        for found in re.findall(r'^    name = "(\w+)"$', path.read_text(), flags=re.M)
    }
    assert {"nvml", "own", "cgroup", "probe"} <= named <= {entry.name for entry in SENSORS}
