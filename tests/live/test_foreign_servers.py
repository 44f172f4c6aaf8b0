"""Our client against servers that we did not write: real vLLM by its own counters, and GuideLLM's mock.

llama.cpp is in test_llamacpp_runs. Each is skipped with its reason where it is not installed
(benchmarks/peers/README.md).
"""

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.peers.environments import missing, program
from tests.live.foreign import ONE_VLLM, fetch, free_port, serving
from tests.live.harness import Workspace

pytestmark = pytest.mark.live

REQUESTS, TOKENS = 12, 12
SCENARIO = """
name: foreign
seed: 5
workload: {{kind: tasks, tasks: [support-tickets], request: {request}, max_tokens: {tokens}}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 2}}]
timing: {{warmup: 0s, steady: 90s, drain: 60s}}
budget: {{requests: {requests}}}
telemetry: {{codecarbon: false}}
"""


@pytest.fixture(scope="module")
def guidellm_mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if reason := missing("guidellm"):
        pytest.skip(reason)
    port = free_port()
    command = [program("guidellm", "guidellm"), "mock-server", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--model", "mock", "--ttft-ms", "30", "--itl-ms", "3"]
    log = tmp_path_factory.mktemp("mock") / "log"
    with serving(command, port, "/health", log) as address:
        yield address


def counter(address: str, name: str) -> float:
    """The sum of a Prometheus counter over its labels."""
    page = fetch(f"{address}/metrics")
    assert page is not None
    lines = [line for line in page.splitlines() if line.startswith(f"{name}{{")]
    assert lines, name
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def counted(vllm: str) -> list[float]:
    """Requests, prompt tokens and generated tokens, as vLLM counts them."""
    names = ("request_success_total", "prompt_tokens_total", "generation_tokens_total")
    return [counter(vllm, f"vllm:{name}") for name in names]


def measured(space: Workspace, request: str, address: str, model: str) -> list[dict[str, Any]]:
    """A run of up to REQUESTS: its attempts, after checking that all of it is on record."""
    space.write("foreign", SCENARIO.format(request=request, tokens=TOKENS, requests=REQUESTS))
    space.run("run", "foreign", "--url", f"{address}/v1", "--model", model, code=(0, 3, 7))
    found = {finding["code"] for finding in space.manifest()["findings"]}
    assert not found & {"lost_records", "token_mismatch"}
    rows = space.sql(
        "select outcome, error_text, http_status, saw_done, reused_connection, model_reported, "
        "(first_token_ns - sent_ns) / 1e9 as ttft_s, prompt_tokens, output_tokens, streamed_tokens, "
        "output_tokens_from, streamed_tokens_from, len(event_gap_ns) as events "
        "from attempts order by sent_ns"
    )
    assert 2 <= len(rows) <= REQUESTS  # a slow machine ends by the clock
    assert {(row["outcome"], row["error_text"]) for row in rows} == {("ok", None)}
    assert all(row["saw_done"] and row["http_status"] == 200 for row in rows)
    assert all(row["ttft_s"] > 0 for row in rows)
    assert {row["model_reported"] for row in rows} == {model}
    assert {row["output_tokens_from"] for row in rows} == {"usage"}
    return rows


@ONE_VLLM
@pytest.mark.parametrize("request_kind", ["chat", "completions"])
def test_tokens_agree_with_what_real_vllm_counted(
    request_kind: str, vllm: str, workspace: Workspace
) -> None:
    before = counted(vllm)
    rows = measured(workspace, request_kind, vllm, "smol")
    requests, prompt, output = (now - then for now, then in zip(counted(vllm), before, strict=True))
    extra = requests - len(rows)  # the question with which a target is checked before a run
    assert 0 <= extra <= 2
    assert 0 <= output - sum(row["output_tokens"] for row in rows) <= TOKENS * extra
    assert 0 <= prompt - sum(row["prompt_tokens"] for row in rows) <= 100 * extra
    for row in rows:
        # A token of a character cut in two, or the last one, brings no text of its own.
        assert row["output_tokens"] - 2 <= row["events"] <= row["output_tokens"] <= TOKENS
    assert sum(row["reused_connection"] for row in rows) >= len(rows) - 4


def test_guidellms_mock_server(guidellm_mock: str, workspace: Workspace) -> None:
    rows = measured(workspace, "chat", guidellm_mock, "mock")
    assert {(row["output_tokens"], row["streamed_tokens"]) for row in rows} == {(TOKENS, TOKENS)}
    assert all(row["ttft_s"] >= 0.028 for row in rows)
