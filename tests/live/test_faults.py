"""Every fault of the wire, through the real command against the emulator with its truth log: a row
with phase and kind, the partial stream kept, the connection not used again, and the run goes on."""

import json
import re
import signal
from collections import defaultdict
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from observatory.core.emulation.profile import FAULT_KINDS
from tests.live.harness import PATIENCE_S, Workspace, open_workspace

pytestmark = pytest.mark.live

PROFILE = """
ttft_median: 5ms
ttft_p95: 5ms
inter_token_median: 2ms
inter_token_p95: 2ms
output_tokens_median: 8
output_tokens_p95: 8
faults:
{rates}
  stall_for: 20s
  slow_headers_by: 3s
"""
SCENARIO = """
name: faults
seed: 3
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 8}
arrivals: {kind: closed}
stages:
  - concurrency: 4
timing: {warmup: 0s, steady: 9s, drain: 30s}
telemetry: {interval: 500ms, codecarbon: false}
targets:
  - kind: url
    name: somewhere
    url: URL
    model: emulated-model
    timeouts: {first_byte: 2s, between_events: 1500ms, whole: 10s}
"""
EXPECTED = {
    None: ("ok", None, None),
    "http_429": ("throttled", "headers", "http_status"),
    "http_500": ("error", "headers", "http_status"),
    "http_503": ("error", "headers", "http_status"),
    "http_529": ("throttled", "headers", "http_status"),
    "error_event": ("error", "stream", "error_event"),
    "reset": ("error", "stream", "reset"),
    "stall": ("timeout", "stream", "stall"),
    "early_close": ("error", "stream", "early_close"),
    "garbage_event": ("error", "stream", "bad_json"),
    "garbage_http": ("error", "headers", "protocol"),
    "slow_headers": ("timeout", "headers", "timeout"),
    "big_event": ("ok", None, None),
    "wrong_usage": ("ok", None, None),
    "model_swap": ("ok", None, None),
    "no_done": ("ok", None, None),
    "fingerprint_swap": ("ok", None, None),
}
KINDS = [kind for kind in FAULT_KINDS if kind != "drop_kept"]
"""Those that a request's row ends with; a dropped connection's request is made again (provocation
stale_connections)."""
HEADLESS = ("garbage_http", "slow_headers")
"""Faults before a response's headers: no request id comes back, so that their rows are counted."""
PARTIAL = ("error_event", "reset", "stall", "early_close", "garbage_event")
BROKEN = ("reset", "stall", "early_close", "garbage_http", "slow_headers")

Rows = list[dict[str, Any]]


class Met:
    """One run: its rows, and the emulator's log."""

    def __init__(self, rows: Rows, truth: Rows, manifest: dict[str, Any]) -> None:
        self.rows = rows
        self.truth = [line for line in truth if line.get("path") == "/v1/chat/completions"]
        self.end = truth[-1]
        self.manifest = manifest
        self.fault_of = {line["id"]: line["fault"] for line in self.truth}
        self.by_fault: dict[str | None, Rows] = defaultdict(list)
        for row in rows:
            if row["provider_request_id"] is not None:
                self.by_fault[self.fault_of[row["provider_request_id"]]].append(row)
        unnamed = [row for row in rows if row["provider_request_id"] is None]
        for row in unnamed:
            name = "garbage_http" if row["error_kind"] == "protocol" else "slow_headers"
            self.by_fault[name].append(row)


@pytest.fixture(scope="module")
def met(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Met]:
    """Some hundred requests of which two in five meet a fault, each kind several times."""
    root = tmp_path_factory.mktemp("faults")
    rates = "\n".join(f"  {kind}: 0.025" for kind in KINDS)
    (root / "bad.yaml").write_text(PROFILE.format(rates=rates))
    with open_workspace(root) as space:
        server = space.start("emulate", "./bad.yaml", "--port", "0", "--truth-log", "truth.jsonl")
        assert server.stdout is not None
        banner = ""
        while "Ctrl-C" not in banner:
            banner += server.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+/v1", banner)
        assert found is not None
        space.write("faults", SCENARIO.replace("URL", found[0]))
        space.run("run", "faults", code=(0, 3))
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=PATIENCE_S)
        assert server.returncode == 0
        rows = space.sql(
            "select a.request, a.outcome, error_phase, error_kind, error_text, http_status, "
            "provider_request_id, model_reported, system_fingerprint, reused_connection, saw_done, retry_after_s, "
            "output_tokens, streamed_tokens, output_tokens_from, streamed_tokens_from, "
            "event_characters, event_gap_ns, shared_stamps, sent_ns, ended_ns, bytes_received "
            "from attempts a order by sent_ns"
        )
        yield Met(rows, _lines(root / "truth.jsonl"), space.manifest())


