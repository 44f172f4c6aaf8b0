"""One simulated user's way to the endpoint through the openai package's client (`transport: sdk`).

It measures what an application sees: instants are taken when the client returns, under the same time
limits and with the same words for what went wrong as the lean transport has.
"""

from dataclasses import dataclass
from typing import Any, Literal

import gevent
from gevent import GreenletExit

from observatory.connect.bounds import ANSWER
from observatory.endpoints.sdk_hearing import Hearing
from observatory.load.connections.endpoint import Endpoint
from observatory.load.connections.room import Room
from observatory.load.connections.tails import WAIT_S
from observatory.load.connections.watchdog import Watchdog
from observatory.wires.http_attempt import Fault, HttpAttempt

_MOST = ANSWER // 4
"""Bytes of all answers in progress: the package copies what it reads several times."""


_PAUSE_S = 0.001
"""After each part of a large answer; a pause of zero would not let timers run."""


class _Abandoned(BaseException):
    """The request is no longer awaited. No Exception, so that the client lets it through."""


class SdkTransportFactory:
    """A worker's one client, made when the worker begins, after any fork. BadInput as in SdkClient."""

    def __init__(self, endpoint: Endpoint, request: Literal["chat", "completions"]) -> None:
        # Imported here, because no other transport shall pay for the package.
        from observatory.endpoints.sdk_client import SdkClient
        from observatory.endpoints.sdk_faults import sdk_fault

        self.room = Room(_MOST)
        self.client = SdkClient(endpoint.connection, request)
        self.fault = sdk_fault

    def close(self) -> None:
        """Close its connections, a moment later: closing takes locks, which the hub may not wait for."""
        gevent.spawn(self.client.close)


@dataclass(eq=False, slots=True)
class SdkTransport:
    """As Transport: used by one greenlet at a time; `give_up` may be called from any other.

    Connections are the client's own, of all users together; it decides which is kept.
    """

    endpoint: Endpoint
    watchdog: Watchdog
    factory: SdkTransportFactory
    http_attempt: HttpAttempt | None = None
    _hearing: Hearing | None = None
    _greenlet: Any = None

    def send(self, body: list[bytes], http_attempt: HttpAttempt) -> None:
        """Send one request and wait for the whole answer; its course is recorded in `http_attempt`.

        However the wait ends (being killed included, which is raised on), `http_attempt.ended` is set.
        """
        limit_s = self.endpoint.connection.connect_timeout_s
        late = gevent.Timeout(limit_s)
        hearing = Hearing(
            http_attempt,
            self.endpoint.anchor.now,
            late.close,
            lambda: self._leave_soon(http_attempt),
            self._grown,
        )
        self.http_attempt, self._hearing = http_attempt, hearing
        self._greenlet = gevent.getcurrent()
        self.watchdog.watch(self)
        late.start()
        try:
            self.factory.client.send(b"".join(body), hearing)
            hearing.ended(None)
        except _Abandoned:
            pass
        except gevent.Timeout as timeout:
            if timeout is not late:
                raise
            text = f"no {hearing.phase} in time"
            hearing.ended(Fault(hearing.phase, "timeout", text, "timeout"))
        except GreenletExit:
            text = "the simulated user was stopped"
            hearing.ended(Fault(hearing.phase, "cancelled", text, "interrupted"))
            raise
        except Exception as error:
            fault = self.factory.fault(error, hearing.phase, self.endpoint.proxy)
            hearing.ended(fault, choked=True)
        finally:
            late.close()
            self.factory.room.leaves(self)
            self.watchdog.release(self)
            self.http_attempt = self._hearing = self._greenlet = None

    @property
    def taken(self) -> int:
        """How many bytes of the answer in progress have come, as a measure of its progress."""
        http_attempt = self.http_attempt
        if http_attempt is None or http_attempt.response is None:
            return 0
        return http_attempt.response.received

    def rests(self) -> None:
        """Do nothing: the client sees a stream's end by itself."""

    def give_up(self, fault: Fault) -> None:
        """End the HTTP attempt in progress, if any, at once; its phase is taken from how far it came."""
        http_attempt, hearing = self.http_attempt, self._hearing
        if http_attempt is None or hearing is None or http_attempt.ended is not None:
            return
        hearing.ended(Fault(hearing.phase, fault.kind, fault.text, fault.outcome))
        gevent.get_hub().loop.run_callback(self._abandon, http_attempt)

    def _abandon(self, http_attempt: HttpAttempt) -> None:
        """Called later, in the hub: the client's wait ends by an exception, and it closes the connection."""
        if self.http_attempt is http_attempt:
            self._greenlet.throw(_Abandoned())

    def _grown(self, size: int) -> None:
        """Yield to other greenlets, the time limits among them: a server that always sends lets no other run."""
        self.factory.room.grows(self, size)
        gevent.sleep(_PAUSE_S)

    def _leave_soon(self, http_attempt: HttpAttempt) -> None:
        """Wait a moment for HTTP's end, so that the client can keep the connection."""
        gevent.spawn_later(2 * WAIT_S, self._abandon, http_attempt)

    def close(self) -> None:
        """Do nothing: nothing is kept for this user alone."""
