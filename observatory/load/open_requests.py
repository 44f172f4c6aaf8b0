"""The requests that are open, each with the user who waits for it, and how they are cut off."""

from collections.abc import Callable
from typing import Literal

from observatory.load.in_flight import InFlight
from observatory.load.retry_loop import give_up_waiting
from observatory.load.virtual_user import VirtualUser
from observatory.wires.http_attempt import Fault


class OpenRequests:
    """now: nanoseconds from the anchor. ended is called with each request in flight that is over; it may be called again."""

    def __init__(self, now: Callable[[], int], ended: Callable[[InFlight], None]) -> None:
        self.virtual_users: dict[InFlight, VirtualUser] = {}
        self._now = now
        self._ended = ended

    def give_up(self, outcome: Literal["timeout", "interrupted"], reason: str) -> None:
        """End every open request, and what its connection is doing."""
        kind: Literal["timeout", "cancelled"] = "timeout" if outcome == "timeout" else "cancelled"
        text = "still open at the drain limit" if outcome == "timeout" else "the stage was stopped"
        for in_flight, virtual_user in list(self.virtual_users.items()):
            in_flight.reason = reason
            if in_flight.waiting:
                # Nothing of it is open at the service, whose last response was a refusal.
                give_up_waiting(in_flight, "throttled" if outcome == "timeout" else outcome, reason)
            virtual_user.transport.give_up(Fault("stream", kind, text, outcome))
            self.cut_off(in_flight, Fault("connect", kind, text, outcome))
            virtual_user.rouse()

    def cut_off(self, in_flight: InFlight, fault: Fault) -> None:
        """End a request in flight; the fault is for one whose user had not begun."""
        if in_flight.http_attempt.ended is None:
            in_flight.http_attempt.fault = fault
            in_flight.http_attempt.ended = self._now()
        self._ended(in_flight)
