"""A matrix remembers what it has done, and what is missing is exactly the rest."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from observatory.core.errors import BadInput
from observatory.core.plan import Plan
from observatory.core.workspace import Workspace
from observatory.inputs.matrix import turns_of
from observatory.inputs.scenario_files import LoadedScenario, load_scenario
from observatory.runner import campaign
from observatory.runner.campaign_execution import RunRequest
from observatory.runner.campaign_pace import CampaignPace
from observatory.runner.matrix_schedule import CampaignLog, find_campaign, new_campaign_log, resumed
from observatory.runner.progress import StageProgress
from observatory.store.folder.campaigns import (
    CAMPAIGN_FORMAT,
    CAMPAIGN_NAME,
    CampaignFile,
    PlannedCell,
    PlannedTurn,
    StartedRun,
    missing,
    read_campaign,
    unfinished_campaigns,
)
from observatory.store.folder.run_lock import hold_lock
from observatory.workload.planning import make_plan

SCENARIO = """\
name: sweep
workload: {kind: tasks, tasks: [support-tickets], items: 4}
arrivals: {kind: closed}
stages: [{concurrency: 1}, {concurrency: 2}]
timing: {warmup: 1s, steady: 4s, drain: 1s}
matrix:
  base: {kind: llamacpp, name: a}
  vary: {parallel: [1, 2]}
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "scenarios").mkdir()
    return Workspace(root=tmp_path, results=tmp_path / "results")


def _load(workspace: Workspace, text: str = SCENARIO, **given: Any) -> tuple[LoadedScenario, Plan]:
    (workspace.root / "scenarios" / "sweep.yaml").write_text(text)
    loaded = load_scenario("sweep", workspace, **given)
    return loaded, make_plan(loaded.scenario, loaded.path.parent)


def _begun(workspace: Workspace, name: str = "c1") -> CampaignLog:
    loaded, plan = _load(workspace)
    assert loaded.design is not None
    return new_campaign_log(
        workspace, name, loaded.scenario, plan, loaded.design, "sweep", {"seed": 1}
    )


STATES = ("complete", "budget_reached", "crashed", "interrupted", "running", None)


@given(
    st.integers(1, 4).flatmap(
        lambda cells: st.tuples(
            st.just(cells),
            st.lists(
                st.lists(st.sampled_from(STATES), min_size=cells, max_size=cells),
                min_size=1,
                max_size=3,
            ),
        )
    ),
    st.booleans(),
)
def test_what_is_missing_is_what_no_run_has_done(
    drawn: tuple[int, list[list[Any]]], together: bool
) -> None:
    cells, states = drawn
    turns = list(turns_of(cells, len(states), 7, together=together))
    runs = [
        StartedRun(number, cell, f"r{number}-{cell}", states[turn.block][cell])
        for number, turn in enumerate(turns)
        for cell in turn.cells
        if states[turn.block][cell] is not None
    ]
    file = CampaignFile(
        CAMPAIGN_FORMAT,
        "c",
        "s",
        "s",
        "",
        {},
        [PlannedCell(f"t{cell}", {}) for cell in range(cells)],
        [PlannedTurn(turn.block, list(turn.cells)) for turn in turns],
        len(states),
        "randomised",
        7,
        runs=runs,
    )
    left = {
        (turns[number].block, cell) for number, scheduled in missing(file) for cell in scheduled
    }
    assert left == {
        (block, cell)
        for block, row in enumerate(states)
        for cell, state in enumerate(row)
        if state not in ("complete", "budget_reached")
    }
    assert [number for number, _ in missing(file)] == sorted(number for number, _ in missing(file))


def test_a_diary_is_on_disk_from_its_first_line(workspace: Workspace) -> None:
    campaign_log = _begun(workspace)
    campaign_log.begun(0, 1, "run-of-0")
    file = read_campaign(workspace.campaigns / "c1")
    assert file == campaign_log.file
    assert file.runs == [StartedRun(0, 1, "run-of-0")]
    assert [cell.factors for cell in file.cells] == [{"parallel": 1}, {"parallel": 2}]
    assert sorted(cell for turn in file.turns for cell in turn.cells) == [0, 0, 1, 1]
    assert file.options == {"seed": 1}


def test_a_run_whose_folder_is_gone_is_missing_again(workspace: Workspace) -> None:
    campaign_log = _begun(workspace)
    campaign_log.begun(0, campaign_log.file.turns[0].cells[0], "deleted")
    loaded, plan = _load(workspace)
    assert loaded.design is not None
    again = resumed(workspace, campaign_log.file, loaded.scenario, plan, loaded.design)
    assert len(again.schedule()) == 4


