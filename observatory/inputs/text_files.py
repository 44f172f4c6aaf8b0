"""A person's text files: how their paths are shown and their bytes become text."""

import re
from pathlib import Path

from observatory.core.counted_nouns import count_of
from observatory.core.errors import BadInput
from observatory.inputs.foreign_files import PEEK_BYTES, reencode, refuse_foreign_bytes

_DOS_END = re.compile(r"\x1a\s*\Z")
"""The mark that some programs of Windows still write where a text ends."""


def shown_path(path: Path) -> str:
    """Return a path as a person here would write it: relative where it lies under the current folder."""
    resolved = path.resolve()
    here = Path.cwd()
    return str(resolved.relative_to(here)) if resolved.is_relative_to(here) else str(path)


def read_text(path: Path, max_bytes: int | None = None) -> str:
    """Return a file's text, UTF-8 with or without a byte-order mark; raise BadInput for its faults."""
    name = shown_path(path)
    try:
        with path.open("rb") as file:
            start = file.read(PEEK_BYTES)
            refuse_foreign_bytes(name, path, start)
            data = start + file.read()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", where=name) from error
    if max_bytes is not None and len(data) > max_bytes:
        raise BadInput(f"has {count_of(len(data), 'byte')}; the most is {max_bytes:,}", where=name)
    try:
        return _DOS_END.sub("", data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        byte = data[error.start : error.start + 1]
        raise BadInput(
            f"is not UTF-8: byte 0x{byte.hex()} ({byte.decode('cp1252', 'replace')!r} in Windows-1252)",
            where=f"{name}:{line}",
            fix=reencode(path, "WINDOWS-1252"),
        ) from error
