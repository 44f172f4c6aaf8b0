"""Ends exchanges that take too long: to their first byte, between two reads, or as a whole.

It looks every now and then and counts reads, so that a timer costs the hot path nothing; a limit is
kept to about a tenth of the shortest one.
"""

import time
from typing import Any, Protocol

import gevent

from observatory.core.connection import Connection
from observatory.endpoints.exchange import Exchange, Fault


class Watched(Protocol):
    """What is looked at: something with an exchange in progress."""

    exchange: Exchange | None

    def give_up(self, fault: Fault) -> None:
        """End it with this fault."""


class _Progress:
    __slots__ = ("began", "reads", "since")

    def __init__(self, now: float) -> None:
        self.began = now
        self.reads = -1
        self.since = now


class Watchdog:
    """One for all exchanges of a worker."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._watched: dict[Watched, _Progress] = {}
        shortest = min(
            connection.first_byte_timeout_s,
            connection.between_events_timeout_s,
            connection.whole_timeout_s,
        )
        interval = min(0.5, max(0.02, shortest / 10))
        self._timer: Any = gevent.get_hub().loop.timer(interval, interval)
        self._timer.start(self._look)

    def watch(self, one: Watched) -> None:
        """Its exchange begins now."""
        self._watched[one] = _Progress(time.monotonic())

    def release(self, one: Watched) -> None:
        """Its exchange is over."""
        self._watched.pop(one, None)

    def close(self) -> None:
        """Stop looking."""
        self._timer.close()

    def _look(self) -> None:
        now = time.monotonic()
        for one, progress in list(self._watched.items()):
            fault = self._fault(one.exchange, progress, now)
            if fault is not None:
                one.give_up(fault)

    def _fault(self, exchange: Exchange | None, progress: _Progress, now: float) -> Fault | None:
        limits = self._connection
        if exchange is None:
            return None
        if now - progress.began > limits.whole_timeout_s:
            text = f"no whole answer within {limits.whole_timeout_s:g} s"
            return Fault("stream", "timeout", text, "timeout")
        response = exchange.response
        if response is None or exchange.body_sent is None:
            return None  # connecting has a limit of its own
        reads = response.reads
        if reads != progress.reads:
            progress.reads, progress.since = reads, now
        elif not reads and now - progress.since > limits.first_byte_timeout_s:
            text = f"no first byte within {limits.first_byte_timeout_s:g} s"
            return Fault("headers", "timeout", text, "timeout")
        elif reads and now - progress.since > limits.between_events_timeout_s:
            text = f"nothing more for {limits.between_events_timeout_s:g} s"
            return Fault("stream", "stall", text, "timeout")
        return None
