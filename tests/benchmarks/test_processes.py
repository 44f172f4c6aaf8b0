"""The benchmarks find the load generator by the command line with which a run starts it."""

import os
import subprocess
import sys
from pathlib import Path

from benchmarks.processes import load_processes
from observatory.load.command import locust_command
from tests.load.test_command import CLOSED, handoff


def test_the_load_generator_is_found_and_nothing_else() -> None:
    command = locust_command(handoff(CLOSED), Path("loadtests"))
    waits = [sys.executable, "-c", "input()"]
    children = [
        subprocess.Popen([*waits, *more], stdin=subprocess.PIPE)
        for more in (command[1:], ["locust"])
    ]
    try:
        assert [one.pid for one in load_processes(os.getpid())] == [children[0].pid]
    finally:
        for child in children:
            child.communicate(b"\n")
    assert load_processes(os.getpid()) == []
