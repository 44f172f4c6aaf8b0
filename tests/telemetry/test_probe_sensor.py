"""A probe read over loopback: another clock, another host's names, and everything that can fail."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from observatory.core.clock import Anchor, new_anchor
from observatory.core.connection import Connection, KeySource
from observatory.core.sample import Sample
from observatory.telemetry.probe.buffer import SampleBuffer
from observatory.telemetry.probe.server import ProbeServer
from observatory.telemetry.remote.remote_samples import ProbeAddress, RemoteHost
from observatory.telemetry.remote.wire import PROTOCOL, Batch, ClockReading, ProbeAbout
from observatory.telemetry.sensors import probe as probe_sensor
from observatory.telemetry.sensors.probe import ProbeSensor

TOKEN = "a-token-of-enough-length"
PATIENCE_S = 30.0
HOUR_NS = 3_600_000_000_000


class RemoteProbe:
    """A host whose clock is wrong by shift_ns, with the responses set by a test."""

    def __init__(self, shift_ns: int = 0) -> None:
        self.shift_ns = shift_ns
        self.buffer = SampleBuffer(most=1000)
        self.instance = "first"
        self.protocol = PROTOCOL
        self.standing: list[Sample] = []

    def now(self) -> int:
        return time.time_ns() + self.shift_ns

    def add(self, value: float, device: str = "gpu0") -> int:
        """A power reading now; answers the true instant."""
        true = time.time_ns()
        self.buffer.add(
            [Sample(true + self.shift_ns, "nvml", "shared_host", device, "gpu_power_w", value)]
        )
        return true

    def about(self) -> ProbeAbout:
        return ProbeAbout(
            self.protocol, self.instance, "0.1.0", 1.0, ["nvml"], self.buffer.next, self.standing
        )

    def clock(self) -> ClockReading:
        return ClockReading(self.now(), time.monotonic_ns())

    def batch(self, since: int) -> Batch:
        return Batch(self.instance, *self.buffer.since(since))


@contextmanager
def serving(remote: RemoteProbe, port: int = 0) -> Iterator[int]:
    server = ProbeServer(("127.0.0.1", port), remote, TOKEN)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("PROBE_TOKEN", TOKEN)
    return monkeypatch


def address(port: int, variable: str | None = "PROBE_TOKEN") -> ProbeAddress:
    key = KeySource(env=variable) if variable else None
    return ProbeAddress(
        RemoteHost("lab", "target"),
        Connection(scheme="http", host="127.0.0.1", port=port, base_path="", model="", key=key),
    )


class Reader:
    """A sensor and all of its readings."""

    def __init__(self, port: int, anchor: Anchor | None = None, **options: str | None) -> None:
        self.anchor = anchor or new_anchor()
        self.sensor = ProbeSensor(address(port, **options), self.anchor, 0.05)  # type: ignore[arg-type]
        self.said: list[Sample] = []

    def until(self, condition: Callable[[list[Sample]], bool], what: str) -> list[Sample]:
        end = time.monotonic() + PATIENCE_S
        while not condition(self.said):
            assert time.monotonic() < end, (
                f"{what}: {[(s.metric, s.reason) for s in self.said[-3:]]}"
            )
            self.said += self.sensor.read(self.anchor.now())
            time.sleep(0.01)
        return self.said

    def until_up(self, value: float = 1.0) -> None:
        self.said.clear()
        self.until(lambda said: said and said[-1].value == value, f"up = {value}")  # type: ignore[arg-type, return-value]

    def powers(self) -> list[Sample]:
        return [sample for sample in self.said if sample.metric == "gpu_power_w"]


@pytest.mark.parametrize("shift_ns", [0, 5 * HOUR_NS, -123_456_789_012])
def test_instants_of_another_clock_are_found_within_the_uncertainty(
    token: pytest.MonkeyPatch, shift_ns: int
) -> None:
    remote = RemoteProbe(shift_ns)
    remote.add(1.0)  # before the run: of no use to it
    with serving(remote) as port:
        reader = Reader(port)
        reader.until_up()
        trues = [remote.add(float(n)) for n in range(10, 15)]
        reader.until(lambda said: len(reader.powers()) == 5, "five readings")
    powers = reader.powers()
    assert [s.value for s in powers] == [10.0, 11.0, 12.0, 13.0, 14.0]
    assert {(s.device, s.subject) for s in powers} == {("lab:gpu0", "target")}
    uncertainty_s = reader.sensor._clock.uncertainty_ns(time.time_ns()) / 1e9
    for sample, true in zip(powers, trues, strict=True):
        assert abs(sample.at - reader.anchor.at(true)) / 1e9 <= uncertainty_s


def test_offset_uncertainty_and_round_trip_are_samples(token: pytest.MonkeyPatch) -> None:
    with serving(RemoteProbe(HOUR_NS)) as port:
        reader = Reader(port)
        reader.until(lambda said: any(s.metric == "round_trip_s" for s in said), "the clock")
    found = {s.metric: s for s in reader.said if s.sensor == "probe" and s.metric != "up"}
    assert set(found) == {"clock_offset_s", "clock_offset_uncertainty_s", "round_trip_s"}
    uncertainty, trip = found["clock_offset_uncertainty_s"].value, found["round_trip_s"].value
    offset = found["clock_offset_s"].value
    assert uncertainty is not None and trip is not None and offset is not None
    assert abs(offset - 3600) <= uncertainty
    assert trip / 2 <= uncertainty <= trip / 2 * 1.01 + 1e-6
    assert {(s.device, s.subject) for s in found.values()} == {("lab", "shared_host")}


def test_a_clock_that_steps_is_followed_and_said(token: pytest.MonkeyPatch) -> None:
    token.setattr(probe_sensor, "CLOCK_AGAIN_S", 0.0)
    remote = RemoteProbe()
    with serving(remote) as port:
        reader = Reader(port)
        reader.until_up()
        remote.shift_ns = 10_000_000_000
        reader.until(
            lambda said: any(s.metric == "clock_offset_s" and s.reason for s in said), "the step"
        )
        reader.said.clear()
        true = remote.add(7.0)
        reader.until(lambda said: bool(reader.powers()), "a reading")
    assert abs(reader.powers()[0].at - reader.anchor.at(true)) < 1_000_000_000


def test_a_probe_that_stops_and_comes_back(token: pytest.MonkeyPatch) -> None:
    remote = RemoteProbe()
    with serving(remote) as port:
        reader = Reader(port)
        reader.until_up()
    reader.until_up(0.0)
    assert reader.said[-1].reason
    remote.add(1.0)
    with serving(remote, port):
        reader.until(lambda said: bool(reader.powers()), "what it read in between")
        reader.until_up()


def test_a_probe_that_was_started_anew_is_read_from_its_beginning(
    token: pytest.MonkeyPatch,
) -> None:
    remote = RemoteProbe()
    for _ in range(20):
        remote.add(1.0)
    with serving(remote) as port:
        reader = Reader(port)
        reader.until_up()
    fresh = RemoteProbe()
    fresh.instance = "second"
    fresh.add(5.0)
    with serving(fresh, port):
        reader.until(lambda said: bool(reader.powers()), "the first reading of the new one")
    assert [s.value for s in reader.powers()] == [5.0]


def test_what_was_lost_in_between_is_counted(token: pytest.MonkeyPatch) -> None:
    remote = RemoteProbe()
    with serving(remote) as port:
        reader = Reader(port)
        reader.until_up()
    for _ in range(1100):
        remote.add(1.0)
    with serving(remote, port):
        reader.until(lambda said: len(reader.powers()) == 1000, "all that is kept")
    (lost,) = [s for s in reader.said if s.metric == "samples_lost"]
    assert lost.value == 100


def test_what_holds_for_all_of_it_is_said_at_this_runs_instant(token: pytest.MonkeyPatch) -> None:
    remote = RemoteProbe(HOUR_NS)
    period = Sample(5, "nvml", "shared_host", "gpu0", "gpu_power_update_period_s", 0.1)
    remote.standing = [period]
    with serving(remote) as port:
        reader = Reader(port)
        reader.until(lambda said: any(s.metric == period.metric for s in said), "the period")
    (said,) = [s for s in reader.said if s.metric == period.metric]
    assert (said.device, said.value) == ("lab:gpu0", 0.1)
    assert 0 <= said.at <= reader.anchor.now()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("PROBE_TOKEN", "another-token-of-that-length", "does not accept the token"),
        (None, "", "does not accept the token"),
        ("PROBE_OTHER", "", "the environment variable PROBE_OTHER is not set"),
    ],
)
def test_a_wrong_token_is_said_and_is_in_no_reason(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, value: str, words: str
) -> None:
    monkeypatch.setenv("PROBE_TOKEN", value)
    with serving(RemoteProbe()) as port:
        reader = Reader(port, variable=variable)
        reader.until(lambda said: any(words in (s.reason or "") for s in said), words)
    assert not [s for s in reader.said if value and value in (s.reason or "")]
    assert {s.metric for s in reader.said} == {"up"}


def test_another_protocol_is_said(token: pytest.MonkeyPatch) -> None:
    remote = RemoteProbe()
    remote.protocol = PROTOCOL + 1
    words = f"it speaks protocol {PROTOCOL + 1}, this is {PROTOCOL}"
    with serving(remote) as port:
        reader = Reader(port)
        reader.until(lambda said: any(s.reason == words for s in said), words)
