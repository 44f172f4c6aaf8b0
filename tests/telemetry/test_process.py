"""Roles: a whole tree of processes, work that outlives its process, and processes that end."""

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from observatory.telemetry.sensors.process import ProcessSensor, subject_of, tree

TICKS_S = 0.02
"""The kernel counts user and system time in ticks of 10 ms, and cuts each short."""
BURN = "import time\nend = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {burn!r} + "print('burnt', flush=True); input()"],
                         stdin=subprocess.PIPE)
sys.stdin.readline()
child.stdin.close(); child.wait()
print("reaped", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def spawned() -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        process.kill()
        process.wait()


def _start(spawned: list[subprocess.Popen[str]], code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    spawned.append(process)
    return process


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def _signal(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def _of(sensor: ProcessSensor, now: int, role: str) -> dict[str, float | None]:
    return {s.metric: s.value for s in sensor.read(now) if s.device == role}


def test_engines_are_the_target_and_all_else_the_client() -> None:
    assert subject_of("engine:llama") == "target"
    assert {subject_of(role) for role in ("client", "sampler")} == {"client"}


def test_a_tree_has_every_descendant_once(spawned: list[subprocess.Popen[str]]) -> None:
    parent = _start(spawned, PARENT.format(burn=BURN.format(seconds=0)))
    assert _line(parent) == "burnt"
    found = tree(parent.pid)
    assert found[0] == parent.pid
    children = {child.pid for child in psutil.Process(parent.pid).children(recursive=True)}
    assert len(children) == 1
    assert set(found[1:]) == children
    assert len(found) == len(set(found))


def test_a_process_that_is_gone_has_no_tree(spawned: list[subprocess.Popen[str]]) -> None:
    process = _start(spawned, "pass")
    process.wait()
    assert tree(process.pid) == []


def test_work_of_a_child_that_ended_stays_counted(spawned: list[subprocess.Popen[str]]) -> None:
    parent = _start(spawned, PARENT.format(burn=BURN.format(seconds=0.2)))
    assert _line(parent) == "burnt"
    sensor = ProcessSensor(lambda: {"client": parent.pid})
    during = _of(sensor, 1, "client")
    _signal(parent)
    assert _line(parent) == "reaped"
    after = _of(sensor, 2, "client")
    assert during["cpu_s"] is not None and during["cpu_s"] >= 0.2 - TICKS_S
    assert after["cpu_s"] is not None and after["cpu_s"] >= during["cpu_s"]
    assert during["threads"] == 2.0
    assert after["threads"] == 1.0
    assert during["rss_bytes"] is not None and after["rss_bytes"] is not None
    assert during["rss_bytes"] > after["rss_bytes"] > 0


def test_a_new_process_takes_the_role_over(spawned: list[subprocess.Popen[str]]) -> None:
    code = BURN.format(seconds=0.1) + "print('burnt', flush=True); input()"
    first = _start(spawned, code)
    assert _line(first) == "burnt"
    roles = {"client": first.pid}
    sensor = ProcessSensor(lambda: roles)
    before = _of(sensor, 1, "client")["cpu_s"]
    first.kill()
    first.wait()
    second = _start(spawned, code)
    assert _line(second) == "burnt"
    roles["client"] = second.pid
    after = _of(sensor, 2, "client")["cpu_s"]
    assert before is not None and after is not None
    assert after >= before + 0.1 - TICKS_S


def test_busy_cores_are_work_over_the_time_between_readings(
    spawned: list[subprocess.Popen[str]],
) -> None:
    process = _start(spawned, BURN.format(seconds=0.3) + "print('burnt', flush=True); input()")
    sensor = ProcessSensor(lambda: {"client": process.pid})
    first = _of(sensor, 0, "client")
    assert first["cpu_cores"] is None
    assert _line(process) == "burnt"
    second = _of(sensor, 2_000_000_000, "client")
    assert second["cpu_s"] is not None and first["cpu_s"] is not None
    assert second["cpu_cores"] == pytest.approx((second["cpu_s"] - first["cpu_s"]) / 2)


def test_an_ended_process_is_down_with_its_number(spawned: list[subprocess.Popen[str]]) -> None:
    process = _start(spawned, "pass")
    process.wait()
    (sample,) = ProcessSensor(lambda: {"engine:gone": process.pid}).read(9)
    assert (sample.metric, sample.value, sample.subject) == ("up", 0.0, "target")
    assert sample.reason == f"process {process.pid} has ended"


def test_a_zombie_counts_as_ended(spawned: list[subprocess.Popen[str]]) -> None:
    process = _start(spawned, "pass")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # ended, and not yet reaped
    (sample,) = ProcessSensor(lambda: {"client": process.pid}).read(9)
    assert (sample.metric, sample.value) == ("up", 0.0)


def test_no_role_gives_no_sample() -> None:
    assert ProcessSensor(dict).read(1) == []
