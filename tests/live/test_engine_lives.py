"""An engine at each point of its life, and each process killed then: no process of it is left, its port is free.

Most of it with a command that behaves as vLLM's processes do (tests/endpoints/fake_vllm.py), in a second or
two; what only the real ones can show, with real vLLM and real llama.cpp.
"""

import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from benchmarks.peers.environments import ENGINE, MODEL, missing
from observatory.core.workspace import cache_folder
from observatory.processes.process_tree import marker_of
from tests.live.foreign import ONE_VLLM
from tests.live.harness import (
    MEASURED,
    PATIENCE_S,
    Workspace,
    child_running,
    descendants,
    gone,
    records_written,
    wait_until,
)

pytestmark = pytest.mark.live

SCENARIO = """
name: lives
seed: 7
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 2}}]
timing: {{warmup: 500ms, steady: {steady}, drain: 60s}}
telemetry: {{interval: 500ms, codecarbon: false}}
targets: [{target}]
"""


@pytest.fixture(autouse=True)
def own_records(workspace: Workspace, tmp_path: Path) -> None:
    """The tests' engines are recorded apart while they run; what is installed stays where it is."""
    cache = tmp_path / "cache"
    cache.mkdir()
    for name in ("engines", "models"):
        here = cache_folder() / name
        here.mkdir(parents=True, exist_ok=True)
        (cache / name).symlink_to(here)
    workspace.environment["OBSERVATORY_CACHE"] = str(cache)


@pytest.fixture(scope="session")
def fake_vllm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fake") / "vllm"
    source = Path(__file__).parents[1] / "endpoints" / "fake_vllm.py"
    path.write_text(f"#!{sys.executable} -S\n{source.read_text(encoding='utf-8')}")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "tiny"
    path.mkdir()
    (path / "config.json").write_text("{}")
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


class Life:
    """A run of one engine on a port that is known, and the processes that came of it."""

    def __init__(self, space: Workspace, target: dict[str, Any], steady: str) -> None:
        self.space = space
        self.port = free_port()
        text = json.dumps({"name": "engine", "port": self.port, **target})
        space.write("lives", SCENARIO.format(steady=steady, target=text))
        self.child = space.start("run", "lives")
        self.processes: list[psutil.Process] = []

    def until(self, what: str, words: str = "", records: bool = False) -> "Life":
        """Wait for a process with these words (or for records), and take note of all that is there."""

        def there() -> bool:
            assert self.child.poll() is None, self.child.communicate()
            return (not words or child_running(self.child.pid, words) is not None) and (
                not records or records_written(self.space)
            )

        wait_until(there, what)
        self.processes = descendants(self.child.pid)
        return self

    def one(self, words: str) -> psutil.Process:
        """The process with these words."""
        found = child_running(self.child.pid, words)
        assert found is not None, words
        return found

    def end(self, *codes: int) -> str:
        """Wait for the run's end; return its output."""
        out, err = self.child.communicate(timeout=PATIENCE_S)
        assert self.child.returncode in codes, out + err
        return out + err

    def nothing_is_left(self) -> None:
        """Bounded: a supervisor gives an engine its grace."""
        wait_until(lambda: gone(self.processes), "the end of every process")
        wait_until(lambda: not marked(self.child.pid), "the end of all that is marked")
        wait_until(lambda: is_free(self.port), "a free port")

    def manifest(self) -> dict[str, Any]:
        return self.space.manifest()


def marked(runner: int) -> list[int]:
    """Living processes that carry the marker of an engine of this runner."""
    found = []
    for process in psutil.process_iter(["status"]):
        marker = marker_of(process.pid)
        if marker is not None and process.info["status"] != psutil.STATUS_ZOMBIE:
            found += [process.pid] if marker.split(":")[1] == str(runner) else []
    return found


