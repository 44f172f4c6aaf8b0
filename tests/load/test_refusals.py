"""When a service is taken to refuse everything: known answers over one worker and several, no sockets."""

from pathlib import Path
from typing import Any

import pytest

from observatory.core.record import Attempt, RequestRecord
from observatory.core.stage_counts import EMPTY_ALIKE, ENDED, ISSUED, REFUSED, StageCounts
from observatory.load.heartbeat import HeartbeatCounts
from observatory.load.in_flight import InFlight, RequestSource
from observatory.load.refusals import (
    ENOUGH,
    FEW,
    FEW_AFTER_NS,
    LOOK_NS,
    PATIENCE_NS,
    Refusals,
    likeness,
)
from observatory.wires.streams.http_response import ResponseReader
from tests.load.stages import item, make_handoff


def attempt(status: int | None = 400, **fields: Any) -> Attempt:
    failed = {"outcome": "error", "error_kind": "http_status", "error_text": f"HTTP {status}"}
    return Attempt(0, http_status=status, **{**failed, **fields})


def ended(*attempts: Attempt) -> list[RequestRecord]:
    return [RequestRecord(0, 0, "p", "0", 0, 0, each.outcome, [each]) for each in attempts]


def watch(folder: Path, worker: int = 0, workers: int = 1) -> Refusals:
    return Refusals(StageCounts(folder / "stage-00", workers), worker, watching=True)


def still_open(due: int, status: int | None = None) -> InFlight:
    in_flight = RequestSource(make_handoff(Path("unused"), 1, [item("hello")])).make(0)
    in_flight.due_monotonic = due
    in_flight.http_attempt.response = ResponseReader()
    if status is not None:
        in_flight.http_attempt.response.feed(f"HTTP/1.1 {status} Said\r\n\r\n".encode(), 1)
    return in_flight


OK = Attempt(0, http_status=200)


@pytest.mark.parametrize(
    ("one", "like"),
    [
        *((attempt(status), status) for status in (400, 401, 402, 403, 404, 405, 413, 422, 451)),
        *((attempt(status), status) for status in (301, 308)),
        *((attempt(status), 0) for status in (408, 409, 425, 429, 499, 500, 502, 503, 529)),
        (attempt(403, retry_after_s=3.0), 0),
        (attempt(429, outcome="throttled"), 0),
        (attempt(200, error_kind="protocol"), 1),
        (attempt(None, error_kind="protocol"), 1),
        (attempt(200, error_kind="not_sse"), 2),
        (attempt(200, error_kind="bad_json"), 3),
        (attempt(500, error_kind="protocol"), 0),
        *((attempt(None, error_kind=kind), 0) for kind in ("refused", "reset", "early_close")),
        (attempt(200, error_kind="empty_answer"), EMPTY_ALIKE),
        (attempt(200, error_kind="error_event", first_token=5), 0),
        (attempt(200, error_kind="empty_answer", first_token=5), 0),
        *(
            (attempt(200, error_kind="error_event", error_text=words), 0)
            for words in (
                "the engine died (500)",
                "no room (server_error)",
                "An internal error occurred",
                "temporarily unavailable",
            )
        ),
        (attempt(200, outcome="timeout", error_kind="stall"), 0),
        (OK, 0),
    ],
)
def test_what_is_a_refusal(one: Attempt, like: int) -> None:
    assert likeness(one) == like


def test_errors_inside_a_200_are_alike_by_their_words() -> None:
    def of(words: str) -> int:
        return likeness(attempt(200, error_kind="error_event", error_text=words))

    first = of("no model m, request id 0f9a8b7c-1111-2222-3333-444455556666 (404)")
    assert first < 0
    assert first == of("no model m, request id 123e4567-e89b-12d3-a456-426614174000 (404)")
    assert first != of("the context size is exceeded (400)")


def inside(words: str = "no model m (404)") -> Attempt:
    return attempt(200, error_kind="error_event", error_text=words)


def test_a_run_of_errors_inside_a_200_stops(tmp_path: Path) -> None:
    refusals = watch(tmp_path)
    refusals.take(ended(*[inside()] * ENOUGH), 10)
    assert refusals.stop([], 11)
    assert refusals.likeness < 0


def test_errors_inside_a_200_that_differ_do_not_stop_a_run(tmp_path: Path) -> None:
    refusals = watch(tmp_path)
    refusals.take(ended(*[inside()] * (ENOUGH - 1), inside("bad image")), 10)
    assert not refusals.stop([], 11)
    assert not refusals.watching


