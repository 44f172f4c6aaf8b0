"""The record of an engine's environment: engine.json, written when the rest of it is complete.

The file also marks the environment as complete: a folder without one is no engine.
"""

from pathlib import Path
from typing import Any

import msgspec

from observatory.core.errors import EnvironmentFailed
from observatory.core.targets.packages import Build

RECORD = "engine.json"
FORMAT = 1


class Package(msgspec.Struct, frozen=True):
    """An installed distribution and the file it came from; file and hash are null where pip names none."""

    name: str
    version: str
    wheel: str | None
    sha256: str | None


class Torch(msgspec.Struct, frozen=True):
    """The torch that an engine runs on.

    wanted: what the engine's own metadata pins. override: the version that a person requested in its
    place. shared: the folder that several environments use, null where torch lies in this one.
    """

    version: str
    wheel: str | None
    sha256: str | None
    wanted: str | None = None
    override: str | None = None
    shared: str | None = None


class EngineRecord(msgspec.Struct, frozen=True):
    """engine.json.

    asked: the requirement as it was typed. distribution, version, wheel, sha256: what was installed
    for it. third_party: not published by the engine's own project. pinned: every package but torch
    was checked against a hash that ships with the observatory (pins_sha256 is that list's hash).
    left_out: requirements of the metadata that were not installed. shim: the metadata folder that was
    added, null where none was. host: the machine that it was installed on.
    """

    format: int
    name: str
    kind: str
    asked: str
    distribution: str
    version: str
    build: Build
    third_party: bool
    wheel: str
    sha256: str
    torch: Torch | None
    python: str
    pinned: bool
    pins_sha256: str | None
    left_out: tuple[str, ...]
    shim: str | None
    installer: str
    packages: tuple[Package, ...]
    host: dict[str, Any]
    installed_at: str
    size_bytes: int


def write_record(folder: Path, record: EngineRecord) -> None:
    """Put engine.json into the folder, whole or not at all."""
    draft = folder / f"{RECORD}.draft"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(record)) + b"\n")
    draft.replace(folder / RECORD)


def read_record(folder: Path) -> EngineRecord | None:
    """Return the folder's record; None where it has none: no engine, or an installation that did not end.

    Raise EnvironmentFailed where it cannot be read or was written by a newer observatory.
    """
    path = folder / RECORD
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise EnvironmentFailed(
            f"the engine's record cannot be read: {error.strerror}", where=str(path)
        ) from error
    try:
        found = msgspec.json.decode(text)
        number = found["format"]
        if number == FORMAT:
            return msgspec.convert(found, EngineRecord)
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise EnvironmentFailed(
            f"the engine's record is damaged: {error}",
            where=str(path),
            fix=f"observatory engine remove {folder.name}, then install it again",
        ) from error
    age = "newer" if isinstance(number, int) and number > FORMAT else "unknown"
    raise EnvironmentFailed(
        f"the engine's record has the {age} format {number!r}; this observatory reads {FORMAT}",
        where=str(path),
        fix="use the observatory that installed it, or remove the engine and install it again",
    )
