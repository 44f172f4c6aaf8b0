"""Who gives way: the process, and its session's group where Linux shares cores out by session."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from observatory.core.system.priority import set_niceness


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command, start_new_session=True) as process:
        yield process
        process.kill()


def test_a_process_becomes_nicer(sleeper: subprocess.Popen[bytes]) -> None:
    set_niceness(sleeper.pid, 7)
    assert os.getpriority(os.PRIO_PROCESS, sleeper.pid) == 7


def test_its_session_goes_with_it(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    group = tmp_path / str(sleeper.pid) / "autogroup"
    group.parent.mkdir()
    group.touch()
    set_niceness(sleeper.pid, 7, tmp_path)
    assert group.read_text() == "7"


def test_a_session_of_others_is_left_alone(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        group = tmp_path / str(process.pid) / "autogroup"
        group.parent.mkdir()
        group.touch()
        set_niceness(process.pid, 3, tmp_path)
        assert group.read_text() == ""


def test_what_is_refused_or_gone_is_no_fault(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.kill()
    sleeper.wait()
    set_niceness(sleeper.pid, 5)


@pytest.mark.skipif(
    not Path("/proc/self/autogroup").exists(), reason="this kernel does not group by session"
)
def test_the_kernel_takes_it(sleeper: subprocess.Popen[bytes]) -> None:
    set_niceness(sleeper.pid, 9)
    assert Path(f"/proc/{sleeper.pid}/autogroup").read_text().split()[-1] == "9"
