"""The probe: this host's sensors, read all the time and served to clients that have the token.

It writes nothing to disk and starts nothing; what it may show and to whom is decided before it
listens.
"""

import ipaddress
import secrets
import signal
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from observatory.core.clock import read_both
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.sample import Sample
from observatory.telemetry.machine.environment import gpu_inventory, software_versions
from observatory.telemetry.probe.buffer import SampleBuffer
from observatory.telemetry.probe.server import ProbeServer
from observatory.telemetry.probe.watched_engine import WatchedEngine
from observatory.telemetry.remote.wire import PROTOCOL, Batch, ClockReading, ProbeAbout
from observatory.telemetry.sampler import FIRST_DEADLINE_S, LONGEST_DEADLINE_S, sample_until
from observatory.telemetry.sensor_set import SensorSet
from observatory.telemetry.sensors.table import HostSetup, sensors_of_host

LEAST_TOKEN = 16
"""Characters: shorter ones can be guessed by trying."""


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """Where and how it serves. port 0: a free one. certificate may hold the key too."""

    bind: str
    port: int
    interval_s: float
    token: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    watch_pid: int | None = None
    watch_command: str | None = None
    name_host: bool = False
    links: bool = False


def is_loopback(bind: str) -> bool:
    """Return whether only this host can reach that address; BadInput where it is no IP address."""
    try:
        return ipaddress.ip_address("127.0.0.1" if bind == "localhost" else bind).is_loopback
    except ValueError as error:
        raise BadInput(
            f"{bind!r} is no IP address",
            where="--bind",
            fix="give the address of this host's network interface, or 0.0.0.0 for all",
        ) from error


def check_config(config: ProbeConfig) -> None:
    """Raise BadInput for what must not be served: to other hosts without a token, behind a guessable one."""
    if config.token is not None and len(config.token) < LEAST_TOKEN:
        raise BadInput(
            f"the token has fewer than {LEAST_TOKEN} characters",
            fix="make one: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    if config.token is not None and not (config.token.isascii() and config.token.isprintable()):
        raise BadInput("the token has characters that a header cannot hold")
    if not is_loopback(config.bind) and config.token is None:
        raise BadInput(
            f"a probe at {config.bind} can be reached by other hosts and has no token",
            where="--bind",
            fix="give --token-env NAME or --token-file FILE, or leave --bind out",
        )
    if config.key is not None and config.certificate is None:
        raise BadInput("--key without --certificate", fix="give both, or neither")


def server_context(config: ProbeConfig) -> ssl.SSLContext | None:
    """Return a context of TLS 1.2 or later with that certificate; None where none is given."""
    if config.certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(config.certificate, config.key, password=_no_password)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise BadInput(
            f"the certificate cannot be used: {getattr(error, 'reason', None) or error}",
            where=str(config.certificate),
            fix="PEM files that belong together, the private key without a password",
        ) from error
    return context


def _no_password() -> str:
    raise ValueError("its private key has a password")


class Probe:
    """The sensors of this host, sampled into a buffer, and the three pages made from them."""

    def __init__(self, config: ProbeConfig) -> None:
        self._config = config
        watched = WatchedEngine(config.watch_pid, config.watch_command)
        setup = HostSetup(watched.now, config.links)
        self._sensors = SensorSet(sensors_of_host(setup), time.time_ns)
        self._buffer = SampleBuffer()
        self._instance = secrets.token_hex(8)
        self._names: set[str] = set()
        self._constant: list[Sample] = []
        self._driver: str | None = None

    def read(self, deadline_s: float | None = None) -> None:
        """Read every sensor once; deadline of each: half an interval."""
        if deadline_s is None:
            deadline_s = min(self._config.interval_s / 2, LONGEST_DEADLINE_S)
        for samples in self._sensors.read(deadline_s):
            self._names.update(sample.sensor for sample in samples if sample.value is not None)
            self._buffer.add(samples)

    def begin(self, stop: Callable[[], bool]) -> None:
        """Read for the first time, then measure what holds as long as the probe runs."""
        self.read(FIRST_DEADLINE_S)
        constant = self._sensors.before_load(stop)
        if constant:  # the version of a driver that hangs is not read
            self._driver = gpu_inventory()[1]
        self._constant = constant

    def about(self) -> ProbeAbout:
        """Return the page /about."""
        return ProbeAbout(
            protocol=PROTOCOL,
            instance=self._instance,
            observatory=software_versions()["observatory"],
            interval_s=self._config.interval_s,
            sensors=sorted(self._names),
            next=self._buffer.next,
            standing=self._constant,
            watches=self._config.watch_pid is not None or self._config.watch_command is not None,
            host=socket.gethostname() if self._config.name_host else None,
            driver=self._driver,
        )

    def clock(self) -> ClockReading:
        """Return the page /clock."""
        return ClockReading(*read_both())

    def batch(self, since: int) -> Batch:
        """Return the page /samples?since=N."""
        first, following, samples = self._buffer.since(since)
        return Batch(self._instance, first, following, samples)


def serve_probe(config: ProbeConfig, banner: Callable[[str, int], None]) -> None:
    """Sample and serve until SIGTERM or Ctrl-C. banner: called with the address when it listens."""
    check_config(config)
    context = server_context(config)
    probe = Probe(config)
    try:
        server = ProbeServer((config.bind, config.port), probe, config.token, context)
    except OSError as error:
        raise EnvironmentFailed(
            f"{config.bind} port {config.port} cannot be listened on: {error.strerror}",
            fix="another --port, or an address of this host",
        ) from error
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, name="probe-http", daemon=True).start()
    try:
        banner(config.bind, server.server_port)
        probe.begin(stop.is_set)
        sample_until(stop, probe.read, config.interval_s)
    finally:
        server.shutdown()
        server.server_close()
