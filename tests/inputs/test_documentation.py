"""The examples in the documentation are read by the code, and no key goes unmentioned."""

import re
from pathlib import Path

import pytest
import yaml

from observatory.core.scenario import Scenario
from observatory.core.workspace import Workspace
from observatory.inputs.scenario_files import load_scenario
from observatory.inputs.target_files import TargetsFile, read_targets
from observatory.workload.planning import make_plan
from observatory.workload.rows import Row

DOCS = Path(__file__).resolve().parents[2] / "docs"
KEY_PAGES = ("scenarios.md", "workloads.md", "emulator.md")


def _examples(page: str, language: str) -> list[str]:
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (rows,) = _examples("workloads.md", "jsonl")
    (tmp_path / "tickets.jsonl").write_text(rows)
    return tmp_path


def test_the_example_scenario_loads_and_plans(folder: Path) -> None:
    text, *_ = _examples("scenarios.md", "yaml")
    (folder / "support-bot.yaml").write_text(text)
    workspace = Workspace(root=folder, results=folder)
    loaded = load_scenario(str(folder / "support-bot.yaml"), workspace)
    plan = make_plan(loaded.scenario, folder)
    assert [target.name for target in loaded.targets] == ["team-vllm", "canary-vllm"]
    assert len(plan.items) == 4
    assert [item.sensitive for item in plan.items] == [False, False, False, True]
    assert [item.scorer for item in plan.items] == ["exact", "label", None, None]


def test_the_example_matrices_expand(folder: Path) -> None:
    _, factorial, one_by_one, _ = _examples("scenarios.md", "yaml")
    head = (
        "name: m\nworkload: {kind: tasks, tasks: [support-tickets]}\n"
        "arrivals: {kind: closed}\nstages: [{concurrency: 1}]\n"
    )
    workspace = Workspace(root=folder, results=folder)
    found = []
    for text in (factorial, one_by_one):
        (folder / "m.yaml").write_text(head + text)
        design = load_scenario(str(folder / "m.yaml"), workspace).design
        assert design is not None
        found.append(design)
    assert [len(design.cells) for design in found] == [4, 2]
    assert found[0].cells[-1].target.name == "smollm2-llamacpp.parallel-4.threads-2"
    assert (found[0].repeats, found[0].confounded) == (3, ())
    assert found[1].confounded == (
        "engine and weight_format change together: neither's effect is known",
    )


def test_the_example_targets_load(folder: Path) -> None:
    *_, text = _examples("scenarios.md", "yaml")
    (folder / "targets.yaml").write_text(text)
    assert set(read_targets(folder / "targets.yaml")) == {"local-qwen", "gateway"}


def test_the_example_engines_load(folder: Path) -> None:
    whole = [text for text in _examples("engines.md", "yaml") if text.startswith("targets:")]
    names = []
    for text in whole:
        (folder / "targets.yaml").write_text(text)
        names += read_targets(folder / "targets.yaml")
    assert names == ["vllm-bf16", "team-sglang"]


def test_the_example_lengths_plan(folder: Path) -> None:
    (text,) = _examples("workloads.md", "yaml")
    scenario = {
        "name": "lengths",
        "arrivals": {"kind": "closed"},
        "stages": [{"concurrency": 1}],
        **yaml.safe_load(text),
    }
    plan = make_plan(Scenario.model_validate(scenario), folder)
    assert len(plan.items) == 64
    assert all(50 <= item.max_tokens <= 150 for item in plan.items)


@pytest.mark.parametrize("model", [Scenario, TargetsFile, Row])
def test_every_key_is_documented(model: type[Row]) -> None:
    text = "".join((DOCS / page).read_text() for page in KEY_PAGES)
    schema = model.model_json_schema()
    parts = [schema, *schema.get("$defs", {}).values()]
    keys = {key for part in parts for key in part.get("properties", {})}
    documented = set(re.findall(r"`([a-z_0-9]+)`", text)) | {"targets"}
    assert keys - documented == set()


def test_the_named_limits_are_those_of_the_code() -> None:
    from observatory.workload.bodies import DEFAULT_MAX_TOKENS
    from observatory.workload.planning import MAX_OPEN_REQUESTS, MAX_TEXT_BYTES
    from observatory.workload.rows import MAX_ROWS

    workloads = (DOCS / "workloads.md").read_text()
    assert f"{MAX_ROWS:,} rows and {MAX_TEXT_BYTES >> 20} MiB" in workloads
    assert f"else {DEFAULT_MAX_TOKENS} |" in workloads
    assert f"{MAX_OPEN_REQUESTS:,} open-loop" in (DOCS / "scenarios.md").read_text()
