"""Turns ended HTTP attempts into records, a little at a time, so that no other stream's read waits.

A share of work is at most TURN_NS or ANSWERS_A_TURN, somewhat more when many answers wait, then the loop
reads sockets again: a zero loop timer at the lowest priority comes after them. gevent.sleep(0) would not
(up to 50 callbacks run first).
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import InitVar, dataclass, field
from typing import Any

import gevent

from observatory.core.record import RequestRecord
from observatory.load.connections.endpoint import Endpoint
from observatory.load.in_flight import InFlight
from observatory.wires.http_attempt import DecodedAnswer, Fault, HttpAttempt
from observatory.wires.wire import decode, decode_steps

TURN_NS = 300_000
"""Measured at 512 streams: the 99th percentile of errors stays at 0.1 to 0.2 ms."""
ANSWERS_A_TURN = 8
LONGER_EVERY = 64
LONGEST = 4
"""A share of work may take this many times as long, once more for each LONGER_EVERY answers that wait."""
MOST_QUEUED = 4_096
MOST_QUEUED_BYTES = 32 << 20
"""Past either, answers are decoded where they end, while the processor's caches still hold them: memory
stays bounded, and the lag shows it. 1,000 streams of 25 kB that end together stay below."""
MOST_OF_A_REFUSAL = 8 << 10
"""Bytes received; what is longer is an answer."""

_log = logging.getLogger(__name__)
Steps = Generator[None, None, DecodedAnswer]


@dataclass(eq=False)
class DecodeQueue:
    """Ended requests in flight, oldest first.

    record makes the record of one; write takes the records of one share of work;
    idle is called when there is nothing left to do, failed when one of these raises in the hub.
    """

    endpoint: InitVar[Endpoint]
    record: Callable[[InFlight, DecodedAnswer], RequestRecord]
    write: Callable[[list[RequestRecord]], None]
    idle: Callable[[], None]
    failed: Callable[[Exception], None]
    _queue: deque[InFlight] = field(default_factory=deque)
    _queued_bytes: int = 0
    _done: list[RequestRecord] = field(default_factory=list)
    _current: tuple[InFlight, Steps] | None = None
    _scheduled: bool = False

    def __post_init__(self, endpoint: Endpoint) -> None:
        self._decoding = endpoint.decoding
        loop = gevent.get_hub().loop
        self._timer: Any = loop.timer(0.0)
        self._timer.priority = loop.MINPRI

    def __len__(self) -> int:
        return len(self._queue) + (self._current is not None) + len(self._done)

    def put(self, in_flight: InFlight, *, at_once: bool = False) -> None:
        """Called when an HTTP attempt has ended. at_once: its record is written before this returns."""
        full = len(self._queue) >= MOST_QUEUED
        size = _size(in_flight)
        if at_once or full or self._queued_bytes + size > MOST_QUEUED_BYTES:
            self._done.append(self._decoded(in_flight))
            if at_once or len(self._done) >= ANSWERS_A_TURN:
                self._flush()
            self._schedule()
            return
        self._queue.append(in_flight)
        self._queued_bytes += size
        self._schedule()

    def drain(self) -> None:
        """Decode everything now, even while others wait."""
        while self._queue or self._current is not None:
            record = self._step()
            if record is not None:
                self.write([record])
        self._flush()

    def close(self) -> None:
        """Stop the timer."""
        self._timer.close()

    def _flush(self) -> None:
        """Write the records of what was decoded where it ended."""
        done, self._done = self._done, []
        if done:
            self.write(done)

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._timer.stop()
            self._timer.start(self._work)

    def _work(self) -> None:
        self._scheduled = False
        try:
            self._turn()
        except Exception as error:
            self.failed(error)

    def _turn(self) -> None:
        self._flush()
        began = time.monotonic_ns()
        records: list[RequestRecord] = []
        times = min(LONGEST, 1 + len(self) // LONGER_EVERY)
        while (self._queue or self._current is not None) and len(records) < ANSWERS_A_TURN * times:
            record = self._step()
            if record is not None:
                records.append(record)
            if time.monotonic_ns() - began > TURN_NS * times:
                break
        if records:
            self.write(records)
        if len(self):
            self._schedule()
        else:
            self.idle()

    def _step(self) -> RequestRecord | None:
        """Decode some events further with the oldest; its record when that was the end."""
        if self._current is None:
            in_flight = self._queue.popleft()
            self._queued_bytes -= _size(in_flight)
            steps = decode_steps(in_flight.http_attempt, **self._decoding)
            self._current = (in_flight, steps)
        record = self._further(*self._current)
        if record is not None:
            self._current = None
        return record

    def _decoded(self, in_flight: InFlight) -> RequestRecord:
        steps = decode_steps(in_flight.http_attempt, **self._decoding)
        while True:
            record = self._further(in_flight, steps)
            if record is not None:
                return record

    def _further(self, in_flight: InFlight, steps: Steps) -> RequestRecord | None:
        try:
            next(steps)
        except StopIteration as stop:
            return self.record(in_flight, stop.value)
        except Exception as error:
            # Our bug must not cost the record: issued = recorded.
            _log.exception("request %d could not be decoded", in_flight.index)
            return self.record(in_flight, self._undecoded(in_flight, error))
        return None

    def _undecoded(self, in_flight: InFlight, error: Exception) -> DecodedAnswer:
        in_flight.http_attempt.response = None
        in_flight.http_attempt.fault = Fault(
            "stream", "client", f"not decoded: {type(error).__name__}"
        )
        return decode(in_flight.http_attempt, **self._decoding)


_MARKS = (b"error", b"code", b"status", b"throttl", b"limit", b"overload", b"busy")
"""One of these is in each error that a 200 may hold."""


def refused_inside(endpoint: Endpoint, http_attempt: HttpAttempt) -> bool:
    """Return whether an answer is "not now" by its body: a 4xx, or a small 200 with an error before anything else."""
    response = http_attempt.response
    if response is None or response.status is None or not 200 <= response.status < 500:
        return False
    if response.status < 400:
        if response.received > MOST_OF_A_REFUSAL:
            return False
        body = b"".join(response.pieces)
        if not any(mark in body for mark in _MARKS):
            return False
    answer = decode(http_attempt, **endpoint.decoding)
    return answer.attempt.outcome == "throttled"


def looks_refused(in_flight: InFlight) -> bool:
    """Return whether an ended HTTP attempt may be a refusal, which is soon decoded: no status of success, or little.

    Refusals are counted where they end: their users would send more while they waited in the queue.
    """
    response = in_flight.http_attempt.response
    if response is None or response.status is None or not 200 <= response.status < 300:
        return True
    return response.received <= MOST_OF_A_REFUSAL


def _size(in_flight: InFlight) -> int:
    response = in_flight.http_attempt.response
    return response.received if response is not None else 0
