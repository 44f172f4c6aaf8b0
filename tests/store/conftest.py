"""What the store's tests share: an empty workspace, and one with an empty database in it."""

import shutil
from pathlib import Path

import pytest

from observatory.core.workspace import Workspace
from observatory.store.database import connect
from tests.store.made_runs import workspace_in


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_in(tmp_path)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database as connect makes it: its thousand comments take a second, once."""
    made = workspace_in(tmp_path_factory.mktemp("empty"))
    connect(made, read_only=False).close()
    return made.database


@pytest.fixture
def stocked(workspace: Workspace, empty_database: Path) -> Workspace:
    """A workspace whose database is there and empty."""
    workspace.results.mkdir()
    shutil.copy(empty_database, workspace.database)
    return workspace
