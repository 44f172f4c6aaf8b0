"""Refusals in a real stage: every try is a row, waits end at once when the stage does, nothing is lost."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from observatory.core.connection import Throttle
from observatory.core.record import RequestRecord
from observatory.load.command import EXIT_INTERRUPTED
from observatory.load.handoff import Caps
from tests.load.servers import DONE, HEAD, LAST, Behaviour, Close, Seen, answer, chunk, reset, serve
from tests.load.stages import Carried, Child, carry, cold_item, item, make_handoff, until
from tests.load.test_stages import adds_up

pytestmark = pytest.mark.usefixtures("either_way")
OBEY = {"throttle": Throttle(policy="obey", max_wait_s=50.0)}
SOON = "retry-after-ms: 20"


def refusal(status: int, *headers: str) -> bytes:
    body = b'{"error": {"message": "not now", "type": "limit"}}'
    lines = [f"HTTP/1.1 {status} Said", *headers, "Content-Type: application/json"]
    return ("\r\n".join(lines) + f"\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


def first(times: int, status: int, *headers: str) -> Behaviour:
    """Refuses so many tries of each text, then answers."""
    met: Counter[str] = Counter()

    def behave(sock: Any, seen: Seen) -> None:
        met[seen.text] += 1
        refused = met[seen.text] <= times
        sock.sendall(refusal(status, *headers) if refused else answer("Hello", " there"))

    return behave


def one(carried: Carried) -> RequestRecord:
    [record] = carried.records
    return record


def test_a_request_that_succeeds_on_its_third_try_is_three_rows(tmp_path: Path) -> None:
    with serve({"busy": first(2, 429, SOON)}) as server:
        record = one(carry(make_handoff(tmp_path, server.port, [item("[busy]")], connection=OBEY)))
    assert record.outcome == "ok" and record.reason is None
    attempts = record.attempts
    assert [each.number for each in attempts] == [0, 1, 2]
    assert [each.outcome for each in attempts] == ["throttled", "throttled", "ok"]
    assert [each.http_status for each in attempts] == [429, 429, 200]
    assert [each.retry_after_s for each in attempts] == [0.02, 0.02, None]
    assert [each.reused_connection for each in attempts] == [False, True, True], "the same seat"
    for before, after in itertools.pairwise(attempts):
        assert before.sent is not None and before.ended is not None and after.sent is not None
        assert after.sent >= before.ended + 20_000_000, "never before it was told"
    assert server.connections == 1 and len({seen.body for seen in server.seen}) == 1


def test_a_request_through_the_openai_client_is_asked_again_by_us_and_not_by_it(
    tmp_path: Path,
) -> None:
    with serve({"busy": first(2, 429, SOON)}) as server:
        connection = {**OBEY, "transport": "sdk"}
        record = one(
            carry(make_handoff(tmp_path, server.port, [item("[busy]")], connection=connection))
        )
    assert [each.outcome for each in record.attempts] == ["throttled", "throttled", "ok"]
    assert [each.retry_after_s for each in record.attempts] == [0.02, 0.02, None]
    assert [each.number for each in record.attempts] == [0, 1, 2]
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "error", "policy", "outcomes", "reason"),
    [
        (400, {"__type": "ThrottlingException", "message": "Try again in 20ms."}, "obey", ["throttled", "ok"], None),
        (498, {"error": {"code": "capacity_exceeded", "message": "try again in 20ms"}}, "obey", ["throttled", "ok"], None),
        (498, {"error": {"code": "capacity_exceeded"}}, "record", ["throttled"], "overloaded"),
        (403, {"error": {"errors": [{"reason": "rateLimitExceeded"}]}}, "record", ["throttled"], "rate_limited"),
        (400, {"error": {"message": "no such model"}}, "obey", ["error"], "http_status"),
        (413, {"error": {"code": "rate_limit_exceeded"}}, "obey", ["error"], "http_status"),
    ],
)  # fmt: skip
def test_a_throttle_under_another_status_is_asked_again(
    tmp_path: Path, status: int, error: Any, policy: Any, outcomes: list[str], reason: str | None
) -> None:
    body = json.dumps(error).encode()
    head = f"HTTP/1.1 {status} Said\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    turns = iter([head + body, answer("Hello", " there")])

    def behave(sock: Any, seen: Seen) -> None:
        sock.sendall(next(turns))

    with serve({"busy": behave}) as server:
        connection = {"throttle": Throttle(policy=policy, max_wait_s=50.0)}
        record = one(
            carry(make_handoff(tmp_path, server.port, [item("[busy]")], connection=connection))
        )
    assert [each.outcome for each in record.attempts] == outcomes
    assert record.reason == reason
    if policy == "obey" and outcomes[0] == "throttled":
        assert record.attempts[0].retry_after_s == 0.02


@pytest.mark.parametrize("status", [503, 529])
def test_overload_is_waited_on_and_told_apart(tmp_path: Path, status: int) -> None:
    with serve({"busy": first(1, status, SOON), "never": first(99, status, SOON)}) as server:
        texts = [item("[busy]"), item("[never]")]
        throttle = Throttle(policy="obey", max_attempts=3)
        handoff = make_handoff(tmp_path, server.port, texts, connection={"throttle": throttle})
        served, given_up = carry(handoff).records
    assert [each.outcome for each in served.attempts] == ["throttled", "ok"]
    assert [each.outcome for each in given_up.attempts] == ["throttled"] * 3
    assert (given_up.outcome, given_up.reason) == ("throttled", "max_attempts")


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "reason"),
    [
        (429, [SOON], "throttled", "rate_limited"),
        (529, [], "throttled", "overloaded"),
        (503, ["Retry-After: 1"], "throttled", "overloaded"),
        (503, [], "error", "overloaded"),
        (500, ["Retry-After: 1"], "error", "http_status"),
    ],
)
def test_recorded_it_is_one_row_with_its_reason(
    tmp_path: Path, status: int, headers: list[str], outcome: str, reason: str
) -> None:
    with serve({"busy": first(1, status, *headers)}) as server:
        record = one(carry(make_handoff(tmp_path, server.port, [item("[busy]")])))
    assert (record.outcome, record.reason, len(record.attempts)) == (outcome, reason, 1)


def test_resets_are_recorded_and_never_tried_again(tmp_path: Path) -> None:
    def resets(sock: Any, seen: Seen) -> None:
        reset(sock)

    with serve({"reset": resets}) as server:
        record = one(carry(make_handoff(tmp_path, server.port, [item("[reset]")], connection=OBEY)))
    assert (record.outcome, record.reason, len(record.attempts)) == ("error", "reset", 1)
    assert len(server.seen) == 1


def test_a_wait_that_is_too_long_is_not_begun(tmp_path: Path) -> None:
    with serve({"busy": first(9, 429, "Retry-After: 3600")}) as server:
        record = one(carry(make_handoff(tmp_path, server.port, [item("[busy]")], connection=OBEY)))
    assert (record.outcome, record.reason, len(record.attempts)) == ("throttled", "max_wait", 1)


def test_a_connection_that_closed_while_waiting_costs_another_try_and_numbers_stay_unique(
    tmp_path: Path,
) -> None:
    """Refused, and the kept connection is closed when the second try comes; the third is answered."""
    met: list[int] = []

    def behave(sock: Any, seen: Seen) -> None:
        met.append(seen.connection)
        if len(met) == 1:
            sock.sendall(refusal(429, SOON))
        elif len(met) == 2:
            raise Close
        else:
            sock.sendall(answer("Hello"))

    with serve({"stale": behave}) as server:
        record = one(carry(make_handoff(tmp_path, server.port, [item("[stale]")], connection=OBEY)))
    assert [each.number for each in record.attempts] == [0, 1, 2]
    assert [each.outcome for each in record.attempts] == ["throttled", "error", "ok"]
    assert record.attempts[1].error_kind == "early_close"
    assert record.outcome == "ok" and met == [0, 0, 1]


def test_a_refused_try_gives_its_worst_case_back(tmp_path: Path) -> None:
    """A cap of one worst case is room for all tries of a request that is refused, and no more."""
    with serve({"busy": first(3, 429, SOON)}) as server:
        caps = Caps(output_tokens=16)
        handoff = make_handoff(tmp_path, server.port, [item("[busy]")], connection=OBEY, caps=caps)
        carried = carry(handoff)
    assert [each.outcome for each in one(carried).attempts] == ["throttled"] * 3 + ["ok"]
    assert carried.ends[0].spent_output_tokens == 2


def test_what_may_have_been_served_stays_spent_and_ends_the_tries(tmp_path: Path) -> None:
    with serve({"busy": first(9, 503, SOON)}) as server:
        caps = Caps(output_tokens=40)
        handoff = make_handoff(tmp_path, server.port, [item("[busy]")], connection=OBEY, caps=caps)
        carried = carry(handoff)
    assert (one(carried).outcome, one(carried).reason) == ("throttled", "budget")
    assert len(one(carried).attempts) == 2
    assert carried.ends[0].spent_output_tokens == 32


LONG = "Retry-After: 40"
OPEN: dict[str, Any] = {"kind": "constant", "rate_per_s": 20.0, "steady_s": 0.5, "drain_s": 1.0}
CLOSED: dict[str, Any] = {"kind": "closed", "concurrency": 3, "steady_s": 0.5, "drain_s": 1.0}


@pytest.mark.parametrize("kind", ["open", "closed"])
def test_the_drain_limit_ends_every_wait_at_once(tmp_path: Path, kind: str) -> None:
    offsets = [number * 50_000_000 for number in range(10)]
    stage = {**OPEN, "offsets_ns": offsets} if kind == "open" else CLOSED
    with serve({"ok": first(99, 429, LONG)}) as server:
        carried = carry(
            make_handoff(tmp_path, server.port, [cold_item("a")], stage=stage, connection=OBEY)
        )
    adds_up(carried)
    assert carried.code == 0 and carried.ends[0].reason == "complete"
    assert len(carried.records) == len(server.seen) == (10 if kind == "open" else 3)
    for record in carried.records:
        assert (record.outcome, record.reason) == ("throttled", "drain_limit")
        assert [each.outcome for each in record.attempts] == ["throttled"]
    assert carried.ends[0].at < carried.starts[0].stage_started + 20_000_000_000  # type: ignore[operator]


def test_waiting_requests_are_in_flight_and_others_wait_for_their_place(tmp_path: Path) -> None:
    offsets = [number * 50_000_000 for number in range(10)]
    stage = {**OPEN, "offsets_ns": offsets, "max_in_flight": 4}
    with serve({"ok": first(99, 429, LONG)}) as server:
        carried = carry(
            make_handoff(tmp_path, server.port, [cold_item("a")], stage=stage, connection=OBEY)
        )
    adds_up(carried)
    outcomes = Counter((record.outcome, record.reason) for record in carried.records)
    assert outcomes == {("throttled", "drain_limit"): 4, ("not_issued", "drain_limit"): 6}


def stopped(number: Callable[[Child], None], handoff: Any, server: Any) -> Carried:
    def stop(child: Child) -> None:
        until(lambda: len(server.seen) >= 3, child)
        time.sleep(0.3)
        number(child)

    return carry(handoff, stop)


def test_an_interrupt_ends_every_wait_at_once(tmp_path: Path) -> None:
    with serve({"ok": first(99, 429, LONG)}) as server:
        stage = {**CLOSED, "steady_s": 40.0}
        handoff = make_handoff(
            tmp_path, server.port, [cold_item("a")], stage=stage, connection=OBEY
        )
        carried = stopped(lambda child: child.terminate(), handoff, server)
    adds_up(carried)
    assert carried.code == EXIT_INTERRUPTED and carried.ends[0].reason == "interrupted"
    assert len(carried.records) == 3
    for record in carried.records:
        assert (record.outcome, record.reason) == ("interrupted", "interrupted")
        assert [each.outcome for each in record.attempts] == ["throttled"]


def test_what_a_killed_worker_had_recorded_is_whole(tmp_path: Path) -> None:
    with serve({"ok": first(99, 429, LONG), "fine": first(0, 429)}) as server:
        stage = {**CLOSED, "concurrency": 1, "steady_s": 40.0}
        items = [cold_item("[fine]"), cold_item("a")]
        handoff = make_handoff(tmp_path, server.port, items, stage=stage, connection=OBEY)

        def kill(child: Child) -> None:
            until(lambda: any("[fine]" not in seen.text for seen in server.seen), child)
            time.sleep(0.3)
            child.kill()

        carried = carry(handoff, kill)
    assert carried.torn_bytes == 0
    assert {record.outcome for record in carried.records} <= {"ok"}
    assert len(server.seen) - len(carried.records) == 1, "the one that waited is lost with it"


def test_users_of_a_closed_loop_wait_and_every_try_is_seen_by_the_server(tmp_path: Path) -> None:
    """Every other try is refused, two workers: rows and what the server saw are the same tries."""
    in_flight = iter(range(10**9))

    def every_other(sock: Any, seen: Seen) -> None:
        refuse = next(in_flight) % 2 == 0
        sock.sendall(refusal(429, SOON) if refuse else answer("Hello"))

    with serve({"ok": every_other}) as server:
        stage = {**CLOSED, "concurrency": 4, "steady_s": 1.5, "drain_s": 8.0}
        handoff = make_handoff(
            tmp_path,
            server.port,
            [cold_item("a"), cold_item("b")],
            stage=stage,
            connection={"throttle": Throttle(policy="obey", max_attempts=100)},
            workers=2,
            cache="cold",
        )
        carried = carry(handoff)
    adds_up(carried)
    assert {record.outcome for record in carried.records} == {"ok"}
    attempts = [each for record in carried.records for each in record.attempts]
    assert len(attempts) == len(server.seen)
    assert Counter(each.outcome for each in attempts)["throttled"] == (len(attempts) + 1) // 2
    for record in carried.records:
        assert [each.number for each in record.attempts] == list(range(len(record.attempts)))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_pace_that_is_given_is_kept_by_all_workers_together(tmp_path: Path, workers: int) -> None:
    with serve() as server:
        stage = {**CLOSED, "concurrency": 6, "steady_s": 2.0, "drain_s": 5.0}
        throttle = Throttle(policy="pace", requests_per_minute=240)
        handoff = make_handoff(
            tmp_path,
            server.port,
            [cold_item("a")],
            stage=stage,
            connection={"throttle": throttle},
            workers=workers,
            cache="cold",
        )
        carried = carry(handoff)
    adds_up(carried)
    assert {record.outcome for record in carried.records} == {"ok"}
    sent = sorted(seen.at_ns for seen in server.seen)
    assert len(sent) == len(carried.records)
    assert 4 <= len(sent) <= 4 + 2 * 4 + 1, "a second's worth at once, then four a second"
    held = [record for record in carried.records if record.pace_wait_ns > 100_000_000]
    assert held
    for record in held:
        first_sent = record.attempts[0].sent
        assert first_sent is not None and record.released is not None
        assert record.released >= record.scheduled + record.pace_wait_ns, (
            "a part of what users wait"
        )
        assert first_sent >= record.released


def test_a_pace_is_learnt_from_headers(tmp_path: Path) -> None:
    """60 a minute, of which none is left: after the first answer one a second goes out."""
    stated = b"x-ratelimit-limit-requests: 60\r\nx-ratelimit-remaining-requests: 0\r\n"

    def tells(sock: Any, seen: Seen) -> None:
        whole = answer("Hello")
        sock.sendall(whole.replace(b"OK\r\n", b"OK\r\n" + stated, 1))

    with serve({"ok": tells}) as server:
        stage = {**CLOSED, "concurrency": 1, "steady_s": 2.5, "drain_s": 5.0}
        connection = {"throttle": Throttle(policy="pace")}
        carried = carry(
            make_handoff(
                tmp_path, server.port, [cold_item("a")], stage=stage, connection=connection
            )
        )
    adds_up(carried)
    assert len(server.seen) == len(carried.records) in (3, 4)
    assert carried.records[0].pace_wait_ns == 0
    for record in carried.records[1:]:
        assert record.pace_wait_ns > 800_000_000


def test_a_refusal_under_pace_is_obeyed(tmp_path: Path) -> None:
    with serve({"busy": first(2, 429, SOON)}) as server:
        connection = {"throttle": Throttle(policy="pace", requests_per_minute=6000)}
        record = one(
            carry(make_handoff(tmp_path, server.port, [item("[busy]")], connection=connection))
        )
    assert [each.outcome for each in record.attempts] == ["throttled", "throttled", "ok"]


def event_stream(*events: tuple[str, dict[str, Any]]) -> bytes:
    """A whole answer of named events."""
    data = "".join(f"event: {name}\ndata: {json.dumps(value)}\n\n" for name, value in events)
    return HEAD + b"%x\r\n%s\r\n" % (len(data), data.encode()) + LAST


OVERLOADED = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
INSIDE: dict[str, tuple[bytes, bytes]] = {
    "messages": (
        event_stream(("error", OVERLOADED)),
        event_stream(
            ("message_start", {"type": "message_start", "message": {"model": "m", "usage": {"input_tokens": 5, "output_tokens": 1}}}),
            ("content_block_delta", {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}),
            ("message_delta", {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
            ("message_stop", {"type": "message_stop"}),
        ),
    ),
    "openai": (
        HEAD + chunk({"error": {"message": "try again in 20ms", "code": 429}}) + chunk(DONE) + LAST,
        answer("Hello", " there"),
    ),
    "responses": (
        event_stream(("error", {"type": "error", "code": "rate_limit_exceeded", "message": "Try again in 20ms."})),
        event_stream(
            ("response.output_text.delta", {"type": "response.output_text.delta", "delta": "hi"}),
            ("response.completed", {"type": "response.completed", "response": {"status": "completed", "usage": {"input_tokens": 5, "output_tokens": 2}}}),
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("wire", INSIDE)
@pytest.mark.parametrize("policy", ["obey", "record"])
def test_overload_inside_a_200_is_throttled_and_asked_again(
    tmp_path: Path, wire: str, policy: Any
) -> None:
    turns = iter(INSIDE[wire])

    def behave(sock: Any, seen: Seen) -> None:
        sock.sendall(next(turns))

    with serve({"ok": behave}) as server:
        throttle = Throttle(policy=policy, max_wait_s=50.0)
        connection = {"throttle": throttle, "wire": wire}
        record = one(
            carry(make_handoff(tmp_path, server.port, [item("x", 32)], connection=connection))
        )
    expected = ["throttled", "ok"] if policy == "obey" else ["throttled"]
    assert [each.outcome for each in record.attempts] == expected
    reason = "overloaded" if wire == "messages" else "rate_limited"
    assert record.attempts[0].error_kind == reason
    assert record.reason == (None if policy == "obey" else reason)
