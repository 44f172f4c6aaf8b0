"""Nothing of an engine outlives its runner: with a command that behaves as vLLM's processes do."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from observatory.core.errors import EnvironmentFailed
from observatory.processes import lost_engines
from observatory.processes.process_tree import MARKER, marker_of, read_process
from observatory.processes.supervised_child import SupervisedChild

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")

SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
OWN_WORDS = ("--served-model-name", "VLLM::EngineCore", "VLLM::Stray")
"""One argument each of the engine and the two processes that stay below it."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("OBSERVATORY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def start(fake_vllm: Path, tmp_path: Path) -> Iterator[Callable[..., SupervisedChild]]:
    """Start the fake; FAKE_VLLM as given. It is closed with the test."""
    started: list[SupervisedChild] = []

    def begin(wrong: str = "", grace_s: float = 0.4) -> SupervisedChild:
        arguments = ["serve", "m", "--host", "127.0.0.1", "--port", "0"]
        child = SupervisedChild(
            [str(fake_vllm), *arguments, "--served-model-name", "m"],
            {**os.environ, "FAKE_VLLM": wrong},
            tmp_path / "engine.log",
            "the fake",
            grace_s=grace_s,
        )
        started.append(child)
        return child

    yield begin
    for child in started:
        child.close()


def family(supervisor_id: int) -> list[psutil.Process]:
    """A supervisor, its engine, and the two that the engine starts, once they are there.

    Each is chosen by its own words: the process between the engine and the stray has just ended and may
    still be listed, as a zombie without words, which no record ever names.
    """
    top = psutil.Process(supervisor_id)
    found: list[psutil.Process] = []

    def whole() -> bool:
        held = [(child, _own_word(child)) for child in top.children(recursive=True)]
        found[:] = [child for child, word in held if word is not None]
        return sorted(word for _, word in held if word is not None) == sorted(OWN_WORDS)

    until(whole, "its processes")
    return [top, *found]


def until(condition: Callable[[], bool], what: str, timeout_s: float = 120) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.02)


def gone(processes: list[psutil.Process]) -> bool:
    return all(
        not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        for process in processes
    )


def records() -> list[Path]:
    return list(lost_engines.records_folder().glob("*.json"))


def serving(child: SupervisedChild) -> list[psutil.Process]:
    """The supervisor and the fake's three processes, once it serves."""
    until(lambda: any("Starting vLLM" in line for line in child.log.tail(9)), "its server")
    return family(child.supervisor_id)


def test_closing_it_ends_what_left_its_session_too(start: Callable[..., SupervisedChild]) -> None:
    child = start()
    processes = serving(child)
    sessions = {os.getsid(process.pid) for process in processes}
    assert len(processes) == 4 and len(sessions) == 3  # supervisor's, engine's, the stray's
    assert child.alive() is None
    assert marker_of(child.process_id) == child.marker
    child.close()
    assert gone(processes)
    assert not records()
    child.close()


def test_one_that_ignores_sigterm_is_killed(start: Callable[..., SupervisedChild]) -> None:
    child = start("stubborn")
    processes = serving(child)
    child.close()
    assert gone(processes)


def test_its_own_end_is_told_with_its_last_words_and_ends_the_rest(
    start: Callable[..., SupervisedChild],
) -> None:
    child = start("crash when signalled")
    processes = family(child.supervisor_id)
    os.kill(child.process_id, signal.SIGUSR1)
    until(lambda: child.alive() is not None, "its end")
    assert "the fake ended by exit code 1; its log" in str(child.alive())
    until(lambda: gone(processes), "the end of the rest")


def test_kill_9_of_the_keeper_is_noticed_and_ends_all(
    start: Callable[..., SupervisedChild],
) -> None:
    child = start()
    processes = serving(child)
    until(lambda: _recorded(processes), "a record of all")
    os.kill(child.supervisor_id, signal.SIGKILL)
    until(lambda: child.alive() is not None, "the news")
    assert "the process that keeps it was ended by SIGKILL" in str(child.alive())
    assert gone(processes)
    assert not records()