def _lines(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("fault", EXPECTED, ids=str)
def test_the_fault_is_a_row_with_phase_and_kind(met: Met, fault: str | None) -> None:
    rows = met.by_fault[fault]
    assert rows
    found = {(row["outcome"], row["error_phase"], row["error_kind"]) for row in rows}
    assert found == {EXPECTED[fault]}
    assert all((row["error_text"] is None) == (row["outcome"] == "ok") for row in rows)
    assert all(row["ended_ns"] > row["sent_ns"] for row in rows)


@pytest.mark.parametrize("fault", KINDS)
def test_no_fault_is_lost_or_invented(met: Met, fault: str) -> None:
    assert sum(line["fault"] == fault for line in met.truth) == len(met.by_fault[fault])


@pytest.mark.parametrize("fault", PARTIAL)
def test_the_partial_stream_is_kept(met: Met, fault: str) -> None:
    stated = {line["id"]: sum(write[3] for write in line["writes"]) for line in met.truth}
    for row in met.by_fault[fault]:
        kept = len(row["event_characters"])
        assert 1 <= kept <= 8
        assert len(row["event_gap_ns"]) == kept
        if fault != "garbage_event":
            # Every token that was written before the fault is in the row.
            assert kept == stated[row["provider_request_id"]]


@pytest.mark.parametrize("fault", BROKEN)
def test_the_connection_is_not_used_again(met: Met, fault: str) -> None:
    ordered = sorted(met.truth, key=lambda line: int(line["request"]))
    last_use = {line["connection"]: line["request"] for line in ordered}
    struck = [line for line in met.truth if line["fault"] == fault]
    assert struck
    assert [line["request"] for line in struck] == [last_use[line["connection"]] for line in struck]


def test_connections_are_used_again_after_whole_answers(met: Met) -> None:
    good = [row for row in met.by_fault[None] if row["reused_connection"]]
    assert len(good) > len(met.by_fault[None]) / 2
    broken = sum(line["fault"] in BROKEN for line in met.truth)
    assert len({line["connection"] for line in met.truth}) <= 4 + broken + len(
        met.by_fault["garbage_event"] + met.by_fault["error_event"]
    )


def test_the_run_goes_on_to_its_end(met: Met) -> None:
    assert met.manifest["status"] == "complete"
    [stage] = met.manifest["stages"]
    assert stage["issued"] == stage["recorded"] == len({row["request"] for row in met.rows})
    order = [met.fault_of.get(row["provider_request_id"], "headless") for row in met.rows]
    for fault in (kind for kind in KINDS if kind not in HEADLESS):
        assert None in order[order.index(fault) + 1 :], f"nothing succeeded after {fault}"
    assert met.by_fault[None][-1]["sent_ns"] > met.rows[len(met.rows) // 2]["sent_ns"]


def test_what_is_no_failure_is_seen_in_the_row(met: Met) -> None:
    for row in met.by_fault["big_event"]:
        assert max(row["event_characters"]) == 1 << 20
    for row in met.by_fault["model_swap"]:
        assert row["model_reported"] == "emulated-model-swapped"
    assert {row["model_reported"] for row in met.by_fault[None]} == {"emulated-model"}
    for row in met.by_fault["fingerprint_swap"]:
        assert row["system_fingerprint"] == "fp_emulated_other"
    assert {row["system_fingerprint"] for row in met.by_fault[None]} == {"fp_emulated"}
    for row in met.by_fault["no_done"]:
        assert not row["saw_done"]
    assert all(row["saw_done"] for row in met.by_fault[None])
    for row in met.by_fault["wrong_usage"]:
        assert row["output_tokens"] == 12
    assert {row["output_tokens"] for row in met.by_fault[None]} == {8}
    assert {row["retry_after_s"] for row in met.by_fault["http_429"]} == {1.0}


def test_a_url_that_turns_out_to_be_the_emulator_is_marked_so(met: Met) -> None:
    target = met.manifest["target"]
    assert (target["kind"], target["emulated"]) == ("url", True)
    assert "emulated" in [finding["code"] for finding in met.manifest["findings"]]


def test_the_emulator_reports_its_own_lateness(met: Met) -> None:
    lateness = met.end["lateness"]
    assert lateness["writes"] == sum(
        1 for line in met.truth for write in line["writes"] if line["started_ns"] is not None
    )
    assert 0 <= lateness["p50_s"] <= lateness["p99_s"] <= lateness["max_s"]


def test_events_arrive_after_the_truth_log_says_that_they_were_written(met: Met) -> None:
    """Both are readings of one clock. Where the client was late, a stamp is another segment's."""
    truth = {line["id"]: line for line in met.truth}
    anchor = met.manifest["anchor"]["realtime_ns"]
    checked = 0
    for row in met.by_fault[None]:
        writes = truth[row["provider_request_id"]]["writes"]
        written = [at - anchor for at, _, _, tokens in writes if tokens]
        arrived = list(accumulate(row["event_gap_ns"], initial=row["sent_ns"]))[1:]
        if row["shared_stamps"] == 0 and len(written) == len(arrived):
            assert all(late >= early for early, late in zip(written, arrived, strict=True))
            checked += 1
    assert checked


def test_a_profile_of_a_target_provokes_its_faults(tmp_path: Path) -> None:
    """The same through a target of kind emulated, its profile by a path next to the scenario."""
    with open_workspace(tmp_path) as space:
        space.emulated(steady="2s")
        _replace_profile(space, "./refusing.yaml")
        (tmp_path / "scenarios" / "refusing.yaml").write_text(
            "ttft_median: 2ms\nttft_p95: 2ms\nfaults: {http_500: 1.0}\n"
        )
        space.run("run", "short", code=(0, 3))
        rows = space.sql("select outcome, http_status, count(*) as n from attempts group by all")
        assert [(row["outcome"], row["http_status"]) for row in rows] == [("error", 500)]
        assert space.manifest()["target"]["settings"]["profile"]["name"] == "refusing"


def _replace_profile(space: Workspace, name: str) -> None:
    path = space.root / "scenarios" / "short.yaml"
    path.write_text(re.sub(r"profile: \{.*\}", f"profile: {name}", path.read_text()))
