"""Make a folder of the cache: one process at a time, whole or not at all.

A folder is made in place, because an environment's commands hold its path; its stamp is written last,
and a folder without the stamp is made from nothing.
"""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from observatory.core.system import cache_files

Reporter = Callable[[str], None]


@contextmanager
def alone(folder: Path, report: Reporter) -> Iterator[int]:
    """Hold the lock next to the folder; yield its descriptor (cache_files.alone)."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with cache_files.alone(folder.parent / f"{folder.name}.lock", folder.name, report) as lock:
        yield lock


@contextmanager
def fresh(folder: Path) -> Iterator[None]:
    """Make an empty folder, which is removed again where the block fails (Ctrl-C too)."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def size_bytes(folder: Path, *, alone_there: bool = False) -> int:
    """Return what the folder's files take; symbolic links are not followed.

    alone_there: only files that have no other hard link, such as one in uv's cache.
    """
    total = 0
    for parent, _, names in os.walk(folder):  # passes over what an installation renames meanwhile
        for name in names:
            with contextlib.suppress(OSError):
                facts = os.lstat(f"{parent}/{name}")
                if not (alone_there and facts.st_nlink > 1):
                    total += facts.st_size
    return total
