"""Folders that hold prompts: private, removed, and swept where their process died."""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from observatory.core.system.private_folders import KEPT_NAME, private_folder, sweep_private_folders

LEAVES_ONE = """
import os, signal
from observatory.core.system.private_folders import private_folder
with private_folder("site") as folder:
    (folder / "answer.parquet").write_text("a prompt")
    print(folder, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def made_by_the_dead() -> Path:
    made = subprocess.run(
        [sys.executable, "-c", LEAVES_ONE], capture_output=True, text=True, check=False
    )
    return Path(made.stdout.strip())


def test_a_folder_is_private_and_goes(temporary: Path) -> None:
    with private_folder("check") as folder:
        assert folder.parent == temporary and folder.stat().st_mode & 0o777 == 0o700
        (folder / "x").write_text("a prompt")
        assert sweep_private_folders() == [] and folder.exists()
    assert list(temporary.iterdir()) == []
    with pytest.raises(KeyError), private_folder() as folder:
        (folder / "x").write_text("a prompt")
        raise KeyError
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_swept(temporary: Path) -> None:
    left = made_by_the_dead()
    assert (left / "answer.parquet").exists()
    other = temporary / "observatory-notes"
    other.mkdir()
    assert sweep_private_folders() == [left]
    assert list(temporary.iterdir()) == [other]


def test_what_is_named_to_a_person_is_kept() -> None:
    with pytest.raises(KeyError), private_folder("check", keep_on_error=True) as folder:
        (folder / "engine.log").write_text("why")
        raise KeyError
    assert (folder / "engine.log").exists() and (folder / KEPT_NAME).exists()
    assert sweep_private_folders() == [] and folder.exists()
    with pytest.raises(KeyError), private_folder("check", keep_on_error=True) as empty:
        raise KeyError
    assert not empty.exists()


def test_a_locked_folder_of_a_process_that_is_not_seen_here_stays() -> None:
    """Another container's: its number means nothing here, its lock does."""
    left = made_by_the_dead()

    with (left / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert sweep_private_folders() == [] and left.exists()
    assert sweep_private_folders() == [left]


def test_folders_of_earlier_versions_are_swept_where_nobody_uses_them(temporary: Path) -> None:
    old, used, young = (
        temporary / f"observatory-{name}" for name in ("abcdefgh", "used_1_2", "young_34")
    )
    for folder in (old, used, young):
        folder.mkdir(mode=0o700)
        (folder / "handoff.msgpack").write_text("a prompt")
    for folder in (old, used):
        os.utime(folder, (time.time() - 600,) * 2)
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], cwd=used)
    try:
        assert sweep_private_folders() == [old]
        assert used.exists() and young.exists()
    finally:
        child.kill()
        child.wait()


def test_a_link_is_not_followed(temporary: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "mine").write_text("mine")
    (temporary / "observatory-999999999-abcdefgh").symlink_to(elsewhere)
    assert sweep_private_folders() == [] and (elsewhere / "mine").exists()


def test_no_process_of_ours_leaves_its_memory() -> None:
    code = (
        "import resource, subprocess\n"
        "from observatory.core.system.processes import leave_no_core_dumps\n"
        "leave_no_core_dumps()\n"
        "subprocess.run(['sh', '-c', 'ulimit -c'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "0"
