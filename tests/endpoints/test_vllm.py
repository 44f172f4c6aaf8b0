"""A vLLM target opened: with a command that behaves as vLLM does (fake_vllm.py)."""

import dataclasses
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from observatory.core.errors import BadInput, EnvironmentFailed, TargetFailed
from observatory.core.targets.vllm import VllmTarget
from observatory.endpoints import vllm as opening
from observatory.endpoints.catalogue import check_inputs, open_target
from observatory.endpoints.check import check_target
from observatory.endpoints.opened import OpenContext


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path / "cache"))
    for name in ("VLLM_CPU_KVCACHE_SPACE", "OMP_NUM_THREADS", "HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def target(fake_vllm: Path, tiny_model: Path) -> Callable[..., VllmTarget]:
    def make(wrong: str = "", **fields: Any) -> VllmTarget:
        given = {"environment": {"FAKE_VLLM": wrong}} if wrong else {}
        plain = {
            "kind": "vllm",
            "name": "v",
            "model": str(tiny_model),
            "executable": fake_vllm,
            "start_timeout": "30s",
        }
        return VllmTarget(**(plain | given | fields))

    return make


@pytest.fixture
def progress_lines() -> list[str]:
    return []


@pytest.fixture
def context(logs: Path, progress_lines: list[str]) -> OpenContext:
    return OpenContext(logs, progress_lines.append)


def test_it_comes_up_says_what_it_is_and_goes(
    target: Callable[..., VllmTarget], context: OpenContext, progress_lines: list[str]
) -> None:
    with open_target(target(max_num_seqs=8), context) as opened:
        assert check_target(opened).models == ["tiny"]
        assert opened.alive() is None
        assert opened.process_id is not None
        processes = psutil.Process(opened.process_id).children(recursive=True)
        facts = opened.facts
    assert not any(process.is_running() for process in processes)
    assert not psutil.pid_exists(opened.process_id)
    assert (facts.engine, facts.engine_version, facts.engine_distribution) == (
        "vLLM",
        "9.9.9",
        None,
    )
    assert (facts.model, facts.license, facts.parameters) == ("tiny", "apache-2.0", 35)
    assert facts.weight_format == "bfloat16 safetensors"
    assert len(str(facts.model_sha256)) == 64 and facts.model_revision is None
    settings = facts.settings
    assert settings["arguments"][:3] == ["serve", str(Path(settings["arguments"][1])), "--host"]
    assert "--max-num-seqs" in settings["arguments"]
    assert settings["resolved"]["kv_cache_tokens"] == 1600
    assert settings["resolved"]["cache"] == {"block_size": 16, "blocks": 100}
    assert settings["environment"]["chosen"]["VLLM_NO_USAGE_STATS"] == "1"
    assert progress_lines == [
        "v: starting vLLM with tiny",
        "v: loading weights",
        "v: KV cache of 1,600 tokens allocated",
        "v: starting the server",
    ]


def test_a_third_partys_build_is_not_called_vllm_when_it_starts_or_fails(
    target: Callable[..., VllmTarget],
    context: OpenContext,
    progress_lines: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = opening.command_of(target())
    package = "vllm-cpu 9.9.9 (third party's CPU build of vLLM)"
    monkeypatch.setattr(
        opening, "command_of", lambda _: dataclasses.replace(command, distribution=package)
    )
    with pytest.raises(TargetFailed, match=r"log: vllm-cpu 9\.9\.9 of v ended"):
        open_target(target("crash"), context)
    assert progress_lines[0] == "v: starting vllm-cpu 9.9.9 with tiny"


def test_a_secret_reaches_the_engine_and_nothing_that_is_kept(
    target: Callable[..., VllmTarget],
    context: OpenContext,
    logs: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("MY_TOKEN", "canary-4711")
    given = {"HF_TOKEN": "${MY_TOKEN}"}
    with open_target(target(environment=given), context) as opened:
        assert opened.process_id is not None
        engine = psutil.Process(opened.process_id)
        assert engine.environ()["HF_TOKEN"] == "canary-4711"
        lines = [part for one in (engine, engine.parent()) if one for part in one.cmdline()]
        assert not any("canary" in part for part in lines)
        assert opened.facts.settings["environment"]["given"] == given
        assert "canary" not in str(opened.facts)
        kept = [path for folder in (logs, tmp_path / "cache") for path in folder.rglob("*.*")]
        assert kept
        assert not any(b"canary" in path.read_bytes() for path in kept if path.is_file())


def test_adapters_are_served_and_asked_once(
    target: Callable[..., VllmTarget], context: OpenContext, tmp_path: Path
) -> None:
    for name, rank in (("a", 8), ("b", 4)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(f'{{"r": {rank}, "x": 1}}')
    adapters = [{"name": name, "path": str(tmp_path / name)} for name in ("a", "b")]
    with open_target(target(adapters=adapters, ask=["b", "a", "base"]), context) as opened:
        assert opened.connection.models == ["b", "a", "tiny"]
        settings = opened.facts.settings
    assert settings["asked_in_turn"] == ["b", "a", "tiny"]
    assert [(one["name"], one["rank"]) for one in settings["adapters"]] == [("a", 8), ("b", 4)]
    assert all(len(one["sha256"]) == 64 for one in settings["adapters"])
    assert "--max-lora-rank" in settings["arguments"]


def ended(progress_lines: list[str], before: set[psutil.Process]) -> None:
    """Assert that the end of the log was printed, and nothing is left."""
    assert any(line.startswith("v | ") for line in progress_lines)
    until = time.monotonic() + 5
    while set(psutil.Process().children(recursive=True)) - before and time.monotonic() < until:
        time.sleep(0.02)
    assert not set(psutil.Process().children(recursive=True)) - before


@pytest.mark.parametrize(
    ("wrong", "fields", "why"),
    [
        (
            "crash",
            {},
            r"ended by exit code 1; .* ends: ValueError: the weights are of another model$",
        ),
        ("", {"flags": {"no-such-flag": 3}}, "ends: unrecognized arguments: --no-such-flag 3"),
        ("hang", {"start_timeout": "1s"}, "was not ready in time; .*raise start_timeout"),
        ("no-model", {}, "does not serve tiny: GET /v1/models answered HTTP 200 with another"),
        ("die-listing", {}, "ended by exit code 7; its log .* ends: "),
        ("refuse", {}, "answered its first completion with HTTP 400: .*no template"),
    ],
)
def test_why_it_did_not_come_up(
    wrong: str,
    fields: dict[str, Any],
    why: str,
    target: Callable[..., VllmTarget],
    context: OpenContext,
    progress_lines: list[str],
) -> None:
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(TargetFailed, match=why):
        open_target(target(wrong, **fields), context)
    ended(progress_lines, before)


def test_its_end_while_it_is_open_is_told(
    target: Callable[..., VllmTarget], context: OpenContext
) -> None:
    with open_target(target(), context) as opened:
        assert opened.process_id is not None
        for child in psutil.Process(opened.process_id).children():
            child.kill()
        until = time.monotonic() + 10
        while (why := opened.alive()) is None and time.monotonic() < until:
            time.sleep(0.02)
    assert "engine core exited unexpectedly" in str(why)


def test_a_port_that_is_taken_is_said_before_anything_starts(
    target: Callable[..., VllmTarget],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(EnvironmentFailed, match=rf"target v: 127\.0\.0\.1:{port}: the port is"):
            check_inputs(target(port=port))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"executable": "/none/vllm"}, "executable: no /none/vllm here — .*engine install"),
        ({"executable": __file__}, "cannot be executed"),
        ({"executable": None, "engine": "vllm==0.0.1"}, r"vllm==0\.0\.1 is not installed"),
        ({"model": "/none/here"}, "there is no model folder '/none/here'"),
        ({"model": os.path.dirname(__file__)}, "has no config.json"),  # noqa: PTH120
        ({"revision": "main"}, "revision is for a hub id"),
        ({"adapters": [{"name": "a", "path": "/none"}]}, "adapter a: there is no adapter_config"),
        ({"environment": {"A": "${NOT_SET}"}}, "environment variable NOT_SET is not set"),
        ({"gpus": [0], "tensor_parallel_size": 2}, "tensor_parallel_size is 2, and 1 GPU is given"),
        ({"headers": {"X": "${NOT_SET}"}}, "environment variable NOT_SET is not set"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(
    fields: dict[str, Any], why: str, target: Callable[..., VllmTarget]
) -> None:
    with pytest.raises(BadInput, match=why):
        check_inputs(target(**fields))


def test_too_little_memory(
    target: Callable[..., VllmTarget], context: OpenContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = type("Memory", (), {"available": 2 * 2**30})
    monkeypatch.setattr(opening.psutil, "virtual_memory", free)
    fake = target(environment={"VLLM_CPU_KVCACHE_SPACE": "3"})
    if Path("/dev/nvidiactl").exists():
        pytest.skip("there is a GPU, so that it is not taken for a CPU build")
    with pytest.raises(
        EnvironmentFailed, match=r"5\.0 GiB of memory are needed \(weights 0\.0, KV"
    ):
        open_target(fake, context)
