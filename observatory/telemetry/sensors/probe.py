"""A probe on another host, read all along: its samples at this run's instants, and how sure those are.

It pulls in a thread of its own, so that a slow network delays no other sensor; a probe that does not
answer is `up` = 0 with the reason and is read again.
"""

import http.client
import threading
import time
from collections import deque
from ssl import SSLContext, SSLError
from typing import TypeVar

import msgspec

from observatory.connect.timed_http import TimedConnection
from observatory.connect.tls import tls_context
from observatory.core.clock import Anchor
from observatory.core.connection import Connection, resolved_headers
from observatory.core.errors import ObservatoryError
from observatory.core.sample import Sample
from observatory.telemetry.remote.clock_offset import ClockExchange, RemoteClock, best_offset
from observatory.telemetry.remote.remote_samples import ProbeAddress, moved_here, used_gpus
from observatory.telemetry.remote.wire import MOST_BYTES, PROTOCOL, Batch, ClockReading, ProbeAbout
from observatory.telemetry.sensors.sensor import down, up

NOT_READ_YET = "not asked yet"
TIMEOUT_S = 5.0
FIRST_EXCHANGES = 8
EXCHANGES = 4
"""Of which the one with the shortest round trip counts; the first of a connection is slower."""
CLOCK_AGAIN_S = 10.0
"""The offset is measured again so often: a drift of 500 parts in a million makes 5 ms of it."""
STALE_INTERVALS = 3
LEAST_STALE_S = 3.0
BEHIND = 20
"""Answers that are fetched in a row, at most, where the probe is ahead."""
Page = TypeVar("Page")


class ProbeSensor:
    """Samples of the remote sensors under their own names, and of sensor `probe` on the probe's name:
    up, clock_offset_s (remote minus local), clock_offset_uncertainty_s, round_trip_s, samples_lost.
    """

    name = "probe"

    def __init__(self, address: ProbeAddress, anchor: Anchor, interval_s: float) -> None:
        self._address = address
        self._host = address.host
        self._anchor = anchor
        self._interval_s = interval_s
        self._link = _Link(address.connection)
        self._clock = RemoteClock()
        self._about: ProbeAbout | None = None
        self._instance: str | None = None
        self._next = 0
        self._used: set[str] = set()
        self._clock_due = 0.0
        self._found: deque[Sample] = deque()
        self._failure: str | None = NOT_READ_YET
        self._answered: float | None = None
        threading.Thread(target=self._work, name=f"probe-{address.host.name}", daemon=True).start()

    def read(self, now: int) -> list[Sample]:
        """Return what came since the last call, each at its own instant, and whether the probe answers."""
        came = [self._found.popleft() for _ in range(len(self._found))]
        name = self._host.name
        failure, answered = self._failure, self._answered
        if failure is not None:
            return [*came, down(self.name, now, failure, device=name)]
        silent_s = time.monotonic() - (answered or 0.0)
        if silent_s > max(STALE_INTERVALS * self._interval_s, LEAST_STALE_S):
            return [*came, down(self.name, now, f"no answer for {silent_s:.1f} s", device=name)]
        return [*came, up(self.name, now, device=name)]

    def _work(self) -> None:
        while True:
            begun = time.monotonic()
            try:
                self._pull()
            except (OSError, http.client.HTTPException, ValueError, ObservatoryError) as error:
                self._failure = reason_of(error)
                self._link.close()
                self._about = None
            else:
                self._failure, self._answered = None, time.monotonic()
            time.sleep(max(0.05, self._interval_s - (time.monotonic() - begun)))

    def _pull(self) -> None:
        """Fetch who it is, its clock and everything new."""
        about = self._about
        if about is None:
            about = self._meet()
        if time.monotonic() >= self._clock_due:
            self._measure_clock(FIRST_EXCHANGES if not self._clock.known else EXCHANGES)
        for _ in range(BEHIND):
            batch = self._link.get(f"/samples?since={self._next}", Batch)
            if batch.instance != about.instance:
                raise ValueError("the probe was started again")
            if batch.first > self._next:
                self._add("samples_lost", float(batch.first - self._next))
            self._take(batch.samples, about)
            self._next = batch.next
            if not batch.samples:
                return

    def _meet(self) -> ProbeAbout:
        about = self._link.get("/about", ProbeAbout)
        if about.protocol != PROTOCOL:
            raise ValueError(f"it speaks protocol {about.protocol}, this is {PROTOCOL}")
        if self._instance is None:
            self._next = about.next  # what it read before this run is of no use to it
        elif about.instance != self._instance:
            self._next = 0
        self._about, self._instance = about, about.instance
        self._clock_due = 0.0
        at = self._anchor.now()
        used = self._used if about.watches else None
        self._found.extend(moved_here(self._host, about.standing, used, lambda _: at))
        return about

    def _measure_clock(self, count: int) -> None:
        exchanges = []
        for _ in range(count):
            sent, begun = time.time_ns(), time.monotonic_ns()
            remote = self._link.get("/clock", ClockReading).realtime_ns
            exchanges.append(ClockExchange(sent, sent + time.monotonic_ns() - begun, remote))
        offset = best_offset(exchanges)
        stepped = self._clock.learn(offset)
        at = self._anchor.at(offset.at_ns)
        for metric, value_ns in (
            ("clock_offset_s", offset.offset_ns),
            ("clock_offset_uncertainty_s", offset.uncertainty_ns),
            ("round_trip_s", offset.round_trip_ns),
        ):
            reason = stepped if metric == "clock_offset_s" else None
            self._add(metric, value_ns / 1e9, at=at, reason=reason)
        self._clock_due = time.monotonic() + CLOCK_AGAIN_S

    def _take(self, samples: list[Sample], about: ProbeAbout) -> None:
        self._used |= used_gpus(samples)
        used = self._used if about.watches else None

        def instant(remote_ns: int) -> int:
            return self._anchor.at(self._clock.to_local(remote_ns))

        self._found.extend(moved_here(self._host, samples, used, instant))

    def _add(
        self, metric: str, value: float, *, at: int | None = None, reason: str | None = None
    ) -> None:
        instant = self._anchor.now() if at is None else at
        self._found.append(
            Sample(instant, self.name, "shared_host", self._host.name, metric, value, reason)
        )


