"""The Messages and Responses wires through the real command, against the emulator's truth log and
against a real llama.cpp, which serves both in addition to its chats."""

import json
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.endpoints.catalogue import open_target
from observatory.endpoints.opened import OpenContext
from tests.live.harness import PATIENCE_S, Workspace

pytestmark = pytest.mark.live

PROFILE = """
ttft_median: 40ms
ttft_p95: 60ms
inter_token_median: 4ms
inter_token_p95: 6ms
output_tokens_median: 12
output_tokens_p95: 16
prompt_cache: {kind: fraction, fraction: 0.25}
reasoning: {tokens_median: 3, tokens_p95: 5}
"""
SCENARIO = """
name: wires
seed: 3
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 16}
arrivals: {kind: closed}
stages: [{concurrency: 2}]
timing: {warmup: 0s, steady: 4s, drain: 30s}
telemetry: {interval: 500ms, codecarbon: false}
targets:
"""
BY_URL = "  - {{kind: url, name: {wire}, url: '{url}', model: {model}, wire: {wire}}}\n"
STARTED = "  - {{kind: emulated, name: emulated-{wire}, wire: {wire}, profile: ./quick.yaml}}\n"
WIRES = ("responses", "messages")
COLUMNS = (
    "r.target, a.outcome, a.error_text, a.provider_request_id, a.saw_done, a.model_reported, "
    "a.prompt_tokens, a.cached_tokens, a.output_tokens, a.reasoning_tokens, a.streamed_tokens, "
    "a.output_tokens_from, a.finish_reason, a.first_token_ns - a.sent_ns as ttft_ns, "
    "len(a.event_gap_ns) as events"
)
ATTEMPTS = f"select {COLUMNS} from attempts a join runs r using (run_id)"


@contextmanager
def serving(space: Workspace, *arguments: str) -> Iterator[str]:
    """A verb that serves until Ctrl-C; gives its base URL."""
    server = space.start(*arguments)
    assert server.stdout is not None
    text = ""
    while "Ctrl-C" not in text:
        line = server.stdout.readline()
        assert line, text
        text += line
    found = re.search(r"http://127\.0\.0\.1:\d+/v1", text)
    assert found is not None
    yield found[0]
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=PATIENCE_S)


def test_tokens_and_first_tokens_are_those_of_the_truth_log(workspace: Workspace) -> None:
    (workspace.root / "quick.yaml").write_text(PROFILE)
    truth = workspace.root / "truth.jsonl"
    with serving(
        workspace, "emulate", "./quick.yaml", "--port", "0", "--truth-log", str(truth)
    ) as url:
        targets = "".join(
            BY_URL.format(wire=wire, url=url, model="emulated-model") for wire in WIRES
        )
        workspace.write("wires", SCENARIO + targets)
        workspace.measure("wires")
    lines = {line["id"]: line for line in truth_lines(truth)}
    rows = workspace.sql(ATTEMPTS)
    for wire in WIRES:
        own = [row for row in rows if row["target"] == wire]
        assert len(own) >= 20 or workspace.starved()
        errors_ns = []
        for row in own:
            assert (row["outcome"], row["error_text"], row["saw_done"]) == ("ok", None, True)
            line = lines[row["provider_request_id"]]
            assert line["path"] == f"/v1/{wire}"
            for column in ("prompt", "cached", "reasoning", "output"):
                assert row[f"{column}_tokens"] == line[f"{column}_tokens"], column
            assert row["streamed_tokens"] == line["output_tokens"] - line["reasoning_tokens"]
            assert row["output_tokens_from"] == "usage"
            assert row["model_reported"] == "emulated-model"
            assert row["finish_reason"] in ("stop", "length")
            first = next(instant for instant, _, _, tokens in line["writes"] if tokens)
            errors_ns.append(abs(row["ttft_ns"] - (first - line["read_ns"])))
        assert sorted(errors_ns)[len(errors_ns) // 2] < 20e6 or workspace.starved()
    (facts,) = workspace.sql(
        "select count(distinct wire) as wires, bool_and(wire = target) as told from runs"
    )
    assert facts == {"wires": 2, "told": True}


def truth_lines(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [line for line in lines if "path" in line and line["path"] != "/v1/models"]


def test_emulated_targets_are_asked_on_the_wire_that_they_name(workspace: Workspace) -> None:
    workspace.write("quick", PROFILE)
    workspace.write("wires", SCENARIO + "".join(STARTED.format(wire=wire) for wire in WIRES))
    workspace.measure("wires")
    rows = workspace.sql(
        "select r.target, r.wire, r.emulated, count(*) as n, count(m.ttft_s) as ttft, "
        "count(m.tpot_s) as tpot, min(m.outcome) as outcome "
        "from request_metrics m join runs r using (run_id) group by all order by target"
    )
    assert [(row["target"], row["wire"]) for row in rows] == [
        ("emulated-messages", "messages"),
        ("emulated-responses", "responses"),
    ]
    for row in rows:
        assert row["emulated"] and row["outcome"] == "ok"
        assert row["n"] == row["ttft"] == row["tpot"] > 0
        assert row["n"] >= 20 or workspace.starved()


def test_a_completions_workload_is_refused_before_anything_starts(workspace: Workspace) -> None:
    workspace.write("quick", PROFILE)
    requested = SCENARIO.replace("max_tokens: 16", "max_tokens: 12, request: completions")
    workspace.write("wires", requested + STARTED.format(wire="messages"))
    for arguments in (("run", "wires"), ("run", "wires", "--dry-run")):
        output = workspace.run(*arguments, code=2)
        assert "Anthropic Messages takes no completions requests" in output
    assert workspace.run_folders() == []


def test_a_real_engine_is_asked_on_both(workspace: Workspace, tmp_path: Path) -> None:
    target = LlamaCppTarget(kind="llamacpp", name="served", parallel=2)
    with open_target(target, OpenContext(tmp_path / "logs", print)) as opened:
        url = opened.connection.endpoint
        targets = "".join(BY_URL.format(wire=wire, url=url, model="null") for wire in WIRES)
        workspace.write("wires", SCENARIO + targets)
        workspace.measure("wires")
    rows = workspace.sql(ATTEMPTS)
    for wire in WIRES:
        own = [row for row in rows if row["target"] == wire]
        assert own, wire
        for row in own:
            if row["error_text"] == "the server closed the connection" and row["ttft_ns"] is None:
                continue  # it closes kept connections without a word; the next try is the answer
            assert (row["outcome"], row["error_text"], row["saw_done"]) == ("ok", None, True)
            assert row["prompt_tokens"] > 20 and 1 <= row["output_tokens"] <= 16
            assert row["output_tokens_from"] == "usage" and row["ttft_ns"] > 0
            assert row["streamed_tokens"] == row["events"]
    (counts,) = workspace.sql(
        "select count(*) as n, count(*) filter (where outcome = 'ok') as good, "
        "count(distinct target) as targets from request_metrics"
    )
    assert counts["n"] == counts["good"] >= 4 and counts["targets"] == 2
