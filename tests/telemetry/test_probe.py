"""`observatory probe` as a process, over TLS on loopback, read by a sampler: stopped, killed, refused."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from observatory.core.clock import new_anchor
from observatory.core.errors import BadInput
from observatory.core.journal import decode_samples
from observatory.core.sample import Sample
from observatory.core.sensor_config import ProbeEntry, Telemetry
from observatory.telemetry.probe.probe import ProbeConfig, check_config, is_loopback, server_context
from observatory.telemetry.remote.probe_addresses import probe_addresses
from observatory.telemetry.sampler_process import SamplerHandle, start_sampler
from tests.endpoints.certificates import Certificates, make_certificates

TOKEN = "a-token-of-enough-length"
PATIENCE_S = 60.0


@dataclass
class Running:
    """A probe that serves."""

    child: "subprocess.Popen[str]"
    url: str

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


@contextmanager
def probing(*arguments: str, **variables: str) -> Iterator[Running]:
    command = [sys.executable, "-m", "observatory", "probe", "--port", "0", *arguments]
    child = subprocess.Popen(
        [*command, "--interval", "100ms"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PROBE_TOKEN": TOKEN, **variables},
    )
    try:
        assert child.stdout is not None
        yield Running(child, child.stdout.readline().split()[2])
    finally:
        child.kill()
        child.wait()
        assert child.stdout is not None
        child.stdout.close()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROBE_TOKEN", TOKEN)


def entry(url: str, certificates: Certificates | None = None, **fields: object) -> Telemetry:
    probe = ProbeEntry(
        name="lab",
        url=url,
        token_env="PROBE_TOKEN",
        ca_bundle=certificates.authority if certificates else None,
        **fields,  # type: ignore[arg-type]
    )
    return Telemetry(interval="100ms", codecarbon=False, probes=[probe])  # type: ignore[arg-type]


def samples(handle: SamplerHandle) -> list[Sample]:
    return list(decode_samples(handle.journal.read_bytes()))


def wait_for(handle: SamplerHandle, condition: Callable[[list[Sample]], object], what: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not condition(samples(handle)):
        assert time.monotonic() < until, what
        time.sleep(0.05)


def states(found: list[Sample]) -> list[float | None]:
    return [s.value for s in found if (s.sensor, s.metric) == ("probe", "up")]


@pytest.mark.live
def test_a_gpu_host_over_tls_read_by_a_run(
    certificates: Certificates, nvml_folder: Path, tmp_path: Path, token: None
) -> None:
    """Two GPUs, the second watched by process; a sampler reads them, until the probe is killed."""
    recording = tmp_path / "gpus.txt"
    recording.write_text("0 0 power_mw 90000\n0 1 power_mw 310000\n")
    options = ("--token-env", "PROBE_TOKEN", "--certificate", str(certificates.server))
    with probing(
        *options,
        *("--watch-pid", str(os.getpid())),
        LD_LIBRARY_PATH=str(nvml_folder),
        NVML_RECORDING=str(recording),
        GPUS="2",
        PROCESSES=f"{os.getpid()}:4096",
    ) as running:
        assert running.url.startswith("https://127.0.0.1:")
        handle = start_sampler(
            tmp_path / "run",
            new_anchor(),
            entry(running.url, certificates, subject="target"),
        )
        try:
            wait_for(
                handle,
                lambda found: len([s for s in found if s.device == "lab:gpu0"]) > 50,
                "no GPU was read",
            )
            running.child.kill()
            wait_for(handle, lambda found: "refused" in str(down_for(found)), "nobody noticed")
        finally:
            handle.stop()
    found = samples(handle)
    powers = {(s.device, s.value) for s in found if s.metric == "gpu_power_w"}
    assert powers == {("lab:gpu0", 90.0), ("lab:gpu1", 310.0)}
    assert 1.0 in states(found)
    assert states(found)[-1] == 0.0
    late = [s for s in found if s.metric == "gpu_power_w"][-20:]
    assert {(s.device, s.subject) for s in late} == {
        ("lab:gpu0", "target"),
        ("lab:gpu1", "shared_host"),
    }, "the watched process has memory of GPU 0 only"
    (role, *_) = [s for s in found if s.device == "lab:engine:watched" and s.sensor == "nvml"]
    assert (role.subject, role.metric, role.value) == ("target", "gpu0_memory_used_bytes", 4096.0)
    offsets = [s.value for s in found if s.metric == "clock_offset_s"]
    uncertainty = [s.value for s in found if s.metric == "clock_offset_uncertainty_s"]
    assert offsets[0] is not None and uncertainty[0] is not None
    assert abs(offsets[0]) <= uncertainty[0], "one clock: the offset is nothing"
    host = [s for s in found if s.device == "lab" and s.sensor == "host"]
    instants = [s.at for s in host if s.metric == "load_1min"]
    assert instants == sorted(instants) and instants[0] > 0
    assert TOKEN not in (tmp_path / "run" / "sampler.json").read_text()


def down_for(found: list[Sample]) -> list[str | None]:
    """Why the probe could not be read; a busy machine may be late to be refused."""
    return [s.reason for s in found if (s.sensor, s.metric, s.value) == ("probe", "up", 0.0)]


@pytest.mark.live
def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    certificates: Certificates, tmp_path: Path, token: None
) -> None:
    with probing("--token-env", "PROBE_TOKEN", "--certificate", str(certificates.server)) as run:
        handle = start_sampler(tmp_path, new_anchor(), entry(run.url))
        try:
            wait_for(
                handle,
                lambda found: any("TLS: " in (s.reason or "") for s in found),
                "it was trusted",
            )
        finally:
            handle.stop()
    assert set(states(samples(handle))) == {0.0}


@pytest.mark.live
def test_about_keeps_the_hosts_name_to_itself_and_a_signal_ends_it() -> None:
    with probing() as running:
        client = http.client.HTTPConnection("127.0.0.1", running.port, timeout=30)
        client.request("GET", "/about")
        about = json.loads(client.getresponse().read())
        client.close()
        assert about["host"] is None
        assert about["protocol"] == 1
        assert about["observatory"]
        running.child.send_signal(signal.SIGTERM)
        assert running.child.wait(30) == 0


@pytest.mark.live
def test_a_port_that_is_taken_is_said() -> None:
    with probing() as running:
        command = [sys.executable, "-m", "observatory", "probe", "--port", str(running.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert f"127.0.0.1 port {running.port} cannot be listened on" in done.stderr


CONFIG = {"bind": "127.0.0.1", "port": 0, "interval_s": 1.0}


@pytest.mark.parametrize(
    ("bind", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.1.2.3", False),
    ],
)
def test_loopback(bind: str, loopback: bool) -> None:
    assert is_loopback(bind) is loopback


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"bind": "0.0.0.0"}, "can be reached by other hosts and has no token"),
        ({"bind": "::"}, "can be reached by other hosts and has no token"),
        ({"bind": "gpu1"}, "is no IP address"),
        ({"token": "short"}, "fewer than 16 characters"),
        ({"token": "a token\nof enough length"}, "that a header cannot hold"),
        ({"key": Path("key.pem")}, "--key without --certificate"),
    ],
)
def test_what_is_not_served(fields: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_config(ProbeConfig(**{**CONFIG, **fields}))  # type: ignore[arg-type]
    assert words in str(refused.value)
    assert "short" not in str(refused.value)


def test_what_is_served() -> None:
    check_config(ProbeConfig(**CONFIG))  # type: ignore[arg-type]
    check_config(ProbeConfig(**{**CONFIG, "bind": "10.0.0.7", "token": TOKEN}))  # type: ignore[arg-type]


def test_a_certificate_that_cannot_be_used_is_said(
    certificates: Certificates, tmp_path: Path
) -> None:
    assert server_context(ProbeConfig(**CONFIG)) is None  # type: ignore[arg-type]
    good = server_context(ProbeConfig(**CONFIG, certificate=certificates.server))  # type: ignore[arg-type]
    assert good is not None and good.minimum_version >= ssl.TLSVersion.TLSv1_2
    bad = tmp_path / "bad.pem"
    bad.write_text("nothing")
    for path in (bad, tmp_path / "none.pem"):
        with pytest.raises(BadInput, match="certificate cannot be used"):
            server_context(ProbeConfig(**CONFIG, certificate=path))  # type: ignore[arg-type]


def test_a_probe_without_its_token_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PROBE_TOKEN", raising=False)
    with pytest.raises(BadInput, match="PROBE_TOKEN is not set"):
        probe_addresses(entry("http://127.0.0.1:9410"))
    monkeypatch.setenv("PROBE_TOKEN", TOKEN)
    (address,) = probe_addresses(entry("http://127.0.0.1:9410/gpu/"))
    assert (address.host.name, address.connection.base_path) == ("lab", "/gpu")
    probe = ProbeEntry(name="lab", url="https://127.0.0.1:1", ca_bundle=tmp_path / "none.pem")
    with pytest.raises(BadInput, match="ca_bundle cannot be used"):
        probe_addresses(Telemetry(probes=[probe]))
