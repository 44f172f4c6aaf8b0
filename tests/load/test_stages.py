"""What a stage promises: issued = recorded, planned = issued + not issued, on time, and to an end."""

import itertools
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from observatory.core.clock import STEP_NS
from observatory.core.record import Phase
from observatory.load.command import EXIT_BAD_INPUT, EXIT_CRASHED, EXIT_INTERRUPTED
from observatory.load.handoff import Caps
from tests.load.servers import (
    DONE,
    HEAD,
    LAST,
    STOP,
    Behaviour,
    Seen,
    chunk,
    serve,
    token,
    usage,
)
from tests.load.stages import Carried, Child, carry, cold_item, item, make_handoff, read, until

CLOSED: dict[str, Any] = {"kind": "closed", "concurrency": 4, "drain_s": 5.0}
ITEMS = [cold_item(f"item {number}") for number in range(5)]


def slow(pause_s: float, *texts: str) -> Behaviour:
    """A whole answer, this long between its events."""

    def behave(sock: Any, seen: Seen) -> None:
        sock.sendall(HEAD)
        for text in texts:
            time.sleep(pause_s)
            sock.sendall(token(text))
        sock.sendall(STOP + usage(7, len(texts)) + chunk(DONE) + LAST)

    return behave


def endless(sock: Any, seen: Seen) -> None:
    """Never comes to an end."""
    sock.sendall(HEAD)
    while True:
        sock.sendall(token("x"))
        time.sleep(0.05)


def adds_up(carried: Carried) -> None:
    """Issued = recorded, and nothing torn."""
    assert sum(end.issued for end in carried.ends) == len(carried.issued)
    assert sum(end.recorded for end in carried.ends) == len(carried.issued)
    assert sum(end.not_issued for end in carried.ends) == len(carried.records) - len(carried.issued)
    assert len({record.index for record in carried.records}) == len(carried.records)
    assert carried.torn_bytes == 0


def test_a_closed_loop_keeps_its_connections_and_its_phases(tmp_path: Path) -> None:
    with serve({"ok": slow(0.01, "a", "b")}) as server:
        stage = {**CLOSED, "warmup_s": 0.6, "steady_s": 1.0}
        carried = carry(make_handoff(tmp_path, server.port, ITEMS, stage=stage, cache="cold"))
    adds_up(carried)
    assert carried.code == 0 and carried.ends[0].reason == "complete"
    assert server.connections == 4
    assert server.most_at_once <= 4
    [start] = carried.starts
    assert start.stage_started is not None
    warm = start.stage_started + 600_000_000
    for record in carried.records:
        expected: Phase = "warmup" if record.scheduled < warm else "steady"
        assert record.phase == expected
        assert record.scheduled < warm + 1_000_000_000
        assert record.released is not None and record.attempts[0].sent is not None
        assert record.scheduled <= record.released <= record.attempts[0].sent
    assert {record.outcome for record in carried.records} == {"ok"}
    assert {record.user for record in carried.records} == {0, 1, 2, 3}
    assert sorted(record.index for record in carried.records) == list(range(len(carried.records)))


def test_a_user_is_free_when_its_answer_ended_and_it_has_thought(tmp_path: Path) -> None:
    with serve() as server:
        stage = {**CLOSED, "concurrency": 1, "steady_s": 1.0, "think_time_s": 0.1}
        carried = carry(make_handoff(tmp_path, server.port, ITEMS, stage=stage, cache="cold"))
    ends = [record.attempts[0].ended for record in carried.records]
    assert len(ends) > 3
    for before, record in zip(ends, carried.records[1:], strict=False):
        assert before is not None
        assert abs(record.scheduled - before - 100_000_000) < 1_000


