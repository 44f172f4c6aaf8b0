"""Run folders: made, locked, listed, labelled, found."""

import subprocess
import sys
from pathlib import Path

import pytest

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import Workspace
from observatory.store.folder.manifest import create_run, read_manifest, write_manifest
from observatory.store.folder.run_folder import list_runs, resolve_runs, set_label
from observatory.store.folder.run_lock import hold_lock, is_running
from tests.store.made_runs import manifest, sealed_run

HOLD = """
import sys, time
from pathlib import Path
from observatory.core.system.processes import die_with_parent
from observatory.store.folder.run_lock import hold_lock
die_with_parent()
with hold_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_new_folder_has_a_manifest_and_room_for_journals(workspace: Workspace) -> None:
    folder = create_run(workspace, manifest())
    assert folder == workspace.runs / "run-1"
    assert read_manifest(folder) == manifest()
    assert (folder / "journal").is_dir() and (folder / "logs").is_dir()
    with pytest.raises(EnvironmentFailed, match="exists already"):
        create_run(workspace, manifest())


def test_the_lock_is_held_by_a_live_process_and_freed_by_its_death(workspace: Workspace) -> None:
    folder = create_run(workspace, manifest())
    assert not is_running(folder)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None and child.stdout.readline() == "held\n"
        assert is_running(folder)
        with (
            pytest.raises(EnvironmentFailed, match=f"written by process {child.pid}"),
            hold_lock(folder),
        ):
            pass
        child.kill()
    assert not is_running(folder)
    with hold_lock(folder):
        assert is_running(folder)


def test_runs_are_listed_by_time_with_their_state(workspace: Workspace) -> None:
    late = manifest("a-later", created_utc="2026-11-20T10:00:00Z")
    sealed_run(workspace, late)
    create_run(workspace, manifest("b-earlier", status="running"))
    broken = workspace.runs / "c-broken"
    broken.mkdir()
    (broken / "manifest.json").write_text("{")
    (workspace.runs / "no-run").mkdir()
    entries = list_runs(workspace)
    assert [(entry.run_id, entry.state) for entry in entries] == [
        ("c-broken", "unreadable"),
        ("b-earlier", "unsealed"),
        ("a-later", "complete"),
    ]
    assert "damaged" in (entries[0].problem or "")
    with hold_lock(workspace.runs / "b-earlier"):
        assert list_runs(workspace)[1].state == "running"


@pytest.fixture
def three(workspace: Workspace) -> Workspace:
    sealed_run(workspace, manifest("r1", campaign_id="c1", created_utc="2026-11-20T09:00:00Z"))
    sealed_run(workspace, manifest("r2", campaign_id="c2", created_utc="2026-11-20T10:00:00Z"))
    sealed_run(
        workspace,
        manifest("r3", campaign_id="c2", created_utc="2026-11-20T10:00:00Z", label="night"),
    )
    return workspace


def test_a_run_is_found_by_id_campaign_label_and_last(three: Workspace) -> None:
    assert resolve_runs(three, "r1") == ["r1"]
    assert resolve_runs(three, "c2") == ["r2", "r3"]
    assert resolve_runs(three, "last") == ["r2", "r3"]
    assert resolve_runs(three, "night") == ["r3"]
    set_label(three.runs / "r1", "base line")
    set_label(three.runs / "r3", None)
    assert resolve_runs(three, "base line") == ["r1"]
    with pytest.raises(BadInput, match="no run, campaign or label is called 'night'"):
        resolve_runs(three, "night")


def test_last_is_the_latest_campaign_that_was_measured(three: Workspace) -> None:
    crashed = manifest("r4", campaign_id="c4", created_utc="2026-11-20T11:00:00Z", status="crashed")
    sealed_run(three, crashed)
    assert resolve_runs(three, "last") == ["r2", "r3"]
    going = manifest("r5", campaign_id="c5", created_utc="2026-11-20T12:00:00Z", status="running")
    folder = create_run(three, going)
    with hold_lock(folder):
        assert resolve_runs(three, "last") == ["r2", "r3"]
    half = manifest("r6", campaign_id="c6", created_utc="2026-11-20T13:00:00Z")
    sealed_run(three, half)
    (three.campaigns / "c6").mkdir(parents=True, exist_ok=True)
    with hold_lock(three.campaigns / "c6"):  # a matrix between two of its runs
        assert resolve_runs(three, "last") == ["r2", "r3"]
    assert resolve_runs(three, "last") == ["r6"]
    for number, status in enumerate(("budget_reached", "interrupted"), start=7):
        made = f"2026-11-20T1{number}:00:00Z"
        ended = manifest(f"r{number}", campaign_id=f"c{number}", created_utc=made, status=status)
        sealed_run(three, ended)
        assert resolve_runs(three, "last") == [f"r{number}"]


def test_last_without_a_measured_run_is_told(workspace: Workspace) -> None:
    create_run(workspace, manifest("r1", status="running"))
    with pytest.raises(BadInput, match="no run has been measured to its end yet"):
        resolve_runs(workspace, "last")


def test_a_label_file_outlives_a_new_manifest(three: Workspace) -> None:
    set_label(three.runs / "r3", "day")
    write_manifest(three.runs / "r3", manifest("r3", label="night"))
    assert {entry.run_id: entry.label for entry in list_runs(three)}["r3"] == "day"


@pytest.mark.parametrize("label", ["last", "", " x", "a/b", "x" * 64, "line\nbreak"])
def test_labels_that_could_be_mistaken_are_refused(three: Workspace, label: str) -> None:
    with pytest.raises(BadInput, match="cannot be a label"):
        set_label(three.runs / "r1", label)


def test_no_runs_says_what_to_do(workspace: Workspace, tmp_path: Path) -> None:
    assert list_runs(workspace) == []
    with pytest.raises(BadInput, match="there are no runs yet — observatory run quickstart"):
        resolve_runs(workspace, "last")
