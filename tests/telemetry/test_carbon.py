"""codecarbon: cumulative energies with their method, no connection, and failures as data."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from observatory.core.clock import Anchor
from observatory.telemetry.sensors import carbon
from observatory.telemetry.sensors.carbon import CodecarbonSensor

OFFLINE = """
import json, socket, sys, threading, time
attempts = []
def outside(address):
    host = address[0] if isinstance(address, tuple) else None  # a path: a Unix socket
    return host is not None and host not in ("127.0.0.1", "::1", "localhost")
def refusing(real):
    def connect(self, address, *rest):
        if outside(address):
            attempts.append(repr(address))
            raise OSError("the test allows no connection")
        return real(self, address, *rest)
    return connect
def getaddrinfo(host, *rest, **named):
    attempts.append(repr(host))
    raise OSError("the test allows no name lookup")
socket.socket.connect = refusing(socket.socket.connect)
socket.socket.connect_ex = refusing(socket.socket.connect_ex)
socket.socket.sendto = refusing(socket.socket.sendto)
socket.getaddrinfo = socket.gethostbyname = socket.gethostbyname_ex = getaddrinfo

from observatory.core.clock import new_anchor
from observatory.telemetry.sensors.carbon import CodecarbonSensor
anchor = new_anchor()
sensor = CodecarbonSensor("DEU", anchor, 1.0)
samples = sensor.read(anchor.now())
while sum(s.device.startswith("cpu/") and s.metric == "energy_j" for s in samples) < 3:
    time.sleep(0.2)
    samples += sensor.read(anchor.now())
samples += sensor.finish(anchor.now())
fields = ["at", "sensor", "subject", "device", "metric", "value", "reason"]
rows = [{name: getattr(s, name) for name in fields} for s in samples]
json.dump({"rows": rows, "attempts": attempts, "now": anchor.now()}, open(sys.argv[1], "w"))
"""


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The sensor run in a child whose sockets refuse every address but loopback.

    A user's own configuration enables every service that codecarbon can contact, and made-up powers.
    """
    home = tmp_path_factory.mktemp("home")
    (home / ".codecarbon.config").write_text(
        "[codecarbon]\noutput_methods = api,prometheus\napi_key = canary\n"
        "emissions_endpoint = http://198.51.100.1/emissions\n"
        "electricitymaps_api_token = canary\nco2_signal_api_token = canary\n"
        "cloud_provider = gcp\ncloud_region = europe-west1\n"
        "force_cpu_power = 9000000\nforce_ram_power = 9000000\nforce_mode_cpu_load = true\n"
    )
    answer = home / "answer.json"
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(answer)],
        env={**os.environ, "HOME": str(home), "CODECARBON_API_KEY": "canary"},
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(answer.read_text())
    found["terminal"] = done.stdout + done.stderr
    found["files"] = sorted(path.name for path in home.iterdir())
    return found


def test_no_connection_and_no_lookup_is_tried(offline: Any) -> None:
    assert offline["attempts"] == []


def test_nothing_is_printed_and_no_file_is_written(offline: Any) -> None:
    assert offline["terminal"] == ""
    assert offline["files"] == [".codecarbon.config", "answer.json"]


