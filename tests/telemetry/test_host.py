"""The host's readings from kernel counters that are given, so that every figure is known."""

from collections import namedtuple
from pathlib import Path
from typing import Any

import psutil
import pytest

from observatory.telemetry.sensors import host
from observatory.telemetry.sensors.host import HostSensor, busy_seconds, total_seconds

Times = namedtuple(
    "Times", "user nice system idle iowait irq softirq steal guest guest_nice", defaults=(0,) * 10
)
Traffic = namedtuple("Traffic", "bytes_sent bytes_recv")
Memory = namedtuple("Memory", "total available")


def test_guest_time_is_not_counted_twice_and_waiting_is_not_work() -> None:
    times = Times(
        user=10,
        nice=1,
        system=2,
        idle=50,
        iowait=5,
        irq=3,
        softirq=4,
        steal=6,
        guest=9,
        guest_nice=1,
    )
    assert busy_seconds(times) == 20
    assert total_seconds(times) == 81


class _Machine:
    """Two cores whose counters the test turns on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cores = [Times(user=100, idle=200), Times(user=50, idle=250)]
        self.nics = {"lo": Traffic(0, 0), "eth0": Traffic(1000, 5000)}
        self.clock = 10.0
        monkeypatch.setattr(psutil, "cpu_times", lambda percpu: list(self.cores))
        monkeypatch.setattr(psutil, "net_io_counters", lambda pernic: dict(self.nics))
        monkeypatch.setattr(psutil, "virtual_memory", lambda: Memory(1000, 300))
        monkeypatch.setattr(psutil, "getloadavg", lambda: (1.5, 0.0, 0.0))
        monkeypatch.setattr(host.time, "monotonic", lambda: self.clock)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> _Machine:
    return _Machine(monkeypatch)


def _values(sensor: HostSensor) -> dict[str, Any]:
    samples = sensor.read(7)
    assert {(s.at, s.sensor, s.subject, s.device) for s in samples} == {
        (7, "host", "shared_host", "")
    }
    return {sample.metric: sample.value for sample in samples}


def test_the_first_reading_has_levels_and_no_rates(machine: _Machine) -> None:
    sensor = HostSensor()
    samples = {sample.metric: sample for sample in sensor.read(7)}
    assert samples["up"].value == 1.0
    assert samples["cpu_busy_s"].value == 150
    assert samples["cpu_steal_s"].value == 0
    assert samples["memory_used_bytes"].value == 700
    assert samples["memory_available_bytes"].value == 300
    assert samples["load_1min"].value == 1.5
    rates = [s for s in samples.values() if s.value is None]
    assert len(rates) == 6
    assert {s.reason for s in rates} == {"first reading: nothing to compare with"}


def test_rates_are_over_the_time_since_the_last_reading(machine: _Machine) -> None:
    sensor = HostSensor()
    sensor.read(7)
    machine.cores = [Times(user=103, system=1, idle=200), Times(user=50, idle=253, steal=1)]
    machine.nics = {
        "lo": Traffic(600, 600),
        "eth0": Traffic(1400, 6000),
        "eth1": Traffic(9, 9),  # new since then: no rate to be had
    }
    machine.clock = 12.0
    values = _values(sensor)
    assert values["cpu_busy_s"] == 154
    assert values["cpu_util_fraction"] == pytest.approx(4 / 8)
    assert values["cpu_max_core_fraction"] == pytest.approx(1.0)
    assert values["cpu_steal_fraction"] == pytest.approx(1 / 8)
    assert values["network_received_bytes_per_s"] == 500
    assert values["network_sent_bytes_per_s"] == 200
    assert values["loopback_bytes_per_s"] == 300


def test_counters_that_stand_still_give_null_and_not_zero(machine: _Machine) -> None:
    sensor = HostSensor()
    sensor.read(7)
    machine.clock = 10.001
    assert _values(sensor)["cpu_util_fraction"] is None


def test_a_core_that_appears_gives_no_wrong_rate(machine: _Machine) -> None:
    sensor = HostSensor()
    sensor.read(7)
    machine.cores = [*machine.cores, Times(user=1000)]
    assert _values(sensor)["cpu_util_fraction"] is None


def test_the_real_machine_answers() -> None:
    sensor = HostSensor()
    sensor.read(1)
    values = _values(sensor)
    assert values["memory_available_bytes"] > 0
    assert values["cpu_busy_s"] > 0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (
            "some avg10=60.34 avg60=39.02 avg300=13.44 total=54048133\nfull avg10=0.00 total=0\n",
            54.048133,
        ),
        ("full avg10=0.00 avg60=0.00 avg300=0.00 total=7\n", None),
        ("some avg10=0.00\n", None),
        ("", None),
    ],
)
def test_pressure_is_the_total_of_some_tasks(
    text: str, seconds: float | None, tmp_path: Path
) -> None:
    path = tmp_path / "cpu"
    assert host.pressure_s(path) is None
    path.write_text(text)
    assert host.pressure_s(path) == seconds