def test_kill_9_of_an_inner_process_ends_all_with_its_reason(
    start: Callable[..., SupervisedChild],
) -> None:
    child = start()
    processes = serving(child)
    (core,) = [process for process in processes if "VLLM::EngineCore" in process.cmdline()]
    core.kill()
    until(lambda: child.alive() is not None, "its end")
    assert "engine core exited unexpectedly" in str(child.alive())
    until(lambda: gone(processes), "the end of the rest")


RUNNER = """
import sys, time
from pathlib import Path
from observatory.processes.supervised_child import SupervisedChild
import os
child = SupervisedChild(sys.argv[2:], os.environ, Path(sys.argv[1]), "the fake")
print(child.supervisor_id, child.process_id, flush=True)
time.sleep(600)
"""


@pytest.fixture
def runner(fake_vllm: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that holds an engine, and its supervisor's process id."""
    argv = [sys.executable, "-c", RUNNER, str(tmp_path / "engine.log"), str(fake_vllm)]
    argv += ["serve", "m", "--host", "127.0.0.1", "--port", "0", "--served-model-name", "m"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline().split()[0])
        process.kill()


def test_kill_9_of_the_runner_ends_all(runner: tuple[subprocess.Popen[str], int]) -> None:
    process, supervisor_id = runner
    processes = family(supervisor_id)
    process.kill()
    process.wait()
    until(lambda: gone(processes), "the end of all")
    until(lambda: not records(), "the end of its record")


def test_what_is_left_where_both_were_killed_is_ended_by_the_next_run(
    runner: tuple[subprocess.Popen[str], int],
) -> None:
    process, supervisor_id = runner
    processes = family(supervisor_id)
    until(lambda: _recorded(processes), "a record of all")
    os.kill(process.pid, signal.SIGSTOP)  # so that neither notices the other's end
    os.kill(supervisor_id, signal.SIGKILL)
    process.kill()
    process.wait()
    stray = [one for one in processes if "VLLM::Stray" in _words(one)]
    assert not gone(stray)  # the kernel ends the engine's first process alone
    (line,) = about(stray[0].pid, lost_engines.end_lost_engines())
    assert line.startswith("the fake: its run was killed; ended what was left of it (process ")
    assert gone(processes)
    assert not records()
    assert about(stray[0].pid, lost_engines.end_lost_engines()) == []


def about(pid: int, lines: list[str]) -> list[str]:
    """Those that name a process: others on this machine may have lost engines too."""
    return [line for line in lines if str(pid) in line]


def _recorded(processes: list[psutil.Process]) -> bool:
    """Whether the supervisor has written down all but itself."""
    known = {pid for path in records() for pid, _ in json.loads(path.read_text())["known"]}
    return {process.pid for process in processes[1:]} <= known


def _own_word(process: psutil.Process) -> str | None:
    return next((word for word in OWN_WORDS if word in _words(process)), None)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def test_engines_of_a_runner_that_lives_are_left_alone(
    start: Callable[..., SupervisedChild],
) -> None:
    child = start()
    serving(child)
    assert about(child.process_id, lost_engines.end_lost_engines()) == []
    assert child.alive() is None


def test_the_marker_alone_tells_where_the_record_is_lost(own_cache: Path) -> None:
    gone_runner = subprocess.Popen([sys.executable, "-c", ""])
    gone_runner.wait()
    marker = f"cafe:{gone_runner.pid}:1:{lost_engines.boot_id()}"
    argv = [sys.executable, "-c", SLEEPER]
    with subprocess.Popen(argv, env={**os.environ, MARKER: marker}) as stray:
        until(lambda: marker_of(stray.pid) == marker, "its environment")
        (line,) = about(stray.pid, lost_engines.end_lost_engines())
        assert line == (
            f"an engine: its run was killed; ended what was left of it (process {stray.pid})"
        )
        assert stray.wait(60) < 0


@pytest.mark.parametrize("module", ["endpoints.keeper", "processes.keeper", "processes.supervisor"])
def test_an_engine_whose_supervisor_lives_is_left_to_it(own_cache: Path, module: str) -> None:
    """Also one that an earlier version started, under the module's name of that time."""
    gone_runner = subprocess.Popen([sys.executable, "-c", ""])
    gone_runner.wait()
    marker = f"beef:{gone_runner.pid}:1:{lost_engines.boot_id()}"
    argv = [sys.executable, "-c", SLEEPER, f"observatory.{module}"]
    with subprocess.Popen(argv, env={**os.environ, MARKER: marker}) as supervisor:
        until(lambda: marker_of(supervisor.pid) == marker, "its environment")
        assert about(supervisor.pid, lost_engines.end_lost_engines()) == []
        assert supervisor.poll() is None
        supervisor.kill()


def test_a_record_of_another_start_of_the_machine_is_dropped(own_cache: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER]) as other:
        folder = lost_engines.records_folder()
        folder.mkdir(parents=True)
        record = {
            "name": "old", "runner": [1, 2, "another"], "marker": "m",
            "engine": [other.pid, 0], "known": [[other.pid, 0]],
        }  # fmt: skip
        (folder / "old.json").write_text(json.dumps(record))
        (folder / "damaged.json").write_text("{")
        assert about(other.pid, lost_engines.end_lost_engines()) == []
        assert not records()
        assert other.poll() is None
        other.kill()


