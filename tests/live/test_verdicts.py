"""Each code of the verdict, provoked by its one command and by nothing else; and a clean control."""

import importlib.util
import json
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from observatory.analysis.thresholds import THRESHOLDS

pytestmark = [pytest.mark.live, pytest.mark.alone]
ROOT = Path(__file__).resolve().parents[2]
OF_A_BUSY_MACHINE = {
    "client_cpu",
    "client_delay",
    "shared_stamps",
    "telemetry_gap",
    "drift",
    "foreign_cpu",
    "shared_cores",
}
"""What work beside the test provokes, and rightly: the command is given again, a few times, and
where the machine is busy all the while the test says so and is skipped."""
BUSY_SHARE = 0.3
"""Of all cores, by others, while nothing of ours runs."""
TRIES = 3


def _provoke() -> ModuleType:
    spec = importlib.util.spec_from_file_location("provoke", ROOT / "docs" / "provoke.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["provoke"] = module
    spec.loader.exec_module(module)
    return module


COMMANDS: dict[str, str] = {
    code: provocation.command(code) for code, provocation in _provoke().PROVOCATIONS.items()
}
NOTES = [code for code, row in THRESHOLDS.items() if row.as_found == "note"]


def give(command: str, results: Path) -> dict[str, Any]:
    """Run a documented command as it stands, but for where results go; its run's manifest."""
    program, *arguments = shlex.split(command)
    start = {"python": [sys.executable], "observatory": [sys.executable, "-m", "observatory"]}
    done = subprocess.run(
        [*start[program], *arguments, "--results", str(results)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    folders = sorted((results / "runs").glob("*"))
    assert folders, done.stdout + done.stderr
    manifest: dict[str, Any] = json.loads((folders[-1] / "manifest.json").read_text())
    assert manifest["verdict"] is not None, done.stdout + done.stderr
    return manifest


def grave(command: str, wanted: set[str], folder: Path) -> tuple[set[str], dict[str, Any]]:
    """The grave codes of a run that only a busy machine would have added to; the last try's."""
    codes: set[str] = set()
    manifest: dict[str, Any] = {}
    for number in range(TRIES):
        manifest = give(command, folder / f"try-{number}")
        codes = set(manifest["verdict"]["codes"])
        if codes == wanted or not (codes ^ wanted) & OF_A_BUSY_MACHINE:
            return codes, manifest
    others = psutil.cpu_percent(2) / 100
    if others > BUSY_SHARE:
        pytest.skip(f"others keep {others:.0%} of the cores busy: {sorted(codes)}")
    return codes, manifest


def test_the_control_has_no_grave_code(tmp_path: Path) -> None:
    codes, manifest = grave("observatory run scenarios/verdicts/clean.yaml", set(), tmp_path)
    assert codes == set(), manifest["findings"]
    assert manifest["verdict"]["level"] == "valid"
    assert [finding["code"] for finding in manifest["findings"]] == ["emulated"]
    assert [row["code"] for row in manifest["thresholds"]] == list(THRESHOLDS)


@pytest.mark.parametrize("code", [code for code in COMMANDS if code not in NOTES])
def test_a_code_is_provoked_alone(code: str, tmp_path: Path) -> None:
    codes, manifest = grave(COMMANDS[code], {code}, tmp_path)
    assert codes == {code}, manifest["findings"]
    [first, *_] = manifest["findings"]
    assert first["code"] == code
    threshold = THRESHOLDS[code]
    if threshold.as_found is None:
        assert first["value"] > first["threshold"] == threshold.limit(first["severity"])
    else:
        assert first["severity"] == threshold.as_found
    assert f"({code})" in manifest["verdict"]["sentence"]


@pytest.mark.parametrize("code", NOTES)
def test_a_note_is_provoked_and_leaves_the_run_valid(code: str, tmp_path: Path) -> None:
    codes, manifest = grave(COMMANDS[code], set(), tmp_path)
    assert codes == set(), manifest["findings"]
    assert code in [finding["code"] for finding in manifest["findings"]]


@pytest.mark.parametrize(
    ("scenario", "wanted", "words"),
    [
        ("held_back", {"errors", "offered_rate", "drift"}, "held back by a limit"),
        ("warm_cache", set(), "the cache was primed and no prompt token came from it"),
    ],
)
def test_other_scenarios_of_the_folder(
    scenario: str, wanted: set[str], words: str, tmp_path: Path
) -> None:
    command = f"observatory run scenarios/verdicts/{scenario}.yaml"
    codes, manifest = grave(command, wanted, tmp_path)
    assert codes == wanted, manifest["findings"]
    assert any(words in finding["message"] for finding in manifest["findings"])
