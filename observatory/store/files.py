"""Writing to disk so that a crash leaves the old or the new file, never half of one."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from observatory.core.errors import EnvironmentFailed

PART_SUFFIX = ".part"
"""Ends the name of a file that is still being written; such a file is no data yet."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path to write to; on leaving without an error it is synced and takes `path`'s place.

    Raises EnvironmentFailed where the disk is full or may not be written; `path` is then as it was.
    """
    part = path.with_name(path.name + PART_SUFFIX)
    try:
        yield part
        sync(part)
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        raise disk_error(error, path) from error
    finally:
        part.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all (UTF-8)."""
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def sync(path: Path) -> None:
    """Wait until a file's bytes, or a folder's entries, are on the disk."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def check_regular(path: Path) -> None:
    """Raise OSError where a path is a pipe, a device or a folder: opening a pipe waits for its writer."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "is not a regular file", str(path))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file, 64 hex digits."""
    check_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def disk_error(error: OSError, path: Path) -> EnvironmentFailed:
    """Return an OSError of reading or writing `path` in words, with what to do now."""
    fix = {
        errno.ENOSPC: "free some space on that disk and repeat",
        errno.EDQUOT: "free some of your quota and repeat",
        errno.EACCES: "check who owns the folder",
        errno.EROFS: "choose another folder with --results",
    }.get(error.errno or 0)
    return EnvironmentFailed(error.strerror or str(error), where=str(path), fix=fix)
