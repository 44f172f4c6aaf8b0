"""The load tests under plain `locust -f`, with its web page: the same rows, a page that lives."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from observatory.core.journal import decode_entries
from observatory.core.record import RequestRecord, WorkerEnd
from tests.load.servers import DONE, HEAD, LAST, STOP, Seen, chunk, serve, token, usage
from tests.load.stages import LOADTESTS, ROOT

PATIENCE_S = 240
"""For a whole Locust: a busy machine takes long to start one."""
SCENARIO = """
name: by-hand
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 8}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
"""


def answer(sock: Any, seen: Seen) -> None:
    sock.sendall(HEAD)
    time.sleep(0.05)
    sock.sendall(token("billing") + STOP + usage(1, 1) + chunk(DONE) + LAST)


def locust(folder: Path, port: int, *more: str) -> list[str]:
    (folder / "scenarios").mkdir(exist_ok=True)
    (folder / "scenarios" / "by-hand.yaml").write_text(SCENARIO)
    return [
        *(sys.executable, "-m", "locust", "-f", str(LOADTESTS / "chat.py")),
        *("--host", f"http://127.0.0.1:{port}/v1", "--model", "m", "--scenario", "by-hand"),
        *("--results", str(folder / "results"), "--users", "2", "--spawn-rate", "2"),
        *more,
    ]


def rows(folder: Path) -> list[Any]:
    journals = sorted((folder / "results" / "plain").rglob("worker-0.*"))
    return [entry for path in journals for entry in decode_entries(path.read_bytes())]


def run(command: list[str], folder: Path, *first: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=folder,
        env={"PYTHONPATH": os.pathsep.join((*first, str(ROOT))), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_without_a_page_it_runs_for_the_time_given(tmp_path: Path) -> None:
    for seconds in (2, 8, 32, 128):  # Locust's time runs while the plan is made
        folder = tmp_path / str(seconds)
        folder.mkdir()
        with serve({"ok": answer}) as server:
            command = locust(folder, server.port, "--headless", "--run-time", f"{seconds}s")
            stated, _ = run(command, folder).communicate(timeout=PATIENCE_S)
        if entries := rows(folder):
            break
    records = [entry for entry in entries if isinstance(entry, RequestRecord)]
    [end] = [entry for entry in entries if isinstance(entry, WorkerEnd)]
    assert records, stated
    requested = [seen for seen in server.seen if seen.head.startswith(b"POST ")]
    assert end.issued == end.recorded == len(records)
    answered = [record for record in records if record.outcome == "ok"]
    assert (
        len(answered) <= len(requested) <= len(records)
    )  # the end may cut off what was being sent
    assert [seen.head.split()[1] for seen in server.seen if seen not in requested] == [
        b"/v1/models"
    ]
    assert {record.outcome for record in records} <= {"ok", "interrupted"}
    assert answered[0].score is not None and answered[0].scorer == "label"
    assert "support-tickets" in stated
    assert list(folder.rglob("handoff.msgpack")) == []


def test_the_web_page_counts_what_is_recorded(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    page = ("--web-host", "127.0.0.1", "--web-port", str(port), "--autostart")
    with serve({"ok": answer}) as server:
        child = run(locust(tmp_path, server.port, *page), tmp_path)
        try:
            shown = counted(f"http://127.0.0.1:{port}/stats/requests")
        finally:
            child.terminate()
            stated, _ = child.communicate(timeout=PATIENCE_S)
    records = [entry for entry in rows(tmp_path) if isinstance(entry, RequestRecord)]
    assert shown["state"] == "running" and shown["user_count"] == 2, stated
    assert len(records) >= shown["stats"][0]["num_requests"] > 5


def counted(address: str) -> Any:
    """Locust's own figures, once there are some."""
    limit = time.monotonic() + PATIENCE_S
    while time.monotonic() < limit:
        time.sleep(0.3)
        try:
            with urllib.request.urlopen(address, timeout=5) as page:
                shown = json.load(page)
        except OSError:
            continue
        if shown["stats"] and shown["stats"][0]["num_requests"] > 5:
            return shown
    pytest.fail("the page shows no requests")


def test_what_keeps_a_plan_from_being_made_is_said(tmp_path: Path) -> None:
    command = locust(tmp_path, 9, "--headless", "--run-time", "10m")
    command[command.index("by-hand")] = "no-such-scenario"
    child = run(command, tmp_path)
    assert child.stdout is not None
    text = ""
    try:
        while "the plan could not be made" not in text:
            line = child.stdout.readline()
            assert line, text
            text += line
    finally:
        child.terminate()
        more, _ = child.communicate(timeout=PATIENCE_S)
    assert "no-such-scenario" in text + more


SLOW_PLAN = """
import os, sys, time
from observatory.load import handoff
put = handoff.put_handoff
def slowly(descriptor, made):
    put(descriptor, made)
    print(os.getpid(), file=open("planned", "w"), flush=True)
    time.sleep(60)
handoff.put_handoff = slowly
"""


def test_a_death_while_the_plan_is_made_leaves_no_prompts(tmp_path: Path) -> None:
    """sitecustomize makes the planning child wait when it has written its plan."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nif 'observatory.runner.plain_handoff' in sys.orig_argv:\n"
        + "".join(f"    {line}\n" for line in SLOW_PLAN.strip().splitlines())
    )
    with serve({"ok": answer}) as server:
        command = locust(tmp_path, server.port, "--headless", "--run-time", "120s")
        child = run(command, tmp_path, str(tmp_path))
        try:
            limit = time.monotonic() + PATIENCE_S
            while not (tmp_path / "planned").exists() and time.monotonic() < limit:
                time.sleep(0.05)
            assert (tmp_path / "planned").exists()
        finally:
            child.kill()
            with suppress(OSError, ValueError):
                os.kill(int((tmp_path / "planned").read_text()), signal.SIGKILL)
            child.communicate()
    left = [path for path in tmp_path.rglob("*") if path.is_file() and "results" in path.parts]
    assert left == []
