"""A matrix end to end: turns, blocks, a cell that fails, an end in the middle, and going on after it."""

import json
import signal
from typing import Any

import pytest

from tests.live.harness import (
    MEASURED,
    PATIENCE_S,
    Workspace,
    descendants,
    gone,
    wait_until,
)

pytestmark = pytest.mark.live

MATRIX = """
name: sweep
seed: 3
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 2}}]
timing: {{warmup: 500ms, steady: {steady}, drain: 30s}}
telemetry: {{interval: 500ms, codecarbon: false}}
matrix:
{matrix}
"""
EMULATED = """\
  base:
    kind: emulated
    name: emulated-a
    profile: {ttft_median: 20ms, ttft_p95: 60ms, inter_token_median: 2ms, inter_token_p95: 3ms}
  vary:
    profile.ttft_median: [10ms, 40ms]
    profile.ttft_p95: [50ms, 60ms]
"""
LLAMA = """\
  base: {kind: llamacpp, name: llama, context: 512, threads: 1}
  vary:
    parallel: [1, 2]
"""


def write(workspace: Workspace, matrix: str, steady: str = "2s") -> str:
    workspace.write("sweep", MATRIX.format(matrix=matrix, steady=steady))
    return "sweep"


def manifests(workspace: Workspace) -> list[dict[str, Any]]:
    found = [
        json.loads((folder / "manifest.json").read_text())
        for folder in workspace.run_folders()
        if (folder / "manifest.json").is_file()
    ]
    return sorted(found, key=lambda manifest: manifest["anchor"]["realtime_ns"])


def done(workspace: Workspace) -> list[dict[str, Any]]:
    return [each for each in manifests(workspace) if each["status"] == "complete"]


def campaign_files(workspace: Workspace) -> list[dict[str, Any]]:
    paths = workspace.results.glob("campaigns/*/campaign.json")
    return [json.loads(path.read_text()) for path in paths]


def test_real_engines_take_turns_in_blocks_and_are_one_comparison(workspace: Workspace) -> None:
    out = workspace.measure(write(workspace, LLAMA))
    found = manifests(workspace)
    assert [each["status"] for each in found] == ["complete"] * 4
    assert len({each["campaign_id"] for each in found}) == 1
    assert [each["turn"] for each in found] == [0, 1, 2, 3]
    assert [each["block"] for each in found] == [0, 0, 1, 1]
    for block in (found[:2], found[2:]):
        assert sorted(each["cell"] for each in block) == [0, 1]
    assert {each["factors"]["parallel"] for each in found} == {1, 2}
    assert all(each["confounded"] == [] for each in found)
    # One at a time: each run's load ended before the next run's engine was started.
    ends = [each["anchor"]["realtime_ns"] + each["stages"][-1]["ended"] for each in found]
    starts = [each["anchor"]["realtime_ns"] for each in found]
    assert all(end < start for end, start in zip(ends, starts[1:], strict=False))
    rows = workspace.sql(
        "select target, blocks, left_out, output_tps, output_tps_blocks, output_tps_change, "
        "output_tps_change_low from matrix_comparison order by cell"
    )
    assert [row["target"] for row in rows] == ["llama.parallel-1", "llama.parallel-2"]
    assert all(row["blocks"] + row["left_out"] == 2 for row in rows)
    assert "parallel" in out
    assert campaign_files(workspace) == []
    samples = workspace.sql(
        "select run_id, count(*) as n from samples where device like 'engine:%' group by all"
    )
    assert len(samples) == 4


def test_a_killed_matrix_goes_on_with_exactly_what_is_missing(workspace: Workspace) -> None:
    name = write(workspace, EMULATED)
    child = workspace.start("run", name)
    wait_until(lambda: len(done(workspace)) >= 2, "two sealed cells")
    wait_until(lambda: len(manifests(workspace)) > 2, "the third cell")
    family = descendants(child.pid)
    child.kill()
    child.communicate(timeout=PATIENCE_S)
    wait_until(lambda: gone(family), "the end of every orphan")
    before = {each["run_id"]: each["status"] for each in manifests(workspace)}
    kept = {run_id for run_id, status in before.items() if status == "complete"}
    (file,) = campaign_files(workspace)
    listed = workspace.run("runs", "list")
    assert f"observatory run sweep --resume {file['campaign_id']}" in listed

    workspace.run("run", name, "--resume", "last", code=MEASURED)
    after = manifests(workspace)
    assert {each["campaign_id"] for each in after} == {file["campaign_id"]}
    complete = [each for each in after if each["status"] == "complete"]
    assert sorted((each["turn"], each["cell"]) for each in complete) == sorted(
        (number, cell) for number, turn in enumerate(file["turns"]) for cell in turn["cells"]
    )
    assert kept <= {each["run_id"] for each in complete}
    crashed = [each for each in after if each["status"] == "crashed"]
    assert len(crashed) == len(before) - len(kept)
    assert campaign_files(workspace) == []
    rows = workspace.sql("select blocks, left_out from matrix_comparison order by cell")
    assert all(row["blocks"] <= 2 for row in rows)
    assert sum(row["blocks"] + row["left_out"] for row in rows) == len(after)
    assert "no unfinished campaign" in workspace.run("run", name, "--resume", "last", code=2)


