"""A runner that died: the next command seals its records, and its run is crashed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from observatory.core.caps_spent import CapsSpent
from observatory.core.record import Attempt
from observatory.core.run import Manifest
from observatory.core.sample import Sample
from observatory.core.scenario import Scenario
from observatory.core.stage_counts import ISSUED, NANO_USD, OUTPUT_TOKENS, TRIES, StageCounts
from observatory.core.workspace import Workspace
from observatory.store.folder import recovery
from observatory.store.folder.manifest import create_run, read_manifest
from observatory.store.folder.recovery import recover_crashed
from observatory.store.folder.run_lock import hold_lock
from observatory.store.folder.sealing import seal
from observatory.store.frames import read_frames
from tests.store.made_runs import (
    S,
    answer,
    heartbeat,
    manifest,
    record,
    stage,
    write_journal,
    write_samples,
)

SCENARIO = {
    "name": "quickstart",
    "workload": {"kind": "tasks", "tasks": ["arithmetic"]},
    "arrivals": {"kind": "closed"},
    "stages": [{"concurrency": 1}, {"concurrency": 4}],
    "timing": {"warmup": "2s", "steady": "30s", "drain": "5s"},
}

DIE_WHILE_WRITING = """
import os, signal, sys
from pathlib import Path
from observatory.core.system.processes import die_with_parent
from observatory.store.folder.run_lock import hold_lock
from tests.store.made_runs import record, heartbeat, write_journal
die_with_parent()
folder = Path(sys.argv[1])
with hold_lock(folder):
    write_journal(folder, heartbeat(ended=False), "ticks")
    path = write_journal(folder, [record(0), record(1), record(2)], "requests")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 7)
    print("written", flush=True)
    signal.pause()