def test_an_answer_that_streams_is_waited_for_and_then_ends_the_watch(tmp_path: Path) -> None:
    """Its status is that of the errors: only its end shows which of both it is."""
    refusals = watch(tmp_path)
    refusals.take(ended(*[inside()] * ENOUGH), 10)
    streams = still_open(12, 200)
    assert refusals.held_until([streams], 11) == LOOK_NS
    assert not refusals.stop([streams], 11)
    assert refusals.watching
    assert not refusals.stop([streams], 11 + PATIENCE_NS)
    assert not refusals.watching


def test_a_request_without_an_answer_is_waited_for_and_no_longer(tmp_path: Path) -> None:
    refusals = watch(tmp_path)
    refusals.take(ended(*[inside()] * ENOUGH), 10)
    assert not refusals.stop([still_open(12)], 11)
    assert refusals.stop([still_open(12)], 11 + PATIENCE_NS)


def test_what_another_worker_has_open_is_waited_for(tmp_path: Path) -> None:
    counts = StageCounts(tmp_path / "stage-00", 2)
    first, second = (watch(tmp_path, number, 2) for number in range(2))
    counts.of(1)[ISSUED] = 2
    second.take(ended(inside()), 5)
    first.take(ended(*[inside()] * ENOUGH), 10)
    assert not first.stop([], 11)
    assert not first.stop([], 11 + PATIENCE_NS)
    assert first.stop([], 11 + 2 * PATIENCE_NS)


def test_twenty_alike_are_enough_and_nineteen_are_not(tmp_path: Path) -> None:
    refusals = watch(tmp_path)
    refusals.take(ended(*[attempt()] * (ENOUGH - 1)), 0)
    assert not refusals.stop([], 1)
    refusals.take(ended(attempt()), 2)
    assert refusals.stop([], 3)
    assert refusals.likeness == 400


@pytest.mark.parametrize("other", [OK, attempt(404), attempt(500), attempt(429)])
def test_one_answer_of_another_sort_ends_the_watch(tmp_path: Path, other: Attempt) -> None:
    refusals = watch(tmp_path)
    refusals.take(ended(*[attempt()] * (ENOUGH - 1), other), 0)
    refusals.take(ended(*[attempt()] * ENOUGH), 0)
    assert not refusals.stop([], PATIENCE_NS * 10)
    assert not refusals.watching
    assert refusals.likeness == 0


def test_at_a_low_rate_a_few_are_enough_after_a_while(tmp_path: Path) -> None:
    refusals = watch(tmp_path)
    for number in range(FEW):
        assert not refusals.stop([], number * FEW_AFTER_NS)
        refusals.take(ended(attempt()), number + 1)
    assert not refusals.stop([], FEW_AFTER_NS)
    assert refusals.stop([], FEW_AFTER_NS + 1)


def test_workers_count_together(tmp_path: Path) -> None:
    first, second, third = (watch(tmp_path, number, 3) for number in range(3))
    first.take(ended(*[attempt()] * 12), 0)
    second.take(ended(*[attempt()] * 7), 0)
    assert not first.stop([], 1)
    second.take(ended(attempt()), 1)
    assert first.stop([], 2)
    assert second.stop([], 2)
    assert third.stop([], 2), "it has had no answer, and what it would send is refused too"


def test_a_worker_at_a_low_rate_knows_when_the_first_of_all_was_refused(tmp_path: Path) -> None:
    first, second = (watch(tmp_path, number, 2) for number in range(2))
    first.take(ended(attempt()), 10)
    second.take(ended(*[attempt()] * (FEW - 1)), FEW_AFTER_NS)
    assert not second.stop([], FEW_AFTER_NS + 9)
    assert second.stop([], FEW_AFTER_NS + 10)


def test_a_count_that_is_half_written_is_no_contradiction(tmp_path: Path) -> None:
    """The other worker was interrupted between its two stores."""
    first, _ = (watch(tmp_path, number, 2) for number in range(2))
    other = StageCounts(tmp_path / "stage-00", 2).of(1)
    second = watch(tmp_path, 1, 2)
    second.take(ended(attempt()), 1)
    other[REFUSED] += 1
    assert other[ENDED] == 1
    first.take(ended(*[attempt()] * ENOUGH), 2)
    assert first.stop([], 3)


