"""Read the facts of a model in the Hugging Face layout: a local folder, or the snapshot of a hub id.

Only files on this disk are read; nothing is fetched.
"""

import hashlib
import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from observatory.core.errors import BadInput
from observatory.core.workspace import cache_folder
from observatory.models.safetensors import Tensors, read_tensors, together

_HASHED = ("*.safetensors", "*.bin", "*.pt", "*.gguf", "*.json", "*.jinja", "tokenizer.model")
"""The files that decide what a model answers: weights, configuration, tokenizer, chat template."""
_LOUD_BYTES = 2**30
_KEPT_BYTES = 2**28
"""Hashes of larger files are cached in the models' folder, by the file's place, size and times."""
_LICENCE = re.compile(r"^license:[ \t]*[\"']?([^\s\"'#]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class WeightFacts:
    """Null where the files do not state it. revision: the commit of a hub id's snapshot, null for a folder."""

    parameters: int | None = None
    weight_format: str | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    revision: str | None = None
    license: str | None = None
    quantization: str | None = None


def hub_folder() -> Path:
    """Return where huggingface_hub keeps what it fetched (its documented variables, in its order)."""
    for variable, inner in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
    ):
        if value := os.environ.get(variable):
            return Path(value).expanduser() / inner
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "huggingface" / "hub"


def snapshot_of(hub_id: str, revision: str | None = None) -> Path | None:
    """Return the folder of a hub id that was fetched; None where it was not. Its name is the commit."""
    repository = hub_folder() / f"models--{hub_id.replace('/', '--')}"
    reference = revision or "main"
    try:
        commit = (repository / "refs" / reference).read_text(encoding="ascii").strip()
    except OSError:
        commit = reference
    folder = repository / "snapshots" / commit
    return folder if folder.is_dir() else None


def check_folder(folder: Path, where: str) -> None:
    """Raise BadInput where a model's folder is not there, or holds no model."""
    if not folder.is_dir():
        raise BadInput(
            f"there is no model folder {str(folder)!r}",
            where=where,
            fix="give a folder with config.json and *.safetensors, or a hub id such as org/name",
        )
    if not (folder / "config.json").is_file():
        raise BadInput(
            f"the model folder has no config.json: {folder}",
            where=where,
            fix="give the folder that holds config.json and *.safetensors",
        )


def size_of(folder: Path) -> int:
    """Return bytes of its weights."""
    paths = [*folder.glob("*.safetensors"), *folder.glob("*.bin"), *folder.glob("*.gguf")]
    return sum(path.stat().st_size for path in paths if path.exists())  # a link may lead nowhere


def facts_of_folder(folder: Path, report: Callable[[str], None]) -> WeightFacts:
    """Return the facts of a local folder, with its files' hash."""
    return _read(folder, sha256=_hash_folder(folder, report), revision=None)


def facts_of_snapshot(folder: Path) -> WeightFacts:
    """Return the facts of a hub id's snapshot; its commit identifies it, so that nothing is hashed."""
    return _read(folder, sha256=None, revision=folder.name)


def _read(folder: Path, *, sha256: str | None, revision: str | None) -> WeightFacts:
    config = json_file(folder / "config.json")
    tensors = _tensors(folder)
    quantization = config.get("quantization_config")
    method = quantization.get("quant_method") if isinstance(quantization, dict) else None
    return WeightFacts(
        parameters=tensors.parameters if tensors is not None else None,
        weight_format=_format(tensors, method),
        size_bytes=size_of(folder) or None,
        sha256=sha256,
        revision=revision,
        license=licence_of(folder),
        quantization=str(method) if method else None,
    )


def _tensors(folder: Path) -> Tensors | None:
    paths = sorted(folder.glob("*.safetensors"))
    # Mistral's repositories hold the same weights twice, whole and in the shards that are loaded.
    shards = [path for path in paths if not path.name.startswith("consolidated")] or paths
    return together([read_tensors(path) for path in shards]) if shards else None


def _format(tensors: Tensors | None, method: Any) -> str | None:
    if tensors is None or tensors.main_type is None:
        return None
    return f"{method} safetensors" if method else f"{tensors.main_type} safetensors"


def licence_of(folder: Path) -> str | None:
    """Return the licence that config.json or the front matter of README.md names."""
    stated = json_file(folder / "config.json").get("license")
    if isinstance(stated, str):
        return stated
    try:
        text = (folder / "README.md").read_text("utf-8", "replace")[:65_536]
    except OSError:
        return None
    head = text.split("\n---", 1)[0] if text.startswith("---") else ""
    found = _LICENCE.search(head)
    return found[1] if found else None


def json_file(path: Path) -> dict[str, Any]:
    """Return its object; empty where there is none that can be read."""
    try:
        found = msgspec.json.decode(path.read_bytes())
    except (OSError, msgspec.DecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def _hash_folder(folder: Path, report: Callable[[str], None]) -> str:
    """Return the SHA-256 over "SHA-256  name" lines, one a file, sorted by name: as `sha256sum * | sha256sum`."""
    paths = {path.name: path for pattern in _HASHED for path in folder.glob(pattern)}
    lines = [f"{hash_file(paths[name], report)}  {name}\n" for name in sorted(paths)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def hash_file(path: Path, report: Callable[[str], None]) -> str:
    """Return a file's SHA-256; that of a large file is kept, for as long as the file stays as it is."""
    stat = path.stat()
    if stat.st_size <= _KEPT_BYTES:
        return _digest(path)
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]
    kept = cache_folder() / "hashes" / f"{name}.json"
    mark = [stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
    found = json_file(kept)
    if found.get("mark") == mark and isinstance(found.get("sha256"), str):
        return str(found["sha256"])
    if stat.st_size > _LOUD_BYTES:
        report(f"hashing {path.name} ({stat.st_size / 2**30:.1f} GiB)")
    digest = _digest(path)
    with suppress(OSError):  # a cache that cannot be written costs time at the next start
        kept.parent.mkdir(parents=True, exist_ok=True)
        new = kept.with_suffix(f".{os.getpid()}.new")  # two runs may hash one model at once
        new.write_bytes(msgspec.json.encode({"path": str(path), "mark": mark, "sha256": digest}))
        new.replace(kept)
    return digest


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
