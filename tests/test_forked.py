"""A forked command is the command that a fresh interpreter would be."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests import slowest
from tests.forked import ROOT
from tests.forked_children import MODULES
from tests.live.harness import Workspace, child_running, gone, open_workspace, wait_until

pytestmark = pytest.mark.live


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    with open_workspace(tmp_path) as space:
        yield space


@pytest.mark.parametrize("words", [["--version"], ["run", "--help"], ["runs", "show", "nothing"]])
def test_a_fork_says_and_ends_as_a_fresh_interpreter(
    words: list[str], workspace: Workspace
) -> None:
    lines = []
    for fresh in (False, True):
        child = workspace.start(*words, fresh=fresh)
        lines.append((*child.communicate(timeout=60), child.returncode))
    assert lines[0] == lines[1]
    assert lines[0][2] == (2 if words[-1] == "nothing" else 0)


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


def test_what_a_run_starts_are_forks_and_its_own_children(workspace: Workspace) -> None:
    child = workspace.start("run", workspace.emulated(steady="60s"))
    started = []
    for words in MODULES:
        wait_until(lambda words=words: child_running(child.pid, words) is not None, words)  # type: ignore[misc]
        process = child_running(child.pid, words)
        assert process is not None
        assert process.ppid() == child.pid
        assert os.getsid(process.pid) == process.pid
        # Of all three only the server of forks loads it.
        assert "polars" in Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
        started.append(process)
    child.kill()
    child.wait(timeout=60)
    wait_until(lambda: gone(started), "their ends")


PATCHED = """
from tests import forked_children
forked_children.import_locust()
import socket, threading, time, requests, urllib3
before = socket.socket, time.sleep, threading.Lock
requests.taken = time.sleep
import gevent.monkey
assert not gevent.monkey.is_anything_patched()
forked_children.patch()
import gevent.socket, gevent.queue
assert before[0] is not socket.socket is gevent.socket.socket
assert before[1] is not time.sleep is requests.taken is gevent.sleep
assert before[2] is not threading.Lock
assert urllib3.connectionpool.ConnectionPool.QueueCls is gevent.queue.LifoQueue
socket.create_server(("127.0.0.1", 0)).close()
"""


def test_a_fork_that_becomes_locust_has_its_patches() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PATCHED], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
