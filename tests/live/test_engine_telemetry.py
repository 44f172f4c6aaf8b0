"""The metrics of real engines in a run, compared with the client's records.

vLLM is skipped with its reason where it is not installed (benchmarks/peers/README.md).
"""

import json
import threading
import urllib.request
from typing import Any

import pytest

from tests.live.foreign import ONE_VLLM
from tests.live.harness import Workspace

pytestmark = pytest.mark.live

USERS = 4
SCENARIO = """
name: {name}
seed: 5
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8, cache: cold}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 4}}]
timing: {{warmup: 1s, steady: {steady}, drain: 60s}}
telemetry: {{interval: 500ms, codecarbon: false}}
targets: [{target}]
"""
WHOLE = ("requests_running", "requests_waiting", "batch_size", "prompt_tokens_total")
WHOLE += ("output_tokens_total", "prefix_cache_queries_total", "prefix_cache_hits_total")
TIMES = [
    f"{name}_seconds_{part}"
    for name in ("queue", "prefill", "decode", "ttft", "itl")
    for part in ("sum", "count")
]
OF_VLLM = ("kv_cache_fraction", "preemptions_total", "requests_total", *TIMES)


def measured(space: Workspace, name: str, target: str, steady: str) -> dict[str, Any]:
    """The manifest of a run whose engine works on one request while four are open."""
    space.write(name, SCENARIO.format(name=name, target=target, steady=steady))
    space.measure(name)
    manifest = space.manifest()
    [cap] = [f for f in manifest["findings"] if f["code"] == "server_cap"]
    assert cap["message"].startswith("the server ran at most 1 at once of the 4 requests")
    return manifest


def codes(manifest: dict[str, Any]) -> set[str]:
    return {finding["code"] for finding in manifest["findings"]}


def told(space: Workspace) -> dict[str, dict[str, float]]:
    """By metric of the engine without its prefix: the first, the last and the greatest reading."""
    rows = space.sql(
        "select metric, arg_min(value, at_ns) as first, arg_max(value, at_ns) as last, "
        "max(value) as most, count(reason) as nulls from samples "
        "where sensor = 'engine' and subject = 'target' group by metric"
    )
    assert not [row for row in rows if row["nulls"] and row["metric"] != "up"]  # a page may be late
    return {row["metric"].removeprefix("engine_"): row for row in rows}


def grown(readings: dict[str, dict[str, float]], metric: str) -> float:
    return readings[metric]["last"] - readings[metric]["first"]


def recorded(space: Workspace) -> dict[str, float]:
    [row] = space.sql(
        "select count(*) as requests, sum(prompt_tokens) as prompt, sum(output_tokens) as output, "
        "count(*) filter (where outcome <> 'ok' and not (error_kind = 'early_close' "
        "and reused_connection and http_status is null)) as failed from attempts"
    )
    assert row["failed"] == 0
    return row


def stage_metrics(space: Workspace) -> dict[str, float | None]:
    rows = space.sql("select metric, value from stage_metrics where statistic = 'value'")
    return {row["metric"]: row["value"] for row in rows}


@ONE_VLLM
def test_vllm_tells_everything_and_agrees_with_the_client(vllm: str, workspace: Workspace) -> None:
    target = f"{{kind: url, name: served, url: {vllm}/v1, model: smol}}"
    manifest = measured(workspace, "counted", target, "10s")
    assert not codes(manifest) & {"server_tokens", "foreign_load", "cache_state", "token_mismatch"}
    readings, client = told(workspace), recorded(workspace)
    assert set(readings) == {"up", *WHOLE, *OF_VLLM}
    assert grown(readings, "output_tokens_total") == client["output"]
    assert grown(readings, "prompt_tokens_total") == client["prompt"]
    assert grown(readings, "requests_total") == client["requests"]
    assert readings["requests_waiting"]["most"] >= USERS - 2
    figures = stage_metrics(workspace)
    assert 0 < (figures["kv_cache_fraction"] or 0) < 1
    # Never more than the one that it may; a reading between two requests finds none.
    assert 0 < (figures["engine_running"] or 0) <= readings["requests_running"]["most"] == 1
    assert figures["preemptions"] == 0
    for name in ("queue", "prefill", "decode", "ttft"):
        assert (figures[f"server_{name}_s"] or 0) > 0, name
    [row] = workspace.sql("select avg(ttft_s) as ttft from request_metrics where outcome = 'ok'")
    assert (figures["server_queue_s"] or 0) < (figures["server_ttft_s"] or 0) < 1.5 * row["ttft"]
    assert figures["server_output_tps"] == pytest.approx(figures["output_tps"], rel=0.3)


@ONE_VLLM
def test_who_else_asks_a_shared_vllm_is_foreign_load(vllm: str, workspace: Workspace) -> None:
    body = {"model": "smol", "prompt": "Who else is here?", "max_tokens": 4}
    request = urllib.request.Request(
        f"{vllm}/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    over = threading.Event()

    def intrude() -> None:
        while not over.wait(0.5):
            with urllib.request.urlopen(request, timeout=60) as answer:
                answer.read()

    other = threading.Thread(target=intrude)
    other.start()
    try:
        target = f"{{kind: url, name: served, url: {vllm}/v1, model: smol}}"
        manifest = measured(workspace, "shared", target, "8s")
    finally:
        over.set()
        other.join()
    assert "foreign_load" in codes(manifest)
    assert "server_tokens" not in codes(manifest)  # others' tokens are no contradiction


def test_llamacpp_tells_and_agrees_with_the_client(workspace: Workspace) -> None:
    target = "{kind: llamacpp, name: local, parallel: 1, context: 1024}"
    manifest = measured(workspace, "llama", target, "7s")
    assert not codes(manifest) & {"server_tokens", "cache_state", "token_mismatch"}
    readings, client = told(workspace), recorded(workspace)
    assert set(readings) == {"up", *WHOLE}
    assert grown(readings, "output_tokens_total") == client["output"]
    assert grown(readings, "prompt_tokens_total") == client["prompt"]
    assert readings["requests_waiting"]["most"] >= USERS - 2
    assert stage_metrics(workspace)["server_output_tps"]
