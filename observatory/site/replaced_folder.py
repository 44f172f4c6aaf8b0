"""A folder that is replaced as a whole, in one step; nothing of it is left behind, however we end."""

import ctypes
import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_CLEANER = 'read -r _; rm -rf -- "$1"'
"""Run by sh: it reads until this process ends, for any reason, and then removes a folder not yet in place."""


@contextmanager
def replaced_folder(target: Path) -> Iterator[Path]:
    """Yield a new, empty folder next to `target`, which replaces it when the block ends without error.

    Folders that killed processes left next to `target` are removed first.
    """
    sweep(target)
    fresh = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    lock = os.open(fresh, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    cleaner = None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cleaner = _start_cleaner(fresh)
        fresh.chmod(0o755)
        yield fresh
        _put_in_place(fresh, target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        os.close(lock)
        if cleaner is not None:
            cleaner.communicate()


def sweep(target: Path) -> list[Path]:
    """Remove the folders next to `target` whose process is gone; return what was removed."""
    removed = []
    for folder in target.parent.iterdir():
        name = folder.name
        if not name.startswith(_prefix(target)) or folder.is_symlink() or not folder.is_dir():
            continue
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
                removed.append(folder)
            finally:
                os.close(handle)
    return removed


def _prefix(target: Path) -> str:
    return f".{target.name}-"


def _start_cleaner(folder: Path) -> subprocess.Popen[bytes] | None:
    """Return a process that removes `folder` when this one is gone, SIGKILL included; None without a shell."""
    try:
        return subprocess.Popen(
            ["/bin/sh", "-c", _CLEANER, "sh", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    except OSError:
        return None


def _put_in_place(fresh: Path, target: Path) -> None:
    """Exchange the two folders in one step where the file system can, else one after the other."""
    if not target.exists():
        fresh.rename(target)
    elif not _exchange(fresh, target):
        shutil.rmtree(target)
        fresh.rename(target)


def _exchange(one: Path, other: Path) -> bool:
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    names = os.fsencode(one), os.fsencode(other)
    return bool(renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) == 0)
