"""torch's CPU build, kept once and used by every environment that wants the same version.

An environment reaches it through a `torch.pth`; the folder's name has the version and the wheel's hash.
"""

from dataclasses import replace
from pathlib import Path

import msgspec

from observatory.core.errors import EnvironmentFailed
from observatory.core.workspace import cache_folder
from observatory.engines.making import alone, fresh, need_space
from observatory.engines.packages import Pip, torch_options, trouble
from observatory.engines.record import Package
from observatory.engines.resolving import Wheel
from observatory.processes.pip_process import Failed

LINK = "torch.pth"
RECORD = "torch.json"
_BYTES = 1_000_000_000
"""0.72 GB of 2.13.0 unpacked, and the wheel itself while it is unpacked."""


def torch_folders() -> list[Path]:
    """The copies that are whole."""
    return sorted(path.parent for path in (cache_folder() / "engines").glob(f"torch-*/{RECORD}"))


def read_torch(folder: Path) -> Package:
    """Which wheel a copy came from."""
    return msgspec.json.decode((folder / RECORD).read_bytes(), type=Package)


def users(folder: Path) -> list[Path]:
    """The environments of the cache that reach this copy, engines or not, whole or not."""
    links = cache_folder().glob(f"*/*/lib/python*/site-packages/{LINK}")
    return sorted(
        link.parents[3] for link in links if link.read_text().strip() == str(folder)
    )  # ENV/lib/pythonX/site-packages/torch.pth


def shared_torch(
    version: str, index: str | None, site_packages: Path, pip: Pip
) -> tuple[Path, Package]:
    """Return the copy of a CPU build, e.g. "2.13.0+cpu"; install it first where it is missing.

    site_packages: of the environment that shall import it. index: a folder of wheels or an index's
    address in addition to pip's configuration. Raise EnvironmentFailed where it is not available, or only
    the CUDA build is.
    """
    root = cache_folder() / "engines"
    with alone(root / lock_name(version), pip.say) as lock:
        pip = replace(pip, locks=(*pip.locks, lock), uv=None)
        folder = next((each for each in torch_folders() if _is(read_torch(each), version)), None)
        if folder is None:
            folder = _install(_find(version, index, pip), index, pip)
        (site_packages / LINK).write_text(f"{folder}\n")
    return folder, read_torch(folder)


def lock_name(version: str) -> str:
    """The lock of all copies of a version: held while one is made, linked or removed."""
    return f"torch-{version.partition('+')[0]}"


def _is(package: Package, version: str) -> bool:
    return version in (package.version, package.version.partition("+")[0])


def _install(wheel: Wheel, index: str | None, pip: Pip) -> Path:
    root = cache_folder() / "engines"
    folder = root / f"torch-{wheel.version}-{wheel.sha256[:12]}"
    need_space(root, _BYTES, "torch")
    pip.say(f"{folder.name}: installing torch {wheel.version}, which engines share")
    package = Package("torch", wheel.version, wheel.file, wheel.sha256)
    with fresh(folder):
        try:
            pip.into(folder, wheel, *torch_options(index))
        except Failed as failed:
            raise trouble(failed, "torch could not be installed", pip.log) from failed
        (folder / RECORD).write_bytes(msgspec.json.encode(package) + b"\n")
    return folder


def _find(version: str, index: str | None, pip: Pip) -> Wheel:
    """The wheel of exactly this version, else of the public one where that is no CUDA build."""
    unreachable = EnvironmentFailed(
        f"torch {version}, which this engine needs, is not where pip looks; "
        "the Python package index has torch for CUDA only",
        fix="give the place of its CPU wheel: --torch-index URL-or-FOLDER, or OBSERVATORY_TORCH_INDEX "
        "(PyTorch's own CPU index: see pytorch.org, get started, pip, CPU)",
    )
    last: Failed | None = None
    for wanted in dict.fromkeys((version, version.partition("+")[0])):
        try:
            wheel = pip.find(f"torch=={wanted}", *torch_options(index))
        except Failed as failed:
            last = failed
            if failed.versions is None or (not failed.versions and failed.unreachable):
                raise trouble(failed, "torch could not be looked for", pip.log) from failed
            continue
        if not wheel.needs_cuda():
            return wheel
    raise unreachable from last
