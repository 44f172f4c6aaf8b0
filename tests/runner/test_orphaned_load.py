"""A runner that dies when its Locust child has just started: nothing is sent, and the lock is kept until then."""

import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from observatory.core.targets.emulated import EmulatedTarget
from observatory.load.handoff import Handoff
from observatory.processes.process_tree import read_processes
from observatory.runner.locks import target_lock
from tests.load.servers import serve
from tests.load.stages import LOADTESTS, ROOT, item, make_handoff

TARGET = EmulatedTarget(kind="emulated", name="emulated-a")
RUNNER = """
import os, sys, time
from pathlib import Path
import msgspec
from observatory.core.targets.emulated import EmulatedTarget
from observatory.load.handoff import Handoff
from observatory.runner.stage_execution import StageExecution, run_stage_execution
from observatory.runner.locks import target_lock

handoff = msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Handoff)

def die(child):
    print(child, flush=True)
    time.sleep(float(sys.argv[4]))
    os.kill(os.getpid(), 9)

with target_lock(Path(sys.argv[3]), EmulatedTarget(kind="emulated", name="emulated-a")) as lock:
    stage_execution = StageExecution(handoff, Path(sys.argv[1]).parent / "locust.log", Path(sys.argv[2]), lock)
    run_stage_execution(stage_execution, stopping=lambda: False, failed=lambda: None, started=die, moment=lambda beats: None)
"""


def session_of(leader: int) -> list[int]:
    return [one.pid for one in read_processes().values() if one.session == leader and not one.dead]


def die_after_start(folder: Path, handoff: Handoff, seconds: float) -> int:
    """A runner that is killed so long after it started its load; answers the load's process id."""
    path = folder / "handed"
    path.write_bytes(msgspec.msgpack.encode(handoff))
    runner = subprocess.run(
        [sys.executable, "-c", RUNNER, str(path), str(LOADTESTS), str(folder), str(seconds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    assert runner.returncode == -9
    return int(runner.stdout)


@pytest.mark.live
@pytest.mark.parametrize(("workers", "seconds"), [(1, 0.0), (2, 0.0), (2, 0.3)])
def test_the_load_of_a_runner_that_dies_as_it_starts_is_never_sent(
    tmp_path: Path, workers: int, seconds: float
) -> None:
    stage = {"kind": "closed", "concurrency": 2, "steady_s": 2.0}
    with serve() as server:
        handoff = make_handoff(tmp_path, server.port, [item("x")], stage=stage, workers=workers)
        child = die_after_start(tmp_path, handoff, seconds)
        lines: list[str] = []
        with target_lock(tmp_path, TARGET, lines.append):
            alive = session_of(child)
        sent = len(server.seen)
    assert not alive, "the lock was free while the load generator lived"
    assert sent == 0


def test_the_lock_of_a_dead_runner_is_waited_for_and_its_living_one_refused(tmp_path: Path) -> None:
    script = (
        "import os, subprocess, sys; from pathlib import Path; "
        "from observatory.core.targets.emulated import EmulatedTarget; "
        "from observatory.runner.locks import target_lock; "
        "target = EmulatedTarget(kind='emulated', name='emulated-a'); "
        "held = target_lock(Path(sys.argv[1]), target); lock = held.__enter__(); "
        "child = subprocess.Popen(['sleep', '60'], pass_fds=(lock,), stdout=2); "
        "print(child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    runner = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    orphan = int(runner.stdout)
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        os.kill(orphan, 9)

    with target_lock(tmp_path, TARGET, report):
        pass
    assert len(lines) == 1
    assert "which is gone" in lines[0]
    until = time.monotonic() + 30
    while orphan in read_processes() and not read_processes()[orphan].dead:
        assert time.monotonic() < until
