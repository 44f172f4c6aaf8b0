"""What is sent to a service that refuses everything, in virtual time: real loops and real counts, no sockets."""

import heapq
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from observatory.core.record import Attempt, RequestRecord
from observatory.core.stage_counts import ISSUED, StageCounts
from observatory.load import loops
from observatory.load.admission import Decision
from observatory.load.in_flight import InFlight, RequestSource
from observatory.load.loops import ClosedLoopUsers, OpenLoopUsers
from observatory.load.refusals import ENOUGH, FEW_AFTER_NS, PATIENCE_NS, Refusals
from observatory.load.virtual_user import VirtualUser
from tests.load.stages import item, make_handoff

CLOSED = {"kind": "closed", "concurrency": 1, "steady_s": 1.0}
MS, SECOND = 1_000_000, 1_000_000_000
Answer = tuple[int, int | None]
"""After how long, and with which status; without one it never comes."""


class World:
    """Virtual time, and the service: `answer` is given the number of a request and when it was sent."""

    def __init__(self, answer: Callable[[int, int], Answer]) -> None:
        self.now = 0
        self.answer = answer
        self.sent: list[int] = []
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def monotonic_ns(self) -> int:
        return self.now

    def call_at(self, due_ns: int, function: Callable[[], None]) -> None:
        heapq.heappush(self._due, (max(due_ns, self.now), next(self._order), function))

    def run(self, until_ns: int) -> None:
        while self._due and self._due[0][0] <= until_ns:
            self.now, _, function = heapq.heappop(self._due)
            function()
        self.now = until_ns


