"""One run at a time on a target: a lock per target, held by the runner and by its load generator.

The kernel releases it when the last of them is dead, so that no run can start while the load of a killed
runner is still being sent.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from observatory.core.errors import EnvironmentFailed
from observatory.core.targets.catalogue import Target
from observatory.processes.process_tree import read_process

ORPHAN_LIMIT_S = 15.0
"""How long the load generator of a dead runner may take to end. It is killed with its runner; one that
was just started first imports Locust, which takes seconds on a busy machine."""
_LOOK_S = 0.05


def lock_name(target: Target) -> str:
    """Return what is locked: a URL for endpoints, the name for what the observatory starts itself."""
    return hashlib.sha256(target.lock_subject.encode()).hexdigest()[:16]


@contextmanager
def target_lock(
    results: Path, target: Target, report: Callable[[str], None] = lambda line: None
) -> Iterator[int]:
    """Hold the target's lock; the descriptor is what a child must inherit to hold it too.

    EnvironmentFailed (exit 4) when another process holds it. Where its runner is gone, what is left of
    that run is waited for.
    """
    folder = results / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{lock_name(target)}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not _taken(handle):
            _wait_for_orphan(handle, target, report)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
        yield handle
    finally:
        os.close(handle)


def _taken(handle: int) -> bool:
    """Return whether the lock is ours now."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _wait_for_orphan(handle: int, target: Target, report: Callable[[str], None]) -> None:
    """Return with the lock once a dead runner's load generator has ended; raise where that is not it."""
    limit = time.monotonic() + ORPHAN_LIMIT_S
    reported = False
    while True:
        holder = os.pread(handle, 200, 0).decode(errors="replace").strip()
        if _is_alive(holder):
            raise EnvironmentFailed(
                f"target {target.name} is being measured by {holder or 'another process'}",
                fix="wait for it to end; two loads on one target would spoil both",
            )
        if time.monotonic() > limit:
            raise EnvironmentFailed(
                f"the load generator of {holder}, which is gone, still runs on target {target.name}",
                fix="end it: ps -ef | grep locust shows it",
            )
        if not reported:
            reported = True
            report(f"waiting for the load generator of {holder}, which is gone, to end")
        time.sleep(_LOOK_S)
        if _taken(handle):
            return


def _is_alive(holder: str) -> bool:
    """Return whether the runner that wrote its process id into the lock lives; a zombie does not."""
    number = holder.removeprefix("process ")
    if not number.isdecimal():
        return True
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    process = read_process(int(number))
    return process is None or not process.dead
