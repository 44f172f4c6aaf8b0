"""The workspace that the live tests run the real command in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.peers.environments import missing
from tests.live.foreign import serving_vllm
from tests.live.harness import Workspace, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path) as space:
        yield space


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace of which nothing is there: its first run makes the database."""
    with open_workspace(tmp_path, stocked=False) as space:
        yield space


@pytest.fixture(scope="session")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Real vLLM, which computes one request at a time, for all tests that only ask it; they run in one process."""
    if reason := missing("vllm"):
        pytest.skip(reason)
    log = tmp_path_factory.mktemp("vllm") / "log"
    with serving_vllm(log, "--max-num-seqs", "1") as address:
        yield address
