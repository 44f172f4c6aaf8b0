"""Who reads what a run prints, and in which encoding, decides nothing about the run."""

import subprocess
import sys

import pytest

from tests.live.harness import MEASURED, Workspace

pytestmark = pytest.mark.live


def test_a_run_that_nobody_can_read_is_sealed_with_its_own_exit_code(workspace: Workspace) -> None:
    name = workspace.emulated(steady="1s")
    command = f'"{sys.executable}" -m observatory run {name} --label ü–✓ 2>/dev/full <&- | true'
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        cwd=workspace.root,
        env={**workspace.environment, "PYTHONIOENCODING": "ascii"},
        check=False,
        timeout=120,
    )
    assert done.returncode in MEASURED
    assert workspace.manifest()["status"] == "complete"
    assert workspace.manifest()["sealed"]
    (row,) = workspace.sql("select count(*) as n from runs where label = 'ü–✓'")
    assert row["n"] == 1
