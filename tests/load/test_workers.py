"""Several processes share one plan: every request once, one common start, and the dead stay dead."""

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil

from observatory.core.stage_counts import issued_by_worker
from observatory.load.command import EXIT_INTERRUPTED, EXIT_WORKERS_LOST
from observatory.load.handoff import Caps
from tests.load.servers import DONE, HEAD, LAST, STOP, Seen, chunk, serve, token, usage
from tests.load.stages import Child, carry, cold_item, make_handoff, until

ITEMS = [cold_item(f"item {number}") for number in range(5)]
OPEN: dict[str, Any] = {"kind": "constant", "rate_per_s": 40.0, "drain_s": 5.0}


def offsets(count: int) -> list[int]:
    return [number * 25_000_000 for number in range(count)]


def endless(sock: Any, seen: Seen) -> None:
    sock.sendall(HEAD)
    while True:
        sock.sendall(token("x"))
        time.sleep(0.05)


def test_two_processes_share_one_plan_without_overlap(tmp_path: Path) -> None:
    stage = {**OPEN, "steady_s": 1.0, "offsets_ns": offsets(40)}
    with serve() as server:
        carried = carry(
            make_handoff(tmp_path, server.port, ITEMS, stage=stage, workers=2, cache="cold")
        )
    assert carried.code == 0
    assert [record.index for record in carried.records] == list(range(40))
    assert {record.outcome for record in carried.records} == {"ok"}
    assert all(record.worker == record.index % 2 for record in carried.records)
    assert len({seen.body for seen in server.seen}) == len(server.seen) == 40
    [started] = {start.stage_started for start in carried.starts}
    assert started is not None
    assert [record.scheduled - started for record in carried.records] == offsets(40)
    assert sorted(end.issued for end in carried.ends) == [20, 20]
    assert len({start.pid for start in carried.starts}) == 2


def test_a_budget_is_kept_by_both_together(tmp_path: Path) -> None:
    stage = {"kind": "closed", "concurrency": 6, "steady_s": 30.0, "drain_s": 3.0}
    with serve() as server:
        carried = carry(
            make_handoff(
                tmp_path,
                server.port,
                ITEMS,
                stage=stage,
                workers=2,
                cache="cold",
                caps=Caps(requests=15),
            )
        )
    assert carried.code == 0
    assert len(server.seen) == len(carried.records) == 15
    assert {end.reason for end in carried.ends} == {"budget_reached"}


def test_a_killed_workers_slice_is_lost_and_never_run_by_the_other(tmp_path: Path) -> None:
    stage = {**OPEN, "steady_s": 2.5, "offsets_ns": offsets(100)}
    killed: list[int] = []

    def kill_one(child: Child) -> None:
        until(lambda: len(server.seen) >= 10, child)
        victim = psutil.Process(child.pid).children()[0]
        killed.append(victim.pid)
        os.kill(victim.pid, signal.SIGKILL)

    with serve() as server:
        handoff = make_handoff(tmp_path, server.port, ITEMS, stage=stage, workers=2, cache="cold")
        carried = carry(handoff, kill_one)
    [dead] = [start.worker for start in carried.starts if start.pid == killed[0]]
    [end] = carried.ends
    assert carried.code == 0 and end.reason == "complete"
    living = [record for record in carried.records if record.worker != dead]
    assert [record.index for record in living] == list(range(1 - dead, 100, 2))
    lost = [record for record in carried.records if record.worker == dead]
    assert 0 < len(lost) < 50
    assert all(record.index % 2 == dead for record in lost)
    assert f"worker process {killed[0]} died" in carried.log


def test_both_write_their_last_records_when_the_master_is_stopped(tmp_path: Path) -> None:
    stage = {**OPEN, "steady_s": 30.0, "offsets_ns": offsets(1200)}

    def stop(child: Child) -> None:
        until(lambda: len(server.seen) >= 10, child)
        child.send_signal(signal.SIGTERM)

    with serve({"ok": endless}) as server:
        handoff = make_handoff(tmp_path, server.port, ITEMS, stage=stage, workers=2, cache="cold")
        carried = carry(handoff, stop)
    assert carried.code == EXIT_INTERRUPTED
    assert [end.reason for end in carried.ends] == ["interrupted", "interrupted"]
    assert [record.index for record in carried.records] == list(range(1200))
    assert {record.outcome for record in carried.issued} == {"interrupted"}
    assert sum(end.issued for end in carried.ends) == len(carried.issued) == len(server.seen)


def test_workers_die_with_their_master(tmp_path: Path) -> None:
    stage = {"kind": "closed", "concurrency": 4, "steady_s": 60.0, "drain_s": 3.0}
    workers: list[psutil.Process] = []

    def answer(sock: Any, seen: Seen) -> None:
        time.sleep(0.02)
        sock.sendall(HEAD + token("a") + STOP + usage(1, 1) + chunk(DONE) + LAST)

    def kill(child: Child) -> None:
        until(lambda: len(server.seen) >= 10, child)
        workers.extend(psutil.Process(child.pid).children())
        child.kill()

    with serve({"ok": answer}) as server:
        carried = carry(
            make_handoff(tmp_path, server.port, ITEMS, stage=stage, workers=2, cache="cold"), kill
        )
        assert len(workers) == 2
        _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []
    assert carried.code == -signal.SIGKILL
    assert len(carried.records) >= 5 and carried.torn_bytes == 0


def test_a_worker_that_dies_while_it_starts_ends_the_stage_at_once(tmp_path: Path) -> None:
    """Locust alone would wait for it, or offer half of the load."""
    stage = {**OPEN, "steady_s": 60.0, "offsets_ns": offsets(2400)}

    def kill_one(child: Child) -> None:
        until(lambda: psutil.Process(child.pid).children(), child)
        psutil.Process(child.pid).children()[0].kill()

    with serve() as server:
        handoff = make_handoff(tmp_path, server.port, ITEMS, stage=stage, workers=2, cache="cold")
        carried = carry(handoff, kill_one)
        assert server.seen == []
    assert carried.code == EXIT_WORKERS_LOST
    assert carried.log.strip().endswith("died while it started; nothing was sent")


def test_what_a_killed_worker_had_open_is_counted_to_the_last_request(tmp_path: Path) -> None:
    """Its last heartbeat was up to a second before; here there was none."""
    stage = {"kind": "closed", "concurrency": 4, "steady_s": 60.0}

    def kill(child: Child) -> None:
        until(lambda: len(server.seen) >= 20, child)
        child.kill()

    def slow(sock: Any, seen: Seen) -> None:
        time.sleep(0.02)
        sock.sendall(HEAD + token("a") + STOP + usage(1, 1) + chunk(DONE) + LAST)

    with serve({"ok": slow}) as server:
        handoff = make_handoff(tmp_path, server.port, ITEMS, stage=stage, cache="cold")
        carried = carry(handoff, kill)
        issued = issued_by_worker(Path(handoff.journal))[0]
        assert len(server.seen) <= issued <= len(server.seen) + 4
    assert issued - 8 <= len(carried.records) < issued
