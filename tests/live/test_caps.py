"""The cap, kept by 64 streams at once against a service that reports false usage.

The really generated tokens are in the emulator's own log; the cap is compared with that.
"""

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from observatory.core.journal import decode_entries
from observatory.core.record import WorkerStart
from tests.live.harness import PATIENCE_S, Workspace, wait_until

pytestmark = pytest.mark.live

INPUT_USD, CACHED_USD, OUTPUT_USD = 1e-6, 0.25e-6, 20e-6
CAP_USD = 0.12
PROFILE = {
    "ttft_median": "60ms",
    "ttft_p95": "90ms",
    "inter_token_median": "2ms",
    "inter_token_p95": "3ms",
    "output_tokens_median": 20,
    "output_tokens_p95": 60,
}
SCENARIO = """
name: capped
seed: 3
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 32}}
arrivals: {{kind: closed}}
stages: [{{concurrency: {users}}}, {{concurrency: {users}}}]
timing: {{warmup: 0s, steady: {steady}, drain: 30s}}
budget: {{usd: {usd}}}
processes: {processes}
telemetry: {{interval: 500ms, codecarbon: false}}
targets:
  - kind: url
    name: bought
    url: {url}
    model: emulated-model
    billing: tokens
    price:
      input_per_million_usd: 1
      cached_input_per_million_usd: 0.25
      output_per_million_usd: 20
      source: a test
"""