def test_an_open_loop_leaves_at_its_offsets(tmp_path: Path) -> None:
    offsets = [0, 3_000_000, 4_000_000, 4_000_000, 250_000_000, 700_000_000, 701_000_000]
    stage = {"kind": "poisson", "rate_per_s": 7.0, "warmup_s": 0.5, "steady_s": 0.5}
    with serve({"ok": slow(0.02, "a")}) as server:
        handoff = make_handoff(
            tmp_path,
            server.port,
            ITEMS,
            stage={**stage, "drain_s": 3.0, "offsets_ns": offsets},
            cache="cold",
        )
        carried = carry(handoff)
    adds_up(carried)
    started = carried.starts[0].stage_started
    assert started is not None
    assert [record.scheduled for record in carried.records] == [started + at for at in offsets]
    assert [record.phase for record in carried.records] == ["warmup"] * 5 + ["steady"] * 2
    for record in carried.records:
        sent = record.attempts[0].sent
        assert sent is not None and sent >= record.scheduled
    assert carried.ends[0].at >= started + 1_000_000_000


def test_above_max_in_flight_requests_wait_with_their_clock_running(tmp_path: Path) -> None:
    stage = {"kind": "constant", "rate_per_s": 20.0, "steady_s": 0.5, "drain_s": 10.0}
    offsets = [number * 50_000_000 for number in range(10)]
    with serve({"ok": slow(0.15, "a")}) as server:
        carried = carry(
            make_handoff(
                tmp_path,
                server.port,
                ITEMS,
                stage={**stage, "offsets_ns": offsets, "max_in_flight": 2},
                cache="cold",
            )
        )
    adds_up(carried)
    assert server.most_at_once == 2
    assert len(carried.issued) == 10
    last = carried.records[-1]
    assert last.pace_wait_ns > 200_000_000
    sent = last.attempts[0].sent
    assert sent is not None and sent - last.scheduled >= last.pace_wait_ns


def test_what_is_open_at_the_drain_limit_times_out_and_the_rest_says_why(tmp_path: Path) -> None:
    stage = {"kind": "constant", "rate_per_s": 10.0, "steady_s": 0.5, "drain_s": 0.5}
    offsets = [number * 100_000_000 for number in range(5)]
    with serve({"ok": endless}) as server:
        carried = carry(
            make_handoff(
                tmp_path,
                server.port,
                ITEMS,
                stage={**stage, "offsets_ns": offsets, "max_in_flight": 3},
                cache="cold",
            )
        )
    adds_up(carried)
    assert carried.code == 0 and carried.ends[0].reason == "complete"
    assert [record.outcome for record in carried.records] == ["timeout"] * 3 + ["not_issued"] * 2
    assert {record.reason for record in carried.records} == {"drain_limit"}
    for record in carried.issued:
        assert record.attempts[0].error_kind == "timeout"
        assert len(record.attempts[0].event_ns) > 3


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_records_what_was_in_flight(tmp_path: Path, number: int) -> None:
    offsets = [number * 100_000_000 for number in range(200)]
    stage = {"kind": "constant", "rate_per_s": 10.0, "steady_s": 20.0, "offsets_ns": offsets}
    with serve({"ok": endless}) as server:
        handoff = make_handoff(tmp_path, server.port, ITEMS, stage=stage, cache="cold")

        def stop(child: Child) -> None:
            until(lambda: len(server.seen) >= 3, child)
            child.send_signal(number)

        carried = carry(handoff, stop)
    adds_up(carried)
    assert carried.code == EXIT_INTERRUPTED
    assert carried.ends[0].reason == "interrupted"
    assert len(carried.records) == len(offsets)
    assert {record.outcome for record in carried.issued} == {"interrupted"}
    unsent = [record for record in carried.records if record.released is None]
    assert {(record.outcome, record.reason) for record in unsent} == {("not_issued", "interrupted")}
    assert all(record.attempts[0].error_kind == "cancelled" for record in carried.issued)


