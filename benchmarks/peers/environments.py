"""Where the field's other tools are installed, and how: one environment a tool, outside the repository.

Knows nothing of running them. A machine without the peers imports it too.
"""

import fcntl
import hashlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from observatory.cli.setup.engine import this_host
from observatory.core.errors import EnvironmentFailed, ExitCode, ObservatoryError
from observatory.core.workspace import cache_folder
from observatory.engines.install import Options, install_engine
from observatory.engines.installed import engines_folder
from observatory.engines.record import read_record
from observatory.engines.uv import Uv
from observatory.models.models import is_here, model_path, pull
from observatory.processes.pip_process import Failed

HERE = Path(__file__).parent
NAMES = ("vllm", "guidellm", "aiperf")
MODEL = "smollm2-135m-instruct-bf16-dequantised"

ENGINE = "vllm==0.32.0"
"""The engine whose environment is the peer vllm: what `observatory engine install` makes of it."""

_TORCH = HERE / "torch.txt"
_STAMP = "installed"
_MIB = 2**20


def folder(name: str) -> Path:
    """The environment of a peer of NAMES, there or not: its name ends with the hash of its pins.

    The peer vllm's is the engine's own, among the engines.
    """
    if name == "vllm":
        return engines_folder() / f"vllm-{version(name)}-cpu"
    pins = [HERE / f"{name}.txt", *([_TORCH] if name == "guidellm" else [])]
    return _named(name, *(path.read_bytes() for path in pins))


def model_folder() -> Path:
    """The small model as safetensors with its tokenizer, there or not."""
    return model_path(MODEL)


def installed(name: str) -> bool:
    """Whether the whole of a peer was installed; for vllm the model too, which it makes."""
    if name == "vllm":
        return read_record(folder(name)) is not None and is_here(MODEL)
    return (folder(name) / _STAMP).is_file()


def missing(*names: str) -> str | None:
    """Why these peers cannot be run here, or None."""
    absent = [name for name in names if not installed(name)]
    return f"not installed here: run ./.ci/peers {' '.join(absent)}" if absent else None


def program(name: str, command: str) -> str:
    """The path of a command in that peer's environment, e.g. program("vllm", "python")."""
    return str(folder(name) / "bin" / command)


def version(name: str) -> str:
    """The version that is pinned, e.g. "0.32.0"."""
    if name == "vllm":
        return ENGINE.partition("==")[2]
    pinned = f"{name}=="
    lines = (HERE / f"{name}.txt").read_text().splitlines()
    return next(line for line in lines if line.startswith(pinned)).removeprefix(pinned).split()[0]


def install(name: str) -> None:
    """Build what is not there yet, and print time and size; two at once are safe.

    Raise EnvironmentFailed where it cannot be built (no connection, no space, no wheel for this machine).
    """
    with _alone(name):
        if name == "vllm":
            install_engine(ENGINE, Options(build="cpu"), this_host(), _say)
            pull(MODEL, _say)
        else:
            _make(folder(name), f"{name} {version(name)}", lambda path: _environment(path, name))


def _named(name: str, *parts: bytes) -> Path:
    digest = hashlib.sha256(b"".join(parts)).hexdigest()[:12]
    return cache_folder() / "peers" / f"{name}-{digest}"


@contextmanager
def _alone(name: str) -> Iterator[None]:
    peers = cache_folder() / "peers"
    peers.mkdir(parents=True, exist_ok=True)
    with (peers / f"{name}.lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(path: Path, title: str, make: Callable[[Path], None]) -> None:
    """A folder that has its stamp is whole; any other is made from nothing."""
    if (path / _STAMP).is_file():
        return
    started = time.monotonic()
    print(f"peers: installing {title}", flush=True)
    shutil.rmtree(path, ignore_errors=True)
    make(path)
    (path / _STAMP).touch()
    size = sum(file.lstat().st_size for file in path.rglob("*") if file.is_file()) // _MIB
    print(f"peers: {title} took {time.monotonic() - started:.0f} s and {size} MiB: {path}")


def _environment(path: Path, name: str) -> None:
    """Install the pins, which are all of it, and nothing that they do not name."""
    python, pins = path / "bin" / "python", (HERE / f"{name}.txt").read_text().splitlines()
    with tempfile.TemporaryDirectory() as scratch:
        uv = Uv.configured(Path(scratch), Path(scratch) / "uv.log", _say)
        try:
            uv.make_environment(path, sys.executable)
            uv.install(uv.resolve(pins, python, "--no-deps"), python)
            if name == "guidellm":
                uv = uv.looking_for_torch(None)
                uv.install(uv.resolve([_TORCH.read_text()], python, "--no-deps"), python)
        except Failed as failed:
            raise EnvironmentFailed(
                f"it could not be installed: {failed.why}",
                where=str(path),
                fix="check the connection, the space and the package index "
                "(benchmarks/peers/README.md)",
            ) from failed


def _say(line: str) -> None:
    print(f"peers: {line}", flush=True)


def main(names: list[str]) -> int:
    """Run `.ci/peers [NAME...]`, all at once; return 0, or an error's exit code after printing every failure."""
    names = names or list(NAMES)
    if unknown := sorted(set(names) - set(NAMES)):
        print(f"peers: there is no peer {unknown[0]!r}: {', '.join(NAMES)}", file=sys.stderr)
        return int(ExitCode.BAD_INPUT)
    with ThreadPoolExecutor(len(names)) as pool:
        return max(pool.map(_exit_code, names))


def _exit_code(name: str) -> int:
    try:
        install(name)
    except ObservatoryError as error:
        print(f"peers: {name}: {error}", file=sys.stderr)
        return int(error.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
