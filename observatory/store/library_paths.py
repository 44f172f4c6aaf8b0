"""Paths for DuckDB and Polars, which read some characters of a path as a pattern or refuse them.

`*`, `?` and `[` are globs to both, `name=value` is a partition, DuckDB takes `\\` for `/` and what
follows a `?` for options of the file. A path with such characters is handed over as an open file.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from observatory.core.errors import EnvironmentFailed
from observatory.core.workspace import cache_folder

_READ_OTHERWISE = re.compile(r"[*?\[\]\\=]")
_NOT_OF_A_DATABASE = re.compile(r"[?\\]")
_OPEN_FILES = Path("/proc/self/fd")


@contextmanager
def library_path(path: Path, *, write: bool = False) -> Iterator[str]:
    """Yield a name under which a library opens exactly this file, valid inside the block.

    write: the file is made, or emptied. OSError where it cannot be opened.
    """
    text = str(path)
    if not _READ_OTHERWISE.search(text) or not _OPEN_FILES.is_dir():
        yield text
        return
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC if write else os.O_RDONLY
    descriptor = os.open(path, flags | os.O_CLOEXEC, 0o666)
    try:
        yield str(_OPEN_FILES / str(descriptor))
    finally:
        os.close(descriptor)


def database_file(path: Path) -> Path:
    """Return the file that DuckDB is to open for a database at `path`: that path, or what it links to.

    Where DuckDB cannot keep a file of that path, it lies in the cache folder and `path` links to it.
    Raises EnvironmentFailed where the cache folder's path is no better.
    """
    if not _NOT_OF_A_DATABASE.search(str(path)):
        return path
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:32]
    kept = cache_folder().absolute() / "databases" / digest / path.name
    if _NOT_OF_A_DATABASE.search(str(kept)):
        raise EnvironmentFailed(
            "DuckDB cannot keep a database below a folder with ? or \\ in its name",
            where=str(path),
            fix="choose another folder with --results, or set OBSERVATORY_CACHE to another one",
        )
    if not path.is_symlink():
        try:
            kept.parent.mkdir(parents=True, exist_ok=True)
            _move_database(path, kept)
            path.symlink_to(kept)
        except FileExistsError:
            return kept if path.is_symlink() else path
        except OSError as error:
            raise EnvironmentFailed(
                f"no database can be kept: {error.strerror}", where=str(error.filename or path)
            ) from error
    return kept


def _move_database(path: Path, kept: Path) -> None:
    """Move a database that lies there already, as after its folder was renamed, with what is not yet in it."""
    for suffix in ("", ".wal"):
        old = path.with_name(path.name + suffix)
        if old.is_file():
            shutil.move(old, kept.with_name(kept.name + suffix))
