"""Heartbeats become progress and stage times; what never came stays None."""

from pathlib import Path

import msgspec

from observatory.core.clock import Anchor
from observatory.core.connection import Connection
from observatory.core.journal import encode_entry
from observatory.core.plan import StagePlan
from observatory.core.record import WorkerEnd, WorkerStart, WorkerTick
from observatory.core.stage_counts import ISSUED, StageCounts
from observatory.load.handoff import Handoff
from observatory.runner.progress import StageProgress, stage_progress
from observatory.runner.stage_execution import StageExecution, stage_times
from observatory.runner.ticks import Heartbeats

S = 1_000_000_000


def tick(at: int, recorded: int, tokens: int, ttft: int | None = None) -> WorkerTick:
    return WorkerTick(
        at,
        recorded + 1,
        recorded,
        1,
        0,
        0,
        0,
        0,
        False,
        streamed_tokens=tokens,
        ttft_recent_ns=ttft,
    )


def handoff(journal: Path) -> Handoff:
    stage = StagePlan(2, "closed", 4, None, warmup_s=1, steady_s=10, drain_s=5)
    connection = Connection("http", "127.0.0.1", 1, "/v1", "m")
    return Handoff(
        "run", "t", Anchor(0, 0), connection, "chat", True, "cold", 1, [], stage, str(journal)
    )


def write(folder: Path, worker: int, *entries: WorkerStart | WorkerTick | WorkerEnd) -> None:
    with (folder / f"worker-{worker}.ticks").open("ab") as file:
        for entry in entries:
            file.write(encode_entry(entry))


def test_progress_adds_the_workers_up_and_reads_on_where_it_stopped(tmp_path: Path) -> None:
    beats = Heartbeats(tmp_path)
    beats.read()
    assert (beats.count("recorded"), beats.ttft_s(), beats.tokens_per_s()) == (0, None, None)
    for worker in (0, 1):
        write(
            tmp_path, worker, WorkerStart(worker, 9, 2, 5 * S, 5 * S), tick(6 * S, 3, 100, S // 10)
        )
    beats.read()
    assert beats.count("recorded") == 6
    assert beats.tokens_per_s() is None
    torn = encode_entry(tick(8 * S, 9, 300, S // 5))
    with (tmp_path / "worker-0.ticks").open("ab") as file:
        file.write(torn[:-3])
    beats.read()
    assert beats.count("recorded") == 6
    with (tmp_path / "worker-0.ticks").open("ab") as file:
        file.write(torn[-3:])
    beats.read()
    assert beats.count("recorded") == 12
    assert beats.tokens_per_s() == 100.0
    assert beats.ttft_s() == 0.15


def test_stage_times_of_a_whole_stage(tmp_path: Path) -> None:
    end = WorkerEnd(17 * S, 40, 40, 0, 0, "complete")
    write(tmp_path, 0, WorkerStart(0, 9, 2, 4 * S, 5 * S), tick(6 * S, 3, 9), end)
    beats = Heartbeats(tmp_path)
    beats.read()
    times = stage_times(handoff(tmp_path), beats)
    assert (times.index, times.started, times.steady_started, times.steady_ended, times.ended) == (
        2, 5 * S, 6 * S, 16 * S, 17 * S,
    )  # fmt: skip
    assert (times.issued, times.recorded, times.lost_workers) == (40, 40, [])


def test_stage_times_of_a_lost_worker_end_with_its_last_sign(tmp_path: Path) -> None:
    write(tmp_path, 0, WorkerStart(0, 9, 2, 5 * S, 5 * S), tick(8 * S, 3, 9))
    beats = Heartbeats(tmp_path)
    beats.read()
    times = stage_times(handoff(tmp_path), beats)
    assert (times.steady_started, times.steady_ended, times.ended) == (6 * S, 8 * S, 8 * S)
    assert times.lost_workers == ["worker 0"]


def test_a_lost_worker_issued_what_was_counted_and_not_what_it_said_last(tmp_path: Path) -> None:
    journal = tmp_path / "stage-00"
    journal.mkdir()
    write(journal, 0, WorkerStart(0, 9, 2, 5 * S, 5 * S), tick(8 * S, 3, 9))
    write(journal, 1, WorkerEnd(17 * S, 40, 40, 0, 0, "complete"))
    counts = StageCounts(journal, 2)
    counts.of(0)[ISSUED], counts.of(1)[ISSUED] = 7, 40
    beats = Heartbeats(journal)
    beats.read()
    two = msgspec.structs.replace(handoff(journal), workers=2)
    times = stage_times(two, beats)
    assert (times.issued, times.counted) == (47, True)


def test_a_stage_that_never_came_to_its_window_has_none(tmp_path: Path) -> None:
    beats = Heartbeats(tmp_path)
    times = stage_times(handoff(tmp_path), beats)
    assert times.started is times.steady_started is times.ended is None


def test_progress_of_a_leg_tells_its_part_and_what_is_left(tmp_path: Path) -> None:
    stage_execution = StageExecution(handoff(tmp_path), tmp_path / "log", tmp_path)
    beats = Heartbeats(tmp_path)

    def at(second: float) -> StageProgress:
        return stage_progress(
            stage_execution, beats, now=round(second * S), emulated=True, stages=3, later_s=100.0
        )

    assert (at(5).part, at(5).elapsed_s, at(5).level) == ("starting", 0.0, "4 users")
    write(tmp_path, 0, WorkerStart(0, 9, 2, 5 * S, 5 * S), tick(6 * S, 3, 100))
    beats.read()
    assert [at(second).part for second in (5.5, 7, 15.9, 16.1)] == [
        "warm-up", "steady", "steady", "drain",
    ]  # fmt: skip
    assert at(7).campaign_left_s == 9 + 100
    assert (at(7).done, at(7).in_flight, at(7).errors, at(7).emulated) == (3, 1, 0, True)
    assert at(60).campaign_left_s == 100


def test_progress_of_answers_that_are_not_streamed_has_no_time_to_first_token(
    tmp_path: Path,
) -> None:
    write(tmp_path, 0, WorkerStart(0, 9, 2, 5 * S, 5 * S), tick(6 * S, 3, 100, S // 10))
    beats = Heartbeats(tmp_path)
    beats.read()

    def shown(*, stream: bool) -> float | None:
        given = msgspec.structs.replace(handoff(tmp_path), stream=stream)
        stage_execution = StageExecution(given, tmp_path / "log", tmp_path)
        return stage_progress(
            stage_execution, beats, now=7 * S, emulated=True, stages=1, later_s=0
        ).ttft_s

    assert shown(stream=True) == 0.1
    assert shown(stream=False) is None
