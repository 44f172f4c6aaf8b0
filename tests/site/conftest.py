"""Seeded warehouses for the site, and the site of one that holds a run of each kind."""

from collections.abc import Callable
from pathlib import Path

import pytest

from observatory.core.workspace import Workspace
from observatory.site.build import build_site
from tests.site.planting import Planted, plant
from tests.site.seeds import EVERYTHING


@pytest.fixture
def seeds() -> dict[str, Planted]:
    """One run of each kind, by target name; dataclasses.replace makes others of them."""
    return {planted.name: planted for planted in EVERYTHING}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with the repository's templates and no database yet."""
    return Workspace(root=tmp_path / "work", results=tmp_path / "work" / "results")


@pytest.fixture
def planter(workspace: Workspace, tmp_path: Path) -> Callable[..., Workspace]:
    """Call it with the runs that the workspace's database is to hold."""

    def call(*runs: Planted) -> Workspace:
        plant(workspace, tmp_path / "scratch", list(runs))
        return workspace

    return call


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace whose database holds one run of each kind."""
    root = tmp_path_factory.mktemp("whole")
    place = Workspace(root=root, results=root / "results")
    plant(place, root / "scratch", EVERYTHING)
    return place


@pytest.fixture(scope="session")
def built(whole: Workspace) -> Path:
    """That workspace's site."""
    return build_site(whole)
