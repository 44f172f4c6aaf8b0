"""A provider is its file and a line of the catalogue: listed, quoted, and measured against a stand-in."""

import json
import re
import subprocess

import pytest

from tests.live.harness import Workspace
from tests.live.product import add_line, copy_product

pytestmark = pytest.mark.live

MOONSHINE = '''
"""Moonshine, which serves chat completions in OpenAI's shape at an address of the customer's."""

from observatory.providers.provider import Provider, ProviderSource, WireOffer

MOONSHINE = Provider(
    name="moonshine",
    title="Moonshine",
    base_url=None,
    base_path="/v1",
    example_url="https://RESOURCE.moonshine.example/v1",
    key_variable="MOONSHINE_API_KEY",
    wires={"chat": WireOffer(seed=True, service_tiers=("auto", "night"), key_header="x-moon-key")},
    prices_id="moonshine",
    example_model="full-moon",
    looked="2026-11-29",
    sources=(ProviderSource("https://moonshine.example/docs", "key in x-moon-key"),),
)
'''
KEY = "moonshine-key-of-a-test"
SCENARIO = """
name: moonlit
seed: 3
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 8}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
timing: {warmup: 0s, steady: 3s, drain: 20s}
budget: {usd: 0.5}
telemetry: {interval: 500ms, codecarbon: false}
targets:
  - kind: api
    name: bought
    provider: moonshine
    base_url: URL
    model: emulated-model
    service_tier: night
    price: {input_per_million_usd: 1, output_per_million_usd: 2, source: round, basis: example}
"""


def add_moonshine(workspace: Workspace) -> None:
    providers = copy_product(workspace) / "providers"
    (providers / "moonshine.py").write_text(MOONSHINE)
    table = providers / "catalogue.py"
    mistral = "from observatory.providers.mistral import MISTRAL"
    add_line(table, mistral, "from observatory.providers.moonshine import MOONSHINE")
    add_line(table, '"mistral": MISTRAL,', '"moonshine": MOONSHINE,')


def stand_in(workspace: Workspace) -> str:
    """Start an emulated API in place of the provider's; the URL of its API."""
    (workspace.root / "quick.yaml").write_text("ttft_median: 5ms\nttft_p95: 8ms\n")
    server = workspace.start("emulate", "quick.yaml", "--port", "0")
    assert isinstance(server, subprocess.Popen)
    assert server.stdout is not None
    for line in server.stdout:
        if found := re.search(r"http://127\.0\.0\.1:\d+/v1", line):
            return found[0]
    raise AssertionError("the stand-in did not start")


def test_a_new_provider_is_listed_quoted_and_measured(workspace: Workspace) -> None:
    add_moonshine(workspace)
    listed = json.loads(workspace.run("target", "providers", "--json"))
    (own,) = [row for row in listed if row["name"] == "moonshine"]
    assert own["usual_wire"] == "chat"
    assert own["key_set"] is False

    workspace.write("moonlit", SCENARIO.replace("URL", stand_in(workspace)))
    refused = workspace.run("run", "moonlit", "--yes", code=(2, 1))
    assert "MOONSHINE_API_KEY" in refused
    quoted = workspace.run("run", "moonlit", "--dry-run", MOONSHINE_API_KEY=KEY)
    assert "bought" in quoted
    workspace.measure("moonlit", "--yes", MOONSHINE_API_KEY=KEY)

    (run,) = workspace.sql("select target_kind, emulated from runs")
    assert run["target_kind"] == "api"
    assert run["emulated"] is True, "the stand-in says what it is"
    sent = workspace.sql("select outcome, cost_usd from requests where attempts > 0")
    assert sent
    assert all(row["outcome"] == "ok" and row["cost_usd"] > 0 for row in sent)
    assert KEY not in "".join(
        path.read_text(errors="replace") for path in workspace.results.rglob("*.json")
    )