LEAVES = """
import os, time
if os.fork():
    os._exit(0)
print(os.getpid(), flush=True)
time.sleep(600)
"""
"""Leads a session, and goes: what it started stays in the session alone, as a daemon does."""


@pytest.mark.parametrize("known", [False, True])
def test_a_session_is_the_engines_only_while_something_known_of_it_is_there(
    own_cache: Path, known: bool
) -> None:
    """An old record's session number may be a stranger's by now."""
    argv = [sys.executable, "-c", LEAVES]
    leader = subprocess.Popen(argv, start_new_session=True, stdout=subprocess.PIPE, text=True)
    assert leader.stdout is not None
    daemon = psutil.Process(int(leader.stdout.readline()))
    leader.wait()
    try:
        mine = read_process(daemon.pid)
        assert mine is not None and mine.session == leader.pid
        write_record(leader.pid, [[mine.pid, mine.started]] if known else [])
        assert bool(about(daemon.pid, lost_engines.end_lost_engines())) == known
        until(lambda: gone([daemon]) == known, "its end, or none")
        assert not records()
    finally:
        if daemon.is_running():
            daemon.kill()


def test_a_record_of_another_container_is_left_alone(own_cache: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEPER]) as other:
        read = read_process(other.pid)
        assert read is not None
        start, _, namespace = lost_engines.boot_id().partition(".")
        write_record(other.pid, [[read.pid, read.started]], f"{start}.{int(namespace) + 1}")
        assert about(other.pid, lost_engines.end_lost_engines()) == []
        assert records()
        assert other.poll() is None
        other.kill()


def write_record(engine: int, known: list[list[int]], boot: str | None = None) -> None:
    """As the supervisor of an engine whose runner is gone left it."""
    folder = lost_engines.records_folder()
    folder.mkdir(parents=True)
    runner = subprocess.Popen([sys.executable, "-c", ""])
    runner.wait()
    record = {
        "name": "old", "runner": [runner.pid, 1, boot or lost_engines.boot_id()], "marker": "m",
        "engine": [engine, 0], "known": known,
    }  # fmt: skip
    (folder / "old.json").write_text(json.dumps(record))


def test_a_command_that_cannot_be_executed(tmp_path: Path) -> None:
    plain = tmp_path / "vllm"
    plain.write_text("no program")
    for command, why in ((plain, "Permission denied"), (tmp_path / "none", "No such file")):
        with pytest.raises(EnvironmentFailed, match=f"cannot be executed: {why}"):
            SupervisedChild([str(command)], os.environ, tmp_path / "log", "x")
    assert not records()