def test_ctrl_c_ends_in_order_and_a_changed_scenario_is_not_gone_on_with(
    workspace: Workspace,
) -> None:
    name = write(workspace, EMULATED, steady="4s")
    child = workspace.start("run", name)
    wait_until(lambda: len(done(workspace)) >= 1, "a sealed cell")
    wait_until(lambda: len(manifests(workspace)) > 1, "the second cell")
    family = descendants(child.pid)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130, out + err
    wait_until(lambda: gone(family), "the end of every child")
    (file,) = campaign_files(workspace)
    assert f"--resume {file['campaign_id']}" in out + err
    assert all(each["sealed"] for each in manifests(workspace))
    write(workspace, EMULATED, steady="5s")
    refused = workspace.run("run", name, "--resume", file["campaign_id"], code=2)
    assert "timing" in refused
    assert "put it back as it was" in refused
    write(workspace, EMULATED.replace("40ms", "45ms"), steady="4s")
    assert "cell emulated-a" in workspace.run("run", name, "--resume", "last", code=2)
    assert len(campaign_files(workspace)) == 1


@pytest.mark.parametrize("together", ["true", "false"])
def test_a_cell_that_does_not_come_up_is_kept_as_such_and_the_others_are_measured(
    workspace: Workspace, together: str
) -> None:
    good = "{kind: emulated, name: emulated-a, profile: {ttft_median: 20ms, ttft_p95: 30ms}}"
    bad = "{kind: url, name: nobody, url: 'http://127.0.0.1:9/v1', model: none}"
    cells = f"  cells: [{{target: {bad}}}, {{target: {good}}}]\n"
    write(workspace, f"  repeats: 1\n  together: {together}\n{cells}")
    out = workspace.run("run", "sweep", code=4)
    status = {each["target"]["name"]: each["status"] for each in manifests(workspace)}
    assert status == {"nobody": "crashed", "emulated-a": "complete"}
    assert "nobody" in out
    (file,) = campaign_files(workspace)
    assert {run["status"] for run in file["runs"]} == {"crashed", "complete"}
    rows = workspace.sql("select target, blocks, note from matrix_comparison order by cell")
    assert (rows[0]["blocks"], rows[0]["note"]) == (0, "no sound run")


def test_cells_up_together_share_their_stages(workspace: Workspace) -> None:
    matrix = EMULATED.replace("    profile.ttft_p95: [50ms, 60ms]\n", "") + "  together: true\n"
    workspace.measure(write(workspace, matrix))
    found = manifests(workspace)
    assert len(found) == 4
    assert [each["turn"] for each in found] == [0, 0, 1, 1]
    anchors = [each["anchor"]["realtime_ns"] for each in found]
    assert anchors[0] == anchors[1] != anchors[2] == anchors[3]


def test_every_cell_is_checked_before_the_first_one_starts(workspace: Workspace) -> None:
    paid = (
        "{kind: url, name: paid, url: 'http://127.0.0.1:9/v1', model: m, billing: tokens, "
        "price: {input_per_million_usd: 1, output_per_million_usd: 1, source: x}}"
    )
    free = "{kind: emulated, name: emulated-a}"
    write(workspace, f"  cells: [{{target: {free}}}, {{target: {paid}}}]\n")
    output = workspace.run("run", "sweep", code=2)
    assert "target paid is billed by tokens and the scenario has no budget" in output
    assert workspace.run_folders() == []
    assert campaign_files(workspace) == []


def test_a_resumed_cell_has_what_its_killed_run_left_of_the_cap(workspace: Workspace) -> None:
    matrix = EMULATED.replace("    profile.ttft_median: [10ms, 40ms]\n", "") + "  repeats: 1\n"
    workspace.write(
        "sweep", MATRIX.format(matrix=matrix, steady="20s") + "budget: {requests: 60}\n"
    )
    child = workspace.start("run", "sweep")
    wait_until(
        lambda: any(
            file.stat().st_size > 2000 for file in workspace.results.rglob("worker-*.requests")
        ),
        "some requests",
    )
    child.kill()
    child.communicate(timeout=60)
    workspace.run("run", "sweep", "--resume", "last", code=(3, 7))
    by_cell: dict[int, int] = {}
    for manifest in manifests(workspace):
        issued = sum(stage["issued"] for stage in manifest["stages"])
        by_cell[manifest["cell"]] = by_cell.get(manifest["cell"], 0) + issued
    crashed, *_ = manifests(workspace)
    assert crashed["status"] == "crashed"
    assert crashed["spent"]["requests"] == crashed["stages"][0]["issued"] > 0
    assert by_cell == {0: 60, 1: 60}
