"""Locks that the kernel releases when their holder dies; a run folder's is held by its runner."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from observatory.core.errors import EnvironmentFailed
from observatory.core.system.file_lock import is_locked
from observatory.store.files import disk_error

LOCK_NAME = "lock"


def hold_lock(folder: Path) -> AbstractContextManager[None]:
    """Hold a run's lock; EnvironmentFailed where another holder (of any process) is alive."""
    return exclusive(folder / LOCK_NAME, "the run is being written")


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path`; where another does, EnvironmentFailed with `what` and the holder."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise disk_error(error, path) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 100, 0).decode(errors="replace").strip()
            raise EnvironmentFailed(
                f"{what} by {holder or 'another process'}",
                where=str(path.parent),
                fix="wait for it to end, or stop it with Ctrl-C",
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


def is_running(folder: Path) -> bool:
    """Return whether a live process holds the run's lock."""
    return is_locked(folder / LOCK_NAME)
