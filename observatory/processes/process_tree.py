"""Find the process tree of a started engine, and end every process of it.

Read from /proc alone, with the standard library alone: the supervisor imports this, and nothing more.
"""

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MARKER = "OBSERVATORY_ENGINE"
"""The environment variable that every process of an engine inherits: the engine's identity."""
_POLL_S = 0.05
_STATE, _PARENT, _SESSION, _STARTED = 0, 1, 3, 19
"""Fields of /proc/PID/stat after the command's name (proc_pid_stat(5): state is field 3)."""


@dataclass(frozen=True, slots=True)
class Process:
    """started: clock ticks after boot. With pid it names one process for as long as the host runs."""

    pid: int
    parent: int
    session: int
    started: int
    dead: bool

    @property
    def name(self) -> tuple[int, int]:
        """Return the identity that distinguishes it from a later process with the same number."""
        return self.pid, self.started


@dataclass(frozen=True, slots=True)
class Lineage:
    """How the processes of one engine are identified.

    marker: the value of MARKER. engine: pid and start of its first process, which leads a session.
    known: pid and start of each process seen under it so far.

    An environment alone would not do: vLLM's processes write their titles over it (setproctitle), so
    that /proc shows none. The session alone would not do either: a process may leave it.
    """

    marker: str
    engine: tuple[int, int] | None = None
    known: frozenset[tuple[int, int]] = frozenset()


def read_process(pid: int) -> Process | None:
    """Return the process; None where there is none of this number."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # The name is in parentheses and may hold any character, parentheses too.
    fields = text[text.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[_PARENT]),
        session=int(fields[_SESSION]),
        started=int(fields[_STARTED]),
        dead=fields[_STATE] in (b"Z", b"X"),
    )


def read_processes() -> dict[int, Process]:
    """Return every process that is there now, by its number; empty where there is no /proc."""
    try:
        names = [path.name for path in Path("/proc").iterdir()]
    except OSError:
        return {}
    read = (read_process(int(name)) for name in names if name.isdigit())
    return {process.pid: process for process in read if process is not None}


def marker_of(pid: int) -> str | None:
    """Return the marker in a process's environment; None where it has none or may not be read."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    prefix = f"{MARKER}=".encode()
    for entry in environment.split(b"\0"):
        if entry.startswith(prefix):
            return entry[len(prefix) :].decode("utf-8", "replace")
    return None


def belonging(
    processes: Mapping[int, Process],
    lineage: Lineage,
    marker: Callable[[int], str | None] = marker_of,
    adopter: int | None = None,
) -> list[Process]:
    """Return the running processes of the engine's tree; this process is never among them.

    One belongs that carries the marker, is known, is in the engine's session, is a child of the
    adopter (which gets the engine's orphans), or has a parent that belongs. A session's number is
    not given again while anything is left in it.
    """
    own = os.getpid()
    first = lineage.engine

    def is_one(process: Process) -> bool:
        if process.name in lineage.known or process.name == first or process.parent == adopter:
            return True
        if first is not None and process.session == first[0] and process.started >= first[1]:
            leader = processes.get(first[0])
            if leader is None or leader.started == first[1]:
                return True
        return marker(process.pid) == lineage.marker

    children: dict[int, list[Process]] = {}
    for process in processes.values():
        children.setdefault(process.parent, []).append(process)
    waiting = [process for process in processes.values() if is_one(process)]
    found: dict[int, Process] = {}
    while waiting:
        process = waiting.pop()
        if process.pid in found or process.pid == own:
            continue
        found[process.pid] = process
        waiting.extend(children.get(process.pid, ()))
    return [process for process in found.values() if not process.dead]


def send(process: Process, number: signal.Signals) -> None:
    """Signal this very process, not one that took its number since."""
    with suppress(OSError):
        handle = os.pidfd_open(process.pid)
        try:
            now = read_process(process.pid)
            if now is not None and now.name == process.name:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def end_all(
    find: Callable[[], list[Process]],
    *,
    grace_s: float,
    limit_s: float,
    reap: Callable[[], None] = lambda: None,
) -> list[Process]:
    """End what `find` finds, repeatedly until it finds nothing; return the processes that did not end.

    Send SIGTERM once to each, and SIGKILL to all that remain grace_s later. A process that cleans up after the
    others (Python's resource tracker, which ignores SIGTERM) has that time to do it.
    """
    began = time.monotonic()
    signalled: set[tuple[int, int]] = set()
    while True:
        reap()
        left = find()
        passed_s = time.monotonic() - began
        if not left or passed_s > limit_s:
            return left
        for process in left:
            if passed_s > grace_s:
                send(process, signal.SIGKILL)
            elif process.name not in signalled:
                signalled.add(process.name)
                send(process, signal.SIGTERM)
        time.sleep(_POLL_S)
