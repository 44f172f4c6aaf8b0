"""Folders for what must not outlive a command: prompts, answers, logs of what was tried.

A folder that a killed process left is removed when the next process starts. It counts as left where the
process id in its name is gone and its lock is free: the kernel releases the lock with the process. Both are
checked, because containers may share the folder but not the process ids.
"""

import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from observatory.core.system.file_lock import is_locked

LOCK_NAME = "lock"
KEPT_NAME = "kept"
"""In a folder that a message named to a person."""
_NAME = re.compile(r"^observatory-(?:[a-z]+-)?(?P<process>\d+)-[a-z0-9_]{8}$")
_UNNUMBERED = re.compile(r"^observatory-(?:[a-z]+-)?[a-z0-9_]{8}$")
"""As versions before this one called them; they had no lock."""
_YOUNG_S = 60.0


@contextmanager
def private_folder(purpose: str = "", *, keep_on_error: bool = False) -> Iterator[Path]:
    """Make a folder of this user's alone (mode 0700) in the temporary folder; remove it on leaving.

    purpose: a word for its name. keep_on_error: it stays where the block raises, if anything is in it.
    """
    word = f"{purpose}-" if purpose else ""
    folder = Path(tempfile.mkdtemp(prefix=f"observatory-{word}{os.getpid()}-"))
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    kept = False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield folder
    except BaseException:
        kept = keep_on_error and any(path.name != LOCK_NAME for path in folder.iterdir())
        raise
    finally:
        if kept:
            (folder / LOCK_NAME).rename(folder / KEPT_NAME)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def sweep_private_folders() -> list[Path]:
    """Remove what killed processes of this user left in the temporary folder; return what was removed."""
    removed = []
    try:
        found = [path for path in Path(tempfile.gettempdir()).iterdir() if _is_left(path)]
    except OSError:
        return []
    for folder in found:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            removed.append(folder)
    return removed


def _is_left(folder: Path) -> bool:
    numbered, unnumbered = _NAME.match(folder.name), _UNNUMBERED.match(folder.name)
    if not numbered and not unnumbered:
        return False
    try:
        status = folder.lstat()
    except OSError:
        return False
    if status.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        return False
    if (folder / KEPT_NAME).exists():
        return False
    if numbered:
        return not psutil.pid_exists(int(numbered["process"])) and not is_locked(folder / LOCK_NAME)
    return time.time() - status.st_mtime > _YOUNG_S and not _is_used(folder)


def _is_used(folder: Path) -> bool:
    """Return whether a process works in it, or has its path in an argument or variable."""
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            texts = [process.cwd(), *process.cmdline(), *process.environ().values()]
            if any(str(folder) in text for text in texts):
                return True
    return False
