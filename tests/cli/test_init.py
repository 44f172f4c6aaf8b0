"""`observatory init`: a whole workspace anywhere, and nothing of a person's overwritten."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from observatory.cli.setup.init import init
from observatory.core.errors import EnvironmentFailed
from observatory.core.workspace import open_workspace, shipped
from observatory.inputs.scenario_files import load_scenario
from observatory.inputs.target_files import load_targets


def _init(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(init)
    return CliRunner().invoke(app, list(arguments))


def test_a_workspace_is_laid_out_and_its_scenarios_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _init("mine")
    assert result.exit_code == 0
    assert "cd mine" in result.stdout
    assert "observatory run quickstart" in result.stdout
    workspace = open_workspace(root=tmp_path / "mine")
    loaded = load_scenario("quickstart", workspace)
    assert loaded.path == tmp_path / "mine" / "scenarios" / "quickstart.yaml"
    assert "emulated-api" in load_targets(workspace)
    assert (tmp_path / "mine" / "results" / "README.md").read_text().startswith("# Results")
    assert "results/*" in (tmp_path / "mine" / ".gitignore").read_text()


def test_everything_shipped_is_copied_byte_for_byte(tmp_path: Path) -> None:
    assert _init(str(tmp_path)).exit_code == 0
    for name in ("scenarios", "loadtests", "site"):
        for path in shipped(name).rglob("*"):
            relative = path.relative_to(shipped(name))
            skipped = {"__pycache__", "dist"}.intersection(relative.parts)
            if path.is_file() and not skipped:
                assert (tmp_path / name / relative).read_bytes() == path.read_bytes()
    assert not list(tmp_path.rglob("__pycache__"))


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    mine = tmp_path / "scenarios" / "quickstart.yaml"
    mine.parent.mkdir()
    mine.write_text("name: mine\n")
    kept = _init(str(tmp_path))
    assert mine.read_text() == "name: mine\n"
    assert "1 file was already there and kept" in kept.stdout
    assert "scenarios/quickstart.yaml" in kept.stdout
    again = _init(str(tmp_path))
    assert again.stdout.startswith("0 files written")
    assert "... and " in again.stdout
    _init(str(tmp_path), "--force")
    assert mine.read_bytes() == (shipped("scenarios") / "quickstart.yaml").read_bytes()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    failed = _init(str(tmp_path / "file")).exception
    assert isinstance(failed, EnvironmentFailed)
    assert "cannot be written" in str(failed)