class _Link:
    """One kept connection; what it is answered is bounded and of a known shape."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._client: http.client.HTTPConnection | None = None
        self._headers: dict[str, str] = {}
        self._context: SSLContext | None = None

    def get(self, path: str, kind: type[Page]) -> Page:
        """Return one page. OSError, HTTPException, ValueError or BadInput where there is none.

        A connection that was closed while it was idle is opened again, once.
        """
        kept = self._client is not None
        try:
            return self._fetch(path, kind)
        except (http.client.RemoteDisconnected, ConnectionError):
            self.close()
            if not kept:
                raise
        return self._fetch(path, kind)

    def _fetch(self, path: str, kind: type[Page]) -> Page:
        client = self._client = self._client or self._connect()
        client.request("GET", self._connection.base_path + path, headers=self._headers)
        response = client.getresponse()
        body = response.read(MOST_BYTES + 1)
        if response.status == 401:
            raise ValueError("HTTP 401: the probe does not accept the token")
        if response.status != 200:
            raise ValueError(f"HTTP {response.status}")
        if len(body) > MOST_BYTES:
            raise ValueError(f"an answer has more than {MOST_BYTES >> 20} MiB")
        return msgspec.json.decode(body, type=kind)

    def close(self) -> None:
        """Close: the next page opens another connection."""
        if self._client is not None:
            self._client.close()
            self._client = None

    def _connect(self) -> http.client.HTTPConnection:
        at = self._connection
        self._headers = resolved_headers(at)
        if at.scheme == "https":
            self._context = self._context or tls_context(at)
        return TimedConnection(at.host, at.port, TIMEOUT_S, self._context)


def reason_of(error: Exception) -> str:
    """Return a failure in words, without an address or a secret in them."""
    if isinstance(error, SSLError):
        return f"TLS: {getattr(error, 'verify_message', None) or error.reason or 'failed'}"
    if isinstance(error, TimeoutError):
        return f"no answer within {TIMEOUT_S:g} s"
    if isinstance(error, msgspec.DecodeError):
        return "what it answers is not a probe's"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
