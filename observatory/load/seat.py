"""A simulated user as the stage sees it: where its next request is handed over, and where it waits."""

from typing import Any

import gevent

from observatory.load.transport import Transport
from observatory.load.turn import Turn

_FIRST_PAUSE_NS = 100_000_000
_LONGEST_PAUSE_NS = 1_000_000_000


class Seat:
    """One Locust user's place. free_monotonic: since when it has nothing to do.

    leaving: no more requests for it. A user whose connection fails pauses 0.1 s, doubling to 1 s,
    before it is free again, because a dead target would otherwise be asked thousands of times a
    second.
    """

    def __init__(self, number: int, transport: Transport) -> None:
        self.number = number
        self.transport = transport
        self.turn: Turn | None = None
        self.leaving = False
        self.free_monotonic = 0
        self.waiting_since = 0
        self._pause_ns = 0
        self._greenlet: Any = None

    def wait(self) -> Turn | None:
        """Sleep until there is a turn; None when the user is to leave."""
        hub = gevent.get_hub()
        while self.turn is None and not self.leaving:
            self._greenlet = gevent.getcurrent()
            try:
                hub.switch()
            finally:
                self._greenlet = None
        return self.turn

    def wake(self) -> None:
        """The turn or the leave is there: go on, at once where we are in the hub."""
        if self._greenlet is None:
            return
        hub = gevent.get_hub()
        if gevent.getcurrent() is hub:
            self._greenlet.switch()
        else:
            hub.loop.run_callback(self._wake_later)

    def _wake_later(self) -> None:
        if self._greenlet is not None:
            self._greenlet.switch()

    def freed(self, ended_monotonic: int, think_ns: int) -> None:
        """Its turn has ended; sets free_monotonic."""
        turn = self.turn
        fault = turn.exchange.fault if turn is not None else None
        if fault is not None and fault.phase in ("dns", "connect", "tls"):
            self._pause_ns = min(_LONGEST_PAUSE_NS, max(_FIRST_PAUSE_NS, 2 * self._pause_ns))
        else:
            self._pause_ns = 0
        self.turn = None
        self.free_monotonic = ended_monotonic + think_ns + self._pause_ns
