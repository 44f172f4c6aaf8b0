"""Which user sends which request when: the closed loop (priming included) and the open loop.

Both hand requests in flight to virtual users through one gate; what is due and may not go out waits here with its clock
running. They run in the hub and in users' greenlets, never both at once, and never block.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol

from observatory.load.admission import Decision
from observatory.load.handoff import Handoff
from observatory.load.in_flight import InFlight, RequestSource
from observatory.load.pacing import AlarmClock
from observatory.load.virtual_user import VirtualUser

RAMP_OF_WARMUP = 0.5
"""Closed loop: users begin over this part of the warm-up, the rest of it is at full concurrency."""


class LoopStage(Protocol):
    """What a loop needs of its stage."""

    turns: RequestSource
    alarms: AlarmClock

    def may_issue(self, in_flight: InFlight, now_ns: int) -> Decision:
        """Return admission's decision."""

    def issue(self, virtual_user: VirtualUser, in_flight: InFlight, now_ns: int) -> None:
        """Hand it over; the virtual user may run at once."""

    def out_of_budget(self) -> None:
        """Called when the next request can never fit."""


class Gate:
    """Requests admission, and arranges the next request for it."""

    def __init__(self, stage: LoopStage, pump: Callable[[], None]) -> None:
        self._stage = stage
        self._pump = pump
        self._alarm = 0

    def passes(self, in_flight: InFlight, now_ns: int) -> bool:
        """Return whether `in_flight` may go out now."""
        decision = self._stage.may_issue(in_flight, now_ns)
        if decision == "go":
            return True
        if decision == "never":
            self._stage.out_of_budget()
        elif isinstance(decision, int) and decision != self._alarm:
            self._alarm = decision
            self._stage.alarms.call_at(decision, self._pump)
        return False


class ClosedLoopUsers:
    """Each user sends its next request when its answer ended; requests are taken in the order of the slice.

    `last` bounds the slice (priming); without it the order goes on for ever. Users begin evenly over
    the first `ramp_ns`, because users who begin together stay together: answers of equal length
    would come in waves that no real traffic has.
    """

    def __init__(
        self, stage: LoopStage, worker: int, workers: int, *, ramp_ns: int, last: int | None = None
    ) -> None:
        self._stage = stage
        self._ramp_ns = ramp_ns
        self._worker = worker
        self._indices = iter(range(worker, last, workers)) if last is not None else None
        self._next_index: int | None = worker
        self._workers = workers
        self._gate = Gate(stage, self.pump)
        self._ready: deque[VirtualUser] = deque()
        self._virtual_users: list[VirtualUser] = []
        self._next: InFlight | None = None
        self._started = self._stopped = self._pumping = False
        if self._indices is not None:
            self._next_index = next(self._indices, None)

    @property
    def waiting(self) -> bool:
        """Whether more is to be issued."""
        return not self._stopped and self._next_index is not None

    def start(self, start_ns: int) -> None:
        """Called when the stage begins: users who are there are free from their place in the ramp on."""
        self._started = True
        for place, virtual_user in enumerate(self._virtual_users):
            global_place = place + self._worker / self._workers
            virtual_user.free_monotonic = start_ns + round(
                self._ramp_ns * global_place / len(self._virtual_users)
            )
            self.virtual_user_free(virtual_user)

    def virtual_user_free(self, virtual_user: VirtualUser) -> None:
        """Called when a user has come, or has got its answer; it is free from virtual_user.free_monotonic."""
        virtual_user.waiting_since = 0
        if not self._started:
            self._virtual_users.append(virtual_user)
        elif virtual_user.free_monotonic > time.monotonic_ns():
            self._stage.alarms.call_at(virtual_user.free_monotonic, lambda: self._now(virtual_user))
        else:
            self._now(virtual_user)

    def _now(self, virtual_user: VirtualUser) -> None:
        self._ready.append(virtual_user)
        self.pump()
        if virtual_user.in_flight is None:
            virtual_user.waiting_since = time.monotonic_ns()

    def pump(self) -> None:
        """Hand out what may go out."""
        if self._pumping or not self._started:
            return
        self._pumping = True
        try:
            while self._ready:
                if self._ready[0].leaving:
                    self._ready.popleft()
                    continue
                in_flight = self._peek()
                if in_flight is None:
                    self._release()
                    return
                now = time.monotonic_ns()
                if not self._gate.passes(in_flight, now):
                    return
                virtual_user = self._ready.popleft()
                self._take()
                in_flight.due_monotonic = virtual_user.free_monotonic
                in_flight.entered_monotonic = virtual_user.waiting_since
                self._stage.issue(virtual_user, in_flight, now)
        finally:
            self._pumping = False

    def _peek(self) -> InFlight | None:
        if not self.waiting or self._next_index is None:
            return None
        if self._next is None:
            self._next = self._stage.turns.make(self._next_index)
        return self._next

    def _take(self) -> None:
        self._next = None
        if self._indices is not None:
            self._next_index = next(self._indices, None)
        elif self._next_index is not None:
            self._next_index += self._workers

    def stop(self) -> None:
        """Issue nothing more."""
        self._stopped = True
        self._release()

    def _release(self) -> None:
        while self._ready:
            virtual_user = self._ready.popleft()
            virtual_user.leaving = True
            virtual_user.wake()

    def unsent(self) -> Iterator[InFlight]:
        """Yield what was planned and not issued: the rest of a bounded slice."""
        if self._indices is not None and self._next_index is not None:
            for index in (self._next_index, *self._indices):
                yield self._stage.turns.make(index)
            self._next_index = None


