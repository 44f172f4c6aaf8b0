"""The main job end to end on emulated targets: what is recorded, compared, published, kept secret."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.harness import (
    EMULATED,
    MEASURED,
    PATIENCE_S,
    Workspace,
)

pytestmark = pytest.mark.live


def test_a_run_records_every_request_once(bare: Workspace) -> None:
    workspace = bare
    workspace.emulated(steady="4s", users=(1, 3))
    out = workspace.measure("short")
    assert "(emulated)" in out
    (row,) = workspace.sql(
        'select target, count(*) as n, quantile_cont(ttft_s, .5) as "p50" '
        "from request_metrics group by all"
    )
    assert row["target"] == "emulated-a"
    assert row["p50"] > 0.015
    assert row["p50"] < 0.2 or workspace.starved()
    stages = workspace.sql("select stage, issued, recorded from stages order by stage")
    assert [stage["stage"] for stage in stages] == [0, 1]
    assert all(stage["issued"] == stage["recorded"] > 0 for stage in stages)
    assert sum(stage["recorded"] for stage in stages) == row["n"]
    (folder,) = workspace.run_folders()
    assert not (folder / "journal").exists()
    assert set(workspace.manifest()["sealed"]) >= {"requests.parquet", "attempts.parquet"}


def test_open_loop_keeps_its_plan_and_the_seed_repeats_it(workspace: Workspace) -> None:
    text = EMULATED.format(name="open", steady="3s", stages="  - rate: 20/s")
    workspace.write("open", text.replace("{kind: closed}", "{kind: poisson}"))
    workspace.measure("open")
    workspace.measure("open")
    (row,) = workspace.sql(
        "select count(distinct plan_sha256) as plans, count(distinct comparison_key) as keys, "
        "count(*) as runs from runs"
    )
    assert (row["plans"], row["keys"], row["runs"]) == (1, 1, 2)
    stages = workspace.sql("select planned, issued, not_issued, recorded from stages")
    for stage in stages:
        assert stage["planned"] == stage["issued"] + stage["not_issued"] == stage["recorded"]
    (differing,) = workspace.sql(
        "select count(*) as n from (select stage, request, prompt_id from requests "
        "group by all having count(*) <> 2)"
    )
    assert differing["n"] == 0
    (spread,) = workspace.sql(
        "select max(apart) as worst from (select max(r.scheduled_ns - s.started_ns) "
        "- min(r.scheduled_ns - s.started_ns) as apart from requests r "
        "join stages s using (run_id, stage) group by r.request)"
    )
    assert spread["worst"] == 0


def test_a_campaign_interleaves_and_compares_and_publishes(workspace: Workspace) -> None:
    text = EMULATED.format(
        name="pair", steady="3s", stages="  - concurrency: 1\n  - concurrency: 2"
    )
    second = text.split("targets:\n")[1].replace("emulated-a", "emulated-b")
    workspace.write("pair", text + second)
    out = workspace.measure("pair", "--publish", "--json")
    facts = json.loads(out)
    assert {run["target"] for run in facts["runs"]} == {"emulated-a", "emulated-b"}
    order = workspace.sql(
        "select target, stage from stages join runs using (run_id) order by started_ns"
    )
    assert [row["target"][-1] for row in order] == ["a", "b", "b", "a"]
    (same,) = workspace.sql(
        "select count(distinct comparison_key) as keys, count(distinct anchor_unix_ns) as anchors "
        "from runs"
    )
    assert (same["keys"], same["anchors"]) == (1, 1)
    compared = workspace.sql("select distinct target, stage from target_comparison")
    usable = {run["target"] for run in facts["runs"] if run["verdict"] != "invalid"}
    assert {(row["target"], row["stage"]) for row in compared} == {
        (target, stage) for target in usable for stage in (0, 1)
    }
    assert Path(facts["site"], "index.html").is_file()


def test_a_reached_budget_ends_the_run_sealed(workspace: Workspace) -> None:
    workspace.emulated(steady="20s")
    text = workspace.run("run", "short", "--budget-requests", "7", code=7)
    assert "budget" in text
    facts = workspace.manifest()
    assert facts["status"] == "budget_reached"
    (row,) = workspace.sql("select count(*) as n from request_metrics where outcome = 'ok'")
    assert row["n"] == 7


def test_a_held_database_does_not_cost_a_run(workspace: Workspace) -> None:
    workspace.emulated(steady="1s")
    workspace.measure("short")
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import duckdb, sys; c = duckdb.connect(sys.argv[1], read_only=True); "
            "print('held', flush=True); sys.stdin.read()",
            str(workspace.results / "observatory.duckdb"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None and holder.stdout.readline() == "held\n"
    try:
        out = workspace.measure("short", "--label", "held")
        assert str(holder.pid) in out
    finally:
        holder.communicate("", timeout=PATIENCE_S)
    assert len(workspace.run_folders()) == 2
    workspace.run("rebuild")
    (row,) = workspace.sql("select count(*) as n from runs")
    assert row["n"] == 2


def test_it_runs_without_a_terminal_as_under_cron(workspace: Workspace) -> None:
    workspace.emulated(steady="1s")
    bare = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")}
    done = subprocess.run(
        [sys.executable, "-m", "observatory", "run", "short", "--results", str(workspace.results)],
        check=False,
        cwd=workspace.root,
        env=bare,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode in MEASURED, done.stdout + done.stderr
    assert "steady" in done.stderr
    assert "\x1b[" not in done.stdout + done.stderr


@pytest.mark.parametrize("stream", [True, False])
def test_plain_completions_of_drawn_lengths_after_priming(
    workspace: Workspace, stream: bool
) -> None:
    text = EMULATED.format(name="plain", steady="2s", stages="  - rate: 10/s")
    text = text.replace("{kind: closed}", "{kind: constant}").replace(
        "{kind: tasks, tasks: [support-tickets], max_tokens: 8}",
        "{kind: synthetic, request: completions, cache: warm, items: 3, "
        f"stream: {str(stream).lower()}, "
        "prompt_tokens: {distribution: fixed, tokens: 40}, "
        "output_tokens: {distribution: uniform, low: 3, high: 6}}",
    )
    workspace.write("plain", text)
    workspace.measure("plain")
    rows = workspace.sql(
        "select stage_kind, phase, count(*) as n, count(*) filter (where outcome = 'ok') as ok, "
        "min(output_tokens) as least, max(output_tokens) as most, count(ttft_s) as ttft, "
        "count(e2e_s) as e2e from request_metrics group by all order by n"
    )
    primed = [row for row in rows if row["stage_kind"] == "prime"]
    loaded = [row for row in rows if row["stage_kind"] == "constant"]
    assert [(row["n"], row["most"]) for row in primed] == [(3, 1)]
    assert sum(row["n"] for row in loaded) == sum(row["ok"] for row in loaded) == 25
    assert min(row["least"] for row in loaded) >= 3 and max(row["most"] for row in loaded) <= 6
    assert all(row["e2e"] == row["ok"] for row in loaded)
    # An answer that is not streamed has no first token of its own.
    assert all(row["ttft"] == (row["ok"] if stream else 0) for row in loaded)
