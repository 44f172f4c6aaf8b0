"""What the store's tests share: an empty workspace, and one with an empty database in it."""

from pathlib import Path

import pytest

from observatory.core.workspace import Workspace
from tests.empty_database import stock
from tests.store.made_runs import workspace_in


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_in(tmp_path)


@pytest.fixture
def stocked(workspace: Workspace) -> Workspace:
    """A workspace whose database is there and empty."""
    return stock(workspace)
