"""Workspaces on disk for the tests of inputs."""

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from observatory.core.workspace import Workspace

WriteScenario = Callable[..., Path]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty workspace that is also the current folder, so that paths are shown relative."""
    (tmp_path / "scenarios").mkdir()
    monkeypatch.chdir(tmp_path)
    return Workspace(root=tmp_path, results=tmp_path / "results")


@pytest.fixture
def write(workspace: Workspace) -> WriteScenario:
    """Write a file of the scenarios folder, its text dedented; answers its path."""

    def write_file(text: str, name: str = "mine.yaml") -> Path:
        path = workspace.root / "scenarios" / name
        path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return write_file
