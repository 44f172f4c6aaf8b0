"""What needs a provider's key, and leave to spend: a real closed API through the same command."""

import os

import pytest

from tests.live.harness import Workspace

pytestmark = [
    pytest.mark.live,
    pytest.mark.key,
    pytest.mark.skipif(
        not (os.environ.get("OPENAI_API_KEY") and os.environ.get("OBSERVATORY_TEST_SPEND") == "1"),
        reason="needs OPENAI_API_KEY and OBSERVATORY_TEST_SPEND=1 (it spends less than a cent)",
    ),
]

BOUGHT = """
name: bought
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 16}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
timing: {warmup: 0s, steady: 10s, drain: 10s}
budget: {requests: 3}
telemetry: {codecarbon: false}
targets: [{kind: api, name: openai, provider: openai, model: gpt-4.1-mini}]
"""


def test_three_requests_to_a_real_api_are_recorded_and_priced(workspace: Workspace) -> None:
    workspace.environment["OPENAI_API_KEY"] = os.environ["OPENAI_API_KEY"]
    workspace.write("bought", BOUGHT)
    workspace.run("run", "bought", code=7)
    rows = workspace.sql(
        "select outcome, ttft_s, cost_usd, cost_basis, provider_request_id from request_metrics"
    )
    assert [row["outcome"] for row in rows] == ["ok"] * 3
    assert all(row["ttft_s"] > 0 and row["cost_usd"] > 0 for row in rows)
    assert {row["cost_basis"] for row in rows} == {"list_price"}
    assert all(row["provider_request_id"] for row in rows)
