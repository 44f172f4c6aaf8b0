"""What the store's tests share: an empty workspace."""

from pathlib import Path

import pytest

from observatory.core.workspace import Workspace
from tests.store.made_runs import workspace_in


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return workspace_in(tmp_path)
