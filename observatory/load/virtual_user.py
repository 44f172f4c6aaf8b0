"""Simulated users as the stage sees them: where the next request is handed over, and where each waits."""

import time
from typing import Any

import gevent

from observatory.load.command import simulated_users
from observatory.load.connections.endpoint import Endpoint
from observatory.load.connections.transport_factory import AnyTransport, TransportFactory
from observatory.load.connections.watchdog import Watchdog
from observatory.load.handoff import Handoff
from observatory.load.in_flight import InFlight
from observatory.load.pacing import AlarmClock
from observatory.load.reading.ring import open_ring

_FIRST_PAUSE_NS = 100_000_000
_LONGEST_PAUSE_NS = 1_000_000_000


class VirtualUser:
    """One Locust user's place. free_monotonic: since when it has nothing to do.

    leaving: no more requests for it. A user whose connection fails pauses 0.1 s, doubling to 1 s,
    before it is free again, because a dead target would otherwise get thousands of requests a
    second.
    """

    def __init__(self, number: int, transport: AnyTransport) -> None:
        self.number = number
        self.transport = transport
        self.in_flight: InFlight | None = None
        self.leaving = False
        self.free_monotonic = 0
        self.waiting_since = 0
        self._pause_ns = 0
        self._greenlet: Any = None
        self._rest: object | None = None

    def wait(self) -> InFlight | None:
        """Sleep until there is a request in flight; None when the user is to leave."""
        while self.in_flight is None and not self.leaving:
            self._sleep()
        return self.in_flight

    def rest(self, alarms: AlarmClock, until_ns: int) -> None:
        """Sleep between two attempts until that instant (monotonic), or until `rouse`."""
        rest = self._rest = object()
        alarms.call_at(until_ns, lambda: self.rouse(rest))
        try:
            while self._rest is rest:
                self._sleep()
        finally:
            self._rest = None

    def rouse(self, rest: object | None = None) -> None:
        """End the rest, if there is one (and it is that one) and go on at once."""
        if self._rest is not None and rest in (None, self._rest):
            self._rest = None
            self.wake()

    def _sleep(self) -> None:
        self._greenlet = gevent.getcurrent()
        try:
            gevent.get_hub().switch()
        finally:
            self._greenlet = None

    def wake(self) -> None:
        """Wake the user, because what it waits for is there: at once where we are in the hub."""
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
        """Called when its request in flight has ended; sets free_monotonic."""
        in_flight = self.in_flight
        fault = in_flight.http_attempt.fault if in_flight is not None else None
        if fault is not None and fault.phase in ("dns", "connect", "tls"):
            self._pause_ns = min(_LONGEST_PAUSE_NS, max(_FIRST_PAUSE_NS, 2 * self._pause_ns))
        else:
            self._pause_ns = 0
        self.in_flight = None
        self.free_monotonic = ended_monotonic + think_ns + self._pause_ns


class VirtualUsers:
    """All users of a worker's part of a stage, and what their transports share. think_ns: the pause after an answer."""

    def __init__(self, endpoint: Endpoint, handoff: Handoff) -> None:
        """Raise BadInput where the client cannot be made."""
        self.think_ns = round(handoff.stage.think_time_s * 1e9)
        self._all: list[VirtualUser] = []
        self._watchdog = Watchdog(handoff.connection)
        self._factory = TransportFactory(
            endpoint,
            self._watchdog,
            handoff,
            lambda: open_ring(simulated_users(handoff) // handoff.workers),
        )

    def add(self, *, leaving: bool) -> VirtualUser:
        """Return one more user, who is free from now on."""
        virtual_user = VirtualUser(len(self._all), self._factory.make())
        virtual_user.free_monotonic, virtual_user.leaving = time.monotonic_ns(), leaving
        self._all.append(virtual_user)
        return virtual_user

    def dismiss(self) -> None:
        """Let all of them leave, also those who wait."""
        for virtual_user in self._all:
            virtual_user.leaving = True
            virtual_user.wake()

    def close(self) -> None:
        """Close what they share."""
        self._watchdog.close()
        self._factory.close()
