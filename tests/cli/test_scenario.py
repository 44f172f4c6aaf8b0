"""`observatory scenario`: what each verb prints and how it ends."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from observatory.cli.setup.scenario import app
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import shipped

SCENARIO = """\
name: mine
workload: {kind: file, path: mine.jsonl, cache: warm}
arrivals: {kind: constant}
stages: [{rate: 2/s}]
timing: {warmup: 1s, steady: 4s}
targets: [emulated-api]
"""


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "mine.yaml").write_text(SCENARIO)
    (folder / "mine.jsonl").write_text('{"prompt": "a", "expected": 4}\n{"prompt": "b"}\n')
    monkeypatch.chdir(tmp_path)
    return folder


def _call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def _printed(*arguments: str) -> str:
    result = _call(*arguments)
    assert result.exit_code == 0, result.exception
    return result.stdout


def _json(*arguments: str) -> Any:
    return json.loads(_printed(*arguments, "--json"))


def test_list_names_own_and_shipped_scenarios() -> None:
    names = [entry["name"] for entry in _json("list")]
    assert "mine" in names
    assert "quickstart" in names
    assert "mine" in _printed("list")


def test_list_shows_what_is_broken(workspace: Path) -> None:
    (workspace / "broken.yaml").write_text("name: x\n")
    (entry,) = [entry for entry in _json("list") if entry["name"] == "broken"]
    assert "scenarios/broken.yaml:1: workload: is missing" in entry["error"]
    assert "cannot be read" in _printed("list")


def test_show_resolves_defaults_and_targets() -> None:
    shown = _json("show", "mine")
    assert shown["targets"][0]["kind"] == "emulated"
    assert shown["timing"] == {"warmup": "1s", "steady": "4s", "drain": "30s"}
    text = _printed("show", "mine")
    assert "2 requests/s, constant" in text
    assert "emulated-api" in text


def test_what_show_prints_is_a_scenario_again(workspace: Path) -> None:
    (workspace / "again.yaml").write_text(_printed("show", "mine", "--json"))
    assert _json("show", "again") == _json("show", "mine")


def test_check_reads_the_dataset_too(workspace: Path) -> None:
    assert "mine: fine; items: 2, stages: 2, targets: 1" in _printed("check", "mine")
    (workspace / "mine.jsonl").write_text('{"promt": "a"}\n')
    result = _call("check", "mine")
    assert isinstance(result.exception, BadInput)
    assert "scenarios/mine.jsonl:1: promt: unknown key" in str(result.exception)


def test_check_tells_the_errors_of_all_files_and_the_good_ones(workspace: Path) -> None:
    (workspace / "a.yaml").write_text("name: x\nname: y\n")
    (workspace / "targets.yaml").write_text("targets: [{name: x}]\n")
    result = _call("check", "scenarios/a.yaml", "mine", "scenarios/targets.yaml")
    assert isinstance(result.exception, BadInput)
    message = str(result.exception)
    assert "scenarios/a.yaml:2: 'name' is written twice" in message
    assert "scenarios/targets.yaml:1: targets[0]: 'kind' is missing" in message


def test_check_without_arguments_covers_the_workspace() -> None:
    printed = _printed("check")
    assert str(shipped("scenarios") / "quickstart.yaml") in printed
    assert "targets.yaml: fine; targets: " in printed


def test_check_refuses_an_answer_that_its_scorer_cannot_use(workspace: Path) -> None:
    row = '{"id": "q", "prompt": "a", "expected": "four", "scorer": "number"}\n'
    (workspace / "mine.jsonl").write_text(row)
    result = _call("check", "mine")
    assert isinstance(result.exception, BadInput)
    assert "scenario mine: expected answers that cannot be scored: q: 'four'" in str(
        result.exception
    )


def test_check_refuses_more_than_a_target_allows(workspace: Path) -> None:
    target = "{name: emulated-slow, kind: emulated, max_rate: 1/s}"
    (workspace / "mine.yaml").write_text(SCENARIO.replace("[emulated-api]", f"[{target}]"))
    result = _call("check", "mine")
    assert isinstance(result.exception, BadInput)
    assert "target emulated-slow allows 1 (max_rate)" in str(result.exception)


def test_plan_shows_stages_tokens_offsets_and_the_hash() -> None:
    facts = _json("plan", "mine")
    prime, stage = facts["stages"]
    assert (prime["kind"], prime["requests"], prime["max_output_tokens"]) == ("prime", 2, 2)
    assert (stage["requests"], stage["level"]) == (10, "2 requests/s, constant")
    assert stage["first_offsets_s"] == [0.0, 0.5, 1.0, 1.5, 2.0]
    assert (facts["items"], facts["scored_items"]) == (2, 1)
    assert len(facts["plan_sha256"]) == 64
    text = _printed("plan", "mine")
    assert facts["plan_sha256"] in text
    assert "stage 2 sends at 0.000, 0.500, 1.000" in text


def test_another_seed_is_another_plan() -> None:
    assert _json("plan", "mine") == _json("plan", "mine", "--seed", "1")
    other = _json("plan", "mine", "--seed", "2")
    assert other["plan_sha256"] != _json("plan", "mine")["plan_sha256"]


def test_schema_goes_to_a_file_or_the_terminal(tmp_path: Path) -> None:
    out = tmp_path / "schema.json"
    assert _printed("schema", "--out", str(out)) == ""
    assert out.read_text() == _printed("schema")
    assert out.read_text() == (shipped("scenarios") / "scenario.schema.json").read_text()
    targets = (shipped("scenarios") / "targets.schema.json").read_text()
    assert _printed("schema", "--targets") == targets
    failed = _call("schema", "--out", str(tmp_path / "nowhere" / "x.json")).exception
    assert isinstance(failed, EnvironmentFailed)


@pytest.mark.parametrize("verb", ["list", "show", "check", "schema", "plan"])
def test_every_verbs_help_ends_with_an_example(verb: str) -> None:
    assert f"Example: observatory scenario {verb}" in _printed(verb, "--help")
