"""A forked command is the command that a fresh interpreter would be."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import slowest
from tests.live.harness import Workspace, open_workspace, wait_until

pytestmark = pytest.mark.live


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path) as space:
        yield space


@pytest.mark.parametrize("words", [["--version"], ["run", "--help"], ["runs", "show", "nothing"]])
def test_a_fork_says_and_ends_as_a_fresh_interpreter(
    words: list[str], workspace: Workspace
) -> None:
    said = []
    for fresh in (False, True):
        child = workspace.start(*words, fresh=fresh)
        said.append((*child.communicate(timeout=60), child.returncode))
    assert said[0] == said[1]
    assert said[0][2] == (2 if words[-1] == "nothing" else 0)


def test_it_is_a_process_of_its_own(workspace: Workspace) -> None:
    before = len(slowest.ELSEWHERE)
    child = workspace.start("emulate", "--port", "0", OF_ITS_OWN="yes")
    process = psutil.Process(child.pid)
    assert child.poll() is None
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    assert process.cwd() == str(workspace.root)
    assert child.stdout is not None and child.stdout.readline()
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(timeout=0.01)
    child.kill()
    assert child.wait(timeout=60) == -signal.SIGKILL == child.poll()
    wait_until(lambda: not process.is_running(), "its end")
    assert len(slowest.ELSEWHERE) == before + 1 and slowest.ELSEWHERE[-1] > 0


def test_a_signal_ends_it_as_the_command_ends(workspace: Workspace) -> None:
    child = workspace.start("emulate", "--port", "0")
    assert child.stdout is not None and child.stdout.readline()
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert child.returncode in (0, 130), out + err
    assert "Traceback" not in out + err