class Worker:
    """A worker's part of a stage: what StageRun and OpenRequests do between loop, refusals and answers."""

    def __init__(self, world: World, folder: Path, number: int, workers: int, **watch: Any) -> None:
        counts = StageCounts(folder / "stage-00", workers)
        self.alarms = world
        self.turns = RequestSource(make_handoff(folder, 1, [item("hello")], stage=CLOSED))
        self.refusals = Refusals(counts, number, watching=watch.get("watching", True))
        self.stopped_ns: int | None = None
        self.asleep_until_ns = 0
        self.delays_ns: list[int] = []
        self.loop: ClosedLoopUsers | OpenLoopUsers
        self._counts = counts.of(number)
        self._world = world
        self._open: dict[InFlight, VirtualUser] = {}
        world.call_at(SECOND, self._beat)

    def may_issue(self, in_flight: InFlight, now_ns: int) -> Decision:
        held = self.refusals.watching and self.refusals.held_until(self._open, now_ns)
        return held or "go"

    def issue(self, virtual_user: VirtualUser, in_flight: InFlight, now_ns: int) -> None:
        self._counts[ISSUED] += 1
        self._open[in_flight] = virtual_user
        self.delays_ns.append(now_ns - in_flight.due_monotonic)
        virtual_user.in_flight = in_flight
        after_ns, status = self._world.answer(len(self._world.sent), now_ns)
        self._world.sent.append(now_ns)
        if status is not None:
            heard_ns = max(now_ns + after_ns, self.asleep_until_ns)
            self._world.call_at(heard_ns, lambda: self._ended(in_flight, status))

    def out_of_budget(self) -> None:
        raise AssertionError("there is no budget")

    def _ended(self, in_flight: InFlight, status: int) -> None:
        if self.stopped_ns is not None:
            return
        virtual_user = self._open.pop(in_flight)
        virtual_user.in_flight, virtual_user.free_monotonic = None, self._world.now
        outcome: Any = "ok" if status < 300 else "error"
        attempt = Attempt(0, http_status=status, outcome=outcome, error_kind="http_status")
        if self.refusals.watching:
            self.refusals.take(
                [RequestRecord(0, 0, "p", "0", 0, 0, outcome, [attempt])], self._world.now
            )
            self._stop_where_refused()
        self.loop.virtual_user_free(virtual_user)
        self.loop.pump()

    def _beat(self) -> None:
        if self._world.now >= self.asleep_until_ns:
            self._stop_where_refused()
        self._world.call_at(self._world.now + SECOND, self._beat)

    def _stop_where_refused(self) -> None:
        if self.stopped_ns is None and self.refusals.stop(self._open, self._world.now):
            self.stopped_ns = self._world.now
            self.loop.stop()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Makes a world and its started workers; `users` closed, or else open at `every_ns`, of the whole stage."""

    def make(
        answer: Callable[[int, int], Answer],
        *,
        workers: int = 1,
        users: int | None = None,
        every_ns: int = 0,
        count: int = 0,
        last: int | None = None,
        **watch: Any,
    ) -> tuple[World, list[Worker]]:
        world = World(answer)
        monkeypatch.setattr(loops, "time", SimpleNamespace(monotonic_ns=world.monotonic_ns))
        made = [Worker(world, tmp_path, number, workers, **watch) for number in range(workers)]
        transport: Any = None
        for number, worker in enumerate(made):
            if users is not None:
                worker.loop = ClosedLoopUsers(worker, number, workers, ramp_ns=0, last=last)
            else:
                offsets = [place * every_ns for place in range(count)]
                worker.loop = OpenLoopUsers(worker, offsets, number, workers)
            for place in range((users or 2 * count) // workers):
                worker.loop.virtual_user_free(VirtualUser(place, transport))
        for worker in made:
            world.call_at(0, lambda worker=worker: worker.loop.start(0))
        return world, made

    yield make


def refuses(after_ns: int = MS, status: int = 400) -> Callable[[int, int], Answer]:
    return lambda number, now_ns: (after_ns, status)


def test_a_closed_loop_stops_after_twenty_and_what_was_open(stage: Any) -> None:
    world, [worker] = stage(refuses(), users=4)
    world.run(SECOND)
    assert worker.stopped_ns is not None and worker.stopped_ns < 10 * MS
    assert ENOUGH <= len(world.sent) < ENOUGH + 4


def test_priming_stops_too_and_the_rest_was_not_issued(stage: Any) -> None:
    def answer(number: int, now_ns: int) -> Answer:
        return (MS, None if number == 0 else 400)

    world, [worker] = stage(answer, users=2, last=60)
    world.run(PATIENCE_NS + 2 * SECOND)
    assert worker.stopped_ns is not None
    assert len(world.sent) == ENOUGH + 1
    assert len(list(worker.loop.unsent())) == 60 - len(world.sent)


def test_a_starved_worker_lets_the_other_send_no_more(stage: Any) -> None:
    """It has sent, and gets no processor to read the refusals: the other would send for ten seconds."""
    world, [busy, starved] = stage(refuses(), workers=2, users=6)
    starved.asleep_until_ns = 4 * SECOND
    world.run(6 * SECOND)
    assert ENOUGH <= len(world.sent) <= ENOUGH + 6
    assert busy.stopped_ns is not None and 4 * SECOND <= busy.stopped_ns <= 5 * SECOND
    assert starved.stopped_ns is not None and starved.stopped_ns <= 5 * SECOND


def test_a_worker_that_never_comes_back_is_waited_for_ten_seconds(stage: Any) -> None:
    world, [busy, starved] = stage(refuses(), workers=2, users=6)
    starved.asleep_until_ns = 100 * SECOND
    world.run(PATIENCE_NS + 2 * SECOND)
    assert busy.stopped_ns is not None and busy.stopped_ns >= PATIENCE_NS
    assert len(world.sent) <= ENOUGH + 6


def test_a_worker_without_an_answer_stops_with_the_others(stage: Any) -> None:
    """Its requests hang from before the first refusal on, and it would be held until the stage's end."""

    def answer(number: int, now_ns: int) -> Answer:
        return (MS, None if number % 2 and number < 6 else 400)

    world, workers = stage(answer, workers=2, users=6)
    world.run(PATIENCE_NS + 2 * SECOND)
    assert all(worker.stopped_ns is not None for worker in workers)
    assert len(world.sent) <= ENOUGH + 6