"""


def _running(**changes: object) -> Manifest:
    scenario = Scenario.model_validate(SCENARIO).model_dump(mode="json", exclude={"targets"})
    return manifest(
        status="running", ended_utc=None, stages=[], verdict=None, findings=[], energy=[],
        scenario=scenario, **changes,
    )  # fmt: skip


def _abandoned(workspace: Workspace, made: Manifest) -> Path:
    """A run folder whose lock was once held."""
    folder = create_run(workspace, made)
    (folder / "lock").touch()
    return folder


def test_a_folder_that_is_being_made_is_left_alone(workspace: Workspace) -> None:
    folder = create_run(workspace, _running())
    assert recover_crashed(workspace) == []
    old = (folder / "manifest.json").stat().st_mtime - recovery.NEWBORN_S - 1
    os.utime(folder / "manifest.json", (old, old))
    assert "0 requests saved" in recover_crashed(workspace)[0]


def test_a_killed_runner_leaves_a_run_that_is_saved_and_marked(workspace: Workspace) -> None:
    folder = _abandoned(workspace, _running())
    with subprocess.Popen(
        [sys.executable, "-c", DIE_WHILE_WRITING, str(folder)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "written\n"
        assert recover_crashed(workspace) == []
        assert read_manifest(folder).status == "running"
        child.send_signal(signal.SIGKILL)
    sentences = recover_crashed(workspace)
    assert len(sentences) == 1
    assert sentences[0].startswith("run-1 was left unsealed (its runner died")
    assert "2 requests saved" in sentences[0] and "record that was being written" in sentences[0]
    made = read_manifest(folder)
    assert made.status == "crashed" and made.sealed
    assert made.ended_utc == "2025-11-13T02:13:23Z"
    assert read_frames(folder).requests["request"].to_list() == [0, 1]
    assert recover_crashed(workspace) == []


def test_the_stage_that_was_running_is_told_from_its_journals(workspace: Workspace) -> None:
    folder = _abandoned(workspace, _running())
    write_journal(folder, heartbeat(0, 0, ended=False), "ticks", stage=0)
    write_journal(folder, heartbeat(0, 1), "ticks", stage=0, worker=1)
    late = record(0, attempts=[answer(20 * S)])
    write_journal(folder, [late, record(1)], "requests", stage=0)
    recover_crashed(workspace)
    times = read_manifest(folder).stages
    assert len(times) == 1
    assert (times[0].kind, times[0].concurrency) == ("closed", 1)
    assert times[0].started == 0
    assert times[0].steady_started == 2 * S
    assert times[0].ended == times[0].steady_ended == late.attempts[0].ended
    assert (times[0].issued, times[0].recorded) == (6, 2)
    assert times[0].lost_workers == ["worker 0"]


def test_what_a_dead_runner_had_issued_is_counted_to_the_last_request(workspace: Workspace) -> None:
    folder = _abandoned(workspace, _running())
    write_journal(folder, heartbeat(0, 0, ended=False), "ticks", stage=0)
    never = msgspec.structs.replace(record(9), outcome="not_issued", attempts=[])
    write_journal(folder, [*map(record, range(8)), never], "requests", stage=0)
    StageCounts(folder / "journal" / "stage-00", 1).of(0)[ISSUED] = 10
    recover_crashed(workspace)
    (stage,) = read_manifest(folder).stages
    assert (stage.issued, stage.recorded, stage.counted) == (10, 8, True)


def test_what_a_dead_runner_had_spent_of_its_caps_is_in_the_manifest(workspace: Workspace) -> None:
    before = CapsSpent(requests=5, output_tokens=50, usd=0.5, assumed_usd=0.0, overrun=1.2)
    folder = _abandoned(workspace, msgspec.structs.replace(_running(), spent=before))
    for worker, spent in enumerate(((7, 70, 250_000_000), (3, 30, 0))):
        write_journal(folder, heartbeat(0, worker, ended=False), "ticks", stage=0, worker=worker)
        own = StageCounts(folder / "journal" / "stage-00", 2).of(worker)
        own[TRIES], own[OUTPUT_TOKENS], own[NANO_USD] = spent
    recover_crashed(workspace)
    assert read_manifest(folder).spent == CapsSpent(15, 150, 0.75, 0.25, 1.2)


def test_no_dead_worker_issued_less_than_it_recorded(workspace: Workspace) -> None:
    folder = _abandoned(workspace, _running())
    write_journal(folder, heartbeat(0, 0, ended=False), "ticks", stage=0)
    write_journal(folder, list(map(record, range(8))), "requests", stage=0)
    recover_crashed(workspace)
    (stage,) = read_manifest(folder).stages
    assert (stage.issued, stage.recorded, stage.counted) == (8, 8, False)


def test_a_primed_stage_shifts_the_levels(workspace: Workspace) -> None:
    folder = _abandoned(workspace, _running())
    write_journal(folder, heartbeat(0), "ticks", stage=0)
    write_journal(folder, [record(0, phase="prime")], "requests", stage=0)
    write_journal(folder, heartbeat(1), "ticks", stage=1)
    write_journal(folder, heartbeat(2), "ticks", stage=2)
    recover_crashed(workspace)
    times = read_manifest(folder).stages
    assert [(each.kind, each.concurrency) for each in times] == [
        ("prime", None),
        ("closed", 1),
        ("closed", 4),
    ]
    assert times[0].steady_started is None


def test_a_run_that_never_began_is_saved_too(workspace: Workspace) -> None:
    folder = _abandoned(workspace, _running())
    assert "0 requests saved" in recover_crashed(workspace)[0]
    assert read_manifest(folder).stages == []


def test_a_run_that_ended_keeps_its_status(workspace: Workspace) -> None:
    folder = _abandoned(workspace, manifest(status="budget_reached"))
    write_journal(folder, [record(0)], "requests")
    assert "run-1 was left unsealed (budget_reached): 1 request" in recover_crashed(workspace)[0]
    assert read_manifest(folder).status == "budget_reached"


def test_a_sealed_run_with_leftover_journals_is_only_tidied(workspace: Workspace) -> None:
    folder = _abandoned(workspace, manifest())
    made = seal(folder, manifest(), None)
    (folder / "journal").mkdir()
    assert recover_crashed(workspace) == []
    assert not (folder / "journal").exists() and read_manifest(folder) == made


def test_samples_of_the_campaign_are_kept_and_its_folder_goes(workspace: Workspace) -> None:
    first = _abandoned(workspace, manifest("r1", status="running"))
    second = _abandoned(workspace, manifest("r2", status="running"))
    reading = Sample(4 * S, "host", "shared_host", "", "cpu_util_fraction", 0.5)
    journal = write_samples(workspace.campaigns / "campaign-1" / "samples.journal", [reading])
    with hold_lock(second):
        recover_crashed(workspace)
        assert journal.exists()
    assert read_frames(first).samples["value"].to_list() == [0.5]
    recover_crashed(workspace)
    assert read_frames(second).samples["stage"].to_list() == [0]
    assert not journal.parent.exists()


def test_an_unfinished_matrix_keeps_its_folder_and_its_file(workspace: Workspace) -> None:
    _abandoned(workspace, manifest("r1", status="running"))
    journal = write_samples(workspace.campaigns / "campaign-1" / "samples.journal", [])
    (journal.parent / "campaign.json").write_text("{}")
    recover_crashed(workspace)
    recover_crashed(workspace)
    assert [path.name for path in journal.parent.iterdir()] == ["campaign.json"]


def test_what_cannot_be_read_is_named_and_does_not_stop_the_others(workspace: Workspace) -> None:
    broken = _abandoned(workspace, manifest("a-broken"))
    (broken / "manifest.json").write_text("{")
    _abandoned(workspace, manifest("b-fine"))
    sentences = recover_crashed(workspace)
    assert len(sentences) == 2
    assert (
        sentences[0].startswith("a-broken could not be recovered")
        and "manifest.json" in sentences[0]
    )
    assert read_manifest(workspace.runs / "b-fine").sealed


def test_the_caller_judges_while_the_lock_is_held(workspace: Workspace) -> None:
    _abandoned(workspace, manifest(status="running", stages=[stage()]))
    seen: list[tuple[str, str, bool]] = []

    def then(folder: Path, sealed: Manifest) -> None:
        with pytest.raises(Exception, match="the run is being written"), hold_lock(folder):
            pass
        seen.append((folder.name, sealed.status, bool(sealed.sealed)))

    recover_crashed(workspace, then)
    assert seen == [("run-1", "crashed", True)]


def test_a_request_that_was_open_has_no_end(workspace: Workspace) -> None:
    folder = _abandoned(workspace, _running())
    write_journal(folder, heartbeat(ended=False), "ticks")
    still_open = record(0, outcome="interrupted", attempts=[Attempt(number=0, sent=S)])
    write_journal(folder, [still_open], "requests")
    recover_crashed(workspace)
    times = read_manifest(folder).stages[0]
    assert times.ended == 2 * S
    assert times.steady_started is None