@pytest.fixture
def fake(workspace: Workspace, fake_vllm: Path, folder: Path) -> Iterator[Any]:
    """Start a run on the fake; wrong: the value of FAKE_VLLM. End every process that is left, by its id."""
    lives: list[Life] = []

    def begin(wrong: str = "", steady: str = "60s") -> Life:
        target = {"kind": "vllm", "model": str(folder), "executable": str(fake_vllm)}
        target |= {"environment": {"FAKE_VLLM": wrong}} if wrong else {}
        lives.append(Life(workspace, target, steady))
        return lives[-1]

    yield begin
    for life in lives:
        for process in life.processes:
            if process.is_running():
                process.kill()


STRAY = "VLLM::Stray"


def test_it_is_measured_and_stopped(fake: Any, workspace: Workspace) -> None:
    life = fake(steady="2s").until("its processes", STRAY)
    life.end(*MEASURED)
    life.nothing_is_left()
    manifest = life.manifest()
    assert manifest["status"] == "complete"
    assert manifest["target"]["engine"] == "vLLM"
    (log,) = (workspace.run_folders()[0] / "logs").glob("engine-*.log")
    assert "Starting vLLM server" in log.read_text()
    rows = workspace.sql("select distinct outcome, model_reported from attempts")
    assert rows == [{"outcome": "ok", "model_reported": "tiny"}]


@pytest.mark.parametrize("when", ["starting", "under load"])
def test_kill_9_of_the_runner(when: str, fake: Any) -> None:
    life = fake("hang" if when == "starting" else "")
    life.until(when, STRAY, records=when == "under load")
    life.child.kill()
    life.child.wait()
    life.nothing_is_left()


def test_kill_9_of_the_keeper_under_load(fake: Any) -> None:
    life = fake().until("load", STRAY, records=True)
    life.one("processes.supervisor").kill()
    assert "the process that keeps it was ended by SIGKILL" in life.end(4)
    life.nothing_is_left()
    assert life.manifest()["status"] == "crashed" and life.manifest()["sealed"]


def test_kill_9_of_an_inner_process_is_the_runs_reason(fake: Any) -> None:
    life = fake().until("load", STRAY, records=True)
    life.one("VLLM::EngineCore").kill()
    assert "engine core exited unexpectedly" in life.end(4)
    life.nothing_is_left()
    manifest = life.manifest()
    assert manifest["status"] == "crashed" and manifest["sealed"]
    assert "engine core exited unexpectedly" in manifest["status_reason"]


def test_kill_9_of_runner_and_keeper_is_cleared_by_the_next_run(
    fake: Any, workspace: Workspace
) -> None:
    life = fake("hang").until("its processes", STRAY)
    supervisor = life.one("processes.supervisor")
    record_there = workspace.environment["OBSERVATORY_CACHE"]
    stray = life.one(STRAY)

    def recorded() -> bool:
        files = Path(record_there, "running-engines").glob("*.json")
        return any(str(stray.pid) in path.read_text() for path in files)

    wait_until(recorded, "a record of it")
    os.kill(life.child.pid, signal.SIGSTOP)
    supervisor.kill()
    life.child.kill()
    life.child.wait()
    assert not gone([stray])
    workspace.emulated(steady="1s")
    output = workspace.run("run", "short", code=(0, 3))
    life.nothing_is_left()
    assert output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_while_it_starts(number: signal.Signals, fake: Any) -> None:
    life = fake("hang").until("its start", STRAY)
    life.child.send_signal(number)
    life.end(130)
    life.nothing_is_left()
    assert life.manifest()["status"] == "interrupted"


def test_a_failed_start_streams_its_log_and_names_the_cause(fake: Any) -> None:
    life = fake("crash")
    stated = life.end(4)
    assert "engine | (Worker pid=" in stated  # its log, streamed
    assert "ends: ValueError: the weights are of another model" in " ".join(stated.split())
    life.nothing_is_left()
    assert life.manifest()["status"] == "crashed"


VLLM = {
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "HF_HUB_OFFLINE": "1",
}


