"""The main job on a real engine: cold against natural by its own counters, death, publication."""

from collections.abc import Iterator

import pytest

from tests.live.harness import (
    PATIENCE_S,
    Workspace,
    child_running,
    open_workspace,
    records_written,
    wait_until,
)

pytestmark = pytest.mark.live

LLAMA = """
name: {name}
workload: {{kind: tasks, tasks: [passage-questions], items: 4, max_tokens: 8, cache: {cache}}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 1}}]
timing: {{warmup: 1s, steady: {steady}, drain: 60s}}
telemetry: {{interval: 500ms, codecarbon: false}}
targets: [{{kind: llamacpp, name: local, parallel: 1, context: 1024}}]
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """A run with cold prompts and one with natural ones."""
    with open_workspace(tmp_path_factory.mktemp("measured")) as space:
        for cache in ("cold", "natural"):
            text = LLAMA.format(name=cache, cache=cache, steady="10min")
            space.write(cache, f"{text}budget: {{requests: 7}}\n")
            space.run("run", cache, code=7)
        yield space


def test_cold_prompts_miss_the_engines_cache_and_natural_ones_hit_it(measured: Workspace) -> None:
    rows = {
        row["scenario"]: row
        for row in measured.sql(
            "select scenario, sum(cached_tokens) * 1.0 / sum(prompt_tokens) as hit, "
            "count(*) as n from request_metrics where outcome = 'ok' group by all"
        )
    }
    assert rows["cold"]["n"] >= 4 and rows["natural"]["n"] >= 4
    assert rows["cold"]["hit"] < 0.2  # the chat template's own prefix and no more
    assert rows["natural"]["hit"] > rows["cold"]["hit"] + 0.05
    prefixes = measured.sql(
        "select max(cached_tokens) as most from request_metrics where scenario = 'cold'"
    )
    assert prefixes[0]["most"] <= 40


def test_answers_are_scored_and_metrics_are_filled(measured: Workspace) -> None:
    (row,) = measured.sql(
        "select count(*) as n, count(score) as scored, count(ttft_s) as ttft, count(tpot_s) as tpot, "
        "min(output_tokens) as least, max(output_tokens) as most, "
        "count(*) filter (where e2e_s < ttft_s or ttft_s <= 0) as wrong "
        "from request_metrics where outcome = 'ok' and scenario = 'cold'"
    )
    assert row["n"] == row["scored"] == row["ttft"]
    assert row["tpot"] > 0
    assert 1 <= row["least"] <= row["most"] <= 8
    assert row["wrong"] == 0
    (facts,) = measured.sql(
        "select engine, model, hosting, weights, billing from runs where scenario = 'cold'"
    )
    assert facts["engine"] == "llama.cpp"
    assert (facts["hosting"], facts["weights"], facts["billing"]) == ("self", "open", "hours")
    (engine,) = measured.sql(
        "select count(*) as n from samples where device = 'engine:local' and metric = 'cpu_cores'"
    )
    assert engine["n"] > 0


def test_a_killed_engine_is_named_and_its_records_are_kept(workspace: Workspace) -> None:
    workspace.write("real", LLAMA.format(name="real", cache="cold", steady="60s"))
    child = workspace.start("run", "real")
    wait_until(lambda: records_written(workspace) or child.poll() is not None, "records")
    engine = child_running(child.pid, "llamacpp_server")
    assert engine is not None
    engine.kill()
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 4, out + err
    assert "local" in out + err
    (row,) = workspace.sql("select count(*) as n from request_metrics where outcome = 'ok'")
    assert row["n"] > 0
