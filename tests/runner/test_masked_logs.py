"""The logs of a run whose runner was killed: masked where its secrets are known, removed where not."""

import json
import stat
from pathlib import Path

import pytest

from observatory.connect.masking import MASK, Masker
from observatory.core.workspace import Workspace
from observatory.runner.masked_logs import (
    REMOVED,
    REMOVED_NAME,
    forget_secrets,
    mask_logs_of_the_dead,
    note_secrets,
)
from observatory.runner.recovery import seal_crashed_runs
from observatory.store.folder.manifest import create_run
from tests.store.made_runs import manifest, workspace_in

KEY = "hunter2-of-nobody-0815"
LOG = f"the server said: unknown user {KEY}\nand went away\n"


@pytest.fixture
def dead(tmp_path: Path) -> Workspace:
    """A run of a target with a key, whose runner was killed while its log held the key."""
    space = workspace_in(tmp_path)
    made = manifest("r1", status="running", stages=[], verdict=None, findings=[], energy=[])
    folder = create_run(space, made)
    (folder / "lock").touch()
    (folder / "logs" / "locust-stage-00.log").write_text(LOG)
    note_secrets(space, "campaign-1", "r1", Masker([f"Bearer {KEY}"]))
    return space


def logs(space: Workspace) -> dict[str, str]:
    return {log.name: log.read_text() for log in (space.runs / "r1" / "logs").iterdir()}


def test_a_known_secret_is_masked_before_the_run_is_sealed(
    dead: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_VARIABLE", KEY)
    assert seal_crashed_runs(dead) != []
    assert logs(dead) == {"locust-stage-00.log": LOG.replace(KEY, MASK)}
    assert not dead.campaigns.exists() or not any(dead.campaigns.iterdir())


def test_logs_whose_secret_is_not_known_any_more_are_removed(dead: Workspace) -> None:
    assert seal_crashed_runs(dead) != []
    assert logs(dead) == {REMOVED_NAME: REMOVED}
    everything = [path.read_bytes() for path in dead.results.rglob("*") if path.is_file()]
    assert not any(KEY.encode() in data for data in everything)


def test_a_run_without_secrets_keeps_its_logs(dead: Workspace) -> None:
    note_secrets(dead, "campaign-1", "r1", Masker())
    mask_logs_of_the_dead(dead, "campaign-1", dead.runs / "r1")
    assert logs(dead) == {"locust-stage-00.log": LOG}


def test_what_is_kept_until_then_is_no_secret(dead: Workspace) -> None:
    kept = dead.campaigns / "campaign-1" / "r1.secrets"
    assert KEY not in kept.read_text()
    assert len(json.loads(kept.read_text())) == 1
    assert stat.S_IMODE((dead.results / "address.key").stat().st_mode) == 0o600
    forget_secrets(dead, "campaign-1", "r1")
    assert not kept.exists()
