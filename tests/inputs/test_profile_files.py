"""Profiles as files: the shipped ones, a person's own, and how a target names one."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from observatory.core.emulation.profile import Profile
from observatory.core.errors import BadInput
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.workspace import Workspace, shipped
from observatory.inputs.profile_files import (
    DEFAULT_PROFILE,
    list_profiles,
    load_profile,
    read_profile,
)
from observatory.inputs.scenario_files import load_scenario
from observatory.inputs.target_files import read_targets

FILES = sorted((shipped("scenarios") / "profiles").glob("*.yaml"))
DOCS = Path(__file__).resolve().parents[2] / "docs" / "emulator.md"
NEEDED = {
    "steady", "chat-api", "long-tail", "knee", "throttled", "faulty", "reasoning", "drifting",
    "awkward", "fast-limited", "slow-generous", "flaky",
}  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "scenarios" / "profiles").mkdir(parents=True)
    return Workspace(root=tmp_path, results=tmp_path / "results")


def test_the_shipped_profiles_are_there_and_on_the_page() -> None:
    assert {path.stem for path in FILES} == NEEDED
    text = DOCS.read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in text for name in NEEDED)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_shipped_profile_loads_explains_itself_and_fits_its_schema(path: Path) -> None:
    profile = read_profile(path)
    assert profile.name == path.stem
    assert profile.description
    text = path.read_text(encoding="utf-8")
    first, *rest = text.splitlines()
    assert first == "# yaml-language-server: $schema=../profile.schema.json"
    assert sum(line.startswith("#") for line in rest) > 2
    schema = json.loads((shipped("scenarios") / "profile.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(text), schema)


def test_an_imitation_among_them_would_cite_its_source() -> None:
    """None imitates now; the model refuses one without figures, source and date."""
    assert all("imitates" not in yaml.safe_load(path.read_text()) for path in FILES)


def test_the_default_is_what_the_model_says_without_any_field(workspace: Workspace) -> None:
    default = load_profile(DEFAULT_PROFILE, workspace.scenarios)
    assert default.model_copy(update={"name": None, "description": None}) == Profile()


def test_a_persons_own_hides_the_shipped_one_and_a_bad_one_is_listed(workspace: Workspace) -> None:
    folder = workspace.root / "scenarios" / "profiles"
    (folder / "steady.yaml").write_text("ttft_median: 1ms\nttft_p95: 1ms\n")
    (folder / "bad.yaml").write_text("slotz: 3\n")
    listed = {entry.name: entry for entry in list_profiles(workspace)}
    assert set(listed) == NEEDED | {"bad"}
    assert listed["steady"].profile is not None
    assert (listed["steady"].profile.ttft_median, listed["steady"].profile.name) == (
        0.001,
        "steady",
    )
    assert listed["bad"].profile is None
    assert "did you mean 'slots'" in str(listed["bad"].error)


def test_an_unknown_name_and_a_missing_file_are_said(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="there is no profile 'stedy', did you mean 'steady'"):
        load_profile("stedy", workspace.scenarios)
    with pytest.raises(BadInput, match="there is no such profile file"):
        load_profile("./none.yaml", workspace.scenarios)


def test_targets_name_profiles_by_name_path_or_fields(workspace: Workspace) -> None:
    folder = workspace.root / "scenarios"
    (folder / "mine.yaml").write_text("slots: 2\n")
    (folder / "targets.yaml").write_text(
        "targets:\n"
        "  - {kind: emulated, name: emulated-a, profile: knee}\n"
        "  - {kind: emulated, name: emulated-b, profile: ./mine.yaml}\n"
        "  - {kind: emulated, name: emulated-c, profile: {slots: 5}}\n"
    )
    targets = read_targets(folder / "targets.yaml")
    profiles = {name: target.profile for name, target in targets.items()}  # type: ignore[union-attr]
    assert [(one.name, one.slots) for one in profiles.values()] == [
        ("knee", 8),
        ("mine", 2),
        (None, 5),
    ]


def test_a_scenario_that_names_no_such_profile_is_told_its_line(workspace: Workspace) -> None:
    path = workspace.root / "scenarios" / "one.yaml"
    path.write_text(
        "name: one\n"
        "workload: {kind: tasks, tasks: [support-tickets], max_tokens: 8}\n"
        "arrivals: {kind: closed}\n"
        "stages: [{concurrency: 1}]\n"
        "targets:\n"
        "  - {kind: emulated, name: emulated-a, profile: kneee}\n"
    )
    with pytest.raises(BadInput, match=r"one\.yaml:6: profile: there is no profile 'kneee'"):
        load_scenario(str(path), workspace)
    path.write_text(path.read_text().replace("kneee", "{slotz: 3}"))
    with pytest.raises(BadInput, match="unknown key 'slotz', did you mean 'slots'"):
        load_scenario(str(path), workspace)


def test_the_pages_example_targets_load(tmp_path: Path) -> None:
    example = DOCS.read_text(encoding="utf-8").split("```yaml\n")[1].split("```")[0]
    (tmp_path / "targets.yaml").write_text(example)
    targets = read_targets(tmp_path / "targets.yaml")
    assert all(isinstance(target, EmulatedTarget) for target in targets.values())
    assert all(isinstance(target.profile, Profile) for target in targets.values())  # type: ignore[union-attr]
