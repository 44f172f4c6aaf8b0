"""One run at a time on a target: a lock per target that the kernel releases when its holder dies."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from observatory.core.errors import EnvironmentFailed
from observatory.core.target import Target


def lock_name(target: Target) -> str:
    """What is locked: a URL for endpoints, the name for what the observatory starts itself."""
    match target.kind:
        case "url":
            what = target.url
        case "vllm" if target.url is not None:
            return _hash(f"url|{target.url}")  # the same endpoint, by either kind
        case "api":
            what = f"{target.base_url or target.provider}/{target.model}"
        case _:
            what = target.name
    return _hash(f"{target.kind}|{what}")


def _hash(what: str) -> str:
    return hashlib.sha256(what.encode()).hexdigest()[:16]


@contextmanager
def target_lock(results: Path, target: Target) -> Iterator[None]:
    """Hold the target's lock; EnvironmentFailed (exit 4) when another process holds it."""
    folder = results / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{lock_name(target)}.lock"
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "another process"
            raise EnvironmentFailed(
                f"target {target.name} is being measured by {holder}",
                fix="wait for it to end; two loads on one target would spoil both",
            ) from error
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"process {os.getpid()}".encode(), 0)
        yield
    finally:
        os.close(handle)
