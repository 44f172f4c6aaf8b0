"""One worker's part of a stage: its timeline, what is in flight, and the end, however it comes.

Everything runs in one gevent hub. Invariants: every issued request is recorded; in open loop every
planned one is issued or recorded as not issued, with its reason.
"""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec.structs import replace

from observatory.core.record import RequestRecord, WorkerStart, WorkerTick
from observatory.core.run import REFUSED_ALIKE
from observatory.core.stage_counts import ISSUED
from observatory.load.admission import Admission, Decision
from observatory.load.clock_watch import ClockWatch
from observatory.load.command import simulated_users
from observatory.load.connections.endpoint import make_endpoint
from observatory.load.connections.transport_factory import TransportFactory
from observatory.load.connections.watchdog import Watchdog
from observatory.load.decoding import DecodeQueue, looks_refused, refused_inside
from observatory.load.handoff import Handoff
from observatory.load.heartbeat import Heartbeat, HeartbeatCounts
from observatory.load.in_flight import InFlight, RequestSource
from observatory.load.loops import ClosedLoopUsers, make_loop
from observatory.load.open_requests import OpenRequests
from observatory.load.pacing import AlarmClock
from observatory.load.reading.ring import open_ring
from observatory.load.recorder import JournalFailed, Recorder, open_counts
from observatory.load.records import RecordMaker
from observatory.load.refusals import Refusals
from observatory.load.retry_loop import RetryLoop
from observatory.load.retry_policy import retry_policy_of
from observatory.load.timeline import Timeline
from observatory.load.virtual_user import VirtualUser
from observatory.wires.http_attempt import Fault

