"""One folder that cannot be read, was copied or holds nothing stops no verb, and is named."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from observatory.core.errors import EnvironmentFailed, ObservatoryError
from observatory.core.workspace import Workspace
from observatory.store.database import connect
from observatory.store.folder.campaigns import unfinished_campaigns
from observatory.store.folder.manifest import (
    MANIFEST_NAME,
    NEWBORN_S,
    read_manifest,
    run_folders,
    stray_folders,
)
from observatory.store.folder.recovery import recover_crashed
from observatory.store.folder.run_folder import list_runs, resolve_runs
from observatory.store.ingest.rebuild import rebuild
from observatory.store.ingest.warehouse import ingest, ingest_pending, pending_runs
from tests.store.made_runs import manifest, sealed_run, stage_rows

BROKEN = {
    "5,000 levels": b'{"format": 1, "a": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "5,000 objects": b'{"a":' * 5000 + b"1" + b"}" * 5000,
    "empty": b"",
    "zeros": bytes(4096),
    "400 digits": b'{"format": ' + b"9" * 400 + b"}",
    "a list": b"[]",
    "no UTF-8": b'{"format": 1, "run_id": "\xff"}',
    "half": b'{"format": 1, "run_id": "r',
    "a float": b'{"format": 1e400}',
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
def test_an_unreadable_manifest_stops_nothing(data: bytes, stocked: Workspace) -> None:
    ingest(stocked, sealed_run(stocked, manifest("r1")), stage_rows)
    folder = stocked.runs / "r0"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(data)
    os.utime(folder / "manifest.json", (0, 0))
    with pytest.raises(ObservatoryError) as caught:
        read_manifest(folder)
    assert "\n" not in str(caught.value)
    assert str(folder / "manifest.json") in str(caught.value)
    assert len(str(caught.value)) < 400
    states = {entry.run_id: entry.state for entry in list_runs(stocked)}
    assert states == {"r0": "unreadable", "r1": "complete"}
    assert resolve_runs(stocked, "last") == ["r1"]
    with connect(stocked) as connection:
        assert pending_runs(stocked, connection) == []
    assert ingest_pending(stocked, stage_rows).message is None
    (line,) = recover_crashed(stocked)
    assert line.startswith("r0 could not be recovered")
    campaign = stocked.campaigns / "c0"
    campaign.mkdir(parents=True)
    (campaign / "campaign.json").write_bytes(data)
    assert unfinished_campaigns(stocked) == []


def test_a_folder_that_may_not_be_looked_into_stops_nothing(
    stocked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(stocked, sealed_run(stocked, manifest("r1")), stage_rows)
    (stocked.runs / "r0").mkdir()
    real_is_file, real_read = Path.is_file, Path.read_bytes

    def is_file(path: Path) -> bool:
        if path.parent.name == "r0":
            raise PermissionError(13, "Permission denied", str(path))
        return real_is_file(path)

    def read_bytes(path: Path) -> bytes:
        if path.parent.name == "r0":
            raise PermissionError(13, "Permission denied", str(path))
        return real_read(path)

    monkeypatch.setattr(Path, "is_file", is_file)
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    entries = {entry.run_id: entry for entry in list_runs(stocked)}
    assert "Permission denied" in (entries["r0"].problem or "")
    with connect(stocked) as connection:
        assert pending_runs(stocked, connection) == []


WITHOUT_RIGHTS = """
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH: what root may all the same
    ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