@contextmanager
def service(space: Workspace, **fields: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The emulator by itself: its URL, and (once it is closed) what it really did."""
    profile = space.root / "profile.yaml"
    profile.write_text(json.dumps(PROFILE | fields))
    log = space.root / "truth.jsonl"
    child = space.start("emulate", str(profile), "--port", "0", "--truth-log", str(log))
    assert child.stdout is not None
    url = None
    while url is None:
        line = child.stdout.readline()
        assert line, "the emulator did not start"
        found = re.search(r"http://[\d.:]+/v1", line)
        url = found[0] if found else None
    truth: list[dict[str, Any]] = []
    try:
        yield url, truth
    finally:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=PATIENCE_S)
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        truth += [line for line in lines if "output_tokens" in line]


def billed_usd(truth: list[dict[str, Any]]) -> float:
    """What honest bills of all that was generated would add up to, at the dearest."""
    return sum(
        line["prompt_tokens"] * INPUT_USD + line["output_tokens"] * OUTPUT_USD for line in truth
    )


def carry(space: Workspace, url: str, processes: int, usd: float = CAP_USD) -> dict[str, Any]:
    """A run that ends at its cap; its manifest."""
    text = SCENARIO.format(url=url, users=64, processes=processes, usd=usd, steady="20s")
    space.write("capped", text)
    out = space.run("run", "capped", code=7)
    assert "counted against the caps" in out
    facts = space.manifest()
    assert facts["status"] == "budget_reached" and facts["sealed"]
    return facts


LIARS: dict[str, dict[str, Any]] = {
    "no usage": {"shape": {"usage": "never"}},
    "too little": {"faults": {"wrong_usage": 1.0, "wrong_usage_factor": 0.25}},
    "too much": {"faults": {"wrong_usage": 0.5, "wrong_usage_factor": 3.0}},
    "broken": {"faults": {"reset": 0.2, "http_500": 0.1, "error_event": 0.2, "http_429": 0.2}},
    "hidden reasoning": {"reasoning": {"tokens_median": 10, "tokens_p95": 60}},
}


def _with_processes() -> list[Any]:
    """Two processes share a cap in all cases; one alone is tried with the first, and in the soak."""
    return [
        pytest.param(
            fields,
            processes,
            id=f"{name}-{processes}",
            marks=[pytest.mark.soak] if processes == 1 and name != "no usage" else [],
        )
        for name, fields in LIARS.items()
        for processes in (1, 2)
    ]


@pytest.mark.parametrize(("fields", "processes"), _with_processes())
def test_64_streams_bill_no_more_than_the_cap(
    workspace: Workspace, fields: dict[str, Any], processes: int
) -> None:
    with service(workspace, **fields) as (url, truth):
        facts = carry(workspace, url, processes)
    assert len(truth) >= 64
    assert 0.2 * CAP_USD < billed_usd(truth) <= CAP_USD
    if fields.get("faults", {}).get("wrong_usage_factor") != 3.0:
        assert facts["spent"]["usd"] <= CAP_USD * (1 + 1e-9)
        assert "cap_exceeded" not in [finding["code"] for finding in facts["findings"]]


@pytest.mark.parametrize("processes", [1, 2])
def test_an_honest_service_costs_what_its_rows_say(workspace: Workspace, processes: int) -> None:
    cache = {"kind": "fraction", "fraction": 0.5}
    with service(workspace, prompt_cache=cache) as (url, truth):
        facts = carry(workspace, url, processes)
    (row,) = workspace.sql("select sum(cost_usd) as usd, count(cost_usd) as n from requests")
    real = sum(
        (line["prompt_tokens"] - line["cached_tokens"]) * INPUT_USD
        + line["cached_tokens"] * CACHED_USD
        + line["output_tokens"] * OUTPUT_USD
        for line in truth
    )
    assert row["n"] == len(truth)
    assert facts["spent"]["usd"] == pytest.approx(row["usd"]) == pytest.approx(real)
    assert facts["spent"]["assumed_usd"] == 0.0
    assert facts["spent"]["requests"] == len(truth)
    assert 0.7 * CAP_USD < real <= CAP_USD
    quoted = facts["quote"]
    assert quoted["usd"]["high"] <= CAP_USD * (1 + 1e-9) and not quoted["emulated"]


def test_a_service_that_ignores_its_limit_is_stopped_and_named(workspace: Workspace) -> None:
    fields = {"obeys_limit": False, "output_tokens_median": 400, "output_tokens_p95": 400}
    with service(workspace, **fields) as (url, truth):
        facts = carry(workspace, url, 1)
    codes = {finding["code"]: finding for finding in facts["findings"]}
    assert codes["cap_exceeded"]["value"] == facts["spent"]["usd"] > CAP_USD
    assert facts["spent"]["overrun"] > 3
    # The open requests, and those that fitted too before the first of them was read; nothing after that.
    assert 64 <= len(truth) <= 64 + 32


def test_a_budget_for_three_is_carried_by_one_process(workspace: Workspace) -> None:
    with service(workspace) as (url, truth):
        facts = carry(workspace, url, 2, usd=0.005)
    assert len(truth) >= 1 and billed_usd(truth) <= 0.005
    assert facts["spent"]["usd"] == pytest.approx(billed_usd(truth))


def test_a_quote_above_the_threshold_ends_without_a_yes(workspace: Workspace) -> None:
    with service(workspace) as (url, truth):
        text = SCENARIO.format(url=url, users=64, processes=1, usd=0.02, steady="20s")
        workspace.write("capped", text)
        out = workspace.run("run", "capped", "--ask-above", "0.01", code=2)
        assert "up to $0.02" in out and "--yes" in out
        refused = workspace.run("run", "capped", code=2, OBSERVATORY_ASK_ABOVE_USD="0.01")
        assert "nothing was sent" in refused
        assert not workspace.run_folders()
        document = json.loads(workspace.run("run", "capped", "--dry-run", "--json"))
        [quoted] = document["quote"]["runs"]
        assert quoted["target"] == "bought" and quoted["usd"]["high"] == pytest.approx(0.02)
        out = workspace.run("run", "capped", "--yes", "--ask-above", "0", code=7)
        # The address was detected as an emulator, and the bill is marked.
        bill = r"quoted \$0\.0200, cost \$0\.0[12]\d+ \(emulated, nothing was paid\); counted against the caps"
        assert re.search(bill, out)
    assert billed_usd(truth) <= 0.02
    (row,) = workspace.sql("select quote->'usd'->>'high' as high from runs")
    assert float(row["high"]) == pytest.approx(0.02)


def test_the_share_of_a_killed_worker_is_spent(workspace: Workspace) -> None:
    """Two stages: the second one begins with what the first cannot have spent."""
    slow = {"ttft_median": "400ms", "ttft_p95": "420ms"}
    with service(workspace, **slow) as (url, truth):
        text = SCENARIO.format(url=url, users=4, processes=2, usd=1.0, steady="4s")
        workspace.write("capped", text)
        child = workspace.start("run", "capped", "--yes")

        def worker() -> list[int]:
            for path in workspace.results.glob("runs/*/journal/stage-00/worker-1.ticks"):
                entries = list(decode_entries(path.read_bytes()))
                if len(entries) > 1 and isinstance(entries[0], WorkerStart):
                    return [entries[0].pid]
            return []

        wait_until(lambda: bool(worker()), "the second worker's heartbeat", child=child)
        os.kill(worker()[0], signal.SIGKILL)
        child.communicate(timeout=PATIENCE_S)
    spent = workspace.manifest()["spent"]
    assert 0.5 <= spent["usd"] < 0.6  # its half of the dollar, and what the others really spent
    assert billed_usd(truth) < 0.1
