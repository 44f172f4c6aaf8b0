"""A disk that fills up while journalling: the run ends with a clear line and stays readable."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live.harness import Workspace

pytestmark = pytest.mark.live


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted here (needs root)")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_is_named_and_what_was_written_is_kept(
    workspace: Workspace, small_disk: Path
) -> None:
    workspace.emulated(steady="60s", users=(16,))
    text = workspace.run("run", "short", "--results", str(small_disk), code=4)
    assert "space" in text.lower() or "full" in text.lower()
    assert "Traceback" not in text
    saved = workspace.root / "saved"
    subprocess.run(["cp", "-a", str(small_disk), str(saved)], check=True)
    workspace.run("rebuild", "--results", str(saved))
    out = workspace.run(
        "sql", "select count(*) as n, min(status) as status from request_metrics", "--format", "csv", "--results", str(saved),
    )  # fmt: skip
    count, status = out.strip().splitlines()[1].split(",")
    assert int(count) > 100
    assert status == "crashed"
    assert os.path.ismount(small_disk)
