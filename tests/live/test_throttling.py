"""Rate limits through the real command, against the emulator with small allowances: every try that
the service saw is a row, under every policy, in both loops and with two worker processes."""

import json
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live.harness import MEASURED, PATIENCE_S, Workspace, open_workspace, wait_until

pytestmark = pytest.mark.live

PROFILE = """
ttft_median: 5ms
ttft_p95: 5ms
inter_token_median: 2ms
inter_token_p95: 2ms
output_tokens_median: 8
output_tokens_p95: 8
limits: {{requests_per_minute: {limit}}}
"""
SCENARIO = """
name: limited
seed: 3
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8}}
arrivals: {arrivals}
stages:
  - {level}
timing: {{warmup: 0s, steady: {steady}, drain: 60s}}
throttling: {throttling}
processes: {processes}
telemetry: {{interval: 1s, codecarbon: false}}
targets:
  - {{kind: url, name: somewhere, url: "{url}", model: emulated-model}}
"""
CLOSED = {"arrivals": "{kind: closed}", "level": "concurrency: 4", "steady": "3s"}
PATIENT = "{policy: obey, max_attempts: 100, max_wait: 2min}"
LIMIT = 120

Rows = list[dict[str, Any]]


@contextmanager
def service(space: Workspace, limit: int) -> Iterator[str]:
    """An emulator with that many requests a minute; its log of requests is whole after the block."""
    (space.root / "limited.yaml").write_text(PROFILE.format(limit=limit))
    server = space.start("emulate", "./limited.yaml", "--port", "0", "--truth-log", "truth.jsonl")
    assert server.stdout is not None
    banner = ""
    while "Ctrl-C" not in banner:
        banner += server.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/v1", banner)
    assert found is not None
    yield found[0]
    server.send_signal(signal.SIGINT)
    server.communicate(timeout=PATIENCE_S)
    assert server.returncode == 0


@dataclass
class Met:
    """A run: its requests, its attempts, the service's own log, and the view's row."""

    requests: Rows
    attempts: Rows
    seen: Rows
    view: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def codes(self) -> set[str]:
        return {finding["code"] for finding in self.manifest["findings"]}

    def adds_up(self) -> None:
        """Issued = recorded, and the service's log of requests is the rows of tries."""
        [stage] = self.manifest["stages"]
        sent = [row for row in self.requests if row["outcome"] != "not_issued"]
        assert stage["issued"] == stage["recorded"] == len(sent)
        assert self.manifest["status"] == "complete"
        assert len(self.seen) == len(self.attempts) == sum(row["attempts"] for row in sent)
        statuses = Counter(line["status"] for line in self.seen)
        assert statuses == Counter(row["http_status"] for row in self.attempts)
        for row in sent:
            own = [each for each in self.attempts if each["request"] == row["request"]]
            assert [each["attempt"] for each in own] == list(range(row["attempts"]))
            assert [each["final"] for each in own] == [False] * (len(own) - 1) + [True]
            starts = [each["sent_ns"] for each in own]
            assert starts == sorted(starts)


def meet(root: Path, limit: int = LIMIT, processes: int = 1, **given: str) -> Met:
    with open_workspace(root) as space:
        with service(space, limit) as url:
            text = SCENARIO.format(**{**CLOSED, **given}, url=url, processes=processes)
            space.write("limited", text)
            space.run("run", "limited", code=MEASURED)
        lines = [json.loads(line) for line in (root / "truth.jsonl").read_text().splitlines()]
        [view] = space.sql("from throttling")
        return Met(
            space.sql("select * from request_metrics order by request"),
            space.sql(
                "select request, attempt, outcome, http_status, final, sent_ns, ended_ns, "
                "retry_after_s from attempts order by request, attempt"
            ),
            [line for line in lines if line.get("path") == "/v1/chat/completions"],
            view,
            space.manifest(),
        )


def waited_as_told(met: Met) -> None:
    """Assert that no attempt was sent before the wait that the previous one required."""
    for before, after in zip(met.attempts, met.attempts[1:], strict=False):
        if after["attempt"]:
            assert before["outcome"] == "throttled"
            assert after["sent_ns"] - before["ended_ns"] >= before["retry_after_s"] * 1e9


def test_recorded_every_refusal_is_a_request_of_one_try(tmp_path: Path) -> None:
    met = meet(tmp_path, throttling="{policy: record}")
    met.adds_up()
    outcomes = Counter(row["outcome"] for row in met.requests)
    assert outcomes["ok"] >= LIMIT and outcomes["throttled"] > 0
    assert set(outcomes) == {"ok", "throttled"}
    assert {row["attempts"] for row in met.requests} == {1}
    reasons = {row["reason"] for row in met.requests if row["outcome"] == "throttled"}
    assert reasons == {"rate_limited"}
    assert met.view["policy"] == "record" and met.view["served_after_waiting"] == 0
    assert met.view["given_up"] == met.view["throttled_attempts"] == outcomes["throttled"]
    assert {"throttled", "errors"} <= met.codes


