"""`transport: lean` and `transport: sdk` on one emulator, compared with its truth log: the same tokens and outcomes,
one HTTP request for each request of the plan, with any fault."""

import json
import re
import signal
from collections import Counter
from collections.abc import Iterator
from statistics import median
from typing import Any

import pytest

from tests.live.harness import MEASURED, PATIENCE_S, Workspace, open_workspace

pytestmark = pytest.mark.live

PROFILE = """
ttft_median: 5ms
ttft_p95: 5ms
inter_token_median: 2ms
inter_token_p95: 2ms
output_tokens_median: 8
output_tokens_p95: 8
faults: {http_429: 0.06, http_500: 0.06, reset: 0.06, stall: 0.04, garbage_event: 0.06, stall_for: 20s}
"""
SCENARIO = """
name: through
seed: 3
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 8}
arrivals: {kind: closed}
stages: [{concurrency: 4}]
timing: {warmup: 0s, steady: 5s, drain: 30s}
telemetry: {interval: 500ms, codecarbon: false}
targets:
  - {kind: url, name: bare, url: URL, model: emulated-model, timeouts: {between_events: 1500ms}}
  - kind: url
    name: client
    url: URL
    model: emulated-model
    transport: sdk
    timeouts: {between_events: 1500ms}
"""
EXPECTED = {
    None: ("ok", None, None),
    "http_429": ("throttled", "headers", "http_status"),
    "http_500": ("error", "headers", "http_status"),
    "reset": ("error", "stream", "reset"),
    "stall": ("timeout", "stream", "stall"),
    "garbage_event": ("error", "stream", "bad_json"),
}
Rows = list[dict[str, Any]]


class Both:
    """The rows of both runs, and the emulator's log, by its id of each request."""

    def __init__(self, rows: Rows, truth: Rows, shown: str, printed: str) -> None:
        self.rows = rows
        self.truth = {
            line["id"]: line for line in truth if line.get("path") == "/v1/chat/completions"
        }
        self.shown = shown
        self.printed = printed

    def of(self, transport: str) -> Rows:
        return [row for row in self.rows if row["transport"] == transport]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    root = tmp_path_factory.mktemp("through")
    (root / "some.yaml").write_text(PROFILE)
    with open_workspace(root) as space:
        url = _emulate(space)
        space.write("through", SCENARIO.replace("URL", url))
        printed = space.run("run", "through", code=MEASURED)
        server = space.started[0]
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=PATIENCE_S)
        rows = space.sql(
            "select r.transport, r.comparison_key, a.request, a.outcome, a.error_phase, "
            "a.error_kind, a.provider_request_id, a.output_tokens, a.streamed_tokens, "
            "a.first_token_ns - a.sent_ns as ttft_ns from attempts a join runs r using (run_id)"
        )
        lines = (root / "truth.jsonl").read_text().splitlines()
        shown = space.run("runs", "show", "last")
        yield Both(rows, [json.loads(line) for line in lines], shown, printed)


def _emulate(space: Workspace) -> str:
    server = space.start("emulate", "./some.yaml", "--port", "0", "--truth-log", "truth.jsonl")
    assert server.stdout is not None
    banner = ""
    while "Ctrl-C" not in banner:
        banner += server.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/v1", banner)
    assert found is not None
    return found[0]


def test_the_server_saw_each_request_once(both: Both) -> None:
    """No retry of the client's own, also after a 429, a 500 or a reset."""
    seen = Counter(row["provider_request_id"] for row in both.rows)
    assert set(seen) == set(both.truth) and set(seen.values()) == {1}
    for transport in ("lean", "sdk"):
        rows = both.of(transport)
        assert len(rows) > 50
        assert len({row["request"] for row in rows}) == len(rows)


@pytest.mark.parametrize("transport", ["lean", "sdk"])
@pytest.mark.parametrize("fault", EXPECTED, ids=str)
def test_the_outcome_is_the_faults_whoever_asks(
    both: Both, transport: str, fault: str | None
) -> None:
    rows = [
        row
        for row in both.of(transport)
        if both.truth[row["provider_request_id"]]["fault"] == fault
    ]
    assert rows
    found = {(row["outcome"], row["error_phase"], row["error_kind"]) for row in rows}
    assert found == {EXPECTED[fault]}


def test_both_have_the_tokens_that_were_sent(both: Both) -> None:
    for row in both.rows:
        truth = both.truth[row["provider_request_id"]]
        if truth["fault"] is None:
            sent = sum(write[3] for write in truth["writes"])
            assert row["output_tokens"] == row["streamed_tokens"] == sent


def test_what_the_client_adds_is_in_its_time_to_first_token(both: Both) -> None:
    def errors(transport: str) -> list[float]:
        found = []
        for row in both.of(transport):
            truth = both.truth[row["provider_request_id"]]
            if row["outcome"] == "ok":
                first = next(write[0] for write in truth["writes"] if write[3])
                found.append(row["ttft_ns"] - (first - truth["read_ns"]))
        return found

    lean, sdk = errors("lean"), errors("sdk")
    assert min(sdk) >= 0 and median(sdk) >= median(lean)


def test_the_two_are_comparable_and_say_which_is_which(both: Both) -> None:
    assert len({row["comparison_key"] for row in both.rows}) == 1
    assert both.shown.count("measured  through the openai client") == 1
    assert "through the openai" in both.printed
