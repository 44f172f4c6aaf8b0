"""The run's own CPU time: each process once, ended children included, others' servers from now on."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from observatory.telemetry.instructions import SERVER_ROLE, SERVER_UNKNOWN
from observatory.telemetry.sensors.own_cpu import UNKNOWN_SERVER, OwnCpuSensor

BURN = (
    "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\n"
    "print('burnt', flush=True); input()"
)
SHORT_LIVED = (
    "import subprocess, sys\n"
    "input()\n"
    f"subprocess.run([sys.executable, '-c', {BURN.replace('input()', '')!r}], stdout=subprocess.DEVNULL)\n"
    "print('burnt', flush=True); input()"
)
TICKS_S = 0.03


@pytest.fixture
def started() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def _start(started: list[subprocess.Popen[str]], code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    started.append(process)
    return process


def _next(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline().strip() == "burnt"


def _seconds(sensor: OwnCpuSensor, now: int = 1) -> float:
    [value] = [s.value for s in sensor.read(now) if s.metric == "cpu_s" and not s.device]
    assert value is not None
    return value


def test_a_child_that_lived_between_two_readings_counts(
    started: list[subprocess.Popen[str]],
) -> None:
    parent = _start(started, SHORT_LIVED)
    sensor = OwnCpuSensor(parent.pid, dict)
    before = _seconds(sensor)
    _next(parent)
    assert _seconds(sensor) - before >= 0.2 - TICKS_S


def test_a_role_below_the_runner_counts_once(started: list[subprocess.Popen[str]]) -> None:
    child = _start(started, "input()\n" + BURN)
    alone, named = (
        OwnCpuSensor(os.getpid(), dict),
        OwnCpuSensor(os.getpid(), lambda: {"client": child.pid}),
    )
    before = _seconds(alone), _seconds(named)
    _next(child)
    grown = _seconds(alone) - before[0], _seconds(named) - before[1]
    assert grown[0] >= 0.2 - TICKS_S
    assert grown[1] - grown[0] < 0.15  # twice would be 0.2 more


def test_anothers_server_counts_from_when_it_is_first_seen(
    started: list[subprocess.Popen[str]],
) -> None:
    runner, server = _start(started, "input()"), _start(started, "input()\n" + BURN + "\n" + BURN)
    _next(server)
    sensor = OwnCpuSensor(runner.pid, lambda: {f"{SERVER_ROLE}t:0": server.pid})
    assert _seconds(sensor) < TICKS_S
    _next(server)
    assert _seconds(sensor) >= 0.2 - TICKS_S
    own = {s.metric: s.value for s in sensor.read(3) if s.device == f"{SERVER_ROLE}t"}
    assert own["cpu_s"] == _seconds(sensor)
    assert own["cpu_wait_s"] is not None and own["cpu_wait_s"] >= 0


def test_it_does_not_fall_when_a_server_ends(started: list[subprocess.Popen[str]]) -> None:
    runner, server = _start(started, "input()"), _start(started, "input()\n" + BURN)
    sensor = OwnCpuSensor(runner.pid, lambda: {f"{SERVER_ROLE}t:0": server.pid})
    _seconds(sensor)
    _next(server)
    before = _seconds(sensor)
    server.kill()
    server.wait()
    assert _seconds(sensor) >= before >= 0.2 - TICKS_S


def test_a_server_whose_process_is_not_known_leaves_no_value(
    started: list[subprocess.Popen[str]],
) -> None:
    sensor = OwnCpuSensor(os.getpid(), lambda: {f"{SERVER_ROLE}t:0": SERVER_UNKNOWN})
    state, value = sensor.read(5)
    assert (state.metric, state.value) == ("up", 1.0)
    assert (value.metric, value.value, value.reason) == ("cpu_s", None, UNKNOWN_SERVER)


def test_a_runner_that_never_was_is_down() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    process.wait()
    [state] = OwnCpuSensor(process.pid, dict).read(1)
    assert (state.value, state.reason) == (0.0, f"process {process.pid} has ended")
