"""The hand-off lies in memory while a child reads it, and nowhere afterwards."""

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from observatory.load import handoff as module
from observatory.load.handoff import (
    handed_over,
    nameless_file,
    put_handoff,
    read_handoff,
    take_handoff,
)
from tests.load.test_command import CLOSED, handoff

READS = """
import os, sys
from pathlib import Path
from observatory.load.handoff import read_handoff
if os.fork() == 0:  # as Locust's workers are made
    print(read_handoff(Path(sys.argv[1])).run_id, flush=True)
    os._exit(0)
os.wait()
print(read_handoff(Path(sys.argv[1])).run_id)
"""


def test_children_read_it_by_an_inherited_descriptor(tmp_path: Path) -> None:
    given = handoff(CLOSED)
    with handed_over(tmp_path, given) as (path, descriptors):
        assert list(tmp_path.iterdir()) == []
        read = subprocess.run(
            [sys.executable, "-c", READS, path],
            pass_fds=descriptors,
            capture_output=True,
            text=True,
            check=False,
        )
    assert read.stdout.split() == [given.run_id] * 2, read.stderr
    assert not Path(path).exists()


def test_it_is_a_private_file_where_memory_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_file_in_memory", nullcontext)
    given = handoff(CLOSED)
    with handed_over(tmp_path, given) as (path, descriptors):
        assert Path(path).stat().st_mode & 0o777 == 0o600 and descriptors == ()
        assert read_handoff(Path(path)) == given
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("memory", [True, False])
def test_one_that_a_child_makes_has_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: bool
) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    if not memory:
        monkeypatch.setattr(module, "_file_in_memory", nullcontext)
    given = handoff(CLOSED)
    with nameless_file() as descriptor:
        put_handoff(descriptor, given)
        assert list(tmp_path.iterdir()) == []
        assert take_handoff(descriptor) == given
    with pytest.raises(OSError, match="Bad file descriptor"):
        take_handoff(descriptor)
