"""Write a model's files to the cache: one process at a time, verified by hash, with an error for a full disk.

Independent of the models' sources.
"""

import contextlib
import errno
import fcntl
import hashlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from observatory.core.errors import EnvironmentFailed

MIB = 2**20


def sha256_of(path: Path) -> str:
    """Return the file's hash, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, sha256: str, what: str) -> None:
    """Raise EnvironmentFailed where the file has another hash; it is deleted then."""
    found = sha256_of(path)
    if found != sha256:
        path.unlink()
        raise EnvironmentFailed(
            f"{what} has the wrong SHA-256 ({found[:12]}..., expected {sha256[:12]}...) "
            "and was deleted",
            where=str(path),
            fix="try again; where it happens again, the package index serves something else",
        )


def need_space(folder: Path, needed_bytes: int, name: str) -> None:
    """Raise EnvironmentFailed where the disk of a folder has less free than that."""
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise EnvironmentFailed(
            f"{needed_bytes // MIB} MiB are needed for {name}, {free // MIB} MiB are free",
            where=str(folder),
            fix="free some space, or set OBSERVATORY_CACHE to another folder",
        )


@contextlib.contextmanager
def alone(path: Path, name: str, report: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock file; yield its descriptor, for children that must hold it too.

    The kernel frees it when the last process that has it ends, however that happens.
    """
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            report(f"{name}: another process is at it; waiting")
            started = time.monotonic()
            fcntl.flock(lock, fcntl.LOCK_EX)
            report(f"{name}: waited {time.monotonic() - started:.0f} s")
        yield lock.fileno()


def disk_error(error: OSError, folder: Path) -> EnvironmentFailed:
    """Return the error for a model's files that could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return EnvironmentFailed(
        "the disk is full" if full else f"the model cannot be kept: {error.strerror or error}",
        where=str(folder),
        fix="free some space, or set OBSERVATORY_CACHE to another folder",
    )
