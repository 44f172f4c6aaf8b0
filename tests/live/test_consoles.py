"""Who reads what a run prints, and in which encoding, decides nothing about the run."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.harness import MEASURED, PATIENCE_S, Workspace, open_workspace

pytestmark = pytest.mark.live


def test_a_run_that_nobody_can_read_is_sealed_with_its_own_exit_code(workspace: Workspace) -> None:
    name = workspace.emulated(steady="1s")
    command = f'"{sys.executable}" -m observatory run {name} --label ü–✓ 2>/dev/full <&- | true'
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=workspace.root,
        env={**workspace.environment, "PYTHONIOENCODING": "ascii"},
        check=False,
        timeout=PATIENCE_S,
    )
    assert done.returncode in MEASURED
    assert workspace.manifest()["status"] == "complete"
    assert workspace.manifest()["sealed"]
    (row,) = workspace.sql("select count(*) as n from runs where label = 'ü–✓'")
    assert row["n"] == 1


def test_a_run_in_a_folder_of_any_name(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "a[b]*? %20 '\"{}#$~,;=\\é\n-"
    root, scratch = tmp_path / name, tmp_path / f"tmp {name}"
    root.mkdir()
    scratch.mkdir()
    cache = str(tmp_path_factory.mktemp("cache"))
    monkeypatch.setenv("OBSERVATORY_CACHE", cache)  # queries are made in this process
    with open_workspace(root) as space:
        space.environment |= {"TMPDIR": str(scratch), "OBSERVATORY_CACHE": cache}
        space.measure(space.emulated(steady="1s"), "--publish")
        assert space.manifest()["sealed"]
        (row,) = space.sql("select count(*) as n from request_metrics where outcome = 'ok'")
        assert row["n"] > 0
        assert (root / "site" / "dist" / "index.html").is_file()
    assert not list(scratch.iterdir())
