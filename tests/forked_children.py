"""What a forked command starts as `python -m MODULE` is a fork too, and a child of the command itself.

Before it does anything, a command forks a keeper, whose state stays what it was then. To start a module the
keeper forks twice; the process between ends, and the kernel gives the last one to the command, which adopts
orphans meanwhile. It has the words, folder, environment, descriptors and limits that a fresh interpreter had.
"""

import ctypes
import importlib
import inspect
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LOCUST = "observatory.load.child"
MODULES = ("observatory.emulator.emulator", "observatory.telemetry.sampler", LOCUST)
"""What is forked; every other command starts as it does."""
STARTERS = {"run", "limits"}
"""Verbs that start some of them; what calibration measures starts as it does for a person."""
IMPORTED_IN_S = 0.8
"""What an interpreter takes to import Locust, in which the sampler reads for the first time. A load that began
at once would be in that reading on a busy machine."""
LONGEST = 1 << 20
LIMITS = (resource.RLIMIT_NOFILE, resource.RLIMIT_CORE)
DESCRIPTORS = 64
_ADOPT_ORPHANS = 36  # PR_SET_CHILD_SUBREAPER
_ARGUMENTS_BEGIN, _ARGUMENTS_END = 45, 46  # in /proc/self/stat, after the name


_AS_IT_IS = inspect.signature(subprocess.Popen._execute_child)  # type: ignore[attr-defined]


class _KeptPopen(subprocess.Popen[Any]):
    """subprocess.Popen, which asks the keeper where it can."""

    keeper: socket.socket
    asking = threading.Lock()

    def _execute_child(self, *given: Any) -> None:
        requested = _AS_IT_IS.bind(self, *given).arguments
        words = requested["args"]
        if not (
            isinstance(words, list) and words[:2] == [sys.executable, "-m"] and words[2] in MODULES
        ):
            super()._execute_child(*given)  # type: ignore[misc]
            return
        ends = (requested["p2cread"], requested["c2pwrite"], requested["errwrite"])
        passed = sorted(requested["pass_fds"])
        message = {
            "words": words[2:],
            "cwd": str(requested["cwd"] or Path.cwd()),
            "env": dict(os.environ if requested["env"] is None else requested["env"]),
            "session": requested["start_new_session"],
            "passed": passed,
            "limits": [resource.getrlimit(limit) for limit in LIMITS],
        }
        given_fds = [number if end == -1 else end for number, end in enumerate(ends)]
        with self.asking:
            _adopt_orphans(True)
            try:
                data = json.dumps(message).encode()
                socket.send_fds(self.keeper, [data], [*given_fds, *passed])
                stated = self.keeper.recv(64)
            finally:
                _adopt_orphans(False)
        if not stated:
            raise OSError("the keeper of forks is gone")
        self.pid = int(stated)
        self._child_created = True
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*(requested[name] for name in pipes))  # type: ignore[attr-defined]


def _adopt_orphans(yes: bool) -> None:
    ctypes.CDLL(None).prctl(_ADOPT_ORPHANS, int(yes), 0, 0, 0)


def import_locust() -> None:
    """Import Locust without its patches: they are for the forks that become it."""
    os.environ["LOCUST_SKIP_MONKEY_PATCH"] = "1"
    importlib.import_module("locust.main")
    del os.environ["LOCUST_SKIP_MONKEY_PATCH"]


def begin(words: list[str]) -> list[str]:
    """Fork a keeper for a command that starts modules. Return the words of the command, or of such a module."""
    if not STARTERS & set(words[:5]):
        return words
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for side in (mine, its):
        side.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LONGEST)
    command = os.getpid()
    if os.fork():
        its.close()
        _KeptPopen.keeper = mine
        subprocess.Popen = _KeptPopen  # type: ignore[misc]
        return words
    mine.close()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for end in range(3):
        os.dup2(nothing, end)
    os.close(nothing)
    return _keep(its, command)


def _keep(channel: socket.socket, command: int) -> list[str]:
    """Fork until the command has ended; in a fork, return its words."""
    while True:
        data, ends, _, _ = socket.recv_fds(channel, LONGEST, DESCRIPTORS)
        if not data:
            os._exit(0)
        between = os.fork()
        if between == 0:
            if os.fork():
                os._exit(0)
            _wait_for_adoption(command)
            given = json.loads(data)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            if given["session"]:
                os.setsid()
            channel.send(str(os.getpid()).encode())
            channel.detach()
            return _become(given, ends)
        for end in ends:
            os.close(end)
        os.waitpid(between, 0)


def _wait_for_adoption(command: int) -> None:
    while os.getppid() != command:
        try:
            os.kill(command, 0)
        except ProcessLookupError:
            os._exit(0)
        os.sched_yield()


def _become(given: Mapping[str, Any], ends: Sequence[int]) -> list[str]:
    """Make of this fork what the module's own process would be; return its words."""
    words: list[str] = given["words"]
    _place_descriptors(ends, [0, 1, 2, *given["passed"]])
    for limit, pair in zip(LIMITS, given["limits"], strict=True):
        resource.setrlimit(limit, tuple(pair))
    os.chdir(given["cwd"])
    os.environ.clear()
    os.environ.update(given["env"])
    tempfile.tempdir = None
    sys.path[0] = given["cwd"]
    sys.modules.pop(words[0], None)  # it runs as the main module
    _rename(["python", "-m", *words])
    if words[0] == LOCUST:
        time.sleep(IMPORTED_IN_S)
        patch()
    return words


def _place_descriptors(ends: Sequence[int], places: Sequence[int]) -> None:
    """Put each descriptor in its place, and close all others."""
    above = max(*ends, *places) + 1
    high = [os.dup2(end, above + number) for number, end in enumerate(ends)]
    for end, place in zip(high, places, strict=True):
        os.dup2(end, place)
    kept = sorted(places)
    for low, up in zip(kept, [*kept[1:], os.sysconf("SC_OPEN_MAX")], strict=True):
        os.closerange(low + 1, up)


def _rename(words: Sequence[str]) -> None:
    """Show these words as the process's command line, as far as there is room."""
    text = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
    fields = text.rpartition(") ")[2].split()
    begin, end = int(fields[_ARGUMENTS_BEGIN]), int(fields[_ARGUMENTS_END])
    if end - begin < 2:
        return
    line = b"".join(os.fsencode(word) + b"\0" for word in words)[: end - begin - 1]
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, line, len(line))


def patch() -> None:
    """Do what Locust does when it is imported, and give its patches to who took the names before."""
    monkey: Any = importlib.import_module("gevent.monkey")
    pool: Any = importlib.import_module("urllib3.connectionpool")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it names who took the names before
        monkey.patch_all()
    pool.ConnectionPool.QueueCls = importlib.import_module("gevent.queue").LifoQueue
    patched = {
        id(original): getattr(sys.modules[module], name)
        for module, names in monkey.saved.items()
        for name, original in names.items()
        if callable(original) and hasattr(sys.modules.get(module), name)
    }
    for module in list(sys.modules.values()):
        # The standard library keeps what it took on purpose, or is patched itself.
        if f"{os.sep}site-packages{os.sep}" not in (getattr(module, "__file__", None) or ""):
            continue
        if module.__name__.partition(".")[0] == "gevent":
            continue
        for name, value in list(vars(module).items()):
            if id(value) in patched:
                setattr(module, name, patched[id(value)])
