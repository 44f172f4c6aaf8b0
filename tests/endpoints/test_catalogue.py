"""Opening targets: what is known of each before and after, and what is refused before any start."""

import socket
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from observatory.core.connection import KeySource, Throttle
from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.targets.api import ApiTarget
from observatory.core.targets.emulated import EmulatedTarget
from observatory.core.targets.llamacpp import LlamaCppTarget
from observatory.core.targets.url import UrlTarget
from observatory.endpoints import llamacpp
from observatory.endpoints.catalogue import check_inputs, open_target, requested_facts
from observatory.endpoints.opened import OpenContext
from observatory.endpoints.url import ad_hoc_target, address_of

IMITATES = {"what": "a service", "figures": ["1 ms"], "source": "a page", "date": "2026-01-31"}
CANARY = "sk-canary-4711-never-show-this"

pytestmark = pytest.mark.usefixtures("no_ambient_openai")


@pytest.fixture
def context(logs: Path) -> OpenContext:
    return OpenContext(logs, lambda text: None)


def url_target(**fields: Any) -> UrlTarget:
    return UrlTarget(
        **({"kind": "url", "name": "t", "url": "http://h:8000/v1", "model": "m"} | fields)
    )


def test_an_emulated_target_is_a_child_on_loopback_and_says_what_it_is(
    context: OpenContext, logs: Path
) -> None:
    target = EmulatedTarget.model_validate(
        {
            "kind": "emulated",
            "name": "emulated-api",
            "profile": {"ttft_median": "10ms", "ttft_p95": "20ms", "imitates": IMITATES},
            "price": {
                "input_per_million_usd": 1,
                "output_per_million_usd": 2,
                "source": "example",
                "basis": "example",
            },
        }
    )
    with open_target(target, context) as opened:
        assert opened.process_id is not None
        assert psutil.Process(opened.process_id).ppid() == psutil.Process().pid
        assert opened.log_path == logs / "engine-emulated-api.log"
        assert opened.alive() is None
        facts = opened.facts
        assert (facts.emulated, facts.on_this_host, facts.model) == (True, True, "emulated-model")
        assert facts.endpoint == f"http://127.0.0.1:{opened.connection.port}/v1"
        assert facts.settings["profile"]["ttft_median"] == "10ms"
        assert facts.settings["imitates"] == "imitates a service, by 1 ms (a page, 2026-01-31)"
        assert facts.price is not None
        assert facts.price["output_per_million_usd"] == 2
    assert not psutil.pid_exists(opened.process_id)
    assert opened.alive() is not None


