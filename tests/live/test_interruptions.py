"""When any process dies, the records up to then are readable, marked, and no process is left.

What a signal stops starts its own interpreter: the signal may come while a module is loading.
"""

import signal
import time

import pytest

from tests.live.harness import (
    PATIENCE_S,
    Child,
    Workspace,
    child_running,
    descendants,
    gone,
    records_written,
    wait_until,
)

pytestmark = pytest.mark.live


def _running(workspace: Workspace, fresh: bool = False) -> Child:
    child = workspace.start("run", workspace.emulated(steady="60s"), fresh=fresh)
    wait_until(lambda: records_written(workspace) or child.poll() is not None, "first records")
    assert child.poll() is None, child.communicate()
    return child


def _rows(workspace: Workspace) -> tuple[int, int]:
    (row,) = workspace.sql(
        "select count(*) as n, count(*) filter (where outcome = 'ok') as ok from request_metrics"
    )
    return row["n"], row["ok"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_a_marked_readable_run_and_no_process(
    workspace: Workspace, number: signal.Signals
) -> None:
    child = _running(workspace, fresh=True)
    family = descendants(child.pid)
    assert len(family) >= 3  # emulator, sampler, Locust
    child.send_signal(number)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130, out + err
    wait_until(lambda: gone(family), "the end of every child")
    facts = workspace.manifest()
    assert facts["status"] == "interrupted"
    assert facts["sealed"]
    rows, ok = _rows(workspace)
    assert rows >= ok > 0
    (stage,) = workspace.sql("select issued, recorded from stages")
    assert stage["issued"] == stage["recorded"] == rows


def test_a_stop_while_the_engine_starts_leaves_a_marked_run(workspace: Workspace) -> None:
    child = workspace.start("run", workspace.emulated(steady="60s"), fresh=True)
    wait_until(lambda: bool(list(workspace.results.glob("runs/*/manifest.json"))), "a run folder")
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130
    assert workspace.manifest()["status"] == "interrupted"


def test_a_killed_runner_leaves_no_process_and_its_run_is_recovered(workspace: Workspace) -> None:
    child = _running(workspace)
    family = descendants(child.pid)
    child.kill()
    child.communicate(timeout=PATIENCE_S)
    wait_until(lambda: gone(family), "the end of every orphan")
    workspace.run("rebuild")
    facts = workspace.manifest()
    assert facts["status"] == "crashed"
    assert facts["verdict"]["level"] in ("degraded", "invalid")
    rows, ok = _rows(workspace)
    assert rows >= ok > 0


def test_a_killed_worker_ends_its_run_with_a_clear_line(workspace: Workspace) -> None:
    child = _running(workspace)
    worker = child_running(child.pid, "locust")
    assert worker is not None
    worker.kill()
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 4, out + err
    assert "signal 9" in out + err
    facts = workspace.manifest()
    assert facts["status"] == "crashed"
    (stage,) = facts["stages"]
    assert stage["lost_workers"] == ["worker 0"]
    assert stage["counted"]
    assert stage["recorded"] == _rows(workspace)[0] > 0
    lost = stage["issued"] - stage["recorded"]
    assert 0 <= lost <= 4, "two users, and two answers that were not yet written down"
    assert ("lost_records" in facts["verdict"]["codes"]) == (lost > 0)


def test_an_engine_that_dies_under_load_ends_its_run_with_a_clear_line(
    workspace: Workspace,
) -> None:
    child = _running(workspace)
    engine = child_running(child.pid, "emulator")
    assert engine is not None
    engine.kill()
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 4, out + err
    assert "emulated-a" in out + err
    assert workspace.manifest()["status"] == "crashed"
    assert _rows(workspace)[1] > 0


def test_two_runs_of_a_target_at_once_are_refused(workspace: Workspace) -> None:
    first = _running(workspace)
    text = workspace.run("run", "short", code=4)
    assert "is being measured by process" in text
    assert first.poll() is None
    first.kill()
    first.communicate(timeout=PATIENCE_S)
    workspace.emulated(steady="1s")
    workspace.measure("short", "--label", "after-a-crash")  # the lock went with its holder
    (row,) = workspace.sql("select count(*) as n from runs where label = 'after-a-crash'")
    assert row["n"] == 1


def test_one_of_two_workers_dies_and_the_run_goes_on_marked(workspace: Workspace) -> None:
    workspace.emulated(steady="8s", users=(4,))
    child = workspace.start("run", "short", "--processes", "2")
    wait_until(
        lambda: (
            len(list(workspace.results.rglob("worker-*.requests"))) == 2
            and records_written(workspace)
        ),
        "both workers' records",
    )
    master = child_running(child.pid, "locust")
    assert master is not None
    workers = master.children()
    assert len(workers) == 2
    workers[1].kill()
    out, err = child.communicate(timeout=PATIENCE_S)
    facts = workspace.manifest()
    assert facts["status"] == "complete", out + err
    assert len(facts["stages"][0]["lost_workers"]) == 1
    assert "lost_worker" in facts["verdict"]["codes"]
    assert _rows(workspace)[1] > 0


@pytest.mark.parametrize("later_s", [0.0, 0.4])
def test_a_stop_while_a_run_is_sealed_is_one_line_and_130(
    workspace: Workspace, later_s: float
) -> None:
    """Sealing, judging and taking in go to their end; 0.4 s later the run may be in the database already."""
    child = workspace.start("run", workspace.emulated(steady="2s"), fresh=True)
    assert child.stderr is not None
    text = ""
    while "sealing " not in text:
        line = child.stderr.readline()
        assert line, f"it ended before it sealed anything: {text}"
        text += line
    time.sleep(later_s)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in out + err
    assert child.returncode == 130, out + err
    assert err.strip().splitlines()[-1].startswith("observatory: stopped")
    facts = workspace.manifest()
    assert (facts["status"], bool(facts["sealed"])) == ("complete", True)
    assert facts["verdict"] is not None
    workspace.run("rebuild")
    assert _rows(workspace)[0] > 0


def test_a_stop_while_the_database_is_rebuilt_leaves_the_old_one(workspace: Workspace) -> None:
    workspace.measure(workspace.emulated(steady="2s"))
    before = _rows(workspace)
    child = workspace.start("rebuild", fresh=True)
    assert child.stderr is not None
    line = child.stderr.readline()
    assert line.startswith("taking in "), line
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=PATIENCE_S)
    assert child.returncode == 130, out + err
    assert "Traceback" not in out + err
    assert _rows(workspace) == before
    assert not list(workspace.results.glob("*.new*"))
