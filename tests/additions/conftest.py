"""Copies of the package."""

from pathlib import Path

import pytest

from tests.additions.package_copy import PackageCopy, copy_package


@pytest.fixture
def package(tmp_path: Path) -> PackageCopy:
    return copy_package(tmp_path)
