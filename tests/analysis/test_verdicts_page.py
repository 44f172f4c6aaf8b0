"""docs/verdicts.md agrees with the thresholds, has a section for every code, and its scenarios load."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from observatory.analysis.checks.thresholds import THRESHOLDS
from observatory.core.workspace import Workspace, shipped
from observatory.inputs.scenario_files import load_scenario
from observatory.workload.planning import make_plan

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "verdicts.md").read_text(encoding="utf-8")
SCENARIOS = sorted((shipped("scenarios") / "verdicts").glob("*.yaml"))
NO_CODE = {"clean", "held_back", "warm_cache"}
"""The control, and scenarios that show more than one code or a second face of one."""


@pytest.fixture(scope="module")
def provoke() -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "provoke_page", DOCS.parent / "tools" / "provoke.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["provoke_page"] = module
    spec.loader.exec_module(module)
    return module


def test_the_table_is_current(provoke: ModuleType) -> None:
    assert provoke.filled(PAGE) == PAGE, "run python tools/provoke.py --page docs/verdicts.md"


def test_every_code_has_a_provocation_and_a_section(provoke: ModuleType) -> None:
    assert list(provoke.PROVOCATIONS) == list(THRESHOLDS)
    sections = re.findall(r"^### `(\w+)`\n(\S.+)", PAGE, re.MULTILINE)
    assert {code for code, _ in sections} == set(THRESHOLDS)
    assert len(sections) == len(THRESHOLDS)


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_of_a_verdict_loads_plans_and_costs_nothing(path: Path, tmp_path: Path) -> None:
    loaded = load_scenario(str(path), Workspace(root=tmp_path, results=tmp_path / "results"))
    assert make_plan(loaded.scenario, path.parent).items
    assert loaded.scenario.name == path.stem.replace("_", "-")
    assert [target.kind for target in loaded.targets] == ["emulated"]
    timing = loaded.scenario.timing
    assert timing.warmup + timing.steady + timing.drain < 60


def test_every_scenario_is_used(provoke: ModuleType) -> None:
    used = {provocation.scenario for provocation in provoke.PROVOCATIONS.values()}
    assert {path.stem for path in SCENARIOS} == used | NO_CODE