def test_a_slow_first_request_is_waited_for_and_nothing_is_sent_meanwhile(stage: Any) -> None:
    def answer(number: int, now_ns: int) -> Answer:
        return (3 * SECOND, 200) if number == 0 else (MS, 400)

    world, [worker] = stage(answer, users=4)
    world.run(3 * SECOND - 1)
    held = len(world.sent)
    assert held <= ENOUGH + 4
    world.run(4 * SECOND)
    assert worker.stopped_ns is None
    assert not worker.refusals.watching
    assert len(world.sent) > held + 500, "it goes on as if there had been no watch"


def test_open_arrivals_are_held_and_go_out_late_with_their_own_due_time(stage: Any) -> None:
    def answer(number: int, now_ns: int) -> Answer:
        return (2 * SECOND, 200) if number == 0 else (MS, 400 if now_ns < SECOND else 200)

    world, [worker] = stage(answer, every_ns=10 * MS, count=500)
    world.run(2 * SECOND - 1)
    assert ENOUGH <= len(world.sent) <= ENOUGH + 2
    world.run(6 * SECOND)
    assert len(world.sent) == 500
    assert worker.stopped_ns is None
    late = [delay for delay in worker.delays_ns if delay > 21 * MS]
    assert max(worker.delays_ns) == pytest.approx(1.8 * SECOND, abs=0.05 * SECOND)
    assert len(late) == pytest.approx(178, abs=5)


def test_open_arrivals_that_were_held_when_the_stage_stops_were_not_issued(stage: Any) -> None:
    def answer(number: int, now_ns: int) -> Answer:
        return (MS, None if number == 0 else 400)

    world, [worker] = stage(answer, every_ns=50 * MS, count=400)
    world.run(13 * SECOND)
    assert worker.stopped_ns is not None
    left = list(worker.loop.unsent())
    assert len(world.sent) + len(left) == 400
    assert ENOUGH <= len(world.sent) <= ENOUGH + 2
    assert [in_flight.released for in_flight in left] == [None] * len(left)


def test_held_arrivals_look_again_together(stage: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each sets an alarm otherwise, and each alarm another one."""
    looks = 0

    def answer(number: int, now_ns: int) -> Answer:
        return (MS, None if number == 0 else 400)

    world, [worker] = stage(answer, every_ns=MS, count=8_000)
    pump = worker.loop.pump

    def counted() -> None:
        nonlocal looks
        looks += 1
        pump()

    monkeypatch.setattr(worker.loop, "pump", counted)
    monkeypatch.setattr(worker.loop._gate, "_pump", counted)
    world.run(8 * SECOND)
    assert len(world.sent) <= ENOUGH + 3
    assert looks < 8_000 + 8 * 50 + 100


@pytest.mark.parametrize("status", [200, 429, 500, 503])
def test_a_stage_with_one_other_answer_is_never_held(stage: Any, status: int) -> None:
    def answer(number: int, now_ns: int) -> Answer:
        return (MS, status if number == 3 else 400)

    world, workers = stage(answer, workers=2, users=4)
    world.run(SECOND)
    assert len(world.sent) == pytest.approx(4_000, abs=8)
    assert {worker.stopped_ns for worker in workers} == {None}


@pytest.mark.parametrize("status", [429, 500])
def test_what_is_no_refusal_holds_nothing(stage: Any, status: int) -> None:
    world, [worker] = stage(refuses(status=status), users=4)
    world.run(SECOND)
    assert len(world.sent) == pytest.approx(4_000, abs=8)
    assert worker.stopped_ns is None


def test_where_the_stop_is_turned_off_nothing_is_held(stage: Any) -> None:
    world, [worker] = stage(refuses(), users=4, watching=False)
    world.run(SECOND)
    assert len(world.sent) == pytest.approx(4_000, abs=8)
    assert worker.stopped_ns is None


def test_at_a_low_rate_nothing_is_held_before_the_half_minute(stage: Any) -> None:
    world, workers = stage(refuses(), workers=2, every_ns=2 * SECOND, count=100)
    world.run(FEW_AFTER_NS - SECOND)
    assert len(world.sent) == 15
    assert max(max(worker.delays_ns) for worker in workers) < 1_000
    world.run(FEW_AFTER_NS + 5 * SECOND)
    assert all(worker.stopped_ns is not None for worker in workers)
    assert len(world.sent) <= 17