os.execv(sys.executable, [sys.executable, "-c", *sys.argv[1:]])
"""
RECOVERS = """
import sys
from pathlib import Path
from typing import Any
from observatory.core.workspace import open_workspace
from observatory.runner.recovery import seal_crashed_runs
print(*seal_crashed_runs(open_workspace(Path(sys.argv[1]))), sep="\\n")
"""


def test_an_unreadable_folder_stops_no_recovery(stocked: Workspace) -> None:
    """Every run and every rebuild begins with it; run without the rights that root has everywhere."""
    sealed_run(stocked, manifest("r1"))
    folder = sealed_run(stocked, manifest("r0"))
    folder.chmod(0)
    try:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_RIGHTS, RECOVERS, str(stocked.results)],
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        folder.chmod(0o755)
    assert done.returncode == 0, done.stderr
    assert "r0 could not be recovered" in done.stdout
    assert "Permission denied" in done.stdout


def test_samples_are_kept_while_a_run_that_was_not_sealed_cannot_be_read(
    stocked: Workspace,
) -> None:
    folder = sealed_run(stocked, manifest("r1"))
    campaign = stocked.campaigns / "c1"
    campaign.mkdir(parents=True)
    (campaign / "samples.journal").write_bytes(b"samples")
    (folder / "manifest.json").write_bytes(BROKEN["half"])
    (folder / "seal.json").unlink(missing_ok=True)
    recover_crashed(stocked)
    assert (campaign / "samples.journal").exists()
    (folder / "seal.json").write_text("{}")
    recover_crashed(stocked)
    assert not campaign.exists(), "a sealed run needs no samples of its campaign"


def test_a_copy_under_another_name_is_named_and_not_counted(stocked: Workspace) -> None:
    folder = sealed_run(stocked, manifest("r1"))
    ingest(stocked, folder, stage_rows)
    copy = stocked.runs / "r2"
    shutil.copytree(folder, copy)
    problem = next(entry.problem for entry in list_runs(stocked) if entry.run_id == "r2")
    assert "holds run r1: the folder was copied or renamed" in (problem or "")
    stated = ingest_pending(stocked, stage_rows)
    assert (stated.ingested, stated.failed) == ((), False)
    assert "copied or renamed" in (stated.message or "")
    with connect(stocked) as connection:
        assert connection.execute("SELECT run_id FROM runs").fetchall() == [("r1",)]


def test_a_folder_without_a_manifest_is_named_once_it_is_old(stocked: Workspace) -> None:
    sealed_run(stocked, manifest("r1"))
    empty = stocked.runs / "r0"
    empty.mkdir()
    (stocked.runs / "notes.txt").write_text("mine")
    assert stray_folders(stocked) == []
    old = empty.stat().st_mtime - NEWBORN_S - 1
    os.utime(empty, (old, old))
    assert stray_folders(stocked) == [empty]
    assert [folder.name for folder in run_folders(stocked)] == ["r1"]


def test_a_run_that_has_just_lost_its_manifest_is_named_at_once(stocked: Workspace) -> None:
    folder = sealed_run(stocked, manifest("r1"))
    (folder / "manifest.json").unlink()
    assert list(folder.glob("*.parquet"))
    assert stray_folders(stocked) == [folder]
    for path in folder.glob("*.parquet"):
        path.unlink()
    assert stray_folders(stocked) == []


def test_a_database_that_cannot_be_written_leaves_the_run_sealed_and_says_so(
    stocked: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sealed_run(stocked, manifest("r1"))
    for error in (
        OSError(28, "No space left on device"),
        PermissionError(13, "Permission denied"),
        MemoryError(),
        EnvironmentFailed("Read-only file system", where="observatory.duckdb"),
    ):

        def refuse(*given: object, raised: Exception = error, **named: object) -> None:
            raise raised

        monkeypatch.setattr("observatory.store.ingest.warehouse.connect", refuse)
        stated = ingest(stocked, folder, stage_rows)
        assert stated.failed
        assert "r1: sealed on disk, waiting for the database" in (stated.message or "")
        assert "\n" not in (stated.message or "")
    assert json.loads((folder / "manifest.json").read_text())["sealed"]


@pytest.mark.parametrize("name", ["manifest.json", "samples.parquet"])
def test_a_pipe_in_place_of_a_file_is_named_and_nothing_waits_for_it(
    name: str, stocked: Workspace
) -> None:
    """Opening a pipe for reading waits until somebody writes to it."""
    for run_id in ("r0", "r1"):
        sealed_run(stocked, manifest(run_id))
    (stocked.runs / "r0" / name).unlink()
    os.mkfifo(stocked.runs / "r0" / name)
    found = rebuild(stocked, stage_rows)
    assert found.ingested == ("r1",)
    [line] = found.left_out
    assert str(stocked.runs / "r0" / name) in line
    assert "is not a regular file" in line


@pytest.mark.parametrize(
    "part",
    [
        {"workload": {"cache": 5}},
        {"workload": ["tasks"]},
        {"telemetry": {"interval": "soon"}},
        {"slo": {"attainment": "most"}},
        {"stages": {"concurrency": 1}},
    ],
)
def test_a_scenario_that_cannot_be_read_is_named_and_stops_nothing(
    stocked: Workspace, part: dict[str, Any]
) -> None:
    sealed_run(stocked, manifest("r1"))
    path = sealed_run(stocked, manifest("r0")) / MANIFEST_NAME
    plain = json.loads(path.read_bytes())
    plain["scenario"] |= part
    path.write_text(json.dumps(plain))
    result = rebuild(stocked, stage_rows)
    assert result.ingested == ("r1",)
    assert [line for line in result.left_out if "r0" in line and "manifest is damaged" in line]
