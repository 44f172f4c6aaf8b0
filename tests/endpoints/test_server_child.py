"""Children of ours: they report, they are watched, and none is left behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from observatory.core.errors import BadInput, EnvironmentFailed, TargetFailed
from observatory.processes.server_child import ServerChild

PRELUDE = """
import sys, time, signal
from observatory.processes.server_child import ReportChannel
report = ReportChannel()
"""


def child(code: str, log: Path) -> ServerChild:
    return ServerChild([sys.executable, "-c", PRELUDE + code], log, "the child")


def soon(seconds: float = 20) -> float:
    return time.monotonic() + seconds


def test_it_reports_on_its_own_channel_and_prints_into_its_log(logs: Path) -> None:
    started = child(
        "print('chatter', flush=True); report.ready({'port': 7}); time.sleep(600)", logs / "c.log"
    )
    assert started.wait_ready(soon()) == {"port": 7}
    assert started.alive() is None
    assert started.log.tail() == ["chatter"]
    started.close()
    started.close()
    assert started.alive() is not None
    assert not psutil.pid_exists(started.process_id)


@pytest.mark.parametrize(("code", "fault"), [(2, BadInput), (4, EnvironmentFailed)])
def test_what_it_says_of_its_failure_is_passed_on(
    logs: Path, code: int, fault: type[Exception]
) -> None:
    started = child(f"report.failed('the port is taken', {code}); sys.exit({code})", logs / "c.log")
    with pytest.raises(fault, match=r"^the child: the port is taken$"):
        started.wait_ready(soon())
    started.close()


def test_a_child_that_dies_without_a_word_is_quoted(logs: Path) -> None:
    log = logs / "c.log"
    logs.mkdir()
    log.write_text("what an earlier one said\n")
    started = child("print('last words', file=sys.stderr); sys.exit(3)", log)
    with pytest.raises(TargetFailed, match=r"ended by exit code 3; .* ends: last words$"):
        started.wait_ready(soon())
    assert started.log.tail() == ["last words"]
    started.close()


def test_a_killed_child_is_said_to_be_killed(logs: Path) -> None:
    started = child("report.ready({}); time.sleep(600)", logs / "c.log")
    started.wait_ready(soon())
    os.kill(started.process_id, signal.SIGKILL)
    deadline = soon()
    while started.alive() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert "ended by signal SIGKILL (out of memory?)" in (started.alive() or "")
    started.close()


def test_a_child_that_is_never_ready_is_given_up_and_ended(
    logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("observatory.processes.server_child.TERM_GRACE_S", 0.2)
    started = child(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
        logs / "c.log",
    )
    deadline = soon()
    while not started.log.tail() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(TargetFailed, match="was not ready in time"):
        started.wait_ready(soon(0.05))
    started.close()
    assert started.alive() == "the child ended by signal SIGKILL (out of memory?); its log " + (
        f"{logs / 'c.log'} ends: up"
    )


PARENT = """
import sys, time
from pathlib import Path
from observatory.core.targets.emulated import EmulatedTarget
from observatory.endpoints.opened import OpenContext
from observatory.endpoints.catalogue import open_target
target = EmulatedTarget(kind="emulated", name="emulated-api")
opened = open_target(target, OpenContext(Path(sys.argv[1]), print))
print(opened.process_id, flush=True)
time.sleep(600)
"""


def gone(process_id: int) -> bool:
    try:
        return psutil.Process(process_id).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_kill_9_of_the_parent_leaves_no_server(logs: Path) -> None:
    argv = [sys.executable, "-c", PARENT, str(logs)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = int(parent.stdout.readline())
        assert not gone(server)
        parent.kill()
        parent.wait()
    deadline = soon()
    while not gone(server) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert gone(server)
