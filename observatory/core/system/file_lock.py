"""Locks on files, which the kernel releases when their holder dies."""

import fcntl
import os
from pathlib import Path


def is_locked(path: Path) -> bool:
    """Return whether a live process holds an exclusive lock on the file; False where it cannot be opened.

    The check takes a shared lock for a moment, so that two checks at once do not see each other.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False
