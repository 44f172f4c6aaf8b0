"""Remove an engine's environment, or a copy of torch that an earlier version shared between engines.

Nothing that a running process was started from is removed.
"""

import shutil
from pathlib import Path

import psutil

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import cache_folder
from observatory.engines.installed import (
    engines_folder,
    find_engine,
    installed_engines,
)
from observatory.engines.making import Reporter, alone, size_bytes
from observatory.engines.record import RECORD


def remove_engine(name: str, report: Reporter) -> tuple[str, int]:
    """Return (what was removed, bytes that are free again); name as in `observatory engine list`.

    A requirement ("vllm==0.32.0") will do where it means one engine, and so does the name of what an
    interrupted installation left. BadInput: there is none, or torch is still used. EnvironmentFailed:
    it is running, or cannot be removed.
    """
    folder = _folder(name)
    with alone(folder, report):
        used = _users(folder)
        if used:
            raise BadInput(
                f"{folder.name} is used by {', '.join(path.name for path in used)}",
                fix="remove those first",
            )
        if running := _running_from(folder):
            raise EnvironmentFailed(
                f"{folder.name} is running (process {running})", fix="stop it first"
            )
        freed = size_bytes(folder, alone_there=True)
        try:
            (folder / RECORD).unlink(missing_ok=True)  # from here on it is no engine
            shutil.rmtree(folder)
        except OSError as error:
            raise EnvironmentFailed(
                f"it cannot be removed: {error.strerror}", where=str(folder)
            ) from error
    return folder.name, freed


def unused_torch() -> list[Path]:
    """Return the copies of torch, made by an earlier version, that no environment uses."""
    folders = (path.parent for path in engines_folder().glob("torch-*/torch.json"))
    return [folder for folder in sorted(folders) if not _users(folder)]


def _users(folder: Path) -> list[Path]:
    """Return the environments of the cache whose torch.pth leads to this folder."""
    links = cache_folder().glob("*/*/lib/python*/site-packages/torch.pth")
    return sorted(link.parents[3] for link in links if link.read_text().strip() == str(folder))


def _folder(name: str) -> Path:
    root = engines_folder()
    folders = [path.name for path in root.iterdir() if path.is_dir()] if root.is_dir() else []
    if name in folders:
        return root / name
    if not installed_engines():
        raise BadInput(f"{name!r} is not installed; no engine is")
    return find_engine(name).folder


def _running_from(folder: Path) -> int | None:
    """Return a process whose command lies in the folder, other than this one."""
    inside = f"{folder}/"
    for process in psutil.process_iter():
        try:
            command = process.cmdline()
        except psutil.Error:
            continue
        if any(part.startswith(inside) for part in command[:2]):
            return process.pid
    return None