CHANGES = {
    "timing": ("steady: 4s", "steady: 5s"),
    "workload, requests": ("items: 4", "items: 5"),
    "stages": ("{concurrency: 2}", "{concurrency: 3}"),
    "cell a.parallel-2, cell a.parallel-3": ("[1, 2]", "[1, 3]"),
    "cell a.parallel-1, cell a.parallel-2": ("name: a}", "name: a, threads: 1}"),
    "order": ("matrix:\n", "matrix:\n  repeats: 4\n"),
    "processes": ("name: sweep\n", "name: sweep\nprocesses: 2\n"),
}


@pytest.mark.parametrize("named", CHANGES)
def test_what_changed_since_is_named(workspace: Workspace, named: str) -> None:
    file = _begun(workspace).file
    loaded, plan = _load(workspace, SCENARIO.replace(*CHANGES[named]))
    assert loaded.design is not None
    with pytest.raises(BadInput, match="changed") as caught:
        resumed(workspace, file, loaded.scenario, plan, loaded.design)
    for part in named.split(", "):
        assert part in str(caught.value)


def test_another_seed_or_base_is_another_campaign(workspace: Workspace) -> None:
    file = _begun(workspace).file
    for otherwise in ({"seed": 9}, {"base": "smollm2-llamacpp"}):
        loaded, plan = _load(workspace, **otherwise)
        assert loaded.design is not None
        with pytest.raises(BadInput, match="is not what it was"):
            resumed(workspace, file, loaded.scenario, plan, loaded.design)


def test_a_description_may_change(workspace: Workspace) -> None:
    file = _begun(workspace).file
    loaded, plan = _load(workspace, SCENARIO + "description: Now with words.\n")
    assert loaded.design is not None
    assert len(resumed(workspace, file, loaded.scenario, plan, loaded.design).schedule()) == 4


def test_campaigns_are_found_by_id_or_as_the_last_one(workspace: Workspace) -> None:
    with pytest.raises(BadInput, match="no unfinished campaign"):
        find_campaign(workspace, "sweep", "last")
    _begun(workspace, "c1")
    _begun(workspace, "c2")
    assert find_campaign(workspace, "sweep", "last").campaign_id == "c2"
    assert find_campaign(workspace, "sweep", "c1").campaign_id == "c1"
    for wanted in ("c3", "../runs", "a/b"):
        with pytest.raises(BadInput):
            find_campaign(workspace, "sweep", wanted)
    with pytest.raises(BadInput, match="is of scenario sweep, not of other"):
        find_campaign(workspace, "other", "c1")


def test_one_that_is_being_run_and_one_that_cannot_be_read_are_not_offered(
    workspace: Workspace,
) -> None:
    for name in ("c1", "c2", "c3"):
        _begun(workspace, name)
    (workspace.campaigns / "c2" / CAMPAIGN_NAME).write_text("{")
    with hold_lock(workspace.campaigns / "c3"):
        assert [file.campaign_id for file in unfinished_campaigns(workspace)] == ["c1"]


def test_a_newer_campaign_file_is_refused_by_its_number(workspace: Workspace) -> None:
    _begun(workspace, "c1")
    path = workspace.campaigns / "c1" / CAMPAIGN_NAME
    path.write_text(path.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(BadInput, match="campaign format 2 is not read by this version"):
        read_campaign(path.parent)


def test_what_is_left_counts_the_stages_and_what_stood_beside_them(workspace: Workspace) -> None:
    campaign_log = _begun(workspace)
    _, plan = _load(workspace)
    pace = CampaignPace(plan, campaign_log.schedule())
    assert pace.later_s(0) == 3 * 10
    assert pace.later_s(3) == 0
    pace.sat(0)  # at once: less than its stages, so that nothing is added
    assert pace.later_s(1) == 2 * 10


class _Lines:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def report(self, text: str) -> None:
        self.lines.append(text)

    def stage_execution(self, progress: StageProgress) -> None:
        raise AssertionError("nothing is loaded")


def test_lost_engines_are_ended_before_what_they_hold_is_asked_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port or a GPU that such an engine holds would be refused as taken."""
    monkeypatch.setattr(campaign, "end_lost_engines", lambda: ["ended what was left"])
    loaded, _ = _load(workspace)
    outcome = _Lines()
    with pytest.raises(BadInput, match="names no target"):
        campaign.run_campaign(workspace, RunRequest(loaded.scenario, workspace.root, []), outcome)
    assert outcome.lines == ["ended what was left"]
