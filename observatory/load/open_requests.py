"""The requests that are open, each with the user who waits for it, and how they are cut off."""

from collections.abc import Callable
from typing import Literal

from observatory.load.in_flight import InFlight
from observatory.load.retry_loop import give_up_waiting
from observatory.load.virtual_user import VirtualUser
from observatory.wires.http_attempt import Fault


class OpenRequests:
    """now: nanoseconds from the anchor. ended is called with each turn that is over; it may be called again."""

    def __init__(self, now: Callable[[], int], ended: Callable[[InFlight], None]) -> None:
        self.seats: dict[InFlight, VirtualUser] = {}
        self._now = now
        self._ended = ended

    def give_up(self, outcome: Literal["timeout", "interrupted"], reason: str) -> None:
        """End every open request, and what its connection is doing."""
        kind: Literal["timeout", "cancelled"] = "timeout" if outcome == "timeout" else "cancelled"
        text = "still open at the drain limit" if outcome == "timeout" else "the stage was stopped"
        for turn, seat in list(self.seats.items()):
            turn.reason = reason
            if turn.waiting:
                # Nothing of it is open at the service, whose last response was a refusal.
                give_up_waiting(turn, "throttled" if outcome == "timeout" else outcome, reason)
            seat.transport.give_up(Fault("stream", kind, text, outcome))
            self.cut_off(turn, Fault("connect", kind, text, outcome))
            seat.rouse()

    def cut_off(self, turn: InFlight, fault: Fault) -> None:
        """End a turn; the fault is for one whose user had not begun."""
        if turn.exchange.ended is None:
            turn.exchange.fault = fault
            turn.exchange.ended = self._now()
        self._ended(turn)
