"""Ends HTTP attempts that take too long: to their first byte, between two reads, or as a whole.

It looks every now and then whether something came, so that a timer costs the hot path nothing; a limit is
kept to about a tenth of the shortest one.
"""

import time
from typing import Any, Protocol

import gevent
import msgspec

from observatory.core.connection import Connection
from observatory.wires.http_attempt import Fault, HttpAttempt

MUCH = 8 << 20
"""Bytes of an answer after which it is looked at as one that rests: so many are not kept unparsed."""


class Watched(Protocol):
    """What is looked at: something with an HTTP attempt in progress."""

    http_attempt: HttpAttempt | None

    @property
    def taken(self) -> int:
        """A number that every read of the answer in progress changes; 0 before the first."""

    def rests(self) -> None:
        """Called when it is as it was at the last look, or very large: a stream may have ended unseen."""

    def give_up(self, fault: Fault) -> None:
        """End it with this fault."""


class _Progress(msgspec.Struct, eq=False):
    began: float
    since: float
    taken: int = -1
    rests: bool = False


class Watchdog:
    """One for all HTTP attempts of a worker."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._watched: dict[Watched, _Progress] = {}
        shortest = min(
            connection.first_byte_timeout_s,
            connection.between_events_timeout_s,
            connection.total_timeout_s,
        )
        interval = min(0.5, max(0.02, shortest / 10))
        self._timer: Any = gevent.get_hub().loop.timer(interval, interval)
        self._timer.start(self._look)

    def watch(self, one: Watched) -> None:
        """Called when its HTTP attempt begins."""
        now = time.monotonic()
        self._watched[one] = _Progress(now, now)

    def release(self, one: Watched) -> None:
        """Called when its HTTP attempt is over."""
        self._watched.pop(one, None)

    def close(self) -> None:
        """Stop looking."""
        self._timer.close()

    def _look(self) -> None:
        now = time.monotonic()
        for one, progress in list(self._watched.items()):
            fault = self._fault(one, progress, now)
            if fault is not None:
                one.give_up(fault)
            elif progress.rests or progress.taken > MUCH:
                one.rests()

    def _fault(self, one: Watched, progress: _Progress, now: float) -> Fault | None:
        limits, http_attempt = self._connection, one.http_attempt
        if http_attempt is None:
            return None
        if now - progress.began > limits.total_timeout_s:
            text = f"no whole answer within {limits.total_timeout_s:g} s"
            return Fault("stream", "timeout", text, "timeout")
        if http_attempt.response is None or http_attempt.body_sent is None:
            return None  # connecting has a limit of its own
        taken = one.taken
        progress.rests = 0 < taken == progress.taken
        if taken != progress.taken:
            progress.taken, progress.since = taken, now
        elif not taken and now - progress.since > limits.first_byte_timeout_s:
            text = f"no first byte within {limits.first_byte_timeout_s:g} s"
            return Fault("headers", "timeout", text, "timeout")
        elif taken and now - progress.since > limits.between_events_timeout_s:
            text = f"nothing more for {limits.between_events_timeout_s:g} s"
            return Fault("stream", "stall", text, "timeout")
        return None
