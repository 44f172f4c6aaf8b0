"""The workspace that the live tests run the real command in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
