"""Every scenario and target that comes with the package: it loads, plans, and explains itself."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from genai_prices import Usage, calc_price

from observatory.core.scenario import Scenario
from observatory.core.workspace import Workspace, shipped
from observatory.endpoints.api import api_connection, missing_keys
from observatory.inputs.json_schemas import json_schema
from observatory.inputs.scenario_files import load_scenario
from observatory.inputs.target_files import TargetsFile, load_targets, read_targets
from observatory.providers.catalogue import PROVIDERS
from observatory.quality.scorers import reference_problem
from observatory.workload.planning import make_plan

FOLDER = shipped("scenarios")
NO_SCENARIOS = ("targets.yaml", "prices.example.yaml")
FILES = sorted(path for path in FOLDER.glob("*.yaml") if path.name not in NO_SCENARIOS)
NAMES = [path.stem for path in FILES]
ASKED_FOR = {
    "quickstart",
    "chat-steady",
    "rag-long-prompt",
    "classify-short",
    "summarise-batch",
    "code-completion",
    "engines",
    "quantisation",
    "prefix-cache",
    "sdk-cost",
    "engine-versions",
    "lora",
    "serve-or-buy",
    "closed-apis",
}
PAID = {"closed-apis"}
"""Those that need keys and spend money: their description states it, and they have a cap."""
FREE = [name for name in NAMES if name not in PAID]
SLOT_MARGIN = 60
"""Tokens that a template and the nonce may add to what the plan estimates."""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Workspace:
    return Workspace(root=tmp_path, results=tmp_path / "results")


def test_the_scenarios_of_real_use_are_there() -> None:
    assert set(NAMES) >= ASKED_FOR


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_scenario_loads_and_plans_from_anywhere(name: str, elsewhere: Workspace) -> None:
    loaded = load_scenario(name, elsewhere)
    plan = make_plan(loaded.scenario, loaded.path.parent)
    assert loaded.scenario.name == name
    assert loaded.scenario.description
    assert loaded.targets
    assert plan.items
    for item in plan.items:
        if item.expected is not None:
            assert reference_problem(item.scorer or "", item.expected, item.labels) is None


@pytest.mark.parametrize("name", FREE)
def test_a_shipped_scenario_fits_its_engines_context(name: str, elsewhere: Workspace) -> None:
    loaded = load_scenario(name, elsewhere)
    plan = make_plan(loaded.scenario, loaded.path.parent)
    longest = max(item.prompt_tokens_estimate + item.max_tokens for item in plan.items)
    contexts = [
        target.context if target.kind == "llamacpp" else target.max_model_len
        for target in loaded.targets
        if target.kind in ("llamacpp", "vllm")
    ]
    assert contexts or {target.kind for target in loaded.targets} == {"emulated"}
    assert all(context and longest + SLOT_MARGIN <= context for context in contexts)


@pytest.mark.parametrize("name", FREE)
def test_no_other_scenario_needs_a_key_or_spends_money(name: str, elsewhere: Workspace) -> None:
    kinds = {target.kind for target in load_scenario(name, elsewhere).targets}
    assert kinds <= {"llamacpp", "vllm", "emulated"}


@pytest.mark.parametrize("name", sorted(PAID))
def test_one_that_spends_money_has_a_cap_and_waits_when_it_is_told(
    name: str, elsewhere: Workspace
) -> None:
    loaded = load_scenario(name, elsewhere)
    scenario = loaded.scenario
    assert scenario.budget is not None
    assert scenario.budget.usd is not None and scenario.budget.usd <= 1
    assert scenario.throttling.policy == "obey"
    assert "needs their keys" in (scenario.description or "")
    assert {target.kind for target in loaded.targets} == {"api"}
    assert len({target.provider for target in loaded.targets if target.kind == "api"}) == 3
    known = {variable for line in missing_keys(loaded.targets, {}) for variable in line.split()}
    assert {"OPENAI_API_KEY,", "ANTHROPIC_API_KEY,", "GROQ_API_KEY,"} <= known


def test_every_provider_has_a_target_that_is_ready_for_its_key(elsewhere: Workspace) -> None:
    """With the bounds that keep a slip from flooding it, and a price."""
    targets = [target for target in load_targets(elsewhere).values() if target.kind == "api"]
    assert {target.provider for target in targets} == set(PROVIDERS)
    for target in targets:
        api_connection(target)
        assert target.max_rate and target.max_concurrency
        price = calc_price(
            Usage(input_tokens=1, output_tokens=1),
            target.model,
            provider_id=PROVIDERS[target.provider].prices_id,
        )
        assert price.total_price > 0


MATRICES = {
    "engines": (2, ("engine and weight_format change together: neither's effect is known",)),
    "quantisation": (4, ()),
    "prefix-cache": (2, ()),
    "sdk-cost": (2, ()),
    "engine-versions": (2, ()),
    "lora": (3, ()),
}


@pytest.mark.parametrize("name", MATRICES)
def test_a_shipped_matrix_varies_what_it_says_and_ends_in_minutes(
    name: str, elsewhere: Workspace
) -> None:
    loaded = load_scenario(name, elsewhere)
    design = loaded.design
    assert design is not None
    cells, confounded = MATRICES[name]
    assert (len(design.cells), design.confounded) == (cells, confounded)
    assert design.repeats >= 3  # two blocks give an interval of no use: Student's t is 12.7
    assert not design.together
    scenario = loaded.scenario
    timings = [scenario.timing_of(stage) for stage in range(len(scenario.stages))]
    assert all(timing.steady >= 30 for timing in timings)  # an energy figure needs 30 s
    seconds = sum(timing.warmup + timing.steady for timing in timings)
    assert seconds * len(design.turns) <= 10 * 60


def test_the_models_of_shipped_scenarios_are_in_the_catalogue(elsewhere: Workspace) -> None:
    from observatory.models.model_catalogue import MODELS

    for name in NAMES:
        for target in load_scenario(name, elsewhere).targets:
            if target.kind == "llamacpp":
                assert target.model in MODELS
            if target.kind == "vllm":
                wanted = [target.model, *(adapter.path for adapter in target.adapters)]
                assert set(wanted) <= set(MODELS)


@pytest.mark.parametrize("path", [*FILES, FOLDER / "targets.yaml"], ids=lambda path: path.stem)
def test_a_shipped_file_explains_itself_and_names_its_schema(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    comment = re.match(r"(?:#.*\n)+", text)
    assert comment is not None
    assert len(comment[0]) > 300
    modeline = re.match(r"# yaml-language-server: \$schema=(\S+)\n", text)
    assert modeline is not None
    schema = json.loads((path.parent / modeline[1]).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(text), schema)


@pytest.mark.parametrize(
    ("model", "name"), [(Scenario, "scenario.schema.json"), (TargetsFile, "targets.schema.json")]
)
def test_the_schemas_are_those_of_the_code(model: type, name: str) -> None:
    written = (FOLDER / name).read_text(encoding="utf-8")
    assert written == json_schema(model), (
        "write it again: observatory scenario schema --out scenarios/scenario.schema.json, "
        "and with --targets --out scenarios/targets.schema.json"
    )


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    schema = json.loads((FOLDER / "scenario.schema.json").read_text(encoding="utf-8"))
    good = yaml.safe_load((FOLDER / "quickstart.yaml").read_text(encoding="utf-8"))
    wrong = [
        {**good, "stagess": []},
        {**good, "timing": {"steady": "30 seconds"}},
        {**good, "timing": {"steady": 30}},
        {**good, "stages": [{"rate": "2/ms"}]},
        {**good, "workload": {**good["workload"], "cache": "hot"}},
        {key: value for key, value in good.items() if key != "workload"},
    ]
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(good)
    assert [validator.is_valid(bad) for bad in wrong] == [False] * len(wrong)


def test_the_shipped_targets_cover_every_kind_and_hold_no_key(elsewhere: Workspace) -> None:
    targets = load_targets(elsewhere)
    assert {target.kind for target in targets.values()} == {
        "llamacpp",
        "vllm",
        "emulated",
        "url",
        "api",
    }
    assert targets == read_targets(FOLDER / "targets.yaml")
    assert "sk-" not in (FOLDER / "targets.yaml").read_text(encoding="utf-8")


def test_example_prices_say_that_they_are_examples(elsewhere: Workspace) -> None:
    for target in load_targets(elsewhere).values():
        for money in (getattr(target, "rate", None), getattr(target, "price", None)):
            if money is not None:
                assert money.basis == "example"
                assert "stand-in" in money.source


def test_the_quickstart_is_what_the_readme_promises(elsewhere: Workspace) -> None:
    loaded = load_scenario("quickstart", elsewhere)
    scenario = loaded.scenario
    assert [target.name for target in loaded.targets] == ["smollm2-llamacpp", "emulated-api"]
    assert [stage.concurrency for stage in scenario.stages] == [1, 4]
    times = [scenario.timing_of(stage) for stage in range(2)]
    assert all(timing.steady >= 30 for timing in times)
    # Four minutes, of which starting, sealing and building the site take 15 to 20 s.
    assert sum(t.warmup + t.steady + t.drain for t in times) * 2 <= 220
    assert not scenario.store_text
    assert scenario.slo is not None