def test_the_patched_sockets_do_record_an_attempt(tmp_path: Path) -> None:
    code = OFFLINE.split("from observatory")[0] + (
        "for call in (lambda: socket.create_connection(('example.org', 80)),"
        " lambda: socket.socket().connect(('198.51.100.1', 80))):\n"
        "    try: call()\n    except OSError: pass\n"
        "print(json.dumps(attempts))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["'example.org'", "('198.51.100.1', 80)"]


def test_the_first_reading_does_not_wait_for_codecarbon(offline: Any) -> None:
    grid, first = offline["rows"][:2]
    assert (grid["device"].split("/")[:2], grid["metric"]) == (["grid", "DEU"], "kgco2e_per_kwh")
    assert 0 < grid["value"] < 1
    assert (first["metric"], first["value"], first["reason"]) == ("up", 0.0, "starting")


def test_energies_grow_and_say_how_they_were_had(offline: Any) -> None:
    by_device: dict[str, list[tuple[int, float]]] = {}
    for row in offline["rows"]:
        if row["metric"] == "energy_j":
            by_device.setdefault(row["device"], []).append((row["at"], row["value"]))
    assert {device.split("/")[0] for device in by_device} >= {"cpu", "memory"}
    cpu = next(device for device in by_device if device.startswith("cpu/"))
    assert cpu.split("/")[1] in ("intel_rapl", "cpu_load", "constant", "raspberry")
    assert "memory/constant" in by_device
    for readings in by_device.values():
        assert len(readings) >= 4
        assert readings == sorted(readings)
        assert readings[-1][1] > readings[0][1] >= 0
        assert all(0 < at <= offline["now"] for at, _ in readings)


def test_a_users_own_configuration_changes_no_energy(offline: Any) -> None:
    energies = [row for row in offline["rows"] if row["metric"] == "energy_j"]
    assert len(energies) >= 8
    longest_s = offline["now"] / 1e9
    assert max(row["value"] for row in energies) < 10_000 * longest_s


class _Total:
    def __init__(self, cpu: float, ram: float, gpu: float) -> None:
        self.cpu_energy, self.ram_energy, self.gpu_energy = cpu, ram, gpu


class _Hardware:
    def __init__(self, **fields: Any) -> None:
        vars(self).update(fields)


def _named(name: str, **fields: Any) -> Any:
    return type(name, (_Hardware,), {})(**fields)


def _sensor(monkeypatch: pytest.MonkeyPatch, hardware: list[Any]) -> CodecarbonSensor:
    def start(self: CodecarbonSensor) -> None:
        self._tracker = _Hardware(_hardware=hardware)

    monkeypatch.setattr(CodecarbonSensor, "_start", start)
    sensor = CodecarbonSensor("FRA", Anchor(realtime_ns=0, monotonic_ns=0), 1.0)
    sensor._thread.join()
    return sensor


def test_kilowatt_hours_become_joules_under_the_mode_that_read_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rapl = _named("CPU", _mode="intel_rapl", _tdp=85)
    sensor = _sensor(monkeypatch, [rapl, _named("GPU")])
    sensor._take(_Total(cpu=1.0, ram=9.0, gpu=0.5))
    values = {s.device: s.value for s in sensor.read(0) if s.metric == "energy_j"}
    assert values == {"cpu/intel_rapl": 3.6e6, "gpu/driver": 1.8e6}


def test_a_model_says_its_nominal_power(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = _named("RAM", total_power=lambda: _Hardware(W=20.0))
    sensor = _sensor(monkeypatch, [memory, _named("CPU", _mode="cpu_load", _tdp=8)])
    for _ in range(2):
        sensor._take(_Total(cpu=1.0, ram=0.0, gpu=0.0))
    powers = [(s.device, s.value) for s in sensor.read(0) if s.metric == "full_load_power_w"]
    assert powers == [("memory/constant", 20.0), ("cpu/cpu_load", 8.0)], "said once"


def test_a_tracker_that_falls_silent_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    sensor = _sensor(monkeypatch, [])
    sensor._take(_Total(0.0, 0.0, 0.0))
    assert sensor.read(sensor._readings[0][0])[-1].value == 1.0
    assert sensor._last_at is not None
    silent = sensor.read(sensor._last_at + 3_500_000_000)[-1]
    assert (silent.metric, silent.value, silent.reason) == ("up", 0.0, "no reading for 3.5 s")


def test_a_failure_that_codecarbon_swallows_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    import codecarbon

    def broken(self: Any) -> None:
        raise PermissionError("no hardware for you")

    monkeypatch.setattr(codecarbon.OfflineEmissionsTracker, "_ensure_hardware_ready", broken)
    sensor = CodecarbonSensor("FRA", Anchor(realtime_ns=0, monotonic_ns=0), 1.0)
    sensor._thread.join()
    last = sensor.read(1)[-1]
    assert (last.metric, last.value) == ("up", 0.0)
    assert last.reason == "PermissionError('no hardware for you')"
    carbon.logging.getLogger("codecarbon").removeFilter(sensor._reasons)


def test_an_unknown_country_takes_the_grid_and_not_the_joules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sensor = _sensor(monkeypatch, [])
    sensor._country = "XXX"
    (grid, *_) = sensor.read(1)
    assert (grid.device, grid.metric, grid.value) == ("grid/unknown", "kgco2e_per_kwh", None)
    assert grid.reason is not None and "XXX" in grid.reason