class OpenLoopUsers:
    """Requests are due at the plan's instants, whether a user is free or not; users are a pool that sends them."""

    def __init__(self, stage: LoopStage, offsets_ns: list[int], worker: int, workers: int) -> None:
        self._stage = stage
        self._offsets_ns = offsets_ns
        self._indices = iter(range(worker, len(offsets_ns), workers))
        self._gate = Gate(stage, self.pump)
        self._idle: list[VirtualUser] = []
        self._due: deque[InFlight] = deque()
        self._start_ns = 0
        self._next: InFlight | None = None
        self._stopped = self._pumping = False

    @property
    def waiting(self) -> bool:
        """Whether more is to be issued."""
        return not self._stopped and (self._next is not None or bool(self._due))

    def start(self, start_ns: int) -> None:
        """Start: offsets count from this instant."""
        self._start_ns = start_ns
        self._arm()

    def _make(self, index: int) -> InFlight:
        in_flight = self._stage.turns.make(index)
        in_flight.due_monotonic = self._start_ns + self._offsets_ns[index]
        return in_flight

    def _arm(self) -> None:
        """Make the next request ready before it is due."""
        index = next(self._indices, None)
        self._next = None if index is None else self._make(index)
        if self._next is not None:
            self._stage.alarms.call_at(self._next.due_monotonic, self._ring)

    def _ring(self) -> None:
        in_flight = self._next
        if in_flight is None or self._stopped:
            return
        self._next = None
        self._due.append(in_flight)
        self.pump()
        if in_flight.released is None:
            in_flight.entered_monotonic = time.monotonic_ns()
        if not self._stopped:
            self._arm()

    def virtual_user_free(self, virtual_user: VirtualUser) -> None:
        """Called when a user of the pool has nothing to do; the one used last is taken first, its connection
        is warm."""
        if self._stopped:
            virtual_user.leaving = True
            return
        self._idle.append(virtual_user)
        if self._due:
            self.pump()

    def pump(self) -> None:
        """Hand out what is due and may go out, first come first served."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._due and self._idle and not self._stopped:
                if self._idle[-1].leaving:
                    self._idle.pop()
                    continue
                now = time.monotonic_ns()
                if not self._gate.passes(self._due[0], now):
                    return
                self._stage.issue(self._idle.pop(), self._due.popleft(), now)
        finally:
            self._pumping = False

    def stop(self) -> None:
        """Issue nothing more."""
        self._stopped = True
        while self._idle:
            virtual_user = self._idle.pop()
            virtual_user.leaving = True
            virtual_user.wake()

    def unsent(self) -> Iterator[InFlight]:
        """Yield what was planned and not issued: what waited, and the rest of the slice."""
        while self._due:
            yield self._due.popleft()
        if self._next is not None:
            yield self._next
            self._next = None
        for index in self._indices:
            yield self._make(index)


def make_loop(run: LoopStage, handoff: Handoff, worker: int) -> ClosedLoopUsers | OpenLoopUsers:
    """Return the loop of a hand-off's stage, for that worker's slice of it."""
    stage, workers = handoff.stage, handoff.workers
    if stage.offsets_ns is not None:
        return OpenLoopUsers(run, stage.offsets_ns, worker, workers)
    if stage.priming:
        return ClosedLoopUsers(run, worker, workers, ramp_ns=0, last=len(handoff.items))
    ramp_ns = round(stage.warmup_s * RAMP_OF_WARMUP * 1e9)
    return ClosedLoopUsers(run, worker, workers, ramp_ns=ramp_ns)