@pytest.mark.parametrize("processes", [1, 2])
def test_obeyed_in_a_closed_loop_all_are_served_in_the_end(tmp_path: Path, processes: int) -> None:
    met = meet(tmp_path, processes=processes, throttling=PATIENT)
    met.adds_up()
    waited_as_told(met)
    assert {row["outcome"] for row in met.requests} == {"ok"}
    assert met.view["throttled_requests"] == met.view["served_after_waiting"] > 0
    assert met.view["given_up"] == 0 and met.view["throttle_lost_s"] > 0
    for row in met.requests:
        parts = ("sched_lag_s", "pace_wait_s", "throttle_wait_s", "e2e_s")
        assert sum(row[part] for part in parts) == pytest.approx(row["e2e_scheduled_s"], abs=1e-6)
        assert (row["throttle_wait_s"] > 0) == (row["attempts"] > 1)
    assert "throttled" in met.codes and "errors" not in met.codes


def test_obeyed_in_an_open_loop_all_are_served_in_the_end(tmp_path: Path) -> None:
    """35 a second for 4 s, of an allowance of 120 and 2 a second: the rest wait for their turn."""
    met = meet(
        tmp_path,
        arrivals="{kind: constant}",
        level="rate: 35/s",
        steady="4s",
        throttling=PATIENT,
        processes=2,
    )
    met.adds_up()
    waited_as_told(met)
    assert len(met.requests) == 140
    assert {row["outcome"] for row in met.requests} == {"ok"}
    assert met.view["served_after_waiting"] > 0


def test_paced_as_given_nothing_is_refused(tmp_path: Path) -> None:
    throttling = f"{{policy: pace, requests_per_minute: {LIMIT}}}"
    met = meet(tmp_path, processes=2, throttling=throttling)
    met.adds_up()
    assert {row["outcome"] for row in met.requests} == {"ok"}
    assert {row["http_status"] for row in met.attempts} == {200}
    assert len(met.requests) <= 2 + 2 * 3 + 2, "one second's worth, and two a second"
    assert met.view["pace_lost_s"] > 0 and met.view["throttle_lost_s"] == 0
    assert not {"throttled", "pace_not_kept"} & met.codes
    assert met.manifest["target"]["throttling"] == "pace"


def test_paced_as_learnt_in_an_open_loop_nothing_is_refused(tmp_path: Path) -> None:
    met = meet(
        tmp_path,
        arrivals="{kind: constant}",
        level="rate: 6/s",
        throttling="{policy: pace}",
    )
    met.adds_up()
    assert len(met.requests) == 18
    assert {row["outcome"] for row in met.requests} == {"ok"}
    assert {row["http_status"] for row in met.attempts} == {200}
    assert met.requests[0]["pace_wait_s"] == 0, "before anything is learnt it goes as it comes"
    waits = [row["pace_wait_s"] for row in met.requests]
    assert max(waits) == waits[-1] > 0
    assert not {"throttled", "pace_not_kept", "errors"} & met.codes


def test_paced_above_the_limit_is_obeyed_and_noted(tmp_path: Path) -> None:
    """The service allows 30; the client is configured with 3,000."""
    throttling = "{policy: pace, requests_per_minute: 3000, max_attempts: 100, max_wait: 2min}"
    met = meet(tmp_path, limit=30, throttling=throttling)
    met.adds_up()
    waited_as_told(met)
    assert {row["outcome"] for row in met.requests} == {"ok"}
    assert {"throttled", "pace_not_kept"} <= met.codes


def test_an_interrupt_while_all_wait_ends_them_at_once(tmp_path: Path) -> None:
    """One request a minute: all but the first get a Retry-After of a minute."""
    with open_workspace(tmp_path) as space, service(space, 1) as url:
        given = {**CLOSED, "steady": "100s"}
        space.write("limited", SCENARIO.format(**given, url=url, processes=1, throttling=PATIENT))
        child = space.start("run", "limited")
        wait_until(
            lambda: any(path.stat().st_size for path in space.results.rglob("worker-*.requests")),
            "the first answer",
        )
        time.sleep(1)  # the first user has come again by then, and waits like the others
        child.send_signal(signal.SIGTERM)
        out, err = child.communicate(timeout=PATIENCE_S)
        assert child.returncode == 130, out + err
        rows = space.sql("select outcome, reason, attempts from request_metrics order by request")
        tries = space.sql("select outcome from attempts order by request, attempt")
        manifest = space.manifest()
    assert manifest["status"] == "interrupted" and manifest["sealed"]
    assert Counter((row["outcome"], row["reason"]) for row in rows) == {
        ("ok", None): 1,
        ("interrupted", "interrupted"): 4,
    }
    assert {row["attempts"] for row in rows} == {1}
    assert Counter(each["outcome"] for each in tries) == {"ok": 1, "throttled": 4}
