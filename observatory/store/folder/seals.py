"""The seal of a run folder: seal.json hashes its manifest and its files, and an index holds every seal.

results/seals.jsonl is appended to and never rewritten: a line a seal, each with the hash of the line
before it, so that a seal that was replaced, or a line that was, shows. A folder that was sealed before
there were seals has neither, and is as it was. What people change later is in store.folder.annotations.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import msgspec

from observatory.core.errors import ObservatoryError
from observatory.core.run import Manifest
from observatory.store.files import disk_error, replacing, sha256_of
from observatory.store.folder.manifest import MANIFEST_NAME, read_manifest, write_manifest
from observatory.store.folder.run_lock import is_running

SEAL_NAME = "seal.json"
INDEX_NAME = "seals.jsonl"
"""Next to the folder `runs`."""
SEAL_FORMAT = 1


NEVER_SEALED = "never sealed: its process died just before, so that nothing shows a change"
"""What changed_since_sealed answers of a manifest that announced a seal which is not there."""


class Seal(msgspec.Struct, frozen=True):
    """seal.json. files: name -> SHA-256, of the manifest and of every file that it names."""

    format: int
    run_id: str
    sealed_utc: str
    files: dict[str, str]


class IndexLine(msgspec.Struct, frozen=True):
    """A line of the index. before: SHA-256 of the line before it, "" in the first."""

    run_id: str
    seal_sha256: str
    before: str


def keep_judged(folder: Path, judged: Manifest) -> Manifest:
    """Write a manifest for the last time and seal the folder; answers it as it is on disk.

    The manifest announces the seal, so that a death between the two leaves a warning (NEVER_SEALED).
    """
    kept = msgspec.structs.replace(judged, seal_follows=True)
    write_manifest(folder, kept)
    write_seal(folder, kept)
    return kept


def write_seal(folder: Path, manifest: Manifest) -> None:
    """Seal a folder whose manifest is written for the last time; nothing where it has a seal already."""
    path = folder / SEAL_NAME
    if not path.exists():
        try:
            manifest_sha256 = sha256_of(folder / MANIFEST_NAME)
        except OSError as error:
            raise disk_error(error, folder) from error
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        files = {MANIFEST_NAME: manifest_sha256, **manifest.sealed}
        seal = Seal(SEAL_FORMAT, manifest.run_id, now, files)
        with replacing(path) as part:
            part.write_bytes(msgspec.json.format(msgspec.json.encode(seal), indent=2) + b"\n")
    enter_in_index(folder)


def enter_in_index(folder: Path) -> None:
    """Append the folder's seal to the index unless its run is there; a death may have come between."""
    index = _index_of(folder)
    try:
        line_of_it = sha256_of(folder / SEAL_NAME)
        handle = os.open(index, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        with os.fdopen(handle, "r+b", buffering=0) as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            data = file.read()
            lines = data.splitlines()
            if any(line.run_id == folder.name for line in _read(lines)):
                return
            before = hashlib.sha256(lines[-1]).hexdigest() if lines else ""
            line = msgspec.json.encode(IndexLine(folder.name, line_of_it, before))
            # A death may have left half a line, which then stays, and is no line of a run.
            file.write((b"\n" if data and not data.endswith(b"\n") else b"") + line + b"\n")
            os.fsync(file.fileno())
    except OSError as error:
        raise disk_error(error, index) from error


def enter_missing(folders: Iterable[Path]) -> None:
    """Enter the seals whose maker died before it entered them."""
    for folder in folders:
        try:
            sealed = (folder / SEAL_NAME).exists()
        except OSError:
            continue  # it may not be looked into, which its readers name
        if sealed and folder.name not in read_index(_index_of(folder)):
            enter_in_index(folder)


def changed_since_sealed(folder: Path, *, thorough: bool = False) -> str | None:
    """Return what of a run folder is not as it was sealed, in words; None: nothing, or it was sealed without a seal.

    thorough: its large files are read too; else only the manifest is.
    """
    known = read_index(_index_of(folder)).get(folder.name)
    path = folder / SEAL_NAME
    try:
        data = path.read_bytes()
        seal = msgspec.json.decode(data, type=Seal)
    except FileNotFoundError:
        return _without_seal(folder) if known is None else "its seal is missing"
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return "its seal cannot be read"
    if known is not None and hashlib.sha256(data).hexdigest() != known:
        return "its seal is not the one that it got"
    if seal.run_id != folder.name:
        return f"the folder is {seal.run_id}'s"
    names = sorted(seal.files) if thorough else [MANIFEST_NAME]
    changed = [name for name in names if not _is_as_sealed(folder / name, seal.files.get(name))]
    return ", ".join(changed) or None


def _without_seal(folder: Path) -> str | None:
    """Return NEVER_SEALED; None for a run that is being finished, or that was sealed before there were seals."""
    try:
        announced = read_manifest(folder).seal_follows
    except ObservatoryError:
        return None
    return NEVER_SEALED if announced and not is_running(folder) else None


def in_words(changed: str) -> str:
    """Return what changed_since_sealed found, as it is shown next to a run."""
    return changed if changed == NEVER_SEALED else f"changed since it was sealed: {changed}"


def _is_as_sealed(path: Path, expected: str | None) -> bool:
    try:
        return sha256_of(path) == expected
    except OSError:
        return False


def read_index(index: Path) -> dict[str, str]:
    """Return run_id -> SHA-256 of its seal.json, as it was first entered."""
    try:
        status = index.stat()
        return _index(index, status.st_mtime_ns, status.st_size)
    except OSError:
        return {}


@lru_cache(maxsize=4)
def _index(index: Path, mtime_ns: int, size: int) -> dict[str, str]:
    """Read once for all the folders of a list."""
    known: dict[str, str] = {}
    for line in _read(index.read_bytes().splitlines()):
        known.setdefault(line.run_id, line.seal_sha256)
    return known


def broken_lines(index: Path) -> list[int]:
    """Return lines of the index, from 1, that do not follow the line before them: something there was rewritten."""
    try:
        lines = index.read_bytes().splitlines()
    except OSError:
        return []
    broken, before = [], ""
    for number, text in enumerate(lines, 1):
        if any(line.before != before for line in _read([text])):
            broken.append(number)
        before = hashlib.sha256(text).hexdigest()
    return broken


def _read(lines: list[bytes]) -> Iterator[IndexLine]:
    """Yield the lines that are whole."""
    for line in lines:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            yield msgspec.json.decode(line, type=IndexLine)


def _index_of(folder: Path) -> Path:
    return folder.parent.parent / INDEX_NAME
