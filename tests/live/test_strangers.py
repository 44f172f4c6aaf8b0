"""Strangers must accept the emulator: the field's other load generators run against it, all of theirs arrive.

Each is skipped with its reason where it is not installed (benchmarks/peers/README.md).
"""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.environments import missing
from benchmarks.peers.run_peer import PEERS, run_peer
from tests.live.harness import PATIENCE_S, Workspace, open_workspace

pytestmark = pytest.mark.live

TTFT_S = 0.05
REQUESTS, TOKENS = 24, 16
PROFILE = """
ttft_median: 50ms
ttft_p95: 50ms
inter_token_median: 5ms
inter_token_p95: 5ms
output_tokens_median: 64
output_tokens_p95: 64
"""


class Emulator:
    """The emulator as a child with its truth log; ended by Ctrl-C, as a person would."""

    def __init__(self, space: Workspace) -> None:
        profile, self.log = space.root / "fixed.yaml", space.root / "truth.jsonl"
        profile.write_text(PROFILE)
        self.child = space.start(
            "emulate", str(profile), "--port", "0", "--truth-log", str(self.log)
        )
        assert self.child.stdout is not None
        lines = iter(self.child.stdout.readline, "")
        self.url = next(line.split()[-1] for line in lines if "base URL" in line)

    def answers(self) -> list[dict[str, Any]]:
        """Return the truth log's entries of its answers, after its end."""
        self.child.send_signal(signal.SIGINT)
        self.child.communicate(timeout=PATIENCE_S)
        entries = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [entry for entry in entries if entry.get("output_tokens")]


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Emulator]:
    with open_workspace(tmp_path) as space:
        yield Emulator(space)


@pytest.mark.parametrize("name", PEERS)
def test_all_of_a_strangers_requests_are_answered(
    name: str, emulator: Emulator, tmp_path: Path
) -> None:
    if reason := missing(*PEERS[name].needs):
        pytest.skip(reason)
    result = run_peer(
        name,
        emulator.url,
        "emulated-model",
        concurrency=4,
        requests=REQUESTS,
        core=None,
        out_dir=tmp_path / "out",
        output_tokens=TOKENS,
        timeout_s=PATIENCE_S,
    )
    assert result.reason is None
    assert (result.completed, result.errors) == (REQUESTS, 0)
    if result.output_tokens is not None:
        assert result.output_tokens == REQUESTS * TOKENS
    answers = emulator.answers()
    assert len(answers) == REQUESTS
    assert {answer["status"] for answer in answers} == {200}
    assert {answer["output_tokens"] for answer in answers} == {TOKENS}
    assert not any(answer["gone"] for answer in answers)
    assert result.reported_ttft_p50_s is not None and result.reported_ttft_p99_s is not None
    # vLLM's bench takes the role event for the first token, and the emulator sends that one at
    # once, as vLLM may; all others wait for text.
    least = 0.0 if name == "vllm-bench" else TTFT_S * 0.95
    assert least < result.reported_ttft_p50_s <= result.reported_ttft_p99_s
    assert result.wall_s is not None and result.wall_s >= REQUESTS / 4 * TTFT_S


@pytest.mark.parametrize("name", [name for name, peer in PEERS.items() if not peer.open_loop])
def test_a_peer_without_open_loop_says_so(name: str, tmp_path: Path) -> None:
    result = run_peer(name, "http://127.0.0.1:9/v1", "m", 1, 1, None, tmp_path, rate_per_s=5)
    assert result.reason == "it has no open-loop arrivals"
    assert result.completed is None


def test_a_peer_that_fails_has_a_reason_and_no_figures(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/v1"
    result = run_peer("locust-lines", nobody, "m", 1, 3, None, tmp_path, timeout_s=60)
    assert result.reason is not None or result.errors == 3
    assert not result.completed
