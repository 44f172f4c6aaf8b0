"""The machine measured for real, and what it cannot carry refused before anything is started."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from typing import Any

import pytest

from tests.live.harness import (
    MEASURED,
    PATIENCE_S,
    Workspace,
    child_running,
    descendants,
    gone,
    wait_until,
)

pytestmark = pytest.mark.live

SCENARIO = """
name: many
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8}}
arrivals: {arrivals}
stages: [{stage}]
timing: {{warmup: 500ms, steady: 2s, drain: 30s}}
telemetry: {{interval: 500ms, codecarbon: false}}
"""


def limited(space: Workspace, limits: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a shell whose descriptors are limited."""
    words = shlex.join([sys.executable, "-m", "observatory", *arguments])
    return subprocess.run(
        ["sh", "-c", f"ulimit {limits}; exec {words}"],
        cwd=space.root,
        env=space.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def closed(space: Workspace, users: int) -> str:
    space.write(
        "many", SCENARIO.format(arrivals="{kind: closed}", stage=f"{{concurrency: {users}}}")
    )
    return "many"


def of(calibration: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a ceiling by its name; assert that its level and bound agree."""
    ceiling: dict[str, Any] = calibration[name]
    assert ceiling["bound"] in ("exact", "at_least", "none")
    assert ceiling["limited_by"]
    assert (ceiling["level"] is None) == (ceiling["bound"] == "none")
    if ceiling["bound"] == "exact" and name != "burst":
        assert ceiling["failed_at"] > ceiling["level"] > 0
        assert ":" in ceiling["limited_by"]  # the verdict's code, and what it saw
    return ceiling


@pytest.mark.alone
def test_a_quick_calibration_of_this_machine(bare: Workspace) -> None:
    workspace = bare
    shown = workspace.run("calibrate", "--quick")
    assert "streams, 10 ms between events" in shown
    stored = json.loads((workspace.results / "calibration.json").read_text())
    streams, burst, rate = (of(stored, name) for name in ("streams", "burst", "rate"))
    for ceiling in (streams, burst, rate):
        if ceiling["bound"] != "exact" and ceiling["level"] is not None:
            assert f"at least {ceiling['level']:,.0f}" in shown
    if burst["level"] is not None:
        seen = burst["figures"]
        assert seen["events_per_s"] > seen["requests_per_s"] == burst["level"] > 0
        assert seen["cpu_s_per_1000_requests"] > seen["cpu_s_per_1000_events"] > 0
    if "server-bound" in streams["limited_by"]:
        assert streams["bound"] != "exact"
    if streams["level"] is not None:
        assert streams["figures"]["client_busy"] <= 0.8
        assert streams["figures"]["shared_stamps"] <= 0.01
    assert (stored["apart"], stored["servers"]) == (len(os.sched_getaffinity(0)) > 1, 1)
    # Nothing else is left: no run, no database.
    assert [path.name for path in workspace.results.iterdir()] == ["calibration.json"]
    assert json.loads(workspace.run("calibrate", "--show", "--json")) == stored
    workspace.emulated()
    document = json.loads(workspace.run("run", "short", "--dry-run", "--json"))["capacity"]
    assert document["measured_here"] == (stored["costs"] is not None)


def test_an_interrupted_calibration_leaves_nothing(workspace: Workspace) -> None:
    temporary = workspace.root / "temporary"
    temporary.mkdir()
    child = workspace.start("calibrate", "--quick", TMPDIR=str(temporary))
    wait_until(lambda: child_running(child.pid, "locust") is not None, "the load")
    started = descendants(child.pid)
    assert any("replay_server" in " ".join(one.cmdline()) for one in started)
    child.send_signal(signal.SIGINT)
    _, stated = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130
    assert "stopped; nothing was stored" in stated
    assert "Traceback" not in stated
    wait_until(lambda: gone(started), "the end of the client and the server")
    assert not (workspace.results / "calibration.json").exists()
    assert not list(temporary.iterdir())


def test_more_connections_than_descriptors_are_refused_before_anything_starts(
    workspace: Workspace,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        arguments = ("run", closed(workspace, 400), "--url", url, "--model", "m")
        for more in ((), ("--dry-run",), ("--force",)):
            done = limited(workspace, "-n 300", *arguments, *more)
            assert done.returncode == 2, done.stderr
            assert "400 connections from 1 process need 528 open files" in done.stderr
            assert "allows 300" in done.stderr
            assert "ulimit -n 528" in done.stderr
            assert "Traceback" not in done.stderr
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()  # no client connected
    assert not workspace.run_folders()


def test_a_soft_limit_is_raised_for_the_run_and_its_children(workspace: Workspace) -> None:
    workspace.emulated("wide", steady="2s", users=(150,))
    done = limited(workspace, "-Sn 100", "run", "wide")
    assert done.returncode in MEASURED, done.stderr
    [row] = workspace.sql(
        "select count(*) as n, count(*) filter (outcome = 'ok') as ok from requests"
    )
    assert row["n"] == row["ok"] > 150
    facts = workspace.manifest()["capacity"]
    assert facts["stages"][0]["connections"] == 150
    assert facts["processes"] == 1


def test_a_rate_beyond_this_machine_is_warned_of(workspace: Workspace) -> None:
    workspace.write("many", SCENARIO.format(arrivals="{kind: constant}", stage="{rate: 100000/s}"))
    arguments = ("run", "many", "--url", "http://127.0.0.1:9/v1", "--model", "m", "--dry-run")
    text = workspace.run(*arguments)
    assert "warning: this plan needs" in text
    assert "cores, you gave 1" in text
    document = json.loads(workspace.run(*arguments, "--json"))
    assert document["capacity"]["cores"] > 1
    assert document["warnings"]
