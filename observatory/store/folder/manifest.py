"""manifest.json of a run folder: read with care for its number, written whole or not at all."""

import hashlib
import time
from pathlib import Path

import msgspec

from observatory.core.errors import BadInput, EnvironmentFailed
from observatory.core.run import MANIFEST_FORMAT, Manifest
from observatory.core.workspace import Workspace
from observatory.store.files import check_regular, disk_error, replacing

MANIFEST_NAME = "manifest.json"
NEWBORN_S = 60.0
"""A folder this young, without a manifest or never locked, is taken to be in the making."""
OLDEST_FORMAT = 1
"""The lowest manifest format that this version still reads."""


class _Numbered(msgspec.Struct):
    format: int


def run_folders(workspace: Workspace) -> list[Path]:
    """Return every folder of results/runs that holds a manifest, by name; hidden ones are being removed."""
    if not workspace.runs.is_dir():
        return []
    return [folder for folder in _folders(workspace) if _has_manifest(folder)]


def stray_folders(workspace: Workspace) -> list[Path]:
    """Return the folders among the run folders that hold no manifest and cannot be in the making: they are too old for
    it, or hold tables, which are written long after the manifest."""
    if not workspace.runs.is_dir():
        return []
    found = [folder for folder in _folders(workspace) if not _has_manifest(folder)]
    return [folder for folder in found if _age_s(folder) > NEWBORN_S or _holds_tables(folder)]


def _folders(workspace: Workspace) -> list[Path]:
    try:
        return sorted(
            folder
            for folder in workspace.runs.iterdir()
            if not folder.name.startswith(".") and folder.is_dir()
        )
    except OSError as error:
        raise disk_error(error, workspace.runs) from error


def _has_manifest(folder: Path) -> bool:
    """Return whether it is a run folder; one that may not be looked into is, and reading it gives the reason."""
    path = folder / MANIFEST_NAME
    try:
        return path.is_file() or path.exists()
    except OSError:
        return True


def _holds_tables(folder: Path) -> bool:
    try:
        return any(path.suffix == ".parquet" for path in folder.iterdir())
    except OSError:
        return False


def _age_s(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:
        return 0.0


def create_run(workspace: Workspace, manifest: Manifest) -> Path:
    """Make results/runs/<run_id> with its manifest and the folders journal and logs."""
    folder = workspace.runs / manifest.run_id
    try:
        workspace.runs.mkdir(parents=True, exist_ok=True)
        folder.mkdir()
        (folder / "journal").mkdir()
        (folder / "logs").mkdir()
    except FileExistsError as error:
        raise EnvironmentFailed("exists already", where=str(folder)) from error
    except OSError as error:
        raise disk_error(error, folder) from error
    write_manifest(folder, manifest)
    return folder


def read_manifest(folder: Path) -> Manifest:
    """Return the manifest of a run folder.

    Raises BadInput where its format is too new or too old or the folder is no run folder, and
    EnvironmentFailed, naming the file, where it is damaged.
    """
    return decode_manifest(read_manifest_bytes(folder), folder / MANIFEST_NAME)


def check_folder_name(folder: Path, manifest: Manifest) -> None:
    """Raise EnvironmentFailed where a run folder does not have its run's name."""
    if manifest.run_id != folder.resolve().name:
        raise EnvironmentFailed(
            f"holds run {manifest.run_id}: the folder was copied or renamed",
            where=str(folder),
            fix="remove the copy, or give the folder the run's name again",
        )


def read_manifest_bytes(folder: Path) -> bytes:
    """Return manifest.json as it lies on disk."""
    path = folder / MANIFEST_NAME
    try:
        if path.exists():
            check_regular(path)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise BadInput("is not a run folder: it has no manifest.json", where=str(folder)) from error
    except OSError as error:
        raise disk_error(error, path) from error


def decode_manifest(data: bytes, path: Path) -> Manifest:
    """Return a manifest from its bytes; `path` is for the messages of read_manifest."""
    try:
        number = msgspec.json.decode(data, type=_Numbered).format
        if number > MANIFEST_FORMAT:
            raise BadInput(
                f"manifest format {str(number)[:20]} is too new: this version reads up to {MANIFEST_FORMAT}",
                where=str(path),
                fix="update the observatory",
            )
        if number < OLDEST_FORMAT:
            raise BadInput(
                f"manifest format {str(number)[:20]} is too old: this version reads from {OLDEST_FORMAT}",
                where=str(path),
                fix="read it with the version that wrote it, which its `software` names",
            )
        manifest = msgspec.json.decode(data, type=Manifest)
        _ = manifest.stored.telemetry.interval_s  # the scenario's parts that code reads
        return manifest
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise EnvironmentFailed(
            f"the manifest is damaged: {str(error).partition(' while ')[0]}",
            where=str(path),
            fix="restore it from a copy, or remove the folder",
        ) from error


def manifest_sha256(data: bytes) -> str:
    """Return the identity of a manifest's bytes, by which ingest knows a run that changed."""
    return hashlib.sha256(data).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace manifest.json atomically and wait until it is on the disk."""
    with replacing(folder / MANIFEST_NAME) as part:
        part.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
