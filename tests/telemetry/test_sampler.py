"""The sampler as a process: what it journals, how it stops, and that it never outlives its parent."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from observatory.core.clock import new_anchor
from observatory.core.errors import BadInput
from observatory.core.journal import decode_samples, encode_entry, intact_length
from observatory.core.sample import Sample
from observatory.core.sensor_config import Telemetry
from observatory.telemetry.instructions import WatchedRoles, write_watch
from observatory.telemetry.sampler import sample_until
from observatory.telemetry.sampler_process import SamplerHandle, check_pages, start_sampler
from tests.telemetry.served_page import serving

pytestmark = pytest.mark.live
PATIENCE_S = 60.0

PARENT = """
import sys, time
from pathlib import Path
from observatory.core.clock import new_anchor
from observatory.core.sensor_config import Telemetry
from observatory.telemetry.sampler_process import start_sampler
handle = start_sampler(Path(sys.argv[1]), new_anchor(), Telemetry(interval="100ms", codecarbon=False))
print(handle.process_id, flush=True)
time.sleep(600)
"""


def _samples(handle: SamplerHandle) -> list[Sample]:
    return list(decode_samples(handle.journal.read_bytes()))


def _await(condition: object, what: str) -> None:
    assert callable(condition)
    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def _readings(handle: SamplerHandle, device: str, metric: str) -> list[Sample]:
    return [s for s in _samples(handle) if (s.device, s.metric) == (device, metric)]


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> SamplerHandle:
    """A sampler that ran for a few readings, watched two roles, and was stopped."""
    folder = tmp_path_factory.mktemp("campaign")
    handle = start_sampler(folder, new_anchor(), Telemetry(interval="100ms", codecarbon=False))
    try:
        assert handle.alive() is None
        assert _readings(handle, "", "up"), "the first reading lies there before the load begins"
        handle.watch("client", os.getpid())
        handle.watch("engine:fake", os.getppid())
        _await(lambda: len(_readings(handle, "client", "cpu_s")) >= 2, "client was never sampled")
        handle.unwatch("client")
        seen = len(_readings(handle, "engine:fake", "cpu_s"))
        _await(lambda: len(_readings(handle, "engine:fake", "cpu_s")) > seen + 3, "it stopped")
    finally:
        handle.stop()
    assert handle.alive() is None, "a sampler that was told to stop is no trouble"
    handle.stop()
    return handle


def test_the_journal_is_whole_frames_in_the_order_of_their_instants(sampled: SamplerHandle) -> None:
    data = sampled.journal.read_bytes()
    assert intact_length(data) == len(data)
    hosts = [sample.at for sample in _samples(sampled) if sample.sensor == "host"]
    assert hosts == sorted(hosts)
    assert hosts[0] > 0


def test_roles_come_and_go_and_the_sampler_watches_itself(sampled: SamplerHandle) -> None:
    client = _readings(sampled, "client", "cpu_s")
    engine = _readings(sampled, "engine:fake", "cpu_s")
    own = _readings(sampled, "sampler", "cpu_s")
    assert {s.subject for s in client} == {s.subject for s in own} == {"client"}
    assert {s.subject for s in engine} == {"target"}
    assert client[-1].at < engine[-1].at
    assert own[0].at < client[0].at


def test_its_own_cost_is_a_sample(sampled: SamplerHandle) -> None:
    costs = [s for s in _samples(sampled) if s.sensor == "sampler"]
    assert {"host", "process"} <= {s.device for s in costs if s.metric == "read_s"}
    first, *rest = [s for s in costs if s.metric == "cpu_fraction"]
    assert first.value is None
    assert rest
    assert all(s.value is not None and s.value >= 0 for s in rest)


def test_a_machine_without_a_driver_says_so_once(sampled: SamplerHandle) -> None:
    gpus = [s for s in _samples(sampled) if s.sensor == "nvml"]
    if any(s.device.startswith("gpu") for s in gpus):
        pytest.skip("this machine has an NVIDIA driver")
    assert {(s.metric, s.value) for s in gpus} == {("up", 0.0)}
    # A machine that is busy is late to answer, which is another reason, and it may come and go.
    late = [s for s in gpus if "no answer within" in str(s.reason) or "hangs" in str(s.reason)]
    assert 1 <= len(gpus) - len(late) <= 1 + len(late)
    assert all(s.reason for s in gpus)


@pytest.fixture
def with_driver(nvml_folder: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Samplers that are started from here on find the driver stand-in."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(nvml_folder))
    monkeypatch.setenv("POWER_MW", ",".join(str(90_000 + n % 50) for n in range(3000)))
    return monkeypatch


def test_gpus_are_timed_before_the_first_load_and_then_read(
    tmp_path: Path, with_driver: pytest.MonkeyPatch
) -> None:
    handle = start_sampler(tmp_path, new_anchor(), Telemetry(interval="100ms", codecarbon=False))
    try:
        early = _samples(handle)
    finally:
        handle.stop()
    (period,) = [s for s in early if s.metric == "gpu_power_update_period_s"]
    assert period.value is not None
    assert period.reason is not None and period.reason.startswith("at most")
    (cost,) = [s for s in early if s.metric == "burst_cpu_s"]
    assert cost.value is not None and 0 < cost.value < 3
    powers = [s.value for s in _readings(handle, "gpu0", "gpu_power_w")]
    assert powers and None not in powers


def test_a_driver_that_hangs_in_the_middle_is_down_and_the_others_are_read(
    tmp_path: Path, with_driver: pytest.MonkeyPatch
) -> None:
    with_driver.setenv("HANG_nvmlDeviceGetTemperature", "1")
    with_driver.setenv("AFTER_nvmlDeviceGetTemperature", "2")
    handle = start_sampler(tmp_path, new_anchor(), Telemetry(interval="100ms", codecarbon=False))
    try:

        def down() -> list[Sample]:
            return [s for s in _readings(handle, "", "up") if s.sensor == "nvml" and not s.value]

        _await(lambda: len(down()) >= 3, "the hang was never said")
        seen = len(_readings(handle, "", "cpu_busy_s"))
        _await(lambda: len(_readings(handle, "", "cpu_busy_s")) > seen + 2, "the host was held up")
    finally:
        handle.stop()
    assert down()[-1].reason is not None and "hangs since" in down()[-1].reason


def test_a_gpu_that_lies_is_down_from_then_on(
    tmp_path: Path, with_driver: pytest.MonkeyPatch
) -> None:
    with_driver.setenv("POWER_MW", "95000000")
    handle = start_sampler(tmp_path, new_anchor(), Telemetry(interval="100ms", codecarbon=False))
    handle.stop()
    (power, *_) = _readings(handle, "gpu0", "gpu_power_w")
    (state, *_) = _readings(handle, "gpu0", "up")
    assert power.value is None
    assert power.reason == "implausible: 95000 W is above 1.5 x the limit of 700 W"
    assert (state.value, state.reason) == (0.0, f"{power.reason} (gpu_power_w)")


def test_codecarbon_is_read_up_to_the_stop(tmp_path: Path) -> None:
    handle = start_sampler(tmp_path, new_anchor(), Telemetry(interval="200ms", country="FRA"))
    try:

        def energies() -> list[Sample]:
            return [s for s in _samples(handle) if s.metric == "energy_j"]

        assert not energies(), "the first reading does not wait for codecarbon"
        _await(lambda: len(energies()) >= 2, "codecarbon never came up")
        before = len(energies())
    finally:
        handle.stop()
    assert len(energies()) > before
    assert "grid/FRA" in {s.device.rpartition("/")[0] for s in _samples(handle)}
    assert (tmp_path / "sampler.log").read_bytes() == b""


def test_interrupting_the_terminal_leaves_it_to_its_parent(tmp_path: Path) -> None:
    handle = start_sampler(tmp_path, new_anchor(), Telemetry(interval="100ms", codecarbon=False))
    try:
        os.kill(handle.process_id, signal.SIGINT)
        seen = len(_samples(handle))
        _await(lambda: len(_samples(handle)) > seen, "it ended with the interrupt")
    finally:
        handle.stop()


def test_a_sampler_that_is_killed_is_said_and_costs_no_exception(tmp_path: Path) -> None:
    handle = start_sampler(tmp_path, new_anchor(), Telemetry(interval="100ms", codecarbon=False))
    os.kill(handle.process_id, signal.SIGKILL)
    _await(lambda: handle.alive() is not None, "nobody noticed")
    assert handle.alive() == "the sampler ended with signal SIGKILL"
    handle.watch("client", os.getpid())
    handle.stop()
    assert _samples(handle), "what was read until then is readable"


def test_a_sampler_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "samples.journal").mkdir()
    handle = start_sampler(tmp_path, new_anchor(), Telemetry(interval="100ms", codecarbon=False))
    _await(lambda: handle.alive() is not None, "nobody noticed")
    reason = handle.alive()
    assert reason is not None
    assert "exit status 1" in reason
    assert "IsADirectoryError" in reason
    handle.stop()


def test_a_full_disk_ends_it_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "samples.journal").symlink_to("/dev/full")
    handle = start_sampler(tmp_path, new_anchor(), Telemetry(interval="100ms", codecarbon=False))
    _await(lambda: handle.alive() is not None, "nobody noticed")
    reason = handle.alive()
    assert reason is not None
    assert "No space left on device" in reason
    handle.stop()


def test_it_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    sampler = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    gone = (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
    _await(lambda: not sampler.is_running() or sampler.status() in gone, "it outlived its parent")
    data = (tmp_path / "samples.journal").read_bytes()
    assert list(decode_samples(data))


def test_a_journal_cut_anywhere_gives_the_whole_samples_before_the_cut() -> None:
    samples = [Sample(n, "host", "shared_host", "", "load_1min", n / 3) for n in range(3)]
    frames = [encode_entry(sample) for sample in samples]
    data = b"".join(frames)
    for cut in range(len(data) + 1):
        whole = sum(cut >= sum(map(len, frames[: n + 1])) for n in range(3))
        assert list(decode_samples(data[:cut])) == samples[:whole]


class _Clocked:
    """A sampler whose readings take as long as the test sets, on a clock of its own."""

    def __init__(self, lengths: list[float]) -> None:
        self.now = 100.0
        self.lengths = lengths
        self.read_at: list[float] = []
        self.stop = threading.Event()

    def read(self) -> None:
        self.read_at.append(self.now)
        self.now += self.lengths[len(self.read_at) - 1]
        if len(self.read_at) == len(self.lengths):
            self.stop.set()

    def wait(self, seconds: float) -> bool:
        self.now += max(seconds, 0.0)
        return self.stop.is_set()


def test_slots_are_absolute_and_missed_ones_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    clocked = _Clocked([0.1, 0.9, 2.5, 0.0, 0.0])
    event = clocked.stop
    monkeypatch.setattr(time, "monotonic", lambda: clocked.now)
    monkeypatch.setattr(event, "wait", clocked.wait)
    sample_until(event, clocked.read, 1.0)
    assert clocked.read_at == [101.0, 102.0, 103.0, 106.0, 107.0]


def test_watched_roles_follow_the_file(tmp_path: Path) -> None:
    path = tmp_path / "watch.json"
    roles = WatchedRoles(path, {"sampler": 1})
    assert roles.now() == {"sampler": 1}
    write_watch(path, {"client": 2})
    assert roles.now() == {"client": 2, "sampler": 1}
    write_watch(path, {})
    assert roles.now() == {"sampler": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["watch.json"]


def test_pages_are_scraped_and_no_secret_is_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAGE_TOKEN", "s3cret")
    page = 'load 0.5\nDCGM_FI_PROF_SM_ACTIVE{gpu="0"} 0.25\nvllm:num_requests_running 3\n'
    with serving(lambda: (200, "text/plain", page)) as served:
        telemetry = Telemetry(
            interval="100ms",
            codecarbon=False,
            dcgm=served.url,
            prometheus=[
                {
                    "name": "mine",
                    "url": served.url,
                    "series": ["load"],
                    "headers": {"Authorization": "Bearer ${PAGE_TOKEN}"},
                }
            ],
        )
        engines = {"engine:t": served.connection}
        pages = {"engine:t": served.url}
        handle = start_sampler(
            tmp_path, new_anchor(), telemetry, engines, engine_pages=pages, wait=True
        )
        handle.stop()
        assert "Bearer s3cret" in [h.get("Authorization") for h in served.headers]
    found = {(s.sensor, s.device, s.metric): s.value for s in _samples(handle)}
    assert found["prometheus", "mine", "load"] == 0.5
    assert found["dcgm", "gpu0", "sm_active_fraction"] == 0.25
    assert found["engine", "engine:t", "engine_requests_running"] == 3
    for path in tmp_path.iterdir():
        assert b"s3cret" not in path.read_bytes(), path.name


def test_a_header_that_wants_an_unset_variable_is_known_before_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("PAGE_TOKEN", raising=False)
    page = {"name": "mine", "url": "http://h/metrics", "series": ["a"]}
    check_pages(Telemetry(prometheus=[page]))
    wanting = Telemetry(prometheus=[page | {"headers": {"Authorization": "Bearer ${PAGE_TOKEN}"}}])
    with pytest.raises(BadInput, match="PAGE_TOKEN is not set"):
        check_pages(wanting)
