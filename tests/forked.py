"""`python -m MODULE` without the start of an interpreter: a process imports everything, then forks for each.

To import what a run needs takes more processor time than all else of a short run, and so it is with Locust
and a stage. A fork is the command: its own process with its own session, folder, environment and streams,
whose next step is to run the module. Tests of the start itself, of memory, and of signals while modules load
start an interpreter instead.
"""

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

from observatory.economics.ledger_book import ledger_providers
from tests import forked_children, slowest

ROOT = Path(__file__).resolve().parent.parent
COMMANDS, LOAD = "commands", "load"
"""The two kinds of servers: Locust patches the process that imports it."""
ROOMS = ("cli", "runner", "analysis", "store", "site", "workload", "endpoints", "emulator")
"""What is imported for commands."""
LONGEST = 1 << 20
"""Bytes of one command with its environment."""
ROOM = " " * 4096
"""In the server's command line, for those of its forks."""
_select, _set_handler, _close = select.select, signal.signal, os.close
"""As they are before gevent patches them."""


class Command:
    """A process as subprocess.Popen has it, with text streams; its parent is the server of forks."""

    def __init__(
        self,
        server: "Server",
        words: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        log: IO[bytes] | None = None,
    ) -> None:
        """Start a module with its arguments; with a log both streams go there. RuntimeError: no server."""
        self.args = ["python", "-m", *words]
        self.returncode: int | None = None
        self.stdout: io.TextIOWrapper | None = None
        self.stderr: io.TextIOWrapper | None = None
        self._status, status_end = os.pipe()
        ends = [status_end]
        if log is None:
            (out, out_end), (err, err_end) = os.pipe(), os.pipe()
            self.stdout, self.stderr = (os.fdopen(end, encoding="utf-8") for end in (out, err))
            ends += [out_end, err_end]
        else:
            ends += [os.dup(log.fileno()), os.dup(log.fileno())]
        try:
            server.send({"words": list(words), "cwd": str(cwd), "env": dict(env)}, ends)
        finally:
            for end in ends:
                os.close(end)
        self.pid = int(self._said())

    def _said(self) -> str:
        """A line from the status pipe: the process id from the fork, then how it ended from the server."""
        line = b""
        while not line.endswith(b"\n"):
            part = os.read(self._status, 1)
            if not part:
                raise RuntimeError("the server of forks is gone")
            line += part
        return line.decode()

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        return self._ended(0)

    def _ended(self, timeout_s: float | None) -> int | None:
        if self.returncode is None and select.select([self._status], [], [], timeout_s)[0]:
            code, cpu_s = self._said().split()
            self.returncode = int(code)
            slowest.ELSEWHERE.append(float(cpu_s))
            os.close(self._status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; TimeoutExpired as subprocess raises it."""
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read both streams to their ends and wait; TimeoutExpired as subprocess raises it."""
        texts = ["", ""]

        def read(number: int, stream: io.TextIOWrapper) -> None:
            texts[number] = stream.read()
            stream.close()

        readers = [
            threading.Thread(target=read, args=pair, daemon=True)
            for pair in enumerate((self.stdout, self.stderr))
            if pair[1] is not None
        ]
        end = None if timeout is None else time.monotonic() + timeout
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(None if end is None else max(end - time.monotonic(), 0))
            if reader.is_alive():
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
        self.wait(None if end is None else max(end - time.monotonic(), 0))
        return texts[0], texts[1]

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)

    def __enter__(self) -> "Command":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wait()