def real_vllm() -> dict[str, Any]:
    if reason := missing("vllm"):
        pytest.skip(reason)
    return {
        "kind": "vllm",
        "model": MODEL,
        "served_model_name": "smol",
        "engine": ENGINE,
        "enforce_eager": True,
        "max_model_len": 1024,
        "max_num_seqs": 4,
        "environment": VLLM,
        "license": "Apache-2.0",
    }


@ONE_VLLM
def test_real_vllm_is_measured_with_adapters_and_leaves_nothing(workspace: Workspace) -> None:
    """The small model and two adapters, used in turn; and a secret that must stay in its environment."""
    paths = ("smollm2-lora-standin-1", "smollm2-lora-standin-2")
    adapters = [{"name": path[-9:], "path": path} for path in paths]
    target = real_vllm()
    target["environment"] = {**VLLM, "HF_TOKEN": "${CANARY}"}
    target |= {"adapters": adapters, "ask": [*(one["name"] for one in adapters), "base"]}
    workspace.environment["CANARY"] = "hf_canary4711"
    life = Life(workspace, target, steady="6s")
    life.until("its processes", "VLLM::Worker")
    life.end(*MEASURED)
    life.nothing_is_left()
    facts = life.manifest()["target"]
    assert (facts["engine"], facts["parameters"]) == ("vLLM", 134_515_008)
    assert facts["engine_version"] == "0.32.0"
    assert "third party's CPU build of vLLM" in facts["engine_distribution"]
    assert len(facts["engine_sha256"]) == 64
    assert facts["dtype"] == "bfloat16"
    assert facts["weight_format"] == "bfloat16 safetensors, dequantised from Q4_1"
    assert facts["settings"]["resolved"]["kv_cache_gib"] == 1.0
    assert [one["rank"] for one in facts["settings"]["adapters"]] == [8, 8]
    rows = workspace.sql(
        "select outcome, model_reported, count(*) as n, min(output_tokens) as least, "
        "count(first_token_ns) as begun from attempts group by all order by model_reported"
    )
    assert {row["outcome"] for row in rows} == {"ok"}
    assert [row["model_reported"] for row in rows] == ["smol", "standin-1", "standin-2"]
    assert all(row["least"] >= 1 and row["begun"] == row["n"] for row in rows)
    kept = [path for path in workspace.results.rglob("*") if path.is_file()]
    assert not any(b"canary4711" in path.read_bytes() for path in kept)


@ONE_VLLM
@pytest.mark.parametrize("when", [pytest.param("loading", marks=pytest.mark.soak), "under load"])
def test_kill_9_of_the_runner_of_real_vllm(when: str, workspace: Workspace) -> None:
    words = "VLLM::EngineCore" if when == "loading" else "VLLM::Worker"
    life = Life(workspace, real_vllm(), steady="120s")
    life.until(when, words, records=when == "under load")
    life.child.kill()
    life.child.wait()
    life.nothing_is_left()


@ONE_VLLM
def test_kill_9_of_real_vllms_engine_core_is_the_runs_reason(workspace: Workspace) -> None:
    life = Life(workspace, real_vllm(), steady="120s")
    life.until("load", "VLLM::Worker", records=True)
    life.one("VLLM::EngineCore").kill()
    assert "ngine" in life.end(4)
    life.nothing_is_left()
    manifest = life.manifest()
    assert manifest["status"] == "crashed" and manifest["sealed"]
    assert "engine core exited unexpectedly" in manifest["status_reason"]


@pytest.mark.parametrize("when", ["starting", "under load"])
def test_kill_9_of_the_runner_of_real_llama_cpp(when: str, workspace: Workspace) -> None:
    target = {"kind": "llamacpp", "parallel": 1, "context": 1024}
    life = Life(workspace, target, steady="60s")
    life.until(when, "llamacpp_server", records=when == "under load")
    life.child.kill()
    life.child.wait()
    life.nothing_is_left()
