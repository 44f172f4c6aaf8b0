"""What needs a provider's key, and leave to spend: each closed API of the catalogue by the same command.

Three answers of 16 tokens at the most, each provider and wire: less than a cent, and capped at one.
"""

import os

import pytest

from observatory.providers.catalogue import PROVIDERS
from observatory.providers.provider import Provider, WireWord
from tests.live.harness import Workspace

pytestmark = [pytest.mark.live, pytest.mark.key]

AZURE_URL = "OBSERVATORY_TEST_AZURE_URL"
"""The address of an Azure resource that has a deployment called after the catalogue's example model."""
BOUGHT = """
name: bought
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 16, sampling: {temperature: null}}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
timing: {warmup: 0s, steady: 20s, drain: 20s}
budget: {requests: 3, usd: 0.01}
throttling: {policy: obey}
telemetry: {codecarbon: false}
targets:
  - kind: api
    name: bought
    provider: PROVIDER
    wire: WIRE
    model: MODEL
"""
ALWAYS_SAY_LIMITS = ("openai", "anthropic", "groq")
"""Documented to send rate-limit headers with every answer."""


def lacking(provider: Provider) -> list[str]:
    """The variables that a test of this provider needs and that are not set."""
    wanted = [provider.key_variable] + ([AZURE_URL] if provider.base_url is None else [])
    lacks = [name for name in wanted if not os.environ.get(name)]
    spends = os.environ.get("OBSERVATORY_TEST_SPEND") == "1"
    return lacks if spends else [*lacks, "OBSERVATORY_TEST_SPEND=1 (it spends less than a cent)"]


def keyed() -> list[object]:
    """Each provider and wire, skipped with the names of what it lacks."""
    cases: list[object] = []
    for name, provider in PROVIDERS.items():
        for word in provider.wires:
            lacks = lacking(provider)
            skipped = pytest.mark.skipif(bool(lacks), reason=f"needs {' and '.join(lacks)}")
            cases.append(pytest.param(provider, word, id=f"{name}-{word}", marks=skipped))
    return cases


@pytest.mark.parametrize(("provider", "word"), keyed())
def test_three_requests_to_a_real_api_are_recorded_and_priced(
    workspace: Workspace, provider: Provider, word: WireWord
) -> None:
    workspace.environment[provider.key_variable] = os.environ[provider.key_variable]
    text = BOUGHT.replace("PROVIDER", provider.name).replace("WIRE", word)
    text = text.replace("MODEL", provider.example_model)
    if provider.base_url is None:
        text += f"    base_url: {os.environ[AZURE_URL]}\n"
    workspace.write("bought", text)
    workspace.run("run", "bought", code=7)
    rows = workspace.sql(
        "select m.outcome, m.ttft_s, m.output_tokens, m.cost_usd, m.cost_basis, "
        "m.provider_request_id, a.model_reported, a.rate_limit_headers "
        "from request_metrics m join attempts a using (run_id, stage, request) where a.final"
    )
    assert [row["outcome"] for row in rows] == ["ok"] * 3
    assert all(row["ttft_s"] > 0 and row["cost_usd"] > 0 for row in rows)
    assert all(row["output_tokens"] > 0 and row["model_reported"] for row in rows)
    assert {row["cost_basis"] for row in rows} == {"list_price"}
    assert sum(row["cost_usd"] for row in rows) < 0.01
    if provider.request_id_header is not None:
        assert all(row["provider_request_id"] for row in rows)
    if provider.name in ALWAYS_SAY_LIMITS:
        assert all(row["rate_limit_headers"] for row in rows)
    (run,) = workspace.sql("select provider, wire, emulated from runs")
    assert (run["provider"], run["emulated"]) == (provider.name, False)
