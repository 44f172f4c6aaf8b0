"""The workspace that the live tests run the real command in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import forked
from tests.live.harness import Workspace, open_workspace


@pytest.fixture(scope="session", autouse=True)
def no_server_is_left() -> Iterator[None]:
    yield
    forked.stop()


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path) as space:
        yield space


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Workspace]:
    """A workspace of which nothing is there: its first run makes the database."""
    with open_workspace(tmp_path, stocked=False) as space:
        yield space
