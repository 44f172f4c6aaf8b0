"""One worker's part of a stage: its timeline, what is in flight, and the end, however it comes.

Everything runs in one gevent hub. Invariants: every issued request is recorded; in open loop every
planned one is issued or recorded as not issued, with its reason.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from observatory.core.record import RequestRecord
from observatory.core.run import REFUSED_ALIKE
from observatory.load.admission import Admission
from observatory.load.connections.endpoint import make_endpoint
from observatory.load.decoding import DecodeQueue, looks_refused, refused_inside
from observatory.load.handoff import Handoff
from observatory.load.in_flight import InFlight
from observatory.load.loops import ClosedLoopUsers, make_loop
from observatory.load.open_requests import OpenRequests
from observatory.load.recorder import Ending, JournalFailed, StageJournal, open_counts
from observatory.load.records import RecordMaker
from observatory.load.refusals import Refusals
from observatory.load.retry_loop import RetryLoop
from observatory.load.retry_policy import retry_policy_of
from observatory.load.timeline import Timeline
from observatory.load.virtual_user import VirtualUser, VirtualUsers
from observatory.wires.http_attempt import Fault

_UNSENT_AT_ONCE = 256
_NOT_SENT = Fault("connect", "client", "not asked", "interrupted")
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class StageEnd:
    """How the stage ends, as far as is known; reached: its last record is written."""

    ending: Ending = "complete"
    detail: str | None = None
    reached: bool = False


class StageRun:
    """Set up at once; `begin` starts it, `over` is called (once) when its last record is written.

    BadInput where a secret or certificate is missing, JournalFailed where the slice has already run
    or cannot be written. recorded gets every record written (plain Locust's statistics).
    """

    def __init__(
        self,
        handoff: Handoff,
        worker: int,
        over: Callable[[Ending], None],
        recorded: Callable[[RequestRecord], None] | None = None,
    ) -> None:
        self.handoff = handoff
        self._over = over
        self._end = StageEnd()
        endpoint = make_endpoint(
            handoff.connection, handoff.anchor, request=handoff.request, stream=handoff.stream
        )
        counts = open_counts(handoff)
        lasting = counts.of(worker)
        refusals = Refusals(counts, worker, watching=handoff.stop_on_refusals)
        admission = Admission(handoff, worker, time.monotonic_ns(), lasting)
        self._users = VirtualUsers(endpoint, handoff)
        timeline = self._timeline = Timeline(handoff.stage, handoff.anchor, self._bug)
        self.journal = StageJournal(handoff, worker, timeline.clock, lasting, self._beat, recorded)
        self._open = OpenRequests(
            handoff, timeline, admission, refusals, self.journal, self.out_of_budget, self._ended
        )
        retry_policy = retry_policy_of(handoff, lambda tried: refused_inside(endpoint, tried))
        self._records = RecordMaker(
            handoff, worker, endpoint, timeline.clock, admission, retry_policy
        )
        self._decoder = DecodeQueue(
            endpoint, self._records.answered, self._write, self._maybe_over, self._bug
        )
        self._retry_loop = RetryLoop(retry_policy, admission, timeline.alarms)
        self._loop = make_loop(self._open, handoff, worker)

    # The timeline.

    def begin(self, start_unix_ns: int) -> None:
        """Start at that moment, which is the same for all workers."""
        if self._timeline.begun or self._end.reached:
            return
        started = self.handoff.anchor.at(start_unix_ns)
        self._timeline.begin(started)
        try:
            self.journal.begin(started)
        except JournalFailed as error:
            self.stop("crashed", str(error))
            return
        self._timeline.arm(self._loop.start, self._window_ends, self._drain_ends)

    def _window_ends(self) -> None:
        self._timeline.window_over = True
        if isinstance(self._loop, ClosedLoopUsers):
            self._loop.stop()
        self._maybe_over()

    def _drain_ends(self) -> None:
        """End what is open as timed out, and what never went out with its reason."""
        if not self._end.reached:
            self._loop.stop()
            self._open.give_up("timeout", "drain_limit")
            self._refuse("not_issued", "drain_limit")
            self._maybe_over()

    def out_of_budget(
        self, why: str = "the next request's worst case exceeds what is left of the budget"
    ) -> None:
        """Called when nothing more may be sent: let what is in flight end, then end the stage."""
        if self._end.ending != "complete" or self._end.reached:
            return
        self._end.ending, self._end.detail = "budget_reached", why
        self._timeline.window_over = True
        self._loop.stop()
        self._refuse("refused_by_budget", "budget")
        self._timeline.drain_from_now(self._drain_ends)
        self._maybe_over()

    def stop(self, ending: Literal["interrupted", "crashed"], detail: str) -> None:
        """End now: what is in flight is recorded as it is. Returns when all is written."""
        if self._end.reached:
            return
        self._end.ending, self._end.detail = ending, detail
        self._timeline.window_over = True
        try:
            self._loop.stop()
            reason = detail if detail == REFUSED_ALIKE else ending
            self._open.give_up("interrupted", reason)
            self._refuse("not_issued", reason)
            self._decoder.drain()
        except Exception as error:
            _log.exception("the last records cannot be made")
            self._end.detail = self._end.detail if ending == "crashed" else str(error)
            self._end.ending = "crashed"
        self._finish()

    def _bug(self, error: Exception) -> None:
        """Stop the stage on an error of ours that no caller awaits: better no stage than a wrong one."""
        _log.error("the stage ends for a bug", exc_info=error)
        self.stop("crashed", f"a bug in the load generator: {type(error).__name__}: {error}")

    # What users do.

    def virtual_user(self) -> VirtualUser:
        """Return a place for one more simulated user."""
        return self._users.add(leaving=self._end.reached)

    def next_turn(self, virtual_user: VirtualUser) -> InFlight | None:
        """Wait until this user has something to send; None when it is to leave."""
        try:
            if not virtual_user.leaving:
                self._loop.virtual_user_free(virtual_user)
        except Exception as error:
            self._bug(error)  # Locust would only log it and go on
        return virtual_user.wait()

    def send(self, virtual_user: VirtualUser, in_flight: InFlight) -> None:
        """Send the request and wait for its answer; every attempt is recorded."""
        try:
            self._retry_loop.make(virtual_user, in_flight)
        except Exception as error:
            self._bug(error)
        finally:
            try:
                self._open.cut_off(in_flight, _NOT_SENT)
                ended = self._timeline.clock.monotonic(in_flight.http_attempt.ended or 0)
                virtual_user.freed(ended, self._users.think_ns)
            except Exception as error:
                self._bug(error)

    def leave(self, virtual_user: VirtualUser) -> None:
        """Called when this user is gone; what it was given and had no time to send ends here."""
        virtual_user.leaving = True
        if virtual_user.in_flight is not None:
            self._open.cut_off(
                virtual_user.in_flight,
                Fault("connect", "cancelled", "the user left", "interrupted"),
            )
        virtual_user.transport.close()

    # What becomes of requests.

    def _ended(self, in_flight: InFlight) -> None:
        watching = self._open.refusals.watching
        self._decoder.put(in_flight, at_once=watching and looks_refused(in_flight))
        self._loop.pump()

    def _refuse(self, outcome: Literal["refused_by_budget", "not_issued"], reason: str) -> None:
        """Record what was planned and will not be sent."""
        timeline = self._timeline
        records: list[RequestRecord] = []
        for in_flight in self._loop.unsent():
            due = in_flight.due_monotonic
            in_flight.scheduled = timeline.clock.instant(due or time.monotonic_ns())
            in_flight.phase = timeline.phase(due)
            records.append(self._records.unsent(in_flight, outcome, reason))
            if len(records) == _UNSENT_AT_ONCE:
                self._write(records, issued=False)
                records = []
        self._write(records, issued=False)

    def _overspent(self) -> None:
        """Called when more was billed than the cap allows: nothing more is sent, what is open is cut off."""
        if self._end.reached:
            return
        self.out_of_budget("more was billed than is left of the budget")
        if self._open.virtual_users:
            self._open.give_up("interrupted", "budget")

    def _write(self, records: list[RequestRecord], *, issued: bool = True) -> None:
        end = self._end
        if not records or end.reached:
            return
        try:
            self.journal.write(records, issued=issued)
        except JournalFailed as error:
            if end.ending != "crashed":
                self.stop("crashed", str(error))
            return
        refusals = self._open.refusals
        if issued and refusals.watching and end.ending in ("complete", "budget_reached"):
            refusals.take(records, time.monotonic_ns())
            self._stop_where_refused()
            if end.reached:
                return
        if self._open.admission.budget.exceeded:
            self._overspent()
        self._loop.pump()  # what ended at its real cost may have made room

    def _stop_where_refused(self) -> None:
        """Stop where all is refused alike: nothing more is sent, and what is open is cut off."""
        if self._end.ending == "complete" and self._open.stops_refused(time.monotonic_ns()):
            self.stop("crashed", REFUSED_ALIKE)

    def _beat(self) -> None:
        if not self._timeline.begun or self._end.reached:
            return
        try:
            self.journal.beat(self._open.admission, len(self._decoder))
            self._stop_where_refused()
        except JournalFailed as error:
            self.stop("crashed", str(error))

    def _maybe_over(self) -> None:
        if not (self._timeline.window_over and self._timeline.begun):
            return
        if not (self._loop.waiting or self._open.virtual_users or len(self._decoder)):
            self._finish()

    def _finish(self) -> None:
        end = self._end
        if end.reached:
            return
        end.reached = True
        self._users.dismiss()
        requests, queued = self._open, len(self._decoder)
        try:
            self.journal.end(requests.admission, requests.refusals, queued, end.ending, end.detail)
        except JournalFailed as error:
            _log.error("%s", error)
            end.ending = "crashed"
        for part in (self.journal, self._decoder, self._users, self._timeline):
            part.close()
        self._over(end.ending)