Ending = Literal["complete", "interrupted", "budget_reached", "crashed"]
_UNSENT_AT_ONCE = 256
_NOT_SENT = Fault("connect", "client", "not asked", "interrupted")
_log = logging.getLogger(__name__)


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
        self.worker = worker
        self.ending: Ending = "complete"
        self.turns = RequestSource(handoff)
        self.clock = ClockWatch(handoff.anchor)
        self.counts = HeartbeatCounts()
        self._detail: str | None = None
        self._over = over
        self._recorded = recorded
        self._endpoint = make_endpoint(
            handoff.connection, handoff.anchor, request=handoff.request, stream=handoff.stream
        )
        counts = open_counts(handoff)
        self._recorder = Recorder(Path(handoff.journal), worker)
        self._lasting = counts.of(worker)
        self._refusals = Refusals(counts, worker, watching=handoff.stop_on_refusals)
        self._watchdog = Watchdog(handoff.connection)
        self._factory = TransportFactory(
            self._endpoint,
            self._watchdog,
            handoff,
            lambda: open_ring(simulated_users(handoff) // handoff.workers),
        )
        self.alarms = AlarmClock(self._bug)
        self._timeline = Timeline(handoff.stage, self.clock, self.alarms)
        self._open = OpenRequests(handoff.anchor.now, self._ended)
        self._admission = Admission(handoff, worker, time.monotonic_ns(), self._lasting)
        retry_policy = retry_policy_of(handoff, lambda tried: refused_inside(self._endpoint, tried))
        self._records = RecordMaker(
            handoff, worker, self._endpoint, self.clock, self._admission, retry_policy
        )
        self._decoder = DecodeQueue(
            self._endpoint, self._records.answered, self._write, self._maybe_over, self._bug
        )
        self._heartbeat = Heartbeat(self.clock, self._beat)
        self._retry_loop = RetryLoop(retry_policy, self._admission, self.alarms)
        self._loop = make_loop(self, handoff, worker)
        self._virtual_users: list[VirtualUser] = []
        self._finished = False

    # The timeline.

    def begin(self, start_unix_ns: int) -> None:
        """Start at that moment, which is the same for all workers."""
        if self._timeline.begun or self._finished:
            return
        self._heartbeat.restart()
        anchor = self.handoff.anchor
        started = anchor.at(start_unix_ns)
        self._timeline.begin(started)
        entry = WorkerStart(
            worker=self.worker,
            pid=os.getpid(),
            stage=self.handoff.stage.index,
            at=anchor.now(),
            stage_started=started,
        )
        try:
            self._recorder.beat(entry)
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
        if not self._finished:
            self._loop.stop()
            self._open.give_up("timeout", "drain_limit")
            self._refuse("not_issued", "drain_limit")
            self._maybe_over()

    def out_of_budget(
        self, why: str = "the next request's worst case exceeds what is left of the budget"
    ) -> None:
        """Called when nothing more may be sent: let what is in flight end, then end the stage."""
        if self.ending != "complete" or self._finished:
            return
        self.ending = "budget_reached"
        self._detail = why
        self._timeline.window_over = True
        self._loop.stop()
        self._refuse("refused_by_budget", "budget")
        self._timeline.drain_from_now(self._drain_ends)
        self._maybe_over()

    def stop(self, ending: Literal["interrupted", "crashed"], detail: str) -> None:
        """End now: what is in flight is recorded as it is. Returns when all is written."""
        if self._finished:
            return
        self.ending, self._detail = ending, detail
        self._timeline.window_over = True
        try:
            self._loop.stop()
            reason = detail if detail == REFUSED_ALIKE else ending
            self._open.give_up("interrupted", reason)
            self._refuse("not_issued", reason)
            self._decoder.drain()
        except Exception as error:
            _log.exception("the last records cannot be made")
            self.ending, self._detail = (
                "crashed",
                self._detail if ending == "crashed" else str(error),
            )
        self._finish()

    def _bug(self, error: Exception) -> None:
        """Stop the stage on an error of ours that no caller awaits: better no stage than a wrong one."""
        _log.error("the stage ends for a bug", exc_info=error)
        self.stop("crashed", f"a bug in the load generator: {type(error).__name__}: {error}")

    # What users do.

    def virtual_user(self) -> VirtualUser:
        """Return a place for one more simulated user."""
        virtual_user = VirtualUser(len(self._virtual_users), self._factory.make())
        virtual_user.free_monotonic, virtual_user.leaving = time.monotonic_ns(), self._finished
        self._virtual_users.append(virtual_user)
        return virtual_user

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
            self._answered(virtual_user, in_flight)

    def _answered(self, virtual_user: VirtualUser, in_flight: InFlight) -> None:
        try:
            self._open.cut_off(in_flight, _NOT_SENT)
            ended = self.clock.monotonic(in_flight.http_attempt.ended or 0)
            virtual_user.freed(ended, round(self.handoff.stage.think_time_s * 1e9))
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

    # What the loop calls.

    def may_issue(self, in_flight: InFlight, now_ns: int) -> Decision:
        """Return admission's decision at this moment; nothing goes out while all answers are refused alike."""
        held = self._refusals.watching and self._refusals.held_until(
            self._open.virtual_users, now_ns
        )
        return held or self._admission.decide(in_flight, now_ns)

    def issue(self, virtual_user: VirtualUser, in_flight: InFlight, now_ns: int) -> None:
        """Issue the request to that user, who may run at once."""
        self.clock.check()
        in_flight.scheduled = self.clock.instant(in_flight.due_monotonic)
        in_flight.released = self.clock.instant(now_ns)
        if in_flight.entered_monotonic:
            in_flight.pace_wait_ns = max(0, now_ns - in_flight.entered_monotonic)
        in_flight.phase = self._timeline.phase(in_flight.due_monotonic)
        in_flight.user = virtual_user.number
        self.counts.issued += 1
        self._lasting[ISSUED] = self.counts.issued
        self._admission.enter(in_flight, now_ns)
        self._open.virtual_users[in_flight] = virtual_user
        virtual_user.in_flight = in_flight
        virtual_user.wake()

    # What becomes of requests.

    def _ended(self, in_flight: InFlight) -> None:
        if in_flight.closed:
            return
        in_flight.closed = True
        in_flight.ended_monotonic = time.monotonic_ns()
        del self._open.virtual_users[in_flight]
        self._admission.leave()
        self._decoder.put(in_flight, at_once=self._refusals.watching and looks_refused(in_flight))
        self._loop.pump()

    def _refuse(self, outcome: Literal["refused_by_budget", "not_issued"], reason: str) -> None:
        """Record what was planned and will not be sent."""
        records: list[RequestRecord] = []
        for in_flight in self._loop.unsent():
            in_flight.scheduled = self.clock.instant(in_flight.due_monotonic or time.monotonic_ns())
            in_flight.phase = self._timeline.phase(in_flight.due_monotonic)
            records.append(self._records.unsent(in_flight, outcome, reason))
            if len(records) == _UNSENT_AT_ONCE:
                self._write(records, issued=False)
                records = []
        self._write(records, issued=False)

    def _overspent(self) -> None:
        """Called when more was billed than the cap allows: nothing more is sent, what is open is cut off."""
        if self._finished:
            return
        self.out_of_budget("more was billed than is left of the budget")
        if self._open.virtual_users:
            self._open.give_up("interrupted", "budget")

    def _write(self, records: list[RequestRecord], *, issued: bool = True) -> None:
        if not records or self._finished:
            return
        try:
            self._recorder.requests(records)
        except JournalFailed as error:
            if self.ending != "crashed":
                self.stop("crashed", str(error))
            return
        if issued:
            self.counts.take(records)
            if self._refusals.watching and self.ending in ("complete", "budget_reached"):
                self._refusals.take(records, time.monotonic_ns())
                self._stop_where_refused()
                if self._finished:
                    return
        else:
            self.counts.not_issued += len(records)
        if self._recorded is not None:
            for record in records:
                self._recorded(record)
        if self._admission.budget.exceeded:
            self._overspent()
        self._loop.pump()  # what ended at its real cost may have made room

    def _stop_where_refused(self) -> None:
        """Stop where all is refused alike: nothing more is sent, and what is open is cut off."""
        if self.ending == "complete" and self._refusals.stop(
            self._open.virtual_users, time.monotonic_ns()
        ):
            self.stop("crashed", REFUSED_ALIKE)

    def _beat(self) -> None:
        if not self._timeline.begun or self._finished:
            return
        try:
            self._recorder.beat(self._tick())
            self._stop_where_refused()
        except JournalFailed as error:
            self.stop("crashed", str(error))

    def _tick(self) -> WorkerTick:
        budget = self._admission.budget
        return self._heartbeat.tick(
            self.handoff.anchor.now(),
            self.counts,
            in_flight=self._admission.in_flight,
            decode_queue=len(self._decoder),
            spent_usd=budget.spent_usd,
            spent_output_tokens=budget.spent_tokens,
        )

    def _maybe_over(self) -> None:
        nothing_left = not (self._loop.waiting or self._open.virtual_users or len(self._decoder))
        if self._timeline.begun and self._timeline.window_over and nothing_left:
            self._finish()

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        for virtual_user in self._virtual_users:
            virtual_user.leaving = True
            virtual_user.wake()
        now, budget = self.handoff.anchor.now(), self._admission.budget
        end = self._heartbeat.end(now, self.counts, budget, self._refusals)
        end = replace(end, reason=self.ending, detail=self._detail)
        try:
            self._recorder.beat(self._tick())
            self._recorder.beat(end)
        except JournalFailed as error:
            _log.error("%s", error)
            self.ending = "crashed"
        for part in (self._recorder, self._heartbeat, self._decoder, self._watchdog, self.alarms):
            part.close()
        self._factory.close()
        self._over(self.ending)
