"""The requests of a worker that are open: how they are issued, each to a user who waits for it, and cut off."""

import time
from collections.abc import Callable
from typing import Literal

from observatory.load.admission import Admission, Decision
from observatory.load.handoff import Handoff
from observatory.load.in_flight import InFlight, RequestSource
from observatory.load.recorder import StageJournal
from observatory.load.refusals import Refusals
from observatory.load.retry_loop import give_up_waiting
from observatory.load.timeline import Timeline
from observatory.load.virtual_user import VirtualUser
from observatory.wires.http_attempt import Fault


class OpenRequests:
    """What a loop needs of its stage (loops.LoopStage). virtual_users: the open requests, with their users.

    out_of_budget is called where the next request can never fit; ended once with each request that is over.
    """

    def __init__(
        self,
        handoff: Handoff,
        timeline: Timeline,
        admission: Admission,
        refusals: Refusals,
        journal: StageJournal,
        out_of_budget: Callable[[], None],
        ended: Callable[[InFlight], None],
    ) -> None:
        self.turns = RequestSource(handoff)
        self.alarms = timeline.alarms
        self.out_of_budget = out_of_budget
        self.admission = admission
        self.refusals = refusals
        self.virtual_users: dict[InFlight, VirtualUser] = {}
        self._now = handoff.anchor.now
        self._timeline = timeline
        self._journal = journal
        self._ended = ended

    def may_issue(self, in_flight: InFlight, now_ns: int) -> Decision:
        """Return admission's decision at this moment; nothing goes out while all answers are refused alike."""
        refusals = self.refusals
        held = refusals.watching and refusals.held_until(self.virtual_users, now_ns)
        return held or self.admission.decide(in_flight, now_ns)

    def issue(self, virtual_user: VirtualUser, in_flight: InFlight, now_ns: int) -> None:
        """Issue the request to that user, who may run at once."""
        clock, due = self._timeline.clock, in_flight.due_monotonic
        clock.check()
        in_flight.scheduled = clock.instant(due)
        in_flight.released = clock.instant(now_ns)
        if in_flight.entered_monotonic:
            in_flight.pace_wait_ns = max(0, now_ns - in_flight.entered_monotonic)
        in_flight.phase = self._timeline.phase(due)
        in_flight.user = virtual_user.number
        self._journal.issued()
        self.admission.enter(in_flight, now_ns)
        self.virtual_users[in_flight] = virtual_user
        virtual_user.in_flight = in_flight
        virtual_user.wake()

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
        """End a request, unless it is over; the fault is for one whose user had not begun."""
        if in_flight.http_attempt.ended is None:
            in_flight.http_attempt.fault = fault
            in_flight.http_attempt.ended = self._now()
        if in_flight.closed:
            return
        in_flight.closed = True
        in_flight.ended_monotonic = time.monotonic_ns()
        del self.virtual_users[in_flight]
        self.admission.leave()
        self._ended(in_flight)

    def stops_refused(self, now_ns: int) -> bool:
        """Return whether the stage must stop, because all is refused alike."""
        return self.refusals.stop(self.virtual_users, now_ns)
