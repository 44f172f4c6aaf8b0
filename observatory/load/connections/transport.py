"""One simulated user's way to the endpoint: a connection of its own, kept while it is sound.

An HTTP attempt is never sent twice here: a connection found closed before anything was sent is opened
again, anything later is a fault of this attempt (retry_loop.py decides when there is another).
"""

from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent import GreenletExit

from observatory.core.record import ErrorPhase
from observatory.load.connections.channel import Channel
from observatory.load.connections.connecting import AttemptBroken, OpenedSocket, open_connection
from observatory.load.connections.endpoint import Endpoint
from observatory.load.connections.tails import Tails
from observatory.load.connections.watchdog import Watchdog
from observatory.load.reading.ring import Ring
from observatory.wires.failures.socket_faults import socket_fault
from observatory.wires.http_attempt import Fault, HttpAttempt


class _Abandoned(Exception):
    """The connecting or sending under way is no longer awaited."""


@dataclass(eq=False, slots=True)
class Transport:
    """Used by one greenlet at a time; `give_up` may be called from any other.

    ring: what reads its connections; without one they are polled.
    """

    endpoint: Endpoint
    watchdog: Watchdog
    tails: Tails
    ring: Ring | None = None
    http_attempt: HttpAttempt | None = None
    _hub: Any = field(default_factory=gevent.get_hub)
    _channel: Channel | None = None
    _greenlet: Any = None
    _over: bool = False
    _waiting: bool = False

    def send(self, body: list[bytes], http_attempt: HttpAttempt) -> None:
        """Send one request and wait for the whole answer; its course is recorded in `http_attempt`.

        However the wait ends (being killed included, which is raised on), `http_attempt.ended` is set.
        """
        self.http_attempt = http_attempt
        self._greenlet = gevent.getcurrent()
        self._over = self._waiting = False
        self.watchdog.watch(self)
        try:
            self._http_attempt(body, http_attempt)
        except _Abandoned:
            self._spoil()
        except AttemptBroken as broken:
            self._fail(http_attempt, broken.fault)
        except GreenletExit:
            text = "the simulated user was stopped"
            self._fail(http_attempt, Fault(_phase(http_attempt), "cancelled", text, "interrupted"))
            raise
        finally:
            self.watchdog.release(self)
            self.http_attempt = self._greenlet = None
            if self._channel is not None and not self._channel.usable:
                self.close()

    def _http_attempt(self, body: list[bytes], http_attempt: HttpAttempt) -> None:
        if self._channel is not None and not self._channel.ready():
            self.close()
        channel = self._channel
        if channel is None:
            opened = open_connection(self.endpoint, http_attempt)
            channel = self._make_channel(opened)
            self._channel = channel
        else:
            http_attempt.reused = True
        try:
            channel.send(self.endpoint.request(body), http_attempt)
        except OSError as error:
            if not self._over:
                raise AttemptBroken(socket_fault("send", error)) from error
            self._spoil()
        while not self._over:
            self._waiting = True
            try:
                self._hub.switch()
            finally:
                self._waiting = False

    def _make_channel(self, opened: OpenedSocket) -> Channel:
        anchor_ns = self.endpoint.anchor.realtime_ns
        if self.ring is not None and opened.stamped:
            try:
                return Channel(opened, anchor_ns, self._done, self.tails, self.ring)
            except OSError:
                self.ring = None
        return Channel(opened, anchor_ns, self._done, self.tails)

    def _done(self) -> None:
        """Called by the channel when the HTTP attempt is over: in the hub, or wherever we gave it up."""
        self._over = True
        current = gevent.getcurrent()
        if self._waiting and current is self._hub:
            self._greenlet.switch()
        elif current is not self._greenlet:
            self._hub.loop.run_callback(self._wake, self.http_attempt)

    def _wake(self, http_attempt: HttpAttempt) -> None:
        """Wake later: the sleeper, or one whose sending is no longer awaited."""
        if self.http_attempt is http_attempt:
            if self._waiting:
                self._greenlet.switch()
            else:
                self._greenlet.throw(_Abandoned())

    @property
    def taken(self) -> int:
        """How many bytes of the answer in progress are taken in, as a measure of its progress."""
        return self._channel.taken if self._channel is not None else 0

    def rests(self) -> None:
        """Called when nothing has come of the answer in progress since `taken` was last looked at."""
        if self._channel is not None and not self._over:
            self._channel.rests()

    def give_up(self, fault: Fault) -> None:
        """End the HTTP attempt in progress, if any, at once; its phase is taken from how far it came."""
        http_attempt = self.http_attempt
        if http_attempt is None or self._over:
            return
        fault = Fault(_phase(http_attempt), fault.kind, fault.text, fault.outcome)
        if self._channel is not None and http_attempt.response is not None:
            self._channel.give_up(fault)
        else:
            self._fail(http_attempt, fault)
            self._done()

    def _fail(self, http_attempt: HttpAttempt, fault: Fault) -> None:
        if http_attempt.ended is None:
            http_attempt.fault = fault
            http_attempt.ended = self.endpoint.anchor.now()
        self._spoil()

    def _spoil(self) -> None:
        if self._channel is not None:
            self._channel.usable = False

    def close(self) -> None:
        """Close the connection, if any."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def _phase(http_attempt: HttpAttempt) -> ErrorPhase:
    """Return how far an HTTP attempt has come."""
    response = http_attempt.response
    if response is None:
        return "dns" if http_attempt.resolved is None and not http_attempt.reused else "connect"
    if response.headers_at is not None:
        return "stream"
    return "headers" if http_attempt.body_sent is not None else "send"
