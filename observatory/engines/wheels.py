"""Define which wheels an engine needs in addition to its own, and which are left out. Nothing is installed here."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from observatory.core.targets.packages import Build

LEFT_OUT: dict[Build, tuple[str, ...]] = {
    "cuda": (),
    # No text model needs the first three; vLLM switches triton off on a CPU, and it takes 1 GB.
    "cpu": ("torchvision", "torchaudio", "torchcodec", "triton"),
}
CONVERTERS = ("accelerate", "gguf")
"""What transformers needs to read a GGUF file: models are converted in an engine's environment."""
_CUDA_LIBRARIES = re.compile(r"^(nvidia|cuda)[-_]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file that uv chose."""

    name: str
    version: str
    file: str
    sha256: str

    def pin(self) -> str:
        """Return a line of a requirements file that nothing but this file satisfies."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


def needs_cuda(wheels: Iterable[Wheel]) -> bool:
    """Return whether NVIDIA's libraries are among the wheels."""
    return any(_CUDA_LIBRARIES.match(wheel.name) for wheel in wheels)


def requirements_of(name: str, site_packages: Path) -> list[Requirement]:
    """Return what an installed distribution requires on this machine, without extras."""
    (found,) = metadata.distributions(name=name, path=[str(site_packages)])
    return _applying(found)


def wanted_torch(engine: Sequence[Requirement]) -> str | None:
    """Return the specifier by which an engine requires torch on this machine, e.g. "==2.13.0+cpu"."""
    named = (each for each in engine if canonicalize_name(each.name) == "torch")
    return next((str(each.specifier) for each in named), None)


def left_out(site_packages: Path, build: Build) -> tuple[str, ...]:
    """Return the packages that the installed ones require and do not get."""
    installed = metadata.distributions(path=[str(site_packages)])
    wanted = {canonicalize_name(r.name) for found in installed for r in _applying(found)}
    return tuple(name for name in LEFT_OUT[build] if name in wanted)


def _applying(found: metadata.Distribution) -> list[Requirement]:
    parsed = (Requirement(line) for line in found.requires or ())
    return [each for each in parsed if each.marker is None or each.marker.evaluate({"extra": ""})]
