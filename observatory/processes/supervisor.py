"""Supervise an engine: start it, and end its whole process tree when its runner is gone.

A process of its own between the runner and the engine, which does nothing else: so it is there when
the runner is killed. It imports the standard library alone and starts in a few hundredths of a second.
"""

import ctypes
import json
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from observatory.processes import process_tree

MAIN_GRACE_S = 10.0
"""How long the engine's first process may take to end itself and its own in order."""
GRACE_S = 3.0
"""How long what is left after it may take over SIGTERM."""
LIMIT_S = 20.0
"""Time limit for SIGKILL: only the kernel holds such a process (a driver, a dead file system)."""
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_LOOK_EVERY_S, _LOOK_SELDOM_S, _STARTING_S = 1.0, 10.0, 120.0
"""How often it records the engine's processes: while it starts, and later."""
_EXEC_FAILED = 127


class Supervisor:
    """status: the descriptor that it reports to; record: the file that outlives it."""

    def __init__(self, status: int, record: Path, facts: dict[str, Any]) -> None:
        self._status = status
        self._record = record
        self._facts = facts
        self._lineage = process_tree.Lineage(os.environ.get(process_tree.MARKER, ""))
        self._engine: process_tree.Process | None = None
        self._code: int | None = None
        self._seen: set[tuple[int, int]] = set()

    def keep(self, argv: list[str]) -> int:
        """Start the engine, wait for its end or the runner's, leave nothing; the exit code."""
        wake, woken = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        ending = []
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, frame: ending.append(number))
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        _become_subreaper()
        try:
            pid = _start(argv, self._status)
        except OSError as error:
            self._send(failed=error.strerror or str(error))
            return _EXEC_FAILED
        self._engine = process_tree.read_process(pid) or process_tree.Process(
            pid, os.getpid(), pid, 0, dead=False
        )
        self._lineage = process_tree.Lineage(self._lineage.marker, self._engine.name)
        self._look()
        self._send(started=list(self._engine.name))
        self._wait(wake, ending)
        self._end()
        return 0

    def _wait(self, wake: int, ending: list[int]) -> None:
        """Wait until the engine ends, the runner closes its end of our stdin, or a signal ends the wait."""
        poll = select.poll()
        poll.register(0, select.POLLIN)
        poll.register(wake, select.POLLIN)
        began = time.monotonic()
        while not ending:
            if self._has_ended():
                return
            starting = time.monotonic() - began < _STARTING_S
            for file, _ in poll.poll((_LOOK_EVERY_S if starting else _LOOK_SELDOM_S) * 1000):
                if file == 0 and not os.read(0, 4096):
                    return
                if file == wake:
                    with suppress(BlockingIOError):
                        os.read(wake, 4096)
            self._look()

    def _end(self) -> None:
        """End the engine first, in its own order; then every process that is left of it, in any session."""
        engine, grace_s = self._engine, self._facts.get("grace_s", MAIN_GRACE_S)
        assert engine is not None
        if self._code is None:
            with suppress(ProcessLookupError):
                os.kill(engine.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace_s
            while not self._has_ended() and time.monotonic() < deadline:
                time.sleep(0.02)
        left = process_tree.end_all(
            self._belonging, grace_s=min(GRACE_S, grace_s), limit_s=LIMIT_S, reap=self._reap
        )
        self._reap()
        if not left:
            self._record.unlink(missing_ok=True)
        self._send(ended=self._code, left=[process.pid for process in left])

    def _belonging(self) -> list[process_tree.Process]:
        return process_tree.belonging(
            process_tree.read_processes(), self._lineage, adopter=os.getpid()
        )

    def _has_ended(self) -> bool:
        self._reap()
        return self._code is not None

    def _reap(self) -> None:
        """Take the exit of every child; orphans of the engine are ours (PR_SET_CHILD_SUBREAPER)."""
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return
                if self._engine is not None and pid == self._engine.pid:
                    self._code = os.waitstatus_to_exitcode(status)

    def _look(self) -> None:
        """Record the engine's processes, for the run that must end them if the supervisor is killed."""
        seen = {process.name for process in self._belonging()}
        if seen == self._seen and self._record.exists():
            return
        self._seen = seen
        self._lineage = process_tree.Lineage(
            self._lineage.marker, self._lineage.engine, self._lineage.known | seen
        )
        written = self._facts | {
            "marker": self._lineage.marker,
            "engine": self._lineage.engine,
            "known": sorted(seen),
        }
        new = self._record.with_suffix(".new")
        with suppress(
            OSError
        ):  # without the record the marker and the session still identify the processes
            new.write_text(json.dumps(written), encoding="utf-8")
            new.replace(self._record)

    def _send(self, **report: Any) -> None:
        with suppress(OSError):  # the runner reads no more
            os.write(self._status, json.dumps(report).encode() + b"\n")


def _become_subreaper() -> None:
    """Become a subreaper: orphans below us become our children; and SIGTERM comes with our parent's death."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)


def _start(argv: list[str], status: int) -> int:
    """Return the engine's process id, once it runs; raise OSError where it cannot be executed."""
    os.set_inheritable(status, False)
    supervisor = os.getpid()
    reading_end, writing_end = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _run_engine(argv, supervisor, writing_end)
    os.close(writing_end)
    errno = os.read(reading_end, 16)
    os.close(reading_end)
    if errno:
        os.waitpid(pid, 0)
        raise OSError(int(errno), os.strerror(int(errno)))
    return pid


def _run_engine(argv: list[str], supervisor: int, writing_end: int) -> NoReturn:
    """Run in the child: a session of its own, death with the supervisor, then the engine itself."""
    try:
        os.setsid()
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != supervisor:
            os._exit(_EXEC_FAILED)
        signal.set_wakeup_fd(-1)
        for number in (
            signal.SIGTERM,
            signal.SIGINT,
            signal.SIGHUP,
            signal.SIGCHLD,
            signal.SIGPIPE,
            signal.SIGXFSZ,
        ):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.execvpe(argv[0], argv, os.environ)
    except OSError as error:
        os.write(writing_end, str(error.errno or 1).encode())
    os._exit(_EXEC_FAILED)


def main(arguments: list[str]) -> int:
    """Arguments: the status descriptor, the record's path, its facts as JSON, then the engine's own.

    Our stdin is the runner's hold on us: when it ends, so do we, after everything that we keep.
    """
    status, record, facts, *argv = arguments
    return Supervisor(int(status), Path(record), json.loads(facts)).keep(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