@pytest.mark.parametrize("kind", ["url", "api"])
def test_a_policy_reaches_the_workers_and_the_facts(
    kind: str, context: OpenContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    stated = {"policy": "pace", "requests_per_minute": 60, "max_wait": "5s"}
    fields = {"name": "t", "model": "m", "throttling": stated}
    target: UrlTarget | ApiTarget = UrlTarget(kind="url", url="http://127.0.0.1:9/v1", **fields)
    if kind == "api":
        target = ApiTarget(kind="api", provider="openai", price="unknown", **fields)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    with open_target(target, context) as opened:
        throttle = opened.connection.throttle
        facts = opened.facts
    assert throttle == Throttle("pace", max_wait_s=5.0, requests_per_minute=60)
    assert facts.throttling == "pace"
    assert facts.settings["throttling"] == {
        "policy": "pace",
        "max_attempts": 8,
        "max_wait_s": 5.0,
        "requests_per_minute": 60,
    }


def test_a_url_target_is_taken_as_it_is_written(
    context: OpenContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", CANARY)
    monkeypatch.setenv("no_proxy", "*")
    target = url_target(
        url="https://Gateway.example/llm/v1/",
        headers={"Authorization": "Bearer ${TOKEN}"},
        query={"api-version": "${TOKEN}"},
        max_rate="2/s",
        max_concurrency=4,
        extra_body={"ignore_eos": True},
        reasoning_effort="low",
        max_tokens_field="max_completion_tokens",
        stream_usage=False,
        timeouts={"connect": "1s", "whole": "30s"},
    )
    with open_target(target, context) as opened:
        connection, facts = opened.connection, opened.facts
        assert (opened.process_id, opened.log_path, opened.alive()) == (None, None, None)
    assert (connection.scheme, connection.host, connection.port) == (
        "https",
        "gateway.example",
        443,
    )
    assert connection.base_path == "/llm/v1"
    assert (connection.connect_timeout_s, connection.total_timeout_s) == (1.0, 30.0)
    assert (connection.max_rate_per_s, connection.max_concurrency) == (2.0, 4)
    assert (connection.max_tokens_field, connection.stream_usage) == (
        "max_completion_tokens",
        False,
    )
    assert facts.endpoint == "https://gateway.example/llm/v1"
    assert facts.on_this_host is False
    assert facts.settings == {
        "extra_body": {"ignore_eos": True},
        "reasoning_effort": "low",
        "max_rate_per_s": 2.0,
        "max_concurrency": 4,
        "headers": ["Authorization"],
        "query": ["api-version"],
        "proxy": "none",
    }
    for kept in (connection, facts):
        assert CANARY not in msgspec.json.encode(kept).decode()


@pytest.mark.parametrize(
    ("host", "here"),
    [("127.0.0.1", True), ("localhost", True), ("[::1]", True), ("10.0.0.1", False)],
)
def test_loopback_is_this_host(context: OpenContext, host: str, here: bool) -> None:
    with open_target(url_target(url=f"http://{host}:1/v1"), context) as opened:
        assert opened.facts.on_this_host is here


def test_openai_is_spoken_to_in_its_dialect_and_its_key_is_only_named(
    context: OpenContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    target = ApiTarget(kind="api", name="o", provider="openai", model="gpt-x")
    with open_target(target, context) as opened:
        connection, facts = opened.connection, opened.facts
    assert connection.endpoint == "https://api.openai.com/v1"
    assert connection.key == KeySource(env="OPENAI_API_KEY")
    assert connection.max_tokens_field == "max_completion_tokens"
    assert (facts.hosting, facts.billing, facts.on_this_host) == ("managed", "tokens", False)
    for kept in (connection, facts):
        assert CANARY not in msgspec.json.encode(kept).decode()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            ApiTarget(kind="api", name="o", provider="openai", model="m"),
            "OPENAI_API_KEY is not set",
        ),
        (
            ApiTarget(kind="api", name="o", provider="openia", model="m"),
            "no provider 'openia' — one of: openai",
        ),
        (url_target(api_key_env="NO_SUCH_KEY"), "NO_SUCH_KEY is not set"),
        (url_target(api_key_file="/no/such/file"), "key file cannot be read: No such file"),
        (url_target(headers={"X-A": "${NO_SUCH_HEADER}"}), "NO_SUCH_HEADER is not set"),
        (url_target(query={"a": "${NO_SUCH_QUERY}"}), "NO_SUCH_QUERY is not set"),
        (url_target(url="http://h:99999/v1"), "target t: this is not a URL: Port out of range"),
        (url_target(ca_bundle="/no/such.pem"), "ca_bundle: there is no such file"),
        (
            EmulatedTarget(kind="emulated", name="emulated", headers={"X": "${NO_SUCH_HEADER}"}),
            "NO_SUCH_HEADER is not set",
        ),
        (
            LlamaCppTarget(kind="llamacpp", name="l", model="no-such-model"),
            "no model 'no-such-model' — the path of a GGUF file, or one of: smollm2-135m",
        ),
    ],
)
def test_what_is_missing_is_said_before_anything_is_started(
    context: OpenContext, logs: Path, target: Any, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        check_inputs(target)
    with pytest.raises(BadInput, match=message):
        open_target(target, context)
    assert not logs.exists()


def test_a_port_that_is_taken_is_said_before_llamacpp_is_started() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        taken = LlamaCppTarget(kind="llamacpp", name="l", port=port)
        with pytest.raises(EnvironmentFailed, match=f"target l: .*:{port}: the port is taken"):
            check_inputs(taken)
    check_inputs(taken)


def test_a_file_that_is_no_model_is_refused(context: OpenContext, tmp_path: Path) -> None:
    path = tmp_path / "notes.gguf"
    path.write_text("not a model")
    with pytest.raises(BadInput, match=r"notes\.gguf: this is not a GGUF file"):
        open_target(LlamaCppTarget(kind="llamacpp", name="l", model=str(path)), context)


def test_a_model_that_memory_cannot_hold_is_refused(
    context: OpenContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "big.gguf"
    path.write_bytes(b"GGUF\3\0\0\0" + bytes(16))
    monkeypatch.setattr(
        llamacpp.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 10})
    )
    with pytest.raises(EnvironmentFailed, match=r"big\.gguf: the model has .* of memory are free"):
        open_target(LlamaCppTarget(kind="llamacpp", name="l", model=str(path)), context)


def test_an_ad_hoc_target_is_never_named_after_its_host() -> None:
    target = ad_hoc_target("http://GPU_box.example:8000/v1/", "meta-llama/Llama 3.1")
    assert (target.name, target.url, target.model) == (
        "llama-3.1",
        "http://GPU_box.example:8000/v1",
        "meta-llama/Llama 3.1",
    )
    assert ad_hoc_target("http://[::1]:8000/v1", None).name == "endpoint"
    assert ad_hoc_target("http://[::1]:8000/v1", "m", "mine").name == "mine"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("localhost:8000/v1", "not a URL of http or https — write it like http://host:8000/v1"),
        ("http:///v1", "not a URL"),
        ("http://h:port/v1", "not a URL"),
        ("http://h/v 1", "must be escaped"),
        ("http://user:pw@h/v1", "credentials are not allowed in a URL"),
        ("http://h/v1?key=1", "put query parameters under query:"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused(url: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        ad_hoc_target(url, "m")
    assert "pw" not in str(caught.value)


def test_addresses() -> None:
    assert address_of("https://h/v1", "x") == ("https", "h", 443, "/v1")
    assert address_of("http://[::1]:81", "x") == ("http", "::1", 81, "")


def test_where_a_target_was_asked_is_known_before_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://user:word@proxy.corp.example:3128")
    requested = requested_facts(
        UrlTarget(kind="url", name="t", url="http://gpu-17:8000/v1", model="m")
    )
    assert requested["endpoint"] == "http://gpu-17:8000/v1"
    assert requested["settings"] == {"proxy": "proxy.corp.example:3128"}
    assert requested_facts(EmulatedTarget(kind="emulated", name="emulated-a")) == {}