def test_a_full_disk_ends_the_stage_and_corrupts_nothing(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    with serve({"ok": slow(0.001, *["word "] * 40)}) as server:
        stage = {**CLOSED, "steady_s": 20.0}
        handoff = make_handoff(tmp_path, server.port, ITEMS, stage=stage, cache="cold")
        carried = carry(handoff, preexec_fn=limit)
    assert carried.code == EXIT_CRASHED
    [end] = carried.ends
    assert end.reason == "crashed"
    assert end.detail is not None and "File too large" in end.detail
    assert end.recorded == len(carried.records) > 5
    assert end.issued > end.recorded
    assert carried.torn_bytes == 0


def test_a_slice_never_runs_twice(tmp_path: Path) -> None:
    with serve() as server:
        handoff = make_handoff(tmp_path, server.port, [item("once")])
        first = carry(handoff)
        again = carry(handoff)
    assert first.code == 0 and len(server.seen) == 1
    assert again.code == EXIT_CRASHED
    assert "already run" in again.log
    assert len(again.records) == 1


def test_a_missing_key_is_said_in_one_line_and_sends_nothing(tmp_path: Path) -> None:
    with serve() as server:
        connection = {"headers": {"Authorization": "Bearer ${NO_SUCH_KEY_HERE}"}}
        carried = carry(make_handoff(tmp_path, server.port, ITEMS[:1], connection=connection))
    assert carried.code == EXIT_BAD_INPUT
    assert "NO_SUCH_KEY_HERE is not set" in carried.log.strip().splitlines()[-1]
    assert server.seen == []


def test_the_same_seed_sends_the_same_bodies(tmp_path: Path) -> None:
    sent = []
    for run in ("a", "b"):
        with serve() as server:
            folder = tmp_path / run
            stage = {"kind": "constant", "rate_per_s": 50.0, "steady_s": 0.4, "drain_s": 3.0}
            offsets = [number * 20_000_000 for number in range(20)]
            carry(
                make_handoff(
                    folder,
                    server.port,
                    ITEMS,
                    stage={**stage, "offsets_ns": offsets},
                    cache="cold",
                )
            )
            sent.append(sorted(seen.body for seen in server.seen))
    assert sent[0] == sent[1]
    assert len(set(sent[0])) == 20


def test_a_targets_limits_are_never_exceeded(tmp_path: Path) -> None:
    with serve({"ok": slow(0.05, "a")}) as server:
        connection = {"max_rate_per_s": 20.0, "max_concurrency": 2}
        stage = {**CLOSED, "concurrency": 8, "steady_s": 1.5}
        carried = carry(
            make_handoff(
                tmp_path, server.port, ITEMS, stage=stage, connection=connection, cache="cold"
            )
        )
    adds_up(carried)
    assert server.most_at_once <= 2
    sent = sorted(record.attempts[0].sent or 0 for record in carried.records)
    assert len(sent) > 8
    for first, last in itertools.pairwise(sent[::10]):
        assert last - first >= 10 / 20 * 1e9 * 0.9
    assert max(record.pace_wait_ns for record in carried.records) > 50_000_000


def test_every_item_is_primed_once_in_order(tmp_path: Path) -> None:
    with serve() as server:
        handoff = make_handoff(tmp_path, server.port, [item(f"p{n}") for n in range(6)])
        carried = carry(handoff)
    adds_up(carried)
    assert [record.item for record in carried.records] == list(range(6))
    assert {record.phase for record in carried.records} == {"prime"}


def dishonest(sock: Any, seen: Seen) -> None:
    """Three tokens and no word of what they cost."""
    sock.sendall(HEAD + token("a") * 3 + STOP + chunk(DONE) + LAST)


@pytest.mark.parametrize(
    ("caps", "behaviour", "issued"),
    [
        (Caps(requests=0), slow(0.02, "a"), 0),
        (Caps(requests=70), slow(0.02, "a"), 70),
        # Worst case 16 each; real cost 2, so that nearly all of the cap is used.
        (Caps(output_tokens=400), slow(0.02, "a", "b"), 193),
        # No usage: each keeps its worst case of 16.
        (Caps(output_tokens=400), dishonest, 25),
    ],
)
def test_64_streams_at_once_never_pass_the_budget(
    tmp_path: Path, caps: Caps, behaviour: Behaviour, issued: int
) -> None:
    with serve({"ok": behaviour}) as server:
        stage = {**CLOSED, "concurrency": 64, "steady_s": 30.0}
        carried = carry(
            make_handoff(tmp_path, server.port, ITEMS, stage=stage, cache="cold", caps=caps)
        )
    adds_up(carried)
    [end] = carried.ends
    assert (carried.code, end.reason) == (0, "budget_reached")
    assert end.issued == issued == len(server.seen)
    if caps.output_tokens is not None:
        assert end.spent_output_tokens <= caps.output_tokens
        assert server.most_at_once <= caps.output_tokens // 16


def test_what_an_open_loop_may_not_spend_is_recorded_as_refused(tmp_path: Path) -> None:
    stage = {"kind": "constant", "rate_per_s": 50.0, "steady_s": 0.4, "drain_s": 3.0}
    offsets = [number * 20_000_000 for number in range(20)]
    with serve() as server:
        carried = carry(
            make_handoff(
                tmp_path,
                server.port,
                ITEMS,
                stage={**stage, "offsets_ns": offsets},
                cache="cold",
                caps=Caps(requests=6),
            )
        )
    adds_up(carried)
    assert len(server.seen) == len(carried.issued) == 6
    refused = [record for record in carried.records if record.released is None]
    assert len(refused) == 14
    assert {(record.outcome, record.reason) for record in refused} == {
        ("refused_by_budget", "budget")
    }


def test_ticks_tell_of_the_worker(tmp_path: Path) -> None:
    with serve({"ok": slow(0.05, "a", "b")}) as server:
        stage = {**CLOSED, "steady_s": 2.2}
        carried = carry(make_handoff(tmp_path, server.port, ITEMS, stage=stage, cache="cold"))
    assert len(carried.ticks) >= 2
    assert [tick.issued for tick in carried.ticks] == sorted(tick.issued for tick in carried.ticks)
    assert all(tick.rss_bytes > 1 << 20 and tick.cpu_ns > 0 for tick in carried.ticks)
    assert any(tick.loop_lag_ns > 0 for tick in carried.ticks)
    assert not any(tick.clock_step for tick in carried.ticks)
    assert all(abs(tick.offset_change_ns) <= STEP_NS for tick in carried.ticks)
    answered = [tick for tick in carried.ticks if tick.ttft_recent_ns is not None]
    assert answered and answered[0].streamed_tokens > 0
    assert carried.ticks[-1].in_flight == 0


def test_the_key_is_in_the_request_and_nowhere_else(tmp_path: Path) -> None:
    canary = "canary-5d1f2c9e7b"
    listed: list[bytes] = []

    def echo(sock: Any, seen: Seen) -> None:
        fields = {"error": {"message": f"bad key {canary}, you sent Bearer {canary}"}}
        sock.sendall(HEAD + token(canary) + chunk(fields) + LAST)

    def look(child: Child) -> None:
        until(lambda: server.seen, child)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and entry.name != str(os.getpid()):
                try:
                    listed.append((entry / "cmdline").read_bytes())
                except OSError:
                    continue

    with serve({"ok": echo}) as server:
        handoff = make_handoff(
            tmp_path,
            server.port,
            [item(f"q{number}") for number in range(3)],
            connection={"headers": {"Authorization": "Bearer ${CANARY_KEY}"}},
            store_text=True,
        )
        carried = carry(handoff, look, environment={"CANARY_KEY": canary})
    assert canary.encode() in server.seen[0].head
    assert len(carried.records) == 3
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert canary.encode() not in stored
    assert not any(canary.encode() in line for line in listed)


def test_locust_ends_with_its_runner(tmp_path: Path) -> None:
    """The child of a killed parent is killed by the kernel; what it recorded is readable."""
    with serve({"ok": slow(0.02, "a")}) as server:
        stage = {**CLOSED, "steady_s": 60.0}
        handoff = make_handoff(tmp_path, server.port, ITEMS, stage=stage, cache="cold")
        code = (
            "import sys, time, msgspec\n"
            "from pathlib import Path\n"
            "from observatory.load.handoff import Handoff\n"
            "from tests.load.stages import start\n"
            "handoff = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Handoff)\n"
            "print(start(handoff, fresh=True).pid, flush=True)\n"
            "time.sleep(60)\n"
        )
        path = tmp_path / "handoff.json"
        path.write_bytes(msgspec.json.encode(handoff))
        parent = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        until(lambda: len(server.seen) >= 5 and read(handoff, -9).records)
        parent.kill()
        parent.wait()
        parent.stdout.close()
        limit = time.monotonic() + 10
        while Path(f"/proc/{child}").exists() and time.monotonic() < limit:
            time.sleep(0.05)
        assert not Path(f"/proc/{child}").exists()
    carried = read(handoff, -9)
    assert len(carried.records) >= 1 and carried.ends == []
