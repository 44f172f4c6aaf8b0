"""Which wheels an engine needs: pip's own answer, read from its report, and the rules for leaving out.

Nothing is installed here.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from observatory.engines.requirement import Build

LEFT_OUT: dict[Build, tuple[str, ...]] = {
    "cuda": (),
    # No text model needs the first three; vLLM switches triton off on a CPU, and it takes 1 GB.
    "cpu": ("torchvision", "torchaudio", "torchcodec", "triton"),
}
CONVERTERS = ("accelerate", "gguf")
"""The packages that transformers needs to read a GGUF file: models are converted in an engine's environment."""
_CUDA_LIBRARIES = re.compile(r"^(nvidia|cuda)[-_]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file that pip chose; requires is its METADATA's Requires-Dist."""

    name: str
    version: str
    file: str
    sha256: str
    requires: tuple[str, ...] = ()

    def pin(self) -> str:
        """A line of a requirements file that nothing but this file satisfies."""
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"

    def needs_cuda(self) -> bool:
        """Return whether it requires NVIDIA's libraries."""
        return any(_CUDA_LIBRARIES.match(text) for text in self.requires)


class _Archive(msgspec.Struct):
    hashes: dict[str, str] = {}


class _Download(msgspec.Struct):
    url: str
    archive_info: _Archive = msgspec.field(default_factory=_Archive)


class _Metadata(msgspec.Struct):
    name: str
    version: str
    requires_dist: list[str] = []


class _Item(msgspec.Struct):
    download_info: _Download
    metadata: _Metadata


class _Report(msgspec.Struct):
    install: list[_Item]


def read_report(path: Path) -> tuple[Wheel, ...]:
    """Return the wheels in the report of `pip install --report` (version 1 of that format)."""
    report = msgspec.json.decode(path.read_bytes(), type=_Report)
    return tuple(
        Wheel(
            canonicalize_name(item.metadata.name),
            item.metadata.version,
            unquote(PurePosixPath(urlsplit(item.download_info.url).path).name),
            item.download_info.archive_info.hashes.get("sha256", ""),
            tuple(item.metadata.requires_dist),
        )
        for item in report.install
    )


def wanted_torch(engine: Wheel) -> str | None:
    """Return the specifier by which an engine requires torch on this machine, e.g. "==2.13.0+cpu"."""
    for asked in _applying(engine.requires):
        if canonicalize_name(asked.name) == "torch":
            return str(asked.specifier)
    return None


def requirements(engine: Wheel, build: Build, torch_version: str | None) -> list[str]:
    """Return the requirements that pip resolves in addition to the engine itself.

    torch_version: the installed or requested torch, in place of what the engine pins.
    """
    lines = []
    for asked in _applying(engine.requires):
        name = canonicalize_name(asked.name)
        if name in LEFT_OUT[build] or (name == "torch" and torch_version is not None):
            continue
        lines.append(f"{asked.name}{_extras(asked)}{asked.specifier}")
    if torch_version is not None:
        lines.append(f"torch=={torch_version}")
    return [*lines, *CONVERTERS]


def without_left_out(wheels: Iterable[Wheel], build: Build) -> list[Wheel]:
    """What is really installed of a resolution."""
    return [wheel for wheel in wheels if wheel.name not in LEFT_OUT[build]]


def left_out(wheels: Sequence[Wheel], build: Build) -> tuple[str, ...]:
    """Return the requirements of these wheels that are not installed."""
    asked = {canonicalize_name(a.name) for wheel in wheels for a in _applying(wheel.requires)}
    return tuple(name for name in LEFT_OUT[build] if name in asked)


def _applying(lines: Iterable[str]) -> list[Requirement]:
    parsed = (Requirement(line) for line in lines)
    return [
        asked for asked in parsed if asked.marker is None or asked.marker.evaluate({"extra": ""})
    ]


def _extras(asked: Requirement) -> str:
    return f"[{','.join(sorted(asked.extras))}]" if asked.extras else ""
