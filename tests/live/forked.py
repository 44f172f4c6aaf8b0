"""Commands without the start of an interpreter: one process imports everything, then forks once per command.

To import what a run needs takes more processor time than all else of a short run. The fork is the command:
its own process with its own session, folder, environment and streams, with `main` as its next call.
Tests of the start itself, and of signals while modules load, start the interpreter instead.
"""

import contextlib
import functools
import gc
import importlib
import io
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

from tests import slowest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("cli", "runner", "analysis", "store", "site", "workload")
"""What is imported before the forks."""
LONGEST = 1 << 20
"""Bytes of one command with its environment."""


class Command:
    """A command as subprocess.Popen has it, with text streams; its parent is the server of forks."""

    def __init__(
        self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], server: "Server"
    ) -> None:
        """Start it. RuntimeError where the server of forks is gone."""
        self.args = ["observatory", *arguments]
        self.returncode: int | None = None
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        self._status, status_end = os.pipe()
        self.stdout, self.stderr = (os.fdopen(end, encoding="utf-8") for end in (out, err))
        ends = [out_end, err_end, status_end]
        try:
            server.send({"arguments": list(arguments), "cwd": str(cwd), "env": dict(env)}, ends)
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

    def __init__(self) -> None:
        """Start it; it ends when this process does."""
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for side in (self._channel, theirs):
            side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.live.forked", str(theirs.fileno())],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def send(self, command: Mapping[str, object], descriptors: Sequence[int]) -> None:
        """Have a command forked, with these as its stdout, stderr and status pipe."""
        socket.send_fds(self._channel, [json.dumps(command).encode()], descriptors)

    def stop(self) -> None:
        """End it; commands that run go on."""
        self._channel.close()
        self._process.wait()


@functools.cache
def server() -> Server:
    """The one server of this process."""
    return Server()


def stop() -> None:
    """End the server, where one was started."""
    if server.cache_info().currsize:
        server().stop()
        server.cache_clear()
        slowest.ELSEWHERE.clear()  # they are children's seconds now


def start(arguments: Sequence[str], cwd: Path, env: Mapping[str, str]) -> Command:
    """Start `observatory ARGUMENTS`."""
    return Command(arguments, cwd, env, server())


def import_all() -> None:
    """Import what commands import."""
    for room in ROOMS:
        package = importlib.import_module(f"observatory.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"observatory.{room}."):
            importlib.import_module(module.name)


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
        os.close(end)


def _become(command: bytes, ends: Sequence[int]) -> None:
    """Make of this fork what the command's own process would be; then report its id."""
    given = json.loads(command)
    os.setsid()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    out, err, status = ends
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.chdir(given["cwd"])
    os.environ.clear()
    os.environ.update(given["env"])
    tempfile.tempdir = None
    time.tzset()
    sys.argv = [str(ROOT / "observatory" / "__main__.py"), *given["arguments"]]
    sys.path[0] = given["cwd"]
    sys.modules["__main__"].__package__ = "observatory"  # its name in a help page
    os.write(status, f"{os.getpid()}\n".encode())
    for end in ends:
        os.close(end)


def _serve(channel: socket.socket) -> bool:
    """Fork until the other side is closed. True in a fork, which is the command from then on."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda number, frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    running: dict[int, int] = {}
    while True:
        ready = select.select([channel, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            _reap(running)
        if channel in ready:
            command, ends, _, _ = socket.recv_fds(channel, LONGEST, 3)
            if not command:
                return False
            pid = os.fork()
            if pid == 0:
                for inherited in (woken, wake, *running.values()):
                    os.close(inherited)
                channel.close()
                _become(command, ends)
                return True
            running[pid] = ends[2]
            for end in ends[:2]:
                os.close(end)


if __name__ == "__main__":
    import_all()
    gc.freeze()
    if _serve(socket.socket(fileno=int(sys.argv[1]))):
        gc.unfreeze()
        importlib.import_module("observatory.cli.main").main()
    os._exit(0)  # what was frozen would be reported as leaked
