"""The child that installs: its output, its locks, and its end with the parent."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from observatory.processes.pip_process import Failed, run

REFUSED = """WARNING: Retrying after connection broken by 'x: [Errno 111] Connection refused')
ERROR: Could not find a version that satisfies the requirement a==1 (from versions: none)
ERROR: No matching distribution found for a==1
"""
UNSATISFIABLE = """error: No solution found when resolving dependencies
  cause: Because there is no version of a==1 and you require a==1, there is none.
"""


def test_versions_that_do_not_fit_are_told_from_a_broken_connection() -> None:
    assert Failed(UNSATISFIABLE).unsatisfiable
    offline = UNSATISFIABLE + "hint: Packages were unavailable because the network was disabled."
    assert not Failed(offline).unsatisfiable
    assert not Failed("error: Failed to fetch: `x`").unsatisfiable
    assert Failed(UNSATISFIABLE).why.endswith(
        "dependencies cause: Because there is no version of "
        "a==1 and you require a==1, there is none."
    )


def test_why_is_the_last_error_with_the_cause() -> None:
    failed = Failed(REFUSED)
    assert failed.unreachable == "[Errno 111] Connection refused"
    assert failed.why == (
        "ERROR: No matching distribution found for a==1 ([Errno 111] Connection refused)"
    )
    assert Failed("").why == "nothing"
    assert Failed("line\nlast line").why == "last line"


def test_each_command_gives_its_own_output_and_the_log_has_all(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run(["echo", "one"], log) == "one\n"
    assert run(["sh", "-c", "echo $WORD"], log, variables={"WORD": "two"}) == "two\n"
    with pytest.raises(Failed, match="three"):
        run(["sh", "-c", "echo three >&2; exit 3"], log)
    assert log.read_text() == "one\ntwo\nthree\n"


@pytest.mark.parametrize("given", ["me:pw@", "me:p/w@", "me:p@w@", "pw@"])
def test_credentials_reach_neither_the_error_nor_the_log(tmp_path: Path, given: str) -> None:
    log = tmp_path / "log"
    run(["echo", "one"], log)
    with pytest.raises(Failed) as raised:
        run(["sh", "-c", f"echo 'error: nothing at https://{given}host/simple'; exit 2"], log)
    assert raised.value.why == "error: nothing at https://host/simple"
    assert log.read_text() == "one\nerror: nothing at https://host/simple\n"


def test_a_lock_stays_while_the_child_lives_though_its_parent_was_killed(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    code = (
        "import fcntl, sys\nfrom pathlib import Path\n"
        "from observatory.processes.pip_process import run\n"
        f"lock = open({str(lock)!r}, 'ab')\nfcntl.flock(lock, fcntl.LOCK_EX)\n"
        f"run(['sh', '-c', 'echo $$; exec sleep 60'], Path({str(tmp_path / 'log')!r}),"
        " held=(lock.fileno(),))\n"
    )
    variables = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, "-c", code], env=variables)
    child = 0
    try:
        deadline_s = time.monotonic() + 60
        while not child and time.monotonic() < deadline_s:
            time.sleep(0.02)
            text = (tmp_path / "log").read_text() if (tmp_path / "log").exists() else ""
            child = int(text) if text.endswith("\n") else 0
        assert child
        parent.kill()
        parent.wait()
        with lock.open("ab") as other:
            with pytest.raises(BlockingIOError):
                fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.kill(child, signal.SIGKILL)
            child = 0
            fcntl.flock(other, fcntl.LOCK_EX)
    finally:
        parent.kill()
        parent.wait()
        if child:
            os.kill(child, signal.SIGKILL)
