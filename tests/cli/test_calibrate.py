"""`observatory calibrate`: its options, what it stores, and how it shows what is stored."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from observatory.calibration import calibrating
from observatory.cli.measure import calibrate
from observatory.cli.setup import doctor
from observatory.core.errors import BadInput
from observatory.core.workspace import open_workspace
from observatory.runner.checks.stored_calibration import (
    LoadCeiling,
    load_calibration,
    save_calibration,
    this_host,
)
from tests.runner.calibrations import a_calibration


def run(results: Path, *arguments: str) -> Result:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(calibrate.calibrate)
    return CliRunner().invoke(app, [*arguments, "--results", str(results)], env={"COLUMNS": "150"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Record the measurement's arguments; it measures nothing."""
    calls: list[dict[str, Any]] = []

    def measure(workspace: object, **options: Any) -> Any:
        options.pop("report")("256 streams: held")
        calls.append(options)
        return a_calibration()

    monkeypatch.setattr(calibrating, "calibrate", measure)
    return calls


def test_what_was_measured_is_stored_and_shown(tmp_path: Path, asked: list[dict[str, Any]]) -> None:
    result = run(tmp_path, "--quick", "--processes", "2", "--gap", "20ms")
    assert result.exit_code == 0
    assert asked == [{"quick": True, "processes": 2, "gap_s": 0.02}]
    assert load_calibration(open_workspace(tmp_path)) == a_calibration()
    assert "calibration.json" in result.stdout
    assert run(tmp_path, "--show").stdout.split("\n\n")[0] in result.stdout
    assert len(asked) == 1


def test_json_is_the_stored_file_and_nothing_else(
    tmp_path: Path, asked: list[dict[str, Any]]
) -> None:
    printed = json.loads(run(tmp_path, "--json").stdout)
    assert printed == json.loads((tmp_path / "calibration.json").read_text())
    assert printed == json.loads(run(tmp_path, "--show", "--json").stdout)
    assert asked[0]["quick"] is False


def test_a_bound_is_said_with_its_number(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    lost = LoadCeiling(None, "none", "shared_stamps: 3 % of events", 64)
    save_calibration(workspace, a_calibration(bound="at_least", burst=lost, host=this_host()))
    shown = run(tmp_path, "--show").stdout
    assert "at least 700" in shown
    assert "at least 2,000" in shown
    assert "none (not 64)" in shown
    assert "a request costs 200 µs" in shown
    assert "note:" not in shown
    exact = save_calibration(workspace, a_calibration())
    assert exact.exists()
    shown = run(tmp_path, "--show").stdout
    assert "at least" not in shown
    assert "note: it was made on another machine" in shown


def test_nothing_stored_and_bad_options_are_bad_input(tmp_path: Path) -> None:
    for arguments in (["--show"], ["--gap", "10"], ["--gap", "2s"], ["--processes", "64"]):
        result = run(tmp_path, *arguments)
        assert isinstance(result.exception, BadInput), arguments
    assert not (tmp_path / "calibration.json").exists()
    assert run(tmp_path, "--processes", "0").exit_code == 2


def test_doctor_shows_it_with_its_age(tmp_path: Path) -> None:
    workspace = open_workspace(tmp_path)
    check = doctor.calibration_check(workspace)
    assert (check.state, check.needed) == ("missing", False)
    save_calibration(workspace, a_calibration(host=this_host()))
    check = doctor.calibration_check(workspace)
    assert "700 streams, 2,000 requests/s" in check.found
    assert "days old" in check.found
    save_calibration(workspace, a_calibration())
    assert doctor.calibration_check(workspace).state == "warning"
    (tmp_path / "calibration.json").write_text("{")
    assert "damaged" in doctor.calibration_check(workspace).found
