"""How peers are started and read, without running one; tests/live/test_strangers.py runs them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.peers import aiperf, environments, guidellm, vllm_bench
from benchmarks.peers.locust_peer import LocustPeer, percentile_s
from benchmarks.peers.peer import Job
from benchmarks.peers.run_peer import PEERS, run_peer
from observatory.engines.install import PINS as ENGINE_PINS


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job("http://127.0.0.1:8000/v1", "m", 8, 100, tmp_path, output_tokens=16)


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 0.1), (0.75, 0.1), (0.76, 1.2), (0.99, 1.2)])
def test_a_percentile_is_the_nearest_rank_of_numbers_not_of_words(
    share: float, wanted: float
) -> None:
    assert percentile_s({"1200": 1, "99": 1, "100": 2}, share) == wanted


def test_what_locust_says(job: Job) -> None:
    times = {"410": 9, "500": 1}
    answers = {"name": "answer", "start_time": 100.0, "last_request_timestamp": 105.0}
    answers |= {"num_requests": 10, "num_failures": 1, "response_times": times}
    ttft = {"name": "ttft", "response_times": {"140": 5, "150": 4}}
    (job.out_dir / "locust.json").write_text(json.dumps([answers, ttft]))
    stated = LocustPeer("openai_client.py").read(job)
    assert (stated.completed, stated.errors, stated.wall_s, stated.requests_per_s) == (
        9,
        1,
        5.0,
        2.0,
    )
    assert (stated.ttft_p50_s, stated.ttft_p99_s) == (0.14, 0.15)


def test_an_open_loop_is_asked_for_in_each_peers_words(job: Job) -> None:
    even = replace(job, rate_per_s=40, arrivals="constant")
    poisson = replace(job, rate_per_s=40, arrivals="poisson")
    assert "--max-concurrency 8" in " ".join(vllm_bench.invocation(job).command)
    assert "--request-rate 40 --burstiness 1000000" in " ".join(vllm_bench.invocation(even).command)
    assert (
        " ".join(vllm_bench.invocation(poisson).command[-4:]) == "--request-rate 40 --burstiness 1"
    )
    assert "--concurrency 8" in " ".join(aiperf.invocation(job).command)
    assert "--arrival-pattern constant" in " ".join(aiperf.invocation(even).command)
    assert "kind=concurrent,streams=8" in guidellm.invocation(job).command
    assert "kind=poisson,rate=40" in guidellm.invocation(poisson).command
    assert len((job.out_dir / "prompts.jsonl").read_text().splitlines()) == job.requests


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if peer.needs])
def test_what_is_not_installed_is_said_and_not_invented(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path))
    result = run_peer(name, "http://127.0.0.1:9/v1", "m", 1, 1, None, tmp_path / "out")
    assert result.reason is not None and ".ci/peers" in result.reason
    assert (result.completed, result.requests_per_s, result.cpu_s) == (None, None, None)
    assert not (tmp_path / "out").exists()


def test_other_pins_are_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = environments.folder("aiperf")
    (tmp_path / "aiperf.txt").write_text("aiperf==0.0.1\n")
    monkeypatch.setattr(environments, "HERE", tmp_path)
    assert environments.folder("aiperf") != before
    assert environments.version("aiperf") == "0.0.1"


PINS = [*environments.HERE.glob("*.txt"), *ENGINE_PINS.glob("*.txt")]


@pytest.mark.parametrize(
    "path",
    [path for path in PINS if path.name not in ("torch.txt", "without.txt")],
    ids=lambda path: path.name,
)
def test_every_pin_but_torch_has_a_hash_and_no_address(path: Path) -> None:
    lines = path.read_text().splitlines()
    pinned = [place for place, line in enumerate(lines) if "==" in line]
    assert pinned
    assert all("--hash=sha256:" in lines[place + 1] for place in pinned)
    assert not any("://" in line or line.startswith(("-", "torch==")) for line in lines)
