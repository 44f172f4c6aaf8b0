"""Host names are hidden, and nothing else is."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from observatory.site.queries.hosts import MASK, SOCKET_MASK, HostMask, host_named, host_names
from observatory.site.queries.run_row import RunRow
from tests.site.made_rows import run_row


def row(endpoint: str | None, kind: str = "url", host: str | None = None, **values: Any) -> RunRow:
    environment = json.dumps({"host": host})
    return run_row(endpoint=endpoint, target_kind=kind, environment=environment, **values)


def test_hosts_of_environment_and_url_targets_are_hidden_others_are_not() -> None:
    names = host_names(
        [
            row("http://gpu-7.corp.example:8000/v1", host="build-box"),
            row("http://127.0.0.1:4000/v1", "llamacpp"),
            row("http://[::1]:4000/v1"),
            row("https://api.openai.com/v1", "api"),
            row("https://team-7.openai.azure.com/openai/v1", "api"),
            row(None),
        ]
    )
    assert names == {"gpu-7.corp.example", "build-box", "team-7.openai.azure.com"}


def test_a_proxy_is_a_host_too() -> None:
    shown = {"proxy": "cache.corp.example:3128"}
    straight = {"proxy": "none"}
    rows = [
        row("https://api.openai.com/v1", "api", settings=settings)
        for settings in (shown, straight, {"proxy": "[fd00::1]:3128"})
    ]
    assert host_names(rows) == {"cache.corp.example", "fd00::1"}


def test_names_are_masked_as_whole_words_in_free_text_only() -> None:
    frame = pl.DataFrame(
        {"error_text": ["no route to BUILD-box:80", "build-boxes"], "run_id": ["build-box", "x"]}
    )
    shown = HostMask({"build-box"}).frame(frame)
    assert shown["error_text"].to_list() == [f"no route to {MASK}", "build-boxes"]
    assert shown["run_id"].to_list() == ["build-box", "x"]
    rows = [HostMask({"build-box"}).row(row) for row in frame.to_dicts()]
    assert rows == shown.to_dicts()


def test_characters_that_mean_something_in_patterns_are_taken_as_they_are() -> None:
    frame = pl.DataFrame({"message": ["a.b and axb"]})
    assert HostMask({"a.b"}).frame(frame)["message"].to_list() == [f"{MASK} and axb"]


def test_what_was_asked_names_a_host_also_where_nothing_was_opened() -> None:
    scenario = {
        "telemetry": {
            "dcgm": "http://dcgm-9:9400/metrics",
            "prometheus": [{"url": "http://prom-9/metrics"}],
            "probes": [{"url": "http://probe-9:9410"}],
        }
    }
    failed = row(None, status_reason="http://gpu-17:8000/v1: the connection was refused")
    watched = row(None, scenario_json=json.dumps(scenario))
    assert host_names([failed, watched]) == {"gpu-17", "dcgm-9", "prom-9", "probe-9"}


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("http://gpu17:8000/v1: it cannot be reached", f"http://{MASK} it cannot be reached"),
        ("HTTP 503: upstream connect error to 10.3.2.1:8000", f"HTTP 503: upstream connect error to {MASK}"),
        ("no route to fd00::17 (EHOSTUNREACH)", f"no route to {MASK} (EHOSTUNREACH)"),
        ("connect to [fd00::17]:8000 failed", f"connect to {MASK} failed"),
        ("HTTP 502: node-3:9000 reset", f"HTTP 502: {MASK} reset"),
        ("vllm-0.vllm.team.svc.cluster.local did not answer", f"{MASK} did not answer"),
        ("gpu17.corp.example.com:443 refused", f"{MASK} refused"),
        ("proxy squid:3128: it refused the tunnel", f"proxy {MASK}: it refused the tunnel"),
        ("the name 'gpu17' cannot be resolved", f"the name '{MASK}' cannot be resolved"),
        ("certificate is not valid for 'inner.corp.com'", f"certificate is not valid for '{MASK}'"),
        ("doesn't match either of 'a.corp.com', 'b1' in certificate",
         f"doesn't match either of '{MASK}', '{MASK}' in certificate"),
        ("ip-10-2-3-4.eu-west-1.compute.internal is gone", f"{MASK} is gone"),
        ("unix:///run/team/x.sock refused", f"{SOCKET_MASK} refused"),
        ("/var/run/vllm.sock: no such file", f"{SOCKET_MASK}: no such file"),
        ("/home/alice/w/logs/engine.log: it ended", "~/w/logs/engine.log: it ended"),
        ("/srv/lab/bench/results/runs/r/x.log: full", "(workspace)/results/runs/r/x.log: full"),
        ("alice@build-box: denied", f"{MASK}: denied"),
        ("upstream 'https://user:pw@gw.corp/x?k=1' failed", f"upstream 'https://{MASK}' failed"),
    ],
)  # fmt: skip
def test_addresses_in_written_texts_are_hidden(written: str, shown: str) -> None:
    mask = HostMask((), workspace=[Path("/srv/lab/bench")])
    for column in ("status_reason", "error_text", "message", "reason"):
        assert mask.row({column: written}) == {column: shown}


@pytest.mark.parametrize(
    "text",
    [
        "HTTP 400: max_tokens must be at most 4096 (invalid_request_error)",
        "http://127.0.0.1:8000/v1: the connection was refused",
        "connect to [::1]:9000 failed at 12:30:45",
        "https://api.openai.com/v1: it answered 401",
        "vLLM 0.32.0 ended by signal SIGKILL; its log vllm.log is empty: config.json",
        "the ratio is 1.25:10, of stage 3: 12 of 40",
    ],
)
def test_what_names_no_host_stays(text: str) -> None:
    assert HostMask(()).row({"error_text": text}) == {"error_text": text}


def test_two_hosts_of_a_page_stay_two() -> None:
    devices = ['page{Hostname="node7",gpu="0"}', 'page{Hostname="node8",gpu="0"}', "gpu0", "cpu"]
    frame = pl.DataFrame({"device": devices, "value": [1.0, 2.0, 3.0, 4.0]})
    shown = HostMask(()).frame(frame)["device"].to_list()
    assert shown == ['page{Hostname="(host 1)",gpu="0"}', 'page{Hostname="(host 2)",gpu="0"}', "gpu0", "cpu"]  # fmt: skip


def test_a_target_named_after_its_host_is_called_otherwise_and_still_found() -> None:
    old = row("http://gpu-17.corp:8000/v1", target="gpu-17.corp-8000")
    chosen = row("http://gpu-17.corp:8000/v1", target="our-vllm")
    failed = row(None, target="gpu-9-80", status_reason="http://gpu-9/v1: refused")
    aliases = host_named([old, chosen, failed])
    assert aliases == {"gpu-17.corp-8000": "host-not-shown-1", "gpu-9-80": "host-not-shown-2"}
    mask = HostMask((), aliases=aliases)
    run = {"run_id": "20261101T000000Z-chat-gpu-17.corp-8000-1a2b", "target": "gpu-17.corp-8000"}
    shown = mask.row(run)
    assert shown == {
        "run_id": "20261101T000000Z-chat-host-not-shown-1-1a2b",
        "target": "host-not-shown-1",
    }
    assert mask.frame(pl.DataFrame([run])).to_dicts() == [shown]
    assert mask.unmasked(shown["run_id"]) == run["run_id"]
