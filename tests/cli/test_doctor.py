"""`observatory doctor`: exit codes, both outputs, and that no key is ever shown."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from observatory.cli.setup import doctor
from observatory.core.workspace import open_workspace
from observatory.telemetry.machine import checkup, environment
from observatory.telemetry.machine.checkup import Check

CANARY = "sk-canary-0123456789"


def _run(*arguments: str, **variables: str) -> Result:
    app = typer.Typer(rich_markup_mode=None)
    app.command()(doctor.doctor)
    return CliRunner().invoke(app, list(arguments), env=variables)


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without faults, so that only what a test changes is seen."""
    monkeypatch.setattr(checkup, "machine_checks", lambda results: [])
    monkeypatch.setattr(doctor, "engine_checks", list)


@pytest.mark.live
def test_this_machine_is_fit_for_the_quickstart(tmp_path: Path) -> None:
    result = _run("--json", "--results", str(tmp_path))
    answer = json.loads(result.stdout)
    assert (result.exit_code, answer["fit_for_quickstart"]) == (0, True)
    names = {check["name"] for check in answer["checks"]}
    assert {"packages", "llama.cpp", "vllm", "gpu", "rapl", "clock", "open files"} <= names
    assert {"state", "found", "fix", "name", "needed"} == set(answer["checks"][0])


@pytest.mark.usefixtures("fit")
def test_something_needed_that_is_missing_is_exit_4(monkeypatch: pytest.MonkeyPatch) -> None:
    gap = Check("llama.cpp", "missing", "not there", "pip install it", needed=True)
    monkeypatch.setattr(doctor, "engine_checks", lambda: [gap])
    result = _run()
    assert result.exit_code == 4
    assert "fix: pip install it" in result.stdout
    assert "cannot run here yet" in result.stdout


@pytest.mark.usefixtures("fit")
def test_something_missing_that_nothing_needs_is_exit_0(monkeypatch: pytest.MonkeyPatch) -> None:
    gap = Check("vllm", "missing", "not there", "start it")
    monkeypatch.setattr(doctor, "engine_checks", lambda: [gap])
    assert _run().exit_code == 0


@pytest.mark.usefixtures("fit")
def test_a_missing_package_is_named_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(environment.PACKAGES, "imaginary", "no-such-distribution-anywhere")
    result = _run("--json")
    row = next(c for c in json.loads(result.stdout)["checks"] if c["name"] == "imaginary")
    assert result.exit_code == 4
    assert (row["state"], row["fix"]) == ("missing", "pip install no-such-distribution-anywhere")


@pytest.mark.usefixtures("fit")
@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_a_key_is_set_and_never_shown(arguments: tuple[str, ...]) -> None:
    result = _run(*arguments, OPENAI_API_KEY=CANARY, COLUMNS="200")
    assert CANARY not in result.output
    assert "key OPENAI_API_KEY" in result.output
    assert "ANTHROPIC_API_KEY" in result.output


def test_keys_of_ones_own_targets_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "targets.yaml").write_text(
        "targets:\n"
        "  - {kind: url, name: team, url: 'http://127.0.0.1:9/v1', api_key_env: TEAM_KEY}\n"
    )
    workspace = open_workspace(root=tmp_path)

    def team(environment: dict[str, str]) -> Any:
        checks = doctor.key_checks(workspace, environment)
        return next(check for check in checks if check.name == "key TEAM_KEY")

    assert team({"TEAM_KEY": CANARY}) == Check("key TEAM_KEY", "ok", "set")
    missing = team({})
    assert (missing.state, missing.needed) == ("missing", False)
    assert missing.fix == "export TEAM_KEY=... before a run on team"


def test_a_providers_usual_variable_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "targets.yaml").write_text(
        "targets:\n  - {kind: api, name: bought, provider: openai, model: some-model}\n"
    )
    checks = {check.name: check for check in doctor.key_checks(open_workspace(root=tmp_path), {})}
    assert checks["key OPENAI_API_KEY"].state == "missing"
    others = checks["other provider keys"].found.removeprefix("not set: ").split(", ")
    assert "ANTHROPIC_API_KEY" in others
    assert "OPENAI_API_KEY" not in others


def test_a_broken_targets_file_is_a_line_and_no_crash(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "targets.yaml").write_text("targets:\n  - {kind: unheard-of}\n")
    checks = doctor.key_checks(open_workspace(root=tmp_path), {})
    assert checks[0].name == "targets.yaml"
    assert checks[0].state == "warning"


@pytest.mark.usefixtures("fit")
def test_a_narrow_terminal_loses_no_word(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a rather long explanation of what was found on this machine"
    gap = Check("some check", "warning", text, "do this and then that")
    monkeypatch.setattr(doctor, "engine_checks", lambda: [gap])
    wide = _run(COLUMNS="200").stdout.split()
    narrow = _run(COLUMNS="40").stdout
    assert max(map(len, narrow.splitlines())) <= 40
    assert set(text.split()) <= set(narrow.split()) & set(wide)