class Server:
    """The process that forks."""

    def __init__(self, kind: str) -> None:
        """Start it; it ends when this process does."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for side in (self._channel, theirs):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forked", kind, str(theirs.fileno()), ROOM],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def send(self, command: Mapping[str, object], descriptors: Sequence[int]) -> None:
        """Have a command forked, with these as its status pipe, stdout and stderr."""
        socket.send_fds(self._channel, [json.dumps(command).encode()], descriptors)

    def stop(self) -> None:
        """End it; commands that run go on."""
        self._channel.close()
        self._process.wait()


_servers: dict[str, Server] = {}
_starting = threading.Lock()


def start(
    kind: str, words: Sequence[str], cwd: Path, env: Mapping[str, str], log: IO[bytes] | None = None
) -> Command:
    """Start `python -m WORDS` as a fork of the server of that kind."""
    with _starting:
        if kind not in _servers:
            _servers[kind] = Server(kind)
    return Command(_servers[kind], words, cwd, env, log)


def stop() -> None:
    """End the servers; what they used is its children's time now."""
    while _servers:
        _servers.popitem()[1].stop()
        slowest.ELSEWHERE.clear()


def import_all(kind: str) -> Callable[[], int]:
    """Import what the forks need, and return what forks."""
    if kind == COMMANDS:
        for room in ROOMS:
            package = importlib.import_module(f"observatory.{room}")
            for module in pkgutil.walk_packages(package.__path__, f"observatory.{room}."):
                importlib.import_module(module.name)
        ledger_providers()
        forked_children.import_locust()
        return os.fork
    gevent = importlib.import_module("gevent.os")
    for name in (
        "locust.main",
        "openai",
        "observatory.load.session",
    ):  # users binds itself to its runner
        importlib.import_module(name)
    fork: Callable[[], int] = gevent.fork_gevent
    return fork


def _reap(running: dict[int, int]) -> None:
    """Report each child that has ended on its status pipe: its exit code and its processor seconds."""
    while True:
        try:
            pid, status, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        end = running.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        with contextlib.suppress(BrokenPipeError):
            os.write(end, f"{code} {used.ru_utime + used.ru_stime}\n".encode())
        _close(end)


def _become(command: bytes, ends: Sequence[int]) -> list[str]:
    """Make of this fork what the command's own process would be, report its id, return its words."""
    given = json.loads(command)
    os.setsid()
    signal.set_wakeup_fd(-1)
    _set_handler(signal.SIGCHLD, signal.SIG_DFL)
    status, out, err = ends
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(given["cwd"])
    os.environ.clear()
    os.environ.update(given["env"])
    tempfile.tempdir = None
    time.tzset()
    sys.path[0] = given["cwd"]
    os.write(status, f"{os.getpid()}\n".encode())
    for end in ends:
        _close(end)
    words: list[str] = given["words"]
    return words


def _serve(channel: socket.socket, fork: Callable[[], int]) -> list[str]:
    """Fork until the other side is closed. In a fork: return the words of the command that it is from then on."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    _set_handler(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    running: dict[int, int] = {}
    while True:
        ready = _select([channel, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            _reap(running)
        if channel in ready:
            command, ends, _, _ = socket.recv_fds(channel, LONGEST, 3)
            if not command:
                return []
            pid = fork()
            if pid == 0:
                for inherited in (woken, wake, *running.values()):
                    _close(inherited)
                channel.close()
                return _become(command, ends)
            running[pid] = ends[0]
            for end in ends[1:]:
                _close(end)


def _end(code: object) -> None:
    """End this process as the interpreter would, but for taking every loaded module apart; return where it cannot.

    To take them apart costs a fork more than all else: each page of memory that it touches is copied first.
    """
    if not (code is None or isinstance(code, int)):
        return  # it is said, as text
    threading._shutdown()
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    except (OSError, ValueError):
        return
    os._exit((code or 0) & 0xFF)


def _main() -> None:
    kind, descriptor, _ = sys.argv[1:]
    channel = socket.socket(fileno=int(descriptor))
    fork = import_all(kind)
    gc.freeze()
    words = _serve(channel, fork)
    if not words:
        os._exit(0)  # what was frozen would be reported as leaked
    if kind == COMMANDS:
        words = forked_children.begin(words)
    sys.argv = ["", *words[1:]]
    try:
        runpy._run_module_as_main(words[0])  # what -m does
    except SystemExit as ended:
        _end(ended.code)
        raise
    else:
        _end(None)
    finally:
        gc.unfreeze()  # what is frozen when an interpreter ends is reported as leaked


if __name__ == "__main__":
    _main()