def test_enough_refusals_hold_back_what_is_next(tmp_path: Path) -> None:
    first, second = (watch(tmp_path, number, 2) for number in range(2))
    first.take(ended(*[attempt()] * (ENOUGH - 1)), 10)
    assert second.held_until([], 11) is None
    first.take(ended(attempt()), 12)
    now = 5 * LOOK_NS + 7
    assert first.held_until([], now) == second.held_until([], now) == 6 * LOOK_NS
    assert second.held_until([], now + 3) == 6 * LOOK_NS, "whoever looks in between waits as long"
    assert second.held_until([], 6 * LOOK_NS) == 7 * LOOK_NS


@pytest.mark.parametrize("other", [OK, attempt(404), attempt(500), attempt(429)])
def test_one_answer_of_another_sort_lets_all_workers_go_on(tmp_path: Path, other: Attempt) -> None:
    first, second = (watch(tmp_path, number, 2) for number in range(2))
    first.take(ended(*[attempt()] * ENOUGH), 10)
    assert first.held_until([], LOOK_NS) == second.held_until([], LOOK_NS) == 2 * LOOK_NS
    second.take(ended(other), LOOK_NS + 1)
    assert second.held_until([], 2 * LOOK_NS) is None
    assert first.held_until([], 2 * LOOK_NS) is None
    assert not first.watching and not second.watching


def test_a_request_that_was_accepted_ends_the_hold(tmp_path: Path) -> None:
    refusals = watch(tmp_path)
    refusals.take(ended(*[attempt()] * ENOUGH), 10)
    assert refusals.held_until([still_open(5)], 11) == LOOK_NS
    assert refusals.held_until([still_open(5, 200)], LOOK_NS) is None
    assert not refusals.watching


def test_without_a_watch_nothing_is_held(tmp_path: Path) -> None:
    counts = StageCounts(tmp_path / "stage-00", 1)
    refusals = Refusals(counts, 0, watching=False)
    watch(tmp_path).take(ended(*[attempt()] * ENOUGH), 10)
    assert refusals.held_until([], 11) is None
    assert not refusals.stop([], PATIENCE_NS * 10)


@pytest.mark.parametrize("other", [OK, attempt(404)])
def test_another_workers_answer_of_another_sort_ends_the_watch(
    tmp_path: Path, other: Attempt
) -> None:
    first, second = (watch(tmp_path, number, 2) for number in range(2))
    second.take(ended(other), 0)
    first.take(ended(*[attempt()] * ENOUGH), 0)
    assert not first.stop([], PATIENCE_NS * 10)


def test_a_request_that_was_accepted_ends_the_watch(tmp_path: Path) -> None:
    """Refusals are quick: answers that stream for seconds have not ended when twenty have."""
    refusals = watch(tmp_path)
    refusals.take(ended(*[attempt()] * ENOUGH), 10)
    assert not refusals.stop([still_open(5, 200)], 11)
    assert not refusals.stop([], PATIENCE_NS * 10)


def test_what_was_open_before_the_first_refusal_is_waited_for(tmp_path: Path) -> None:
    refusals = watch(tmp_path)
    refusals.take(ended(*[attempt()] * ENOUGH), 10)
    assert not refusals.stop([still_open(5)], 11)
    assert refusals.stop([still_open(12), still_open(5, 400)], 12)
    assert refusals.stop([still_open(5)], 11 + PATIENCE_NS)


def test_another_worker_that_waits_for_its_first_answer_is_waited_for(tmp_path: Path) -> None:
    counts = StageCounts(tmp_path / "stage-00", 2)
    counts.of(1)[ISSUED] = 3
    refusals = watch(tmp_path, 0, 2)
    refusals.take(ended(*[attempt()] * ENOUGH), 10)
    assert not refusals.stop([], 11)
    assert refusals.stop([], 11 + PATIENCE_NS)


def test_progress_shows_no_first_token_of_an_answer_that_came_whole() -> None:
    counts = HeartbeatCounts()
    times = {"sent": 0, "first_token": 50, "http_status": 200}
    counts.take(ended(Attempt(0, outcome="ok", streamed=False, **times)))
    assert counts.recent_ttft_ns == []
    counts.take(ended(Attempt(0, outcome="ok", streamed=True, **times)))
    assert counts.recent_ttft_ns == [50]
